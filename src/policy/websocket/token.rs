//! A bearer token among the subprotocols of a handshake: pages can send no other field of their own with one.
//!
//! Two forms are in use: a word `bearer` and the token after it, both as subprotocols (`new WebSocket(url, ["bearer",
//! token])`), and a name `base64url.bearer.authorization.<whose>.<token in base64url>` beside the real subprotocol, as
//! Kubernetes has it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;

const WORD: &str = "bearer";
const PREFIX: &str = "base64url.bearer.authorization.";

/// What the subprotocols of a handshake bring.
#[derive(Debug, PartialEq, Eq)]
pub enum Brought {
    /// No token.
    Nothing,
    /// A token.
    Token(Taken),
    /// Something in its place that is none.
    Unreadable,
    /// More than one.
    Several,
}

/// A token that was taken out.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// `Bearer` and the token, for `Authorization`.
    pub authorization: HeaderValue,
    /// The subprotocols that are left; `None` where none is.
    pub left: Option<HeaderValue>,
    /// The word the token was announced by: it may be the answer, the token never.
    pub announced: Option<HeaderValue>,
}

/// Looks for a token among the subprotocols, each field a list of them.
pub fn find(fields: &[&[u8]]) -> Brought {
    let mut names = Vec::new();
    for field in fields {
        let Ok(field) = std::str::from_utf8(field) else { return Brought::Nothing };
        names.extend(field.split(',').map(str::trim).filter(|name| !name.is_empty()));
    }
    let (mut tokens, mut left, mut announced) = (Vec::new(), Vec::new(), None);
    let mut names = names.into_iter();
    while let Some(name) = names.next() {
        if name.eq_ignore_ascii_case(WORD) {
            announced = Some(name);
            match names.next() {
                Some(token) => tokens.push(Some(token.to_owned())),
                None => return Brought::Unreadable,
            }
        } else if name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX)) {
            let coded = name.rsplit('.').next().unwrap_or_default();
            let token = URL_SAFE_NO_PAD.decode(coded.trim_end_matches('=')).ok();
            tokens.push(token.and_then(|token| String::from_utf8(token).ok()));
        } else {
            left.push(name);
        }
    }
    match &*tokens {
        [] => Brought::Nothing,
        [Some(token)] if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            let Ok(mut authorization) = HeaderValue::from_str(&format!("Bearer {token}")) else {
                return Brought::Unreadable;
            };
            authorization.set_sensitive(true);
            let left = Some(left.join(", ")).filter(|left| !left.is_empty());
            Brought::Token(Taken {
                authorization,
                left: left.and_then(|left| HeaderValue::from_str(&left).ok()),
                announced: announced.and_then(|word| HeaderValue::from_str(word).ok()),
            })
        }
        [_] => Brought::Unreadable,
        _ => Brought::Several,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(fields: &[&[u8]]) -> (String, Option<String>, Option<String>) {
        let Brought::Token(taken) = find(fields) else { panic!("no token in {fields:?}") };
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        (text(taken.authorization), taken.left.map(text), taken.announced.map(text))
    }

    #[test]
    fn both_forms_are_taken_out_and_the_rest_is_left() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(taken(&[b"bearer, a.b-c"]), ("Bearer a.b-c".into(), None, some("bearer")));
        assert_eq!(taken(&[b"chat,Bearer ,  a.b", b"v2"]), ("Bearer a.b".into(), some("chat, v2"), some("Bearer")));
        let coded = b"base64url.bearer.authorization.k8s.io.YS5i, chat";
        assert_eq!(taken(&[coded]), ("Bearer a.b".into(), some("chat"), None));
        assert_eq!(taken(&[b"base64url.bearer.authorization.YS5i"]).0, "Bearer a.b");
    }

    #[test]
    fn what_is_no_token_or_more_than_one_is_told_apart() {
        assert_eq!(find(&[]), Brought::Nothing);
        assert_eq!(find(&[b"chat, v2"]), Brought::Nothing);
        assert_eq!(find(&[b"bearer"]), Brought::Unreadable);
        assert_eq!(find(&[b"base64url.bearer.authorization.x.!!"]), Brought::Unreadable);
        assert_eq!(find(&[b"base64url.bearer.authorization.x."]), Brought::Unreadable);
        // "a b" in base64url: a token has no space.
        assert_eq!(find(&[b"base64url.bearer.authorization.x.YSBi"]), Brought::Unreadable);
        assert_eq!(find(&[b"bearer, a, bearer, b"]), Brought::Several);
        assert_eq!(find(&[b"bearer, a", b"base64url.bearer.authorization.x.YQ"]), Brought::Several);
    }
}
