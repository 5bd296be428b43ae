//! How gateways share a limit: written, and compiled.

use super::Scope;
use super::config::LimitConfig;
use super::key::{Key, LimitKey};
use super::zone::Zone;
use crate::observe::metrics::LeaseMetrics;
use crate::policy::Setup;
use crate::request::{RequestCx, RequestView};
use crate::shared_state::{Measure, Month, OnStoreFailure, Source, Store};
use crate::value::form::{short_form, with_short_form};
use crate::value::{Invalid, Place, Spanned, Window};
use aws_lc_rs::digest::{Context, SHA256};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::hash::Hasher;
use std::str::FromStr;
use std::sync::Arc;

/// What a gateway leases at a time where nothing is written: that part of what may pass at once, and at most so many.
const PART_OF_RATE: u64 = 10;
const PART_OF_QUOTA: u64 = 1_000;
const MOST_LEASED: u64 = 1_000;

/// How gateways with a `shared_state` share a limit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "ShareConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("`exact`, `leased` or `off`."))]
pub struct ShareConfig {
    /// Who decides.
    pub mode: ShareMode,
    /// What a gateway leases at a time, from 1. Default: a tenth of what may pass at once, at most 1000; of a quota a
    /// thousandth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
}

/// Who decides on a limit that gateways share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShareMode {
    /// The store, on each request. The default of quotas.
    Exact,
    /// Each gateway, of batches it leases from the store. The default of rates.
    Leased,
    /// Each gateway by its own count.
    Off,
}

impl FromStr for ShareConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mode = match text {
            "exact" => ShareMode::Exact,
            "leased" => ShareMode::Leased,
            "off" => ShareMode::Off,
            _ => {
                return Err(Invalid::new(format!("`{text}` is no way to share a limit"))
                    .hint("write `exact`, `leased`, `{ mode: leased, batch: 50 }` or `off`"));
            }
        };
        Ok(Self { mode, batch: None })
    }
}
short_form!(ShareConfig, "`exact`, `leased`, `off`, or a map with `mode`");

/// How a limit is shared.
pub(super) struct Share {
    pub store: Arc<Store>,
    pub how: How,
    pub on_failure: OnStoreFailure,
    measured: Measured,
    /// What the keys of the limit begin with in the store.
    name: Box<str>,
    /// Has taken in what is the same for every request.
    digest: Context,
    _published: Option<Arc<LeaseMetrics>>,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Exact,
    /// With the most a gateway holds.
    Leased(u32),
}

enum Measured {
    Always(Measure),
    Monthly { count: u64, zone: Zone },
}

/// What is known of a limit when it is decided how it is shared.
pub(super) struct Sharing<'a> {
    pub config: &'a LimitConfig,
    pub name: &'a str,
    pub scope: Scope<'a>,
    /// The most that may pass at once.
    pub at_once: u64,
    /// What a request costs.
    pub cost: u32,
    pub place: Place,
}

impl Share {
    /// Compiles how a limit is shared; `None` where it is not, or a problem was recorded.
    pub fn compile(limit: &Sharing<'_>, setup: &mut Setup<'_>) -> Option<Self> {
        let (config, written) = (limit.config, limit.config.share.as_ref());
        let Some(shared) = setup.shared else {
            let asked = written.filter(|share| share.mode != ShareMode::Off).map(|share| share.place);
            if let Some(place) = asked.or(config.on_store_failure.as_ref().map(|failure| failure.place)) {
                setup
                    .problems
                    .error(place, "there is nothing to share the limit through")
                    .hint("write `shared_state: { redis: redis://127.0.0.1:6379 }`");
            }
            return None;
        };
        let default = if config.rate.is_some() { ShareMode::Leased } else { ShareMode::Exact };
        let how = match (written.map_or(default, |share| share.mode), written.and_then(|share| share.batch)) {
            (ShareMode::Leased, batch) => How::Leased(self::batch(limit, batch, setup)?),
            (_, Some(_)) => {
                let place = written.map_or(limit.place, |share| share.place);
                setup.problems.error(place, "only what is `leased` has a `batch`");
                return None;
            }
            (ShareMode::Exact, None) => How::Exact,
            (ShareMode::Off, None) => return None,
        };
        let store = shared.store();
        let published = match how {
            How::Leased(batch) => Some(setup.metrics.lease(limit.scope.level, limit.name, batch.into())),
            How::Exact => None,
        };
        Some(Self {
            how,
            on_failure: config.on_store_failure.as_ref().map_or(store.on_store_failure(), |failure| failure.value),
            measured: measured(config)?,
            name: format!("limit:{}:", limit.name).into(),
            digest: identity(limit),
            store: Arc::clone(store),
            _published: published,
        })
    }

