//! What a token must say (RFC 7519 §4.1).

use serde_json::{Map, Value};
use std::borrow::Cow;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// The claim of that name; where there is none, a dot leads into an object.
pub fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.')?;
    claim(claims.get(first)?.as_object()?, rest)
}

/// Whom tokens must be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// One of these; with none of them, nobody in particular.
    OneOf(Box<[Box<str>]>),
    /// Anybody.
    Any,
}

/// A claim, by its path, and the values of which it must have one; with none of them it may say anything.
pub type Required = (Box<str>, Box<[Value]>);

/// What a token must say.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who must have made it.
    pub issuer: Option<Box<str>>,
    /// Whom it must be for.
    pub audience: Audience,
    /// How far the clocks may be apart, in seconds.
    pub leeway: u64,
    /// What else it must say.
    pub required: Box<[Required]>,
}

/// The seconds between which a token is good: from the first, before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first second it is good at.
    pub from: u64,
    /// The first second it is good at no more.
    pub until: u64,
    /// What it says itself: its `exp`.
    pub expires: u64,
}

/// Why a token is not good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It was once.
    Expired,
    /// For the reason given.
    Other(Cow<'static, str>),
}

fn fault<T>(detail: &'static str) -> Result<T, Fault> {
    Err(Fault::Other(detail.into()))
}

impl Rules {
    /// Whether another issuer has made it, as far as it says so itself.
    pub fn is_foreign(&self, claims: &Claims) -> bool {
        self.issuer.as_deref().is_some_and(|issuer| claims.get("iss").and_then(Value::as_str) != Some(issuer))
    }

    /// Judges what a token says at that second since the epoch.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn judge(&self, claims: &Claims, now: u64) -> Result<Span, Fault> {
        if self.is_foreign(claims) {
            return fault("the token is of another issuer");
        }
        let span = self.span(claims)?;
        if now >= span.until {
            return Err(Fault::Expired);
        }
        if now < span.from {
            return fault("the token is not valid yet");
        }
        self.for_us(claims.get("aud"))?;
        for (name, values) in &self.required {
            let found = claim(claims, name);
            let good = found.is_some_and(|found| values.is_empty() || values.contains(found));
            if !good {
                let what = if found.is_none() { "lacks the claim" } else { "has another value in the claim" };
                return Err(Fault::Other(format!("the token {what} `{name}`").into()));
            }
        }
        Ok(span)
    }

    fn span(&self, claims: &Claims) -> Result<Span, Fault> {
        let Some(exp) = claims.get("exp") else { return fault("the token has no `exp`") };
        let Some(expires) = seconds(exp) else { return fault("the token's `exp` is not a time") };
        let from = match claims.get("nbf") {
            None => 0,
            Some(nbf) => match seconds(nbf) {
                Some(from) => from.saturating_sub(self.leeway),
                None => return fault("the token's `nbf` is not a time"),
            },
        };
        Ok(Span { from, until: expires.saturating_add(self.leeway), expires })
    }

    fn for_us(&self, aud: Option<&Value>) -> Result<(), Fault> {
        let Audience::OneOf(ours) = &self.audience else { return Ok(()) };
        let is_ours = |name: &Value| name.as_str().is_some_and(|name| ours.iter().any(|own| **own == *name));
        match aud {
            None if ours.is_empty() => Ok(()),
            None => fault("the token names no audience"),
            Some(Value::Array(names)) if names.iter().any(is_ours) => Ok(()),
            Some(name) if is_ours(name) => Ok(()),
            Some(_) => fault("the token is for another audience"),
        }
    }
}

