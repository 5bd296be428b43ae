//! What is kept of a login: in the browser, sealed; nothing of it in the gateway.

use crate::consumer::{Consumers, SubjectKind};
use crate::request::{Caller, told_value};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Claims that say something of the token rather than of who logged in.
const OF_THE_TOKEN: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];
/// The time of the last request is written anew at most this many times an idle span: each costs a cookie.
const RENEWALS: u64 = 6;

/// A login.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Names it without giving anything away.
    pub id: String,
    /// Who logged in: the claims of the ID token.
    pub claims: Map<String, Value>,
    /// When, in seconds since the epoch.
    pub began: u64,
    /// When the last request was, as far as the cookie knows.
    pub seen: u64,
    /// What renews it, where the provider gave something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// When the provider's access token expires, and with it its word for the login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renew_at: Option<u64>,
}

/// How long a login holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// From the login on.
    pub lasts: Duration,
    /// Without a request.
    pub idle: Duration,
}

/// What holds of a session at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is over.
    Over,
    /// The provider must renew its word first.
    Renew,
    /// It is good, and the cookie should say that it was used.
    Touch,
    /// It is good.
    Good,
}

impl Session {
    /// What holds at `now`, in seconds since the epoch. A session without a refresh token is not ended by its access
    /// token's expiry: nothing but a login could renew it, and `lasts` is what the operator set for that.
    pub fn standing(&self, lifetime: Lifetime, now: u64) -> Standing {
        let since = |moment: u64| now.saturating_sub(moment);
        let idle = lifetime.idle.as_secs();
        if since(self.began) >= lifetime.lasts.as_secs() || since(self.seen) >= idle {
            return Standing::Over;
        }
        if self.refresh.is_some() && self.renew_at.is_some_and(|renew_at| now >= renew_at) {
            return Standing::Renew;
        }
        if since(self.seen) > idle / RENEWALS { Standing::Touch } else { Standing::Good }
    }

    /// The session as it is sealed.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// A session as it was sealed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Takes the claims of an ID token in, without those that are about the token.
    pub fn identify(&mut self, mut claims: Map<String, Value>) {
        OF_THE_TOKEN.iter().for_each(|name| drop(claims.remove(*name)));
        self.claims = claims;
    }
}

/// A field for the upstream, and the claim it tells.
pub type ClaimField = (HeaderName, Box<str>);

/// How a session becomes a caller.
pub struct Naming {
    /// The provider.
    pub provider: Box<str>,
    /// The claim that names the caller.
    pub consumer: Box<str>,
    /// The claim that lists groups.
    pub groups: Option<Box<str>>,
    /// Fields for the upstream and the claims they tell.
    pub headers: Box<[ClaimField]>,
}

