//! What the gateway carries beside plain HTTP.

mod grpc_web;
