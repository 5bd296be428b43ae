//! value: under construction.
