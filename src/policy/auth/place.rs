//! Where a credential stands in a request: a header field, a query parameter or a cookie.

use crate::request::{HeadersMut, RequestCx, RequestView, cookies};
use http::{HeaderName, HeaderValue, header};
use smallvec::SmallVec;
use std::borrow::Cow;

/// A place a credential may stand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialPlace {
    /// A header field as it is.
    Header(HeaderName),
    /// A header field after a scheme (RFC 9110 §11.4): `Authorization: Bearer …`.
    Scheme(HeaderName, Box<str>),
    /// A parameter of the query.
    Query(Box<str>),
    /// A cookie (RFC 6265 §4.2).
    Cookie(Box<str>),
}

/// The text of a credential. Most keys fit in without an allocation.
pub type Text = SmallVec<[u8; 64]>;

/// What stands in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A credential.
    One(Text),
    /// More than one: which of them counts is not plain.
    Several,
}

impl CredentialPlace {
    /// The credential in this place.
    pub fn find(&self, cx: &RequestCx, request: &RequestView<'_>) -> Found {
        let mut found = Found::Nothing;
        let mut add = |value: Cow<'_, [u8]>| {
            found = if found == Found::Nothing { Found::One(SmallVec::from_slice(&value)) } else { Found::Several };
        };
        match self {
            Self::Header(name) => request.headers.each(name, &mut |value| add(Cow::Borrowed(value.trim_ascii()))),
            Self::Scheme(name, scheme) => request.headers.each(name, &mut |value| {
                if let Some(credential) = after_scheme(value, scheme) {
                    add(Cow::Borrowed(credential));
                }
            }),
            Self::Query(name) => {
                for (key, value) in form_urlencoded::parse(cx.query(request).unwrap_or_default().as_bytes()) {
                    if key == **name {
                        add(Cow::Owned(value.into_owned().into_bytes()));
                    }
                }
            }
            Self::Cookie(name) => request.headers.each(&header::COOKIE, &mut |line| {
                cookies(line)
                    .filter(|(key, _)| *key == name.as_bytes())
                    .for_each(|(_, value)| add(Cow::Borrowed(value)));
            }),
        }
        found
    }

    /// The one credential in any of these places; two places with one each are several.
    pub fn find_in(places: &[Self], cx: &RequestCx, request: &RequestView<'_>) -> Found {
        let mut found = Found::Nothing;
        for place in places {
            match (place.find(cx, request), &found) {
                (Found::Nothing, _) => {}
                (one @ Found::One(_), Found::Nothing) => found = one,
                _ => return Found::Several,
            }
        }
        found
    }

    /// Removes the credential from what goes upstream, and nothing else.
    pub fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        match self {
            Self::Header(name) => request.headers.remove(name),
            Self::Scheme(name, scheme) => {
                let mut stands = false;
                request.headers.each(name, &mut |value| stands |= after_scheme(value, scheme).is_some());
                if stands {
                    request.headers.remove(name);
                }
            }
            Self::Query(name) => {
                if let Some(left) = cx.query(request).and_then(|query| without(query, name)) {
                    cx.changes.query = Some(left.into());
                }
            }
            Self::Cookie(name) => strip_cookie(request.headers, name),
        }
    }
}

/// Whether a pair of a query has that name, however it is escaped.
pub fn is_named(pair: &str, name: &str) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(found, _)| found == name)
}

/// The query without the pairs of that name; `None` where there is none.
pub fn without(query: &str, name: &str) -> Option<String> {
    let left: Vec<&str> = query.split('&').filter(|pair| !is_named(pair, name)).collect();
    (left.len() != query.split('&').count()).then(|| left.join("&"))
}

/// Takes the cookies of that name out; fields without one stay as they are.
pub fn strip_cookie(headers: &mut dyn HeadersMut, name: &str) {
    strip_cookies(headers, &|key| key == name.as_bytes());
}

/// Takes out the cookies whose names are picked; fields without one stay as they are.
pub fn strip_cookies(headers: &mut dyn HeadersMut, is_picked: &dyn Fn(&[u8]) -> bool) {
    let (mut lines, mut stripped) = (Vec::new(), false);
    headers.each(&header::COOKIE, &mut |line| {
        let pairs = || line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let is_out = |pair: &[u8]| cookies(pair).any(|(key, _)| is_picked(key));
        if !pairs().any(is_out) {
            lines.push(line.to_vec());
            return;
        }
        stripped = true;
        let left: Vec<&[u8]> = pairs().filter(|pair| !pair.is_empty() && !is_out(pair)).collect();
        if !left.is_empty() {
            lines.push(left.join(b"; ".as_slice()));
        }
    });
    if !stripped {
        return;
    }
    headers.remove(&header::COOKIE);
    // What was one legal field, less a part of it, is one.
    for line in lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok()) {
        headers.append(&header::COOKIE, line);
    }
}

