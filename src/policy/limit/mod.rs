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
mod hooks;
mod key;
mod meter;
mod quota;
mod sketch;
mod store;
mod table;
mod zone;

pub use config::{CostConfig, LimitConfig, LimitHeaders, LimitMode};
pub use key::LimitKey;
pub use store::{LimitStore, MAX_KEYS};

use super::{ChainBuilder, Seen, Setup, Stage};
use crate::value::{Place, Spanned};
use fields::{Amount, Announced};
use gcra::Bucket;
use hooks::{ChargeAfterwards, Limits};
use http::HeaderName;
use key::Key;
use meter::Meter;
use quota::Counter;
use std::sync::Arc;
use store::Overflow;

/// Where a limit is written and for which route it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The level: all requests through it share the limit's counts.
    pub level: &'a str,
    /// The route.
    pub route: &'a str,
    /// Its api; empty for none.
    pub api: &'a str,
}

/// One compiled limit.
struct Limit {
    name: Box<str>,
    meter: Meter,
    key: Key,
    cost: Cost,
    mode: LimitMode,
    announced: Announced,
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

/// Compiles the limits of a route and adds their hooks.
pub fn attach(written: &[LimitConfig], scope: Scope<'_>, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
    let mut names: Vec<String> = Vec::new();
    let (mut early, mut late) = (Vec::new(), Vec::new());
    for config in written {
        let name = name(config, &mut names, setup);
        let Some(limit) = compile(config, name, scope, setup) else { continue };
        let needs_caller = config.per.iter().any(|key| key.needs_caller());
        if needs_caller { late.push(limit) } else { early.push(limit) }
    }
    for (stage, limits) in [(Stage::LimitByClient, early), (Stage::Limit, late)] {
        if limits.is_empty() {
            continue;
        }
        let limits: Arc<[Limit]> = limits.into();
        let store = Arc::clone(setup.limits);
        if limits.iter().any(|limit| matches!(limit.cost, Cost::Response(..))) {
            let charge = ChargeAfterwards { store: Arc::clone(&store), limits: Arc::clone(&limits) };
            chain.on_response(stage, Seen::Unwinding, Arc::new(charge));
        }
        chain.on_request(stage, Arc::new(Limits { store, limits }));
    }
}

/// Its name: as written, else what it counts by; told apart by a number where that is taken.
fn name(config: &LimitConfig, taken: &mut Vec<String>, setup: &mut Setup<'_>) -> String {
    let name = match &config.name {
        Some(name) => {
            let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(sound) {
                setup.problems.error(name.place, "a limit's name is letters, digits, `-`, `_` and `.`");
            }
            if taken.contains(&name.value) {
                setup.problems.error(name.place, format!("there are two limits `{}`", name.value));
            }
            name.value.clone()
        }
        None => {
            let keys: Vec<String> = config.per.iter().map(|key| key.value.to_string().replace(' ', "-")).collect();
            let base = if keys.is_empty() { "all".to_owned() } else { keys.join("-") };
            let free = (1..).map(|number| if number == 1 { base.clone() } else { format!("{base}-{number}") });
            free.into_iter().find(|name| !taken.contains(name)).unwrap_or(base)
        }
    };
    taken.push(name.clone());
    name
}

fn compile(config: &LimitConfig, name: String, scope: Scope<'_>, setup: &mut Setup<'_>) -> Option<Limit> {
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
    let keys: Vec<LimitKey> = config.per.iter().map(|key| key.value.clone()).collect();
    let identity = [scope.level, &name, &written.value];
    let mut text = format!("{name}: {}", written.value);
    if !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        text.push_str(&format!(" per {}", keys.join(" and ")));
    }
    if config.mode == LimitMode::Shadow {
        text.push_str(" (shadow)");
    }
    Some(Limit {
        meter,
        key: Key::new(setup.limits, &identity, &keys, (scope.route, scope.api)),
        cost,
        mode: config.mode,
        announced: Announced::new(&name, amount, config.headers),
        name: name.into(),
        text,
    })
}

/// What measures a limit, how much that is, and how it is written.
fn measure(config: &LimitConfig, setup: &mut Setup<'_>) -> Option<(Meter, Amount, Spanned<String>)> {
    match (&config.rate, &config.quota) {
        (Some(rate), None) => {
            if config.zone.is_some() {
                setup.problems.error(rate.place, "only a quota counts months, so only a quota has a `zone`");
            }
            let meter = Meter::Rate { bucket: Bucket::new(&rate.value), overflow: Overflow::default() };
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
