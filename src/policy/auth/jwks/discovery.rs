//! What an OpenID provider publishes of itself (OpenID Connect Discovery 1.0 §3, §4).

use super::json;
use crate::value::{Scheme, WebUrl};
use serde_json::{Map, Value};

/// What an OpenID provider publishes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// Where its keys are.
    pub jwks_uri: WebUrl,
    /// Where browsers log in.
    pub authorization_endpoint: Option<WebUrl>,
    /// Where codes are exchanged for tokens.
    pub token_endpoint: Option<WebUrl>,
    /// Where browsers log out.
    pub end_session_endpoint: Option<WebUrl>,
    /// Where claims about the holder of an access token are had.
    pub userinfo_endpoint: Option<WebUrl>,
    /// How clients may prove themselves at the token endpoint; `None` where it does not say.
    pub client_auth: Option<Vec<String>>,
    /// How codes may be tied to who asked for them (RFC 7636); `None` where it does not say.
    pub code_challenges: Option<Vec<String>>,
    /// Whether its answers to browsers say who they are from (RFC 9207 §3).
    pub names_itself: bool,
}

/// Where the document of an issuer is: a slash at the end of the issuer is dropped first (§4).
pub fn location(issuer: &WebUrl) -> String {
    format!("{}/.well-known/openid-configuration", issuer.target.trim_end_matches('/'))
}

/// Reads the document of that issuer.
///
/// # Errors
/// It is malformed, is another issuer's, or leads from TLS to clear text.
pub fn read(document: &[u8], issuer: &WebUrl) -> Result<Discovery, String> {
    let object = json::object(document).ok_or("it is not JSON, or a name stands twice in it")?;
    if object.get("issuer").and_then(Value::as_str) != Some(issuer.as_str()) {
        return Err("its `issuer` is not the configured one, letter for letter".into());
    }
    Ok(Discovery {
        jwks_uri: url(&object, "jwks_uri", issuer)?.ok_or("it has no `jwks_uri`")?,
        authorization_endpoint: url(&object, "authorization_endpoint", issuer)?,
        token_endpoint: url(&object, "token_endpoint", issuer)?,
        end_session_endpoint: url(&object, "end_session_endpoint", issuer)?,
        userinfo_endpoint: url(&object, "userinfo_endpoint", issuer)?,
        client_auth: words(&object, "token_endpoint_auth_methods_supported"),
        code_challenges: words(&object, "code_challenge_methods_supported"),
        names_itself: object.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
    })
}

fn words(object: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let list = object.get(name)?.as_array()?;
    Some(list.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect())
}

fn url(object: &Map<String, Value>, name: &str, issuer: &WebUrl) -> Result<Option<WebUrl>, String> {
    let Some(value) = object.get(name) else { return Ok(None) };
    let url = value.as_str().and_then(|text| text.parse::<WebUrl>().ok());
    let url = url.ok_or_else(|| format!("its `{name}` is not a URL"))?;
    if issuer.base.scheme == Scheme::Https && url.base.scheme != Scheme::Https {
        return Err(format!("its `{name}` is in clear text"));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> WebUrl {
        text.parse().unwrap()
    }

    #[test]
    fn the_document_is_below_the_issuer() {
        assert_eq!(location(&issuer("https://idp.example")), "/.well-known/openid-configuration");
        assert_eq!(location(&issuer("https://idp.example/")), "/.well-known/openid-configuration");
        assert_eq!(location(&issuer("https://idp.example/t/1/")), "/t/1/.well-known/openid-configuration");
    }

    #[test]
    fn the_document_must_be_the_issuers_own() {
        let configured = issuer("https://idp.example");
        let good = br#"{"issuer":"https://idp.example","jwks_uri":"https://keys.example/k","token_endpoint":"https://idp.example/t"}"#;
        let read_good = read(good, &configured).unwrap();
        assert_eq!(read_good.jwks_uri.as_str(), "https://keys.example/k");
        assert_eq!((read_good.token_endpoint.is_some(), read_good.userinfo_endpoint), (true, None));
        for bad in [
            r#"{"issuer":"https://idp.example/","jwks_uri":"https://keys.example/k"}"#,
            r#"{"issuer":"https://IDP.example","jwks_uri":"https://keys.example/k"}"#,
            r#"{"jwks_uri":"https://keys.example/k"}"#,
            r#"{"issuer":"https://idp.example"}"#,
            r#"{"issuer":"https://idp.example","jwks_uri":"http://keys.example/k"}"#,
            r#"{"issuer":"https://idp.example","jwks_uri":"file:///etc/passwd"}"#,
            r#"{"issuer":"https://idp.example","issuer":"https://idp.example","jwks_uri":"https://keys.example/k"}"#,
        ] {
            assert!(read(bad.as_bytes(), &configured).is_err(), "{bad}");
        }
    }
}
