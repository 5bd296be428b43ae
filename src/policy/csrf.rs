//! `csrf:`: refuses requests that a page of another site made a browser send with the cookies it holds.
//!
//! Stage: Guard, before anything reads or removes cookies. Hook: on the head. Safe methods pass (RFC 9110 §9.2.1), save
//! for a WebSocket's handshake, which is a GET that may do anything. So do requests without cookies, and those that bring
//! what no page can send to another origin unasked: an `Authorization` that browsers do not add by themselves, or one of
//! `headers`. Of the others `Sec-Fetch-Site` must say that they come from this origin or from nobody's page; browsers
//! that do not send it are known by `Origin`, else by `Referer`, whose host must be this one or whose origin is listed.
//! Nothing is carried over a reload. Fails closed: a request that says nothing of where it comes from is 403.
//! In force without being written on routes with an `oidc` provider, for requests that bring its session; `csrf: off`
//! ends that. Example: `conf/auth-oidc.yaml`.

use super::auth::oidc::Cookies;
use super::origin::origin;
use super::{ChainBuilder, Decision, OnRequest, Setup, Stage};
use crate::reply::{Reason, Reply};
use crate::request::{Headers, RequestCx, RequestView};
use crate::value::form::{short_form, with_short_form};
use crate::value::{Invalid, OneOrMany, Spanned};
use http::{HeaderName, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// Schemes whose credentials a browser adds by itself once it has them (RFC 7617, RFC 7616, RFC 4559).
const ADDED_BY_BROWSERS: [&[u8]; 4] = [b"basic", b"digest", b"negotiate", b"ntlm"];

/// Protection against requests that pages of other sites forge: `true`, or a map.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CsrfConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`true`: as a map with nothing in it."))]
pub struct CsrfConfig {
    /// Origins whose pages may send such requests too: `https://app.example`.
    pub origins: OneOrMany<Spanned<String>>,
    /// Whether pages of the same site at another host may: `a.shop.example` to `b.shop.example`. Default false.
    pub same_site: bool,
    /// Header fields that no browser adds by itself: a request with one passes. Default: X-API-Key.
    pub headers: OneOrMany<Spanned<String>>,
    /// Whether such requests are refused, or only logged. Default enforce.
    pub mode: CsrfMode,
}

/// Whether what would be refused is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CsrfMode {
    /// It is.
    #[default]
    Enforce,
    /// It passes, is counted in `tollgate_csrf_shadowed_total`, and the log says so.
    Shadow,
}

impl FromStr for CsrfConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Err(Invalid::new(format!("`{text}` is neither on nor off")).hint("write `true`, `off`, or a map")),
        }
    }
}
short_form!(CsrfConfig, "true, or a map with origins, same_site, headers or mode");

/// Which cookies make a request worth forging.
enum Guarded {
    /// Any.
    All,
    /// Those of these sessions.
    Sessions(Vec<Cookies>),
}

/// The compiled policy.
pub struct Csrf {
    guarded: Guarded,
    origins: Box<[Box<str>]>,
    same_site: bool,
    headers: Box<[HeaderName]>,
    mode: CsrfMode,
    /// Requests that would have been refused.
    shadowed: Arc<AtomicU64>,
}

impl CsrfConfig {
    /// Compiles what is written and adds the policy's hooks to a route.
    pub fn attach(&self, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let (mut origins, mut headers) = (Vec::new(), Vec::new());
        for written in &self.origins {
            if is_origin(&written.value) {
                origins.push(written.value.to_ascii_lowercase().into());
            } else {
                setup
                    .problems
                    .error(written.place, format!("`{}` is not an origin", written.value))
                    .hint("write scheme and host, such as `https://app.example`, without a path");
            }
        }
        for written in &self.headers {
            match HeaderName::from_bytes(written.value.as_bytes()) {
                Ok(name) if name != header::COOKIE => headers.push(name),
                _ => {
                    let message = format!("`{}` is not a header that proves anything", written.value);
                    setup.problems.error(written.place, message).hint("write one such as `X-API-Key`");
                }
            }
        }
        if headers.is_empty() {
            headers.push(API_KEY);
        }
        let guarded = Guarded::All;
        let (origins, headers) = (origins.into(), headers.into());
        let shadowed = setup.metrics.csrf_shadowed();
        Csrf { guarded, origins, same_site: self.same_site, headers, mode: self.mode, shadowed }.add_to(chain);
    }
}

