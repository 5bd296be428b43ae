//! What is made of a request without passing it to an upstream unchanged: redirects, gRPC-Web for services that speak gRPC,
//! and answers made out of calls to upstreams.
//!
//! [`call`] is how the gateway itself calls an upstream; [`Exchange`] is what a route has that answers so;
//! [`combine`] is one, [`grpc`] another: JSON for clients of services that speak gRPC. [`batch`] answers many requests to this
//! gateway in one; [`message`] talks WebSocket for clients of plain HTTP, [`socket`] plain HTTP for
//! clients of WebSocket.
//! [`hedge`] asks twice where the first takes long; [`mirror`] sends copies of requests to another upstream;
//! [`events`] is what is done with streams of events.

pub mod batch;
pub mod call;
pub mod combine;
mod content;
pub mod events;
mod frame;
pub mod grpc;
pub mod grpc_web;
pub mod hedge;
pub mod message;
pub mod mirror;
mod redirect;
mod room;
pub mod socket;

pub use frame::{Answer, Answering, ClientBody, Conversation, Exchange, Frame, Frames, Incoming, Show, Shown, Want};
pub use redirect::Redirect;
pub use room::{Full, Held, ROOM, Room};
