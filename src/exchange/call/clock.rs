//! How long the steps of a call may take.

use super::attempt::Broken;
use super::{Flow, Origin};
use crate::reply::Reason;
use crate::upstream::Timeouts;
use crate::upstream::{FailureKind, Outcome};
use http::HeaderValue;
use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A stream may be silent this long, either way, before it is cut. Clients and services that keep streams open ping
/// more often.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// The bounds of one attempt: the upstream's own for each step, and what is left until the deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    own: Timeouts,
    deadline: Option<Instant>,
    flow: Flow,
    /// Whether the deadline is the caller's, and earlier than the route's.
    impatient: bool,
}

impl Bounds {
    /// `each`: how long one attempt may take to begin its answer, and be silent after that; streams may take as long as they
    /// take.
    pub(super) fn new(own: Timeouts, each: Option<Duration>, flow: Flow, origin: &Origin) -> Self {
        let each = each.filter(|_| flow == Flow::Bounded).unwrap_or(Duration::MAX);
        let own = Timeouts { total_connect: own.total_connect.min(each), read: own.read.min(each), ..own };
        Self { own, deadline: origin.deadline, flow, impatient: origin.impatient }
    }

    /// What is left; `None` without a deadline.
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    pub(super) fn is_late(&self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// What a failure says of the endpoint: a caller that gives up early says nothing of it.
    pub(super) fn outcome(&self, kind: FailureKind) -> Outcome {
        match kind {
            FailureKind::Timeout if self.impatient && self.is_late() => Outcome::Neutral,
            kind => Outcome::Failure(kind),
        }
    }

    /// The time for connecting, of streams too.
    pub(super) fn connect(&self) -> Result<Duration, Broken> {
        bounded(self.own.total_connect, self.left())
    }

    /// The time for one write.
    pub(super) fn write(&self) -> Result<Option<Duration>, Broken> {
        match self.flow {
            Flow::Streaming => Ok(Some(self.own.write)),
            Flow::Bounded => bounded(self.own.write, self.left()).map(Some),
        }
    }

    /// The time until the next bytes come.
    pub(super) fn read(&self) -> Result<Option<Duration>, Broken> {
        match self.flow {
            Flow::Streaming => Ok(Some(self.own.read.max(LONGEST_SILENCE))),
            Flow::Bounded => bounded(self.own.read, self.left()).map(Some),
        }
    }

    /// What a future brings by the deadline; `None` where it brings nothing. A stream is waited for as long as it takes.
    pub(super) async fn within<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        match self.deadline.filter(|_| self.flow == Flow::Bounded) {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.ok(),
            None => Some(future.await),
        }
    }
}

fn bounded(own: Duration, left: Option<Duration>) -> Result<Duration, Broken> {
    match left {
        Some(left) if left.is_zero() => Err(Reason::Deadline.into()),
        Some(left) => Ok(own.min(left)),
        None => Ok(own),
    }
}

/// The moment that is so far away, in milliseconds since 1970, as deadlines are told to upstreams.
pub fn moment_after(left: Duration) -> Option<HeaderValue> {
    let since = SystemTime::now().checked_add(left)?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok().map(HeaderValue::from)
}
