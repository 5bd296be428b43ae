//! The written form.

use crate::policy::auth::token::TokenSource;
use crate::value::{Duration, Named, OneOrMany, OrOff, SecretConfig, Spanned, WebUrl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a provider is asked about tokens (RFC 7662).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IntrospectionConfig {
    /// Where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<WebUrl>>,
    /// Who asks; sent by HTTP Basic (RFC 6749 §2.3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Spanned<String>>,
    /// What proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretConfig>,
    /// What kind of token the provider is told it is. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
    /// Whom the token must be for: one of these. Default: nobody in particular.
    pub audience: OneOrMany<String>,
    /// Who must have issued the token. Default: whoever the provider vouches for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The claim that holds the scopes. Default scope.
    pub scopes: String,
    /// The claim that names the caller. Default sub.
    pub consumer: String,
    /// The claim that holds the caller's groups. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// Claims the upstream is told, each with the header field it is told by.
    pub headers: Named<Spanned<String>>,
    /// How long the provider may take. Default 2s.
    pub timeout: Duration,
    /// How long its answer is good for at most; never past the token's end. Default 30s.
    pub cache: OrOff<Duration>,
    /// How long a token it does not know is refused without asking again. Default 5s.
    pub cache_inactive: OrOff<Duration>,
    /// How far clocks may be apart. Default 0s.
    pub leeway: Duration,
    /// A file of the authorities by which its certificate is verified, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Where the token stands: `header X`, `cookie x` or `query x`. Default header Authorization, after Bearer.
    pub from: TokenSource,
    /// Whether tokens that look like JWTs are asked about too. Default any.
    pub token_format: TokenFormat,
    /// What the challenge of a 401 calls this place. Default tollgate.
    pub realm: String,
    /// Whether the provider may be asked over plain http. Default false.
    pub insecure: bool,
}

/// Which tokens are asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenFormat {
    /// All of them.
    #[default]
    Any,
    /// Those that do not look like JWTs, which are left to another provider of the route.
    Opaque,
}

impl Default for IntrospectionConfig {
    fn default() -> Self {
        Self {
            url: None,
            client_id: None,
            client_secret: None,
            token_type_hint: None,
            audience: OneOrMany::default(),
            issuer: None,
            scopes: "scope".into(),
            consumer: "sub".into(),
            groups: None,
            headers: Named::default(),
            timeout: Duration::from_secs(2),
            cache: OrOff::On(Duration::from_secs(30)),
            cache_inactive: OrOff::On(Duration::from_secs(5)),
            leeway: Duration::from_secs(0),
            ca: None,
            from: TokenSource::default(),
            token_format: TokenFormat::default(),
            realm: "tollgate".into(),
            insecure: false,
        }
    }
}
