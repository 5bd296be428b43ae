//! What the gateway carries beside plain HTTP.

mod cart;
mod grpc_failures;
mod grpc_web;
