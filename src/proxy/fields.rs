//! Field names the adapter uses, and the way from Pingora's header types to plain maps.

use crate::request::{Headers, HeadersMut};
use http::{HeaderName, HeaderValue};
use pingora_http::{RequestHeader, ResponseHeader};

pub use crate::request::{TRACEPARENT, TRACESTATE, X_REQUEST_ID};

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

/// The fields of a request's head where they are, for those that mostly read: a change costs more here than in plain
/// parts, since Pingora reads the name anew.
pub struct HeadFields<'a>(pub &'a mut RequestHeader);

impl Headers for HeadFields<'_> {
    /// Over HTTP/2 the host stands in `:authority`, which means the same (RFC 9113 §8.3.1).
    fn first(&self, name: &HeaderName) -> Option<&[u8]> {
        let authority = || self.0.uri.authority().map(|authority| authority.as_str().as_bytes());
        self.0.headers.first(name).or_else(|| if name == http::header::HOST { authority() } else { None })
    }

    fn each(&self, name: &HeaderName, visit: &mut dyn FnMut(&[u8])) {
        self.0.headers.each(name, visit);
    }

    fn all(&self, visit: &mut dyn FnMut(&HeaderName, &[u8])) {
        self.0.headers.all(visit);
    }
}

impl HeadersMut for HeadFields<'_> {
    fn set(&mut self, name: &HeaderName, value: HeaderValue) {
        // It could fail over the name alone, which is a legal one.
        let _ = self.0.insert_header(name, value);
    }

    fn append(&mut self, name: &HeaderName, value: HeaderValue) {
        // Over the map's own bound the field is left out, as in a plain map.
        let _ = self.0.append_header(name, value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }
}

/// Changes a response's head as plain parts; see [`edit_request`].
pub fn edit_response<T>(response: &mut ResponseHeader, edit: impl FnOnce(&mut http::response::Parts) -> T) -> T {
    let (empty, ()) = http::Response::new(()).into_parts();
    let mut parts: http::response::Parts = std::mem::replace(response, ResponseHeader::from(empty)).into();
    let result = edit(&mut parts);
    *response = ResponseHeader::from(parts);
    result
}
