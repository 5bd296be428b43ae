//! What an upstream says of keeping its answer.

use http::{HeaderMap, HeaderName};
use pingora_cache::cache_control::CacheControl;
use sfv::Parser;

/// The targeted field for shared caches run for a service (RFC 9213 §3.1).
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// The directives that hold for this cache: those of `CDN-Cache-Control` where it is there and well-formed, else those of
/// `Cache-Control` (RFC 9213 §2.2).
pub(super) fn directives(headers: &HeaderMap) -> Option<CacheControl> {
    let name = if is_targeted(headers) { "cdn-cache-control" } else { "cache-control" };
    CacheControl::from_headers_named(name, headers)
}

/// Whether the answer has directives meant for caches like this one; `Cache-Control` and `Expires` do not count then.
pub fn is_targeted(headers: &HeaderMap) -> bool {
    let lines: Vec<&[u8]> = headers.get_all(CDN_CACHE_CONTROL).iter().map(|value| value.as_bytes()).collect();
    // A list that is not well-formed, or empty, is as if it were not there (RFC 9213 §2.1).
    !lines.is_empty()
        && Parser::parse_dictionary(&lines.join(&b", "[..])).is_ok_and(|directives| !directives.is_empty())
}
