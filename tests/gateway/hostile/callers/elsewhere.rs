//! What was learnt of a caller for one provider, audience or service is worth nothing elsewhere.

use std::time::Instant;

use serde_json::json;

use super::named;
use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::openid::browser::Browser;
use crate::support::openid::{CLIENT, Provider, SECRET};
use crate::support::origin::{Answer, Origin};
use crate::support::tokens::{Signer, jwks, now};
use crate::support::wait::DEADLINE;

#[test]
fn a_session_of_another_provider_is_none() {
    let (one, two, origin) = (Provider::start(), Provider::start(), Origin::echo());
    let secret = |text: &str| format!("{{ value: \"{text}\", insecure_inline: true }}");
    let login = |name: &str, provider: &Provider, client: &str| {
        format!(
            "{name}: {{ oidc: {{ issuer: {issuer}, insecure: true, client_id: {client}, client_secret: {own}, callback: /{name}/in, \
             logout: /{name}/out, cookie: {{ secret: {cookie}, name: {name} }} }} }}",
            issuer = provider.issuer(),
            own = secret(SECRET),
            cookie = secret("one cookie secret for all of them, 32+ bytes"),
        )
    };
    let yaml = |providers: &[String]| {
        format!(
            "auth: {{ {} }}\nroutes: {{ /one: {{ auth: web, to: {url} }}, /two: {{ auth: back, to: {url} }} }}\n",
            providers.join(", "),
            url = origin.url()
        )
    };
    let gateway = Gateway::start(&yaml(&[login("web", &one, CLIENT), login("back", &two, CLIENT)]));
    let at = |gateway: &Gateway, path: &str| format!("http://{}{path}", gateway.address());
    let mut browser = Browser::default();
    assert_eq!(browser.open(&at(&gateway, "/one")).status, 200);
    let session = browser.jar.iter().find(|cookie| cookie.name.ends_with("web")).expect("a session").clone();
    let with = |gateway: &Gateway, path: &str, name: &str| {
        gateway.send(&Request::get(path).header("Cookie", &format!("{name}={}", session.value))).status
    };
    assert_eq!(with(&gateway, "/one", &session.name), 200);
    let renamed = session.name.replace("web", "back");
    assert_eq!([with(&gateway, "/two", &session.name), with(&gateway, "/two", &renamed)], [401, 401]);
    // Nor at another gateway with the same secret and name, where it would mean another provider or another client.
    for changed in [login("web", &two, CLIENT), login("web", &one, "another-client")] {
        let other = Gateway::start(&yaml(&[changed, login("back", &two, CLIENT)]));
        assert_eq!(with(&other, "/one", &session.name), 401);
    }
    let same = Gateway::start(&yaml(&[login("web", &one, CLIENT), login("back", &two, CLIENT)]));
    assert_eq!(with(&same, "/one", &session.name), 200);
}

#[test]
fn what_one_provider_says_of_a_token_is_worth_nothing_at_another() {
    let says = |active: bool| {
        Origin::start(move |_| Answer::ok(format!("{{\"active\":{active},\"sub\":\"u7\",\"scope\":\"x\"}}")))
    };
    let (good, bad, origin) = (says(true), says(false), Origin::echo());
    let provider =
        |url: &str| format!("{{ introspection: {{ url: {url}/i, insecure: true, cache: 1h, cache_inactive: 1h }} }}");
    let yaml = |one: &str, two: &str| {
        format!(
            "auth: {{ one: {}, two: {} }}\nroutes: {{ /one: {{ auth: one, to: {url} }}, /two: {{ auth: two, to: {url} }} }}\n",
            provider(one),
            provider(two),
            url = origin.url()
        )
    };
    let gateway = Gateway::start(&yaml(&good.url(), &bad.url()));
    let with = |path: &str, token: &str| {
        gateway.send(&Request::get(path).header("Authorization", &format!("Bearer {token}"))).status
    };
    for _ in 0..2 {
        assert_eq!([with("/one", "t"), with("/two", "t"), with("/one", "t")], [200, 401, 200]);
        assert_eq!([with("/two", "u"), with("/one", "u")], [401, 200]);
    }
    assert_eq!((good.requests().len(), bad.requests().len()), (2, 2), "each was asked once for each token");
    // Other spellings of a token are other tokens, not what is known of this one.
    for spelling in ["T", "t=", "t%20", "t.", "tt"] {
        let asked = good.requests().len();
        with("/one", spelling);
        assert_eq!(good.requests().len(), asked + 1, "{spelling}");
    }
    gateway.change(&yaml(&bad.url(), &good.url()));
    assert_eq!(
        [with("/one", "t"), with("/two", "t")],
        [401, 200],
        "the names have changed sides, and nothing is carried"
    );
}

