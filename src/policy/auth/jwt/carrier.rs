//! Where a token stands in a request, and how it is taken out of it.

use crate::policy::auth::place::{is_named, strip_cookie, without};
use crate::request::{Headers, RequestCx, RequestView, cookies};
use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE};
use std::borrow::Cow;

/// Where tokens may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriers {
    /// A header field.
    pub header: Option<HeaderName>,
    /// A cookie, by its name.
    pub cookie: Option<Box<str>>,
    /// A parameter of the query, by its name.
    pub query: Option<Box<str>>,
}

/// What a request brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// No token.
    Nothing,
    /// One.
    Token(String),
    /// Something in its place that is none.
    Unreadable,
    /// More than one; the sentence says where.
    Several(&'static str),
}

use Brought::{Nothing, Several, Token, Unreadable};

const TWO_PLACES: &str = "tokens stand in more than one place";

impl Carriers {
    /// Looks for the token.
    pub fn find(&self, cx: &RequestCx, request: &RequestView<'_>) -> Brought {
        let header = self.header.as_ref().map_or(Nothing, |name| in_header(request.headers, name));
        let cookie = self.cookie.as_ref().map_or(Nothing, |name| in_cookies(request.headers, name));
        let query = self.query.as_ref().map_or(Nothing, |name| in_query(cx.query(request), name));
        join(join(header, cookie), query)
    }

    /// Takes the token out of what goes upstream, and nothing else.
    pub fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        if let Some(name) = &self.header
            && in_header(request.headers, name) != Nothing
        {
            request.headers.remove(name);
        }
        if let Some(name) = &self.cookie {
            strip_cookie(request.headers, name);
        }
        if let Some(name) = &self.query
            && let Some(left) = cx.query(request).and_then(|query| without(query, name))
        {
            cx.changes.query = Some(left.into());
        }
    }
}

fn join(one: Brought, other: Brought) -> Brought {
    match (one, other) {
        (Nothing, found) | (found, Nothing) => found,
        (Several(detail), _) | (_, Several(detail)) => Several(detail),
        _ => Several(TWO_PLACES),
    }
}

fn in_header(headers: &(impl Headers + ?Sized), name: &HeaderName) -> Brought {
    let (mut found, mut lines) = (Nothing, 0);
    headers.each(name, &mut |value| {
        lines += 1;
        if found == Nothing {
            found = after_bearer(value, *name == AUTHORIZATION);
        }
    });
    // A second field is another credential, of whatever kind: one of the two would not be looked at.
    if lines > 1 && found != Nothing { Several("the field with the token stands twice") } else { found }
}

fn after_bearer(value: &[u8], always: bool) -> Brought {
    let scheme = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    let rest = value.get(6..).filter(|rest| scheme && rest.first().is_none_or(|byte| *byte == b' '));
    let token = match rest {
        Some(rest) => rest,
        None if always => return Nothing,
        None => value,
    };
    match std::str::from_utf8(token).map(|token| token.trim_matches(' ')) {
        Ok(token) if !token.is_empty() => Token(token.to_owned()),
        _ => Unreadable,
    }
}

fn in_cookies(headers: &(impl Headers + ?Sized), name: &str) -> Brought {
    let mut found = Nothing;
    headers.each(&COOKIE, &mut |line| {
        let own = cookies(line).filter(|(known, value)| *known == name.as_bytes() && !value.is_empty());
        for (_, value) in own {
            let token = std::str::from_utf8(value).map_or(Unreadable, |value| Token(value.to_owned()));
            found = if found == Nothing { token } else { Several("the cookie with the token stands twice") };
        }
    });
    found
}

fn in_query(query: Option<&str>, name: &str) -> Brought {
    let mut found = Nothing;
    for pair in query.unwrap_or_default().split('&').filter(|pair| is_named(pair, name)) {
        let value = form_urlencoded::parse(pair.as_bytes()).next().map_or(Cow::Borrowed(""), |(_, value)| value);
        let token = if value.is_empty() { Unreadable } else { Token(value.into_owned()) };
        found = if found == Nothing { token } else { Several("the parameter with the token stands twice") };
    }
    found
}
