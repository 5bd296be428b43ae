//! What the gateway makes of requests and responses on their way through it, and what it answers itself.

mod answering;
mod bodies;
mod content_routing;
mod fields;
mod origin_fields;
mod paths;
mod pipelining;
mod refusals;
mod replies;
mod rfc9111;
