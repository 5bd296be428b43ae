//! The answers to the requests of a batch, as JSON: what is JSON stands as it came, to the last digit.

use super::part::Answered;
use crate::exchange::content::{is_json, media_type};
use crate::value::json::{Json, JsonBounds};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

const BEGIN: &[u8] = br#"{"responses":["#;

/// The beginning of an answer.
pub fn begin() -> Vec<u8> {
    let mut out = Vec::with_capacity(4096);
    out.extend_from_slice(BEGIN);
    out
}

/// The whole.
pub fn end(mut out: Vec<u8>) -> Vec<u8> {
    out.extend_from_slice(b"]}");
    out
}

/// Adds the answer to the next request.
pub fn write(out: &mut Vec<u8>, id: Option<&Json>, answered: &Answered) {
    out.extend_from_slice(if out.len() > BEGIN.len() { b",{" } else { b"{" });
    if let Some(id) = id {
        out.extend_from_slice(br#""id":"#);
        id.write(out);
        out.push(b',');
    }
    out.extend_from_slice(br#""status":"#);
    out.extend_from_slice(answered.status.as_str().as_bytes());
    out.extend_from_slice(br#","headers":"#);
    headers(&answered.fields).write(out);
    body(out, answered);
    out.push(b'}');
}

/// A field that stands once is a string, one that stands several times a list.
fn headers(fields: &HeaderMap) -> Json {
    let text = |value: &HeaderValue| Json::text(&*String::from_utf8_lossy(value.as_bytes()));
    let member = |name: &http::HeaderName| {
        let mut values: Vec<Json> = fields.get_all(name).iter().map(text).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Json::Array(values) };
        (name.as_str().into(), value)
    };
    Json::Object(fields.keys().map(member).collect())
}

fn body(out: &mut Vec<u8>, answered: &Answered) {
    let body = answered.body.trim_ascii();
    if body.is_empty() {
        return;
    }
    let json = is_json(&media_type(&answered.fields)) && Json::parse(body, JsonBounds::default()).is_ok();
    if json {
        out.extend_from_slice(br#","body":"#);
        out.extend_from_slice(body);
        return;
    }
    let (name, text) = match std::str::from_utf8(&answered.body) {
        Ok(text) => (br#","text":"#.as_slice(), text.to_owned()),
        Err(_) => (br#","base64":"#.as_slice(), STANDARD.encode(&answered.body)),
    };
    out.extend_from_slice(name);
    Json::text(text).write(out);
}
