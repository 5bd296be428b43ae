//! What a body says, for routes that are chosen by it: JSON as it is, forms as objects of texts.
//!
//! A form field that stands several times has a list, as a multipart part of a name has; parts that are files
//! (RFC 7578 §4.2) are not looked at. What is not what its type says, names twice or another charset among it, says nothing.

use crate::request::Headers;
use crate::value::json::{Json, JsonBounds};
use http::header;

/// The largest body that is read to find its route, in bytes: what Pingora can send once more.
pub const MOST_READ: usize = 64 * 1024;

/// More fields than this are nothing a form has.
const MOST_FIELDS: usize = 1_000;

/// What a body says; `None` where it is not of a type that is read, or not what its type says.
pub fn content(headers: &dyn Headers, body: &[u8]) -> Option<Json> {
    let coded =
        headers.first(&header::CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    if coded || body.len() > MOST_READ {
        return None;
    }
    if body.is_empty() {
        return Some(Json::Null);
    }
    let kind = std::str::from_utf8(headers.first(&header::CONTENT_TYPE)?).ok()?;
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    match essence.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => form(body),
        "multipart/form-data" => multipart(parameter(parameters, "boundary")?.as_bytes(), body),
        json if json.ends_with("/json") || json.ends_with("+json") => Json::parse(body, JsonBounds::default()).ok(),
        _ => None,
    }
}

/// A parameter of a media type, without its quotes (RFC 9110 §5.6.6).
fn parameter<'p>(parameters: &'p str, name: &str) -> Option<&'p str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim();
        let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        key.trim().eq_ignore_ascii_case(name).then_some(bare)
    })
}

/// Fields under their names.
#[derive(Default)]
struct Fields(Vec<(Box<str>, Json)>);

impl Fields {
    fn add(&mut self, name: &str, value: &str) -> Option<()> {
        if self.0.len() >= MOST_FIELDS {
            return None;
        }
        match self.0.iter_mut().find(|(known, _)| **known == *name) {
            None => self.0.push((name.into(), Json::text(value))),
            Some((_, Json::Array(several))) => several.push(Json::text(value)),
            Some((_, one)) => {
                let first = std::mem::take(one);
                *one = Json::Array(vec![first, Json::text(value)]);
            }
        }
        Some(())
    }
}

fn form(body: &[u8]) -> Option<Json> {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        fields.add(&name, &value)?;
    }
    Some(Json::Object(fields.0))
}

/// The fields of a `multipart/form-data` (RFC 7578, RFC 2046 §5.1.1): each part between two lines of `--` and the boundary.
fn multipart(boundary: &[u8], body: &[u8]) -> Option<Json> {
    if boundary.is_empty() || boundary.len() > 70 {
        return None;
    }
    let line = [b"\r\n--", boundary].concat();
    let mut rest = body.strip_prefix(line.get(2..)?)?;
    let mut fields = Fields::default();
    loop {
        if rest.starts_with(b"--") {
            return Some(Json::Object(fields.0));
        }
        let part = rest.strip_prefix(b"\r\n")?;
        let end = memchr::memmem::find(part, &line)?;
        let (whole, after) = (part.get(..end)?, part.get(end + line.len()..)?);
        let head = memchr::memmem::find(whole, b"\r\n\r\n")?;
        if let Some(name) = field_name(std::str::from_utf8(whole.get(..head)?).ok()?) {
            fields.add(&name, std::str::from_utf8(whole.get(head + 4..)?).ok()?)?;
        }
        rest = after;
    }
}

/// The name of a part that is a field and no file.
fn field_name(head: &str) -> Option<String> {
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let (kind, parameters) = disposition.split_once(';')?;
    let named = |name: &str| parameter(parameters, name);
    let is_file = named("filename").or(named("filename*")).is_some();
    let is_field = kind.trim().eq_ignore_ascii_case("form-data") && !is_file;
    named("name").filter(|_| is_field).map(|name| name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderValue};

    fn read(kind: &'static str, body: &str) -> Option<Json> {
        let mut headers = HeaderMap::new();
        headers.append("content-type", HeaderValue::from_static(kind));
        content(&headers, body.as_bytes())
    }

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes(), JsonBounds::default()).unwrap()
    }

    const PARTS: &str = "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nexpress\r\n\
        --b\r\ncontent-disposition: form-data; name=file; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nx\r\n\
        --b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nx--b\r\n--b--\r\n";

    #[test]
    fn json_forms_and_multipart_forms_are_read() {
        for (kind, body, expected) in [
            ("application/json", "{\"a\":[1.0,\"x\"]}", Some("{\"a\":[1.0,\"x\"]}")),
            ("application/vnd.a+json; charset=utf-8", "1", Some("1")),
            ("application/x-www-form-urlencoded", "a=1&b=x+y&a=%32", Some("{\"a\":[\"1\",\"2\"],\"b\":\"x y\"}")),
            ("multipart/form-data; boundary=b", PARTS, Some("{\"type\":[\"express\",\"x--b\"]}")),
            ("multipart/form-data; boundary=\"b\"", PARTS, Some("{\"type\":[\"express\",\"x--b\"]}")),
            ("multipart/form-data; boundary=c", PARTS, None),
            ("multipart/form-data; boundary=b", "--b\r\nno head", None),
            ("multipart/form-data", PARTS, None),
            ("application/json", "{\"a\":1,\"a\":2}", None),
            ("application/json", "{", None),
            ("text/plain", "a", None),
            ("text/plain", "", Some("null")),
        ] {
            assert_eq!(read(kind, body), expected.map(json), "{kind} {body}");
        }
        assert_eq!(read("application/json", &"[".repeat(10_000)), None);
        assert_eq!(read("application/json", &format!("\"{}\"", "x".repeat(MOST_READ))), None);
        let many: String = (0..=MOST_FIELDS).map(|number| format!("f{number}&")).collect();
        assert_eq!(read("application/x-www-form-urlencoded", &many), None);
    }
}