#[test]
fn a_token_verified_for_one_audience_is_not_remembered_for_another() {
    let (origin, signer) = (Origin::echo(), Signer::new("RS256").named("one"));
    let provider = |audience: &str| {
        format!("{{ jwt: {{ jwks: {}, issuer: \"https://idp.example\", audience: {audience} }} }}", jwks(&[&signer]))
    };
    let yaml = |one: &str| {
        format!(
            "auth: {{ orders: {}, carts: {} }}\n\
             routes: {{ /orders: {{ auth: orders, to: {url} }}, /carts: {{ auth: carts, to: {url} }}, /both: {{ auth: [carts, orders], to: {url} }} }}\n",
            provider(one),
            provider("carts"),
            url = origin.url()
        )
    };
    let gateway = Gateway::start(&yaml("orders"));
    let token = signer.token(&json!({ "iss": "https://idp.example", "aud": "orders", "sub": "a", "exp": now() + 600 }));
    let with =
        |path: &str| gateway.send(&Request::get(path).header("Authorization", &format!("Bearer {token}"))).status;
    for _ in 0..3 {
        assert_eq!([with("/orders"), with("/carts"), with("/both")], [200, 401, 200]);
    }
    gateway.change(&yaml("invoices"));
    assert_eq!([with("/orders"), with("/both")], [401, 401], "what was verified by other rules is forgotten");
    gateway.change(&yaml("orders"));
    assert_eq!(with("/orders"), 200);
}

#[test]
fn a_service_that_answers_oddly_lets_nobody_pass_and_says_nothing_it_should_not() {
    let (origin, gate) = (Origin::echo(), Gate::default());
    let held = gate.clone();
    let service = Origin::start(move |asked| {
        let long = "x".repeat(70_000);
        match asked.header("x-forwarded-uri").unwrap_or_default() {
            "/held" => Answer::status(200).then_wait(&held).body("a"),
            "/fields" => Answer::ok("").header("X-User", &long),
            "/many" => (0..500).fold(Answer::ok(""), |answer, number| answer.header(&format!("X-{number}"), "a")),
            "/body" => Answer::ok(long),
            "/early" => (0..50).fold(Answer::ok(""), |answer, _| answer.early(103, &[("Link", "<a>")])),
            "/switch" => Answer::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
            "/two" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
            "/status" => Answer::raw("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
            "/none" => Answer::raw("HTTP/1.1  \r\n\r\n"),
            "/split" => Answer::raw("HTTP/1.1 200 OK\r\nX-User: acme\r\nX-User: admin\r\nContent-Length: 0\r\n\r\n"),
            "/refused" => Answer::status(401)
                .header("X-Consumer-Id", "admin")
                .header("Server", "inner/1.0")
                .header("Connection", "close")
                .body("no"),
            _ => Answer::ok("").header("X-User", "acme"),
        }
    });
    let gateway = Gateway::start(&format!(
        "auth: {{ gate: {{ forward: {{ url: {}/check, insecure: true, timeout: 300ms, consumer: X-User, copy_headers: [X-Tier] }} }} }}\n\
         routes: {{ /**: {{ auth: gate, to: {} }} }}\n",
        service.url(),
        origin.url()
    ));
    for target in ["/held", "/fields", "/many", "/body", "/early", "/switch", "/two", "/status", "/none"] {
        let began = Instant::now();
        let answer = gateway.get(target);
        assert_eq!(answer.status, 503, "{target}");
        assert!(began.elapsed() < DEADLINE / 2, "{target}");
    }
    gate.open();
    let refused = gateway.get("/refused");
    assert_eq!((refused.status, refused.text()), (401, "no"));
    assert_eq!((refused.header("x-consumer-id"), refused.header("server")), (None, None));
    assert!(refused.keeps_alive());
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    assert_eq!(gateway.get("/good").status, 200);
    assert_eq!(named(&origin.only_request(), "x-consumer-id"), ["acme"]);
    let split = gateway.get("/split");
    assert!(split.status == 503 || named(&origin.requests()[1], "x-consumer-id") == ["acme"], "{split:?}");
}
