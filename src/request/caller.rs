//! The caller: who was established to have sent this request, and what the connection itself proves.

use super::{Asked, BodyDigest, ClientCertificate, HeadersMut, Ledger};
use crate::consumer::Consumer;
use crate::observe::metrics::AuthOutcome;
use crate::websocket::Opening;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::sync::Arc;

/// Who sent a request, as a provider established it. Made once per credential and shared by its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Caller {
    /// Its name: the consumer's id, else the name a provider vouches for (a token's subject, a user).
    pub id: Box<str>,
    /// The consumer that is written down, where there is one.
    pub consumer: Option<Arc<Consumer>>,
    /// The name of the provider that established it.
    pub provider: Box<str>,
    /// Names the credential without giving it away: a key's id, a token's `jti`, a certificate's fingerprint.
    pub credential: Option<Box<str>>,
    /// The consumer's groups and those the credential brings.
    pub groups: Box<[Box<str>]>,
    /// The scopes the credential brings (RFC 6749 §3.3).
    pub scopes: Box<[Box<str>]>,
    /// The claims of a token, an object; null where there are none.
    pub claims: serde_json::Value,
    /// When the credential expires, in seconds since the epoch.
    pub expires: Option<u64>,
    /// What the upstream is told of the caller: what a provider adds (`headers:`, `copy_headers:`), and after
    /// [`Caller::told`] who it is.
    pub fields: Vec<(HeaderName, HeaderValue)>,
}

/// Names by which upstreams are told who the caller is: never accepted from outside.
pub const IDENTITY_FIELDS: [HeaderName; 4] = [CONSUMER_ID, CONSUMER_GROUPS, CREDENTIAL_ID, ANONYMOUS];

const CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
const CONSUMER_GROUPS: HeaderName = HeaderName::from_static("x-consumer-groups");
const CREDENTIAL_ID: HeaderName = HeaderName::from_static("x-credential-id");
const ANONYMOUS: HeaderName = HeaderName::from_static("x-anonymous-consumer");

impl Caller {
    /// Completes what upstreams are told: its id, its groups, its credential's name. Once for each credential, so that
    /// its requests only copy references.
    pub fn told(mut self) -> Arc<Self> {
        let mut fields = vec![(CONSUMER_ID, field_value(&escaped(&self.id, |_| false)))];
        if !self.groups.is_empty() {
            let written: Vec<String> = self.groups.iter().map(|group| escaped(group, |c| c == ',')).collect();
            fields.push((CONSUMER_GROUPS, field_value(&written.join(","))));
        }
        if let Some(credential) = &self.credential {
            fields.push((CREDENTIAL_ID, field_value(&escaped(credential, |_| false))));
        }
        fields.append(&mut self.fields);
        self.fields = fields;
        Arc::new(self)
    }

    /// What the upstream is told of the caller, the name of its credential apart: what its answers may differ by.
    pub fn told_fields(&self) -> impl Iterator<Item = &(HeaderName, HeaderValue)> {
        self.fields.iter().filter(|(name, _)| *name != CREDENTIAL_ID)
    }

    /// Tells the upstream who the caller is.
    pub fn tell(&self, headers: &mut dyn HeadersMut) {
        for (name, value) in &self.fields {
            headers.append(name, value.clone());
        }
    }
}

/// Tells the upstream that there is no caller.
pub fn tell_anonymous(headers: &mut dyn HeadersMut) {
    headers.set(&ANONYMOUS, HeaderValue::from_static("true"));
}

/// Text of others as the value of a field: what may not stand in one is percent-encoded.
pub fn told_value(text: &str) -> HeaderValue {
    field_value(&escaped(text, |_| false))
}

fn field_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Text for a field. What may not stand in one is percent-encoded: dropped, it would make one name of two.
fn escaped(text: &str, also: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut bytes = [0; 4];
    for c in text.chars() {
        if c.is_ascii_graphic() && !also(c) || c == ' ' {
            out.push(c);
        } else {
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        }
    }
    out
}

/// What is known of who is at the other end.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The caller, once a provider has established one.
    pub caller: Option<Arc<Caller>>,
    /// The certificate of the connection.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// What the providers of the route have said, in their order; for the metrics.
    pub said: SmallVec<[AuthOutcome; 8]>,
    /// The name under which the request is found again, for services that are asked about it.
    pub request_id: Option<HeaderValue>,
    /// What the body must be for the caller to be who it says.
    pub body: Option<Box<BodyDigest>>,
}

/// What policies want changed beside the header fields of the request, and what limits have counted for it.
#[derive(Debug, Default)]
pub struct Changes {
    /// Takes the place of the query, without the question mark; empty for none.
    pub query: Option<Box<str>>,
    /// Fields that go out with the answer, whoever makes it.
    pub response: Vec<(HeaderName, HeaderValue)>,
    /// What was asked for, where a policy of the route goes by it after the request has gone on.
    pub asked: Option<Box<Asked>>,
    /// Which conditions of the route's changes hold, a bit each.
    pub held: u64,
    /// What limits have counted.
    pub ledger: Ledger,
    /// What the route allows on the WebSocket that a handshake opens.
    pub socket: Option<Box<Opening>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_upstream_is_told_and_nothing_breaks_out_of_a_name() {
        let caller = Caller {
            id: "admin\n".into(),
            groups: ["a,b".into(), "c".into()].into(),
            credential: Some("k1".into()),
            fields: vec![(HeaderName::from_static("x-sub"), HeaderValue::from_static("7"))],
            ..Caller::default()
        };
        let mut headers = HeaderMap::new();
        caller.told().tell(&mut headers);
        assert_eq!(headers.get("x-consumer-id").unwrap(), "admin%0A");
        assert_eq!(headers.get("x-consumer-groups").unwrap(), "a%2Cb,c");
        assert_eq!(headers.get("x-credential-id").unwrap(), "k1");
        assert_eq!(headers.get("x-sub").unwrap(), "7");
    }
}
