//! Copies of requests for another upstream (`mirror:`), to see what a new version makes of real traffic.
//!
//! The copy is made of what goes to the first upstream, head and body, and leaves when the body has gone there whole; so it
//! can delay nothing, and an upstream that stalls only holds copies up, of which there are so many at most. Its answer
//! reaches nobody: it is dropped, or compared with the first one. Copies say what they are in [`X_TOLLGATE_MIRROR`], have the
//! lowest priority, are never tried again, and end with the process, which does not wait for them.

mod compare;

pub use compare::{Compare, Differences, Told};

use super::call::{Call, CallAnswer, CallBody, Callee, Calls, Marking, Origin};
use crate::observe::metrics::{MirrorDifference, MirrorOutcome, TrafficMetrics};
use crate::value::{ByteSize, Percent};
use bytes::{Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Says to a service that nobody waits for its answer. From untrusted peers it is dropped, and a request that has it is not
/// copied again.
pub const X_TOLLGATE_MIRROR: HeaderName = HeaderName::from_static("x-tollgate-mirror");

/// Log target of what differs.
const LOG: &str = "tollgate::mirror";
/// An answer that is not compared is read so far, for the sake of its connection.
const WORTH_READING: usize = 64 * 1024;
/// From one line about differences to the next, for each mirror.
const PAUSE: Duration = Duration::from_secs(1);

/// The compiled `mirror:` of a route.
pub struct Mirror {
    /// The route, for the log.
    pub route: Box<str>,
    /// Who gets the copies.
    pub to: Callee,
    /// How many requests are copied.
    pub share: Percent,
    /// What of the answers is compared.
    pub compare: Compare,
    /// The longest body that is copied or compared, bytes.
    pub max_body: usize,
    /// Copies under way at once.
    pub max_in_flight: u32,
    /// How long a copy may take.
    pub timeout: Duration,
    /// Its counters.
    pub metrics: Arc<TrafficMetrics>,
    /// When a difference was last logged.
    pub logged: Mutex<Option<Instant>>,
}

impl Mirror {
    /// Whether a request is copied, as 64 random bits have it.
    pub fn takes(&self, random: u64) -> bool {
        is_taken(self.share, random)
    }

    /// What it does, in a line of the plan.
    pub fn describe(&self) -> String {
        let compared =
            [("status", self.compare.status), ("headers", self.compare.headers), ("json", self.compare.json)];
        let compared: Vec<&str> = compared.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        let compared = if compared.is_empty() {
            "answers dropped".to_owned()
        } else {
            format!("compares {}", compared.join(", "))
        };
        let (to, share, bytes) = (&self.to, self.share, ByteSize::new(self.max_body as u64));
        let most = self.max_in_flight;
        format!("mirrors {share} to {to}, {compared}; bodies up to {bytes}, {most} at once, {:?} each", self.timeout)
    }

    /// Says what differs, now and then.
    fn tell(&self, found: &Differences, origin: &Origin, now: Instant) {
        let Some(mut last) = self.logged.try_lock() else { return };
        if last.is_some_and(|last| now.saturating_duration_since(last) < PAUSE) {
            return;
        }
        *last = Some(now);
        let mut parts = Vec::new();
        if let Some((first, second)) = found.status {
            parts.push(format!("status {first} and {second}"));
        }
        if !found.headers.is_empty() {
            let names: Vec<&str> = found.headers.iter().map(HeaderName::as_str).collect();
            parts.push(format!("fields {}", names.join(", ")));
        }
        if !found.json.is_empty() {
            let places: Vec<&str> =
                found.json.iter().map(|place| if place.is_empty() { "(all)" } else { place }).collect();
            parts.push(format!("JSON at {}", places.join(", ")));
        }
        let (route, upstream, id) =
            (&self.route, self.to.upstream.name(), origin.request_id.to_str().unwrap_or_default());
        log::info!(target: LOG, "route {route}: {upstream} answers otherwise: {} (request {id})", parts.join("; "));
    }
}

fn is_taken(share: Percent, random: u64) -> bool {
    let ticket = (random >> 11) as f64 / (1_u64 << 53) as f64;
    ticket < share.fraction()
}

/// A copy in the making.
pub struct Copying {
    mirror: Arc<Mirror>,
    calls: Arc<Calls>,
    head: CopiedHead,
    origin: Origin,
    body: BytesMut,
}

/// The head of a copy, as it goes to the first upstream.
pub struct CopiedHead {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// The header fields.
    pub fields: HeaderMap,
    /// The Host; `None` for the endpoint's own.
    pub host: Option<HeaderValue>,
}

impl Copying {
    /// A copy of which the head is known. `origin` is the copy's own.
    pub fn new(mirror: Arc<Mirror>, calls: Arc<Calls>, mut head: CopiedHead, origin: Origin) -> Self {
        head.fields.insert(X_TOLLGATE_MIRROR, HeaderValue::from_static("true"));
        Self { mirror, calls, head, origin, body: BytesMut::new() }
    }

    /// The body begins anew: another attempt is made.
    pub fn restart(&mut self) {
        self.body.clear();
    }

    /// A piece of the body.
    #[must_use]
    pub fn piece(&mut self, piece: &[u8]) -> Fits {
        if self.body.len() + piece.len() > self.mirror.max_body {
            return Fits::No;
        }
        self.body.extend_from_slice(piece);
        Fits::Yes
    }

    /// Counts a copy that does not leave.
    pub fn drop_as(self, why: MirrorOutcome) {
        self.mirror.metrics.mirrored(self.origin.worker, why);
    }

    /// Sends the copy, unless too many are under way; nobody waits for it. Where answers are compared, the first one is to
    /// be told to what is returned.
    pub fn send(self) -> Option<Box<Teller>> {
        let Self { mirror, calls, head, mut origin, body } = self;
        let Some(slot) = mirror.metrics.copy(mirror.max_in_flight) else {
            mirror.metrics.mirrored(origin.worker, MirrorOutcome::Busy);
            return None;
        };
        origin.deadline = Instant::now().checked_add(mirror.timeout);
        let (teller, told) = match mirror.compare.is_on() {
            true => {
                let (sender, told) = oneshot::channel();
                (Some(Box::new(Teller::new(sender, &mirror))), Some(told))
            }
            false => (None, None),
        };
        let CopiedHead { method, target, fields, host } = head;
        let body = if body.is_empty() { CallBody::None } else { CallBody::Whole(body.freeze()) };
        let call = Call { host, marking: Marking::Done, body, ..Call::new(mirror.to.clone(), method, target, fields) };
        let origin = Arc::new(origin);
        tokio::spawn(async move {
            let _slot = slot;
            let course = run(&mirror, &calls, call, (&origin, told));
            // A service may send its answer byte by byte, and the first upstream may too.
            let outcome = tokio::time::timeout(mirror.timeout, course).await.unwrap_or(MirrorOutcome::Failed);
            mirror.metrics.mirrored(origin.worker, outcome);
        });
        teller
    }
}

/// Whether a piece of a body finds room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fits {
    /// It does.
    Yes,
    /// The body is too long.
    No,
}

