//! What a route does by its `cache:`, compiled.

use super::condition::Sign;
use super::config::{CacheConfig, CacheMethod, VaryOn};
use super::key::{Place, push};
use super::query::Counting;
use crate::request::{Body, Caller, Headers, RequestCx, RequestView, cookie};
use crate::value::{Network, Problems};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The compiled policy.
#[derive(Debug)]
pub struct Plan {
    /// What gives answers their meaning beside their URL, as a part of every key.
    meaning: Box<[u8]>,
    /// The api, for purges.
    pub(super) api: Arc<str>,
    pub(super) ttl: Option<Duration>,
    pub(super) respect: bool,
    vary: Box<[VaryOn]>,
    counting: Counting,
    heads: bool,
    gets: bool,
    statuses: Box<[(RangeInclusive<u16>, Duration)]>,
    pub(super) max_object: u64,
    pub(super) while_revalidating: Duration,
    pub(super) if_error: Duration,
    pub(super) tags: Box<[Arc<str>]>,
    pub(super) tags_from: HeaderName,
    bypass: Box<[Sign]>,
    types: Box<[Box<str>]>,
    pub(super) set_cookie: bool,
    /// Whether clients may ask for newer answers.
    pub honour_client: bool,
    /// How long a request waits for another that fetches the same.
    pub wait: Duration,
    /// Whether `X-Cache` is sent.
    pub x_cache: bool,
    purge_from: Box<[Network]>,
}

/// What gives the answers of a route their meaning beside their URL: where it changes, what was kept is not found again.
#[derive(Clone, Copy, Debug)]
pub struct Meaning<'a> {
    /// The api; empty for none.
    pub api: &'a str,
    /// The route's key.
    pub route: &'a str,
    /// Its upstreams and what it changes on the way to them, in any form that differs where they do.
    pub upstream: &'a str,
}

/// The most that is compared of a tag or a status range; far above what anybody writes.
const LONGEST_TAG: usize = 256;

impl Plan {
    /// Compiles what is written.
    pub fn compile(written: &CacheConfig, meaning: Meaning<'_>, problems: &mut Problems) -> Self {
        let tags_from = HeaderName::from_bytes(written.tags_from.as_bytes()).unwrap_or_else(|_| {
            problems.error(written.tags_from.place, "this is not the name of a header");
            HeaderName::from_static("surrogate-key")
        });
        for tag in &written.tags {
            if tag.value.is_empty() || tag.value.len() > LONGEST_TAG || tag.value.contains(char::is_whitespace) {
                problems.error(tag.place, "a tag is a word without spaces");
            }
        }
        let mut vary: Vec<VaryOn> = written.vary.iter().map(|on| on.value.clone()).collect();
        vary.sort_by_key(ToString::to_string);
        vary.dedup();
        let mut parts = Vec::new();
        for part in [meaning.api, meaning.route, meaning.upstream] {
            push(&mut parts, part.as_bytes());
        }
        vary.iter().for_each(|on| push(&mut parts, on.to_string().as_bytes()));
        let all = [CacheMethod::Get, CacheMethod::Head];
        let methods = written.methods.as_ref().map_or(&all[..], |methods| methods);
        Self {
            meaning: parts.into(),
            api: meaning.api.into(),
            ttl: written.ttl.map(|ttl| ttl.get()),
            respect: written.respect,
            vary: vary.into(),
            counting: match &written.key {
                None => Counting::All,
                Some(names) => Counting::Only(names.iter().map(|name| name.as_str().into()).collect()),
            },
            heads: methods.contains(&CacheMethod::Head),
            gets: methods.contains(&CacheMethod::Get),
            statuses: statuses(written, problems),
            max_object: written.max_object.get(),
            while_revalidating: written.stale_while_revalidate.get(),
            if_error: written.stale_if_error.get(),
            tags: written.tags.iter().map(|tag| tag.value.as_str().into()).collect(),
            tags_from,
            bypass: written.bypass.iter().map(|sign| sign.value.clone()).collect(),
            types: written.store.types.iter().map(|kind| kind.to_ascii_lowercase().into()).collect(),
            set_cookie: written.store.set_cookie,
            honour_client: written.honour_client,
            wait: written.wait.get(),
            x_cache: written.x_cache,
            purge_from: written.purge_from.iter().map(|network| network.value).collect(),
        }
    }

    /// The field of upstreams' answers that holds tags.
    pub fn tags_field(&self) -> &HeaderName {
        &self.tags_from
    }

    /// Whether requests of that method may be answered from memory.
    pub fn takes(&self, method: &Method) -> bool {
        match *method {
            Method::GET => self.gets,
            Method::HEAD => self.heads,
            _ => false,
        }
    }

