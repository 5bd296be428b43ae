//! `limit:`: how much may pass in a time.
//!
//! Stage: LimitByClient for limits that need no caller, Limit for those that do. Hooks: on the head; on the answer where
//! its cost is known only then. Counts are kept in the gateway's [`LimitStore`], which outlives snapshots: a limit that
//! means the same after a reload (where it stands, its name, rate and keys) goes on counting. What is refused costs
//! nothing: of several limits of a stage those that let the request pass get back what it took. Fails closed: keys beyond
//! the store's room are counted too high rather than too low. Example: `conf/rates.yaml`.

mod config;
mod fields;
mod gcra;
mod group;
mod guard;
mod hooks;
mod in_flight;
mod key;
mod meter;
mod plan;
#[cfg(test)]
mod precision;
mod quota;
mod seats;
mod share;
mod shared;
mod sketch;
mod state;
mod store;
mod table;
mod usage;
mod zone;

pub use config::{CostConfig, LimitConfig, LimitHeaders, LimitMode};
pub use guard::Guard;
pub use key::LimitKey;
pub use plan::{PlanConfig, PlanQuotaConfig, PlanUse, Plans};
pub use seats::Seats;
pub use share::{LimitFailure, ShareConfig, ShareMode};
pub use state::{Keeper, StateFolder};
pub use store::{LimitStore, MAX_KEYS};
pub use usage::Usage;

use super::{ChainBuilder, Seen, Setup, Stage};
use crate::value::{Place, Spanned, suggest};
use fields::{Amount, Announced};
use gcra::Bucket;
use group::Group;
use hooks::{Bound, Limits, SharedHook};
use http::HeaderName;
use in_flight::MOST_IN_FLIGHT;
use key::{Key, Part};
use meter::Meter;
use quota::Counter;
use share::{Share, Sharing};
use shared::SharedLimits;
use std::sync::Arc;

/// Where a limit is written and for which route it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The level: all requests through it share the limit's counts.
    pub level: &'a str,
    /// The route.
    pub route: &'a str,
    /// Its api; empty for none.
    pub api: &'a str,
    /// The captures of its pattern, in order.
    pub captures: &'a [Box<str>],
}

/// One compiled limit.
pub struct Limit {
    name: Box<str>,
    meter: Meter,
    key: Key,
    cost: Cost,
    mode: LimitMode,
    announced: Announced,
    amount: Amount,
    /// Where it is written.
    level: Box<str>,
    /// As written, for `explain`.
    text: String,
}

/// How many a request counts for.
enum Cost {
    Fixed(u32),
    /// The request's field, else that many.
    Header(HeaderName, u32),
    /// That many now; the rest by the response's field.
    Response(HeaderName, u32),
}

/// The limits of a route, for whoever tells of them.
#[derive(Default)]
pub struct Attached {
    own: Vec<Arc<Limit>>,
    shared: Vec<SharedLimits>,
}

impl Attached {
    /// Takes in those of another route.
    pub fn extend(&mut self, other: Attached) {
        self.own.extend(other.own);
        self.shared.extend(other.shared);
    }
}

/// Compiles the limits of a route and adds their hooks; gives them back for whoever tells of them.
pub fn attach(written: &[LimitConfig], scope: Scope<'_>, chain: &mut ChainBuilder, setup: &mut Setup<'_>) -> Attached {
    let mut names: Vec<String> = Vec::new();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    let (mut shared_early, mut shared_late) = (Vec::new(), Vec::new());
    for config in written {
        let name = name_of(config, None, &mut names, setup);
        let mut place = |capture: &str| scope.captures.iter().position(|known| **known == *capture);
        let Some(mut limit) = compile((config, &config.per), (name, scope), &mut place, setup) else { continue };
        let needs_caller = config.per.iter().any(|key| key.needs_caller());
        let share = share_of(config, scope, &mut limit, setup);
        let limit = Arc::new(limit);
        match (share, needs_caller) {
            (Some(share), true) => shared_late.push((limit, share)),
            (Some(share), false) => shared_early.push((limit, share)),
            (None, true) => late.push(limit),
            (None, false) => early.push(limit),
        }
    }
    if written.iter().flat_map(|config| config.per.iter()).any(|key| matches!(key.value, LimitKey::Capture(_))) {
        chain.remember_what_was_asked();
    }
    let own = early.iter().chain(&late).cloned().collect();
    let shared = [(Stage::LimitByClient, shared_early), (Stage::Limit, shared_late)];
    let shared = shared.into_iter().filter_map(|(stage, limits)| {
        let limits = SharedLimits::new(limits, setup)?;
        attach_shared(stage, limits.clone(), scope.route, (chain, setup));
        Some(limits)
    });
    let shared = shared.collect();
    for (stage, limits) in [(Stage::LimitByClient, early), (Stage::Limit, late)] {
        let mut counters = limits.iter().map(|limit| chain.count_limit(setup.metrics.limit(scope.route, &limit.name)));
        let Some(first) = counters.next() else { continue };
        counters.for_each(drop);
        let group = Group::new(setup.limits, limits);
        let charges = group.charges_afterwards();
        let hook = Arc::new(Limits { group, counters: first });
        if charges {
            chain.on_response(stage, Seen::Unwinding, Arc::clone(&hook) as _);
        }
        chain.on_refusal(Arc::clone(&hook) as _);
        chain.on_request(stage, hook);
    }
    Attached { own, shared }
}