async fn run(
    mirror: &Mirror,
    calls: &Calls,
    call: Call,
    (origin, told): (&Arc<Origin>, Option<oneshot::Receiver<Told>>),
) -> MirrorOutcome {
    let Ok(mut answer) = calls.send(call, origin).await else { return MirrorOutcome::Failed };
    let Some(told) = told else {
        let _ = answer.body.collect(WORTH_READING).await;
        return MirrorOutcome::Answered;
    };
    let second = read(&mut answer, mirror).await;
    drop(answer);
    // The first upstream may have failed, or its client left: there is nothing to compare with.
    let Ok(first) = told.await else { return MirrorOutcome::Answered };
    let found = mirror.compare.differences(&first, &second, mirror.max_body);
    if found.is_empty() {
        return MirrorOutcome::Same;
    }
    let kinds = [
        (found.status.is_some(), MirrorDifference::Status),
        (!found.headers.is_empty(), MirrorDifference::Headers),
        (!found.json.is_empty(), MirrorDifference::Json),
    ];
    for (_, kind) in kinds.into_iter().filter(|(differs, _)| *differs) {
        mirror.metrics.differs(origin.worker, kind);
    }
    mirror.tell(&found, origin, Instant::now());
    MirrorOutcome::Different
}

async fn read(answer: &mut CallAnswer, mirror: &Mirror) -> Told {
    let most = if mirror.compare.json { mirror.max_body } else { WORTH_READING };
    let body = answer.body.collect(most).await.ok().map(|(body, _)| body);
    Told { body, ..Told::new(answer.status, &answer.headers) }
}

/// Tells the first answer to whoever compares it.
pub struct Teller {
    sender: oneshot::Sender<Told>,
    told: Option<Told>,
    body: BytesMut,
    /// Bytes of the body; 0 where it is not compared.
    most: usize,
}

impl Teller {
    fn new(sender: oneshot::Sender<Told>, mirror: &Mirror) -> Self {
        let most = if mirror.compare.json { mirror.max_body } else { 0 };
        Self { sender, told: None, body: BytesMut::new(), most }
    }

    /// The head of the answer, and whether its body is awaited.
    pub fn head(&mut self, told: Told) -> bool {
        self.told = Some(told);
        self.most > 0
    }

    /// A piece of the body.
    pub fn piece(&mut self, piece: &Bytes) {
        if self.body.len() + piece.len() > self.most {
            self.most = 0;
            self.body = BytesMut::new();
        } else {
            self.body.extend_from_slice(piece);
        }
    }

    /// The answer is whole.
    pub fn end(self) {
        let body = (self.most > 0).then(|| self.body.freeze());
        if let Some(told) = self.told {
            // Whoever compares may have given up.
            let _ = self.sender.send(Told { body, ..told });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_share_takes_that_many_of_all_requests() {
        let mut random = SmallRng::seed_from_u64(20_261_124);
        for (percent, taken) in [(0, 0..=0), (1, 900..=1_100), (10, 9_700..=10_300), (100, 100_000..=100_000)] {
            let count = (0..100_000).filter(|_| is_taken(Percent::new(percent), random.r#gen())).count();
            assert!(taken.contains(&count), "{percent}%: {count}");
        }
    }
}
