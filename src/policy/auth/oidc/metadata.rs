//! The provider's endpoints, as it publishes them (OpenID Connect Discovery 1.0 §4).
//!
//! Asked for at the start and every hour in the background; a login that comes before the first answer asks itself, one
//! question at a time. What was learnt once is kept while the provider is down.

use crate::fetch::{Call, Fetcher};
use crate::value::{Scheme, WebUrl};
use arc_swap::ArcSwapOption;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// The documents stand below the issuer (RFC 8414 §3 and OpenID Connect Discovery §4.1).
const DOCUMENT: &str = "/.well-known/openid-configuration";
/// The longest document, in bytes.
const MOST: usize = 256 * 1024;
/// After a failure nobody is asked for this long.
const COOL_DOWN: Duration = Duration::from_secs(1);
/// How long what was learnt is taken for current.
const KEPT: Duration = Duration::from_secs(3600);
/// The longest pause between two attempts in the background.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How the gateway proves itself to the token endpoint (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// In `Authorization`.
    Basic,
    /// In the form.
    Post,
}

/// What a provider says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where browsers are sent to log in.
    pub authorization: WebUrl,
    /// Where codes and refresh tokens are redeemed.
    pub token: WebUrl,
    /// Where its keys are.
    pub keys: WebUrl,
    /// Where browsers are sent to log out, if anywhere (RP-Initiated Logout 1.0 §2.1).
    pub end_session: Option<WebUrl>,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// Whether answers say who they are from (RFC 9207 §3).
    pub names_itself: bool,
}

