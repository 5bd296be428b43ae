//! Routes whose answer the gateway makes out of calls of its own.

mod combine;
mod grpc;
