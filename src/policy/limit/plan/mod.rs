//! `plans:`: what each consumer that is on a plan may use, over all routes together.
//!
//! Stage: Limit. Hooks: on the head, on refusals, and on the answer where a cost is known only then. Counts are kept where
//! those of `limit:` are, shared by gateways as theirs are, and live on over a reload as theirs do; requests under way are
//! counted by consumer, so that a change of plan changes the bound and not the count. A plan's limits and the route's hold
//! together; `plan: off` takes a route out. Fails closed: a caller whose plan is not there is refused. Example:
//! `conf/plans.yaml`.

mod config;

pub use config::{PlanConfig, PlanQuotaConfig, PlanUse};

use super::group::Group;
use super::in_flight::MOST_IN_FLIGHT;
use super::key::LimitKey;
use super::share::Share;
use super::shared::SharedLimits;
use super::table::KeyHash;
use super::{Limit, LimitConfig, LimitStore, Scope, compile, is_sound_name, name_of, share_of};
use crate::observe::metrics::LimitDecision;
use crate::policy::{ChainBuilder, Decision, OnRefusal, OnRequest, OnResponse, Seen, Setup, Stage};
use crate::reply::{Reason, Reply};
use crate::request::{Held, Holder, Maker, RequestCx, RequestView, ResponseView};
use crate::value::{Named, Spanned};
use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

/// All plans of a configuration.
#[derive(Default)]
pub struct Plans {
    by_name: BTreeMap<Box<str>, Plan>,
}

/// A compiled plan.
pub(super) struct Plan {
    pub group: Group,
    /// Those that gateways share.
    pub shared: Option<SharedLimits>,
    /// How many requests of a consumer may be under way.
    pub most: Option<u32>,
    /// The place of its first counters among those of all plans.
    offset: u16,
}

