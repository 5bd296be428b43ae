//! The written form: short (`100/s per consumer`) and long.

use super::key::LimitKey;
use super::share::{LimitFailure, ShareConfig};
use super::zone::Zone;
use crate::value::form::{short_form, with_short_form};
use crate::value::{Invalid, OneOrMany, Quota, Rate, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A limit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "LimitConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("`100/s per consumer`, `1000/min burst 200 per client`."))]
pub struct LimitConfig {
    /// How much may pass, and how much at once. This or `quota`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Spanned<Rate>>,
    /// How much may pass in a long time: `1000000/month`, `5000/day`. This or `rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Spanned<Quota>>,
    /// The offset from UTC in which a quota's months begin. Default UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What is counted by: client, consumer, credential, route, api, `header X`, `claim x`, `capture x`, or several
    /// together. Default: everything together.
    #[serde(default)]
    pub per: OneOrMany<Spanned<LimitKey>>,
    /// Its name in headers and metrics. Default: what it counts by.
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
    /// How gateways with a `shared_state` share it: exact, leased, or off. Default leased for a rate, exact for a quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Spanned<ShareConfig>>,
    /// What decides while the shared store is out of reach. Default: as `shared_state` says, else local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_store_failure: Option<LimitFailure>,
}

impl FromStr for LimitConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (amount, per) = match text.split_once(" per ") {
            Some((rate, per)) => {
                (rate, per.split(" and ").map(|key| key.trim().parse()).collect::<Result<Vec<_>, _>>()?)
            }
            None => (text, Vec::new()),
        };
        let amount = amount.trim();
        let (rate, quota) = match amount.ends_with("/month") {
            true => (None, Some(Spanned::nowhere(amount.parse()?))),
            false => (Some(Spanned::nowhere(amount.parse()?)), None),
        };
        Ok(Self {
            rate,
            quota,
            zone: None,
            per: OneOrMany(per.into_iter().map(Spanned::nowhere).collect()),
            name: None,
            cost: None,
            mode: LimitMode::Enforce,
            headers: LimitHeaders::Ietf,
            share: None,
            on_store_failure: None,
        })
    }
}
short_form!(LimitConfig, "a limit such as `100/s per consumer`, or a map", |limit, place| {
    limit.rate.iter_mut().for_each(|rate| rate.place = place);
    limit.quota.iter_mut().for_each(|quota| quota.place = place);
    limit.per.0.iter_mut().for_each(|key| key.place = place);
});

/// Whether a limit refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    /// Requests over it are refused with 429.
    #[default]
    Enforce,
    /// They are counted in the metrics and pass.
    Shadow,
}

/// The header fields that tell clients what is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitHeaders {
    /// `RateLimit-Policy` and `RateLimit` (IETF draft).
    #[default]
    Ietf,
    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset`.
    Legacy,
    /// All of these.
    Both,
    /// None.
    Off,
}

/// How many a request counts for.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CostConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("A number from 1."))]
pub struct CostConfig {
    /// That many, or where the header is missing or no number.
    #[serde(default = "one")]
    pub default: u32,
    /// The request's header field that says it. Anybody can write it: for clients behind your own services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Spanned<String>>,
    /// The response's header field that says it; known only afterwards, so that one request may lead into debt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_header: Option<Spanned<String>>,
}

fn one() -> u32 {
    1
}

impl FromStr for CostConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is not a cost"))
                .hint("write a number from 1, `{ header: X-Cost }` or `{ response_header: X-Cost }`")
        };
        let default = text.parse().ok().filter(|cost| *cost > 0).ok_or_else(wrong)?;
        Ok(Self { default, header: None, response_header: None })
    }
}
short_form!(CostConfig, "a number, or a map with `header` or `response_header`");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_says_rate_burst_and_keys() {
        let limit: LimitConfig = "1000/min burst 200 per client and header X-Tenant".parse().unwrap();
        assert_eq!(limit.rate.unwrap().to_string(), "1000/min burst 200");
        let keys: Vec<String> = limit.per.iter().map(|key| key.value.to_string()).collect();
        assert_eq!(keys, ["client", "header x-tenant"]);
        let bare: LimitConfig = "10/s".parse().unwrap();
        assert!(bare.per.is_empty());
        let month: LimitConfig = "1000000/month per consumer".parse().unwrap();
        assert_eq!((month.rate, month.quota.unwrap().to_string().as_str()), (None, "1000000/month"));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "per consumer", "10/s per", "10/s per nobody", "10/s per consumer and", "10 per consumer"] {
            assert!(text.parse::<LimitConfig>().is_err(), "{text}");
        }
    }
}
