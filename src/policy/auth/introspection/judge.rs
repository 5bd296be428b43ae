//! What a provider's answer says of a token: pure functions over the answer and the clock.

use crate::fetch::Answer;
use crate::policy::auth::Refusal;
use crate::reply::Reason;
use http::StatusCode;
use serde_json::Value;
use std::borrow::Cow;

/// What must hold of the claims beside `active`.
pub(super) struct Rules {
    pub(super) audience: Box<[String]>,
    pub(super) issuer: Option<Box<str>>,
    /// How far clocks may be apart, in seconds.
    pub(super) leeway: u64,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judged {
    /// The token is good, until that second where it has an end.
    Good { claims: Value, expires: Option<u64> },
    /// It is not.
    Bad(Refusal),
    /// The answer is none; the text is for the log.
    Unusable(Cow<'static, str>),
}

fn bad(detail: &'static str) -> Judged {
    Judged::Bad(Refusal { reason: Reason::BadCredentials, detail: detail.into() })
}

/// Reads the answer at a time in seconds since the epoch (RFC 7662 §2.2).
pub(super) fn judge(answer: &Answer, rules: &Rules, now: u64) -> Judged {
    if answer.status != StatusCode::OK {
        return Judged::Unusable(format!("the provider answers {}", answer.status.as_u16()).into());
    }
    let Ok(claims @ Value::Object(_)) = serde_json::from_slice::<Value>(&answer.body) else {
        return Judged::Unusable("the provider's answer is no JSON object".into());
    };
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return bad("The token is not active."),
        // Text such as "false" would be taken for true by a careless reader.
        _ => return Judged::Unusable("the provider's answer has no `active` that is true or false".into()),
    }
    let (Ok(expires), Ok(begins)) = (seconds(&claims, "exp"), seconds(&claims, "nbf")) else {
        return Judged::Unusable("the provider's answer has an `exp` or `nbf` that is no time".into());
    };
    if expires.is_some_and(|expires| expires.saturating_add(rules.leeway) <= now) {
        return Judged::Bad(Refusal { reason: Reason::ExpiredToken, detail: "The token has expired.".into() });
    }
    if begins.is_some_and(|begins| begins > now.saturating_add(rules.leeway)) {
        return bad("The token is not valid yet.");
    }
    if rules.issuer.as_deref().is_some_and(|issuer| claims.get("iss").and_then(Value::as_str) != Some(issuer)) {
        return bad("The token is of another issuer.");
    }
    if !rules.audience.is_empty() && !is_for(claims.get("aud"), &rules.audience) {
        return bad("The token is for another audience.");
    }
    Judged::Good { claims, expires }
}

/// A time in whole seconds; `Err` where something else stands.
fn seconds(claims: &Value, name: &str) -> Result<Option<u64>, ()> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => Ok(Some(whole)),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the guard")]
            (None, Some(float)) if (0.0..1e15).contains(&float) => Ok(Some(float as u64)),
            _ => Err(()),
        },
        Some(_) => Err(()),
    }
}

/// Whether an `aud` (RFC 7519 §4.1.3) names one of those.
fn is_for(claim: Option<&Value>, audience: &[String]) -> bool {
    let named = |value: &Value| value.as_str().is_some_and(|text| audience.iter().any(|own| own == text));
    match claim {
        Some(Value::Array(all)) => all.iter().any(named),
        Some(one) => named(one),
        None => false,
    }
}

