//! The header fields of an answer that is made of several.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::collections::BTreeSet;

/// Fields that are taken from several answers: all cookies, one `Vary`, the caching of the least cacheable.
///
/// Where a part is missing the answer is not to be kept at all.
pub fn united<'a>(parts: impl Iterator<Item = &'a HeaderMap> + Clone, partial: bool) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = Vec::new();
    for part in parts.clone() {
        for cookie in part.get_all(header::SET_COOKIE) {
            fields.push((header::SET_COOKIE, cookie.clone()));
        }
    }
    if let Some(vary) = vary(parts.clone()) {
        fields.push((header::VARY, vary));
    }
    let caching = if partial { Some(HeaderValue::from_static("no-store")) } else { caching(parts) };
    fields.extend(caching.map(|value| (header::CACHE_CONTROL, value)));
    fields
}

/// All names that any part varies by (RFC 9110 §12.5.5).
fn vary<'a>(parts: impl Iterator<Item = &'a HeaderMap>) -> Option<HeaderValue> {
    let lines = parts.flat_map(|part| part.get_all(header::VARY)).filter_map(|line| line.to_str().ok());
    let names: BTreeSet<String> =
        lines.flat_map(|line| line.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
    if names.contains("*") {
        return Some(HeaderValue::from_static("*"));
    }
    // How a part was coded on its way here says nothing of the answer.
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !name.is_empty() && *name != "accept-encoding").collect();
    HeaderValue::from_str(&names.join(", ")).ok().filter(|line| !line.is_empty())
}

/// What may be kept of one part (RFC 9111 §5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Keep {
    NoStore,
    NoCache,
    Private(u64),
    Public(u64),
    /// It does not say.
    Unsaid,
}

/// The least that any part allows; nothing is said where a part says nothing and none forbids.
fn caching<'a>(parts: impl Iterator<Item = &'a HeaderMap>) -> Option<HeaderValue> {
    let all: Vec<Keep> = parts.map(keep_of).collect();
    let least = all.iter().min()?;
    let (mut age, mut private, mut unsaid) = (u64::MAX, false, false);
    for keep in &all {
        match keep {
            Keep::Private(seconds) => (age, private) = (age.min(*seconds), true),
            Keep::Public(seconds) => age = age.min(*seconds),
            Keep::Unsaid => unsaid = true,
            Keep::NoStore | Keep::NoCache => {}
        }
    }
    match (least, private, unsaid) {
        (Keep::NoStore, _, _) => Some(HeaderValue::from_static("no-store")),
        (Keep::NoCache, _, _) => Some(HeaderValue::from_static("no-cache")),
        (_, true, true) => Some(HeaderValue::from_static("private")),
        (_, false, true) => None,
        (_, true, false) => HeaderValue::from_str(&format!("private, max-age={age}")).ok(),
        (_, false, false) => HeaderValue::from_str(&format!("max-age={age}")).ok(),
    }
}

fn keep_of(part: &HeaderMap) -> Keep {
    let lines = part.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives: Vec<String> =
        lines.flat_map(|line| line.split(',')).map(|directive| directive.trim().to_ascii_lowercase()).collect();
    let has = |name: &str| directives.iter().any(|own| own == name || own.starts_with(&format!("{name}=")));
    if has("no-store") {
        return Keep::NoStore;
    }
    if has("no-cache") {
        return Keep::NoCache;
    }
    let age = directives.iter().find_map(|own| own.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    // The time the part has spent elsewhere is not to be spent again (§5.1).
    let spent: u64 = part.get(header::AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or_default();
    match age.map(|age: u64| age.saturating_sub(spent)) {
        Some(age) if has("private") => Keep::Private(age),
        Some(age) => Keep::Public(age),
        None if has("private") => Keep::Private(0),
        None => Keep::Unsaid,
    }
}
