//! HTTP/2, WebSocket, server-sent events, gRPC and gRPC-Web through the gateway, with the clients people use.

mod cart;
mod events;
pub use events::outlast;
mod grpc;
mod grpc_failures;
mod grpc_web;
mod http2;
mod websocket;
