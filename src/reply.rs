//! Every response the gateway makes itself.