    /// In words, for `explain`.
    pub fn describe(&self) -> String {
        let how = match self.how {
            How::Exact => "shared exactly".to_owned(),
            How::Leased(batch) => format!("shared, leased by {batch}"),
        };
        let failing = match self.on_failure {
            OnStoreFailure::Local => "local",
            OnStoreFailure::Open => "open",
            OnStoreFailure::Closed => "closed",
        };
        format!("{how}, {failing} without the store")
    }

    /// The key of a request: the same in every gateway, and after every restart.
    pub fn bits(&self, key: &Key, cx: &RequestCx, request: &RequestView<'_>) -> (u64, u64) {
        self.digested(|hasher| key.write_parts(hasher, cx, request))
    }

    /// The key of a caller of that name, where the limit counts callers and nothing else.
    pub fn bits_of(&self, caller: &str) -> (u64, u64) {
        self.digested(|hasher| Key::write_parts_for(hasher, caller))
    }

    fn digested(&self, write: impl FnOnce(&mut dyn Hasher)) -> (u64, u64) {
        let mut written = Digesting(self.digest.clone());
        write(&mut written);
        let digest = written.0.finish();
        let half = |at: usize| {
            let bytes = digest.as_ref().get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        (half(0), half(8))
    }

    /// The name of that key in the store.
    pub fn key(&self, (first, second): (u64, u64)) -> String {
        format!("{}{first:016x}{second:016x}", self.name)
    }

    /// What measures the limit at that moment.
    pub fn measure(&self, unix_seconds: u64) -> Measure {
        match &self.measured {
            Measured::Always(measure) => measure.clone(),
            Measured::Monthly { count, zone } => {
                let (number, begins, ends) = zone.month(unix_seconds);
                let (_, _, next_ends) = zone.month(ends);
                Measure::Month { count: *count, month: Month { number, begins, ends, next_ends } }
            }
        }
    }

    /// What is leased under that key.
    pub fn source(&self, bits: (u64, u64), batch: u32, unix_seconds: u64) -> Arc<Source> {
        Arc::new(Source { key: self.key(bits), measure: self.measure(unix_seconds), batch })
    }
}

fn batch(limit: &Sharing<'_>, written: Option<u32>, setup: &mut Setup<'_>) -> Option<u32> {
    let (at_once, least) = (limit.at_once, limit.cost.max(1));
    let part = if limit.config.rate.is_some() { PART_OF_RATE } else { PART_OF_QUOTA };
    let Some(batch) = written else {
        let batch = (at_once / part).clamp(1, MOST_LEASED).max(least.into());
        return u32::try_from(batch).ok();
    };
    if batch < least || u64::from(batch) > at_once {
        let place = limit.config.share.as_ref().map_or(limit.place, |share| share.place);
        setup.problems.error(
            place,
            format!("`batch` is from {least}, what a request costs, to {at_once}, what may pass at once"),
        );
        return None;
    }
    Some(batch)
}

fn measured(config: &LimitConfig) -> Option<Measured> {
    match (&config.rate, &config.quota) {
        (Some(rate), _) => {
            let period = rate.value.period.get().as_secs_f64() * 1e6;
            let interval = period / f64::from(rate.value.count.max(1));
            Some(Measured::Always(Measure::Rate { interval, depth: interval * f64::from(rate.value.burst()) }))
        }
        (None, Some(quota)) => Some(match quota.value.window {
            Window::Month => Measured::Monthly { count: quota.value.count, zone: config.zone.unwrap_or_default() },
            Window::Sliding(period) => {
                let length = u64::try_from(period.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
                Measured::Always(Measure::Sliding { count: quota.value.count, length })
            }
        }),
        (None, None) => None,
    }
}

/// What names the limit, digested: where it is written, its name, its rate or window, and what it counts by. How much a
/// quota allows is no part of it: one that is raised goes on from what was used.
fn identity(limit: &Sharing<'_>) -> Context {
    let mut context = Context::new(&SHA256);
    let mut take = |text: &str| {
        context.update(text.as_bytes());
        context.update(&[0]);
    };
    take(limit.scope.level);
    take(limit.name);
    match (&limit.config.rate, &limit.config.quota) {
        (Some(rate), _) => take(&rate.value.to_string()),
        (None, Some(quota)) => match quota.value.window {
            Window::Month => take(&format!("month {}", limit.config.zone.unwrap_or_default())),
            Window::Sliding(period) => take(&period.to_string()),
        },
        (None, None) => {}
    }
    for key in &limit.config.per {
        take(&key.value.to_string());
        match key.value {
            LimitKey::Route => [limit.scope.api, limit.scope.route].into_iter().for_each(&mut take),
            LimitKey::Api => take(limit.scope.api),
            _ => {}
        }
    }
    context
}

/// A hasher that digests.
struct Digesting(Context);

impl Hasher for Digesting {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0 // never asked: the digest is
    }
}

/// Where `on_store_failure` is written on a limit.
pub type LimitFailure = Spanned<OnStoreFailure>;