/// Adds the hooks of limits that gateways share.
fn attach_shared(stage: Stage, limits: SharedLimits, route: &str, (chain, setup): (&mut ChainBuilder, &Setup<'_>)) {
    let names = limits.limits.iter().map(|(limit, _)| &limit.name);
    let mut counters = names.map(|name| chain.count_limit(setup.metrics.limit(route, name)));
    let Some(first) = counters.next() else { return };
    counters.for_each(drop);
    let charges = limits.charges_afterwards();
    let hook = Arc::new(SharedHook { limits, counters: first });
    if charges {
        chain.on_response(stage, Seen::Unwinding, Arc::clone(&hook) as _);
    }
    chain.on_refusal(Arc::clone(&hook) as _);
    chain.on_request(stage, hook);
}

/// How gateways share a limit, which is then told of it; `None` where they do not.
fn share_of(config: &LimitConfig, scope: Scope<'_>, limit: &mut Limit, setup: &mut Setup<'_>) -> Option<Share> {
    let (Cost::Fixed(cost) | Cost::Header(_, cost) | Cost::Response(_, cost)) = &limit.cost;
    let place = config.rate.as_ref().map(|rate| rate.place).or(config.quota.as_ref().map(|quota| quota.place));
    let sharing = Sharing {
        config,
        name: &limit.name,
        scope,
        at_once: limit.amount.at_once,
        cost: *cost,
        place: place.unwrap_or(Place::NOWHERE),
    };
    let share = Share::compile(&sharing, setup)?;
    limit.text.push_str(&format!(" ({})", share.describe()));
    Some(share)
}

/// Bounds the requests under way through the level it is written at.
pub fn bound(most: Spanned<u32>, scope: Scope<'_>, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
    if !(1..=MOST_IN_FLIGHT).contains(&most.value) {
        setup
            .problems
            .error(most.place, format!("`max_in_flight` is from 1 to {MOST_IN_FLIGHT}"))
            .hint("write `off` for no bound");
    }
    let counters = chain.count_limit(setup.metrics.limit(scope.route, "max_in_flight"));
    let level = setup.limits.level(scope.level);
    let written = scope.level.to_owned();
    chain.on_request(Stage::Limit, Arc::new(Bound { level, most: most.value, written, counters }));
}

/// Whether a name may stand in headers and labels as it is.
fn is_sound_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Its name: as written, else `base`, else what it counts by; told apart by a number where that is taken.
fn name_of(config: &LimitConfig, base: Option<&str>, taken: &mut Vec<String>, setup: &mut Setup<'_>) -> String {
    let name = match &config.name {
        Some(name) => {
            if !is_sound_name(name) {
                setup.problems.error(name.place, "a limit's name is letters, digits, `-`, `_` and `.`");
            }
            if taken.contains(&name.value) {
                setup.problems.error(name.place, format!("there are two limits `{}`", name.value));
            }
            name.value.clone()
        }
        None => {
            let keys: Vec<String> = config.per.iter().map(|key| key.value.to_string().replace(' ', "-")).collect();
            let base = match base {
                Some(base) => base.to_owned(),
                None if keys.is_empty() => "all".to_owned(),
                None => keys.join("-"),
            };
            let free = (1..).map(|number| if number == 1 { base.clone() } else { format!("{base}-{number}") });
            free.into_iter().find(|name| !taken.contains(name)).unwrap_or(base)
        }
    };
    taken.push(name.clone());
    name
}

fn compile(
    (config, per): (&LimitConfig, &[Spanned<LimitKey>]),
    (name, scope): (String, Scope<'_>),
    capture: &mut dyn FnMut(&str) -> Option<usize>,
    setup: &mut Setup<'_>,
) -> Option<Limit> {
    let cost = cost(config, setup)?;
    let (meter, amount, written) = measure(config, setup)?;
    let (Cost::Fixed(least) | Cost::Header(_, least) | Cost::Response(_, least)) = &cost;
    if u64::from(*least) > amount.at_once {
        let most = amount.at_once;
        setup
            .problems
            .error(written.place, format!("a request costs {least}, and never more than {most} may pass at once"))
            .hint("raise `burst`, or lower `cost`");
    }
    let mut parts = Vec::new();
    for key in per {
        match Part::new(&key.value, capture) {
            Ok(part) => parts.push(part),
            Err(name) => no_capture(&name, key.place, scope, setup),
        }
    }
    let mut text = format!("{name}: {}", written.value);
    if !per.is_empty() {
        let keys: Vec<String> = per.iter().map(|key| key.value.to_string()).collect();
        text.push_str(&format!(" per {}", keys.join(" and ")));
    }
    if config.mode == LimitMode::Shadow {
        text.push_str(" (shadow)");
    }
    let identity = [scope.level, &name, &written.value];
    Some(Limit {
        meter,
        key: Key::new(setup.limits, &identity, parts, (scope.route, scope.api)),
        cost,
        mode: config.mode,
        announced: Announced::new(&name, amount, config.headers),
        amount,
        level: scope.level.into(),
        name: name.into(),
        text,
    })
}

fn no_capture(name: &str, place: Place, scope: Scope<'_>, setup: &mut Setup<'_>) {
    let hint = match suggest(name, scope.captures.iter().map(|known| &**known)) {
        Some(near) => format!("did you mean `capture {near}`?"),
        None => format!("write it into the pattern, as in `/orders/{{{name}}}`"),
    };
    setup.problems.error(place, format!("route `{}` has no capture `{name}`", scope.route)).hint(hint);
}

/// What measures a limit, how much that is, and how it is written.
fn measure(config: &LimitConfig, setup: &mut Setup<'_>) -> Option<(Meter, Amount, Spanned<String>)> {
    match (&config.rate, &config.quota) {
        (Some(rate), None) => {
            if config.zone.is_some() {
                setup.problems.error(rate.place, "only a quota counts months, so only a quota has a `zone`");
            }
            let bucket = Bucket::new(&rate.value);
            let meter = Meter::Rate { bucket, overflow: setup.limits.overflow(bucket) };
            Some((meter, (&rate.value).into(), Spanned::new(rate.value.to_string(), rate.place)))
        }
        (None, Some(quota)) => {
            let meter = Meter::Quota(Counter::new(&quota.value, config.zone.unwrap_or_default()));
            Some((meter, (&quota.value).into(), Spanned::new(quota.value.to_string(), quota.place)))
        }
        (Some(_), Some(quota)) => {
            setup.problems.error(quota.place, "a limit has a `rate` or a `quota`, not both").hint("write two limits");
            None
        }
        (None, None) => {
            let place = config.per.iter().map(|key| key.place).next().unwrap_or(Place::NOWHERE);
            setup.problems.error(place, "the limit says neither `rate` nor `quota`").hint("write `rate: 100/s`");
            None
        }
    }
}

fn cost(config: &LimitConfig, setup: &mut Setup<'_>) -> Option<Cost> {
    let Some(cost) = &config.cost else { return Some(Cost::Fixed(1)) };
    let mut field = |name: &Spanned<String>| {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        if parsed.is_err() {
            setup.problems.error(name.place, "this is not the name of a header");
        }
        parsed.ok()
    };
    match (&cost.header, &cost.response_header) {
        (None, None) => Some(Cost::Fixed(cost.default)),
        (Some(name), None) => Some(Cost::Header(field(name)?, cost.default)),
        (None, Some(name)) => Some(Cost::Response(field(name)?, cost.default)),
        (Some(_), Some(second)) => {
            setup
                .problems
                .error(second.place, "a cost is in the request's `header` or in the `response_header`, not both");
            None
        }
    }
}
