//! The written form, and the way to the compiled one.

use super::origin::{OriginPattern, Origins};
use super::{Allowed, Cors, Others, Preflights};
use crate::policy::Setup;
use crate::value::form::{list_form, with_list_form};
use crate::value::{Duration, OneOrMany, Problem, Problems, Spanned};
use http::{HeaderName, HeaderValue, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which pages of other origins may call.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CorsConfig", deny_unknown_fields, default)]
#[schemars(transform = with_list_form("Origins whose pages may call."))]
pub struct CorsConfig {
    /// Origins whose pages may call: `https://shop.example`, `https://*.shop.example` for every sub-domain, or `*`.
    pub origins: OneOrMany<Spanned<OriginPattern>>,
    /// Methods that pages may use. Default: those the path answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<OneOrMany<Spanned<String>>>,
    /// Header fields that pages may send, or `*` for any. Default `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<OneOrMany<Spanned<String>>>,
    /// Header fields of answers that pages may read, beside those they may always read. Default none.
    pub expose: OneOrMany<Spanned<String>>,
    /// Whether browsers may send cookies and the like, and show pages the answer. Default false.
    pub credentials: bool,
    /// How long a browser may remember what a preflight said. Default 10m.
    pub max_age: Duration,
    /// Whether pages from public addresses may call, where this gateway is in a private network. Default false.
    pub private_network: bool,
    /// What becomes of requests from pages of other origins. Default pass.
    pub others: OthersConfig,
}
list_form!(CorsConfig, Spanned<OriginPattern>, |list| Self { origins: list.value, ..Self::default() });

/// What becomes of requests from pages of origins that are not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OthersConfig {
    /// They are answered; the browser keeps the answer from the page.
    #[default]
    Pass,
    /// They are refused with 403.
    Refuse,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self {
            origins: OneOrMany::default(),
            methods: None,
            headers: None,
            expose: OneOrMany::default(),
            credentials: false,
            max_age: Duration::from_secs(600),
            private_network: false,
            others: OthersConfig::Pass,
        }
    }
}

impl CorsConfig {
    /// What is missing: an origin.
    pub fn missing(written: &Spanned<Self>) -> Option<Problem> {
        written.value.origins.is_empty().then(|| {
            let mut problem = Problem::error(written.place, "`cors` names no origin");
            problem.hint("list origins such as `https://shop.example`, or write `cors: off`");
            problem
        })
    }

    /// Compiles what is written.
    pub fn compile(&self, preflights: Preflights, setup: &mut Setup<'_>) -> Cors {
        let problems = &mut *setup.problems;
        if self.credentials {
            self.check_credentials(problems);
        }
        let methods = allowed(self.methods.as_ref(), problems, |name| method(&name.value));
        let headers = allowed(self.headers.as_ref(), problems, |name| field(&name.value));
        let expose = allowed(Some(&self.expose), problems, |name| field(&name.value));
        Cors {
            origins: Origins::new(self.origins.iter().map(|origin| &origin.value)),
            methods,
            headers,
            expose: match expose {
                Allowed::Any => Some(HeaderValue::from_static("*")),
                Allowed::These { names, .. } if names.is_empty() => None,
                Allowed::These { value, .. } => Some(value),
            },
            credentials: self.credentials,
            max_age: HeaderValue::from(self.max_age.as_secs()),
            private_network: self.private_network,
            others: match self.others {
                OthersConfig::Pass => Others::Pass,
                OthersConfig::Refuse => Others::Refuse,
            },
            preflights,
        }
    }

    /// With credentials every origin is trusted with what callers have: there is no "any" (Fetch, "CORS protocol and
    /// credentials").
    fn check_credentials(&self, problems: &mut Problems) {
        for origin in &self.origins {
            if origin.value == OriginPattern::Any {
                problems
                    .error(origin.place, "`*` and `credentials: true` do not go together")
                    .hint("list the origins that are trusted with the credentials of callers");
            } else if origin.value.is_boundless() {
                problems
                    .error(origin.place, format!("`{}` is far too wide for `credentials: true`", origin.value))
                    .hint("name a domain of yours: `https://*.shop.example`");
            }
        }
        for name in self.expose.iter().filter(|name| name.value == "*") {
            problems
                .error(name.place, "`*` has no meaning here together with `credentials: true`")
                .hint("list the fields; browsers take `*` for a field of that name");
        }
    }
}

/// Compiles a list of names; `*` alone, or nothing written, is any.
fn allowed(
    written: Option<&OneOrMany<Spanned<String>>>,
    problems: &mut Problems,
    read: impl Fn(&Spanned<String>) -> Result<String, (String, String)>,
) -> Allowed {
    let Some(written) = written else { return Allowed::Any };
    if written.iter().any(|name| name.value == "*") {
        if let Some(other) = written.iter().find(|name| name.value != "*") {
            problems.warn(other.place, format!("`*` holds `{}` already", other.value));
        }
        return Allowed::Any;
    }
    let mut names = Vec::new();
    for name in written {
        match read(name) {
            Ok(name) => names.push(name),
            Err((message, hint)) => {
                problems.error(name.place, message).hint(hint);
            }
        }
    }
    let value = HeaderValue::try_from(names.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""));
    Allowed::These { names: names.into_iter().map(Into::into).collect(), value }
}

fn method(name: &str) -> Result<String, (String, String)> {
    let standard = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    match standard.iter().find(|known| known.eq_ignore_ascii_case(name) && **known != name) {
        Some(known) => Err((format!("`{name}` is not a method: case counts"), format!("write `{known}`"))),
        None if Method::from_bytes(name.as_bytes()).is_ok() => Ok(name.to_owned()),
        None => Err((format!("`{name}` is not a method"), "write names such as `GET`, or leave it out".to_owned())),
    }
}

fn field(name: &str) -> Result<String, (String, String)> {
    HeaderName::from_bytes(name.as_bytes()).map(|name| name.as_str().to_owned()).map_err(|_| {
        (format!("`{name}` is not the name of a header"), "write a name such as `X-Request-Id`".to_owned())
    })
}
