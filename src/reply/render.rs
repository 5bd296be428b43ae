//! From a reply to what goes over the wire.

use super::{Keep, Reply, Templates, template::push_markup};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use smallvec::SmallVec;

/// The form of a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `application/problem+json` (RFC 9457): the default.
    Problem,
    /// A small page, for a browser.
    Html,
    /// One or two lines.
    Text,
    /// `application/graphql-response+json` (GraphQL over HTTP, §6): a list of errors.
    Graphql,
    /// No body; `grpc-status` and `grpc-message` in a trailers-only response with HTTP status 200.
    Grpc,
}

impl Form {
    /// The form a client asks for with its `Accept` and `Content-Type` fields (RFC 9110 §12.5.1).
    ///
    /// Problem details win unless the client gives `text/html` or `text/plain` a higher quality than any JSON or
    /// wildcard range; of two equal ones the first counts.
    pub fn choose(accept: Option<&[u8]>, content_type: Option<&[u8]>) -> Self {
        if content_type.is_some_and(is_grpc) {
            return Self::Grpc;
        }
        let Some(accept) = accept.and_then(|value| std::str::from_utf8(value).ok()) else { return Self::Problem };
        let mut best = (0.0_f32, Self::Problem);
        for range in accept.split(',').take(32) {
            let mut parts = range.split(';');
            let media = parts.next().unwrap_or_default().trim();
            let form = match media {
                "text/html" | "application/xhtml+xml" => Self::Html,
                "text/plain" => Self::Text,
                "application/graphql-response+json" => Self::Graphql,
                "*/*" | "application/*" | "application/json" | "application/problem+json" => Self::Problem,
                _ => continue,
            };
            let quality = parts
                .filter_map(|parameter| parameter.trim().strip_prefix("q="))
                .find_map(|value| value.parse::<f32>().ok())
                .unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }
}

/// `application/grpc` and its message formats. gRPC-Web is not among them: who writes the reply knows its content types and
/// asks for [`Form::Grpc`].
fn is_grpc(content_type: &[u8]) -> bool {
    let Some((family, rest)) = content_type.split_at_checked(b"application/grpc".len()) else { return false };
    family.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// A reply ready to be written.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// HTTP status; 200 for gRPC.
    pub status: StatusCode,
    /// Fields beside `Content-Length`, `Date` and `Connection`, which the writer adds.
    pub fields: SmallVec<[(HeaderName, HeaderValue); 6]>,
    /// The body; empty for gRPC and for HEAD, where `length` still says what GET would have sent.
    pub body: Bytes,
    /// Keep or close the connection.
    pub keep: Keep,
}

/// Renders a reply in the given form. `request_id` becomes the problem's instance.
pub fn render(reply: &Reply, form: Form, templates: &Templates, request_id: &str) -> Rendered {
    let reason = reply.reason;
    let own = reply.extra.as_ref().and_then(|extra| extra.status);
    let mut status = own.unwrap_or_else(|| reason.status());
    let mut fields: SmallVec<[(HeaderName, HeaderValue); 6]> = SmallVec::new();
    let (content_type, body) = if form == Form::Grpc {
        status = StatusCode::OK;
        fields.extend(grpc_status(reply).iter().map(|(name, value)| (name.clone(), value.clone())));
        (HeaderValue::from_static("application/grpc"), String::new())
    } else if let Some(template) = templates.get(reason) {
        status = template.status().unwrap_or(status);
        (template.content_type().clone(), template.body(reply, status, request_id))
    } else {
        match form {
            Form::Html => (HeaderValue::from_static("text/html; charset=utf-8"), html(reply, status, request_id)),
            Form::Text => (HeaderValue::from_static("text/plain; charset=utf-8"), text(reply, status, request_id)),
            Form::Graphql => (HeaderValue::from_static("application/graphql-response+json"), graphql(reply)),
            Form::Problem | Form::Grpc => {
                (HeaderValue::from_static("application/problem+json"), problem(reply, status, request_id))
            }
        }
    };
    fields.push((header::CONTENT_TYPE, content_type));
    fields.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    if let Some(allow) = &reply.allow {
        push_text(&mut fields, header::ALLOW, allow);
    }
    if let Some(seconds) = reply.retry_after {
        fields.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
    }
    if let Some(extra) = &reply.extra {
        fields.extend(extra.fields.iter().cloned());
    }
    push_text(
        &mut fields,
        HeaderName::from_static("proxy-status"),
        &format!("tollgate; error={}; details=\"{}\"", reason.proxy_error(), reason.slug()),
    );
    Rendered { status, fields, body: Bytes::from(body), keep: reason.keep() }
}

/// The refusal as GraphQL tells errors, no data beside them; those a policy has told so itself stay as they are.
fn graphql(reply: &Reply) -> String {
    let told = reply.extra.as_ref().and_then(|extra| extra.members.get("errors"));
    let told = told.filter(|told| told.pointer("/0/message").is_some());
    let code = reply.reason.slug().to_ascii_uppercase().replace('-', "_");
    let one = || json!([{ "message": &*reply.detail, "extensions": { "code": code } }]);
    json!({ "errors": told.cloned().unwrap_or_else(one) }).to_string()
}

/// The status of a gRPC call and its message: fields of a trailers-only answer, or trailers.
pub fn grpc_status(reply: &Reply) -> HeaderMap {
    let mut status = HeaderMap::with_capacity(2);
    let code = u16::from(reply.reason.grpc_status());
    status.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(&percent_encode_grpc(&reply.detail)) {
        status.insert(HeaderName::from_static("grpc-message"), message);
    }
    status
}

fn push_text(fields: &mut SmallVec<[(HeaderName, HeaderValue); 6]>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        fields.push((name, value));
    }
}

