//! Which endpoint a request is to go to: what it is hashed by, and what is answered where there is none.

use crate::reply::{Reason, Reply};
use crate::upstream::{Balance, HashOn, NoEndpoint, hash_of};
use http::{HeaderMap, header};
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

/// The digest a request is balanced by; `None` where the upstream hashes nothing, or the request has no such field, so
/// that it is spread like any other.
pub fn hash(balance: &Balance, client: IpAddr, path: &str, headers: &HeaderMap) -> Option<u64> {
    let Balance::Hash(on) = balance else { return None };
    let key = match on {
        HashOn::Client => Some(client.to_string().into_bytes()),
        HashOn::Path => Some(path.as_bytes().to_vec()),
        HashOn::Header(name) => headers.get(name).map(|value| value.as_bytes().to_vec()),
        HashOn::Cookie(name) => cookie(headers, name).map(<[u8]>::to_vec),
    };
    key.map(|key| hash_of(&key))
}

/// The value of a cookie (RFC 6265 §4.2.1).
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers.get_all(header::COOKIE).iter().find_map(|line| {
        line.as_bytes().split(|byte| *byte == b';').find_map(|pair| {
            let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(value.trim_ascii())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let headers = |line| HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_static(line))]);
        assert_eq!(cookie(&headers("xsession=1; session=two; z=3"), "session"), Some(&b"two"[..]));
        assert_eq!(cookie(&headers("sessions=1"), "session"), None);
    }
}
