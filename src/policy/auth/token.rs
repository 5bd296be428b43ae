//! Where a bearer token stands in a request, and how it is taken out again.

use crate::request::{Headers, RequestCx, RequestView};
use crate::value::Invalid;
use crate::value::form::text_form;
use http::{HeaderName, HeaderValue, header};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8192;

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// In a field of that name; in `Authorization` after the word `Bearer` (RFC 6750 §2.1).
    Header(HeaderName),
    /// In a cookie of that name.
    Cookie(String),
    /// In a parameter of the query of that name (RFC 6750 §2.3).
    Query(String),
}

impl Default for TokenSource {
    fn default() -> Self {
        Self::Header(header::AUTHORIZATION)
    }
}

impl FromStr for TokenSource {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let hint = "write `header Authorization`, `header X-Token`, `cookie session` or `query access_token`";
        let wrong = || Invalid::new(format!("`{text}` is not a place of a token")).hint(hint);
        let (kind, name) = text.split_once(' ').ok_or_else(wrong)?;
        let is_token = name.parse::<HeaderName>().is_ok();
        match kind {
            "header" => name.parse().map(Self::Header).map_err(|_| wrong()),
            "cookie" if is_token => Ok(Self::Cookie(name.to_owned())),
            "query" if !name.is_empty() => Ok(Self::Query(name.to_owned())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Query(name) => write!(f, "query {name}"),
        }
    }
}

text_form!(TokenSource, "where the token stands: `header X`, `cookie x` or `query x`", {
    "pattern": "^(header|cookie|query) .+$",
    "examples": ["header Authorization", "cookie session", "query access_token"],
});

/// What stands there.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a credential of another kind.
    Absent,
    /// Something that cannot be a token.
    Malformed,
    /// More than one.
    Twice,
    /// A token.
    Token(String),
}

impl TokenSource {
    /// Looks for the token.
    pub fn find(&self, cx: &RequestCx, request: &RequestView<'_>) -> Found {
        let mut found: Vec<String> = Vec::new();
        match self {
            Self::Header(name) => request.headers.each(name, &mut |value| {
                found.extend(of_header(name, value).map(|token| String::from_utf8_lossy(token).into_owned()));
            }),
            Self::Cookie(name) => each_cookie(request.headers, &mut |pair| {
                let value = pair.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('='));
                found.extend(value.map(str::to_owned));
            }),
            Self::Query(name) => {
                let pairs = form_urlencoded::parse(cx.query(request).unwrap_or_default().as_bytes());
                found.extend(pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()));
            }
        }
        match found.as_slice() {
            [] => Found::Absent,
            [token] if is_token(token) => Found::Token(found.swap_remove(0)),
            [_] => Found::Malformed,
            _ => Found::Twice,
        }
    }

    /// Takes the token out of what goes upstream; what else stands there stays.
    pub fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        match self {
            Self::Header(name) => {
                if request.header(name).is_some_and(|value| of_header(name, value).is_some()) {
                    request.headers.remove(name);
                }
            }
            Self::Cookie(name) => strip_cookie(name, request),
            Self::Query(name) => {
                let Some(query) = cx.query(request) else { return };
                let kept: Vec<&str> = query.split('&').filter(|pair| !names(pair, name)).collect();
                if kept.len() != query.split('&').count() {
                    cx.changes.query = Some(kept.join("&").into());
                }
            }
        }
    }
}

/// What stands in a field where tokens stand.
fn of_header<'a>(name: &HeaderName, value: &'a [u8]) -> Option<&'a [u8]> {
    if name != header::AUTHORIZATION {
        return Some(value.trim_ascii());
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    scheme.eq_ignore_ascii_case(b"bearer").then(|| rest.trim_ascii())
}