impl Naming {
    /// The caller of a session; `None` where its claims do not name one.
    pub fn caller(&self, session: &Session, lifetime: Lifetime, consumers: &Consumers) -> Option<Arc<Caller>> {
        let name = match session.claims.get(&*self.consumer)? {
            Value::String(text) if !text.is_empty() => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let consumer = consumers.by_subject(SubjectKind::Token, &name).cloned();
        let mut groups: Vec<Box<str>> = consumer.iter().flat_map(|consumer| consumer.groups.iter().cloned()).collect();
        let claimed = self.groups.as_ref().and_then(|claim| session.claims.get(&**claim));
        for group in claimed.map(texts).unwrap_or_default() {
            if !groups.iter().any(|known| **known == *group) {
                groups.push(group.into());
            }
        }
        let fields = self.headers.iter().filter_map(|(name, claim)| {
            let text = texts(session.claims.get(&**claim)?).join(",");
            Some((name.clone(), told_value(&text)))
        });
        let caller = Caller {
            id: consumer.as_ref().map_or_else(|| name.as_str().into(), |consumer| consumer.id.clone()),
            consumer,
            provider: self.provider.clone(),
            credential: Some(session.id.as_str().into()),
            groups: groups.into(),
            scopes: Box::default(),
            claims: Value::Object(session.claims.clone()),
            expires: Some(session.began.saturating_add(lifetime.lasts.as_secs())),
            fields: fields.collect(),
        };
        Some(caller.told())
    }
}

/// A claim as texts: one, or a list of them.
fn texts(claim: &Value) -> Vec<String> {
    match claim {
        Value::String(text) => vec![text.clone()],
        Value::Number(_) | Value::Bool(_) => vec![claim.to_string()],
        Value::Array(members) => members.iter().filter(|member| !member.is_array()).flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::Consumer;
    use serde_json::json;

    const LIFETIME: Lifetime = Lifetime { lasts: Duration::from_secs(1000), idle: Duration::from_secs(120) };

    fn session(claims: Value) -> Session {
        let Value::Object(claims) = claims else { panic!("claims are an object") };
        Session { id: "s1".into(), claims, began: 1000, seen: 1000, refresh: None, renew_at: None }
    }

    fn naming() -> Naming {
        Naming {
            provider: "web".into(),
            consumer: "sub".into(),
            groups: Some("roles".into()),
            headers: [(HeaderName::from_static("x-email"), "email".into())].into(),
        }
    }

    #[test]
    fn ends_by_age_and_by_idleness_and_is_renewed_in_between() {
        let fresh = session(json!({}));
        let renewable = Session { refresh: Some("r".into()), renew_at: Some(1050), ..fresh.clone() };
        let cases = [
            (&fresh, 1000, Standing::Good),
            (&fresh, 900, Standing::Good),
            (&fresh, 1020, Standing::Good),
            (&fresh, 1021, Standing::Touch),
            (&fresh, 1119, Standing::Touch),
            (&fresh, 1120, Standing::Over),
            (&renewable, 1049, Standing::Touch),
            (&renewable, 1050, Standing::Renew),
            (&renewable, 1120, Standing::Over),
        ];
        for (session, now, expected) in cases {
            assert_eq!(session.standing(LIFETIME, now), expected, "{now}");
        }
        let busy = Session { seen: 1999, ..fresh.clone() };
        assert_eq!(busy.standing(LIFETIME, 1999), Standing::Good);
        assert_eq!(busy.standing(LIFETIME, 2000), Standing::Over);
        let unrenewable = Session { renew_at: Some(1), ..fresh };
        assert_eq!(unrenewable.standing(LIFETIME, 1000), Standing::Good);
    }

    #[test]
    fn survives_its_bytes_and_drops_what_is_of_the_token() {
        let mut session = session(json!({}));
        let Value::Object(claims) = json!({ "sub": "7", "nonce": "n", "at_hash": "h" }) else { unreachable!() };
        session.identify(claims);
        assert_eq!(Value::Object(session.claims.clone()), json!({ "sub": "7" }));
        assert_eq!(Session::from_bytes(&session.to_bytes().unwrap()), Some(session));
        assert_eq!(Session::from_bytes(b"{}"), None);
    }

    #[test]
    fn claims_make_the_caller() {
        let mut consumers = Consumers::default();
        let acme = Consumer { id: "acme".into(), groups: ["gold".into()].into(), plan: None };
        consumers.add(acme, &[(SubjectKind::Token, "7")]).unwrap();
        let session = session(json!({ "sub": "7", "roles": ["gold", "admin"], "email": "a@b\n" }));
        let caller = naming().caller(&session, LIFETIME, &consumers).unwrap();
        assert_eq!((&*caller.id, &*caller.provider, caller.expires), ("acme", "web", Some(2000)));
        assert_eq!(caller.groups.iter().map(|group| &**group).collect::<Vec<_>>(), ["gold", "admin"]);
        let told: Vec<(&str, &str)> =
            caller.fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let groups = ("x-consumer-groups", "gold,admin");
        // A line end is no part of a value, and dropped it would make one address of two.
        assert_eq!(told, [("x-consumer-id", "acme"), groups, ("x-credential-id", "s1"), ("x-email", "a@b%0A")]);
    }

    #[test]
    fn without_the_claim_there_is_no_caller() {
        for claims in [json!({}), json!({ "sub": "" }), json!({ "sub": ["7"] }), json!({ "sub": null })] {
            assert!(naming().caller(&session(claims.clone()), LIFETIME, &Consumers::default()).is_none(), "{claims}");
        }
    }
}
