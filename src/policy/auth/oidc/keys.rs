//! The provider's keys, and the signatures of its ID tokens.

use super::metadata::Metadata;
use super::token::TokenError;
use super::verify::{Expected, check, check_access_token};
use crate::fetch::{Call, Fetcher};
use arc_swap::ArcSwapOption;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// After the keys were asked for they are not asked for again this long.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// Longer tokens are not looked at.
const LONGEST: usize = 64 * 1024;

/// Verifies ID tokens.
pub struct IdTokens {
    fetcher: Arc<Fetcher>,
    known: ArcSwapOption<JwkSet>,
    asked: Mutex<Option<Instant>>,
}

impl IdTokens {
    /// Knows no key yet.
    pub fn new(fetcher: Arc<Fetcher>) -> Self {
        Self { fetcher, known: ArcSwapOption::empty(), asked: Mutex::new(None) }
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
        metadata: &Metadata,
    ) -> Result<Map<String, Value>, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::IdToken("it is too long"));
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::IdToken("it has no header"))?;
        let key = self.key(header.kid.as_deref(), header.alg, metadata).await?;
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation)
            .map_err(|_| TokenError::IdToken("its signature is not good"))?
            .claims;
        check(&claims, expected).map_err(TokenError::IdToken)?;
        check_access_token(&claims, &format!("{:?}", header.alg), access_token).map_err(TokenError::IdToken)?;
        Ok(claims)
    }

    async fn key(&self, kid: Option<&str>, alg: Algorithm, metadata: &Metadata) -> Result<DecodingKey, TokenError> {
        if matches!(alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
            return Err(TokenError::IdToken("it is signed with a shared secret"));
        }
        let find = |keys: &JwkSet| {
            let jwk = keys.keys.iter().find(|key| kid.is_none() || key.common.key_id.as_deref() == kid)?;
            DecodingKey::from_jwk(jwk).ok()
        };
        if let Some(key) = self.known.load_full().and_then(|keys| find(&keys)) {
            return Ok(key);
        }
        let mut asked = self.asked.lock().await;
        if asked.is_none_or(|when| when.elapsed() >= COOL_DOWN) {
            *asked = Some(Instant::now());
            let call = Call::get(metadata.keys.base.clone(), metadata.keys.target.clone());
            let unavailable = |why: String| TokenError::Unavailable(format!("the keys: {why}"));
            let answer = self.fetcher.call(&call).await.map_err(|error| unavailable(error.to_string()))?;
            let keys = serde_json::from_slice(&answer.body).map_err(|error| unavailable(error.to_string()))?;
            self.known.store(Some(Arc::new(keys)));
        }
        self.known.load_full().and_then(|keys| find(&keys)).ok_or(TokenError::IdToken("its key is unknown"))
    }
}
