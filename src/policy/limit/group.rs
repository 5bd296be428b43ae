//! Limits that are asked one after another, all or nothing: those of one stage of a route, or those of a plan.

use super::Limit;
use super::config::LimitMode;
use super::fields::Left;
use super::gcra::Ticks;
use super::meter::{Meter, MeterKey, Ruling};
use super::store::{LimitStore, Now};
use super::{Cost, fields};
use crate::observe::metrics::LimitDecision;
use crate::policy::Decision;
use crate::reply::{Reason, Reply};
use crate::request::{Headers, RequestCx, RequestView, Taken};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// The longest wait that is told: a client that waits longer has forgotten why.
const LONGEST_WAIT: u64 = 30 * 86_400;

/// Limits that are asked one after another.
pub(super) struct Group {
    pub store: Arc<LimitStore>,
    pub limits: Box<[Arc<Limit>]>,
    /// What is told of them on every answer.
    policies: Option<HeaderValue>,
}

/// What was asked of a limit.
#[derive(Clone, Copy)]
struct Asked {
    key: MeterKey,
    cost: u32,
}

impl Group {
    /// These limits.
    pub fn new(store: &Arc<LimitStore>, limits: Vec<Arc<Limit>>) -> Self {
        let told = limits.iter().filter(|limit| limit.mode == LimitMode::Enforce).map(|limit| &limit.announced);
        let policies = fields::policies(told);
        Self { store: Arc::clone(store), limits: limits.into(), policies }
    }

    /// Asks the limits from the one at `from` on, until one refuses. `counters` is the place of the first one's counters in
    /// the route's chain.
    ///
    /// What the others took is given back by [`Self::give_back`] when the refusal is written.
    pub fn ask(&self, counters: u16, cx: &mut RequestCx, request: &RequestView<'_>) -> Decision {
        let now = self.store.now(&cx.time);
        let mut left = Left::default();
        for (place, limit) in (counters..).zip(&self.limits) {
            let asked = Asked {
                key: limit.key_of(&self.store, |key, hasher| key.write(hasher, cx, request)),
                cost: limit.cost.of_request(request),
            };
            // An explanation counts nothing.
            let ruling = match cx.notes.is_some() {
                true => limit.meter.look(&self.store, asked.key, now, asked.cost),
                false => limit.meter.take(&self.store, asked.key, now, asked.cost),
            };
            if let Some(refusal) = limit.settle(place, asked, ruling, cx) {
                return refusal;
            }
            if let (Ruling::Passes { remaining, resets_in }, LimitMode::Enforce) = (ruling, limit.mode) {
                limit.announced.note(remaining, resets_in, (&mut left, &mut cx.changes.response));
            }
        }
        if let Some(policies) = &self.policies {
            left.tell(policies, &mut cx.changes.response);
        }
        Decision::Continue
    }

    /// Takes back what the request has taken of these limits.
    pub fn give_back(&self, cx: &mut RequestCx) {
        let now = self.store.now(&cx.time);
        cx.changes.ledger.taken.retain(|taken| {
            let Some(limit) = self.limits.iter().find(|limit| limit.key.id() == taken.limit) else { return true };
            limit.meter.give_back(&self.store, limit.key_from(taken.key), now, taken.cost);
            false
        });
    }

    /// Takes the rest of a cost that the answer tells.
    pub fn charge(&self, cx: &RequestCx, answer: &dyn Headers) {
        let now = self.store.now(&cx.time);
        for limit in &self.limits {
            let Cost::Response(name, before) = &limit.cost else { continue };
            let Some(cost) = number(answer, name) else { continue };
            let taken = cx.changes.ledger.taken.iter().find(|taken| taken.limit == limit.key.id());
            if let (Some(taken), Some(rest)) = (taken, cost.checked_sub(*before)) {
                limit.meter.charge(&self.store, limit.key_from(taken.key), now, rest);
            }
        }
    }

    /// Whether the cost of some is known only from the answer.
    pub fn charges_afterwards(&self) -> bool {
        self.limits.iter().any(|limit| matches!(limit.cost, Cost::Response(..)))
    }

