//! Per request: what is known of it, and the views that routing, policies, forwarding rules and the access log are
//! written against.
//!
//! Nothing above `proxy/` knows a Pingora `Session`: a second, faster lane can run the same policies over other
//! representations of a request.

mod caller;
mod certificate;
mod client;
mod cookie;
mod digest;
mod distinguished_name;
mod forwarded;
mod headers;
mod ledger;
mod outgoing;
mod view;

pub use caller::{Caller, Changes, IDENTITY_FIELDS, Identity, tell_anonymous, told_value};
pub use certificate::{ClientCertificate, end_of};
pub use client::{Client, TrustedProxies};
pub use cookie::{cookie, cookies};
pub use digest::{BodyDigest, DigestKind};
pub use forwarded::{
    CERTIFICATE_FIELDS, Forwarding, METHOD_FIELDS, ORIGIN_FIELDS, forward_fields, is_certificate_field, may_look_alike,
    remove_inbound, remove_lookalikes, remove_nominations,
};
pub use headers::{Headers, HeadersMut};
pub use ledger::{Held, Holder, Ledger, Taken};
pub use outgoing::{Marks, TRACEPARENT, TRACESTATE, X_REQUEST_ID, mark, remove_hop_by_hop, set_host};
pub use view::{Answered, Asked, Body, Maker, Moment, OutgoingView, RequestCx, RequestView, ResponseView, Scheme};
