//! `cors`: which pages of other origins may call a route, and read what it answers (Fetch, "CORS protocol").
//!
//! Stage: Preflight. Hooks: on the head, where preflights are answered before anyone asks for credentials, and WebSocket
//! handshakes from unlisted origins are refused (browsers do not apply CORS to them); on every answer, the gateway's own
//! too, or a browser could not tell a 401 from a broken network. A preflight reaches the route of the method it asks
//! about, unless a written OPTIONS route takes it. Nothing is carried over a reload. Fails closed: an origin that is not
//! listed gets no field, whatever the upstream says. Example: `conf/browsers.yaml`.

mod config;
mod origin;
mod preflight;

pub use config::{CorsConfig, OthersConfig};
pub use origin::{OriginPattern, Origins};
pub use preflight::Preflight;

use super::{ChainBuilder, Decision, OnRequest, OnResponse, Seen, Setup, Stage};
use crate::reply::{Fixed, Reason, Reply};
use crate::request::{Headers, HeadersMut, RequestCx, RequestView, ResponseView, Scheme};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HOST, ORIGIN, UPGRADE, VARY,
};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::borrow::Cow;
use std::sync::Arc;

const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");
/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What every field of the protocol begins with.
const PREFIX: &str = "access-control-";
/// What an answer to a preflight depends on.
const PREFLIGHT_VARY: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
);
const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Who answers the preflights that reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preflights {
    /// The gateway.
    Answered,
    /// Whoever stands behind the route: it has no `cors`, or is written for OPTIONS by name.
    Passed,
}

/// What becomes of requests from pages of origins that are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They pass, and get no field.
    Pass,
    /// 403.
    Refuse,
}

/// Names that pages may use.
#[derive(Clone, Debug)]
pub enum Allowed {
    /// Whatever is asked for.
    Any,
    /// These and no others.
    These {
        /// As they are compared.
        names: Box<[Box<str>]>,
        /// All of them, as a field value.
        value: HeaderValue,
    },
}

/// The compiled policy.
pub struct Cors {
    origins: Origins,
    methods: Allowed,
    headers: Allowed,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: HeaderValue,
    private_network: bool,
    others: Others,
    preflights: Preflights,
}

impl Cors {
    /// Adds the policy's hooks to a route.
    pub fn attach(self, chain: &mut ChainBuilder) {
        let hook = Arc::new(self);
        chain.on_request(Stage::Preflight, hook.clone());
        chain.on_response(Stage::Preflight, Seen::Always, hook);
    }

    /// Whether every answer is the same, whoever asks.
    fn is_constant(&self) -> bool {
        self.origins.any && !self.credentials
    }

    /// The answer to a preflight: 204 with what is allowed, or 403 that says what is not. A browser looks at the fields
    /// alone and refuses either way; the status is for people who look.
    fn answer(&self, origin: &[u8], asked: &Preflight<'_>) -> Result<Fixed, Cow<'static, str>> {
        if !self.origins.contains(origin) {
            return Err(Reason::CorsDenied.detail().into());
        }
        let mut fields = vec![(VARY, PREFLIGHT_VARY)];
        if self.is_constant() {
            fields.push((ACCESS_CONTROL_ALLOW_ORIGIN, ANY));
        } else if let Ok(origin) = HeaderValue::from_bytes(origin) {
            fields.push((ACCESS_CONTROL_ALLOW_ORIGIN, origin));
        }
        fields.push((ACCESS_CONTROL_ALLOW_METHODS, self.methods_for(asked.method)?));
        let requested = asked.fields();
        if !requested.is_empty() {
            fields.push((ACCESS_CONTROL_ALLOW_HEADERS, self.headers_for(&requested)?));
        }
        if self.credentials {
            fields.push((ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE));
        }
        if self.private_network && asked.enters_private_network() {
            fields.push((ALLOW_PRIVATE_NETWORK, TRUE));
        }
        fields.push((ACCESS_CONTROL_MAX_AGE, self.max_age.clone()));
        Ok(Fixed { status: StatusCode::NO_CONTENT, fields, body: Bytes::new() })
    }

    /// The methods to name. Without a list it is the one that is asked for: the route was found by it.
    fn methods_for(&self, asked: &[u8]) -> Result<HeaderValue, Cow<'static, str>> {
        let asked = Method::from_bytes(asked).map_err(|_| "What the preflight asks for is not a method.")?;
        match &self.methods {
            Allowed::Any => HeaderValue::from_str(asked.as_str()).map_err(|_| Reason::CorsDenied.detail().into()),
            Allowed::These { names, value } if names.iter().any(|name| **name == *asked.as_str()) => Ok(value.clone()),
            Allowed::These { .. } => Err(format!("Pages of other origins may not use the method {asked} here.").into()),
        }
    }

