//! Whether an answer may be kept, and how long it is good for: pure rules over its head (RFC 9111 §3 and §4.2).

use super::control::{directives, is_targeted};
use super::plan::Plan;
use super::vary::Vary;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora_cache::cache_control::CacheControl;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A lifetime that is guessed by `Last-Modified` is at most this long.
const LONGEST_GUESS: Duration = Duration::from_secs(24 * 3_600);
/// And at most this share of what has passed since then (RFC 9111 §4.2.2: "a typical setting").
const SHARE_OF_GUESS: u32 = 10;
/// A longer lifetime is as good as any (RFC 9111 §1.2.2).
const FOREVER: Duration = Duration::from_secs(1 << 31);

/// An answer as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// When it arrived.
    pub arrived: SystemTime,
    /// How long the upstream took.
    pub delay: Duration,
    /// Whether only those may have it whose credentials were checked, or are checked by the upstream.
    pub authenticated: bool,
    /// Whether its key names the caller.
    pub keyed_by_caller: bool,
}

/// How an answer may be used that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long it is fresh from when it was made.
    pub lifetime: Duration,
    /// How old it is already.
    pub age: Duration,
    /// How long after its time it may be given while a new one is fetched.
    pub while_revalidating: Duration,
    /// How long after its time it may be given because the upstream fails.
    pub if_error: Duration,
    /// Whether it may never be given out of date (`must-revalidate`, `proxy-revalidate`, `no-cache`).
    pub strict: bool,
}

/// Why an answer is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its status is part of something, or not final.
    Status,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// It answers a request with credentials and does not say that others may have it.
    Authorization,
    /// It sets cookies.
    SetCookie,
    /// `Vary: *`, or a `Vary` that is none.
    Vary,
    /// It has trailers, which are not kept.
    Trailers,
    /// Its media type is not among those that are kept.
    Type,
    /// Nobody says how long it is good for.
    Lifetime,
    /// It is out of date already, and nothing could renew it.
    Stale,
    /// It is larger than what is kept.
    Size,
}

impl Refused {
    /// In a word, for `Cache-Status` and the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Trailers => "trailers",
            Self::Type => "type",
            Self::Lifetime => "no-lifetime",
            Self::Stale => "stale",
            Self::Size => "size",
        }
    }
}

/// Whether an answer may be kept on these terms.
///
/// # Errors
/// Why it may not.
pub fn judge(plan: &Plan, answer: &Answer<'_>) -> Result<Terms, Refused> {
    let headers = answer.headers;
    let said = directives(headers).filter(|_| plan.respect);
    let said = said.as_ref();
    may_be_kept(plan, answer, said)?;
    // With names in it, `no-cache` holds for these fields; asking each time is always allowed (§5.2.2.4).
    let no_cache = said.is_some_and(|said| said.has_key("no-cache"));
    let strict = no_cache || said.is_some_and(|said| said.must_revalidate() || said.proxy_revalidate());
    let age = initial_age(answer);
    let lifetime = if no_cache { Some(Duration::ZERO) } else { lifetime(plan, answer, said) };
    let lifetime = lifetime.ok_or(Refused::Lifetime)?;
    // `s-maxage` forbids what the configuration would allow, not what the upstream allows beside it (RFC 5861).
    let shared = said.is_some_and(|said| said.has_key("s-maxage"));
    let stale = |told: Option<Duration>, written: Duration| match told {
        _ if strict => Duration::ZERO,
        Some(told) => told,
        None if shared => Duration::ZERO,
        None => written,
    };
    let seconds = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let told = said.and_then(|said| seconds(said.stale_while_revalidate().ok().flatten()));
    let while_revalidating = stale(told, plan.while_revalidating);
    let told = said.and_then(|said| seconds(said.stale_if_error().ok().flatten()));
    let if_error = stale(told, plan.if_error);
    let renewable = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    if lifetime <= age && !renewable && if_error.is_zero() && while_revalidating.is_zero() {
        return Err(Refused::Stale);
    }
    Ok(Terms { lifetime, age, while_revalidating, if_error, strict })
}

/// RFC 9111 §3, the lifetime apart.
fn may_be_kept(plan: &Plan, answer: &Answer<'_>, said: Option<&CacheControl>) -> Result<(), Refused> {
    let Answer { status, headers, .. } = answer;
    let part = matches!(*status, StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED);
    if status.is_informational() || part || headers.contains_key(header::CONTENT_RANGE) {
        return Err(Refused::Status);
    }
    if let Some(said) = said {
        // Who understands the status may pass over `no-store` (§5.2.2.3).
        let understood = said.has_key("must-understand");
        if understood && !is_understood(*status) {
            return Err(Refused::Status);
        }
        if said.no_store() && !understood {
            return Err(Refused::NoStore);
        }
        // With names in it, the rest might be kept; not keeping it is always allowed (§5.2.2.7).
        if said.has_key("private") {
            return Err(Refused::Private);
        }
    }
    if answer.authenticated && !answer.keyed_by_caller {
        let shared = said.is_some_and(|said| said.public() || said.has_key("s-maxage"));
        if !shared {
            return Err(Refused::Authorization);
        }
    }
    if headers.contains_key(header::SET_COOKIE) && !plan.set_cookie {
        return Err(Refused::SetCookie);
    }
    if Vary::of(headers).is_none() {
        return Err(Refused::Vary);
    }
    if headers.contains_key(header::TRAILER) {
        return Err(Refused::Trailers);
    }
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !plan.keeps_type(kind) {
        return Err(Refused::Type);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > plan.max_object) {
        return Err(Refused::Size);
    }
    Ok(())
}

