//! Session affinity: a cookie that brings a client back to the endpoint that has served it.
//!
//! The cookie's value is a code over the names of upstream and endpoint: HMAC-SHA256 (RFC 2104), its first 128 bits. It tells
//! nothing of the endpoint to whoever has not the key, and nobody else can make one. Gateways with the same key and the
//! same endpoints make the same codes, so that a client may come back to any of them. Codes are worked out when the set of
//! endpoints is built; a request costs a look in a table. The table hashes with a key of its own, so how long a look takes
//! says nothing of how much of a guess is right.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use std::fmt;

/// Bytes of a code.
const CODE: usize = 16;

/// What codes are made with.
#[derive(Clone)]
pub struct AffinityKey(hmac::Key);

impl AffinityKey {
    /// The key of a secret, which should have 32 bytes or more.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The code of an endpoint, as it stands in the cookie.
    fn code(&self, upstream: &str, endpoint: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        // With its length before it no name can borrow from the next.
        context.update(&(upstream.len() as u64).to_be_bytes());
        context.update(upstream.as_bytes());
        context.update(endpoint.as_bytes());
        let tag = context.sign();
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..CODE).unwrap_or_default())
    }
}

impl fmt::Debug for AffinityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How clients are brought back.
#[derive(Clone, Debug)]
pub struct AffinitySpec {
    /// The cookie's name.
    pub cookie: Box<str>,
    /// What codes are made with: the first makes new ones, those of all are known.
    pub keys: Vec<AffinityKey>,
    /// What follows the value: `; Path=/; HttpOnly; SameSite=Lax`.
    pub attributes: Box<str>,
    /// Whether it is for TLS alone whatever the request came by.
    pub always_secure: bool,
}

/// What a client shows to come back to an endpoint.
pub(super) struct Ticket {
    /// The cookie's value.
    code: Box<[u8]>,
    /// The whole field, and the same for TLS alone.
    plain: HeaderValue,
    secure: HeaderValue,
}

impl Ticket {
    /// For that endpoint. `None` where the name or the attributes cannot stand in a field, which has been refused before.
    pub(super) fn new(spec: &AffinitySpec, upstream: &str, endpoint: &str) -> Option<Ticket> {
        let code = spec.keys.first()?.code(upstream, endpoint);
        let field = format!("{}={code}{}", spec.cookie, spec.attributes);
        let secure = HeaderValue::from_str(&format!("{field}; Secure")).ok()?;
        let plain = if spec.always_secure { secure.clone() } else { HeaderValue::from_str(&field).ok()? };
        Some(Ticket { code: code.into_bytes().into(), plain, secure })
    }

    /// The `Set-Cookie` that hands it out, over TLS or in clear text; `None` where it is what the client has shown.
    pub(super) fn renewed(&self, shown: Option<&[u8]>, over_tls: bool) -> Option<&HeaderValue> {
        let known = shown.is_some_and(|shown| *shown == *self.code);
        (!known).then_some(if over_tls { &self.secure } else { &self.plain })
    }
}

/// Every code under which an endpoint is known.
pub(super) fn codes<'a>(
    spec: &'a AffinitySpec,
    upstream: &'a str,
    endpoint: &'a str,
) -> impl Iterator<Item = Box<[u8]>> + 'a {
    spec.keys.iter().map(move |key| key.code(upstream, endpoint).into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(secrets: &[&str]) -> AffinitySpec {
        AffinitySpec {
            cookie: "stay".into(),
            keys: secrets.iter().map(|secret| AffinityKey::new(secret.as_bytes())).collect(),
            attributes: "; Path=/".into(),
            always_secure: false,
        }
    }

    #[test]
    fn a_code_is_of_its_key_upstream_and_endpoint_alone_and_names_nothing() {
        let code =
            |secret: &str, upstream: &str, endpoint: &str| AffinityKey::new(secret.as_bytes()).code(upstream, endpoint);
        let one = code("k", "orders", "http://10.0.0.1:80");
        assert_eq!(one, code("k", "orders", "http://10.0.0.1:80"));
        assert_eq!(URL_SAFE_NO_PAD.decode(&one).unwrap().len(), 16);
        for other in [
            code("l", "orders", "http://10.0.0.1:80"),
            code("k", "orderss", "http://10.0.0.1:80"),
            code("k", "orders", "http://10.0.0.2:80"),
            code("k", "ordersh", "ttp://10.0.0.1:80"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_ticket_is_handed_out_unless_the_client_has_shown_it() {
        let ticket = Ticket::new(&spec(&["new", "old"]), "orders", "a").unwrap();
        let known: Vec<_> = codes(&spec(&["new", "old"]), "orders", "a").collect();
        let field =
            |shown: Option<&[u8]>, tls| ticket.renewed(shown, tls).map(|field| field.to_str().unwrap().to_owned());
        let code = String::from_utf8(known[0].to_vec()).unwrap();
        assert_eq!(field(None, false), Some(format!("stay={code}; Path=/")));
        assert_eq!(field(None, true), Some(format!("stay={code}; Path=/; Secure")));
        assert_eq!(field(Some(&known[0]), true), None);
        assert!(field(Some(&known[1]), true).is_some(), "what an old secret has made is exchanged");
        assert!(field(Some(b""), true).is_some());
        let always = AffinitySpec { always_secure: true, ..spec(&["k"]) };
        let always = Ticket::new(&always, "orders", "a").unwrap();
        assert!(always.renewed(None, false).unwrap().to_str().unwrap().ends_with("; Secure"));
    }

    #[test]
    fn a_key_is_not_printed() {
        assert!(!format!("{:?}", spec(&["hidden"])).contains("hidden"));
    }
}
