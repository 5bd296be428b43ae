//! The fields that tell an upstream where a request came from.
//!
//! From untrusted peers the inbound ones are dropped; from trusted ones they are continued. `X-Forwarded-For`, `-Proto`,
//! `-Host`, `-Port` and `-Prefix` are always set; `Forwarded` (RFC 7239) where the route asks for it.

use super::{Client, HeadersMut, Scheme};
use crate::value::digits::push_address;
use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderName, HeaderValue};
use std::fmt::Write as _;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Room for an address as text.
const ADDRESS: usize = 48;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// What only a proxy in front knows: where a request came from, and the path it asked for, which some services take for the
/// path of the request (`X-Original-URL`, `X-Rewrite-URL`: CVE-2018-14773).
pub const ORIGIN_FIELDS: [HeaderName; 10] = [
    FOR,
    PROTO,
    HOST,
    PORT,
    PREFIX,
    REAL_IP,
    FORWARDED,
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Fields that some services take for the method of the request: what was matched and judged is the request line's, so they
/// are dropped, whoever sends them.
pub const METHOD_FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// Fields by which a proxy passes on the certificate its client has shown: RFC 9440, Envoy, and what is usual with nginx,
/// its ingress, Traefik and load balancers of AWS. From untrusted peers they are dropped, whatever a route does with them.
pub const CERTIFICATE_FIELDS: [HeaderName; 8] = [
    HeaderName::from_static("client-cert"),
    HeaderName::from_static("client-cert-chain"),
    HeaderName::from_static("x-client-cert"),
    HeaderName::from_static("x-forwarded-client-cert"),
    HeaderName::from_static("x-ssl-client-cert"),
    HeaderName::from_static("ssl-client-cert"),
    HeaderName::from_static("x-forwarded-tls-client-cert"),
    HeaderName::from_static("x-amzn-mtls-clientcert"),
];

/// What an upstream is told about the request's origin.
pub struct Forwarding<'a> {
    /// Who sent it.
    pub client: Client,
    /// How it came.
    pub scheme: Scheme,
    /// The Host the client named, as sent.
    pub host: Option<&'a HeaderValue>,
    /// The port of the listener it came in at.
    pub port: &'a HeaderValue,
    /// The part of the path that was stripped.
    pub prefix: Option<&'a HeaderValue>,
    /// Whether to write RFC 7239's field too.
    pub rfc7239: bool,
}

/// Drops what an untrusted peer says about the origin of its request.
///
/// Most requests have none of it: one look at the names saves a look-up for each.
pub fn remove_inbound(headers: &mut dyn HeadersMut) {
    let mut any = false;
    headers.all(&mut |name, _| {
        any |= name.as_str().starts_with("x-") || name == FORWARDED || is_certificate_field(name);
    });
    if !any {
        return;
    }
    for name in ORIGIN_FIELDS.iter().chain(&CERTIFICATE_FIELDS) {
        headers.remove(name);
    }
}

/// Whether a name that does not begin with `x-` is that of a field for certificates.
pub fn is_certificate_field(name: &HeaderName) -> bool {
    name.as_str().starts_with("client-cert") || name.as_str().starts_with("ssl-client-cert")
}

/// Removes the fields that a service behind CGI, WSGI or PHP cannot tell from those of these names: hyphen, underscore and
/// dot become one there (RFC 3875 §4.1.18).
pub fn remove_lookalikes(headers: &mut dyn HeadersMut, names: &[HeaderName]) {
    let mut found = Vec::new();
    headers.all(&mut |name, _| {
        if may_look_alike(name) && names.iter().any(|known| looks_alike(name, known)) {
            found.push(name.clone());
        }
    });
    found.iter().for_each(|name| headers.remove(name));
}

/// Takes these names out of `Connection`: what it nominates is removed before the request leaves (RFC 9110 §7.6.1), and a
/// client must not have removed what the gateway is about to say.
pub fn remove_nominations(headers: &mut dyn HeadersMut, names: &[HeaderName]) {
    let (mut kept, mut nominated) = (Vec::new(), false);
    headers.each(&CONNECTION, &mut |value| {
        for member in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if names.iter().any(|name| member.eq_ignore_ascii_case(name.as_str().as_bytes())) {
                nominated = true;
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b", ");
            }
            kept.extend_from_slice(member);
        }
    });
    match HeaderValue::from_bytes(&kept) {
        _ if !nominated => {}
        Ok(value) if !kept.is_empty() => headers.set(&CONNECTION, value),
        Ok(_) | Err(_) => headers.remove(&CONNECTION),
    }
}

/// Whether a name has a character that some services make a hyphen's equal.
pub fn may_look_alike(name: &HeaderName) -> bool {
    memchr::memchr2(b'_', b'.', name.as_str().as_bytes()).is_some()
}

fn looks_alike(name: &HeaderName, known: &HeaderName) -> bool {
    let folded = |byte| if matches!(byte, b'_' | b'.') { b'-' } else { byte };
    let (name, known) = (name.as_str(), known.as_str());
    name.len() == known.len() && name.bytes().map(folded).eq(known.bytes().map(folded))
}