/// A claim by its name, else by its path through objects: `realm_access.roles`.
pub(super) fn claim<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// A claim as one text.
pub(super) fn text<'a>(claims: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    match claim(claims, path)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Value::Array(all) => {
            let texts: Option<Vec<&str>> = all.iter().map(Value::as_str).collect();
            texts.map(|texts| Cow::Owned(texts.join(",")))
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// A claim as a list: an array of texts, or a text with spaces (RFC 6749 §3.3).
pub(super) fn list(claims: &Value, path: &str) -> Box<[Box<str>]> {
    match claim(claims, path) {
        Some(Value::String(text)) => text.split_ascii_whitespace().map(Into::into).collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(Into::into).collect(),
        _ => Box::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use serde_json::json;

    const NOW: u64 = 1000;

    fn judged(body: &str) -> Judged {
        let rules = Rules { audience: ["orders".to_owned()].into(), issuer: Some("https://idp".into()), leeway: 0 };
        let answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_owned().into() };
        judge(&answer, &rules, NOW)
    }

    fn refused(change: &Value) -> Option<(Reason, String)> {
        let mut claims = json!({ "active": true, "iss": "https://idp", "aud": "orders", "sub": "7" });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        match judged(&claims.to_string()) {
            Judged::Bad(refusal) => Some((refusal.reason, refusal.detail.into_owned())),
            Judged::Good { .. } => None,
            Judged::Unusable(why) => panic!("{why}"),
        }
    }

    #[test]
    fn what_holds_of_a_good_token() {
        for change in [
            json!({}),
            json!({ "exp": 1001, "nbf": 1000 }),
            json!({ "exp": 1000.9e3 }),
            json!({ "aud": ["other", "orders"] }),
            json!({ "exp": null }),
        ] {
            assert_eq!(refused(&change), None, "{change}");
        }
        for (change, reason, detail) in [
            (json!({ "active": false }), Reason::BadCredentials, "The token is not active."),
            (json!({ "exp": 1000 }), Reason::ExpiredToken, "The token has expired."),
            (json!({ "exp": 999.5 }), Reason::ExpiredToken, "The token has expired."),
            (json!({ "nbf": 1001 }), Reason::BadCredentials, "The token is not valid yet."),
            (json!({ "iss": "https://idp/" }), Reason::BadCredentials, "The token is of another issuer."),
            (json!({ "iss": ["https://idp"] }), Reason::BadCredentials, "The token is of another issuer."),
            (json!({ "aud": "orders2" }), Reason::BadCredentials, "The token is for another audience."),
            (json!({ "aud": [] }), Reason::BadCredentials, "The token is for another audience."),
            (json!({ "aud": { "orders": true } }), Reason::BadCredentials, "The token is for another audience."),
            (json!({ "aud": null }), Reason::BadCredentials, "The token is for another audience."),
        ] {
            assert_eq!(refused(&change), Some((reason, detail.to_owned())), "{change}");
        }
    }

    #[test]
    fn an_answer_that_is_none_never_passes() {
        for body in [
            "",
            "nonsense",
            "[]",
            "true",
            "{}",
            r#"{"active":"true"}"#,
            r#"{"active":1}"#,
            r#"{"active":null}"#,
            r#"{"active":true,"exp":"tomorrow"}"#,
            r#"{"active":true,"exp":-1}"#,
            r#"{"active":true,"nbf":[]}"#,
            r#"{"active":true"#,
        ] {
            assert!(matches!(judged(body), Judged::Unusable(_)), "{body}");
        }
        let rules = Rules { audience: [].into(), issuer: None, leeway: 0 };
        for status in [204, 302, 400, 401, 500] {
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, headers: HeaderMap::new(), body: r#"{"active":true}"#.into() };
            assert!(matches!(judge(&answer, &rules, NOW), Judged::Unusable(_)), "{status}");
        }
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(matches!(judged(&deep), Judged::Unusable(_)));
    }

    #[test]
    fn claims_are_read_by_name_and_by_path() {
        let claims = json!({ "a.b": "x", "a": { "b": "y", "c": ["p", "q"] }, "n": 7, "s": "r w  x" });
        assert_eq!(text(&claims, "a.b").unwrap(), "x");
        assert_eq!(text(&claims, "a.c").unwrap(), "p,q");
        assert_eq!(text(&claims, "n").unwrap(), "7");
        assert_eq!(text(&claims, "a"), None);
        assert_eq!(&*list(&claims, "s"), ["r", "w", "x"].map(Box::<str>::from));
        assert_eq!(list(&claims, "a.c").len(), 2);
        assert!(list(&claims, "n").is_empty());
    }
}
