//! `security_headers`: fields that tell browsers to be careful.
//!
//! Stage: Transform. Hook: on every answer, the gateway's own too. A field that the upstream sets itself stays, unless
//! `override: true`: it knows its pages better. `Strict-Transport-Security` goes only to clients that came over TLS, here or
//! at a trusted proxy, since it means nothing to others (RFC 6797 §7.2). Nothing is carried over a reload, and nothing can
//! fail once it is compiled. Example: `conf/browsers.yaml`.

use super::{ChainBuilder, OnResponse, Seen, Setup, Stage};
use crate::request::{RequestCx, ResponseView, Scheme};
use crate::value::form::{short_form, with_short_form, with_true};
use crate::value::{Duration, Invalid, OrOff, Spanned};
use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What lists of preloaded sites ask for (<https://hstspreload.org/#submission-requirements>).
const PRELOAD_SECONDS: u64 = 365 * 86_400;

/// Header fields that tell browsers to be careful.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "SecurityHeadersConfig", deny_unknown_fields, default)]
#[schemars(transform = with_true("The defaults."))]
pub struct SecurityHeadersConfig {
    /// How long browsers use TLS only for this host (`Strict-Transport-Security`); sent over TLS only. Default 365d.
    pub hsts: OrOff<Spanned<HstsConfig>>,
    /// Browsers do not guess types (`X-Content-Type-Options: nosniff`). Default true.
    pub nosniff: bool,
    /// Who may show the page in a frame (`X-Frame-Options`). Default deny.
    pub frame: OrOff<FrameConfig>,
    /// What other sites learn of where a visitor comes from (`Referrer-Policy`). Default
    /// `strict-origin-when-cross-origin`.
    pub referrer: OrOff<ReferrerConfig>,
    /// `Content-Security-Policy`, as it is sent. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csp: Option<Spanned<String>>,
    /// `Permissions-Policy`, as it is sent. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Spanned<String>>,
    /// `Cross-Origin-Opener-Policy`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_opener: Option<OpenerConfig>,
    /// `Cross-Origin-Embedder-Policy`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_embedder: Option<EmbedderConfig>,
    /// `Cross-Origin-Resource-Policy`. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cross_origin_resource: Option<ResourceConfig>,
    /// Whether these replace what the upstream says in the same fields. Default false.
    #[serde(rename = "override")]
    pub replace: bool,
}

impl Default for SecurityHeadersConfig {
    fn default() -> Self {
        Self {
            hsts: OrOff::On(Spanned::nowhere(HstsConfig::default())),
            nosniff: true,
            frame: OrOff::On(FrameConfig::Deny),
            referrer: OrOff::On(ReferrerConfig::StrictOriginWhenCrossOrigin),
            csp: None,
            permissions: None,
            cross_origin_opener: None,
            cross_origin_embedder: None,
            cross_origin_resource: None,
            replace: false,
        }
    }
}

impl FromStr for SecurityHeadersConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Err(Invalid::new(format!("`{text}` is no set of security headers"))
                .hint("write `true` for the defaults, `off` for none, or a map such as `{ frame: same_origin }`")),
        }
    }
}
short_form!(SecurityHeadersConfig, "true, off, or a map");

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "HstsConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("How long."))]
pub struct HstsConfig {
    /// How long. Default 365d.
    pub max_age: Duration,
    /// Whether it holds for every host below, too. Default false.
    pub include_subdomains: bool,
    /// Whether browsers may ship it; hard to take back. Needs `include_subdomains` and at least 365d. Default false.
    pub preload: bool,
}

impl Default for HstsConfig {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(PRELOAD_SECONDS), include_subdomains: false, preload: false }
    }
}

impl FromStr for HstsConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { max_age: text.parse()?, ..Self::default() })
    }
}
short_form!(HstsConfig, "a duration such as `365d`, or a map");

impl HstsConfig {
    /// RFC 6797 §6.1.
    fn value(&self) -> String {
        let below = if self.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        format!("max-age={}{below}{preload}", self.max_age.as_secs())
    }
}

/// Declares a closed set of field values, spelled as operators write them.
macro_rules! values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $written:literal => $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $written)] $variant,)* }

        impl $name {
            fn value(self) -> HeaderValue {
                match self { $(Self::$variant => HeaderValue::from_static($value),)* }
            }
        }
    };
}