/// Writes the fields for the upstream. Call [`remove_inbound`] before it where the peer is not trusted.
pub fn forward_fields(headers: &mut dyn HeadersMut, forwarding: &Forwarding<'_>) {
    let trusted = forwarding.client.via_trusted;
    let mut chain: Vec<u8> = Vec::with_capacity(ADDRESS);
    if trusted {
        // Several field lines are one list (RFC 9110 §5.3): they become one line, with the peer at its end.
        headers.each(&FOR, &mut |value| {
            chain.extend_from_slice(value);
            chain.extend_from_slice(b", ");
        });
    }
    let before = chain.len();
    push_address(forwarding.client.peer, &mut chain);
    let element = forwarding.rfc7239.then(|| rfc7239_element(forwarding, chain.get(before..).unwrap_or_default()));
    if let Ok(chain) = HeaderValue::from_maybe_shared(Bytes::from(chain)) {
        headers.set(&FOR, chain);
    }
    if !(trusted && headers.first(&PROTO).is_some()) {
        headers.set(&PROTO, HeaderValue::from_static(forwarding.scheme.as_str()));
    }
    if let Some(host) = forwarding.host.filter(|_| !(trusted && headers.first(&HOST).is_some())) {
        headers.set(&HOST, host.clone());
    }
    if !(trusted && headers.first(&PORT).is_some()) {
        headers.set(&PORT, forwarding.port.clone());
    }
    if let Some(prefix) = forwarding.prefix {
        headers.set(&PREFIX, prefix.clone());
    }
    if let Some(Ok(element)) = element.map(HeaderValue::try_from) {
        headers.append(&FORWARDED, element);
    }
}

/// One more element of `Forwarded` (RFC 7239 §4): addresses of IPv6 in brackets and quotes (§6).
fn rfc7239_element(forwarding: &Forwarding<'_>, peer: &[u8]) -> String {
    let peer = std::str::from_utf8(peer).unwrap_or_default();
    let mut element = String::with_capacity(96);
    let quoted = if peer.contains(':') { format!("\"[{peer}]\"") } else { peer.to_owned() };
    let _ = write!(element, "for={quoted};proto={}", forwarding.scheme.as_str());
    if let Some(host) = forwarding.host.and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\'])) {
        let _ = write!(element, ";host=\"{host}\"");
    }
    element
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn written(via_trusted: bool, inbound: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in inbound {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let client =
            Client { address: "198.51.100.7".parse().unwrap(), peer: "10.0.0.1".parse().unwrap(), via_trusted };
        if !via_trusted {
            remove_inbound(&mut headers);
        }
        let host = HeaderValue::from_static("api.shop.example");
        let port = HeaderValue::from_static("443");
        let forwarding =
            Forwarding { client, scheme: Scheme::Https, host: Some(&host), port: &port, prefix: None, rfc7239: true };
        forward_fields(&mut headers, &forwarding);
        headers
    }

    #[test]
    fn what_becomes_the_same_name_behind_cgi_is_removed() {
        let known = [HeaderName::from_static("x-consumer-id"), HeaderName::from_static("x_sub")];
        let spellings = ["x_consumer_id", "x-consumer_id", "x.consumer-id", "x-sub", "x.sub"];
        let others = ["x-consumer-id", "x_consumer", "x_consumer_id_", "xx_consumer_id", "x_consumers_id"];
        let mut headers = HeaderMap::new();
        for name in spellings.iter().chain(&others) {
            headers.append(*name, HeaderValue::from_static("a"));
            headers.append(*name, HeaderValue::from_static("b"));
        }
        remove_lookalikes(&mut headers, &known);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            ["x-consumer-id", "x-sub", "x_consumer", "x_consumer_id_", "x_consumers_id", "xx_consumer_id"]
        );
    }

    #[test]
    fn what_the_gateway_says_cannot_be_nominated_away() {
        let known = [HeaderName::from_static("x-consumer-id")];
        for (lines, left) in [
            (&["close"][..], Some("close")),
            (&["X-Consumer-Id"], None),
            (&["keep-alive, x-CONSUMER-id ,x-other"], Some("keep-alive, x-other")),
            (&["x-consumer-id", "upgrade, x-consumer-id"], Some("upgrade")),
            (&["x-consumer-idx"], Some("x-consumer-idx")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONNECTION, HeaderValue::from_static(line));
            }
            remove_nominations(&mut headers, &known);
            let value = headers.get(CONNECTION).map(|value| value.to_str().unwrap());
            assert_eq!((value, headers.len() <= 1), (left, true), "{lines:?}");
        }
    }

    #[test]
    fn certificates_of_untrusted_peers_do_not_survive() {
        for name in CERTIFICATE_FIELDS {
            let mut headers = HeaderMap::new();
            headers.append(&name, HeaderValue::from_static("forged"));
            remove_inbound(&mut headers);
            assert!(headers.is_empty(), "{name}");
        }
    }

    #[test]
    fn nothing_an_untrusted_peer_says_survives() {
        let headers = written(
            false,
            &[
                ("x-forwarded-for", "1.1.1.1"),
                ("x-forwarded-host", "evil"),
                ("forwarded", "for=2.2.2.2"),
                ("x-real-ip", "3.3.3.3"),
            ],
        );
        assert_eq!(headers["x-forwarded-for"], "10.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "api.shop.example");
        assert_eq!(headers["forwarded"], "for=10.0.0.1;proto=https;host=\"api.shop.example\"");
        assert!(!headers.contains_key("x-real-ip"));
    }

    #[test]
    fn a_trusted_chain_is_continued_in_one_line() {
        let headers = written(
            true,
            &[("x-forwarded-for", "198.51.100.7"), ("x-forwarded-for", "10.0.0.9"), ("x-forwarded-proto", "http")],
        );
        assert_eq!(headers["x-forwarded-for"], "198.51.100.7, 10.0.0.9, 10.0.0.1");
        assert_eq!(headers.get_all("x-forwarded-for").iter().count(), 1);
        assert_eq!(headers["x-forwarded-proto"], "http");
    }
}