impl Plans {
    /// Compiles what is written.
    pub fn compile(written: &Named<PlanConfig>, setup: &mut Setup<'_>) -> Self {
        let (mut by_name, mut offset) = (BTreeMap::new(), 0);
        for (name, config) in written.iter() {
            let plan = Plan::compile(name, config, offset, setup);
            offset += plan.counters();
            by_name.insert(name.value.as_str().into(), plan);
        }
        Self { by_name }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Makes the plans of callers hold on a route.
    pub fn attach(self: &Arc<Self>, route: &str, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let mut first = None;
        for (name, plan) in &self.by_name {
            for policy in plan.policies(name) {
                let place = chain.count_limit(setup.metrics.limit(route, &policy));
                first.get_or_insert(place);
            }
        }
        let hook = Arc::new(PlanLimits { plans: Arc::clone(self), counters: first.unwrap_or(0) });
        if self.by_name.values().any(Plan::charges_afterwards) {
            chain.on_response(Stage::Limit, Seen::Unwinding, Arc::clone(&hook) as _);
        }
        chain.on_refusal(Arc::clone(&hook) as _);
        chain.on_request(Stage::Limit, hook);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Plan> {
        self.by_name.get(name)
    }
}

impl Plan {
    fn compile(name: &Spanned<String>, written: &PlanConfig, offset: u16, setup: &mut Setup<'_>) -> Self {
        if !is_sound_name(&name.value) {
            setup.problems.error(name.place, "a plan's name is letters, digits, `-`, `_` and `.`");
        }
        if written.limit.is_empty() && written.quota.is_empty() && written.max_in_flight.is_none() {
            setup
                .problems
                .warn(name.place, format!("plan `{}` bounds nothing", name.value))
                .hint("write `limit: 100/s`, `quota: 1000000/month` or `max_in_flight: 20`");
        }
        if let Some(most) = written.max_in_flight.filter(|most| !(1..=MOST_IN_FLIGHT).contains(&most.value)) {
            setup.problems.error(most.place, format!("`max_in_flight` is from 1 to {MOST_IN_FLIGHT}"));
        }
        let level = format!("plan {}", name.value);
        let scope = Scope { level: &level, route: "", api: "", captures: &[] };
        let quotas: Vec<LimitConfig> = written.quota.iter().map(LimitConfig::from).collect();
        let quota_name = format!("{}-quota", name.value);
        let all = written.limit.iter().map(|limit| (limit, name.value.as_str()));
        let all = all.chain(quotas.iter().map(|quota| (quota, quota_name.as_str())));
        let (mut names, mut limits, mut shared) = (Vec::new(), Vec::new(), Vec::new());
        for (config, base) in all {
            let own = name_of(config, Some(base), &mut names, setup);
            let mut keys = vec![Spanned::nowhere(LimitKey::Consumer)];
            for key in config.per.iter() {
                match &key.value {
                    LimitKey::Route | LimitKey::Api | LimitKey::Capture(_) => {
                        setup
                            .problems
                            .error(key.place, format!("a plan holds on all routes, and cannot count by {}", key.value))
                            .hint("write this limit at the route or the api");
                    }
                    LimitKey::Consumer => {}
                    _ => keys.push(key.clone()),
                }
            }
            let Some(mut limit) = compile((config, &keys), (own, scope), &mut |_| None, setup) else { continue };
            match share_of(config, scope, &mut limit, setup) {
                Some(share) => shared.push((Arc::new(limit), share)),
                None => limits.push(Arc::new(limit)),
            }
        }
        let group = Group::new(setup.limits, limits);
        let shared = SharedLimits::new(shared, setup);
        Self { group, shared, most: written.max_in_flight.map(|most| most.value), offset }
    }

    /// Those that this gateway counts by itself, then those that gateways share.
    fn limits(&self) -> impl Iterator<Item = &Arc<Limit>> {
        let shared = self.shared.iter().flat_map(|shared| shared.limits.iter().map(|(limit, _)| limit));
        self.group.limits.iter().chain(shared)
    }

    /// The same, with how gateways share them.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&Limit, Option<&Share>)> {
        let shared = self.shared.iter().flat_map(|shared| shared.limits.iter());
        let own = self.group.limits.iter().map(|limit| (&**limit, None));
        own.chain(shared.map(|(limit, share)| (&**limit, Some(share))))
    }

    fn charges_afterwards(&self) -> bool {
        self.group.charges_afterwards() || self.shared.as_ref().is_some_and(SharedLimits::charges_afterwards)
    }

    /// The place of what bounds the requests under way, after so many limits.
    fn bounds_at(&self, counters: u16) -> u16 {
        counters.saturating_add(u16::try_from(self.limits().count()).unwrap_or(u16::MAX))
    }

    /// What its decisions are counted by, in the order of their counters.
    fn policies(&self, name: &str) -> Vec<String> {
        let limits = self.limits().map(|limit| limit.name.to_string());
        limits.chain(self.most.map(|_| format!("{name}-in-flight"))).collect()
    }

    fn counters(&self) -> u16 {
        self.bounds_at(u16::from(self.most.is_some()))
    }

    fn describe(&self) -> String {
        let own = Some(self.group.describe()).filter(|text| !text.is_empty());
        let shared = self.shared.as_ref().map(SharedLimits::describe);
        let mut text = own.into_iter().chain(shared).collect::<Vec<_>>().join(", ");
        if text.is_empty() && self.most.is_none() {
            return "no bounds".to_owned();
        }
        if let Some(most) = self.most {
            let comma = if text.is_empty() { "" } else { ", " };
            text.push_str(&format!("{comma}at most {most} in flight"));
        }
        text
    }

    /// Counts one more request under that key, the consumer's, as under way, if it may have one more.
    fn hold(&self, key: KeyHash, counters: u16, cx: &mut RequestCx) -> Decision {
        let Some(most) = self.most else { return Decision::Continue };
        let in_flight = self.group.store.in_flight();
        let passes = match cx.notes.is_some() {
            true => in_flight.count(key) < u64::from(most),
            false => in_flight.take(key, most),
        };
        cx.note(|| format!("{} of {most} in flight", in_flight.count(key)));
        let place = self.bounds_at(counters);
        let ledger = &mut cx.changes.ledger;
        if !passes {
            ledger.decided.push((place, LimitDecision::Refused));
            return Decision::reply(Reply::new(Reason::TooManyInFlight).retry_after(1).member("max_in_flight", most));
        }
        ledger.decided.push((place, LimitDecision::Passed));
        if cx.notes.is_none() {
            let holder: Arc<dyn Holder> = Arc::clone(in_flight) as _;
            ledger.held.push(Held::new(holder, (key.bucket, key.print)));
        }
        Decision::Continue
    }
}

/// What requests of a consumer that are under way are counted by.
pub(super) fn consumer_key(store: &LimitStore, consumer: &str) -> KeyHash {
    store.hash(|mut hasher| ("in flight", consumer).hash(&mut hasher))
}

/// The plans of callers, on one route.
struct PlanLimits {
    plans: Arc<Plans>,
    /// The place of the first plan's first counters in the route's chain.
    counters: u16,
}

impl PlanLimits {
    fn of(&self, cx: &RequestCx) -> Option<&Plan> {
        self.plans.get(cx.caller()?.consumer.as_ref()?.plan.as_ref()?)
    }
}

impl OnRequest for PlanLimits {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let Some(consumer) = cx.caller().and_then(|caller| caller.consumer.as_ref()) else { return Decision::Continue };
        let Some(name) = &consumer.plan else { return Decision::Continue };
        // Consumers of this configuration are on plans of this configuration; anything else is not to pass unbounded.
        let Some(plan) = self.plans.get(name) else { return Decision::reply(Reason::Internal) };
        let key = consumer_key(&plan.group.store, &consumer.id);
        if cx.notes.is_some() {
            let told = format!("{} is on plan {name}", consumer.id);
            cx.note(|| told);
        }
        let counters = self.counters.saturating_add(plan.offset);
        let own = match plan.hold(key, counters, cx) {
            Decision::Continue => plan.group.ask(counters, cx, request),
            refused => return refused,
        };
        let Some(shared) = plan.shared.as_ref().filter(|_| own.is_continue()) else { return own };
        let first = u16::try_from(plan.group.limits.len()).unwrap_or(u16::MAX);
        shared.decide(counters.saturating_add(first), cx, request)
    }

    fn describe(&self) -> String {
        let plans = self.plans.by_name.iter().map(|(name, plan)| format!("{name} ({})", plan.describe()));
        format!("plan of the caller: {}", plans.collect::<Vec<_>>().join("; "))
    }
}

impl OnRefusal for PlanLimits {
    fn on_refusal(&self, cx: &mut RequestCx) {
        if let Some(plan) = self.of(cx) {
            plan.group.give_back(cx);
            plan.shared.iter().for_each(|shared| shared.give_back(cx));
        }
    }
}

impl OnResponse for PlanLimits {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        if response.maker == Maker::Upstream
            && let Some(plan) = self.of(cx)
        {
            plan.group.charge(cx, response.headers);
            plan.shared.iter().for_each(|shared| shared.charge(cx, response.headers));
        }
    }
}
