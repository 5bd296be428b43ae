//! Where a key may stand: finding it, and taking it out.

use crate::request::{Headers, RequestCx, RequestView};
use http::{HeaderName, HeaderValue, header};
use percent_encoding::percent_decode;
use smallvec::SmallVec;

/// A key as it was found; most are short.
type KeyBytes = SmallVec<[u8; 64]>;

/// A place for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A header field, after a word where there is one.
    Header { name: HeaderName, prefix: Option<Box<str>> },
    /// A query parameter.
    Query(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
}

/// What was found in all places so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Found {
    #[default]
    Nothing,
    /// One key.
    Key(KeyBytes),
    /// More than one, the same or not.
    More,
}

impl Found {
    fn add(&mut self, key: impl IntoIterator<Item = u8>) {
        *self = match self {
            Self::Nothing => Self::Key(key.into_iter().collect()),
            Self::Key(_) | Self::More => Self::More,
        };
    }
}

impl Place {
    /// Looks for keys here. A key that is empty is one too.
    pub fn look(&self, cx: &RequestCx, request: &RequestView<'_>, found: &mut Found) {
        match self {
            Self::Header { name, prefix } => Headers::each(request.headers, name, &mut |value| {
                if let Some(key) = after(prefix.as_deref(), value) {
                    found.add(key.iter().copied());
                }
            }),
            Self::Query(name) => {
                for pair in pairs(cx.query(request)) {
                    if named(pair, name) {
                        let value = pair.split_once('=').map_or("", |(_, value)| value);
                        found.add(decoded(value));
                    }
                }
            }
            Self::Cookie(name) => Headers::each(request.headers, &header::COOKIE, &mut |line| {
                for pair in line.split(|byte| *byte == b';') {
                    if let Some(value) = cookie(pair, name) {
                        found.add(value.iter().copied());
                    }
                }
            }),
        }
    }

    /// Takes the keys out, and nothing else.
    pub fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        match self {
            Self::Header { name, prefix } => {
                let mut holds = false;
                Headers::each(request.headers, name, &mut |value| holds |= after(prefix.as_deref(), value).is_some());
                if holds {
                    request.headers.remove(name);
                }
            }
            Self::Query(name) => {
                let query = cx.query(request).unwrap_or_default();
                if pairs(Some(query)).any(|pair| named(pair, name)) {
                    let kept: Vec<&str> = query.split('&').filter(|pair| !named(pair, name)).collect();
                    cx.changes.query = Some(kept.join("&").into());
                }
            }
            Self::Cookie(name) => strip_cookie(name, request),
        }
    }
}

/// The key in a field's value; nothing where another word stands before it.
fn after<'a>(prefix: Option<&str>, value: &'a [u8]) -> Option<&'a [u8]> {
    let Some(prefix) = prefix else { return Some(value.trim_ascii()) };
    let (word, rest) = value.trim_ascii().split_at_checked(prefix.len())?;
    // Schemes are told apart whatever their case (RFC 9110 §11.1), and end where a blank begins.
    let ends = rest.is_empty() || rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    (ends && word.eq_ignore_ascii_case(prefix.as_bytes())).then(|| rest.trim_ascii())
}

fn pairs(query: Option<&str>) -> impl Iterator<Item = &str> {
    query.into_iter().flat_map(|query| query.split('&'))
}

/// Whether a pair is of that name, however it is spelled.
fn named(pair: &str, name: &str) -> bool {
    let written = pair.split('=').next().unwrap_or_default();
    match written.contains(['%', '+']) {
        false => written == name,
        true => decoded(written).eq(name.bytes()),
    }
}

/// The bytes of a part of a query: `+` is a blank, `%41` is `A` (WHATWG URL, "application/x-www-form-urlencoded").
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let blanks = text.split('+').enumerate();
    blanks.flat_map(|(at, part)| (at > 0).then_some(b' ').into_iter().chain(percent_decode(part.as_bytes())))
}

/// The value of a cookie pair of that name (RFC 6265 §5.4), without quotes around it.
fn cookie<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let value =
        pair.trim_ascii_start().strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some(inner.unwrap_or(value))
}

fn strip_cookie(name: &str, request: &mut RequestView<'_>) {
    let (mut lines, mut found) = (Vec::new(), false);
    Headers::each(request.headers, &header::COOKIE, &mut |line| {
        let parts: Vec<&[u8]> = line.split(|byte| *byte == b';').collect();
        let kept: Vec<&[u8]> = parts.iter().copied().filter(|pair| cookie(pair, name).is_none()).collect();
        found |= kept.len() < parts.len();
        lines.push(kept.join(&b';').trim_ascii().to_vec());
    });
    if !found {
        return;
    }
    request.headers.remove(&header::COOKIE);
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        // Parts of a legal value make a legal value; one that is not would be better lost than sent with the key in it.
        if let Ok(value) = HeaderValue::from_bytes(&line) {
            request.headers.append(&header::COOKIE, value);
        }
    }
}

/// Whether a cookie can be of that name (RFC 6265 §4.1.1: a token).
pub(super) fn is_cookie_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
