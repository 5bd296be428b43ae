//! Where a bearer token stands in a request, and how it is taken out again.

use super::place::{self, CredentialPlace};
use crate::request::{RequestCx, RequestView};
use crate::value::Invalid;
use crate::value::form::text_form;
use http::{HeaderName, header};
use std::fmt;
use std::str::FromStr;

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 8192;

/// Where a token stands: in `Authorization` after the word `Bearer` (RFC 6750 §2.1), in another field or a cookie as it is,
/// or in a parameter of the query (RFC 6750 §2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource(CredentialPlace);

impl TokenSource {
    fn header(name: HeaderName) -> Self {
        Self(match name {
            header::AUTHORIZATION => CredentialPlace::Scheme(name, "Bearer".into()),
            name => CredentialPlace::Header(name),
        })
    }
}

impl Default for TokenSource {
    fn default() -> Self {
        Self::header(header::AUTHORIZATION)
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
            "header" => name.parse().map(Self::header).map_err(|_| wrong()),
            "cookie" if is_token => Ok(Self(CredentialPlace::Cookie(name.into()))),
            "query" if !name.is_empty() => Ok(Self(CredentialPlace::Query(name.into()))),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            CredentialPlace::Header(name) | CredentialPlace::Scheme(name, _) => write!(f, "header {name}"),
            CredentialPlace::Cookie(name) => write!(f, "cookie {name}"),
            CredentialPlace::Query(name) => write!(f, "query {name}"),
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
        match self.0.find(cx, request) {
            place::Found::Nothing => Found::Absent,
            place::Found::Several => Found::Twice,
            place::Found::One(token) => match String::from_utf8(token.into_vec()) {
                Ok(token) if is_token(&token) => Found::Token(token),
                _ => Found::Malformed,
            },
        }
    }

    /// The parameter of the query it stands in, if it is one: its value must never be logged.
    pub fn query(&self) -> Option<&str> {
        match &self.0 {
            CredentialPlace::Query(name) => Some(name),
            CredentialPlace::Header(_) | CredentialPlace::Scheme(..) | CredentialPlace::Cookie(_) => None,
        }
    }

    /// Takes the token out of what goes upstream; what else stands there stays.
    pub fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.0.strip(cx, request);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

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
