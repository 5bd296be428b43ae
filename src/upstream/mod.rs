//! upstream: under construction.
