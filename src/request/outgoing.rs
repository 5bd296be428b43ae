//! What the gateway writes into every request it sends to an upstream, and takes out of every message that passes it,
//! whichever road the message takes.

use super::{Forwarding, forward_fields};
use crate::observe::TraceContext;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use smallvec::SmallVec;

/// The name under which a request is found again.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The trace a request belongs to (W3C Trace Context §3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What others add to a trace (W3C Trace Context §3.3).
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const VIA_VALUE: HeaderValue = HeaderValue::from_static("1.1 tollgate");

/// The fields for one connection besides `Connection` and those it names.
static HOP_BY_HOP: [HeaderName; 5] =
    [KEEP_ALIVE, PROXY_CONNECTION, header::UPGRADE, header::TE, header::PROXY_AUTHENTICATE];

/// What an upstream is told of a request beside what the client said.
pub struct Marks<'a> {
    /// Where it came from.
    pub forwarding: Forwarding<'a>,
    /// Its id.
    pub request_id: &'a HeaderValue,
    /// The trace it belongs to, with this gateway's span.
    pub trace: Option<&'a TraceContext>,
}

/// Writes `X-Forwarded-*`, the request id, the trace and `Via` (RFC 9110 §7.6.3).
pub fn mark(headers: &mut HeaderMap, marks: &Marks<'_>) {
    forward_fields(headers, &marks.forwarding);
    headers.insert(X_REQUEST_ID, marks.request_id.clone());
    if let Some(trace) = marks.trace
        && let Ok(value) = HeaderValue::from_bytes(&trace.to_bytes())
    {
        headers.insert(TRACEPARENT, value);
    }
    headers.append(header::VIA, VIA_VALUE);
}

/// Puts a Host into place, in the field and in the target where it has an authority (HTTP/2), so that the two agree.
pub fn set_host(parts: &mut Parts, host: &HeaderValue) {
    parts.headers.insert(header::HOST, host.clone());
    if parts.uri.authority().is_some()
        && let Ok(authority) = Authority::try_from(host.as_bytes())
    {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.authority = Some(authority);
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
}

/// Removes the fields that are for one connection only, and those that `Connection` names (RFC 9110 §7.6.1).
/// `Transfer-Encoding` stays: it belongs to whoever writes the message.
///
/// Most messages have none of them: one look at the names saves a look-up for each.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| *name == header::CONNECTION || HOP_BY_HOP.contains(name)) {
        return;
    }
    let nominated: SmallVec<[HeaderName; 4]> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|connection| connection.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING)
        .collect();
    headers.remove(header::CONNECTION);
    for name in nominated {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nominated_fields_go_but_never_the_length() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close, X-Hop, Content-Length"));
        headers.append(header::CONNECTION, HeaderValue::from_static("X-Second"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert("x-second", HeaderValue::from_static("1"));
        headers.insert("keep-alive", HeaderValue::from_static("timeout=5"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("3"));
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.len(), 1);
        assert!(headers.contains_key(header::CONTENT_LENGTH));
    }
}