    fn headers_for(&self, requested: &[String]) -> Result<HeaderValue, Cow<'static, str>> {
        for name in requested {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err("What the preflight asks for is not a list of header fields.".into());
            }
            if let Allowed::These { names, .. } = &self.headers
                && !names.iter().any(|known| **known == **name)
            {
                return Err(format!("Pages of other origins may not send the header field {name} here.").into());
            }
        }
        match &self.headers {
            Allowed::These { value, .. } => Ok(value.clone()),
            Allowed::Any => HeaderValue::try_from(requested.join(", ")).map_err(|_| Reason::CorsDenied.detail().into()),
        }
    }

    /// Decides on a request from a page of an origin that is not listed.
    fn other(&self, origin: &[u8], cx: &mut RequestCx, request: &RequestView<'_>) -> Decision {
        let opens_socket = request.header(&UPGRADE).is_some();
        if !opens_socket && self.others == Others::Pass {
            cx.note(|| "the origin is not listed: the answer will not say that its pages may read it".to_owned());
            return Decision::Continue;
        }
        if is_same_origin(origin, cx.scheme, request) {
            cx.note(|| "the origin is this site itself".to_owned());
            return Decision::Continue;
        }
        cx.note(|| "the origin is not listed".to_owned());
        Decision::reply(Reason::CorsDenied)
    }
}

/// The origin of the page that makes a request; nothing may be allowed to a request with several.
fn origin_of(headers: &dyn Headers) -> Option<&[u8]> {
    let mut count = 0_usize;
    headers.each(&ORIGIN, &mut |_| count += 1);
    match count {
        0 | 1 => headers.first(&ORIGIN),
        _ => Some(b""),
    }
}

/// Whether a page of this very site makes the request: browsers send `Origin` then too. They say so in a field that no
/// page can set; older ones do not, and are known by the host. A page that came over plain HTTP is not one of a site
/// behind TLS.
fn is_same_origin(origin: &[u8], scheme: Scheme, request: &RequestView<'_>) -> bool {
    if request.header(&SEC_FETCH_SITE) == Some(b"same-origin") {
        return true;
    }
    let authority = match scheme {
        Scheme::Https => origin.strip_prefix(b"https://"),
        Scheme::Http => origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://")),
    };
    // Over HTTP/2 there may be no Host field; the host alone is known then, without a port.
    let host = request.header(&HOST).unwrap_or(request.host.as_bytes());
    authority.is_some_and(|authority| !authority.is_empty() && authority.eq_ignore_ascii_case(host))
}

/// Adds a name to `Vary`, unless it is there.
fn vary_by_origin(headers: &mut dyn HeadersMut) {
    let mut varies = false;
    headers.each(&VARY, &mut |line| {
        let mut names = line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        varies |= names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"origin"));
    });
    if !varies {
        headers.append(&VARY, HeaderValue::from_static("Origin"));
    }
}

/// Takes away what others said in fields of the protocol.
fn remove_fields(headers: &mut dyn HeadersMut) {
    let mut found: Vec<HeaderName> = Vec::new();
    headers.all(&mut |name, _| {
        if name.as_str().starts_with(PREFIX) {
            found.push(name.clone());
        }
    });
    for name in &found {
        headers.remove(name);
    }
}

impl OnRequest for Cors {
    fn describe(&self) -> String {
        let credentials = if self.credentials { ", with credentials" } else { "" };
        let preflights = if self.preflights == Preflights::Passed { ", preflights passed on" } else { "" };
        let others = if self.others == Others::Refuse { ", others refused" } else { "" };
        format!("cors for {}{credentials}{preflights}{others}", self.origins)
    }

    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let headers: &dyn Headers = request.headers;
        let Some(origin) = origin_of(headers) else { return Decision::Continue };
        if let Some(asked) = Preflight::of(request.method, headers) {
            if self.preflights == Preflights::Passed {
                return Decision::Continue;
            }
            return match self.answer(origin, &asked) {
                Ok(fixed) => Decision::answer(fixed),
                Err(detail) => Decision::reply(Reply::new(Reason::CorsDenied).detail(detail)),
            };
        }
        if self.origins.contains(origin) {
            cx.note(|| "the origin is listed".to_owned());
            return Decision::Continue;
        }
        let origin = origin.to_vec();
        self.other(&origin, cx, request)
    }
}

impl OnResponse for Cors {
    fn on_response(&self, _cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        if Preflight::of(response.request.method, response.request.headers).is_some() {
            return; // it has been answered whole, here or by the route that is written for it
        }
        remove_fields(response.headers);
        if self.is_constant() {
            response.headers.set(&ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        } else {
            vary_by_origin(response.headers);
            let listed = origin_of(response.request.headers).filter(|origin| self.origins.contains(origin));
            let Some(Ok(origin)) = listed.map(HeaderValue::from_bytes) else { return };
            response.headers.set(&ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if self.credentials {
                response.headers.set(&ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
            }
        }
        if let Some(expose) = &self.expose {
            response.headers.set(&ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

impl CorsConfig {
    /// Compiles what is written and adds the policy's hooks to a route.
    pub fn attach(&self, preflights: Preflights, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        self.compile(preflights, setup).attach(chain);
    }
}

#[cfg(test)]
mod tests;
