//! The moments of a request at which limits decide that gateways share.
//!
//! What this gateway holds of a lease is taken at once. Where the store must be asked the request waits for it, for all of
//! its limits together and never longer than the store's timeout; then what is refused has cost nothing, as always.

use super::config::LimitMode;
use super::gcra::Ticks;
use super::group::cost_told;
use super::meter::{MeterKey, Ruling};
use super::share::{How, Share};
use super::store::{LimitStore, Now};
use super::{Cost, Limit, fields};
use crate::observe::metrics::{DecidedBy, LimitDecision};
use crate::policy::{Decision, Setup, Wait};
use crate::reply::{Reason, Reply};
use crate::request;
use crate::request::{Headers, RequestCx, RequestView};
use crate::shared_state::{Answer, Ask, Bearing, LeaseKey, OnStoreFailure, Source, Store, Taken};
use futures_util::future::join_all;
use smallvec::SmallVec;
use std::sync::Arc;

/// A limit and how it is shared.
pub(super) type SharedLimit = (Arc<Limit>, Share);

/// Limits that are shared and asked together: those of one stage of a route, or those of a plan.
#[derive(Clone)]
pub(super) struct SharedLimits {
    pub local: Arc<LimitStore>,
    pub store: Arc<Store>,
    pub limits: Arc<[SharedLimit]>,
}

/// What has become of one limit for one request.
struct Asked {
    cost: u32,
    lease: LeaseKey,
    outcome: Outcome,
}

enum Outcome {
    /// The store is to be asked for a lease.
    Short { source: Arc<Source>, bits: (u64, u64) },
    /// The store is to be asked.
    Open { ask: Ask, bits: (u64, u64) },
    /// Of a lease.
    Leased(Ruling, Option<(u64, u64)>),
    /// By the store; with what it was asked, to be undone where something else refuses.
    Stored(Ruling, Ask, (u64, u64)),
    /// By nobody: another limit of the request was refused first.
    Untouched,
    /// The store is out of reach.
    Failed,
}

type All = SmallVec<[Asked; 4]>;

impl SharedLimits {
    /// These; `None` where there are none.
    pub fn new(limits: Vec<SharedLimit>, setup: &Setup<'_>) -> Option<Self> {
        let store = limits.first().map(|(_, share)| Arc::clone(&share.store))?;
        Some(Self { local: Arc::clone(setup.limits), store, limits: limits.into() })
    }

    /// Takes what can be taken at once; whether the store must be asked for the rest.
    fn begin(&self, cx: &RequestCx, request: &RequestView<'_>) -> (All, bool) {
        let (mut all, mut waits, mut refused) = (All::new(), false, false);
        let unix = cx.time.unix_seconds();
        for (limit, share) in &*self.limits {
            let cost = limit.cost.of_request(request);
            let hash = self.local.hash(|hasher| limit.key.write(hasher, cx, request));
            let lease = (hash.bucket, hash.print);
            let reachable = self.store.is_reachable();
            let bits = || share.bits(&limit.key, cx, request);
            let outcome = match share.how {
                _ if refused => Outcome::Untouched,
                How::Leased(batch) => match self.store.take(lease, cx.time.started, cost) {
                    Taken::Short if !reachable => Outcome::Failed,
                    Taken::Short => {
                        let bits = bits();
                        Outcome::Short { source: share.source(bits, batch, unix), bits }
                    }
                    taken => {
                        // What an answer tells of the cost is counted under the shared key.
                        let key = matches!(limit.cost, Cost::Response(..)).then(bits);
                        Outcome::Leased(ruling_of(taken), key)
                    }
                },
                How::Exact if !reachable => Outcome::Failed,
                How::Exact => {
                    let (bits, cost) = (bits(), i64::from(cost));
                    let bearing = match limit.mode {
                        LimitMode::Enforce => Bearing::Together,
                        LimitMode::Shadow => Bearing::Alone,
                    };
                    let ask =
                        Ask { key: share.key(bits), measure: share.measure(unix), bearing, least: cost, most: cost };
                    Outcome::Open { ask, bits }
                }
            };
            waits |= matches!(outcome, Outcome::Short { .. } | Outcome::Open { .. });
            refused |=
                limit.mode == LimitMode::Enforce && matches!(outcome, Outcome::Leased(Ruling::Refused { .. }, _));
            all.push(Asked { cost, lease, outcome });
        }
        (all, waits && !refused)
    }

