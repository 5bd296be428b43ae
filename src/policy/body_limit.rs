//! `body_limit`: the largest request body a route accepts.
//!
//! Stage: Guard. Hooks: on the head, where `Content-Length` says it is too long; on each piece of the body, for bodies
//! that do not declare their length. Nothing is carried over a reload. Fails closed: a body over the limit is 413 and the
//! connection is closed, since the rest of the body is not worth reading. Example: `conf/limits.yaml`.

use super::{BodyDecision, BodyPiece, ChainBuilder, Decision, OnRequest, OnRequestBody, Stage};
use crate::reply::{Reason, Reply};
use crate::request::{Body, RequestCx, RequestView};
use crate::value::ByteSize;
use std::sync::Arc;

/// The compiled limit, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    bytes: u64,
}

impl BodyLimit {
    /// A limit of that many bytes.
    pub fn new(bytes: u64) -> Self {
        Self { bytes }
    }

    /// Adds the policy's hooks to a route.
    pub fn attach(self: Arc<Self>, chain: &mut ChainBuilder) {
        chain.on_request(Stage::Guard, Arc::<Self>::clone(&self));
        chain.on_request_body(Stage::Guard, self);
    }

    /// The refusal of a body of that length, if it is too long.
    fn refusal(self, bytes: u64) -> Option<Box<Reply>> {
        (bytes > self.bytes).then(|| {
            let detail = format!("The body is larger than the {} bytes this route accepts.", self.bytes);
            Box::new(Reply::new(Reason::BodyTooLarge).detail(detail))
        })
    }
}

impl OnRequest for BodyLimit {
    fn describe(&self) -> String {
        format!("body_limit {}", ByteSize::new(self.bytes))
    }

    fn on_request(&self, cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        match cx.body {
            Body::Length(bytes) => self.refusal(bytes).map_or(Decision::Continue, Decision::Reply),
            Body::None | Body::Unknown => Decision::Continue,
        }
    }
}

impl OnRequestBody for BodyLimit {
    fn on_request_body(&self, cx: &mut RequestCx, _piece: BodyPiece<'_>) -> BodyDecision {
        self.refusal(cx.body_bytes).map_or(BodyDecision::Continue, BodyDecision::Reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const PIECE: BodyPiece<'_> = BodyPiece { bytes: b"1", last: false };

    fn on_head(body: Body) -> Option<Reason> {
        let mut headers = HeaderMap::new();
        let mut view = RequestView { method: "POST", host: "h", path: "/", query: None, headers: &mut headers };
        let mut cx = RequestCx { body, ..RequestCx::at(0) };
        BodyLimit::new(10).on_request(&mut cx, &mut view).refusal().map(|reply| reply.reason)
    }

    #[test]
    fn a_declared_length_is_decided_before_a_byte_is_read() {
        assert_eq!(on_head(Body::Length(10)), None);
        assert_eq!(on_head(Body::Length(11)), Some(Reason::BodyTooLarge));
        assert_eq!(on_head(Body::Unknown), None);
    }

    #[test]
    fn an_undeclared_body_is_cut_off_at_the_limit() {
        let mut cx = RequestCx { body: Body::Unknown, body_bytes: 10, ..RequestCx::at(0) };
        assert_eq!(BodyLimit::new(10).on_request_body(&mut cx, PIECE), BodyDecision::Continue);
        cx.body_bytes += 1;
        let decision = BodyLimit::new(10).on_request_body(&mut cx, PIECE);
        assert!(matches!(decision, BodyDecision::Reply(reply) if reply.reason == Reason::BodyTooLarge));
    }
}
