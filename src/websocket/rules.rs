//! What a route allows on a connection.

use crate::observe::metrics::SocketMetrics;
use crate::value::{ByteRate, Rate};
use http::HeaderValue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a route allows on each of its connections.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// What may come from the client.
    pub client: LaneRules,
    /// What may come from the upstream.
    pub upstream: LaneRules,
    /// How long there may be no message either way.
    pub idle: Option<Duration>,
    /// How silent sides are asked whether they live.
    pub ping: Option<Ping>,
    /// How old a connection may be.
    pub life: Option<Duration>,
}

/// How silent sides are asked whether they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// After so long a silence of a side it is sent a ping.
    pub every: Duration,
    /// So long it has for an answer.
    pub pong: Duration,
}

/// What may come from one side.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneRules {
    /// The longest frame, bytes of payload.
    pub frame: u64,
    /// The longest message, bytes of payload as they are sent, that is compressed.
    pub message: u64,
    /// Messages and control frames in a time.
    pub messages: Option<Pace>,
    /// Bytes in a time, heads of frames among them.
    pub bytes: Option<Pace>,
}

impl LaneRules {
    /// No bounds.
    pub const ANY: Self = Self { frame: u64::MAX, message: u64::MAX, messages: None, bytes: None };
}

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// So many in a second.
    pub per_second: f64,
    /// So many at once.
    pub burst: f64,
}

impl From<&Rate> for Pace {
    fn from(rate: &Rate) -> Self {
        let per_second = f64::from(rate.count) / rate.period.get().as_secs_f64();
        Self { per_second, burst: f64::from(rate.burst()) }
    }
}

impl From<&ByteRate> for Pace {
    fn from(rate: &ByteRate) -> Self {
        let per_second = rate.size.get() as f64 / rate.period.get().as_secs_f64();
        Self { per_second, burst: rate.burst().get() as f64 }
    }
}

/// A bucket of that pace: full at first.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    pace: Pace,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(pace: Pace, now: Instant) -> Self {
        Self { pace, level: pace.burst, at: now }
    }

    /// Takes so much out, whether it is there or not; how long it takes until nothing is owed any more.
    pub fn owe(&mut self, amount: f64, now: Instant) -> Duration {
        self.fill(now);
        self.level -= amount;
        Duration::try_from_secs_f64(-self.level / self.pace.per_second).unwrap_or_default()
    }

    /// Takes so much out; `false`, and nothing is taken, where it is not there.
    pub fn take(&mut self, amount: f64, now: Instant) -> bool {
        self.fill(now);
        let enough = self.level >= amount;
        if enough {
            self.level -= amount;
        }
        enough
    }

    fn fill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.pace.per_second;
        self.level = (self.level + gained).min(self.pace.burst);
        self.at = now;
    }
}

/// What a policy has made known of a handshake, for the connection that may come of it.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What its route allows.
    pub rules: Arc<Rules>,
    /// Its route's counters.
    pub metrics: Arc<SocketMetrics>,
    /// When the credentials expire, where the connection ends with them.
    pub expires: Option<Instant>,
    /// The word the client announced its token by among the subprotocols: the answer where the upstream names none.
    pub announced: Option<HeaderValue>,
    /// Whether a token was taken from among the subprotocols and put into `Authorization`.
    pub lifted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_lets_its_burst_pass_at_once_and_its_rate_over_time() {
        let began = Instant::now();
        let mut bucket = Bucket::new(Pace { per_second: 2.0, burst: 3.0 }, began);
        let took = [(); 4].map(|()| bucket.take(1.0, began));
        assert_eq!(took, [true, true, true, false]);
        assert!(!bucket.take(1.0, began + Duration::from_millis(400)));
        assert!(bucket.take(1.0, began + Duration::from_millis(500)));
        assert!(!bucket.take(3.5, began + Duration::from_secs(60)), "more than the burst never passes");
        assert!(bucket.take(3.0, began + Duration::from_secs(60)));
        assert_eq!(bucket.owe(1.0, began + Duration::from_secs(60)), Duration::from_millis(500));
        assert_eq!(bucket.owe(0.0, began + Duration::from_secs(61)), Duration::ZERO);
    }
}
