//! Plans as they are written.

use crate::policy::limit::{CostConfig, LimitConfig, LimitFailure, LimitHeaders, LimitMode, ShareConfig, zone::Zone};
use crate::value::form::{short_form, with_short_form};
use crate::value::{Invalid, OneOrMany, Quota, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What each consumer that is on the plan may use, over all routes together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanConfig {
    /// How much may pass: `1000/s burst 2000`. What stands in `per` is counted by beside the consumer.
    pub limit: OneOrMany<LimitConfig>,
    /// How much in a long time: `1000000/month`, `5000/day`.
    pub quota: OneOrMany<PlanQuotaConfig>,
    /// How many requests may be under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<Spanned<u32>>,
}

/// A quota of a plan.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "PlanQuotaConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("`1000000/month`, `5000/day`."))]
pub struct PlanQuotaConfig {
    /// How much, and in what time.
    pub amount: Spanned<Quota>,
    /// The offset from UTC in which months begin. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Its name in headers and metrics. Default: the plan's, and `-quota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Spanned<String>>,
    /// How many a request counts for: a number, or the header that says it. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spanned<CostConfig>>,
    /// Whether requests over it are refused, or only counted. Default enforce.
    #[serde(default)]
    pub mode: LimitMode,
    /// The header fields that tell clients what is left. Default ietf.
    #[serde(default)]
    pub headers: LimitHeaders,
    /// How gateways with a `shared_state` share it: exact, leased, or off. Default exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Spanned<ShareConfig>>,
    /// What decides while the shared store is out of reach. Default: as `shared_state` says, else local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_store_failure: Option<LimitFailure>,
}

impl FromStr for PlanQuotaConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self {
            amount: Spanned::nowhere(text.parse()?),
            zone: None,
            name: None,
            cost: None,
            mode: LimitMode::Enforce,
            headers: LimitHeaders::Ietf,
            share: None,
            on_store_failure: None,
        })
    }
}
short_form!(PlanQuotaConfig, "a quota such as `1000000/month`, or a map", |quota, place| quota.amount.place = place);

impl From<&PlanQuotaConfig> for LimitConfig {
    fn from(written: &PlanQuotaConfig) -> Self {
        Self {
            rate: None,
            quota: Some(written.amount),
            zone: written.zone,
            per: OneOrMany(Vec::new()),
            name: written.name.clone(),
            cost: written.cost.clone(),
            mode: written.mode,
            headers: written.headers,
            share: written.share.clone(),
            on_store_failure: written.on_store_failure,
        }
    }
}

/// Whether the plan of the caller holds on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanUse {
    /// It holds, and the route's requests count for it.
    On,
    /// It does not.
    Off,
}
