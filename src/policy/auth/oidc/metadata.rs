//! What a login needs of what the provider publishes (OpenID Connect Discovery 1.0 §3).

use crate::policy::auth::jwks::Discovery;
use crate::value::WebUrl;

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
    /// Where browsers are sent to log out, if anywhere (RP-Initiated Logout 1.0 §2.1).
    pub end_session: Option<WebUrl>,
    /// How the client proves itself.
    pub client_auth: ClientAuth,
    /// Whether answers say who they are from (RFC 9207 §3).
    pub names_itself: bool,
}

impl Metadata {
    /// What of it a login needs.
    ///
    /// # Errors
    /// What is missing, for the log.
    pub fn of(published: &Discovery) -> Result<Self, &'static str> {
        let lists =
            |list: &Option<Vec<String>>, word: &str| list.as_ref().map(|list| list.iter().any(|known| known == word));
        // A provider that lists no method may know it all the same; one that lists others does not.
        if lists(&published.code_challenges, "S256") == Some(false) {
            return Err("it does not support PKCE with S256");
        }
        let basic = lists(&published.client_auth, "client_secret_basic").unwrap_or(true);
        let post = lists(&published.client_auth, "client_secret_post").unwrap_or(false);
        Ok(Self {
            authorization: published
                .authorization_endpoint
                .clone()
                .ok_or("it publishes no `authorization_endpoint`")?,
            token: published.token_endpoint.clone().ok_or("it publishes no `token_endpoint`")?,
            end_session: published.end_session_endpoint.clone(),
            client_auth: if post && !basic { ClientAuth::Post } else { ClientAuth::Basic },
            names_itself: published.names_itself,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> Discovery {
        let url = |path: &str| format!("https://idp.example{path}").parse().unwrap();
        Discovery {
            jwks_uri: url("/keys"),
            authorization_endpoint: Some(url("/authorize")),
            token_endpoint: Some(url("/token")),
            end_session_endpoint: None,
            userinfo_endpoint: None,
            client_auth: None,
            code_challenges: None,
            names_itself: false,
        }
    }

    fn list(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| String::from(*word)).collect())
    }

    #[test]
    fn the_client_proves_itself_as_the_provider_lists() {
        for (methods, expected) in [
            (None, ClientAuth::Basic),
            (list(&["client_secret_post"]), ClientAuth::Post),
            (list(&["client_secret_post", "client_secret_basic"]), ClientAuth::Basic),
            (list(&["private_key_jwt"]), ClientAuth::Basic),
        ] {
            let said = Discovery { client_auth: methods.clone(), ..published() };
            assert_eq!(Metadata::of(&said).unwrap().client_auth, expected, "{methods:?}");
        }
    }

    #[test]
    fn without_endpoints_or_pkce_there_is_no_login() {
        let missing = Discovery { authorization_endpoint: None, ..published() };
        assert!(Metadata::of(&missing).unwrap_err().contains("authorization_endpoint"));
        let missing = Discovery { token_endpoint: None, ..published() };
        assert!(Metadata::of(&missing).unwrap_err().contains("token_endpoint"));
        let plain = Discovery { code_challenges: list(&["plain"]), ..published() };
        assert!(Metadata::of(&plain).unwrap_err().contains("PKCE"));
        assert!(Metadata::of(&Discovery { code_challenges: list(&["plain", "S256"]), ..published() }).is_ok());
    }
}
