//! The origin a browser sees the gateway at (RFC 6454 §4).

use crate::request::{RequestCx, RequestView, Scheme};
use http::{HeaderName, header};

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A host and a port are at most this long.
const LONGEST_HOST: usize = 261;

/// Scheme, host and port as the browser sees them: `https://shop.example`. What a trusted proxy says of them counts.
pub fn origin(cx: &RequestCx, request: &RequestView<'_>) -> Option<String> {
    let told = |name: &HeaderName| {
        let value = std::str::from_utf8(request.header(name)?).ok()?;
        value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
    };
    let (mut scheme, mut host) = (cx.scheme, told(&header::HOST).unwrap_or(request.host));
    if cx.client.via_trusted {
        scheme = match told(&FORWARDED_PROTO) {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => scheme,
        };
        host = told(&FORWARDED_HOST).unwrap_or(host);
    }
    is_host(host).then(|| format!("{}://{}", scheme.as_str(), host.to_ascii_lowercase()))
}

/// Whether the text can be a host with or without a port: what an `@`, a slash or a space would turn into another URL.
fn is_host(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_HOST && text.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Client;
    use http::{HeaderMap, HeaderValue};

    fn origin_of(fields: &[(&str, &str)], trusted: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let mut cx = RequestCx::at(0);
        cx.client = Client { via_trusted: trusted, ..cx.client };
        let view = RequestView { method: "GET", host: "shop.example", path: "/", query: None, headers: &mut headers };
        origin(&cx, &view)
    }

    #[test]
    fn the_origin_is_what_the_browser_named_or_a_trusted_proxy_says() {
        assert_eq!(origin_of(&[], false).unwrap(), "http://shop.example");
        assert_eq!(origin_of(&[("host", "Shop.example:8443")], false).unwrap(), "http://shop.example:8443");
        assert_eq!(origin_of(&[("host", "[::1]:80")], false).unwrap(), "http://[::1]:80");
        let told = [("host", "inner:80"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.example, b")];
        assert_eq!(origin_of(&told, true).unwrap(), "https://shop.example");
        assert_eq!(origin_of(&told, false).unwrap(), "http://inner:80");
        for bad in ["a@b", "a/b", "a b", "a?b", "a#b", "a\\b", "a%2fb"] {
            assert_eq!(origin_of(&[("host", bad)], false), None, "{bad}");
        }
    }
}
