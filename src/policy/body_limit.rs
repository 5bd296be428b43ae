//! `body_limit`: the largest request body a route accepts.
//!
//! Stage: Guard. Hooks: on the head, where `Content-Length` says it is too long; on each piece of the body, for bodies
//! that do not declare their length. Nothing is carried over a reload. Fails closed: a body over the limit is 413 and the
//! connection is closed, since the rest of the body is not worth reading. Example: `conf/limits.yaml`.

use super::{ChainBuilder, Decision, OnRequest, OnRequestBody, Stage};
use crate::reply::{Reason, Reply};
use crate::request::{Body, RequestCx, RequestView};
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
    pub fn attach(self, chain: &mut ChainBuilder) {
        let hook = Arc::new(self);
        chain.on_request(Stage::Guard, hook.clone());
        chain.on_request_body(Stage::Guard, hook);
    }

    fn allow(self, bytes: u64) -> Decision {
        if bytes <= self.bytes {
            return Decision::Continue;
        }
        let detail = format!("The body is larger than the {} bytes this route accepts.", self.bytes);
        Decision::reply(Reply::new(Reason::BodyTooLarge).detail(detail))
    }
}

impl OnRequest for BodyLimit {
    fn on_request(&self, cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        match cx.body {
            Body::Length(bytes) => self.allow(bytes),
            Body::None | Body::Unknown => Decision::Continue,
        }
    }
}

impl OnRequestBody for BodyLimit {
    fn on_request_body(&self, cx: &mut RequestCx, _bytes: usize) -> Decision {
        self.allow(cx.body_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use std::time::Instant;

    fn on_head(body: Body) -> Decision {
        let mut headers = HeaderMap::new();
        let mut view = RequestView { method: "POST", host: "h", path: "/", query: None, headers: &mut headers };
        let mut cx = RequestCx { body, ..RequestCx::new(Instant::now()) };
        BodyLimit::new(10).on_request(&mut cx, &mut view)
    }

    fn refused(decision: &Decision) -> bool {
        matches!(decision, Decision::Reply(reply) if reply.reason == Reason::BodyTooLarge)
    }

    #[test]
    fn a_declared_length_is_decided_before_a_byte_is_read() {
        assert_eq!(on_head(Body::Length(10)), Decision::Continue);
        assert!(refused(&on_head(Body::Length(11))));
        assert_eq!(on_head(Body::Unknown), Decision::Continue);
    }

    #[test]
    fn an_undeclared_body_is_cut_off_at_the_limit() {
        let mut cx = RequestCx { body: Body::Unknown, body_bytes: 10, ..RequestCx::new(Instant::now()) };
        assert_eq!(BodyLimit::new(10).on_request_body(&mut cx, 10), Decision::Continue);
        cx.body_bytes += 1;
        assert!(refused(&BodyLimit::new(10).on_request_body(&mut cx, 1)));
    }
}
