//! A service that is asked who a caller is: how it is reached, and which fields tell upstreams what it said.

use super::marker::Marker;
use crate::fetch::{Trust, unverifiable};
use crate::policy::Setup;
use crate::request::IDENTITY_FIELDS;
use crate::value::{Place, Secret, Spanned, WebUrl};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use http::{HeaderName, HeaderValue};

/// Fields that are part of every request's own working, or that the gateway writes itself: telling the caller by one of
/// them would break it.
const RESERVED: [&str; 25] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-request-id",
    "traceparent",
    "tracestate",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-real-ip",
];

/// The URL and whose certificates are believed; problems are recorded.
pub(super) fn compile(
    (url, ca): (&Option<Spanned<WebUrl>>, &Option<Spanned<String>>),
    insecure: bool,
    place: Place,
    setup: &mut Setup<'_>,
) -> Option<(WebUrl, Trust)> {
    let Some(url) = url else {
        setup.problems.error(place, "`url` is missing").hint("write the URL of the service that is asked");
        return None;
    };
    let in_clear = ("credentials would go over plain http", "where the network is trusted");
    may_be_asked((&url.value, url.place), insecure, in_clear, setup)?;
    let Some(ca) = ca else { return Some((url.value.clone(), Trust::default())) };
    let pem = setup.read_file(ca)?;
    match Trust::only(&pem) {
        Ok(trust) => Some((url.value.clone(), trust)),
        Err(error) => {
            setup.problems.error(ca.place, format!("{} cannot be used: {error}", ca.value));
            None
        }
    }
}

/// Whether a URL is one whose answers can be believed: over TLS by a name, or in clear text where that is written.
/// `in_clear` says what is wrong with clear text, and when it is right all the same.
pub(super) fn may_be_asked(
    (url, place): (&WebUrl, Place),
    insecure: bool,
    (wrong, unless): (&str, &str),
    setup: &mut Setup<'_>,
) -> Option<()> {
    if let Some(why) = unverifiable(&url.base) {
        setup.problems.error(place, why).hint("write the name that its certificate is for");
        return None;
    }
    if url.base.scheme.is_tls() || insecure {
        return Some(());
    }
    setup.problems.error(place, wrong).hint(format!("use https, or write `insecure: true` beside it {unless}"));
    None
}

/// What names credentials that were judged before; a problem where the system cannot make one.
pub(super) fn marker(place: Place, setup: &mut Setup<'_>) -> Option<Marker> {
    let marker = Marker::new();
    if marker.is_none() {
        setup.problems.error(place, "the system gives no random numbers to name credentials by");
    }
    marker
}

/// HTTP Basic for a client of a provider, with both parts form-encoded first (RFC 6749 §2.3.1).
pub(super) fn basic(id: &str, secret: &Secret) -> Option<HeaderValue> {
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A field by which upstreams are told of the caller; clients cannot send it from now on.
pub(super) fn upstream_field(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<HeaderName> {
    let name = request_field(written, setup)?;
    if RESERVED.contains(&name.as_str()) || IDENTITY_FIELDS.contains(&name) {
        setup
            .problems
            .error(written.place, format!("`{name}` cannot tell upstreams of the caller: it has a meaning of its own"))
            .hint("write a name such as `X-User`");
        return None;
    }
    if !setup.identity.contains(&name) {
        setup.identity.push(name.clone());
    }
    Some(name)
}

/// The name of a field.
pub(super) fn request_field(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<HeaderName> {
    let name = written.value.parse::<HeaderName>();
    if name.is_err() {
        setup.problems.error(written.place, format!("`{}` is not the name of a header field", written.value));
    }
    name.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_of_basic_are_encoded_first() {
        let value = basic("a:b c", &Secret::new("p%&\u{e4}")).unwrap();
        let decoded = STANDARD.decode(value.to_str().unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(String::from_utf8(decoded).unwrap(), "a%3Ab+c:p%25%26%C3%A4");
        assert!(!format!("{value:?}").contains("Basic"));
    }
}
