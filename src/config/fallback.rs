//! `fallback:`, what stands in for an upstream that is out.

use super::CalledConfig;
use crate::policy::answer::RespondConfig;
use crate::value::form::{short_form, with_short_form};
use crate::value::{Duration, Outage, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::str::FromStr;

/// What stands in for an upstream that is out: at least one of `stale`, `to` and `respond`; of several in this order.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "FallbackConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("The other upstream alone."))]
pub struct FallbackConfig {
    /// What counts as out, once the retries are over: `no_endpoint`, `breaker`, `busy`, `connect`, `reset`, `timeout`,
    /// `deadline`, or a status. Default `[no_endpoint, breaker, connect, reset, timeout]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<Spanned<Outage>>>,
    /// What the route's cache keeps is given though it is out of date, by at most so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<Spanned<Duration>>,
    /// Another upstream: its name, or the URL of one endpoint; or a map with `upstream` and `subset`. What may have reached the first one goes there only where
    /// the method is idempotent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Spanned<CalledConfig>>,
    /// The answer that is written here, as in a route's `respond`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond: Option<Spanned<RespondConfig>>,
}

impl FromStr for FallbackConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { to: Some(Spanned::nowhere(text.parse()?)), ..Self::default() })
    }
}
short_form!(FallbackConfig, "another upstream, or a map", |fallback, place| {
    if let Some(to) = &mut fallback.to {
        to.place = place;
        to.value.upstream.place = place;
    }
});
