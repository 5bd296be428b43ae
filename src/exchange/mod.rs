//! exchange: under construction.
