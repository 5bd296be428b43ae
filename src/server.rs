//! Builds and runs the gateway.
