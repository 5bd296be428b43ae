//! Session affinity as it is written.

use crate::policy::auth::oidc::SameSiteConfig;
use crate::value::form::{short_form, with_short_form};
use crate::value::{Duration, Invalid, OneOrMany, SecretConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A cookie that brings a client back to the endpoint that has served it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "AffinityConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The name of the cookie alone."))]
pub struct AffinityConfig {
    /// Its name.
    pub cookie: Spanned<String>,
    /// What it is signed with, by reference, 32 bytes or more: the same for all gateways that clients may come back to. Of
    /// up to four the first signs, all are accepted. Default: the gateway makes one up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<OneOrMany<SecretConfig>>,
    /// The path it is for, with all below it. Default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// From which pages browsers send it: lax, strict, or none, which goes over TLS alone. Default lax.
    #[serde(default)]
    pub same_site: SameSiteConfig,
    /// How long browsers keep it. Default: until they are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
}

impl FromStr for AffinityConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self {
            cookie: Spanned::nowhere(text.to_owned()),
            secret: None,
            path: None,
            same_site: SameSiteConfig::default(),
            max_age: None,
        })
    }
}
short_form!(AffinityConfig, "the name of a cookie, or a map with cookie", |affinity, place| {
    affinity.cookie.place = place;
});