    /// Whether the request goes past the cache though its method does not say so.
    pub fn bypass(&self, cx: &RequestCx, headers: &dyn Headers, query: Option<&str>) -> Option<&'static str> {
        if cx.body != Body::None {
            // What a service makes of the body of a GET is nowhere in the key (RFC 9110 §9.3.1).
            return Some("body");
        }
        self.bypass.iter().any(|sign| sign.is_in(headers, query)).then_some("configured")
    }

    /// What becomes of a request, in words.
    pub fn explain(&self, cx: &RequestCx, request: &RequestView<'_>) -> String {
        let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::OPTIONS);
        if !self.takes(&method) {
            return format!("cache: {} goes past it", request.method);
        }
        if let Some(why) = self.bypass(cx, &*request.headers, request.query) {
            return format!("cache: goes past it ({why})");
        }
        let query = self.canonical(request.query).map(|query| format!("?{query}")).unwrap_or_default();
        let shared = match cx.caller() {
            None => "shared by all",
            Some(_) if self.is_keyed_by(cx) => "for this caller alone",
            Some(_) => "shared by all where the upstream says `public` or `s-maxage`, else not kept",
        };
        format!("cache: looked up at {}{query}; {shared}", request.path)
    }

    /// The query in the form of the key, in which the upstream gets it too.
    pub fn canonical<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        self.counting.canonical(query)
    }

    /// Whether the key of a request names its caller.
    pub fn is_keyed_by(&self, cx: &RequestCx) -> bool {
        cx.caller().is_some() && self.vary.contains(&VaryOn::Consumer)
    }

    /// The text of the key of a request.
    pub fn key(&self, place: &Place<'_>, cx: &RequestCx, headers: &HeaderMap) -> Vec<u8> {
        let mut text = place.begin(self.meaning.len() + 32);
        text.extend_from_slice(&self.meaning);
        for on in &self.vary {
            match on {
                VaryOn::Consumer => match cx.caller() {
                    Some(caller) => push_caller(&mut text, caller),
                    None => push(&mut text, b"nobody"),
                },
                VaryOn::Header(name) => {
                    headers.get_all(name).iter().for_each(|value| push(&mut text, value.as_bytes()));
                    push(&mut text, b"");
                }
                VaryOn::Cookie(name) => match cookie(headers, name) {
                    Some(value) => {
                        push(&mut text, b"=");
                        push(&mut text, &value);
                    }
                    None => push(&mut text, b""),
                },
            }
        }
        text
    }

    /// How long an answer of that status is kept by the configuration.
    pub(super) fn lifetime_of(&self, status: StatusCode) -> Option<Duration> {
        let status = status.as_u16();
        let listed = self.statuses.iter().find(|(range, _)| range.contains(&status)).map(|(_, lifetime)| *lifetime);
        // What is not found now may be there in a moment: refusals need a line of their own.
        listed.or(self.ttl.filter(|_| matches!(status, 200 | 203 | 204 | 300 | 301 | 308)))
    }

    pub(super) fn keeps_type(&self, kind: &[u8]) -> bool {
        let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let fits = |wanted: &str| match wanted.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix.as_bytes()),
            None => kind == wanted.as_bytes(),
        };
        self.types.is_empty() || self.types.iter().any(|wanted| fits(wanted))
    }

    /// Whether a client may purge.
    pub fn may_purge(&self, client: IpAddr) -> bool {
        self.purge_from.iter().any(|network| network.contains(&client))
    }

    /// The policy in one line of the plan that `explain` prints.
    pub fn describe(&self) -> String {
        let mut text = "cache".to_owned();
        match (self.ttl, self.respect) {
            (Some(ttl), true) => text.push_str(&format!(" {ttl:?} where the upstream does not say")),
            (Some(ttl), false) => text.push_str(&format!(" {ttl:?} whatever the upstream says")),
            (None, _) => text.push_str(" as the upstream says"),
        }
        if !self.vary.is_empty() {
            let on: Vec<String> = self.vary.iter().map(ToString::to_string).collect();
            text.push_str(&format!(", by {}", on.join(", ")));
        }
        if let Counting::Only(names) = &self.counting {
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            text.push_str(&format!(", of the query {names}"));
        }
        for (range, lifetime) in &self.statuses {
            let (first, last) = (range.start(), range.end());
            let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
            text.push_str(&format!(", {range} for {lifetime:?}"));
        }
        for (span, when) in [(self.while_revalidating, "renewed"), (self.if_error, "the upstream fails")] {
            if !span.is_zero() {
                text.push_str(&format!(", {span:?} longer while {when}"));
            }
        }
        text
    }
}

/// Who calls, and what its credential brings: another one of the same consumer may allow less, or tell the upstream else.
fn push_caller(text: &mut Vec<u8>, caller: &Caller) {
    push(text, b"caller");
    push(text, caller.provider.as_bytes());
    push(text, caller.id.as_bytes());
    let mut scopes: Vec<&str> = caller.scopes.iter().map(|scope| &**scope).collect();
    scopes.sort_unstable();
    push(text, scopes.join(" ").as_bytes()); // a scope has no spaces (RFC 6749 §3.3)
    for (name, value) in caller.told_fields() {
        push(text, name.as_str().as_bytes());
        push(text, value.as_bytes());
    }
    push(text, b"");
}

fn statuses(written: &CacheConfig, problems: &mut Problems) -> Box<[(RangeInclusive<u16>, Duration)]> {
    let mut all = Vec::new();
    for (name, lifetime) in written.statuses.iter() {
        let text = name.value.as_str();
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
        match range.filter(|(first, last)| first <= last && *first >= 200 && *last <= 599) {
            Some((206 | 304, 206 | 304)) | None => {
                problems.error(name.place, format!("answers of status `{text}` cannot be kept")).hint(
                    "write a status from 200 to 599 or a range such as `500-599`; 206 and 304 are parts of others",
                );
            }
            Some((first, last)) => all.push((first..=last, lifetime.get())),
        }
    }
    all.sort_by_key(|(range, _)| range.end() - range.start()); // the narrower says more
    all.into()
}
