//! What the service is sent of a request, and what its answer means.

use super::config::{AskMethod, Per};
use crate::fetch::Answer;
use crate::policy::auth::marker::{Mark, Marker};
use crate::reply::Fixed;
use crate::request::{RequestCx, RequestView};
use http::{HeaderName, HeaderValue, Method, header};

const FORWARDED_METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields of the service's own answer that go to the client with a refusal or a redirect.
const PASSED_ON: [HeaderName; 6] = [
    header::WWW_AUTHENTICATE,
    header::LOCATION,
    header::SET_COOKIE,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CACHE_CONTROL,
];

/// A question: fields to send, and what is the same about two of them.
pub(super) struct Question {
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    /// How many of them come from `send_headers`.
    pub(super) sent: usize,
}

impl Question {
    /// What is sent of that request.
    pub(super) fn new(send: &[HeaderName], cx: &RequestCx, request: &RequestView<'_>) -> Self {
        let mut fields = Vec::with_capacity(send.len() + 6);
        for name in send {
            request.headers.each(name, &mut |value| {
                fields.extend(HeaderValue::from_bytes(value).ok().map(|value| (name.clone(), value)));
            });
        }
        let sent = fields.len();
        let host = request.header(&header::HOST).unwrap_or(request.host.as_bytes());
        let uri = match cx.query(request) {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.to_owned(),
        };
        let mut add = |name, value: &[u8]| {
            fields.extend(HeaderValue::from_bytes(value).ok().map(|value| (name, value)));
        };
        add(FORWARDED_METHOD, request.method.as_bytes());
        add(FORWARDED_PROTO, cx.scheme.as_str().as_bytes());
        add(FORWARDED_HOST, host);
        add(FORWARDED_URI, uri.as_bytes());
        add(FORWARDED_FOR, cx.client.address.to_string().as_bytes());
        Self { fields, sent }
    }

    /// What is the same of two questions that are the same.
    pub(super) fn mark(&self, marker: &Marker, per: Per) -> Mark {
        let counted = match per {
            Per::Request => self.fields.len(),
            Per::Caller => self.sent,
        };
        let fields = self.fields.iter().take(counted);
        marker.mark_all(fields.flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]))
    }

    /// Adds the request's id, which is no part of what makes two questions the same.
    pub(super) fn identify(&mut self, id: Option<&HeaderValue>) {
        self.fields.extend(id.map(|id| (REQUEST_ID, id.clone())));
    }
}

impl AskMethod {
    pub(super) fn to_http(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
            Self::Post => Method::POST,
        }
    }
}

/// What an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Passes,
    /// The client is told this.
    Told(Box<Fixed>),
    /// Nothing that decides.
    Unusable,
}

/// Reads the answer: 2xx passes; 401, 403 and redirects are for the client; everything else decides nothing.
pub(super) fn read(answer: &Answer) -> Meaning {
    match answer.status.as_u16() {
        200..=299 => Meaning::Passes,
        301 | 302 | 303 | 307 | 308 | 401 | 403 => {
            let mut fields = Vec::new();
            for name in PASSED_ON {
                fields.extend(answer.headers.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
            }
            Meaning::Told(Box::new(Fixed { status: answer.status, fields, body: answer.body.clone() }))
        }
        _ => Meaning::Unusable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, StatusCode};

    fn question(path: &str, cookie: &[&str]) -> Question {
        let mut headers = HeaderMap::new();
        for cookie in cookie {
            headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        }
        headers.insert(header::HOST, HeaderValue::from_static("shop.example:8080"));
        let view = RequestView { method: "PUT", host: "shop.example", path, query: Some("a=1"), headers: &mut headers };
        Question::new(&[header::AUTHORIZATION, header::COOKIE], &RequestCx::at(0), &view)
    }

    #[test]
    fn says_what_the_request_is() {
        let asked = question("/a", &["s=1"]);
        let written: Vec<String> =
            asked.fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!(
            written,
            [
                "cookie: s=1",
                "x-forwarded-method: PUT",
                "x-forwarded-proto: http",
                "x-forwarded-host: shop.example:8080",
                "x-forwarded-uri: /a?a=1",
                "x-forwarded-for: 0.0.0.0",
            ]
        );
    }

    #[test]
    fn two_questions_are_the_same_only_where_all_that_counts_is() {
        let marker = Marker::new().unwrap();
        let of = |path, cookie: &[&str], per| question(path, cookie).mark(&marker, per);
        assert_eq!(of("/a", &["s"], Per::Request), of("/a", &["s"], Per::Request));
        assert_ne!(of("/a", &["s"], Per::Request), of("/b", &["s"], Per::Request));
        assert_eq!(of("/a", &["s"], Per::Caller), of("/b", &["s"], Per::Caller));
        assert_ne!(of("/a", &["s"], Per::Caller), of("/a", &["t"], Per::Caller));
        assert_ne!(of("/a", &["s", "t"], Per::Caller), of("/a", &["scookiet"], Per::Caller));
        assert_ne!(of("/a", &["s", "t"], Per::Caller), of("/a", &["t", "s"], Per::Caller));
        let mut named = question("/a", &["s"]);
        let before = named.mark(&marker, Per::Caller);
        named.identify(Some(&HeaderValue::from_static("id")));
        assert_eq!(named.mark(&marker, Per::Caller), before);
    }

    #[test]
    fn what_answers_mean() {
        let with = |status: u16| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, HeaderValue::from_static("/login"));
            headers.insert("x-internal", HeaderValue::from_static("1"));
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            read(&Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: "no".into() })
        };
        for status in [200, 204, 299] {
            assert_eq!(with(status), Meaning::Passes);
        }
        for status in [301, 302, 303, 307, 308, 401, 403] {
            let Meaning::Told(fixed) = with(status) else { panic!("{status}") };
            assert_eq!((fixed.status.as_u16(), fixed.fields.len(), &fixed.body[..]), (status, 1, &b"no"[..]));
        }
        for status in [300, 304, 400, 404, 407, 429, 500, 503] {
            assert_eq!(with(status), Meaning::Unusable);
        }
    }
}
