//! The moments of a request at which limits decide.

use super::config::LimitMode;
use super::gcra::Ticks;
use super::meter::{Meter, MeterKey, Ruling};
use super::store::{LimitStore, Now};
use super::table::KeyHash;
use super::{Cost, Limit};
use crate::policy::{Decision, OnRequest, OnResponse};
use crate::reply::{Reason, Reply};
use crate::request::{Charged, Headers, Maker, RequestCx, RequestView, ResponseView};
use http::HeaderName;
use smallvec::SmallVec;
use std::sync::Arc;

/// The longest wait that is told: a client that waits longer has forgotten why.
const LONGEST_WAIT: u64 = 30 * 86_400;

/// The limits of one stage of a route.
pub(super) struct Limits {
    pub store: Arc<LimitStore>,
    pub limits: Arc<[Limit]>,
}

/// Takes costs that are known only from the answer.
pub(super) struct ChargeAfterwards {
    pub store: Arc<LimitStore>,
    pub limits: Arc<[Limit]>,
}

/// A limit that has let the request pass, and what it took.
type Taken<'a> = (&'a Limit, MeterKey, u32);

impl Limits {
    /// Refuses on behalf of `limit`: the others get back what the request took.
    fn refuse(&self, limit: &Limit, taken: &[Taken<'_>], (now, wait): (Now, Ticks)) -> Decision {
        for (other, key, cost) in taken {
            other.meter.give_back(&self.store, *key, now, *cost);
        }
        let seconds = wait.seconds_up().clamp(1, LONGEST_WAIT);
        let (reason, what) = match limit.meter {
            Meter::Rate { .. } => (Reason::RateLimited, "Over the limit"),
            Meter::Quota(_) => (Reason::QuotaExceeded, "Used up the quota"),
        };
        let detail = format!("{what} `{}`; try again in {seconds} s.", limit.name);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Decision::reply(Reply::new(reason).detail(detail).retry_after(seconds).member("limit", &*limit.name))
    }
}

impl OnRequest for Limits {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let now = self.store.now(&cx.time);
        let told = cx.changes.response.len();
        let mut taken: SmallVec<[Taken<'_>; 4]> = SmallVec::new();
        for limit in &*self.limits {
            let key = limit.key_of(&self.store, cx, request);
            let cost = limit.cost.of_request(request);
            let ruling = limit.meter.take(&self.store, key, now, cost);
            cx.note(|| format!("{}: {}", limit.text, ruling.in_words()));
            match ruling {
                Ruling::Passes { remaining, resets_in } => {
                    taken.push((limit, key, cost));
                    if matches!(limit.cost, Cost::Response(..)) {
                        cx.changes.charged.push(Charged { limit: limit.key.id(), key: key.bits() });
                    }
                    if limit.mode == LimitMode::Enforce {
                        limit.announced.tell(remaining, resets_in, &mut cx.changes.response);
                    }
                }
                Ruling::Refused { remaining, retry_in } if limit.mode == LimitMode::Enforce => {
                    cx.changes.response.truncate(told);
                    limit.announced.tell(remaining, retry_in, &mut cx.changes.response);
                    return self.refuse(limit, &taken, (now, retry_in));
                }
                Ruling::Refused { .. } => {}
            }
        }
        Decision::Continue
    }

    fn describe(&self) -> String {
        let limits: Vec<&str> = self.limits.iter().map(|limit| limit.text.as_str()).collect();
        format!("limit {}", limits.join(", "))
    }
}

impl Limit {
    fn key_of(&self, store: &LimitStore, cx: &RequestCx, request: &RequestView<'_>) -> MeterKey {
        match self.meter {
            Meter::Rate { .. } => MeterKey::Rate(store.hash(|hasher| self.key.write(hasher, cx, request))),
            Meter::Quota(_) => MeterKey::Quota(store.lasting_hash(|hasher| self.key.write(hasher, cx, request))),
        }
    }

    /// The key that [`MeterKey::bits`] was made of.
    fn key_from(&self, (first, second): (u64, u64)) -> MeterKey {
        match self.meter {
            Meter::Rate { .. } => MeterKey::Rate(KeyHash::new(first, second)),
            Meter::Quota(_) => MeterKey::Quota(first),
        }
    }
}

impl MeterKey {
    fn bits(self) -> (u64, u64) {
        match self {
            Self::Rate(key) => (key.bucket, key.print),
            Self::Quota(key) => (key, 0),
        }
    }
}

impl Ruling {
    fn in_words(self) -> String {
        match self {
            Self::Passes { remaining, .. } => format!("passes, {remaining} left"),
            Self::Refused { retry_in, .. } => format!("over it for {} s", retry_in.seconds_up()),
        }
    }
}

impl Cost {
    /// What a request costs as far as it is known before the answer.
    fn of_request(&self, request: &RequestView<'_>) -> u32 {
        match self {
            Self::Fixed(cost) | Self::Response(_, cost) => *cost,
            Self::Header(name, default) => number(request.headers, name).unwrap_or(*default),
        }
    }
}

/// A whole number from 1 in a field.
fn number(headers: &dyn Headers, name: &HeaderName) -> Option<u32> {
    let text = std::str::from_utf8(headers.first(name)?).ok()?;
    text.trim().parse().ok().filter(|number| *number > 0)
}

impl OnResponse for ChargeAfterwards {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        if response.maker == Maker::Gateway {
            return; // nobody has worked for it
        }
        let now = self.store.now(&cx.time);
        for limit in &*self.limits {
            let Cost::Response(name, taken) = &limit.cost else { continue };
            let Some(cost) = number(response.headers, name) else { continue };
            let mut keys = cx.changes.charged.iter().filter(|charged| charged.limit == limit.key.id());
            if let (Some(charged), Some(rest)) = (keys.next(), cost.checked_sub(*taken)) {
                limit.meter.charge(&self.store, limit.key_from(charged.key), now, rest);
            }
        }
    }
}
