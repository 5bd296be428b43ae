//! Field names the adapter uses, and the way from Pingora's header types to plain maps.

use http::{HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
pub const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
pub const VIA_VALUE: HeaderValue = HeaderValue::from_static("1.1 tollgate");

/// Changes a request's head as plain parts.
///
/// Pingora keeps a second map with the spelling of every field name, and clones and consults it at every step. Names are
/// not case-sensitive (RFC 9110 §5.1), so it is left out: well-known names go out in their usual spelling, others in
/// lower case, and each of the changes below costs a third.
pub fn edit_request<T>(request: &mut RequestHeader, edit: impl FnOnce(&mut http::request::Parts) -> T) -> T {
    let (empty, ()) = http::Request::new(()).into_parts();
    let mut parts: http::request::Parts = std::mem::replace(request, RequestHeader::from(empty)).into();
    let result = edit(&mut parts);
    *request = RequestHeader::from(parts);
    result
}

/// Changes a response's head as plain parts; see [`edit_request`].
pub fn edit_response<T>(response: &mut ResponseHeader, edit: impl FnOnce(&mut http::response::Parts) -> T) -> T {
    let (empty, ()) = http::Response::new(()).into_parts();
    let mut parts: http::response::Parts = std::mem::replace(response, ResponseHeader::from(empty)).into();
    let result = edit(&mut parts);
    *response = ResponseHeader::from(parts);
    result
}
