//! Per request: the views that routing, policies, forwarding rules and the access log are written against.
//!
//! Nothing above `proxy/` knows a Pingora `Session`: a second, faster lane can run the same policies over other
//! representations of a request.

mod headers;

pub use headers::{Headers, HeadersMut};