    /// Asks the store for what is still open: leases first, then all that is exact in one question.
    async fn ask(&self, all: &mut All) {
        let leases = all.iter_mut().map(|asked| async {
            if let Outcome::Short { source, bits } = &asked.outcome {
                let bits = Some(*bits);
                asked.outcome = match self.store.take_when_there(asked.lease, source, asked.cost).await {
                    Ok(taken) => Outcome::Leased(ruling_of(taken), bits),
                    Err(_) => Outcome::Failed,
                };
            }
        });
        join_all(leases).await;
        let refused = all.iter().zip(&*self.limits).any(|(asked, (limit, _))| {
            limit.mode == LimitMode::Enforce && matches!(asked.outcome, Outcome::Leased(Ruling::Refused { .. }, _))
        });
        let asks: Vec<Ask> = all.iter().filter_map(|asked| asked.outcome.question().cloned()).collect();
        if asks.is_empty() {
            return;
        }
        let decided = if refused { None } else { Some(self.store.decide(&asks).await) };
        let mut answers = decided.iter().flatten().flat_map(|decided| decided.answers.iter().copied());
        let taken = decided.iter().flatten().any(|decided| decided.taken);
        for asked in all.iter_mut() {
            let Outcome::Open { ask, bits } = &asked.outcome else { continue };
            asked.outcome = match (&decided, answers.next()) {
                (None, _) => Outcome::Untouched,
                (Some(Ok(_)), Some(answer)) if answer.granted > 0 && !taken && ask.bearing == Bearing::Together => {
                    Outcome::Untouched
                }
                (Some(Ok(_)), Some(answer)) => Outcome::Stored(ruling_of(answer.into()), ask.clone(), *bits),
                _ => Outcome::Failed,
            };
        }
    }

