//! Server-sent events (HTML, "Server-sent events") as the gateway passes them on: piece by piece, kept alive while the
//! upstream is silent, held to a pace, and ended between two events.
//!
//! Browsers connect again by themselves when a stream ends, and say which event they have seen last: so a stream whose time
//! is over, or whose gateway goes away, is simply ended, at a moment when nothing is lost by it.

mod lines;

pub use lines::Lines;

use super::{Frame, Frames};
use crate::observe::Worker;
use crate::observe::metrics::{OpenStream, StreamEnd, StreamMetrics};
use crate::reply::Reply;
use crate::websocket::{Bucket, Membership, Pace};
use async_trait::async_trait;
use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// A comment, which clients ignore.
const HEARTBEAT: &[u8] = b":\n\n";
/// What a stream may begin with, and only there.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// So long an event under way may take to its end when its stream is to end.
const POLITENESS: Duration = Duration::from_secs(2);

/// The compiled `events:` of a route.
#[derive(Debug)]
pub struct Events {
    /// After so long a silence of the upstream the client is sent a comment.
    pub heartbeat: Option<Duration>,
    /// What clients are told to wait before they connect again.
    pub retry: Option<Duration>,
    /// Events in a time; beyond that the upstream is held back.
    pub events: Option<Pace>,
    /// Bytes in a time; beyond that the upstream is held back.
    pub bytes: Option<Pace>,
    /// How old a stream may be.
    pub life: Option<Duration>,
    /// As written, for `explain`.
    pub text: String,
    /// Its counters.
    pub metrics: Arc<StreamMetrics>,
}

/// A stream of events on its way to a client.
pub struct EventStream {
    body: Box<dyn Frames>,
    rules: Arc<Events>,
    membership: Membership,
    open: OpenStream,
    lines: Lines,
    /// What goes first.
    first: Option<Bytes>,
    /// Whether nothing has come yet.
    fresh: bool,
    began: Instant,
    /// When the client was last sent something.
    last: Instant,
    events: Option<Bucket>,
    bytes: Option<Bucket>,
    /// Until when the upstream is held back.
    held: Option<Instant>,
    /// Since when it is to end, and why.
    leaving: Option<(Instant, StreamEnd)>,
}

impl EventStream {
    /// A stream that begins now with that body.
    pub fn new(body: Box<dyn Frames>, rules: Arc<Events>, membership: Membership, worker: Worker) -> Self {
        let now = Instant::now();
        let bucket = |pace: Option<Pace>| pace.map(|pace| Bucket::new(pace, now));
        Self {
            body,
            membership,
            open: rules.metrics.open(worker),
            lines: Lines::default(),
            first: rules.retry.map(|retry| Bytes::from(format!("retry: {}\n\n", retry.as_millis()))),
            fresh: true,
            began: now,
            last: now,
            events: bucket(rules.events),
            bytes: bucket(rules.bytes),
            held: None,
            leaving: None,
            rules,
        }
    }

    /// When something is to be done though nothing comes.
    fn deadline(&self) -> Option<Instant> {
        let life = self.rules.life.filter(|_| self.leaving.is_none()).and_then(|life| self.began.checked_add(life));
        let heartbeat = self.rules.heartbeat.filter(|_| self.lines.is_between_events());
        let heartbeat = heartbeat.and_then(|heartbeat| self.last.checked_add(heartbeat));
        let politeness = self.leaving.map(|(since, _)| since + POLITENESS);
        [life, heartbeat, politeness, self.held].into_iter().flatten().min()
    }

    /// Whether it ends now.
    fn ends(&mut self, now: Instant) -> bool {
        if self.leaving.is_none() && self.rules.life.is_some_and(|life| now >= self.began + life) {
            self.leaving = Some((now, StreamEnd::Life));
        }
        let Some((since, why)) = self.leaving else { return false };
        let ends = self.lines.is_between_events() || now >= since + POLITENESS;
        if ends {
            self.open.ends(why);
        }
        ends
    }

    /// What is passed on of a piece.
    fn take_in(&mut self, mut piece: Bytes, now: Instant) -> Bytes {
        if std::mem::take(&mut self.fresh) && self.rules.retry.is_some() && piece.starts_with(BYTE_ORDER_MARK) {
            piece = piece.slice(BYTE_ORDER_MARK.len()..);
        }
        let events = self.lines.take_in(&piece);
        self.open.passed(events);
        let waits = [
            self.events.as_mut().map(|bucket| bucket.owe(events as f64, now)),
            self.bytes.as_mut().map(|bucket| bucket.owe(piece.len() as f64, now)),
        ];
        let wait = waits.into_iter().flatten().max().filter(|wait| !wait.is_zero());
        self.held = wait.and_then(|wait| now.checked_add(wait));
        self.last = now;
        piece
    }
}

#[async_trait]
impl Frames for EventStream {
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(Frame::Data(first)));
        }
        loop {
            let now = Instant::now();
            if self.ends(now) {
                return Ok(None);
            }
            self.held = self.held.filter(|held| now < *held);
            if self.lines.is_between_events()
                && self.rules.heartbeat.is_some_and(|heartbeat| now >= self.last + heartbeat)
            {
                self.last = now;
                return Ok(Some(Frame::Data(Bytes::from_static(HEARTBEAT))));
            }
            let deadline = self.deadline();
            let time = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            let Self { body, membership, .. } = self;
            let asked = poll_fn(|context| match membership.is_asked(context.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            tokio::select! {
                biased;
                () = asked, if self.leaving.is_none() => self.leaving = Some((now, StreamEnd::Drained)),
                frame = body.next(), if self.held.is_none() => match frame {
                    Ok(Some(Frame::Data(piece))) => {
                        let piece = self.take_in(piece, Instant::now());
                        if !piece.is_empty() {
                            return Ok(Some(Frame::Data(piece)));
                        }
                    }
                    Ok(None) => {
                        self.open.ends(StreamEnd::Upstream);
                        return Ok(None);
                    }
                    Ok(trailers) => return Ok(trailers),
                    Err(reply) => {
                        self.open.ends(StreamEnd::Failed);
                        return Err(reply);
                    }
                },
                () = time => {}
            }
        }
    }

    fn is_endless(&self) -> bool {
        true
    }
}

impl Events {
    /// What it does, in a line of the plan.
    pub fn describe(&self) -> String {
        self.text.clone()
    }
}
