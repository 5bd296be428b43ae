//! A token taken apart (RFC 7515 §7.1, RFC 7519 §7.2), strictly: two readers must not see two different tokens.

use crate::policy::auth::jwks::{Algorithm, Signed, json};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The longest token that is looked at, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// A token taken apart; nothing of it is verified yet.
#[derive(Debug)]
pub struct Token<'a> {
    /// What its head names; `None` for one that is not known, `none` among them.
    pub algorithm: Option<Algorithm>,
    /// The name of its key.
    pub kid: Option<Box<str>>,
    /// What it says.
    pub claims: Map<String, Value>,
    message: &'a [u8],
    signature: Vec<u8>,
}

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoToken {
    /// It is nothing of the kind: for another provider, perhaps.
    Other(&'static str),
    /// It is meant as one, and is not well formed.
    Malformed(&'static str),
}

use NoToken::{Malformed, Other};

impl<'a> Token<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn read(text: &'a str) -> Result<Self, NoToken> {
        if text.len() > LONGEST {
            return Err(Malformed("the token is longer than 16 KiB"));
        }
        let mut parts = text.split('.');
        let (Some(head), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Other(match text.bytes().filter(|byte| *byte == b'.').count() {
                4 => "the token is encrypted; only signed ones are accepted",
                _ => "the token is not a JWT",
            }));
        };
        let (algorithm, kid) = read_head(&object(head)?)?;
        let claims = object(payload)?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).map_err(|_| Malformed("the token's signature is not base64url"))?;
        let message = text.as_bytes().get(..head.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Self { algorithm, kid, claims, message, signature })
    }

    /// What is to be checked of its signature by that algorithm.
    pub fn signed(&self, algorithm: Algorithm) -> Signed<'_> {
        Signed { kid: self.kid.as_deref(), algorithm, message: self.message, signature: &self.signature }
    }
}

/// A part that holds JSON. The base64 is the only one for these bytes: no padding, no spaces, no bits to spare.
fn object(part: &str) -> Result<Map<String, Value>, NoToken> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed("a part of the token is not base64url"))?;
    json::object(&bytes).ok_or(Malformed("a part of the token is not a JSON object, or has a name twice"))
}

/// Of the head only `alg`, `kid`, `typ` and `crit` count. Keys it brings along or points to (`jwk`, `jku`, `x5c`, `x5u`)
/// are not looked at: whoever makes a token could vouch for it himself.
fn read_head(head: &Map<String, Value>) -> Result<(Option<Algorithm>, Option<Box<str>>), NoToken> {
    if head.contains_key("crit") || head.contains_key("b64") {
        return Err(Malformed("the token's head demands extensions that are not known"));
    }
    if let Some(kind) = head.get("typ") {
        let kind = kind.as_str().ok_or(Malformed("the token's type is not text"))?.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        // Explicitly typed (RFC 8725 §3.11) for another purpose: a logout token, a proof of possession.
        if kind.ends_with("+jwt") && kind != "at+jwt" {
            return Err(Malformed("the token is typed for another purpose"));
        }
    }
    let kid = match head.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str().into()),
        Some(_) => return Err(Malformed("the token's `kid` is not text")),
    };
    let name = head.get("alg").and_then(Value::as_str).ok_or(Malformed("the token names no algorithm"))?;
    Ok((Algorithm::named(name), kid))
}