/// A NumericDate (RFC 7519 §2) in whole seconds, rounded up: the clock it is compared with is rounded down.
fn seconds(value: &Value) -> Option<u64> {
    /// Beyond it a number with a fraction is not exact any more.
    const MOST: f64 = 9_007_199_254_740_992.0;
    if let Some(whole) = value.as_u64() {
        return Some(whole);
    }
    if value.as_i64().is_some() {
        return Some(0);
    }
    let number = value.as_f64()?.ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number between 0 and 2^53")]
    (number.is_finite() && number <= MOST).then(|| number.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules() -> Rules {
        Rules {
            issuer: Some("https://idp".into()),
            audience: Audience::OneOf(["orders".into(), "carts".into()].into()),
            leeway: 0,
            required: [("azp".into(), [json!("app"), json!(7)].into()), ("realm.name".into(), [].into())].into(),
        }
    }

    fn good() -> Value {
        json!({ "iss": "https://idp", "aud": "orders", "exp": 200, "nbf": 100, "azp": "app", "realm": { "name": null } })
    }

    fn judge(rules: &Rules, change: impl FnOnce(&mut Value), now: u64) -> Result<Span, String> {
        let mut claims = good();
        change(&mut claims);
        rules.judge(claims.as_object().unwrap(), now).map_err(|fault| match fault {
            Fault::Expired => "expired".into(),
            Fault::Other(detail) => detail.into_owned(),
        })
    }

    #[test]
    fn what_it_says_decides() {
        let missing = |name: &'static str| move |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove(name));
        let set = |name: &'static str, value: Value| move |claims: &mut Value| claims[name] = value;
        let at = |change: Box<dyn FnOnce(&mut Value)>| judge(&rules(), change, 150).err().unwrap_or_default();
        type Change = Box<dyn FnOnce(&mut Value)>;
        let cases: Vec<(Change, &str)> = vec![
            (Box::new(|_| {}), ""),
            (Box::new(set("aud", json!(["x", "carts"]))), ""),
            (Box::new(set("azp", json!(7))), ""),
            (Box::new(missing("nbf")), ""),
            (Box::new(missing("exp")), "the token has no `exp`"),
            (Box::new(set("exp", json!("200"))), "the token's `exp` is not a time"),
            (Box::new(set("exp", json!(null))), "the token's `exp` is not a time"),
            (Box::new(set("exp", json!(1e300))), "the token's `exp` is not a time"),
            (Box::new(set("exp", json!(-5))), "expired"),
            (Box::new(set("nbf", json!([]))), "the token's `nbf` is not a time"),
            (Box::new(set("nbf", json!(151))), "the token is not valid yet"),
            (Box::new(missing("iss")), "the token is of another issuer"),
            (Box::new(set("iss", json!("https://idp/"))), "the token is of another issuer"),
            (Box::new(set("iss", json!(["https://idp"]))), "the token is of another issuer"),
            (Box::new(missing("aud")), "the token names no audience"),
            (Box::new(set("aud", json!("Orders"))), "the token is for another audience"),
            (Box::new(set("aud", json!([]))), "the token is for another audience"),
            (Box::new(set("aud", json!({ "orders": 1 }))), "the token is for another audience"),
            (Box::new(missing("azp")), "the token lacks the claim `azp`"),
            (Box::new(set("azp", json!("7"))), "the token has another value in the claim `azp`"),
            (Box::new(set("realm", json!({}))), "the token lacks the claim `realm.name`"),
        ];
        for (change, expected) in cases {
            assert_eq!(at(change), expected);
        }
    }

    #[test]
    fn it_is_good_from_the_first_second_to_before_the_last() {
        let whole = |_: &mut Value| {};
        let judged: Vec<bool> = [99, 100, 199, 200].map(|now| judge(&rules(), whole, now).is_ok()).into();
        assert_eq!(judged, [false, true, true, false]);
        let lenient = Rules { leeway: 5, ..rules() };
        let judged: Vec<bool> = [94, 95, 204, 205].map(|now| judge(&lenient, whole, now).is_ok()).into();
        assert_eq!(judged, [false, true, true, false]);
        let parts = |claims: &mut Value| (claims["exp"], claims["nbf"]) = (json!(200.5), json!(100.5));
        let judged: Vec<bool> = [100, 101, 200, 201].map(|now| judge(&rules(), parts, now).is_ok()).into();
        assert_eq!(judged, [false, true, true, false]);
        let never = |claims: &mut Value| claims["exp"] = json!(u64::MAX);
        assert!(judge(&lenient, never, 150).is_ok());
    }

    #[test]
    fn without_an_audience_of_ours_a_token_for_somebody_is_not_for_us() {
        let nobody = Rules { audience: Audience::OneOf([].into()), ..rules() };
        assert!(judge(&nobody, |_| {}, 150).is_err());
        assert!(judge(&nobody, |claims| drop(claims.as_object_mut().unwrap().remove("aud")), 150).is_ok());
        assert!(judge(&Rules { audience: Audience::Any, ..rules() }, |_| {}, 150).is_ok());
    }

    #[test]
    fn a_name_with_dots_comes_before_a_path() {
        let claims = json!({ "https://x.example/groups": 1, "a": { "b.c": 2, "b": { "c": 3 } } });
        let claims = claims.as_object().unwrap();
        assert_eq!(claim(claims, "https://x.example/groups"), Some(&json!(1)));
        assert_eq!(claim(claims, "a.b.c"), Some(&json!(2)));
        assert_eq!((claim(claims, "a.x"), claim(claims, "")), (None, None));
    }
}