impl Metadata {
    /// Reads a document; the sentence says what is wrong with it.
    fn read(document: &[u8], issuer: &WebUrl, insecure: bool) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(document).map_err(|_| "the document is not JSON".to_owned())?;
        // Compared by the text (§4.3): a document of another issuer must not speak for this one.
        if document.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
            return Err("the document is of another issuer".into());
        }
        let optional = |name: &str| -> Result<Option<WebUrl>, String> {
            let Some(text) = document.get(name).and_then(Value::as_str) else { return Ok(None) };
            let url: WebUrl = text.parse().map_err(|_| format!("its `{name}` is not a URL"))?;
            if url.base.scheme == Scheme::Http && !insecure {
                return Err(format!("its `{name}` is not https"));
            }
            Ok(Some(url))
        };
        let required = |name: &str| optional(name)?.ok_or_else(|| format!("it has no `{name}`"));
        let lists = |name: &str, word: &str| -> Option<bool> {
            let list = document.get(name)?.as_array()?;
            Some(list.iter().any(|member| member.as_str() == Some(word)))
        };
        // Only `plain` would be weaker than what is always sent; a provider that lists no method may still know it.
        if lists("code_challenge_methods_supported", "S256") == Some(false) {
            return Err("it does not support PKCE with S256".into());
        }
        let methods = "token_endpoint_auth_methods_supported";
        let basic = lists(methods, "client_secret_basic").unwrap_or(true);
        let post = lists(methods, "client_secret_post").unwrap_or(false);
        Ok(Self {
            authorization: required("authorization_endpoint")?,
            token: required("token_endpoint")?,
            keys: required("jwks_uri")?,
            end_session: optional("end_session_endpoint")?,
            client_auth: if post && !basic { ClientAuth::Post } else { ClientAuth::Basic },
            names_itself: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

/// Finds out what a provider says of itself, and remembers it.
pub struct Discovery {
    issuer: WebUrl,
    insecure: bool,
    fetcher: Arc<Fetcher>,
    known: ArcSwapOption<Metadata>,
    /// Held while somebody asks; when and why asking failed last.
    asking: Mutex<Option<(Instant, String)>>,
}

impl Discovery {
    /// Knows nothing yet, or what `previous` had learnt of the same provider.
    pub fn new(issuer: WebUrl, insecure: bool, fetcher: Arc<Fetcher>, previous: Option<&Self>) -> Self {
        let same = previous.filter(|previous| previous.issuer == issuer && previous.insecure == insecure);
        let known = ArcSwapOption::new(same.and_then(|previous| previous.known.load_full()));
        Self { issuer, insecure, fetcher, known, asking: Mutex::new(None) }
    }

    /// What is known already.
    pub fn known(&self) -> Option<Arc<Metadata>> {
        self.known.load_full()
    }

    /// What is known, or what the provider says now.
    ///
    /// # Errors
    /// Why it cannot be known, for the log.
    pub async fn get(&self) -> Result<Arc<Metadata>, String> {
        if let Some(known) = self.known() {
            return Ok(known);
        }
        let mut failed = self.asking.lock().await;
        if let Some(known) = self.known() {
            return Ok(known);
        }
        if let Some((when, why)) = &*failed
            && when.elapsed() < COOL_DOWN
        {
            return Err(why.clone());
        }
        match self.ask().await {
            Ok(metadata) => {
                *failed = None;
                Ok(metadata)
            }
            Err(why) => {
                *failed = Some((Instant::now(), why.clone()));
                Err(why)
            }
        }
    }

    /// Keeps what is known current, until dropped.
    pub async fn keep(&self) {
        let mut pause = COOL_DOWN;
        loop {
            match self.ask().await {
                Ok(_) => {
                    pause = COOL_DOWN;
                    tokio::time::sleep(KEPT).await;
                }
                Err(why) => {
                    log::warn!("auth: the endpoints of {} cannot be learnt: {why}", self.issuer);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn ask(&self) -> Result<Arc<Metadata>, String> {
        let target = format!("{}{DOCUMENT}", self.issuer.target.trim_end_matches('/'));
        let call = Call { most: MOST, ..Call::get(self.issuer.base.clone(), target) };
        let answer = self.fetcher.call(&call).await.map_err(|error| error.to_string())?;
        if answer.status != http::StatusCode::OK {
            return Err(format!("it answers {} for its configuration", answer.status.as_str()));
        }
        let metadata = Arc::new(Metadata::read(&answer.body, &self.issuer, self.insecure)?);
        self.known.store(Some(Arc::clone(&metadata)));
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(changes: Value, insecure: bool) -> Result<Metadata, String> {
        let mut document = json!({
            "issuer": "https://idp.example",
            "authorization_endpoint": "https://idp.example/authorize",
            "token_endpoint": "https://idp.example/token",
            "jwks_uri": "https://idp.example/keys",
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        Metadata::read(document.to_string().as_bytes(), &"https://idp.example".parse().unwrap(), insecure)
    }

    #[test]
    fn the_least_a_provider_says_is_enough() {
        let metadata = read(json!({}), false).unwrap();
        assert_eq!(metadata.client_auth, ClientAuth::Basic);
        assert_eq!((metadata.end_session, metadata.names_itself), (None, false));
    }

    #[test]
    fn the_client_proves_itself_as_the_provider_lists() {
        let methods = |list: Value| read(json!({ "token_endpoint_auth_methods_supported": list }), false).unwrap();
        assert_eq!(methods(json!(["client_secret_post"])).client_auth, ClientAuth::Post);
        assert_eq!(methods(json!(["client_secret_post", "client_secret_basic"])).client_auth, ClientAuth::Basic);
        assert_eq!(methods(json!(["private_key_jwt"])).client_auth, ClientAuth::Basic);
    }

    #[test]
    fn a_document_that_cannot_be_trusted_is_refused() {
        for (changes, why) in [
            (json!({ "issuer": "https://idp.example/" }), "another issuer"),
            (json!({ "issuer": null }), "another issuer"),
            (json!({ "token_endpoint": null }), "no `token_endpoint`"),
            (json!({ "token_endpoint": "http://idp.example/token" }), "`token_endpoint` is not https"),
            (json!({ "end_session_endpoint": "javascript:alert(1)" }), "`end_session_endpoint` is not a URL"),
            (json!({ "authorization_endpoint": "https://u:p@idp.example/" }), "`authorization_endpoint` is not a URL"),
            (json!({ "code_challenge_methods_supported": ["plain"] }), "PKCE"),
        ] {
            let said = read(changes.clone(), false).unwrap_err();
            assert!(said.contains(why), "{changes}: {said}");
        }
        assert!(read(json!({ "token_endpoint": "http://idp.example/token" }), true).is_ok());
        assert!(Metadata::read(b"<html>", &"https://idp.example".parse().unwrap(), false).is_err());
    }
}