/// Problem details (RFC 9457 §3), with the members a reason adds.
fn problem(reply: &Reply, status: StatusCode, request_id: &str) -> String {
    let mut members = serde_json::json!({
        "type": reply.of_kind(),
        "title": reply.called(),
        "status": status.as_u16(),
        "detail": reply.detail,
        "instance": format!("urn:uuid:{request_id}"),
    });
    if let Some(object) = members.as_object_mut() {
        if let Some(allow) = &reply.allow {
            let methods: Vec<&str> = allow.split(", ").collect();
            object.insert("allow".into(), methods.into());
        }
        if let Some(seconds) = reply.retry_after {
            object.insert("retry_after".into(), seconds.into());
        }
        if let Some(extra) = &reply.extra {
            object.extend(extra.members.clone());
        }
    }
    let mut body = members.to_string();
    for (name, json) in reply.extra.iter().flat_map(|extra| &extra.written) {
        body.pop();
        body.push(',');
        body.push_str(&serde_json::Value::from(&**name).to_string());
        body.push(':');
        body.push_str(json);
        body.push('}');
    }
    body.push('\n');
    body
}

fn html(reply: &Reply, status: StatusCode, request_id: &str) -> String {
    let mut body = String::with_capacity(512);
    let mut title = String::new();
    push_markup(&mut title, reply.called());
    body.push_str("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>");
    body.push_str(status.as_str());
    body.push(' ');
    body.push_str(&title);
    body.push_str("</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:36em;margin:15vh auto;padding:0 1em}small{color:#666}</style><h1>");
    body.push_str(&title);
    body.push_str("</h1><p>");
    push_markup(&mut body, &reply.detail);
    body.push_str("</p><p><small>");
    body.push_str(status.as_str());
    body.push_str(" · request ");
    push_markup(&mut body, request_id);
    body.push_str("</small></p></html>\n");
    body
}

fn text(reply: &Reply, status: StatusCode, request_id: &str) -> String {
    format!("{} {}\n{}\nrequest {request_id}\n", status.as_str(), reply.called(), reply.detail)
}

/// `grpc-message` is percent-encoded: everything outside printable ASCII, and `%` itself
/// (gRPC over HTTP/2, "Status-Message").
fn percent_encode_grpc(message: &str) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
    utf8_percent_encode(message, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reason;

    fn rendered(form: Form) -> Rendered {
        let reply = Reply::new(Reason::MethodNotAllowed).allow("GET, HEAD");
        render(&reply, form, &Templates::default(), "0190-id")
    }

    fn field<'a>(rendered: &'a Rendered, name: &str) -> Option<&'a str> {
        rendered.fields.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.to_str().ok())
    }

    #[test]
    fn problem_details_carry_the_members_of_the_reason() {
        let rendered = rendered(Form::Problem);
        let body: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
        assert_eq!(body["type"], "urn:tollgate:problem:method-not-allowed");
        assert_eq!(body["status"], 405);
        assert_eq!(body["instance"], "urn:uuid:0190-id");
        assert_eq!(body["allow"], serde_json::json!(["GET", "HEAD"]));
        assert_eq!(field(&rendered, "allow"), Some("GET, HEAD"));
        assert_eq!(field(&rendered, "content-type"), Some("application/problem+json"));
    }

    #[test]
    fn grpc_gets_its_status_in_fields_and_http_200() {
        let rendered = rendered(Form::Grpc);
        assert_eq!(rendered.status, StatusCode::OK);
        assert_eq!(field(&rendered, "grpc-status"), Some("12"));
        assert!(rendered.body.is_empty());
    }

    #[test]
    fn the_form_follows_accept() {
        let cases: &[(&str, Form)] = &[
            ("*/*", Form::Problem),
            ("application/json", Form::Problem),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form::Html),
            ("text/plain", Form::Text),
            ("application/graphql-response+json, application/json;q=0.9", Form::Graphql),
            ("text/html;q=0.1, application/json", Form::Problem),
            ("text/html;q=0", Form::Problem),
            ("garbage", Form::Problem),
        ];
        for (accept, form) in cases {
            assert_eq!(Form::choose(Some(accept.as_bytes()), None), *form, "{accept}");
        }
    }

    #[test]
    fn grpc_is_told_from_grpc_web() {
        assert_eq!(Form::choose(None, Some(b"application/grpc+proto")), Form::Grpc);
        assert_eq!(Form::choose(None, Some(b"application/grpc-web+proto")), Form::Problem);
    }

    #[test]
    fn html_never_carries_markup_of_the_detail() {
        let reply = Reply::new(Reason::BadRequest).detail("<img src=x>");
        let body = render(&reply, Form::Html, &Templates::default(), "id").body;
        assert!(!String::from_utf8_lossy(&body).contains("<img"));
    }
}
