//! `batch:`: many requests to this gateway's own routes in one POST, each answered by itself, in order.
//!
//! Each request of a batch goes through a connection of its own that the gateway makes to itself in memory: HTTP/1, read
//! by the same front, with the same strict look at the head, and then by the same callbacks as a request from outside.
//! So there is one road, and nothing of it can be passed by: routing, address lists, authentication, limits, cache, policies
//! and the access log all see an ordinary request. What tells who the client is does not come from the batch: the inner
//! connection says of itself what the outer one said (peer, certificate), and fields that tell of origin are left out of
//! the requests and taken from the batch's own head, where a trusted proxy has written them.
//!
//! A connection within a connection is known as such: a batch in a batch is refused, and lines of the access log name the
//! batch they belong to.
//!
//! | file | what |
//! |---|---|
//! | `asked` | reads the requests out of the JSON |
//! | `part` | one request: sends it, reads its answer |
//! | `told` | writes the answers |

mod asked;
mod part;
mod told;

#[cfg(test)]
mod tests;

use self::part::{Answered, Bounds};
use super::call::Origin;
use super::content::{is_json, media_type};
use super::{Answer, Answering, Incoming};
use crate::observe::metrics::{BatchOutcome, TrafficMetrics};
use crate::reply::{Fixed, Reason, Reply};
use crate::request::{CERTIFICATE_FIELDS, TRACEPARENT};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tokio::io::DuplexStream;

/// So long before the deadline of the batch its requests are given up, so that what has been answered can be told.
const RESERVE: Duration = Duration::from_millis(100);

/// The compiled form of a route's `batch`.
pub struct Batch {
    /// The most requests in one.
    pub requests: usize,
    /// How many of them are under way at a time.
    pub at_once: usize,
    /// The longest batch that is read, bytes.
    pub max_body: usize,
    /// The longest answer to one request, bytes.
    pub max_answer: usize,
    /// The longest answers to all of them together, bytes.
    pub max_answers: usize,
    /// Fields of the batch that requests get that have no such field of their own.
    pub forward: Vec<HeaderName>,
    /// The counters of the route.
    pub metrics: Arc<TrafficMetrics>,
}

/// Where the gateway lets itself in: the listener that the batch came in at, for the same client.
pub trait Door: Send + Sync {
    /// A new connection for one request; `None` where the listener is no longer there.
    fn open(&self) -> Option<DuplexStream>;
}

/// What every request of a batch is told beside what it says itself.
struct Given {
    /// In any case.
    always: HeaderMap,
    /// Where it has no such field.
    otherwise: HeaderMap,
}

impl Batch {
    /// Answers one batch. What is still under way when the future is dropped is given up.
    pub fn answer(self: Arc<Self>, request: Incoming, door: Arc<dyn Door>) -> Answering {
        Box::pin(async move { self.run(request, door).await })
    }

    /// What it does, in lines of the plan that `explain` prints.
    pub fn describe(&self) -> Vec<String> {
        let forward: Vec<&str> = self.forward.iter().map(HeaderName::as_str).collect();
        let forward = if forward.is_empty() { "nothing".to_owned() } else { forward.join(", ") };
        vec![
            format!("answers batches of at most {} requests to routes here, {} at a time", self.requests, self.at_once),
            format!(
                "{} bytes of a batch, {} of an answer, {} of all answers",
                self.max_body, self.max_answer, self.max_answers
            ),
            format!("requests are given {forward} of the batch where they do not say it"),
        ]
    }

