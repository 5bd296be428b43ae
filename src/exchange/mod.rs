//! What is made of a request without passing it to an upstream unchanged: for now, fixed answers and redirects.

mod fixed;

pub use fixed::{Fixed, Redirect};