    /// Makes a decision of what has been said; limits that the store said nothing of are decided here.
    fn settle(&self, all: All, counters: u16, cx: &mut RequestCx, request: &RequestView<'_>) -> Decision {
        let now = self.local.now(&cx.time);
        let enforced = |limit: &Limit, ruling: Option<&Ruling>| {
            limit.mode == LimitMode::Enforce && matches!(ruling, Some(Ruling::Refused { .. }))
        };
        // Once somebody has refused, nothing more is taken.
        let mut doomed =
            all.iter().zip(&*self.limits).any(|(asked, (limit, _))| enforced(limit, asked.outcome.ruling()));
        let (mut refused, mut passed) = (None, SmallVec::<[Passed<'_>; 4]>::new());
        for ((place, asked), (limit, share)) in (counters..).zip(all).zip(&*self.limits) {
            let (cost, spread) = (asked.cost, asked.lease.0);
            let (ruling, undo) = match asked.outcome {
                Outcome::Leased(ruling, bits) => {
                    self.store.count(spread, DecidedBy::Lease);
                    (ruling, Undo::Lease(asked.lease, bits))
                }
                Outcome::Stored(ruling, ask, bits) => {
                    self.store.count(spread, DecidedBy::Store);
                    (ruling, Undo::Store(ask, bits))
                }
                Outcome::Failed if !doomed => match share.on_failure {
                    OnStoreFailure::Local => {
                        self.store.count(spread, DecidedBy::Local);
                        let key = limit.key_of(&self.local, |key, hasher| key.write(hasher, cx, request));
                        (limit.meter.take(&self.local, key, now, cost), Undo::Local(key))
                    }
                    OnStoreFailure::Open => {
                        self.store.count(spread, DecidedBy::Open);
                        continue;
                    }
                    OnStoreFailure::Closed => {
                        self.store.count(spread, DecidedBy::Closed);
                        if limit.mode == LimitMode::Enforce {
                            doomed = true;
                            refused = refused.or(Some(Refused::Unknown(limit)));
                        }
                        continue;
                    }
                },
                _ => continue,
            };
            match ruling {
                Ruling::Passes { remaining, resets_in } => {
                    cx.changes.ledger.decided.push((place, LimitDecision::Passed));
                    passed.push(Passed { limit, cost, undo, told: (remaining, resets_in) });
                }
                Ruling::Refused { remaining, retry_in } if limit.mode == LimitMode::Enforce => {
                    cx.changes.ledger.decided.push((place, LimitDecision::Refused));
                    doomed = true;
                    refused = refused.or(Some(Refused::Over(limit, remaining, retry_in)));
                }
                Ruling::Refused { .. } => cx.changes.ledger.decided.push((place, LimitDecision::Shadow)),
            }
        }
        if let Some(refused) = refused {
            self.undo(&passed, now);
            return refused.decision(cx);
        }
        passed.iter().for_each(|passed| passed.tell(cx));
        Decision::Continue
    }

    fn undo(&self, taken: &[Passed<'_>], now: Now) {
        for Passed { limit, cost, undo, .. } in taken {
            match undo {
                Undo::Lease(lease, _) => self.store.give_back(*lease, *cost),
                Undo::Store(ask, _) => self.store.tell(ask.forced(-i64::from(*cost))),
                Undo::Local(key) => limit.meter.give_back(&self.local, *key, now, *cost),
            }
        }
    }
}

/// A limit that let the request pass.
struct Passed<'a> {
    limit: &'a Limit,
    cost: u32,
    undo: Undo,
    /// What is left, and until all is there again.
    told: (u64, Ticks),
}

/// A limit that does not.
enum Refused<'a> {
    /// It is over it; with what is left and the wait.
    Over(&'a Limit, u64, Ticks),
    /// That cannot be told.
    Unknown(&'a Limit),
}

impl Refused<'_> {
    fn decision(self, cx: &mut RequestCx) -> Decision {
        match self {
            Self::Over(limit, remaining, retry_in) => {
                // What others have left is more than was told: they get back what this request took.
                cx.changes.response.retain(|(name, _)| !fields::is_told(name));
                limit.announced.tell(remaining, retry_in, &mut cx.changes.response);
                limit.refuse(retry_in)
            }
            Self::Unknown(limit) => {
                let detail = format!("Whether the limit `{}` lets this pass cannot be told.", limit.name);
                Decision::reply(Reply::new(Reason::LimitsUnavailable).detail(detail).retry_after(1))
            }
        }
    }
}

/// Where a request was counted.
enum Undo {
    Lease(LeaseKey, Option<(u64, u64)>),
    Store(Ask, (u64, u64)),
    Local(MeterKey),
}

impl Passed<'_> {
    fn tell(&self, cx: &mut RequestCx) {
        cx.changes.ledger.taken.push(self.taken());
        if self.limit.mode == LimitMode::Enforce {
            self.limit.announced.tell(self.told.0, self.told.1, &mut cx.changes.response);
        }
    }

    /// What is given back when something else refuses, and where a cost that is known only afterwards is counted.
    fn taken(&self) -> request::Taken {
        let (id, cost) = (self.limit.key.id(), self.cost);
        let (limit, key) = match &self.undo {
            Undo::Lease(_, Some(bits)) if matches!(self.limit.cost, Cost::Response(..)) => (in_store(id), *bits),
            Undo::Lease(lease, _) => (in_lease(id), *lease),
            Undo::Store(_, bits) => (in_store(id), *bits),
            Undo::Local(key) => (id, key.bits()),
        };
        request::Taken { limit, key, cost }
    }
}

/// Names a limit in the ledger where the store has counted.
fn in_store(id: u64) -> u64 {
    !id
}

/// Names a limit in the ledger where it was counted by a lease.
fn in_lease(id: u64) -> u64 {
    id.rotate_left(32) ^ 0x6C65_6173_6564_2121
}

impl Outcome {
    fn question(&self) -> Option<&Ask> {
        match self {
            Self::Open { ask, .. } => Some(ask),
            _ => None,
        }
    }

