//! How a call ended: its status, and what a client of HTTP is told.

use super::json::{Json, decoded};
use crate::exchange::call::CallError;
use crate::observe::Worker;
use crate::observe::metrics::GrpcMetrics;
use crate::reply::{Reason, Reply};
use crate::value::GrpcCode;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use std::sync::Arc;

/// Where the code stands.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// What a message encodes (gRPC over HTTP/2, "Status-Message").
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallStatus {
    code: GrpcCode,
    message: String,
    details: Option<Vec<u8>>,
}

impl CallStatus {
    /// What trailers, or the head of an answer without a body, say; `None` where they say nothing.
    pub fn read(fields: &HeaderMap) -> Option<Self> {
        let code = GrpcCode::told(fields.get(GRPC_STATUS)?.as_bytes());
        let message = fields.get(GRPC_MESSAGE).map(|message| percent_decode(message.as_bytes()).decode_utf8_lossy());
        let details = fields.get(GRPC_DETAILS).and_then(|details| decoded(details.to_str().ok()?.trim()));
        Some(Self { code, message: message.unwrap_or_default().into_owned(), details })
    }

    /// The field that tells a message, percent-encoded; none for an empty one.
    pub fn message_field(message: &str) -> Option<(HeaderName, HeaderValue)> {
        let encoded = utf8_percent_encode(message, MESSAGE).to_string();
        let value = HeaderValue::try_from(encoded).ok().filter(|value| !value.is_empty())?;
        Some((GRPC_MESSAGE, value))
    }

    /// Of a call that ended without saying how.
    pub fn untold() -> Self {
        Self { code: GrpcCode::UNKNOWN, message: "The service did not say how the call ended.".into(), details: None }
    }

    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.code == GrpcCode::OK
    }

    /// What a client of HTTP is told: the status of the standard table, and in the problem the code, the message and the
    /// details of `google.rpc.Status`, by the types of the schema.
    pub fn into_failed(self, pool: &DescriptorPool, json: &Json) -> Failed {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let title = status.canonical_reason().unwrap_or("Client closed request");
        let name = self.code.name();
        let details = self.details.map(|details| told(&details, pool, json)).unwrap_or_default();
        let mut reply = Reply::new(Reason::UpstreamError).status(status).title(title).member("grpc_status", name);
        if !self.message.is_empty() {
            reply = reply.detail(self.message);
        }
        if !details.is_empty() {
            reply = reply.member("details", details);
        }
        Failed { code: self.code, reply: Box::new(reply) }
    }
}

/// Why a call came to nothing: the code it is counted by, and what the client is told.
#[derive(Debug)]
pub struct Failed {
    /// The code.
    pub code: GrpcCode,
    /// The refusal.
    pub reply: Box<Reply>,
}

impl From<Box<Reply>> for Failed {
    fn from(reply: Box<Reply>) -> Self {
        Self { code: GrpcCode::new(reply.reason.grpc_status()), reply }
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Box::<Reply>::from(error).into()
    }
}

/// Counts how one call ends, once; one that is dropped before has been cancelled.
pub struct Counting {
    metrics: Arc<GrpcMetrics>,
    worker: Worker,
    code: GrpcCode,
}

impl Counting {
    /// A call begins.
    pub fn begin(metrics: &Arc<GrpcMetrics>, worker: Worker) -> Self {
        Self { metrics: Arc::clone(metrics), worker, code: GrpcCode::CANCELLED }
    }

    /// What it ends with.
    pub fn ends(&mut self, code: GrpcCode) {
        self.code = code;
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.metrics.record(self.worker, self.code);
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

    fn read(fields: &[(&'static str, &str)]) -> Option<CallStatus> {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        CallStatus::read(&fields.iter().map(pair).collect())
    }

    #[test]
    fn a_status_is_read_with_its_message() {
        let status = read(&[("grpc-status", "5"), ("grpc-message", "no%20such%20thing%3A%20%C3%BC")]).unwrap();
        assert_eq!((status.code.name(), status.message.as_str()), ("NOT_FOUND", "no such thing: ü"));
        assert!(read(&[("grpc-status", "0")]).unwrap().is_ok());
    }

    #[test]
    fn a_call_may_not_say_how_it_ended() {
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
            let reply = read(&[("grpc-status", &format!("{code}"))]).unwrap().into_failed(&pool, &json).reply;
            assert_eq!(reply.extra.unwrap().status.unwrap().as_u16(), status, "{code}");
        }
    }
}