values! {
    /// Who may show a page in a frame (RFC 7034).
    FrameConfig {
        /// Nobody.
        Deny = "deny" => "DENY",
        /// Pages of the same origin.
        SameOrigin = "same_origin" => "SAMEORIGIN",
    }
}

values! {
    /// What other sites learn of where a visitor comes from (<https://www.w3.org/TR/referrer-policy/>).
    ReferrerConfig {
        /// Nothing.
        NoReferrer = "no-referrer" => "no-referrer",
        /// All, except from TLS to clear text.
        NoReferrerWhenDowngrade = "no-referrer-when-downgrade" => "no-referrer-when-downgrade",
        /// The origin.
        Origin = "origin" => "origin",
        /// The origin; the same origin all.
        OriginWhenCrossOrigin = "origin-when-cross-origin" => "origin-when-cross-origin",
        /// The same origin all, others nothing.
        SameOrigin = "same-origin" => "same-origin",
        /// The origin, except from TLS to clear text.
        StrictOrigin = "strict-origin" => "strict-origin",
        /// The origin, except from TLS to clear text; the same origin all.
        StrictOriginWhenCrossOrigin = "strict-origin-when-cross-origin" => "strict-origin-when-cross-origin",
        /// All.
        UnsafeUrl = "unsafe-url" => "unsafe-url",
    }
}

values! {
    /// With whom a page shares a browsing context (HTML, "cross-origin opener policies").
    OpenerConfig {
        /// Only with pages of the same origin.
        SameOrigin = "same-origin" => "same-origin",
        /// And with windows it opens itself.
        SameOriginAllowPopups = "same-origin-allow-popups" => "same-origin-allow-popups",
        /// Only with itself.
        NoopenerAllowPopups = "noopener-allow-popups" => "noopener-allow-popups",
        /// With anyone.
        UnsafeNone = "unsafe-none" => "unsafe-none",
    }
}

values! {
    /// What a page may embed (HTML, "cross-origin embedder policies").
    EmbedderConfig {
        /// What agrees to it.
        RequireCorp = "require-corp" => "require-corp",
        /// The rest without credentials.
        Credentialless = "credentialless" => "credentialless",
        /// Anything.
        UnsafeNone = "unsafe-none" => "unsafe-none",
    }
}

values! {
    /// Who may embed an answer (Fetch, "`Cross-Origin-Resource-Policy` header").
    ResourceConfig {
        /// Pages of the same origin.
        SameOrigin = "same-origin" => "same-origin",
        /// Pages of the same site.
        SameSite = "same-site" => "same-site",
        /// Any page.
        CrossOrigin = "cross-origin" => "cross-origin",
    }
}

/// What becomes of a field that the upstream has set itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theirs {
    Stays,
    Replaced,
}

/// The compiled policy.
#[derive(Debug)]
pub struct SecurityHeaders {
    fields: Box<[(HeaderName, HeaderValue)]>,
    hsts: Option<HeaderValue>,
    theirs: Theirs,
}

impl SecurityHeadersConfig {
    /// Compiles what is written and adds the policy's hooks to a route.
    pub fn attach(&self, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let compiled = self.compile(setup);
        chain.on_response(Stage::Transform, Seen::Always, Arc::new(compiled));
    }

    fn compile(&self, setup: &mut Setup<'_>) -> SecurityHeaders {
        let mut fields = Vec::new();
        let mut add = |name: HeaderName, value: Option<HeaderValue>| fields.extend(value.map(|value| (name, value)));
        add(X_CONTENT_TYPE_OPTIONS, self.nosniff.then_some(HeaderValue::from_static("nosniff")));
        add(X_FRAME_OPTIONS, self.frame.on().map(|frame| frame.value()));
        add(REFERRER_POLICY, self.referrer.on().map(|referrer| referrer.value()));
        add(CONTENT_SECURITY_POLICY, text(self.csp.as_ref(), setup));
        add(PERMISSIONS_POLICY, text(self.permissions.as_ref(), setup));
        add(OPENER_POLICY, self.cross_origin_opener.map(OpenerConfig::value));
        add(EMBEDDER_POLICY, self.cross_origin_embedder.map(EmbedderConfig::value));
        add(RESOURCE_POLICY, self.cross_origin_resource.map(ResourceConfig::value));
        SecurityHeaders {
            fields: fields.into(),
            hsts: self.hsts.on().and_then(|hsts| hsts_value(hsts, setup)),
            theirs: if self.replace { Theirs::Replaced } else { Theirs::Stays },
        }
    }
}

