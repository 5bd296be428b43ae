//! One attempt of a call at one endpoint: from the connection to the head of the answer.

use super::answer::{Link, Upload};
use super::asked::Pieces;
use super::clock::Bounds;
use super::{Call, CallBody, CallError, Callee, Origin, classify};
use crate::observe::Worker;
use crate::observe::metrics::{AttemptOutcome, ConnectionKind, FinishedAttempt, UpstreamMetrics};
use crate::reply::Reason;
use crate::upstream::Picked;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::protocols::http::v2;
use pingora_core::{Error, ErrorType};
use pingora_http::{RequestHeader, ResponseHeader};
use std::sync::Arc;
use std::time::Instant;

/// Interim answers to one request; who sends more says nothing with them.
const MOST_INTERIM: u32 = 100;

/// An attempt under way. When it is dropped it is counted, as abandoned unless something else is known of it, and is no
/// longer in flight.
pub(super) struct Attempt {
    pub(super) picked: Picked,
    pub(super) began: Instant,
    pub(super) connection: Option<ConnectionKind>,
    pub(super) outcome: AttemptOutcome,
    metrics: Arc<UpstreamMetrics>,
    origin: Arc<Origin>,
    worker: Worker,
}

impl Attempt {
    pub(super) fn begin(picked: Picked, to: &Callee, origin: &Arc<Origin>) -> Self {
        let began = Instant::now();
        origin.ledger.begin(began, &to.upstream, picked.endpoint());
        Self {
            picked,
            began,
            connection: None,
            outcome: AttemptOutcome::Abandoned,
            metrics: Arc::clone(&to.metrics),
            origin: Arc::clone(origin),
            worker: origin.worker,
        }
    }

    pub(super) fn connected(&mut self, reused: bool) {
        self.connection = Some(if reused { ConnectionKind::Reused } else { ConnectionKind::New });
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let ended = Instant::now();
        self.origin.ledger.end(ended);
        self.metrics.record(&FinishedAttempt {
            worker: self.worker,
            outcome: self.outcome,
            connection: self.connection,
            duration: ended.saturating_duration_since(self.began),
        });
    }
}

/// Why an attempt failed.
pub(super) enum Broken {
    /// The endpoint or the way to it.
    Upstream(Box<Error>),
    /// Something else, of which nothing is learnt about the endpoint.
    Other(CallError),
}

impl Broken {
    /// What the client is told.
    pub(super) fn into_error(self, is_late: bool) -> CallError {
        match self {
            Self::Upstream(error) => match classify(&error).2 {
                Reason::UpstreamTimeout if is_late => Reason::Deadline.into(),
                reason => reason.into(),
            },
            Self::Other(error) => error,
        }
    }
}

impl From<Box<Error>> for Broken {
    fn from(error: Box<Error>) -> Self {
        Self::Upstream(error)
    }
}

/// Sends a request and reads the head of its answer. What is left of the body goes on being sent by the link.
pub(super) async fn send(
    session: HttpSession,
    request: RequestHeader,
    call: &mut Call,
    bounds: Bounds,
) -> Result<(ResponseHeader, Link), Broken> {
    let body = match &mut call.body {
        CallBody::None => None,
        CallBody::Whole(body) => Some(Source::Whole(Some(body.clone()))),
        CallBody::Stream { pieces, .. } => pieces.take().map(Source::Pieces),
    };
    let (head, link) = match session {
        HttpSession::H2(session) => send_h2(session, request, body, bounds).await?,
        session => send_h1(session, request, body, bounds).await?,
    };
    check(&head, call.upgrade)?;
    Ok((head, link))
}

/// Where the body comes from.
enum Source {
    Whole(Option<Bytes>),
    Pieces(Box<dyn Pieces>),
}

impl Source {
    async fn next(&mut self, bounds: Bounds) -> Result<Option<Bytes>, Broken> {
        match self {
            Self::Whole(body) => Ok(body.take()),
            Self::Pieces(pieces) => match bounds.within(pieces.next()).await {
                Some(piece) => piece.map_err(|reply| Broken::Other(reply.into())),
                None => Err(Broken::Other(Reason::Deadline.into())),
            },
        }
    }
}

