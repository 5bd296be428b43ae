//! The written form.

use super::cookies::SameSite;
use crate::value::{Duration, Named, OneOrMany, SecretConfig, Spanned, WebUrl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A login of browsers at an OpenID provider: authorization code flow with PKCE.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// The provider. Its endpoints are found by OpenID Connect Discovery.
    pub issuer: Spanned<WebUrl>,
    /// The name the gateway is registered by.
    pub client_id: Spanned<String>,
    /// The client's secret. Default: a public client, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretConfig>,
    /// What is asked for; `openid` is always added. `offline_access` brings a refresh token at most providers.
    #[serde(default)]
    pub scopes: OneOrMany<Spanned<String>>,
    /// Where the provider sends browsers back to: a path, or a URL where the gateway cannot know how browsers reach it.
    /// Default /oauth2/callback.
    #[serde(default = "callback")]
    pub callback: Spanned<String>,
    /// The path that logs out. Default /oauth2/logout.
    #[serde(default = "logout")]
    pub logout: Spanned<String>,
    /// Where a browser goes once it is logged out: a path or a URL. Default /.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_logout: Option<Spanned<String>>,
    /// The cookies.
    pub cookie: SessionCookieConfig,
    /// How long a login holds.
    #[serde(default)]
    pub session: SessionConfig,
    /// The claim that names the caller. Default sub.
    #[serde(default = "sub")]
    pub consumer: Spanned<String>,
    /// The claim that lists the caller's groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Spanned<String>>,
    /// Header fields for the upstream, by name, each with the claim it tells.
    #[serde(default)]
    pub headers: Named<Spanned<String>>,
    /// Whether the provider may be asked over plain http: everybody on the way can then log in as anyone. Default false.
    #[serde(default)]
    pub insecure: bool,
}

/// The cookies of a login.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionCookieConfig {
    /// Its name. Default `tollgate_` and the provider's name. `__Host-` is put before it where it may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Spanned<String>>,
    /// What it is encrypted with, 32 bytes or more. Of several the first encrypts and all decrypt.
    pub secret: OneOrMany<SecretConfig>,
    /// From which pages browsers send it: lax, strict or none. Default lax.
    #[serde(default)]
    pub same_site: SameSiteConfig,
    /// The domain it is for, with all below it. Default: the host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Spanned<String>>,
    /// How long browsers keep it. Default: until they are closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    /// Whether it is sent over TLS alone (and to localhost). Default true.
    #[serde(default = "yes")]
    pub secure: Spanned<bool>,
}

/// From which pages browsers send a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SameSiteConfig {
    /// From the same site, and when a link is followed.
    #[default]
    Lax,
    /// From the same site only.
    Strict,
    /// From everywhere.
    None,
}

impl From<SameSiteConfig> for SameSite {
    fn from(written: SameSiteConfig) -> Self {
        match written {
            SameSiteConfig::Lax => Self::Lax,
            SameSiteConfig::Strict => Self::Strict,
            SameSiteConfig::None => Self::None,
        }
    }
}

/// How long a login holds.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// From the login on, whatever happens. Default 8h.
    pub lasts: Spanned<Duration>,
    /// Without a request. Default 1h.
    pub idle: Spanned<Duration>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let hours = |count: u64| Spanned::nowhere(Duration::from_secs(count * 3600));
        Self { lasts: hours(8), idle: hours(1) }
    }
}

fn callback() -> Spanned<String> {
    Spanned::nowhere("/oauth2/callback".into())
}

fn logout() -> Spanned<String> {
    Spanned::nowhere("/oauth2/logout".into())
}

fn sub() -> Spanned<String> {
    Spanned::nowhere("sub".into())
}

fn yes() -> Spanned<bool> {
    Spanned::nowhere(true)
}
