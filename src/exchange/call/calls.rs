//! Makes calls: picks an endpoint, tries again where that is listed, safe and within the budget, and says what came of it.

use super::answer::{AnswerBody, Reading};
use super::attempt::{Attempt, Broken, send};
use super::clock::Bounds;
use super::head::{fields, head};
use super::{
    Attempted, Call, CallAnswer, CallBody, CallError, Origin, RetryCause, classify, hash, listed, no_endpoint,
    retry_after, shown,
};
use crate::exchange::Room;
use crate::observe::TraceContext;
use crate::observe::metrics::AttemptOutcome;
use crate::reply::Reason;
use crate::request::remove_hop_by_hop;
use crate::upstream::{Ask, Clock, EndpointId, FailureKind, Millis, Outcome, Picked};
use http::{HeaderMap, header};
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::ResponseHeader;
use smallvec::SmallVec;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// Connections that a worker keeps for calls, over all endpoints.
const POOL: usize = 512;
/// A pooled connection that the upstream had already closed is replaced this often without counting as a retry.
const STALE_REPLACED: u32 = 2;

/// Makes the gateway's own calls to upstreams. One for a process; its connections are kept by worker.
pub struct Calls {
    lanes: Box<[Arc<Lane>]>,
    clock: Clock,
    room: Arc<Room>,
}

/// What a worker calls with.
pub(super) struct Lane {
    /// Made at the first call: most gateways make none.
    connector: OnceLock<Connector>,
    /// Where its random numbers stand (Steele, Lea and Flood's SplitMix64).
    random: AtomicU64,
}

impl Lane {
    pub(super) fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| Connector::new(Some(ConnectorOptions::new(POOL))))
    }

    fn random(&self) -> u64 {
        let mut bits = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }
}

/// What is known of a call over all its attempts.
struct Course {
    fields: HeaderMap,
    hash: Option<u64>,
    /// What the call shows to come back to an endpoint: a cookie that it carries. None is handed out for calls.
    shown: Option<Vec<u8>>,
    tried: SmallVec<[EndpointId; 4]>,
    attempts: u32,
    /// The wait before the next attempt.
    pause: Duration,
    bounds: Bounds,
}

/// What comes after an attempt that brought no answer.
enum Next {
    Retry,
    Fail(CallError),
}

impl Calls {
    /// For so many workers, on the clock of the upstreams. `seed`: random bits that set where turns begin.
    pub fn new(workers: usize, clock: Clock, seed: u64) -> Self {
        let lane = |worker: usize| {
            let random = AtomicU64::new(seed.wrapping_add((worker as u64).wrapping_mul(0xD1B5_4A32_D192_ED03)));
            Arc::new(Lane { connector: OnceLock::new(), random })
        };
        Self { lanes: (0..workers.max(1)).map(lane).collect(), clock, room: Arc::default() }
    }

    /// The memory that answers may take which others are made of.
    pub fn room(&self) -> &Arc<Room> {
        &self.room
    }

    /// A span for a call, below that of the request it is made for.
    pub fn span(&self, origin: &Origin) -> Option<TraceContext> {
        Some(origin.trace?.child(self.lane(origin)?.random()))
    }

    fn lane(&self, origin: &Origin) -> Option<&Arc<Lane>> {
        self.lanes.get(origin.worker.0).or(self.lanes.first())
    }

    /// The present on the clock of the upstreams.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Makes a call. Any status is an answer, unless it is one after which the call's retries ask for another attempt and
    /// there can be one. Dropping the future gives the call up.
    ///
    /// # Errors
    /// No answer: no endpoint to ask, none that answered, or not in time.
    pub async fn send(&self, mut call: Call, origin: &Arc<Origin>) -> Result<CallAnswer, CallError> {
        let Some(lane) = self.lane(origin) else { return Err(Reason::Internal.into()) };
        if call.trace.is_none() {
            call.trace = self.span(origin);
        }
        let upstream = Arc::clone(&call.to.upstream);
        let spec = upstream.spec();
        if call.after.is_none() {
            upstream.budget().count_request(self.clock.now());
        }
        let fields = fields(&mut call, origin);
        let hash = hash(&spec.balance, origin.client.address, call.target.path(), &fields);
        let flow = call.flow.unwrap_or(origin.flow);
        let (shown, bounds) = (shown(spec, &fields), Bounds::new(spec.timeouts, call.retries.per_try, flow, origin));
        let mut course = Course {
            fields,
            hash,
            shown,
            tried: call.after.into_iter().collect(),
            attempts: 0,
            pause: Duration::ZERO,
            bounds,
        };
        loop {
            let pause = std::mem::take(&mut course.pause);
            if !pause.is_zero() {
                pingora_timeout::sleep(pause).await;
            }
            if bounds.is_late() {
                return Err(Reason::Deadline.into());
            }
            let ask = Ask {
                hash: course.hash,
                shown: course.shown.as_deref(),
                subset: call.to.subset,
                tried: &course.tried,
                now: self.clock.now(),
                random: lane.random(),
                priority: origin.priority,
                // How long a body takes that comes in pieces is the doing of whoever sends it.
                untimed: matches!(call.body, CallBody::Stream { .. }),
            };
            let picked = upstream.pick(&ask).map_err(no_endpoint)?;
            course.attempts += 1;
            let mut attempt = Attempt::begin(picked, &call.to, origin);
            match self.attempt(lane, &mut attempt, &mut call, &course).await {
                Ok((head, link, peer)) => {
                    if self.is_retried(lane, &head, &attempt, (&call, &mut course)) {
                        attempt.outcome = AttemptOutcome::RetriedStatus;
                        continue;
                    }
                    origin.ledger.answered(&upstream, attempt.picked.endpoint());
                    let (lane, to, clock) = (Arc::clone(lane), call.to, self.clock);
                    let reading = Reading { attempt, link, peer, lane, to, bounds, clock, ending: false };
                    return Ok(answer(head, reading));
                }
                Err(broken) => match self.after(lane, broken, &mut attempt, (&call, &mut course)) {
                    Next::Retry => {}
                    Next::Fail(error) => return Err(error),
                },
            }
        }
    }

