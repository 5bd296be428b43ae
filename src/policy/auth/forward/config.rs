//! The written form.

use crate::value::{Duration, OneOrMany, OrOff, Spanned, WebUrl};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A service of your own that decides who may pass: 2xx passes; its 401, 403 and redirects go to the client.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardConfig {
    /// Where it is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<WebUrl>>,
    /// With which method. Default GET.
    pub method: AskMethod,
    /// Header fields of the request that it is sent, beside X-Forwarded-Method, -Proto, -Host, -Uri, -For and
    /// X-Request-Id. Default Authorization and Cookie.
    pub send_headers: OneOrMany<Spanned<String>>,
    /// Header fields of its answer that the upstream is told. Clients cannot send them.
    pub copy_headers: OneOrMany<Spanned<String>>,
    /// Which of `send_headers` prove the caller and are removed from what goes upstream. Default Authorization.
    pub credentials: OneOrMany<Spanned<String>>,
    /// The field of its answer that names the caller. Default none: all callers are known by the provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Spanned<String>>,
    /// The field of its answer that lists the caller's groups, separated by commas. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Spanned<String>>,
    /// How long it may take. Default 1s.
    pub timeout: Duration,
    /// How long a 2xx is good for the same question. Default off.
    pub cache: OrOff<Duration>,
    /// What makes two questions the same: `request`, all that it is sent but the request's id; `caller`,
    /// `send_headers` alone. Default request.
    pub per: Per,
    /// A file of the authorities by which its certificate is verified, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// Whether it may be asked over plain http. Default false.
    pub insecure: bool,
}

/// With which method a service is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AskMethod {
    /// GET.
    #[default]
    Get,
    /// HEAD.
    Head,
    /// POST, without a body.
    Post,
}

/// What makes two questions the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// All that the service is sent but the request's id.
    #[default]
    Request,
    /// The sent header fields alone: the service decides by them and nothing else.
    Caller,
}

impl Default for ForwardConfig {
    fn default() -> Self {
        let named = |names: &[&str]| OneOrMany(names.iter().map(|name| Spanned::nowhere((*name).to_owned())).collect());
        Self {
            url: None,
            method: AskMethod::Get,
            send_headers: named(&["Authorization", "Cookie"]),
            copy_headers: OneOrMany::default(),
            credentials: named(&["Authorization"]),
            consumer: None,
            groups: None,
            timeout: Duration::from_secs(1),
            cache: OrOff::Off,
            per: Per::Request,
            ca: None,
            insecure: false,
        }
    }
}
