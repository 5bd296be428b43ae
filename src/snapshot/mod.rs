//! snapshot: under construction.