fn text(written: Option<&Spanned<String>>, setup: &mut Setup<'_>) -> Option<HeaderValue> {
    let written = written?;
    // A long policy may be folded over lines in the file; on the wire it is one.
    let line = written.value.split_whitespace().collect::<Vec<_>>().join(" ");
    match HeaderValue::from_str(&line) {
        Ok(value) if !line.is_empty() => Some(value),
        _ => {
            setup
                .problems
                .error(written.place, "this is not the value of a header")
                .hint("write visible ASCII characters");
            None
        }
    }
}

fn hsts_value(written: &Spanned<HstsConfig>, setup: &mut Setup<'_>) -> Option<HeaderValue> {
    let hsts = &written.value;
    if hsts.preload && !(hsts.include_subdomains && hsts.max_age.as_secs() >= PRELOAD_SECONDS) {
        setup
            .problems
            .error(written.place, "`preload` needs `include_subdomains: true` and a `max_age` of at least 365d")
            .hint(
                "lists of preloaded sites take no other; leave `preload` out unless every sub-domain has TLS for good",
            );
    }
    HeaderValue::try_from(hsts.value()).ok()
}

impl SecurityHeaders {
    fn set(&self, name: &HeaderName, value: &HeaderValue, response: &mut ResponseView<'_>) {
        if self.theirs == Theirs::Replaced || response.headers.first(name).is_none() {
            response.headers.set(name, value.clone());
        }
    }
}

/// Whether the client came over TLS; a trusted proxy is believed about it.
fn is_secure(cx: &RequestCx, response: &ResponseView<'_>) -> bool {
    cx.scheme == Scheme::Https
        || cx.client.via_trusted
            && response
                .request
                .headers
                .first(&FORWARDED_PROTO)
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"))
}

