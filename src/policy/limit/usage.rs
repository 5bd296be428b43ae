//! What consumers have left: of their plan, and of the limits of routes that count callers.

use super::config::LimitMode;
use super::meter::{Meter, Ruling};
use super::plan::consumer_key;
use super::share::{How, Share};
use super::shared::SharedLimits;
use super::store::Now;
use super::{Attached, Limit, LimitStore, Plans};
use crate::consumer::Consumer;
use crate::request::Moment;
use crate::shared_state::{Answer, Ask, OnStoreFailure, Store};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Knows all limits of a configuration that count callers.
pub struct Usage {
    store: Arc<LimitStore>,
    plans: Arc<Plans>,
    /// Those of routes; one that several routes share stands here once.
    limits: Box<[Arc<Limit>]>,
    /// Those of routes that gateways share, each by its place among them.
    shared: Box<[(SharedLimits, usize)]>,
}

/// What a consumer has left.
#[derive(Debug, Serialize)]
pub struct Left<'a> {
    consumer: &'a str,
    plan: Option<&'a str>,
    in_flight: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_in_flight: Option<u32>,
    limits: Vec<LeftOf<'a>>,
}

/// What is left of one limit.
#[derive(Debug, Serialize)]
struct LeftOf<'a> {
    name: &'a str,
    /// Where it is written.
    of: &'a str,
    kind: &'static str,
    /// So many in `window_s`.
    limit: u64,
    window_s: u64,
    /// Absent where it counts by more than the consumer, so that there is no one answer, or nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_in_s: Option<u64>,
    enforced: bool,
    /// How gateways share it: exact or leased.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared: Option<&'static str>,
    /// Who has counted what is told of a shared limit: the store, or this gateway, since the store is out of reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_by: Option<&'static str>,
}

/// A limit, and how it is shared.
type Counted<'a> = (&'a Limit, Option<&'a Share>);

impl Usage {
    /// Knows these plans, and the limits of routes.
    pub fn new(store: Arc<LimitStore>, plans: Arc<Plans>, all: Attached) -> Self {
        let mut known = HashSet::new();
        let mut is_new = |limit: &Limit| limit.key.counts_callers() && known.insert(limit.key.id());
        let limits = all.own.into_iter().filter(|limit| is_new(limit)).collect();
        let places = |limits: SharedLimits| (0..limits.limits.len()).map(move |place| (limits.clone(), place));
        let shared = all.shared.into_iter().flat_map(places);
        let shared = shared.filter(|(all, place)| all.limits.get(*place).is_some_and(|(limit, _)| is_new(limit)));
        Self { store, plans, limits, shared: shared.collect() }
    }

    /// What a consumer has left at that moment; the store is asked for what gateways share.
    pub async fn of<'a>(&'a self, consumer: &'a Consumer, moment: &Moment) -> Left<'a> {
        let now = self.store.now(moment);
        let plan = consumer.plan.as_deref().and_then(|name| self.plans.get(name));
        let limits: Vec<Counted<'a>> = plan
            .into_iter()
            .flat_map(|plan| plan.counted())
            .chain(self.limits.iter().map(|limit| (&**limit, None)))
            .chain(
                self.shared
                    .iter()
                    .filter_map(|(all, place)| all.limits.get(*place).map(|(limit, share)| (&**limit, Some(share)))),
            )
            .collect();
        let mut told = told_by_store(&limits, &consumer.id, now.unix).await.into_iter();
        let left = limits.iter().map(|counted| {
            let answer = counted.1.filter(|_| counted.0.key.counts_callers()).and_then(|_| told.next().flatten());
            self.left_of(*counted, consumer, now, answer)
        });
        Left {
            consumer: &consumer.id,
            plan: consumer.plan.as_deref(),
            in_flight: self.store.in_flight().count(consumer_key(&self.store, &consumer.id)),
            max_in_flight: plan.and_then(|plan| plan.most),
            limits: left.collect(),
        }
    }

    fn left_of<'a>(
        &self,
        (limit, share): Counted<'a>,
        consumer: &Consumer,
        now: Now,
        told: Option<Answer>,
    ) -> LeftOf<'a> {
        let own = || limit.left_of(&self.store, &consumer.id, now);
        let (ruling, counted_by) = match (share, told) {
            (None, _) => (own(), None),
            (Some(share), Some(answer)) => {
                // What this gateway has leased is still to be had.
                let lease = self.store.hash(|hasher| limit.key.write_for(hasher, &consumer.id));
                let unused = share.store.unused((lease.bucket, lease.print));
                let (remaining, resets_in) = (answer.remaining.saturating_add(unused.into()), answer.wait);
                let resets_in = super::gcra::Ticks::from_duration(resets_in);
                (Some(Ruling::Passes { remaining, resets_in }), Some("store"))
            }
            (Some(share), None) => match own().filter(|_| share.on_failure == OnStoreFailure::Local) {
                Some(ruling) => (Some(ruling), Some("gateway")),
                None => (None, None),
            },
        };
        let (remaining, resets_in) = match ruling {
            Some(Ruling::Passes { remaining, resets_in }) => (Some(remaining), Some(resets_in)),
            Some(Ruling::Refused { remaining, retry_in }) => (Some(remaining), Some(retry_in)),
            None => (None, None),
        };
        LeftOf {
            name: &limit.name,
            of: &limit.level,
            kind: match limit.meter {
                Meter::Rate { .. } => "rate",
                Meter::Quota(_) => "quota",
            },
            limit: limit.amount.count,
            window_s: limit.amount.window,
            remaining,
            resets_in_s: resets_in.map(super::gcra::Ticks::seconds_up),
            enforced: limit.mode == LimitMode::Enforce,
            shared: share.map(|share| match share.how {
                How::Exact => "exact",
                How::Leased(_) => "leased",
            }),
            counted_by,
        }
    }
}

/// What the store says of the shared ones among these limits that count callers, in their order.
async fn told_by_store(limits: &[Counted<'_>], caller: &str, unix: u64) -> Vec<Option<Answer>> {
    let shared = limits.iter().filter(|(limit, _)| limit.key.counts_callers()).filter_map(|(_, share)| *share);
    let shared: Vec<&Share> = shared.collect();
    let Some(store) = shared.first().map(|share| Arc::<Store>::clone(&share.store)) else { return Vec::new() };
    let asks: Vec<Ask> =
        shared.iter().map(|share| Ask::look(share.key(share.bits_of(caller)), share.measure(unix))).collect();
    match store.decide(&asks).await {
        Ok(decided) => decided.answers.into_iter().map(Some).collect(),
        Err(_) => vec![None; asks.len()],
    }
}
