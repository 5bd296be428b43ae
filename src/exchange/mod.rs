//! What is made of a request without passing it to an upstream unchanged: fixed answers, redirects, and gRPC-Web for
//! services that speak gRPC.

mod fixed;
pub mod grpc_web;

pub use fixed::{Fixed, Redirect};
