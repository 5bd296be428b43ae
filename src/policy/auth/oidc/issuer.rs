//! The provider: what it publishes of itself, and the signatures of its ID tokens.

use super::metadata::Metadata;
use super::token::TokenError;
use super::verify::{Expected, check, check_access_token};
use crate::policy::auth::jwks::json::object;
use crate::policy::auth::jwks::{Algorithm, Ask, Checked, Keys, Signed};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Instant;

/// Longer tokens are not looked at.
const LONGEST: usize = 64 * 1024;

/// A provider.
pub struct Issuer {
    /// Its name, letter for letter as its tokens have it.
    pub name: Box<str>,
    /// Its keys, and what it publishes beside them.
    pub keys: Arc<Keys>,
}

impl Issuer {
    /// What it says of itself, where that is known already.
    pub fn known(&self) -> Option<Result<Metadata, &'static str>> {
        self.keys.discovery().map(|published| Metadata::of(&published))
    }

    /// What it says of itself, asked for where it is not known.
    ///
    /// # Errors
    /// Why it cannot be known, for the log.
    pub async fn metadata(&self) -> Result<Metadata, String> {
        if self.keys.discovery().is_none()
            && let Ask::Wait(answer) = self.keys.ask(Instant::now())
        {
            answer.await;
        }
        match self.known() {
            Some(known) => known.map_err(|why| format!("{}: {why}", self.name)),
            None => Err(format!("{} cannot be asked for its endpoints", self.name)),
        }
    }

    /// The claims of an ID token that is as it must be.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(
        &self,
        token: &str,
        access_token: Option<&str>,
        expected: Expected<'_>,
    ) -> Result<Map<String, Value>, TokenError> {
        let parts = Parts::read(token).map_err(TokenError::IdToken)?;
        self.check_signature(&parts).await?;
        let claims = parts.claims().ok_or(TokenError::IdToken("its claims are not an object"))?;
        check(&claims, expected).map_err(TokenError::IdToken)?;
        check_access_token(&claims, parts.algorithm.name(), access_token).map_err(TokenError::IdToken)?;
        Ok(claims)
    }

    async fn check_signature(&self, parts: &Parts<'_>) -> Result<(), TokenError> {
        let mut checked = self.keys.check(&parts.signed());
        if let Checked::Unknown = checked {
            match self.keys.ask(Instant::now()) {
                Ask::Wait(answer) => {
                    if !answer.await {
                        return Err(TokenError::Unavailable("the keys did not come in time".into()));
                    }
                }
                Ask::Unknown => {}
                Ask::Unavailable => return Err(TokenError::Unavailable("the keys cannot be asked for".into())),
            }
            checked = self.keys.check(&parts.signed());
        }
        match checked {
            Checked::Good(_) => Ok(()),
            Checked::Bad => Err(TokenError::IdToken("its signature is not good")),
            Checked::Unknown if self.keys.is_answered() => {
                Err(TokenError::IdToken("its key is none of the provider's"))
            }
            Checked::Unknown => Err(TokenError::Unavailable("the keys cannot be asked for".into())),
        }
    }
}

/// A token taken apart (RFC 7515 §7.1).
struct Parts<'a> {
    kid: Option<String>,
    algorithm: Algorithm,
    message: &'a [u8],
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn read(token: &'a str) -> Result<Self, &'static str> {
        if token.len() > LONGEST {
            return Err("it is too long");
        }
        let (message, signature) = token.rsplit_once('.').ok_or("it is no token")?;
        let (head, payload) = message.split_once('.').ok_or("it is no token")?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is not base64url");
        let head = object(&decode(head)?).ok_or("its head is not an object")?;
        if head.contains_key("crit") {
            return Err("it says `crit`, and nothing critical is understood here");
        }
        let algorithm = head.get("alg").and_then(Value::as_str).and_then(Algorithm::named);
        Ok(Self {
            kid: head.get("kid").and_then(Value::as_str).map(str::to_owned),
            algorithm: algorithm.ok_or("its `alg` is not known here")?,
            message: message.as_bytes(),
            payload,
            signature: decode(signature)?,
        })
    }

    fn signed(&self) -> Signed<'_> {
        Signed {
            kid: self.kid.as_deref(),
            algorithm: self.algorithm,
            message: self.message,
            signature: &self.signature,
        }
    }

    fn claims(&self) -> Option<Map<String, Value>> {
        object(&URL_SAFE_NO_PAD.decode(self.payload).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plainly_a_signed_token_is_none() {
        let token = |head: &str| format!("{}.e30.AAAA", URL_SAFE_NO_PAD.encode(head));
        assert!(Parts::read(&token(r#"{"alg":"ES256","kid":"a"}"#)).is_ok());
        for head in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"es256"}"#,
            r#"{"kid":"a"}"#,
            r#"{"alg":"ES256","alg":"none"}"#,
            r#"{"alg":"ES256","crit":["exp"]}"#,
            "[]",
            "",
        ] {
            assert!(Parts::read(&token(head)).is_err(), "{head}");
        }
        for text in ["", ".", "..", "a.b", "e30.e30.=", &format!("{}.e30.", "A".repeat(LONGEST))] {
            assert!(Parts::read(text).is_err());
        }
    }
}