/// Scheme, host and maybe a port, and nothing more: as browsers write it, so without the scheme's own port.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    matches!(scheme, "http" | "https")
        && text.parse::<crate::value::Url>().is_ok()
        && !host.contains(['/', '@'])
        && host == bare(scheme, host)
}

impl Csrf {
    /// Protects the sessions of logins on a route that says nothing of `csrf:`.
    pub fn for_sessions(sessions: Vec<Cookies>) -> Self {
        let (origins, headers) = (Box::default(), [API_KEY].into());
        let guarded = Guarded::Sessions(sessions);
        Self { guarded, origins, same_site: false, headers, mode: CsrfMode::Enforce, shadowed: Arc::default() }
    }

    /// Adds the policy's hook to a route.
    pub fn add_to(self, chain: &mut ChainBuilder) {
        chain.on_request(Stage::Guard, Arc::new(self));
    }

    /// Why the request is not believed to be its sender's own, if it is not.
    fn forged(&self, cx: &RequestCx, request: &RequestView<'_>) -> Option<&'static str> {
        if is_safe(request) || !self.is_worth_forging(request.headers) || self.is_proven(request) {
            return None;
        }
        if let Some(origin) = text(request, &header::ORIGIN)
            && self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
        {
            return None;
        }
        match site(cx, request) {
            Site::Own => None,
            Site::Near if self.same_site => None,
            Site::Near => Some("it comes from a page of another host of this site"),
            Site::Other => Some("it comes from a page of another site"),
            Site::Unknown => Some("it does not say which page it comes from"),
        }
    }

    fn is_worth_forging(&self, headers: &dyn Headers) -> bool {
        match &self.guarded {
            Guarded::All => headers.first(&header::COOKIE).is_some(),
            Guarded::Sessions(sessions) => sessions.iter().any(|session| session.has_session(headers)),
        }
    }

    /// Whether it brings what no page can add to a request to another origin without being asked about it (Fetch,
    /// "CORS-preflight").
    fn is_proven(&self, request: &RequestView<'_>) -> bool {
        let scheme = request.header(&header::AUTHORIZATION).map(|value| value.split(|byte| *byte == b' ').next());
        let own = scheme
            .flatten()
            .is_some_and(|scheme| !ADDED_BY_BROWSERS.iter().any(|known| known.eq_ignore_ascii_case(scheme)));
        own || self.headers.iter().any(|name| request.header(name).is_some())
    }
}

/// Whether the request may not change anything: a WebSocket's handshake is a GET, and what follows it is anything.
fn is_safe(request: &RequestView<'_>) -> bool {
    matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE") && request.header(&header::UPGRADE).is_none()
}

/// Whose page made a browser send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// One of this origin, or nobody's: a bookmark, the address bar.
    Own,
    /// One of the same site at another host.
    Near,
    /// One of another site.
    Other,
    /// The request does not say.
    Unknown,
}

/// Whose page made a browser send this request: by `Sec-Fetch-Site` (Fetch Metadata §2.3), which pages cannot set, else
/// by `Origin` (Fetch §3.2), else by `Referer`.
pub fn site(cx: &RequestCx, request: &RequestView<'_>) -> Site {
    if let Some(said) = request.header(&SEC_FETCH_SITE) {
        return match said {
            b"same-origin" | b"none" => Site::Own,
            b"same-site" => Site::Near,
            _ => Site::Other,
        };
    }
    let said = match (text(request, &header::ORIGIN), text(request, &header::REFERER)) {
        (Some(origin), _) => origin,
        (None, Some(referer)) => referer,
        (None, None) => return Site::Unknown,
    };
    let own = origin(cx, request).is_some_and(|own| is_same(said, &own));
    if own { Site::Own } else { Site::Other }
}

