//! How a call ended: its status, and what a client of HTTP is told.

use super::json::{Json, decoded};
use crate::reply::{Reason, Reply};
use http::{HeaderMap, HeaderName, StatusCode};
use percent_encoding::percent_decode;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// Where the code stands.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Name and HTTP status of each code, by its number (<https://grpc.io/docs/guides/status-codes/>; google.rpc.Code).
const CODES: [(&str, u16); 17] = [
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
];

/// The code where none is told, or one that is not known.
const UNKNOWN: usize = 2;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStatus {
    code: usize,
    message: String,
    details: Option<Vec<u8>>,
}

impl CallStatus {
    /// What trailers, or the head of an answer without a body, say; `None` where they say nothing.
    pub fn read(fields: &HeaderMap) -> Option<Self> {
        let code = fields.get(GRPC_STATUS)?.to_str().ok().and_then(|code| code.trim().parse().ok());
        let message = fields.get(GRPC_MESSAGE).map(|message| percent_decode(message.as_bytes()).decode_utf8_lossy());
        let details = fields.get(GRPC_DETAILS).and_then(|details| decoded(details.to_str().ok()?.trim()));
        Some(Self {
            code: code.filter(|code| *code < CODES.len()).unwrap_or(UNKNOWN),
            message: message.unwrap_or_default().into_owned(),
            details,
        })
    }

    /// Of a call that ended without saying how.
    pub fn untold() -> Self {
        Self { code: UNKNOWN, message: "The service did not say how the call ended.".into(), details: None }
    }

    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.code == 0
    }

    /// The name of the code: `NOT_FOUND`.
    pub fn name(&self) -> &'static str {
        CODES.get(self.code).map_or("UNKNOWN", |(name, _)| name)
    }

    /// What a client of HTTP is told: the status of the standard table, and in the problem the code, the message and the
    /// details of `google.rpc.Status`, by the types of the schema.
    pub fn into_reply(self, pool: &DescriptorPool, json: &Json) -> Box<Reply> {
        let status = CODES.get(self.code).and_then(|(_, status)| StatusCode::from_u16(*status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or("Client closed request");
        let name = self.name();
        let details = self.details.map(|details| told(&details, pool, json)).unwrap_or_default();
        let mut reply = Reply::new(Reason::UpstreamError).status(status).title(title).member("grpc_status", name);
        if !self.message.is_empty() {
            reply = reply.detail(self.message);
        }
        if !details.is_empty() {
            reply = reply.member("details", details);
        }
        Box::new(reply)
    }
}

/// The details of an encoded `google.rpc.Status`; one whose type is not known is told by its type alone.
fn told(status: &[u8], pool: &DescriptorPool, json: &Json) -> Vec<serde_json::Value> {
    let Some(description) = pool.get_message_by_name("google.rpc.Status") else { return Vec::new() };
    let Ok(status) = DynamicMessage::decode(description, status) else { return Vec::new() };
    let details = status.get_field_by_name("details");
    let details = details.as_deref().and_then(Value::as_list).unwrap_or_default();
    let one = |detail: &Value| {
        let detail = detail.as_message()?;
        let mut written = Vec::new();
        match json.write(detail, &mut written) {
            Ok(()) => serde_json::from_slice(&written).ok(),
            Err(_) => {
                let kind = detail.get_field_by_name("type_url")?;
                Some(serde_json::json!({ "@type": kind.as_str()? }))
            }
        }
    };
    details.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(fields: &[(&'static str, &str)]) -> Option<CallStatus> {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        CallStatus::read(&fields.iter().map(pair).collect())
    }

    #[test]
    fn a_status_is_read_with_its_message() {
        let status = read(&[("grpc-status", "5"), ("grpc-message", "no%20such%20thing%3A%20%C3%BC")]).unwrap();
        assert_eq!((status.name(), status.message.as_str()), ("NOT_FOUND", "no such thing: ü"));
        assert!(read(&[("grpc-status", "0")]).unwrap().is_ok());
    }

    #[test]
    fn a_code_that_is_none_is_unknown_and_none_is_none() {
        for code in ["17", "-1", "x", "", "00000000000000000005x"] {
            assert_eq!(read(&[("grpc-status", code)]).unwrap().name(), "UNKNOWN", "{code}");
        }
        assert_eq!(read(&[("grpc-message", "x")]), None);
    }

    #[test]
    fn every_code_has_the_status_of_the_standard_table() {
        let table = [
            (1, 499),
            (2, 500),
            (3, 400),
            (4, 504),
            (5, 404),
            (6, 409),
            (7, 403),
            (8, 429),
            (9, 400),
            (10, 409),
            (11, 400),
            (12, 501),
            (13, 500),
            (14, 503),
            (15, 500),
            (16, 401),
        ];
        let (pool, json) = (DescriptorPool::new(), Json::new(Default::default()));
        for (code, status) in table {
            let reply = read(&[("grpc-status", &format!("{code}"))]).unwrap().into_reply(&pool, &json);
            assert_eq!(reply.extra.unwrap().status.unwrap().as_u16(), status, "{code}");
        }
    }
}