impl OnResponse for SecurityHeaders {
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        for (name, value) in &self.fields {
            self.set(name, value, response);
        }
        if let Some(hsts) = self.hsts.as_ref().filter(|_| is_secure(cx, response)) {
            self.set(&STRICT_TRANSPORT_SECURITY, hsts, response);
        }
    }

    fn describe_response(&self) -> Option<String> {
        let hsts = self.hsts.as_ref().map(|_| "strict-transport-security (over TLS)");
        let names: Vec<&str> = hsts.into_iter().chain(self.fields.iter().map(|(name, _)| name.as_str())).collect();
        let theirs = if self.theirs == Theirs::Replaced { ", replacing the upstream's" } else { "" };
        Some(format!("security_headers {}{theirs}", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{messages, try_written, with_setup, written};
    use crate::request::{Answered, Maker};
    use http::HeaderMap;
    use std::path::Path;

    fn compiled(yaml: &str) -> (SecurityHeaders, Vec<String>) {
        let config = written::<SecurityHeadersConfig>(yaml);
        let (policy, problems, _) = with_setup(Path::new(""), |setup| config.compile(setup));
        (policy, messages(&problems))
    }

    /// The fields of an answer after the policy has seen it, as lines in order of their names.
    fn answered(yaml: &str, cx: &mut RequestCx, asked: &[(&str, &str)], upstream: &[(&str, &str)]) -> Vec<String> {
        let (policy, problems) = compiled(yaml);
        assert_eq!(problems, Vec::<String>::new(), "{yaml}");
        let map = |fields: &[(&str, &str)]| -> HeaderMap {
            let pair = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            fields.iter().map(pair).collect()
        };
        let (asked, mut headers) = (map(asked), map(upstream));
        let request = Answered { method: "GET", headers: &asked };
        let mut view = ResponseView { request, status: 200, maker: Maker::Upstream, headers: &mut headers };
        policy.on_response(cx, &mut view);
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    fn over(scheme: Scheme) -> RequestCx {
        RequestCx { scheme, ..RequestCx::at(0) }
    }

    const DEFAULTS: [&str; 3] = [
        "referrer-policy: strict-origin-when-cross-origin",
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
    ];

    #[test]
    fn one_word_gives_good_defaults_and_hsts_over_tls_only() {
        assert_eq!(answered("true", &mut over(Scheme::Http), &[], &[]), DEFAULTS);
        let secure = answered("true", &mut over(Scheme::Https), &[], &[]);
        assert_eq!(secure[1], "strict-transport-security: max-age=31536000");
        assert_eq!(secure.len(), 4);
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_tls_and_nobody_else() {
        let mut cx = over(Scheme::Http);
        for (trusted, proto, fields) in [(true, "https", 4), (true, "HTTPS", 4), (true, "http", 3), (false, "https", 3)]
        {
            cx.client.via_trusted = trusted;
            let lines = answered("true", &mut cx, &[("x-forwarded-proto", proto)], &[]);
            assert_eq!(lines.len(), fields, "{trusted} {proto}");
        }
    }

    #[test]
    fn everything_can_be_said_and_unsaid() {
        let off = "{ hsts: off, nosniff: false, frame: off, referrer: off }";
        assert_eq!(answered(off, &mut over(Scheme::Https), &[], &[]), Vec::<String>::new());
        let all = "{ hsts: { max_age: 730d, include_subdomains: true, preload: true }, frame: same_origin, \
            referrer: no-referrer, csp: \"default-src 'none';\\n  frame-ancestors 'self'\", permissions: camera=(), \
            cross_origin_opener: same-origin-allow-popups, cross_origin_embedder: require-corp, \
            cross_origin_resource: same-site }";
        assert_eq!(
            answered(all, &mut over(Scheme::Https), &[], &[]),
            [
                "content-security-policy: default-src 'none'; frame-ancestors 'self'",
                "cross-origin-embedder-policy: require-corp",
                "cross-origin-opener-policy: same-origin-allow-popups",
                "cross-origin-resource-policy: same-site",
                "permissions-policy: camera=()",
                "referrer-policy: no-referrer",
                "strict-transport-security: max-age=63072000; includeSubDomains; preload",
                "x-content-type-options: nosniff",
                "x-frame-options: SAMEORIGIN",
            ]
        );
    }

    #[test]
    fn what_the_upstream_says_stays_unless_it_is_overridden() {
        let theirs = [("x-frame-options", "SAMEORIGIN"), ("strict-transport-security", "max-age=0")];
        let stays = answered("true", &mut over(Scheme::Https), &[], &theirs);
        assert_eq!(stays[1..2], ["strict-transport-security: max-age=0"]);
        assert_eq!(stays[3..], ["x-frame-options: SAMEORIGIN"]);
        let replaced = answered("{ override: true }", &mut over(Scheme::Https), &[], &theirs);
        assert_eq!(replaced[1..2], ["strict-transport-security: max-age=31536000"]);
        assert_eq!(replaced[3..], ["x-frame-options: DENY"]);
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for yaml in ["false", "yes", "{ frame: allow }", "{ referrer: all }", "{ hsts: forever }", "{ nosnif: true }"] {
            assert!(try_written::<SecurityHeadersConfig>(yaml).is_err(), "{yaml}");
        }
        for yaml in
            ["{ hsts: { preload: true } }", "{ hsts: { preload: true, include_subdomains: true, max_age: 1d } }"]
        {
            assert!(compiled(yaml).1[0].starts_with("`preload` needs"), "{yaml}");
        }
        for yaml in ["{ csp: \"\" }", "{ permissions: \"caf\\u00e9\\u0001\" }"] {
            assert!(compiled(yaml).1[0].starts_with("this is not the value of a header"), "{yaml}");
        }
    }

    #[test]
    fn editors_know_the_short_form() {
        let schema = schemars::schema_for!(SecurityHeadersConfig);
        assert_eq!(schema.get("anyOf").unwrap()[0]["const"], true);
    }

    #[test]
    fn the_plan_names_the_fields() {
        let (policy, _) = compiled("{ frame: off, override: true }");
        assert_eq!(
            policy.describe_response().unwrap(),
            "security_headers strict-transport-security (over TLS), x-content-type-options, referrer-policy, replacing the upstream's"
        );
    }
}