/// How long an answer is fresh (§4.2.1, §4.2.2); `None` where nobody says.
fn lifetime(plan: &Plan, answer: &Answer<'_>, said: Option<&CacheControl>) -> Option<Duration> {
    let written = plan.lifetime_of(answer.status);
    if !plan.respect
        && let Some(written) = written
    {
        return Some(written);
    }
    // What is said and cannot be read is out of date (§4.2.1).
    let seconds = |said: &CacheControl, name, read: fn(&CacheControl) -> pingora_core::Result<Option<u32>>| {
        said.has_key(name).then(|| Duration::from_secs(read(said).ok().flatten().unwrap_or(0).into()))
    };
    let told = said.and_then(|said| {
        seconds(said, "s-maxage", CacheControl::s_maxage).or_else(|| seconds(said, "max-age", CacheControl::max_age))
    });
    let expires = || if is_targeted(answer.headers) { None } else { expires(answer) };
    let public = said.is_some_and(CacheControl::public);
    told.or_else(expires).or(written).or_else(|| guess(plan, answer, public)).map(|lifetime| lifetime.min(FOREVER))
}

/// `Expires` less `Date` (§5.3): several, or what is no date, are in the past.
fn expires(answer: &Answer<'_>) -> Option<Duration> {
    let mut fields = answer.headers.get_all(header::EXPIRES).iter();
    let first = fields.next()?;
    let at = date(first).filter(|_| fields.next().is_none());
    let made = date_of(answer.headers, &header::DATE).unwrap_or(answer.arrived);
    Some(at.and_then(|at| at.duration_since(made).ok()).unwrap_or_default())
}

/// A tenth of what has passed since it was changed (§4.2.2), where the configuration gives no lifetime of its own.
fn guess(plan: &Plan, answer: &Answer<'_>, public: bool) -> Option<Duration> {
    if plan.ttl.is_some() || !(public || is_guessable(answer.status)) {
        return None;
    }
    let made = date_of(answer.headers, &header::DATE).unwrap_or(answer.arrived);
    let since = made.duration_since(date_of(answer.headers, &header::LAST_MODIFIED)?).ok()?;
    Some((since / SHARE_OF_GUESS).min(LONGEST_GUESS))
}

/// The age of an answer as it arrives (§4.2.3).
fn initial_age(answer: &Answer<'_>) -> Duration {
    let told = answer.headers.get(header::AGE).and_then(|age| age.to_str().ok()).and_then(|age| {
        // Of several, the first counts; what is no number is passed over (§5.1).
        let first = age.split(',').next()?.trim();
        first
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| first.parse::<u64>().unwrap_or(u64::MAX))
            .filter(|_| !first.is_empty())
    });
    let told = told.map_or(Duration::ZERO, |age| Duration::from_secs(age).min(FOREVER));
    let made = date_of(answer.headers, &header::DATE);
    let apparent = made.and_then(|made| answer.arrived.duration_since(made).ok()).unwrap_or_default();
    // Dates have seconds only: less than one says nothing.
    let apparent = Duration::from_secs(apparent.as_secs());
    apparent.max(told + answer.delay).min(FOREVER)
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

fn date_of(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    headers.get(name).and_then(date)
}

/// Statuses whose answers may be kept though nobody says how long (RFC 9110 §15.1).
fn is_guessable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// Statuses whose meaning for caches is known here: those of RFC 9110, partial ones apart.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// The fields of a stored answer after a 304 has confirmed it (§3.2): those of the 304 take the place of its own, save for
/// those that tell of its body.
pub fn merge(stored: &mut HeaderMap, news: &HeaderMap) {
    const OF_THE_BODY: [HeaderName; 4] =
        [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_RANGE, header::CONTENT_TYPE];
    for name in news.keys().filter(|name| !OF_THE_BODY.contains(name)) {
        stored.remove(name);
        for value in news.get_all(name) {
            stored.append(name, value.clone());
        }
    }
}

/// Takes from the fields of an answer what is not kept: what is for one connection, what is said anew each time, and what
/// only this cache is meant to read.
pub fn stored_head(plan: &Plan, headers: &mut HeaderMap) {
    const NEVER: [HeaderName; 10] = [
        header::CONNECTION,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::AGE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
        HeaderName::from_static("proxy-authentication-info"),
    ];
    let nominated: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|connection| connection.as_bytes().split(|byte| *byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| *name != header::CONTENT_LENGTH)
        .collect();
    for name in nominated.iter().chain(&NEVER) {
        headers.remove(name);
    }
    headers.remove(&plan.tags_from);
}

/// The tags of an answer: the route's, and those its own field names.
pub fn tags_of(plan: &Plan, headers: &HeaderMap) -> Box<[Arc<str>]> {
    const MOST: usize = 128;
    const LONGEST: usize = 256;
    let named = headers.get_all(&plan.tags_from).iter().flat_map(|value| {
        let text = value.to_str().unwrap_or_default();
        text.split([' ', '\t', ',']).filter(|tag| !tag.is_empty() && tag.len() <= LONGEST)
    });
    let mut tags: Vec<Arc<str>> = plan.tags.iter().cloned().chain(named.take(MOST).map(Arc::from)).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.into()
}
