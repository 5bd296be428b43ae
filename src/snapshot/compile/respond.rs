//! A fixed answer, as `respond:` writes it.

use super::Compiling;
use crate::config::RespondConfig;
use crate::reply::Fixed;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};

impl Compiling<'_> {
    /// The answer; fields with a problem are left out of it.
    pub(super) fn fixed(&mut self, written: &RespondConfig) -> Fixed {
        let mut fields: Vec<(HeaderName, HeaderValue)> = Vec::new();
        for (name, value) in written.headers.iter() {
            match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => fields.push((name, value)),
                (Err(_), _) => {
                    self.problems.error(name.place, "this is not the name of a header");
                }
                (_, Err(_)) => {
                    self.problems
                        .error(value.place, "this is not the value of a header")
                        .hint("a value is one line of visible characters, spaces and tabs");
                }
            }
        }
        let (body, kind) = match (&written.json, &written.body) {
            (Some(json), _) => (Bytes::from(json.to_string()), "application/json"),
            (None, Some(text)) => (Bytes::from(text.value.clone()), "text/plain; charset=utf-8"),
            (None, None) => (Bytes::new(), ""),
        };
        if !kind.is_empty() && !fields.iter().any(|(name, _)| name == header::CONTENT_TYPE) {
            fields.push((header::CONTENT_TYPE, HeaderValue::from_static(kind)));
        }
        Fixed { status: StatusCode::from_u16(written.status.value).unwrap_or(StatusCode::OK), fields, body }
    }
}