/// What follows a scheme, whose case does not matter.
fn after_scheme<'v>(value: &'v [u8], scheme: &str) -> Option<&'v [u8]> {
    let value = value.trim_ascii();
    let (named, rest) = value.split_at_checked(scheme.len())?;
    let matches = named.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first().is_none_or(|byte| *byte == b' ');
    matches.then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn with<T>(
        headers: &[(&str, &str)],
        query: &str,
        ask: impl FnOnce(&mut RequestCx, &mut RequestView<'_>) -> T,
    ) -> T {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let mut view = RequestView { method: "GET", host: "h", path: "/", query: Some(query), headers: &mut map };
        ask(&mut RequestCx::at(0), &mut view)
    }

    fn find(place: &CredentialPlace, headers: &[(&str, &str)], query: &str) -> Found {
        with(headers, query, |cx, view| place.find(cx, view))
    }

    fn one(text: &str) -> Found {
        Found::One(SmallVec::from_slice(text.as_bytes()))
    }

    #[test]
    fn finds_a_credential_in_each_kind_of_place() {
        let bearer = CredentialPlace::Scheme(header::AUTHORIZATION, "Bearer".into());
        assert_eq!(find(&bearer, &[("authorization", "bEARER  abc")], ""), one("abc"));
        assert_eq!(find(&bearer, &[("authorization", "Bearerabc")], ""), Found::Nothing);
        assert_eq!(find(&bearer, &[("authorization", "Basic abc")], ""), Found::Nothing);
        let query = CredentialPlace::Query("api_key".into());
        assert_eq!(find(&query, &[], "a=1&%61pi_key=x%20y&b"), one("x y"));
        assert_eq!(find(&query, &[], "API_KEY=x"), Found::Nothing);
        assert_eq!(find(&query, &[], "api_key=x&api_key=x"), Found::Several);
        let cookie = CredentialPlace::Cookie("key".into());
        assert_eq!(find(&cookie, &[("cookie", "a=1; key=k=1"), ("cookie", "b=2")], ""), one("k=1"));
        assert_eq!(find(&cookie, &[("cookie", "key=1"), ("cookie", "key=2")], ""), Found::Several);
        assert_eq!(find(&cookie, &[("cookie", "xkey=1; key")], ""), Found::Nothing);
        let header = CredentialPlace::Header(HeaderName::from_static("x-api-key"));
        assert_eq!(find(&header, &[("x-api-key", "a"), ("x-api-key", "b")], ""), Found::Several);
    }

    #[test]
    fn two_places_with_one_each_are_several() {
        let places =
            [CredentialPlace::Header(HeaderName::from_static("x-api-key")), CredentialPlace::Query("k".into())];
        let both = with(&[("x-api-key", "a")], "k=a", |cx, view| CredentialPlace::find_in(&places, cx, view));
        let last = with(&[], "k=a", |cx, view| CredentialPlace::find_in(&places, cx, view));
        assert_eq!((both, last), (Found::Several, one("a")));
    }

    #[test]
    fn removes_the_credential_and_nothing_else() {
        let query = with(&[], "a=1&k=secret&b=%20&%6b=too", |cx, view| {
            CredentialPlace::Query("k".into()).strip(cx, view);
            cx.query(view).map(str::to_owned)
        });
        assert_eq!(query.as_deref(), Some("a=1&b=%20"));
        let nothing_left = with(&[], "k=secret", |cx, view| {
            CredentialPlace::Query("k".into()).strip(cx, view);
            cx.query(view).map(str::to_owned)
        });
        assert_eq!(nothing_left, None);
        let cookie = with(&[("cookie", "a=1; k=secret; b=2")], "", |cx, view| {
            CredentialPlace::Cookie("k".into()).strip(cx, view);
            view.header(&header::COOKIE).map(<[u8]>::to_vec)
        });
        assert_eq!(cookie.as_deref(), Some(b"a=1; b=2".as_slice()));
        let bare = with(&[("cookie", "bare; k=secret; b=2"), ("cookie", "c=3")], "", |cx, view| {
            CredentialPlace::Cookie("k".into()).strip(cx, view);
            let mut lines = Vec::new();
            view.headers.each(&header::COOKIE, &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
            lines
        });
        assert_eq!(bare, ["bare; b=2", "c=3"]);
        let basic = with(&[("authorization", "Basic eA==")], "", |cx, view| {
            CredentialPlace::Scheme(header::AUTHORIZATION, "Bearer".into()).strip(cx, view);
            view.header(&header::AUTHORIZATION).is_some()
        });
        assert!(basic, "another scheme's credential is not ours to remove");
        let second = with(&[("x-auth", "Other o"), ("x-auth", "Key secret")], "", |cx, view| {
            let place = CredentialPlace::Scheme(HeaderName::from_static("x-auth"), "Key".into());
            assert_eq!(place.find(cx, view), one("secret"));
            place.strip(cx, view);
            view.header(&HeaderName::from_static("x-auth")).is_some()
        });
        assert!(!second, "whichever of two fields holds it, it does not go upstream");
    }
}
