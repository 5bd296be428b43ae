//! `signature:` over real sockets: bodies that are what was signed, and bodies that are not.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn gateway(extra: &str, upstream: &Origin) -> Gateway {
    Gateway::start(&configuration(extra, upstream))
}

fn configuration(extra: &str, upstream: &Origin) -> String {
    format!(
        "auth:\n  partners:\n    signature:\n      keys:\n        k1: {{ secret: {{ value: {SECRET}, insecure_inline: true }}, \
         consumer: acme }}\n      {extra}\nconsumers: {{ acme: {{ groups: [partners] }} }}\n\
         routes:\n  /a/**: {{ auth: partners, to: {} }}\n",
        upstream.url()
    )
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// What a client signs.
struct Signing<'a> {
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    body: &'a [u8],
    created: i64,
    nonce: &'a str,
}

const GET: Signing<'static> = Signing { method: "GET", path: "/a/b", query: None, body: b"", created: 0, nonce: "" };

impl Signing<'_> {
    /// The fields to send: signature, its input, the digest.
    fn fields(&self, gateway: &Gateway) -> Vec<(&'static str, String)> {
        let hash = digest::digest(&digest::SHA256, self.body);
        let content = format!("sha-256=:{}:", STANDARD.encode(hash));
        let mut parts = vec![
            ("@method", self.method.to_owned()),
            ("@authority", gateway.address().to_string()),
            ("@path", self.path.to_owned()),
        ];
        parts.extend(self.query.map(|query| ("@query", format!("?{query}"))));
        if !self.body.is_empty() {
            parts.push(("content-digest", content.clone()));
        }
        let names: Vec<String> = parts.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let mut input = format!("({});created={};keyid=\"k1\"", names.join(" "), now() + self.created);
        if !self.nonce.is_empty() {
            input.push_str(&format!(";nonce=\"{}\"", self.nonce));
        }
        let lines: String = parts.iter().map(|(name, value)| format!("\"{name}\": {value}\n")).collect();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, format!("{lines}\"@signature-params\": {input}").as_bytes());
        vec![
            ("Signature-Input", format!("s={input}")),
            ("Signature", format!("s=:{}:", STANDARD.encode(tag))),
            ("Content-Digest", content),
        ]
    }

    fn add(&self, gateway: &Gateway, request: Request) -> Request {
        self.fields(gateway).iter().fold(request, |request, (name, value)| request.header(name, value))
    }
}

fn detail(answer: &Response) -> String {
    answer.json()["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_signed_request_passes_and_its_signature_ends_here() {
    let upstream = Origin::echo();
    let gateway = gateway("", &upstream);
    let answer = gateway.send(&GET.add(&gateway, Request::get("/a/b")));
    assert_eq!(answer.status, 200);
    let seen = upstream.only_request();
    assert_eq!((seen.header("x-consumer-id"), seen.header("x-consumer-groups")), (Some("acme"), Some("partners")));
    assert_eq!((seen.header("x-credential-id"), seen.header("signature")), (Some("k1"), None));
    let without = gateway.get("/a/b");
    assert_eq!((without.status, without.header("www-authenticate")), (401, Some("Signature realm=\"tollgate\"")));
}

#[test]
fn what_is_forwarded_is_what_was_signed() {
    let upstream = Origin::echo();
    let gateway = gateway("", &upstream);
    let query = Signing { query: Some("c=d"), ..GET };
    assert_eq!(gateway.send(&query.add(&gateway, Request::get("/a/b?c=d"))).status, 200);
    // The path is signed in the form that is matched and forwarded, however it was spelt.
    assert_eq!(gateway.send(&GET.add(&gateway, Request::get("/a/./x/../%62"))).status, 200);
    for (signing, request) in [
        (Signing { path: "/a/./x/../%62", ..GET }, Request::get("/a/./x/../%62")),
        (GET, Request::get("/a/c")),
        (GET, Request::get("/a/b/")),
        (GET, Request::new("DELETE", "/a/b")),
        (Signing { query: Some("c=d"), ..GET }, Request::get("/a/b?c=e")),
        (Signing { query: Some("c=d"), ..GET }, Request::get("/a/b")),
        (GET, Request::get("/a/b?c=d")),
        (GET, Request::get("/a/b").header("Host", "other.example")),
    ] {
        let answer = gateway.send(&signing.add(&gateway, request.clone()));
        assert_eq!(answer.status, 401, "{request:?}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_body_passes_only_as_it_was_signed() {
    let upstream = Origin::echo();
    let gateway = gateway("", &upstream);
    let large = "0123456789".repeat(30_000);
    for body in ["the body", &large] {
        let signing = Signing { method: "POST", body: body.as_bytes(), ..GET };
        let length = signing.add(&gateway, Request::post("/a/b", body));
        assert_eq!(gateway.send(&length).status, 200);
        let middle = body.len() / 2;
        let chunked = signing.add(&gateway, Request::new("POST", "/a/b").chunks(&[&body[..middle], &body[middle..]]));
        assert_eq!(gateway.send(&chunked).status, 200);
        let seen = upstream.requests().len();
        let mut other = body.to_owned();
        other.replace_range(body.len() - 1.., "X");
        for request in [
            Request::post("/a/b", other.as_str()),
            Request::new("POST", "/a/b").chunks(&[&other[..middle], &other[middle..]]),
            Request::post("/a/b", &body.as_bytes()[1..]),
            Request::new("POST", "/a/b").chunks(&[body, "more"]),
            Request::post("/a/b", ""),
        ] {
            let answer = gateway.send(&signing.add(&gateway, request));
            assert_eq!((answer.status, detail(&answer).as_str()), (401, "The body is not the one that was signed."));
        }
        // The upstream never had a whole request to act on.
        assert_eq!(upstream.requests().len(), seen);
    }
}

#[test]
fn a_body_that_is_not_covered_is_refused() {
    let upstream = Origin::echo();
    let gateway = gateway("", &upstream);
    let bare = Signing { method: "POST", ..GET };
    let answer = gateway.send(&bare.add(&gateway, Request::post("/a/b", "the body")));
    assert_eq!((answer.status, detail(&answer).as_str()), (401, "The signature must cover content-digest."));
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn clocks_and_nonces_are_kept_over_a_reload_too() {
    let upstream = Origin::echo();
    let gateway = gateway("nonce: required", &upstream);
    let with = |signing: Signing<'_>| gateway.send(&signing.add(&gateway, Request::get("/a/b"))).status;
    assert_eq!(with(GET), 401);
    assert_eq!(with(Signing { created: -400, nonce: "old", ..GET }), 401);
    assert_eq!(with(Signing { created: 60, nonce: "early", ..GET }), 401);
    let request = Signing { nonce: "n1", ..GET }.add(&gateway, Request::get("/a/b"));
    assert_eq!(gateway.send(&request).status, 200);
    let again = gateway.send(&request);
    assert_eq!((again.status, detail(&again).as_str()), (401, "The signature was used before."));
    gateway.change(&configuration("nonce: required\n      max_age: 10m", &upstream));
    assert_eq!(gateway.send(&request).status, 401);
    assert_eq!(with(Signing { nonce: "n2", ..GET }), 200);
}
