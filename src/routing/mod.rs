//! routing: under construction.
