//! A service that is asked who a caller is: how it is reached, and which fields tell upstreams what it said.

use crate::fetch::Trust;
use crate::policy::Setup;
use crate::value::{Place, Scheme, Spanned, WebUrl};
use http::{HeaderName, HeaderValue};

/// Fields that are part of every request's own working: telling the caller by one of them would break it.
const RESERVED: [&str; 18] = [
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
];

/// Where a service is, as it is written.
pub(super) struct Written<'a> {
    pub(super) url: Option<&'a Spanned<WebUrl>>,
    pub(super) ca: Option<&'a Spanned<String>>,
    pub(super) insecure: bool,
    /// Where the provider is written.
    pub(super) place: Place,
}

/// The URL and whose certificates are believed; problems are recorded.
pub(super) fn compile(written: &Written<'_>, setup: &mut Setup<'_>) -> Option<(WebUrl, Trust)> {
    let Some(url) = written.url else {
        setup.problems.error(written.place, "`url` is missing").hint("write the URL of the service that is asked");
        return None;
    };
    if url.base.scheme == Scheme::Http && !written.insecure {
        setup
            .problems
            .error(url.place, "credentials would go over plain http")
            .hint("use https, or write `insecure: true` beside it where the network is trusted");
        return None;
    }
    let Some(ca) = written.ca else { return Some((url.value.clone(), Trust::default())) };
    let pem = setup.read_file(ca)?;
    match Trust::only(&pem) {
        Ok(trust) => Some((url.value.clone(), trust)),
        Err(error) => {
            setup.problems.error(ca.place, format!("{} cannot be used: {error}", ca.value));
            None
        }
    }
}

/// A field by which upstreams are told of the caller; clients cannot send it from now on.
pub(super) fn upstream_field(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<HeaderName> {
    let name = request_field(written, setup)?;
    if RESERVED.contains(&name.as_str()) || name.as_str().starts_with("x-forwarded-") {
        setup
            .problems
            .error(written.place, format!("`{}` cannot tell upstreams of the caller", written.value))
            .hint("it has a meaning of its own; take a name such as `X-User`");
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

/// Text for a field. What may not stand in one is percent-encoded: dropped, it would make one value of two.
pub(super) fn field_value(text: &str) -> Option<HeaderValue> {
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if text.chars().all(plain) {
        return HeaderValue::from_str(text).ok();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match plain(c) {
            true => out.push(c),
            false => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}"))),
        }
    }
    HeaderValue::from_str(&out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_a_field() {
        assert_eq!(field_value("plain text").unwrap(), "plain text");
        assert_eq!(field_value("a\r\nX-Admin: 1").unwrap(), "a%0D%0AX-Admin: 1");
        assert_eq!(field_value("Ünï\0").unwrap(), "%C3%9Cn%C3%AF%00");
    }
}