    fn ruling(&self) -> Option<&Ruling> {
        match self {
            Self::Leased(ruling, _) | Self::Stored(ruling, ..) => Some(ruling),
            _ => None,
        }
    }
}

fn ruling_of(taken: Taken) -> Ruling {
    match taken {
        Taken::Passes { remaining, resets_in } => {
            Ruling::Passes { remaining, resets_in: Ticks::from_duration(resets_in) }
        }
        Taken::Refused { remaining, retry_in } => {
            Ruling::Refused { remaining, retry_in: Ticks::from_duration(retry_in) }
        }
        // Never where it is asked for; refusing is the safe reading.
        Taken::Short => ruling_of(Answer::default().into()),
    }
}

impl SharedLimits {
    /// Asks them all, at once where this gateway can decide by itself, else by waiting for the store. `counters` is the
    /// place of the first one's counters in the route's chain.
    pub fn decide(&self, counters: u16, cx: &mut RequestCx, request: &RequestView<'_>) -> Decision {
        if cx.notes.is_some() {
            // An explanation counts nothing.
            for (limit, _) in &*self.limits {
                cx.note(|| format!("{}: what gateways have counted together decides", limit.text));
            }
            return Decision::Continue;
        }
        let (mut all, waits) = self.begin(cx, request);
        if !waits {
            return self.settle(all, counters, cx, request);
        }
        let limits = self.clone();
        Decision::Wait(Wait::new(async move {
            limits.ask(&mut all).await;
            Box::new(move |cx: &mut RequestCx, request: &mut RequestView<'_>| limits.settle(all, counters, cx, request))
                as _
        }))
    }

    /// Takes the rest of a cost that the answer tells.
    pub fn charge(&self, cx: &RequestCx, answer: &dyn Headers) {
        let now = self.local.now(&cx.time);
        for (limit, share) in &*self.limits {
            let Some(rest) = cost_told(&limit.cost, answer) else { continue };
            let id = limit.key.id();
            let all = &cx.changes.ledger.taken;
            match all.iter().find(|taken| taken.limit == id || taken.limit == in_store(id)) {
                Some(taken) if taken.limit == id => {
                    limit.meter.charge(&self.local, limit.key_from(taken.key), now, rest);
                }
                Some(taken) => self.store.tell(forced(share, taken.key, (cx.time.unix_seconds(), i64::from(rest)))),
                None => {}
            }
        }
    }

    /// Takes back what the request has taken of these limits.
    pub fn give_back(&self, cx: &mut RequestCx) {
        let (now, unix) = (self.local.now(&cx.time), cx.time.unix_seconds());
        cx.changes.ledger.taken.retain(|taken| {
            let ids = |limit: &Limit| [limit.key.id(), in_store(limit.key.id()), in_lease(limit.key.id())];
            let mine = self.limits.iter().find(|(limit, _)| ids(limit).contains(&taken.limit));
            let Some((limit, share)) = mine else { return true };
            let id = limit.key.id();
            if taken.limit == id {
                limit.meter.give_back(&self.local, limit.key_from(taken.key), now, taken.cost);
            } else if taken.limit == in_store(id) {
                self.store.tell(forced(share, taken.key, (unix, -i64::from(taken.cost))));
            } else {
                self.store.give_back(taken.key, taken.cost);
            }
            false
        });
    }

    /// Whether the cost of some is known only from the answer.
    pub fn charges_afterwards(&self) -> bool {
        self.limits.iter().any(|(limit, _)| matches!(limit.cost, Cost::Response(..)))
    }

    /// All in one line.
    pub fn describe(&self) -> String {
        let limits: Vec<&str> = self.limits.iter().map(|(limit, _)| limit.text.as_str()).collect();
        limits.join(", ")
    }
}

/// A count of the store, whatever is left.
fn forced(share: &Share, bits: (u64, u64), (unix, amount): (u64, i64)) -> Ask {
    Ask { key: share.key(bits), measure: share.measure(unix), bearing: Bearing::Forced, least: amount, most: amount }
}
