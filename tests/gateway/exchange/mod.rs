//! Routes whose answer the gateway makes out of calls of its own.

mod batch;
mod combine;
mod failures;
mod grpc;
mod message;
mod socket;
