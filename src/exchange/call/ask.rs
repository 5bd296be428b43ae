//! Which endpoint a request is to go to: what it is hashed by, and what is answered where there is none.

use crate::reply::{Reason, Reply};
use crate::request::cookie;
use crate::upstream::{Balance, HashOn, NoEndpoint, UpstreamSpec, hash_of};
use http::HeaderMap;
use std::net::IpAddr;

/// What the client is told where the upstream cannot take more.
const OVERLOADED: &str = "The service behind this route is overloaded; try again later.";

/// What is told where the upstream cannot be asked: 502 without a name, else 503, after a while where that is known.
pub fn no_endpoint(why: NoEndpoint) -> Reply {
    match why {
        NoEndpoint::Unresolved => Reason::NoName.into(),
        NoEndpoint::Unavailable => Reason::NoEndpoint.into(),
        NoEndpoint::Busy => Reason::UpstreamBusy.into(),
        NoEndpoint::Overloaded => Reply::new(Reason::Overloaded).detail(OVERLOADED),
        NoEndpoint::BreakerOpen(wait) => {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Reply::new(Reason::BreakerOpen).retry_after(u32::try_from(seconds.max(1)).unwrap_or(u32::MAX))
        }
    }
}

/// What a client shows to come back to an endpoint of the upstream; `None` without affinity, or without the cookie.
pub fn shown(upstream: &UpstreamSpec, headers: &HeaderMap) -> Option<Vec<u8>> {
    cookie(headers, &upstream.affinity.as_ref()?.cookie)
}

/// The digest a request is balanced by; `None` where the upstream hashes nothing, or the request has no such field, so
/// that it is spread like any other.
pub fn hash(balance: &Balance, client: IpAddr, path: &str, headers: &HeaderMap) -> Option<u64> {
    let Balance::Hash(on) = balance else { return None };
    let key = match on {
        HashOn::Client => Some(client.to_string().into_bytes()),
        HashOn::Path => Some(path.as_bytes().to_vec()),
        HashOn::Header(name) => headers.get(name).map(|value| value.as_bytes().to_vec()),
        HashOn::Cookie(name) => cookie(headers, name),
    };
    key.map(|key| hash_of(&key))
}
