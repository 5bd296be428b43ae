//! What an ID token must say (OpenID Connect Core §3.1.3.7), once its signature is known to be good.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// By how many seconds the provider's clock and ours may differ.
pub const LEEWAY: u64 = 30;

/// What is expected of an ID token.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// For whom.
    pub client_id: &'a str,
    /// In answer to what; a renewal has none.
    pub nonce: Option<&'a str>,
    /// Whom it must be about: the renewal of a login is about the same person.
    pub subject: Option<&'a str>,
    /// The present, in seconds since the epoch.
    pub now: u64,
}

/// Checks the claims; the sentence says what is wrong, for the log.
///
/// # Errors
/// The first claim that is not as expected.
pub fn check(claims: &Map<String, Value>, expected: Expected<'_>) -> Result<(), &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err("its `iss` is not the provider");
    }
    match claims.get("aud") {
        Some(Value::String(only)) if only == expected.client_id => {}
        Some(Value::Array(many)) if many.iter().any(|one| one.as_str() == Some(expected.client_id)) => {
            // For several it must say whom it was issued to (rules 4 and 5).
            if many.len() > 1 && claims.get("azp").is_none() {
                return Err("it is for several and has no `azp`");
            }
        }
        _ => return Err("its `aud` is not this client"),
    }
    if claims.get("azp").is_some_and(|azp| azp.as_str() != Some(expected.client_id)) {
        return Err("its `azp` is not this client");
    }
    let expires = claims.get("exp").and_then(seconds).ok_or("it has no `exp`")?;
    if expires.saturating_add(LEEWAY) <= expected.now {
        return Err("it has expired");
    }
    for (name, wrong) in [("nbf", "it is not valid yet"), ("iat", "it was issued in the future")] {
        if claims.get(name).is_some_and(|value| seconds(value).is_none_or(|at| at > expected.now + LEEWAY)) {
            return Err(wrong);
        }
    }
    if text("sub").is_none_or(str::is_empty) {
        return Err("it has no `sub`");
    }
    if expected.subject.is_some_and(|subject| text("sub") != Some(subject)) {
        return Err("it is about somebody else");
    }
    match expected.nonce {
        Some(nonce) if !text("nonce").is_some_and(|said| is_equal(said, nonce)) => Err("its `nonce` is another"),
        _ => Ok(()),
    }
}

/// Checks that an access token came with its ID token, where the ID token says so (§3.1.3.8).
///
/// # Errors
/// What is wrong, for the log.
pub fn check_access_token(
    claims: &Map<String, Value>,
    algorithm: &str,
    access_token: Option<&str>,
) -> Result<(), &'static str> {
    let (Some(said), Some(token)) = (claims.get("at_hash"), access_token) else { return Ok(()) };
    let hash = match algorithm.get(2..) {
        Some("384") => &SHA384,
        Some("512") => &SHA512,
        // Ed25519 hashes with SHA-512 itself, and providers do the same here.
        _ if algorithm.eq_ignore_ascii_case("EdDSA") => &SHA512,
        _ => &SHA256,
    };
    let hashed = digest(hash, token.as_bytes());
    let (left, _) = hashed.as_ref().split_at(hashed.as_ref().len() / 2);
    if said.as_str().is_some_and(|said| is_equal(said, &URL_SAFE_NO_PAD.encode(left))) {
        return Ok(());
    }
    Err("its `at_hash` is of another access token")
}

/// Compares without telling by the time it takes how much is equal.
pub fn is_equal(one: &str, two: &str) -> bool {
    use subtle::ConstantTimeEq as _;
    one.as_bytes().ct_eq(two.as_bytes()).into()
}

/// A NumericDate (RFC 7519 §2), which may have a fraction.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64().filter(|number| *number >= 0.0 && *number < 1e15)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range by the line above")]
        Some(number as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checked(changes: Value) -> Result<(), &'static str> {
        let mut claims = json!({
            "iss": "https://idp.example", "aud": "shop", "sub": "7", "nonce": "n", "exp": 1300, "iat": 1000,
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        let expected =
            Expected { issuer: "https://idp.example", client_id: "shop", nonce: Some("n"), subject: None, now: 1000 };
        check(claims.as_object().unwrap(), expected)
    }

    #[test]
    fn the_table_of_claims() {
        for good in [
            json!({}),
            json!({ "aud": ["shop"] }),
            json!({ "aud": ["shop", "other"], "azp": "shop" }),
            json!({ "azp": "shop" }),
            json!({ "exp": 971 }),
            json!({ "exp": 1300.5, "nbf": 1030 }),
        ] {
            assert_eq!(checked(good.clone()), Ok(()), "{good}");
        }
        for (bad, why) in [
            (json!({ "iss": "https://idp.example/" }), "its `iss` is not the provider"),
            (json!({ "iss": null }), "its `iss` is not the provider"),
            (json!({ "aud": "other" }), "its `aud` is not this client"),
            (json!({ "aud": null }), "its `aud` is not this client"),
            (json!({ "aud": ["other"] }), "its `aud` is not this client"),
            (json!({ "aud": [["shop"]] }), "its `aud` is not this client"),
            (json!({ "aud": ["shop", "other"] }), "it is for several and has no `azp`"),
            (json!({ "azp": "other" }), "its `azp` is not this client"),
            (json!({ "azp": 7 }), "its `azp` is not this client"),
            (json!({ "exp": 970 }), "it has expired"),
            (json!({ "exp": null }), "it has no `exp`"),
            (json!({ "exp": "1300" }), "it has no `exp`"),
            (json!({ "exp": -1 }), "it has no `exp`"),
            (json!({ "nbf": 1031 }), "it is not valid yet"),
            (json!({ "nbf": "soon" }), "it is not valid yet"),
            (json!({ "iat": 1031 }), "it was issued in the future"),
            (json!({ "sub": null }), "it has no `sub`"),
            (json!({ "sub": "" }), "it has no `sub`"),
            (json!({ "nonce": "m" }), "its `nonce` is another"),
            (json!({ "nonce": null }), "its `nonce` is another"),
            (json!({ "nonce": ["n"] }), "its `nonce` is another"),
        ] {
            assert_eq!(checked(bad.clone()), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_renewal_is_about_the_same_person_and_needs_no_nonce() {
        let claims = json!({ "iss": "i", "aud": "c", "sub": "7", "exp": 10 });
        let expected = Expected { issuer: "i", client_id: "c", nonce: None, subject: Some("7"), now: 1 };
        assert_eq!(check(claims.as_object().unwrap(), expected), Ok(()));
        let other = Expected { subject: Some("8"), ..expected };
        assert_eq!(check(claims.as_object().unwrap(), other), Err("it is about somebody else"));
    }

    #[test]
    fn the_hash_of_the_access_token_is_that_of_the_example() {
        // OpenID Connect Core, A.3: RS256.
        let claims = json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" });
        let claims = claims.as_object().unwrap();
        let token = Some("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
        assert_eq!(check_access_token(claims, "RS256", token), Ok(()));
        assert!(check_access_token(claims, "RS512", token).is_err());
        assert!(check_access_token(claims, "RS256", Some("other")).is_err());
        assert_eq!(check_access_token(claims, "RS256", None), Ok(()));
        assert_eq!(check_access_token(&Map::new(), "RS256", token), Ok(()));
    }
}