    async fn run(&self, mut request: Incoming, door: Arc<dyn Door>) -> Result<Answer, Box<Reply>> {
        if !is_json(&media_type(&request.headers)) || request.headers.contains_key(header::CONTENT_ENCODING) {
            let reply = Reply::new(Reason::BadBody).status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return Err(Box::new(reply.detail("A batch is JSON: send it with Content-Type: application/json.")));
        }
        let full = |full| Box::new(Reply::from(full));
        let room = Arc::clone(request.calls.room());
        let mut held = room.hold();
        let body = request.body.whole(self.max_body).await?;
        held.grow(body.len()).map_err(full)?;
        let asked = asked::read(&body, self.requests)?;
        drop(body);
        let given = self.given(&request);
        let left = AtomicUsize::new(self.max_answers);
        let _away = request.origin.ledger.away();
        let (given, door, left, origin, room) = (&given, &*door, &left, &*request.origin, &room);
        let until = origin.deadline.map(ending);
        let answering = asked.into_iter().map(|one| async move {
            let bounds = Bounds { most: self.max_answer, left, until, room };
            let answered = match one.request {
                Ok(request) => ask(door, given.to(request), bounds).await,
                Err(reply) => Err((*reply, BatchOutcome::Malformed)),
            };
            let (answered, outcome) = match answered {
                Ok(answered) => (answered, BatchOutcome::Answered),
                Err((reply, outcome)) => (Answered::refusal(&reply, origin, room), outcome),
            };
            self.metrics.batched(origin.worker, outcome);
            (one.id, answered)
        });
        let mut answers = stream::iter(answering).buffered(self.at_once);
        let mut out = told::begin();
        while let Some((id, answered)) = answers.next().await {
            let before = out.len();
            told::write(&mut out, id.as_ref(), &answered);
            drop(answered);
            held.grow(out.len() - before).map_err(full)?;
        }
        Ok(Answer::Whole(fixed(held.around(told::end(out)).map_err(full)?)))
    }

    fn given(&self, request: &Incoming) -> Given {
        let mut otherwise = HeaderMap::new();
        for name in &self.forward {
            copy(&request.headers, name, &mut otherwise);
        }
        let origin: &Origin = &request.origin;
        let mut always = origin.said.clone();
        if let Some(host) = &origin.host {
            always.insert(header::HOST, host.clone());
        }
        if origin.client.via_trusted {
            CERTIFICATE_FIELDS.iter().for_each(|name| copy(&request.headers, name, &mut always));
        }
        // What a browser says of the page that asks is true of all that the page asks.
        copy(&request.headers, &header::ORIGIN, &mut always);
        for (name, value) in &request.headers {
            if asked::is_of_the_browser(name) {
                always.append(name, value.clone());
            }
        }
        let trace = origin.trace.and_then(|trace| HeaderValue::from_bytes(&trace.to_bytes()).ok());
        always.extend(trace.map(|trace| (TRACEPARENT, trace)));
        Given { always, otherwise }
    }
}

impl Given {
    fn to(&self, mut request: asked::Request) -> asked::Request {
        for name in
            self.otherwise.keys().filter(|name| !request.fields.contains_key(*name)).cloned().collect::<Vec<_>>()
        {
            copy(&self.otherwise, &name, &mut request.fields);
        }
        for name in self.always.keys() {
            copy(&self.always, name, &mut request.fields);
        }
        request
    }
}

async fn ask(door: &dyn Door, request: asked::Request, bounds: Bounds<'_>) -> Result<Answered, (Reply, BatchOutcome)> {
    let late = || (Reason::Deadline.into(), BatchOutcome::Late);
    let Some(stream) = door.open() else { return Err((Reason::Internal.into(), BatchOutcome::Failed)) };
    let asking = part::ask(stream, request, bounds);
    match bounds.until {
        None => asking.await,
        Some(until) => tokio::time::timeout_at(until.into(), asking).await.unwrap_or_else(|_| Err(late())),
    }
}

/// When the requests of a batch with that deadline are given up.
fn ending(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(RESERVE.min(left / 10)).unwrap_or(deadline)
}

fn copy(from: &HeaderMap, name: &HeaderName, to: &mut HeaderMap) {
    for value in from.get_all(name) {
        to.append(name, value.clone());
    }
}

fn fixed(body: Bytes) -> Fixed {
    let fields = vec![
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Fixed { status: StatusCode::OK, fields, body }
}
