//! What policies do to bodies: pieces changed as they pass, or a whole that is gathered first.
//!
//! A hook looks at a head and says what it will do with the body that follows; that work is made for this body alone and
//! holds its state. Bodies that nobody works on are never touched.

use crate::reply::Reply;
use crate::request::{HeadersMut, OutgoingView, RequestCx, ResponseView};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What is done to one body.
#[derive(Debug)]
pub enum BodyWork {
    /// Nothing.
    Leave,
    /// Each piece is changed as it passes.
    Stream(Box<dyn BodyStream>),
    /// The whole is gathered, then changed.
    Whole(Box<dyn WholeBody>),
}

/// Changes the pieces of one body as they pass.
pub trait BodyStream: Send + Sync {
    /// What goes on in place of the piece, at once; nothing may be kept back for longer than the format needs.
    ///
    /// # Errors
    /// Why the body cannot pass.
    fn piece(&mut self, bytes: Bytes, last: bool) -> Result<Bytes, Box<Reply>>;

    /// Names what becomes of a body, where the same always becomes of the same: a cache may keep it. `None` elsewhere.
    fn kept_as(&self) -> Option<KeptAs> {
        None
    }
}

/// A coding and how hard it tries: the same body becomes the same.
pub type KeptAs = (&'static str, u8);

/// The changed body, once it is made.
pub type Changed = Pin<Box<dyn Future<Output = Result<Bytes, Box<Reply>>> + Send>>;

/// Changes one body as a whole.
pub trait WholeBody: Send + Sync {
    /// The most bytes that are gathered.
    fn bound(&self) -> u64;

    /// The refusal of a body that is larger.
    fn too_large(&self) -> Box<Reply>;

    /// Changes the body. It must bound its own time, and work that takes long belongs on another thread.
    fn change(self: Box<Self>, body: Bytes) -> Changed;
}

impl fmt::Debug for dyn BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyStream")
    }
}

impl fmt::Debug for dyn WholeBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WholeBody")
    }
}

/// When a request is about to leave for an upstream, at each attempt.
pub trait OnUpstreamRequest: Send + Sync {
    /// Changes the head, and says what is done to the body. It must come to the same at each attempt.
    ///
    /// # Errors
    /// The refusal of a request that cannot be changed as it should be.
    fn on_upstream_request(&self, cx: &mut RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>>;

    /// The policy in lines of the plan.
    fn describe(&self) -> Vec<String>;
}

/// When the head of an upstream's answer has arrived, before any other hook on answers.
pub trait OnUpstreamAnswer: Send + Sync {
    /// Says whether the answer passes ([`BodyWork::Leave`]), or is looked at as a whole before a refusal takes its place.
    ///
    /// # Errors
    /// The refusal that takes its place at once.
    fn on_upstream_answer(&self, cx: &mut RequestCx, answer: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>>;

    /// The policy in lines of the plan.
    fn describe(&self) -> Vec<String>;
}

/// When the head of an answer with a body is about to go to the client, after all hooks on heads.
pub trait OnResponseBody: Send + Sync {
    /// Says what is done to the body, and changes the head accordingly. Asked for answers without a body too (to HEAD,
    /// 204, 304), whose heads must say the same.
    ///
    /// # Errors
    /// The refusal that takes the place of an answer that cannot pass.
    fn on_response_body(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>>;

    /// The policy in lines of the plan.
    fn describe(&self) -> Vec<String>;
}

const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const DIGEST: HeaderName = HeaderName::from_static("digest");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");

/// Takes what no longer holds out of the head of a message whose body is changed: its length, its digests (RFC 9530), that
/// ranges of it can be had; a strong entity tag becomes a weak one (RFC 9110 §8.8.1).
pub fn forget_length(headers: &mut dyn HeadersMut) {
    for name in [header::CONTENT_LENGTH, header::ACCEPT_RANGES, REPR_DIGEST, CONTENT_DIGEST, DIGEST, CONTENT_MD5] {
        headers.remove(&name);
    }
    let strong = headers.first(&header::ETAG).filter(|tag| tag.starts_with(b"\""));
    let weak = strong.map(|tag| [b"W/", tag].concat());
    match weak.map(|tag| http::HeaderValue::from_bytes(&tag)) {
        Some(Ok(tag)) => headers.set(&header::ETAG, tag),
        Some(Err(_)) => headers.remove(&header::ETAG),
        None => {}
    }
}

/// Takes out of the head of a part what was true of the content of the whole: what is of the representation stays
/// (RFC 9530 §2, §3).
pub fn forget_content(headers: &mut HeaderMap) {
    for name in [CONTENT_DIGEST, CONTENT_MD5] {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_no_longer_holds_goes_and_strong_tags_become_weak() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("content-length", "3"),
            ("content-digest", "sha-256=:x:"),
            ("repr-digest", "sha-256=:x:"),
            ("digest", "sha-256=x"),
            ("content-md5", "x"),
            ("accept-ranges", "bytes"),
            ("etag", "\"v1\""),
            ("last-modified", "Tue, 15 Nov 1994 12:45:26 GMT"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        forget_length(&mut headers);
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get("etag").unwrap(), "W/\"v1\"");
        forget_length(&mut headers);
        assert_eq!(headers.get("etag").unwrap(), "W/\"v1\"");
    }
}
