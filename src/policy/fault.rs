//! `fault:`: makes a share of a route's requests slow or failed, to test what clients do then.
//!
//! Stage: Limit, after the caller is known and limited, so that a test harms nobody who is not part of it. Hook: on the
//! head. Which requests are hit follows a sequence that spreads them evenly, not chance: of a hundred requests a share
//! of 10 % hits ten, give or take two. The sequence begins anew with each reload. Example: `conf/faults.yaml`.

use super::{ChainBuilder, Decision, OnRequest, Setup, Stage, Wait};
use crate::reply::Fixed;
use crate::request::{RequestCx, RequestView};
use crate::value::{Duration, Percent, Spanned};
use bytes::Bytes;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Faults for tests.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FaultConfig {
    /// Makes requests wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<Spanned<DelayConfig>>,
    /// Answers in the upstream's stead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort: Option<Spanned<AbortConfig>>,
}

/// Makes requests wait.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayConfig {
    /// How long; the route's timeout goes on meanwhile.
    #[serde(rename = "for")]
    pub lasting: Duration,
    /// How many of the requests. Default 100%.
    #[serde(default = "all")]
    pub share: Percent,
}

/// Answers in the upstream's stead.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortConfig {
    /// With that status, 200 to 599.
    pub status: Spanned<u16>,
    /// How many of the requests. Default 100%.
    #[serde(default = "all")]
    pub share: Percent,
}

fn all() -> Percent {
    Percent::new(100)
}

/// The compiled policy.
struct Fault {
    delay: Option<(std::time::Duration, Share)>,
    abort: Option<(StatusCode, Share)>,
}

/// A share of requests, spread evenly.
struct Share {
    /// Of 2^64.
    hits: u64,
    sequence: AtomicU64,
}

impl Share {
    fn new(share: Percent) -> Self {
        let fraction = share.fraction().clamp(0.0, 1.0);
        let hits = if fraction >= 1.0 { u64::MAX } else { (fraction * 2.0_f64.powi(64)) as u64 };
        Self { hits, sequence: AtomicU64::new(0) }
    }

    /// Whether the next request is hit: multiples of the golden section modulo 1 lie as evenly as any sequence can
    /// (Weyl; Knuth, TAOCP 6.4).
    fn hits_next(&self) -> bool {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let place = self.sequence.fetch_add(1, Relaxed).wrapping_mul(GOLDEN);
        self.hits == u64::MAX || place < self.hits
    }
}

impl FaultConfig {
    /// Compiles what is written and adds the policy's hook to a route.
    pub fn attach(&self, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let delay = self.delay.as_ref().map(|delay| (delay.lasting.get(), Share::new(delay.share)));
        let abort = self.abort.as_ref().and_then(|abort| {
            let status =
                StatusCode::from_u16(abort.status.value).ok().filter(|_| (200..=599).contains(&abort.status.value));
            if status.is_none() {
                setup.problems.error(abort.status.place, "a status is from 200 to 599");
            }
            Some((status?, Share::new(abort.share)))
        });
        chain.on_request(Stage::Limit, Arc::new(Fault { delay, abort }));
    }
}

impl Fault {
    fn abort(&self, cx: &mut RequestCx) -> Decision {
        match &self.abort {
            Some((status, share)) if share.hits_next() => {
                cx.note(|| format!("fault: aborted with {}", status.as_str()));
                Decision::answer(Fixed { status: *status, fields: Vec::new(), body: Bytes::from_static(b"fault\n") })
            }
            _ => Decision::Continue,
        }
    }
}

impl OnRequest for Fault {
    fn on_request(&self, cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
        let abort = self.abort(cx);
        let Some((lasting, share)) = &self.delay else { return abort };
        if !share.hits_next() {
            return abort;
        }
        let lasting = *lasting;
        Decision::Wait(Wait::new(async move {
            tokio::time::sleep(lasting).await;
            Box::new(move |_: &mut RequestCx, _: &mut RequestView<'_>| abort) as _
        }))
    }

    fn describe(&self) -> String {
        let delay = self.delay.as_ref().map(|(lasting, _)| format!("delay {lasting:?}"));
        let abort = self.abort.as_ref().map(|(status, _)| format!("abort {}", status.as_str()));
        let parts: Vec<String> = [delay, abort].into_iter().flatten().collect();
        format!("fault {}", parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_that_share_of_any_hundred() {
        for (percent, hits) in [(0, 0), (1, 1), (10, 10), (50, 50), (99, 99), (100, 100)] {
            let share = Share::new(Percent::new(percent));
            for hundred in 0..5 {
                let hit = (0..100).filter(|_| share.hits_next()).count();
                assert!(hit.abs_diff(hits) <= 1, "{percent}%: {hit} in hundred {hundred}");
            }
        }
    }
}
