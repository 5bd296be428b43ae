//! listener: under construction.