    /// All in one line.
    pub fn describe(&self) -> String {
        let limits: Vec<&str> = self.limits.iter().map(|limit| limit.text.as_str()).collect();
        limits.join(", ")
    }
}

impl Limit {
    /// Notes what the meter says of a request; the refusal, if it is one.
    fn settle(&self, place: u16, asked: Asked, ruling: Ruling, cx: &mut RequestCx) -> Option<Decision> {
        cx.note(|| format!("{}: {}", self.text, ruling.in_words()));
        let ledger = &mut cx.changes.ledger;
        match (ruling, self.mode) {
            (Ruling::Passes { .. }, _) => {
                ledger.decided.push((place, LimitDecision::Passed));
                ledger.taken.push(Taken { limit: self.key.id(), key: asked.key.bits(), cost: asked.cost });
                None
            }
            (Ruling::Refused { .. }, LimitMode::Shadow) => {
                ledger.decided.push((place, LimitDecision::Shadow));
                None
            }
            (Ruling::Refused { remaining, retry_in }, LimitMode::Enforce) => {
                ledger.decided.push((place, LimitDecision::Refused));
                // What others have left is more than was told: they get back what this request took.
                cx.changes.response.retain(|(name, _)| !fields::is_told(name));
                self.announced.tell(remaining, retry_in, &mut cx.changes.response);
                Some(self.refuse(retry_in))
            }
        }
    }

    pub(super) fn refuse(&self, wait: Ticks) -> Decision {
        let seconds = wait.seconds_up().clamp(1, LONGEST_WAIT);
        let (reason, what) = match self.meter {
            Meter::Rate { .. } => (Reason::RateLimited, "Over the limit"),
            Meter::Quota(_) => (Reason::QuotaExceeded, "Used up the quota"),
        };
        let detail = format!("{what} `{}`; try again in {seconds} s.", self.name);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Decision::reply(Reply::new(reason).detail(detail).retry_after(seconds).member("limit", &*self.name))
    }

    /// The key that `write` writes, as the meter counts it.
    pub(super) fn key_of(
        &self,
        store: &LimitStore,
        write: impl Fn(&super::key::Key, &mut dyn std::hash::Hasher),
    ) -> MeterKey {
        match self.meter {
            Meter::Rate { .. } => MeterKey::Rate(store.hash(|hasher| write(&self.key, hasher))),
            Meter::Quota(_) => MeterKey::Quota(store.lasting_hash(|hasher| write(&self.key, hasher))),
        }
    }

    /// The key that [`MeterKey::bits`] was made of.
    pub(super) fn key_from(&self, (first, second): (u64, u64)) -> MeterKey {
        match self.meter {
            Meter::Rate { .. } => MeterKey::Rate(super::table::KeyHash::new(first, second)),
            Meter::Quota(_) => MeterKey::Quota(first),
        }
    }

    /// What a caller of that name has left, where the limit counts callers and nothing else.
    pub(super) fn left_of(&self, store: &LimitStore, caller: &str, now: Now) -> Option<Ruling> {
        if !self.key.counts_callers() {
            return None;
        }
        let key = self.key_of(store, |key, hasher| key.write_for(hasher, caller));
        Some(self.meter.look(store, key, now, 0))
    }
}

impl MeterKey {
    pub(super) fn bits(self) -> (u64, u64) {
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
    pub(super) fn of_request(&self, request: &RequestView<'_>) -> u32 {
        match self {
            Self::Fixed(cost) | Self::Response(_, cost) => *cost,
            Self::Header(name, default) => number(request.headers, name).unwrap_or(*default),
        }
    }
}

/// What an answer tells of a cost beyond what the request was judged by.
pub(super) fn cost_told(cost: &Cost, answer: &dyn Headers) -> Option<u32> {
    let Cost::Response(name, before) = cost else { return None };
    number(answer, name)?.checked_sub(*before).filter(|rest| *rest > 0)
}

/// A whole number from 1 in a field.
fn number(headers: &dyn Headers, name: &HeaderName) -> Option<u32> {
    let text = std::str::from_utf8(headers.first(name)?).ok()?;
    text.trim().parse().ok().filter(|number| *number > 0)
}
