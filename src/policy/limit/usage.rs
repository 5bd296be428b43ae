//! What consumers have left: of their plan, and of the limits of routes that count callers.

use super::config::LimitMode;
use super::meter::{Meter, Ruling};
use super::plan::consumer_key;
use super::store::Now;
use super::{Limit, LimitStore, Plans};
use crate::consumer::Consumer;
use crate::request::Moment;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Knows all limits of a configuration that count callers.
pub struct Usage {
    store: Arc<LimitStore>,
    plans: Arc<Plans>,
    /// Those of routes; one that several routes share stands here once.
    limits: Box<[Arc<Limit>]>,
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
    /// Absent where it counts by more than the consumer, so that there is no one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resets_in_s: Option<u64>,
    enforced: bool,
}

impl Usage {
    /// Knows these plans and limits.
    pub fn new(store: Arc<LimitStore>, plans: Arc<Plans>, limits: Vec<Arc<Limit>>) -> Self {
        let mut known = HashSet::new();
        let limits = limits.into_iter().filter(|limit| limit.key.counts_callers() && known.insert(limit.key.id()));
        Self { store, plans, limits: limits.collect() }
    }

    /// What a consumer has left at that moment.
    pub fn of<'a>(&'a self, consumer: &'a Consumer, moment: &Moment) -> Left<'a> {
        let now = self.store.now(moment);
        let plan = consumer.plan.as_deref().and_then(|name| self.plans.get(name));
        let of_plan = plan.map_or(&[][..], |plan| &plan.group.limits);
        let limits = of_plan.iter().chain(&self.limits).map(|limit| self.left_of(limit, consumer, now));
        Left {
            consumer: &consumer.id,
            plan: consumer.plan.as_deref(),
            in_flight: self.store.in_flight().count(consumer_key(&self.store, &consumer.id)),
            max_in_flight: plan.and_then(|plan| plan.most),
            limits: limits.collect(),
        }
    }

    fn left_of<'a>(&self, limit: &'a Limit, consumer: &Consumer, now: Now) -> LeftOf<'a> {
        let (remaining, resets_in) = match limit.left_of(&self.store, &consumer.id, now) {
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
        }
    }
}
