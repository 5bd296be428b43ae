//! HTTP/2, WebSocket, server-sent events and gRPC through the gateway, with the clients people use.

mod events;
mod grpc;
mod http2;
mod websocket;