    async fn attempt(
        &self,
        lane: &Lane,
        attempt: &mut Attempt,
        call: &mut Call,
        course: &Course,
    ) -> Result<(ResponseHeader, super::answer::Link, HttpPeer), Broken> {
        let request = head(call, course.fields.clone(), &attempt.picked).map_err(Broken::Other)?;
        let mut peer = attempt.picked.prebuilt().clone();
        peer.options.total_connection_timeout = Some(course.bounds.connect()?);
        let (session, reused) = lane.connector().get_http_session(&peer).await?;
        attempt.connected(reused);
        let (head, link) = send(session, request, call, course.bounds).await?;
        Ok((head, link, peer))
    }

    /// Takes in what an answer's head says of the endpoint; whether another attempt is to be made instead.
    fn is_retried(
        &self,
        lane: &Lane,
        head: &ResponseHeader,
        attempt: &Attempt,
        (call, course): (&Call, &mut Course),
    ) -> bool {
        let (status, arrived) = (head.status.as_u16(), Instant::now());
        let outcome = match status {
            502..=504 => Outcome::Failure(FailureKind::Status(status)),
            _ => Outcome::Success { latency: arrived.saturating_duration_since(attempt.began) },
        };
        call.to.upstream.record(&attempt.picked, outcome, self.clock.at(arrived));
        let Some(cause) = listed(head.status, &head.headers) else { return false };
        let after = retry_after(&head.headers, SystemTime::now());
        self.may_retry(lane, (cause, after), &attempt.picked, (call, course))
    }

    /// Takes in that an attempt broke, and says what follows.
    fn after(&self, lane: &Lane, broken: Broken, attempt: &mut Attempt, (call, course): (&Call, &mut Course)) -> Next {
        let late = course.bounds.is_late();
        let Broken::Upstream(error) = &broken else { return Next::Fail(broken.into_error(late)) };
        let (kind, outcome, reason) = classify(error);
        attempt.outcome = outcome;
        let connected = attempt.connection.is_some();
        if attempt.connection == Some(crate::observe::metrics::ConnectionKind::Reused)
            && reason == Reason::UpstreamReset
            && course.attempts <= STALE_REPLACED
            && call.method.is_idempotent()
            && call.body.is_sendable()
        {
            // The endpoint closed an idle connection as we took it: nobody's failure.
            return Next::Retry;
        }
        call.to.upstream.record(&attempt.picked, course.bounds.outcome(kind), self.clock.now());
        let cause = match reason {
            _ if !connected => RetryCause::Connect,
            Reason::UpstreamTimeout => RetryCause::Timeout,
            _ => RetryCause::Reset,
        };
        if self.may_retry(lane, (cause, None), &attempt.picked, (call, course)) {
            return Next::Retry;
        }
        Next::Fail(broken.into_error(late))
    }

    /// Whether another attempt is made. A `true` puts the endpoint among those already tried, and sets the wait before the
    /// attempt.
    fn may_retry(
        &self,
        lane: &Lane,
        (cause, after): (RetryCause, Option<Duration>),
        picked: &Picked,
        (call, course): (&Call, &mut Course),
    ) -> bool {
        course.tried.push(picked.id());
        let last = Attempted {
            cause,
            attempts: course.attempts,
            idempotent: call.method.is_idempotent(),
            replayable: call.body.is_sendable() && (cause == RetryCause::Connect || call.is_short()),
            after,
            left: course.bounds.left(),
            tried: &course.tried,
            subset: call.to.subset,
        };
        match call.retries.again(&call.to.upstream, &last, (self.clock.now(), lane.random())) {
            Some(wait) => {
                course.pause = wait;
                true
            }
            None => false,
        }
    }
}

fn answer(head: ResponseHeader, reading: Reading) -> CallAnswer {
    let mut parts: http::response::Parts = head.into();
    remove_hop_by_hop(&mut parts.headers);
    parts.headers.remove(header::TRANSFER_ENCODING);
    CallAnswer { status: parts.status, headers: parts.headers, body: AnswerBody::new(reading) }
}