/// Whether a URL is of that origin. A page over https may send to a gateway that believes it is plain, since TLS may end
/// before it without its knowledge; never the other way round.
fn is_same(url: &str, own: &str) -> bool {
    let (Some((scheme, rest)), Some((own_scheme, own_host))) = (url.split_once("://"), own.split_once("://")) else {
        return false;
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    let safe_enough = scheme == own_scheme || (scheme == "https" && own_scheme == "http");
    safe_enough && bare(&scheme, host).eq_ignore_ascii_case(bare(&scheme, own_host))
}

/// A host without the port that its scheme implies.
fn bare<'a>(scheme: &str, host: &'a str) -> &'a str {
    let port = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(port).unwrap_or(host)
}

/// The only value of a field; several are as good as a strange one.
fn text<'a>(request: &'a RequestView<'_>, name: &HeaderName) -> Option<&'a str> {
    request.header(name).map(|value| std::str::from_utf8(value).unwrap_or("null"))
}

impl OnRequest for Csrf {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let Some(why) = self.forged(cx, request) else { return Decision::Continue };
        cx.note(|| format!("csrf: {why}"));
        if self.mode == CsrfMode::Shadow {
            self.shadowed.fetch_add(1, Relaxed);
            log::warn!("csrf would refuse {} {}: {why}", request.method, request.path);
            return Decision::Continue;
        }
        Decision::reply(
            Reply::new(Reason::CsrfDenied).detail(format!("A request with a cookie must come from this site: {why}.")),
        )
    }

    fn describe(&self) -> String {
        let mut text = match &self.guarded {
            Guarded::All => "csrf for requests with cookies".to_owned(),
            Guarded::Sessions(sessions) => {
                let names: Vec<&str> = sessions.iter().map(|session| &*session.name).collect();
                format!("csrf for requests with the session {}", names.join(" or "))
            }
        };
        if !self.origins.is_empty() {
            text.push_str("; from ");
            text.push_str(&self.origins.join(", "));
        }
        if self.same_site {
            text.push_str("; from the same site");
        }
        if self.mode == CsrfMode::Shadow {
            text.push_str("; shadow");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Scheme;
    use http::{HeaderMap, HeaderValue};

    fn all() -> Csrf {
        Csrf {
            guarded: Guarded::All,
            origins: ["https://app.example".into()].into(),
            same_site: false,
            headers: [API_KEY].into(),
            mode: CsrfMode::Enforce,
            shadowed: Arc::default(),
        }
    }

    /// `POST` to shop.example with a cookie and these fields.
    fn forged(csrf: &Csrf, method: &str, fields: &[(&str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("shop.example"));
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let cx = RequestCx { scheme: Scheme::Https, ..RequestCx::at(0) };
        let view = RequestView { method, host: "shop.example", path: "/", query: None, headers: &mut headers };
        csrf.forged(&cx, &view).is_some()
    }

    /// Whether it is refused, the method, the fields.
    type Case<'a> = (bool, &'a str, &'a [(&'a str, &'a str)]);

    #[test]
    fn the_table_of_who_may_send_what() {
        const COOKIE: (&str, &str) = ("cookie", "a=b");
        let cases: &[Case<'_>] = &[
            (true, "POST", &[COOKIE]),
            (false, "POST", &[]),
            (false, "GET", &[COOKIE, ("sec-fetch-site", "cross-site")]),
            (false, "HEAD", &[COOKIE, ("origin", "https://evil.example")]),
            (true, "GET", &[COOKIE, ("upgrade", "websocket"), ("origin", "https://evil.example")]),
            (false, "GET", &[COOKIE, ("upgrade", "websocket"), ("origin", "https://shop.example")]),
            (true, "QUERY", &[COOKIE, ("sec-fetch-site", "cross-site")]),
            (true, "get", &[COOKIE, ("sec-fetch-site", "cross-site")]),
            (false, "POST", &[COOKIE, ("sec-fetch-site", "same-origin")]),
            (false, "DELETE", &[COOKIE, ("sec-fetch-site", "none")]),
            (true, "PUT", &[COOKIE, ("sec-fetch-site", "same-site")]),
            (true, "POST", &[COOKIE, ("sec-fetch-site", "cross-site")]),
            (true, "POST", &[COOKIE, ("sec-fetch-site", "Same-Origin")]),
            (true, "POST", &[COOKIE, ("sec-fetch-site", "")]),
            // What the browser says of the site goes before what stands in Origin.
            (true, "POST", &[COOKIE, ("sec-fetch-site", "cross-site"), ("origin", "https://shop.example")]),
            (false, "POST", &[COOKIE, ("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]),
            (false, "POST", &[COOKIE, ("origin", "https://shop.example")]),
            (false, "POST", &[COOKIE, ("origin", "https://SHOP.example:443")]),
            (true, "POST", &[COOKIE, ("origin", "http://shop.example")]),
            (true, "POST", &[COOKIE, ("origin", "https://shop.example:8443")]),
            (true, "POST", &[COOKIE, ("origin", "https://shop.example.evil.example")]),
            (true, "POST", &[COOKIE, ("origin", "https://evil.example/https://shop.example")]),
            (true, "POST", &[COOKIE, ("origin", "https://shop.example@evil.example")]),
            (true, "POST", &[COOKIE, ("origin", "null")]),
            (true, "POST", &[COOKIE, ("origin", "")]),
            (true, "POST", &[COOKIE, ("origin", "https://evil.example"), ("referer", "https://shop.example/")]),
            (false, "POST", &[COOKIE, ("referer", "https://shop.example/form?x=y")]),
            (false, "POST", &[COOKIE, ("referer", "https://shop.example")]),
            (true, "POST", &[COOKIE, ("referer", "https://evil.example/?https://shop.example/")]),
            (true, "POST", &[COOKIE, ("referer", "https://shop.example.evil.example/")]),
            (false, "POST", &[COOKIE, ("authorization", "Bearer x"), ("sec-fetch-site", "cross-site")]),
            (true, "POST", &[COOKIE, ("authorization", "Basic x"), ("sec-fetch-site", "cross-site")]),
            (true, "POST", &[COOKIE, ("authorization", "NEGOTIATE x"), ("sec-fetch-site", "cross-site")]),
            (false, "POST", &[COOKIE, ("x-api-key", "k"), ("sec-fetch-site", "cross-site")]),
        ];
        for (refused, method, fields) in cases {
            assert_eq!(forged(&all(), method, fields), *refused, "{method} {fields:?}");
        }
    }

    #[test]
    fn the_same_site_may_where_it_is_allowed() {
        let near = [("cookie", "a=b"), ("sec-fetch-site", "same-site")];
        assert!(forged(&all(), "POST", &near));
        assert!(!forged(&Csrf { same_site: true, ..all() }, "POST", &near));
    }

    #[test]
    fn for_sessions_other_cookies_are_nothing_worth_forging() {
        let cookies = Cookies {
            name: "__Host-s".into(),
            same_site: crate::policy::auth::oidc::SameSite::Lax,
            domain: None,
            max_age: None,
            secure: true,
        };
        let csrf = Csrf::for_sessions(vec![cookies]);
        assert!(!forged(&csrf, "POST", &[("cookie", "a=b")]));
        assert!(forged(&csrf, "POST", &[("cookie", "a=b; __Host-s=x")]));
        assert!(forged(&csrf, "POST", &[("cookie", "__Host-s.1=x")]));
    }

    #[test]
    fn an_origin_is_scheme_and_host() {
        for good in ["https://app.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["app.example", "https://app.example/", "https://app.example/x", "*", "null", "https://a:443", "ws://a"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn in_the_shadow_everything_passes() {
        let mut headers = HeaderMap::new();
        headers.insert("cookie", HeaderValue::from_static("a=b"));
        let mut view = RequestView { method: "POST", host: "h", path: "/", query: None, headers: &mut headers };
        let shadow = Csrf { mode: CsrfMode::Shadow, ..all() };
        assert!(shadow.on_request(&mut RequestCx::at(0), &mut view).is_continue());
        assert!(all().on_request(&mut RequestCx::at(0), &mut view).refusal().is_some());
    }
}
