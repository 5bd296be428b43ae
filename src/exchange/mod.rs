//! What is made of a request without passing it to an upstream unchanged: fixed answers, redirects, and gRPC-Web for
//! services that speak gRPC.

pub mod grpc_web;
mod redirect;

pub use redirect::Redirect;
