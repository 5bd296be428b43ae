//! Preflights (Fetch, "CORS-preflight request"): what a browser asks before it sends what a page could not send without
//! scripts.

use crate::request::Headers;
use http::HeaderName;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};

/// <https://wicg.github.io/private-network-access/#headers>
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");

/// What a preflight asks for.
#[derive(Clone, Copy)]
pub struct Preflight<'a> {
    /// The method of the request that is to follow.
    pub method: &'a [u8],
    headers: &'a dyn Headers,
}

impl<'a> Preflight<'a> {
    /// The question, if the request is one: OPTIONS with `Origin` and `Access-Control-Request-Method`.
    pub fn of(method: &str, headers: &'a dyn Headers) -> Option<Self> {
        if method != "OPTIONS" || headers.first(&ORIGIN).is_none() {
            return None;
        }
        headers.first(&ACCESS_CONTROL_REQUEST_METHOD).map(|method| Self { method, headers })
    }

    /// The names of the fields the request is to carry, in lower case, several lines being one list.
    pub fn fields(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.headers.each(&ACCESS_CONTROL_REQUEST_HEADERS, &mut |line| {
            let listed = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty());
            names.extend(listed.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()));
        });
        names
    }

    /// Whether it is asked on the way from a public into a private network.
    pub fn enters_private_network(&self) -> bool {
        self.headers.first(&REQUEST_PRIVATE_NETWORK) == Some(b"true")
    }
}
