//! The head of a call, for one endpoint.

use super::{Call, CallBody, CallError, Marking, Origin};
use crate::reply::Reason;
use crate::request::remove_hop_by_hop;
use crate::upstream::{Endpoint, Protocol};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Uri, Version, header};
use pingora_http::RequestHeader;

/// Fields of a client's request that are about one connection, or about a body that the call writes itself.
const OF_ONE_MESSAGE: [header::HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT, header::TRAILER];

/// The fields of a call that are the same at each attempt.
pub(super) fn fields(call: &mut Call, origin: &Origin) -> HeaderMap {
    let mut fields = std::mem::take(&mut call.fields);
    let trailers = fields.get(header::TE).is_some_and(|te| {
        let mut codings = te.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    });
    remove_hop_by_hop(&mut fields);
    for name in &OF_ONE_MESSAGE {
        fields.remove(name);
    }
    if call.upgrade {
        fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if trailers {
        fields.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if call.marking == Marking::ByTheCall {
        origin.mark(&mut fields, call.trace.as_ref(), call.until);
    }
    fields
}

/// The head for one endpoint. `fields` are those that [`fields`] has made.
///
/// # Errors
/// The Host is none.
pub(super) fn head(call: &Call, fields: HeaderMap, endpoint: &Endpoint) -> Result<RequestHeader, CallError> {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = call.method.clone();
    parts.headers = fields;
    let host = call.host.as_ref().filter(|host| !host.is_empty()).unwrap_or(endpoint.host_header());
    match endpoint.protocol() {
        Protocol::Http1 => {
            parts.version = Version::HTTP_11;
            parts.uri = Uri::from(call.target.clone());
            parts.headers.insert(header::HOST, host.clone());
            parts.headers.remove(header::TE);
        }
        Protocol::Http2 => {
            parts.version = Version::HTTP_2;
            let scheme = if endpoint.prebuilt().sni.is_empty() { Scheme::HTTP } else { Scheme::HTTPS };
            parts.uri = absolute(scheme, host, call.target.clone()).ok_or(Reason::Internal)?;
        }
    }
    frame(&mut parts.headers, call, endpoint.protocol());
    Ok(RequestHeader::from(parts))
}

fn absolute(scheme: Scheme, host: &HeaderValue, target: PathAndQuery) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).ok()
}

/// Says how long the body is (RFC 9112 §6; RFC 9110 §8.6).
fn frame(headers: &mut HeaderMap, call: &Call, protocol: Protocol) {
    let length = match &call.body {
        // A method that has a body by its nature says that there is none.
        CallBody::None if [Method::POST, Method::PUT, Method::PATCH].contains(&call.method) => Some(0),
        CallBody::None => return,
        CallBody::Whole(body) => Some(body.len() as u64),
        CallBody::Stream { length, .. } => *length,
    };
    match (length, protocol) {
        (Some(length), _) => {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        (None, Protocol::Http1) => {
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        (None, Protocol::Http2) => {}
    }
}