/// HTTP/1: the body, then the answer. An endpoint that answers before it has read all may close its side: what it said
/// counts, if it is an answer.
async fn send_h1(
    mut session: HttpSession,
    request: RequestHeader,
    body: Option<Source>,
    bounds: Bounds,
) -> Result<(ResponseHeader, Link), Broken> {
    session.set_write_timeout(bounds.write()?);
    session.write_request_header(Box::new(request)).await?;
    let mut refused = None;
    if let Some(mut body) = body {
        while let Some(piece) = body.next(bounds).await? {
            if piece.is_empty() {
                continue; // in chunks it would be the last one
            }
            session.set_write_timeout(bounds.write()?);
            if let Err(error) = session.write_request_body(piece, false).await {
                refused = Some(error);
                break;
            }
        }
    }
    if refused.is_none() {
        session.finish_request_body().await?;
    }
    let mut seen = 0;
    loop {
        session.set_read_timeout(bounds.read()?);
        match (session.read_response_header().await, &mut refused) {
            (Ok(()), _) => {}
            (Err(_), Some(_)) => return Err(refused.take().map_or_else(|| Reason::Internal.into(), Broken::Upstream)),
            (Err(error), None) => return Err(error.into()),
        }
        let Some(head) = session.response_header() else { return Err(invalid("no answer")) };
        if !is_interim(head.status) {
            let head = head.clone();
            let reusable = refused.is_none();
            return Ok((head, Link::new(session, Upload::done(reusable))));
        }
        seen += 1;
        if seen > MOST_INTERIM {
            return Err(invalid("too many interim answers"));
        }
    }
}

/// HTTP/2: both ways at once.
async fn send_h2(
    mut session: v2::client::Http2Session,
    request: RequestHeader,
    body: Option<Source>,
    bounds: Bounds,
) -> Result<(ResponseHeader, Link), Broken> {
    session.write_timeout = bounds.write()?;
    session.write_request_header(Box::new(request), body.is_none())?;
    session.read_timeout = bounds.read()?;
    let mut upload = match body {
        None => Upload::done(true),
        Some(body) => {
            let Some(mut writer) = session.take_request_body_writer() else { return Err(Reason::Internal.into()) };
            // As fast as the endpoint takes it. Where the body breaks off, so does the stream: it is dropped unfinished.
            Upload::under_way(Box::pin(async move {
                let mut body = body;
                while let Some(piece) = body.next(bounds).await? {
                    if !piece.is_empty() {
                        v2::write_body(&mut writer, piece, false, bounds.write()?).await?;
                    }
                }
                Ok(v2::write_body(&mut writer, Bytes::new(), true, None).await?)
            }))
        }
    };
    {
        let mut reading = std::pin::pin!(session.read_response_header());
        loop {
            tokio::select! {
                biased;
                read = &mut reading => break read?,
                sent = upload.go_on() => sent?,
            }
        }
    }
    let Some(head) = session.response_header().cloned() else { return Err(invalid("no answer")) };
    Ok((head, Link::new(HttpSession::H2(session), upload)))
}

impl From<Reason> for Broken {
    fn from(reason: Reason) -> Self {
        Self::Other(reason.into())
    }
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

fn invalid(why: &'static str) -> Broken {
    Broken::Upstream(Error::explain(ErrorType::InvalidHTTPHeader, why))
}

/// Refuses an answer whose end, or whose very protocol, the two sides could see differently: a switch that nobody asked for
/// (RFC 9110 §7.8), and codings that were never offered and Pingora does not undo (RFC 9112 §6.1).
fn check(response: &ResponseHeader, asked_to_switch: bool) -> Result<(), Broken> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS && !asked_to_switch {
        return Err(invalid("a switch of protocols that was not asked for"));
    }
    if !has_known_framing(response) {
        return Err(invalid("a transfer coding other than chunked"));
    }
    Ok(())
}

/// Whether an answer's body ends where Pingora takes it to end: only `chunked`, once, is known to it (RFC 9112 §6.1).
pub fn has_known_framing(response: &ResponseHeader) -> bool {
    let mut codings = response.headers.get_all(header::TRANSFER_ENCODING).iter();
    codings.next().is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}
