//! Fields that tell browsers to be careful, on every answer of a route.

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::tls::{Authority, H1, H2};

#[track_caller]
fn has_defaults(response: &Response) {
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"), "{response:?}");
    assert_eq!(response.header("x-frame-options"), Some("DENY"));
    assert_eq!(response.header("referrer-policy"), Some("strict-origin-when-cross-origin"));
}

#[test]
fn stand_on_answers_of_upstreams_and_of_the_gateway_itself() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/missing" => Answer::status(404),
        _ => Answer::ok("a"),
    });
    let gateway = Gateway::start(&format!(
        "defaults: {{ security_headers: true }}\nroutes:\n  /**: {{ to: {}, body_limit: 8B }}\n  /old: {{ redirect: / }}\n  \
         /fixed: {{ respond: {{ body: a }} }}\n  /gone: {{ to: http://127.0.0.1:1, retries: 0 }}\n  \
         /plain: {{ security_headers: off, respond: {{ body: a }} }}",
        origin.url()
    ));
    for (target, status) in [("/", 200), ("/missing", 404), ("/old", 308), ("/fixed", 200), ("/gone", 502)] {
        let response = gateway.get(target);
        assert_eq!(response.status, status, "{target}");
        has_defaults(&response);
        assert_eq!(response.header("strict-transport-security"), None);
    }
    has_defaults(&gateway.send(&Request::new("HEAD", "/")));
    let large = gateway.send(&Request::post("/", "more than eight bytes"));
    assert_eq!(large.status, 413);
    has_defaults(&large);
    assert_eq!(gateway.get("/plain").header("x-frame-options"), None);
}

#[test]
fn strict_transport_security_goes_over_tls_only() {
    let authority = Authority::new();
    let identity = authority.server("shop", &["shop.example"]);
    let gateway = Gateway::start(&format!(
        "trusted_proxies: [127.0.0.1]\nlisteners:\n  secure:\n    address: 127.0.0.1:0\n    tls: {{ certificates: [{{ cert: {}, key: {} }}] }}\n\
         routes: {{ /: {{ security_headers: {{ hsts: {{ max_age: 1d, include_subdomains: true }} }}, respond: {{ body: a }} }} }}",
        identity.certificate.display(),
        identity.key.display()
    ));
    let secure = gateway.listener("secure");
    let expected = Some("max-age=86400; includeSubDomains");
    let mut h1 = Client::connect_tls(secure, &authority.connector(H1), "shop.example").expect("a handshake");
    assert_eq!(h1.send(&Request::get("/")).header("strict-transport-security"), expected);
    let mut h2 = h2::Client::connect_tls(secure, &authority.connector(H2), "shop.example").expect("a handshake");
    let response = h2.send(&Request::get("/"));
    has_defaults(&response);
    assert_eq!(response.header("strict-transport-security"), expected);
    assert_eq!(gateway.get("/").header("strict-transport-security"), None);
    let forwarded = Request::get("/").header("X-Forwarded-Proto", "https");
    assert_eq!(gateway.send(&forwarded).header("strict-transport-security"), expected);
}

#[test]
fn an_untrusted_peer_is_not_believed_about_tls() {
    let gateway = Gateway::start("routes: { /: { security_headers: true, respond: { body: a } } }");
    let forwarded = Request::get("/").header("X-Forwarded-Proto", "https");
    assert_eq!(gateway.send(&forwarded).header("strict-transport-security"), None);
}

#[test]
fn what_the_upstream_says_itself_stays_unless_it_is_overridden() {
    let origin = Origin::start(|_| {
        Answer::ok("a").header("X-Frame-Options", "SAMEORIGIN").header("Content-Security-Policy", "default-src 'self'")
    });
    let with = |policy: &str| format!("routes: {{ /: {{ to: {}, security_headers: {policy} }} }}", origin.url());
    let gateway = Gateway::start(&with("{ csp: \"default-src 'none'\" }"));
    let stays = gateway.get("/");
    assert_eq!(stays.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(stays.header("content-security-policy"), Some("default-src 'self'"));
    assert_eq!(stays.header("x-content-type-options"), Some("nosniff"));
    gateway.change(&with("{ csp: \"default-src 'none'\", override: true }"));
    let replaced = gateway.get("/");
    assert_eq!(replaced.header("x-frame-options"), Some("DENY"));
    assert_eq!(replaced.header("content-security-policy"), Some("default-src 'none'"));
}
