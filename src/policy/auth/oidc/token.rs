//! Calls to the token endpoint (RFC 6749 §3.2).

use super::metadata::{ClientAuth, Metadata};
use crate::fetch::{Answer, Call, Fetcher};
use crate::policy::auth::service;
use crate::value::Secret;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// So many calls of one provider are under way at once; more are refused rather than queued.
const MOST_AT_ONCE: usize = 64;
/// The longest answer, in bytes.
const MOST: usize = 256 * 1024;
/// Tokens without a lifetime are asked for anew after this many seconds (RFC 6749 §5.1 only recommends `expires_in`).
const USUAL_LIFETIME: u64 = 3600;

/// What the token endpoint gave.
pub struct Tokens {
    /// Who logged in.
    pub id_token: Option<String>,
    /// For `at_hash` alone: it is not kept.
    pub access_token: Option<String>,
    /// What renews the login.
    pub refresh_token: Option<String>,
    /// Seconds until the access token expires.
    pub expires_in: u64,
}

/// Why the token endpoint gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// The code or the refresh token is not good, or no longer.
    Grant,
    /// The ID token it gave is not as it must be; why, for the log.
    IdToken(&'static str),
    /// It cannot be asked, or refuses the gateway itself; for the log.
    Unavailable(String),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant => f.write_str("the provider refuses the grant"),
            Self::IdToken(why) => write!(f, "the ID token: {why}"),
            Self::Unavailable(why) => write!(f, "the token endpoint: {why}"),
        }
    }
}

/// The gateway, as the provider knows it.
pub struct Client {
    /// Its name.
    pub id: Box<str>,
    /// Its secret; a public client has none.
    pub secret: Option<Secret>,
    fetcher: Arc<Fetcher>,
    free: Semaphore,
}

impl Client {
    /// A client that has called nobody yet.
    pub fn new(id: &str, secret: Option<Secret>, fetcher: Arc<Fetcher>) -> Self {
        Self { id: id.into(), secret, fetcher, free: Semaphore::new(MOST_AT_ONCE) }
    }

    /// Redeems a grant.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn redeem(&self, metadata: &Metadata, grant: &[(&str, &str)]) -> Result<Tokens, TokenError> {
        let unavailable = |why: &str| TokenError::Unavailable(why.to_owned());
        let _free = self.free.try_acquire().map_err(|_| unavailable("too many calls are under way"))?;
        let call = self.call(metadata, grant).ok_or_else(|| unavailable("the credentials cannot be sent"))?;
        let answer = self.fetcher.call(&call).await.map_err(|error| TokenError::Unavailable(error.to_string()))?;
        read(&answer)
    }

    fn call(&self, metadata: &Metadata, grant: &[(&str, &str)]) -> Option<Call> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(grant);
        let mut fields = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ];
        match (&self.secret, metadata.client_auth) {
            (Some(secret), ClientAuth::Basic) => {
                fields.push((header::AUTHORIZATION, service::basic(&self.id, secret)?))
            }
            (Some(secret), ClientAuth::Post) => {
                form.append_pair("client_id", &self.id).append_pair("client_secret", secret.expose());
            }
            (None, _) => {
                form.append_pair("client_id", &self.id);
            }
        }
        Some(Call {
            method: Method::POST,
            fields,
            body: form.finish().into(),
            most: MOST,
            ..Call::get(metadata.token.base.clone(), metadata.token.target.clone())
        })
    }
}

fn read(answer: &Answer) -> Result<Tokens, TokenError> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let text = |name: &str| body.as_ref().and_then(|body| body.get(name)).and_then(Value::as_str).map(str::to_owned);
    if answer.status == StatusCode::OK {
        if body.is_none() {
            return Err(TokenError::Unavailable("the answer is not JSON".into()));
        }
        let expires_in = body.as_ref().and_then(|body| body.get("expires_in")).and_then(seconds);
        return Ok(Tokens {
            id_token: text("id_token"),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            expires_in: expires_in.unwrap_or(USUAL_LIFETIME),
        });
    }
    match text("error").as_deref() {
        Some("invalid_grant") if answer.status.is_client_error() => Err(TokenError::Grant),
        // Which of the words of RFC 6749 §5.2 it is helps the operator; other text of a stranger is not logged.
        Some(
            known @ ("invalid_request"
            | "invalid_client"
            | "unauthorized_client"
            | "unsupported_grant_type"
            | "invalid_scope"),
        ) => Err(TokenError::Unavailable(format!("it answers {} {known}", answer.status.as_str()))),
        _ => Err(TokenError::Unavailable(format!("it answers {}", answer.status.as_str()))),
    }
}

/// Some providers write the number as text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::HeaderMap;

    fn metadata(client_auth: ClientAuth) -> Metadata {
        let url = |path: &str| format!("https://idp.example{path}").parse().unwrap();
        Metadata {
            authorization: url("/a"),
            token: url("/token?x=1"),
            end_session: None,
            client_auth,
            names_itself: false,
        }
    }

    fn sent(secret: Option<&str>, by: ClientAuth) -> (Option<String>, String) {
        let client = Client::new("a b:c", secret.map(Secret::new), Arc::default());
        let call = client.call(&metadata(by), &[("grant_type", "authorization_code"), ("code", "x&y")]).unwrap();
        let basic = call.fields.iter().find(|(name, _)| name == header::AUTHORIZATION);
        let basic = basic.map(|(_, value)| value.to_str().unwrap().to_owned());
        (basic, String::from_utf8(call.body.to_vec()).unwrap())
    }

    #[test]
    fn the_client_proves_itself_as_rfc_6749_says() {
        let grant = "grant_type=authorization_code&code=x%26y";
        let pair = STANDARD.encode("a+b%3Ac:s%25%3A%C3%A9");
        assert_eq!(sent(Some("s%:é"), ClientAuth::Basic), (Some(format!("Basic {pair}")), grant.into()));
        let posted = format!("{grant}&client_id=a+b%3Ac&client_secret=s%25");
        assert_eq!(sent(Some("s%"), ClientAuth::Post), (None, posted));
        assert_eq!(sent(None, ClientAuth::Basic), (None, format!("{grant}&client_id=a+b%3Ac")));
    }

    fn answered(status: u16, body: &str) -> Result<Tokens, TokenError> {
        let status = StatusCode::from_u16(status).unwrap();
        read(&Answer { status, headers: HeaderMap::new(), body: body.to_owned().into() })
    }

    #[test]
    fn a_bad_grant_is_told_from_a_provider_that_does_not_work() {
        let tokens = answered(200, r#"{"id_token":"i","refresh_token":"r","expires_in":"60"}"#).ok().unwrap();
        assert_eq!((tokens.id_token.as_deref(), tokens.expires_in), (Some("i"), 60));
        assert_eq!(answered(400, r#"{"error":"invalid_grant"}"#).err(), Some(TokenError::Grant));
        for (status, body) in [
            (401, r#"{"error":"invalid_client"}"#),
            (500, r#"{"error":"invalid_grant"}"#),
            (400, "<html>"),
            (200, "<html>"),
            (302, ""),
            (429, ""),
            (400, r#"{"error":"\u001b[31mlog me"}"#),
        ] {
            let error = answered(status, body).err();
            let Some(TokenError::Unavailable(why)) = error else { panic!("{status} {body}: {error:?}") };
            assert!(!why.contains('\u{1b}') && !why.contains("log me"), "{why:?}");
        }
    }
}
