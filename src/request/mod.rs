//! Per request: what is known of it, and the views that routing, policies, forwarding rules and the access log are
//! written against.
//!
//! Nothing above `proxy/` knows a Pingora `Session`: a second, faster lane can run the same policies over other
//! representations of a request.

mod caller;
mod client;
mod forwarded;
mod headers;
mod view;

pub use caller::{Caller, Changes, Charged, ClientCertificate, IDENTITY_FIELDS, Identity, tell_anonymous};
pub use client::{Client, TrustedProxies};
pub use forwarded::{Forwarding, forward_fields, remove_inbound};
pub use headers::{Headers, HeadersMut};
pub use view::{Answered, Body, Maker, Moment, RequestCx, RequestView, ResponseView, Scheme};
