//! A response as a client received it, and what every response must obey.

use serde_json::Value;

use super::request::Identified;
use crate::support::wire::{Fields, members, values};

/// What came back, body and framing taken apart.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The fields in order.
    pub fields: Fields,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
    /// The interim responses (1xx) that came first: status and fields.
    pub early: Vec<(u16, Fields)>,
}

impl Response {
    /// The only value of that field. None where it is missing.
    ///
    /// # Panics
    /// When it stands more than once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = values(&self.fields, name);
        assert!(found.len() <= 1, "{name} stands {} times: {self:#?}", found.len());
        found.first().copied()
    }

    /// All values of that field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body in UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:#?}"))
    }

    /// The reason of a problem: the end of its `type`; empty where there is none.
    ///
    /// # Panics
    /// When it is not JSON.
    #[track_caller]
    pub fn problem(&self) -> String {
        let json = self.json();
        let kind = json["type"].as_str().unwrap_or_default();
        kind.strip_prefix("urn:tollgate:problem:").unwrap_or(kind).to_owned()
    }

    /// Whether the server keeps the connection (RFC 9112 §9.3).
    pub fn keeps_alive(&self) -> bool {
        !members(&self.fields, "connection").contains(&"close".into())
    }

    /// What is wrong with it whatever was asked: leaks, missing identity, secrets.
    pub(super) fn faults(&self, identified: Identified, secrets: &[String]) -> Vec<String> {
        let mut faults = field_faults(self.status, &self.fields);
        for (status, fields) in &self.early {
            faults.extend(field_faults(*status, fields));
        }
        if identified == Identified::Required && values(&self.fields, "x-request-id").len() != 1 {
            faults.push("not one X-Request-Id".into());
        }
        let body = String::from_utf8_lossy(&self.body);
        let all = || self.fields.iter().chain(&self.trailers).map(|(_, value)| value.as_str()).chain([body.as_ref()]);
        for secret in secrets {
            if all().any(|text| text.contains(secret.as_str())) {
                faults.push(format!("tells the secret {secret:?}"));
            }
        }
        faults
    }
}

/// What is wrong with a set of fields for that status (RFC 9110 §7.6.1, RFC 9112 §6).
pub(super) fn field_faults(status: u16, fields: &Fields) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hop_by_hop = vec!["keep-alive", "proxy-connection", "te", "proxy-authorization"];
    if !matches!(status, 101 | 426) {
        hop_by_hop.push("upgrade");
    }
    faults
        .extend(hop_by_hop.iter().filter(|name| !values(fields, name).is_empty()).map(|name| format!("{name} leaked")));
    let (lengths, codings) = (values(fields, "content-length").len(), values(fields, "transfer-encoding").len());
    if lengths > 1 || codings > 1 || lengths + codings > 1 {
        faults.push("more than one Content-Length or Transfer-Encoding".into());
    }
    if matches!(status, 100..200 | 204) && lengths + codings > 0 {
        faults.push(format!("a {status} with a framed body"));
    }
    if values(fields, "server").iter().any(|value| value.to_ascii_lowercase().contains("pingora")) {
        faults.push("Server names Pingora".into());
    }
    for single in ["content-type", "date", "location", "etag", "retry-after"] {
        if values(fields, single).len() > 1 {
            faults.push(format!("more than one {single}"));
        }
    }
    faults
}
