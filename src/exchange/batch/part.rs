//! One request of a batch: sent over a connection to the gateway itself, and its answer read under bounds.

use super::asked::Request;
use crate::exchange::call::Origin;
use crate::exchange::{Held, Room};
use crate::observe::metrics::BatchOutcome;
use crate::reply::{Form, Reason, Rendered, Reply, Templates, render};
use crate::request::remove_hop_by_hop;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version, header};
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v1::client::HttpSession as Http1;
use pingora_http::RequestHeader;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;
use tokio::io::DuplexStream;

/// What a request of a batch may take.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// Bytes of its answer.
    pub most: usize,
    /// Bytes of all answers that may still come.
    pub left: &'a AtomicUsize,
    /// When it is given up.
    pub until: Option<Instant>,
    /// What there is for all requests of the gateway.
    pub room: &'a Arc<Room>,
}

/// What a request of a batch was answered.
pub struct Answered {
    /// The status.
    pub status: StatusCode,
    /// The fields, without those of one connection or one message.
    pub fields: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The room it takes.
    pub _held: Held,
}

impl Answered {
    /// A refusal that is told in the place of an answer.
    pub fn refusal(reply: &Reply, origin: &Origin, room: &Arc<Room>) -> Self {
        let id = origin.request_id.to_str().unwrap_or_default();
        let Rendered { status, fields, body, .. } = render(reply, Form::Problem, &Templates::default(), id);
        Self { status, fields: fields.into_iter().collect(), body, _held: room.hold() }
    }
}

/// Asks, and reads the answer to its end.
///
/// # Errors
/// It is too long, there is no room for it, or the connection ends before it does: the gateway's own failure.
pub async fn ask(
    stream: DuplexStream,
    request: Request,
    bounds: Bounds<'_>,
) -> Result<Answered, (Reply, BatchOutcome)> {
    let failed = |_| (Reply::from(Reason::Internal), BatchOutcome::Failed);
    let mut session: HttpSession = HttpSession::H1(Http1::new(Box::new(stream)));
    let (head, body) = head(request);
    session.write_request_header(Box::new(head)).await.map_err(failed)?;
    // An answer may come before the body has been read: then that is what counts.
    let sent = match body {
        Some(body) => session.write_request_body(body, true).await,
        None => session.finish_request_body().await,
    };
    drop(sent);
    session.read_response_header().await.map_err(failed)?;
    while session.response_header().is_some_and(|head| head.status.is_informational()) {
        session.read_response_header().await.map_err(failed)?;
    }
    let (mut whole, mut held) = (BytesMut::new(), bounds.room.hold());
    while let Some(piece) = session.read_response_body().await.map_err(failed)? {
        let fits = whole.len() + piece.len() <= bounds.most
            && bounds.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(piece.len())).is_ok();
        if !fits {
            let detail = "The answer to this request is longer than a batch can tell.";
            return Err((Reply::new(Reason::UpstreamBody).detail(detail), BatchOutcome::TooLarge));
        }
        held.grow(piece.len()).map_err(|full| (full.into(), BatchOutcome::NoRoom))?;
        whole.extend_from_slice(&piece);
    }
    let Some(head) = session.response_header() else { return Err((Reason::Internal.into(), BatchOutcome::Failed)) };
    let mut fields = head.headers.clone();
    remove_hop_by_hop(&mut fields);
    fields.remove(header::TRANSFER_ENCODING);
    fields.remove(header::CONTENT_LENGTH);
    Ok(Answered { status: head.status, fields, body: whole.freeze(), _held: held })
}

fn head(request: Request) -> (RequestHeader, Option<Bytes>) {
    let Request { method, target, fields, body } = request;
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = method;
    parts.uri = Uri::from(target);
    parts.version = Version::HTTP_11;
    parts.headers = fields;
    if let Some(body) = &body {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    (RequestHeader::from(parts), body.filter(|body| !body.is_empty()))
}