/// What an access token may be made of (RFC 6749, A.12), without the space.
fn is_token(token: &str) -> bool {
    (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether the token has the shape of a JWT (RFC 7519 §3): three parts in base64url, the first of them a JSON object.
pub fn looks_like_jwt(token: &str) -> bool {
    let word = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    token.starts_with("eyJ") && token.split('.').count() == 3 && token.split('.').all(word)
}

/// Calls `visit` with each `name=value` of the cookies (RFC 6265 §4.2.1).
fn each_cookie(headers: &dyn Headers, visit: &mut dyn FnMut(&str)) {
    headers.each(&header::COOKIE, &mut |line| {
        String::from_utf8_lossy(line).split(';').for_each(|pair| visit(pair.trim()));
    });
}

fn strip_cookie(name: &str, request: &mut RequestView<'_>) {
    let (mut kept, mut dropped) = (Vec::new(), 0);
    each_cookie(request.headers, &mut |pair| {
        if pair.split('=').next() == Some(name) {
            dropped += 1;
        } else if !pair.is_empty() {
            kept.push(pair.to_owned());
        }
    });
    if dropped == 0 {
        return;
    }
    request.headers.remove(&header::COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        request.headers.set(&header::COOKIE, value);
    }
}

/// Whether a pair of a query has that name, however it is written.
fn names(pair: &str, name: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(key, _): (Cow<'_, str>, _)| key == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn view<'a>(headers: &'a mut HeaderMap, query: Option<&'a str>) -> RequestView<'a> {
        RequestView { method: "GET", host: "h", path: "/", query, headers }
    }

    #[test]
    fn finds_a_token_where_it_may_stand_and_nowhere_else() {
        let token = |text: &str| Found::Token(text.into());
        for (source, field, value, found) in [
            ("header Authorization", "authorization", "Bearer a.b", token("a.b")),
            ("header Authorization", "authorization", "bEARER   a", token("a")),
            ("header Authorization", "authorization", "Basic YTpi", Found::Absent),
            ("header Authorization", "authorization", "Bearer", Found::Malformed),
            ("header Authorization", "authorization", "Bearer a b", Found::Malformed),
            ("header Authorization", "authorization", "Bearera", Found::Absent),
            ("header Authorization", "authorization", "Bearer \u{e4}", Found::Malformed),
            ("header Authorization", "x-token", "a", Found::Absent),
            ("header X-Token", "x-token", " a ", token("a")),
            ("cookie s", "cookie", "a=1; s=t; b=2", token("t")),
            ("cookie s", "cookie", "ss=1;  sx=t", Found::Absent),
            ("cookie s", "cookie", "s=1; s=2", Found::Twice),
            ("cookie s", "cookie", "s=", Found::Malformed),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(field), HeaderValue::from_str(value).unwrap());
            let source: TokenSource = source.parse().unwrap();
            assert_eq!(source.find(&RequestCx::at(0), &view(&mut headers, None)), found, "{source} {value}");
        }
        for (query, found) in [
            ("t=a%2Eb&x=1", token("a.b")),
            ("%74=a", token("a")),
            ("t=a&t=b", Found::Twice),
            ("t=a%0Ab", Found::Malformed),
            ("tt=a", Found::Absent),
        ] {
            let source: TokenSource = "query t".parse().unwrap();
            assert_eq!(source.find(&RequestCx::at(0), &view(&mut HeaderMap::new(), Some(query))), found, "{query}");
        }
    }

    #[test]
    fn takes_out_the_token_and_leaves_the_rest() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("a=1; s=t; b=2"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        let mut cx = RequestCx::at(0);
        let mut view = view(&mut headers, Some("x=1&%74=a&y=2"));
        for source in ["cookie s", "query t", "header Authorization"] {
            source.parse::<TokenSource>().unwrap().strip(&mut cx, &mut view);
        }
        assert_eq!(cx.changes.query.as_deref(), Some("x=1&y=2"));
        assert_eq!(headers.get(header::COOKIE).unwrap(), "a=1; b=2");
        assert!(headers.contains_key(header::AUTHORIZATION));
    }

    #[test]
    fn a_jwt_is_told_by_its_shape() {
        assert!(looks_like_jwt("eyJhbGciOiJub25lIn0.e30."));
        for token in ["eyJ", "eyJ.a", "eyJ.a.b.c", "abc.d.e", "eyJ.a!.b"] {
            assert!(!looks_like_jwt(token), "{token}");
        }
    }

    #[test]
    fn refuses_places_that_are_none() {
        for text in ["Authorization", "header", "header a b", "cookie a;b", "body x", "query "] {
            assert!(text.parse::<TokenSource>().is_err(), "{text}");
        }
    }
}
