//! Who may pass by the files of `conf/`, each as its comments say.

use std::fs;

use crate::copy::{Copy, get, main_address, root};
use crate::support::client::{Request, send};
use crate::support::openid::{self, browser::Browser};
use crate::support::socket::Socket;
use crate::support::tls::{H1, Identity};
use crate::support::tokens::{Signer, now};

#[test]
fn keys_open_what_is_theirs() {
    let gateway = Copy::of_file("auth-keys.yaml").start();
    let refused = get(&gateway, "/orders/1");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("ApiKey realm=\"keys\"")));
    let with_key = Request::get("/orders/1").header("X-API-Key", "the-key-of-acme-next-for-tests");
    assert_eq!(send(main_address(&gateway), &with_key).status, 502, "nobody listens behind it");
    assert_eq!(get(&gateway, "/catalog/1").status, 502);
    let with = |name: &str, value: &str| {
        send(main_address(&gateway), &Request::get("/back-office/1").header(name, value)).status
    };
    assert_eq!(get(&gateway, "/back-office/1").headers("www-authenticate").len(), 2);
    // Keys of the digests in the configuration and in the list beside it.
    assert_eq!(["test", "test2", "unknown"].map(|key| with("X-API-Key", key)), [502, 502, 401]);
    // ann:the-password-of-ann-for-tests
    let ann = "Basic YW5uOnRoZS1wYXNzd29yZC1vZi1hbm4tZm9yLXRlc3Rz";
    assert_eq!([ann, "Basic YW5uOm90aGVy"].map(|field| with("Authorization", field)), [502, 401]);
}

#[test]
fn callers_that_others_vouch_for() {
    let gateway = Copy::of_file("auth-ask.yaml").start();
    let with = |target: &str, name: &str, value: &str| {
        send(main_address(&gateway), &Request::get(target).header(name, value)).status
    };
    assert_eq!(get(&gateway, "/orders/1").header("www-authenticate"), Some("Bearer realm=\"tollgate\""));
    // Left to another provider, of which this route has none; nobody is asked.
    assert_eq!(with("/orders/1", "Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."), 401);
    // Nothing of this test listens on port 9180; whoever does has not said yes.
    assert_ne!(get(&gateway, "/account/1").status, 200);
    assert_eq!(get(&gateway, "/partner/1").headers("www-authenticate").len(), 2);
    assert_eq!(with("/partner/1", "Signature-Input", "s=(\"@method\");created=1;keyid=\"mobile\""), 401);
}

#[test]
fn tokens_of_services_pass_and_others_are_told_what_is_asked_for() {
    let gateway = Copy::of_file("auth-jwt.yaml").start();
    let none = get(&gateway, "/reports/1");
    assert_eq!((none.status, none.header("www-authenticate")), (401, Some("Bearer realm=\"services\"")));
    let signer = crate::support::tokens::Signer::with_secret(b"a-secret-for-tests-that-is-long-enough");
    let expires = crate::support::tokens::now() + 60;
    let claims = serde_json::json!({ "client_id": "svc-billing", "aud": "orders", "exp": expires });
    for path in ["/reports/1", "/orders/1"] {
        let request = Request::get(path).header("Authorization", &format!("Bearer {}", signer.token(&claims)));
        assert_eq!(send(main_address(&gateway), &request).status, 200, "{path}");
    }
}

#[test]
fn auth_allow_lets_each_caller_do_what_it_may() {
    let copy = Copy::of_file("auth-allow.yaml");
    let gateway = copy.start();
    let secure = gateway.address("secure").expect("a listener");
    let (acme, auditor) = (copy.authority.client("acme.example"), copy.authority.client("auditor"));
    let ask = |client: Option<&Identity>, request: &Request| {
        let connector = copy.authority.connector_as(H1, client);
        let client = crate::support::client::Client::connect_tls(secure, &connector, "shop.example");
        client.expect("a handshake").send(request).status
    };
    for (method, target, for_acme, for_auditor, for_nobody) in [
        ("GET", "/orders/1", 200, 403, 401),
        ("GET", "/reports/1", 200, 200, 401),
        ("POST", "/reports/1", 403, 200, 401),
        ("GET", "/exports/acme?format=csv", 200, 403, 401),
        ("GET", "/exports/acme", 403, 403, 401),
        ("GET", "/exports/other?format=csv", 403, 403, 401),
        ("GET", "/tenants/1", 403, 403, 401),
        ("GET", "/me", 200, 200, 401),
        ("GET", "/status", 200, 200, 200),
        ("GET", "/forgotten", 403, 403, 401),
    ] {
        let request = Request::new(method, target);
        let statuses = [Some(&acme), Some(&auditor), None].map(|client| ask(client, &request));
        assert_eq!(statuses, [for_acme, for_auditor, for_nobody], "{method} {target}");
    }
    assert_eq!(ask(Some(&copy.authority.client("stranger")), &Request::get("/me")), 401);
}

#[test]
fn addresses_decide_as_its_comments_say() {
    let gateway = Copy::of_file("addresses.yaml").start();
    for (address, target, status) in [
        ("8.8.8.8", "/", 200),
        ("192.0.2.1", "/", 403),
        ("192.0.2.1", "/status", 200),
        ("10.1.2.3", "/metrics", 200),
        ("fd00::1", "/metrics", 200),
        ("8.8.8.8", "/metrics", 403),
        ("10.1.2.3", "/admin/users", 200),
        ("203.0.113.7", "/admin", 200),
        ("2001:db8:10::9", "/admin", 200),
        ("203.0.113.13", "/admin", 403),
        ("10.66.0.1", "/admin", 403),
        ("8.8.8.8", "/admin", 403),
    ] {
        let response = send(main_address(&gateway), &Request::get(target).header("X-Forwarded-For", address));
        assert_eq!(response.status, status, "{address} {target}");
    }
}

#[test]
fn people_log_in_and_out_as_its_comments_say() {
    let provider = openid::Provider::start();
    let text = fs::read_to_string(root().join("conf/auth-oidc.yaml")).expect("a file of conf/");
    let local = format!("issuer: {}\n      insecure: true", provider.issuer());
    let text = text.replace("issuer: https://idp.example", &local).replace("client_id: shop", "client_id: shop client");
    let gateway = Copy::of(&text).start();
    let url = |target: &str| format!("http://{}{target}", main_address(&gateway));
    let mut browser = Browser::default();
    assert_eq!(browser.fetch(&url("/shop/cart")).status, 401);
    assert_eq!(browser.open(&url("/shop/cart")).text(), "Welcome.\n");
    assert_eq!(browser.submit(&url("/shop/cart"), "cross-site").status, 403);
    assert_eq!(browser.submit(&url("/shop/cart"), "same-origin").status, 200);
    assert_eq!(get(&gateway, "/news").text(), "News.\n");
    assert_eq!(browser.follow(&url("/oauth2/logout"), "same-origin", 5).text(), "See you.\n");
    assert_eq!(browser.fetch(&url("/shop/cart")).status, 401);
    let legacy = |name: &str, value: &str| {
        let request = Request::post("/legacy/x", "y").header("Cookie", "a=b").header("Sec-Fetch-Site", "cross-site");
        send(main_address(&gateway), &request.header(name, value)).status
    };
    assert_eq!((legacy("X-Requested-With", "x"), legacy("Origin", "https://app.example")), (200, 200));
    assert_eq!(legacy("Origin", "https://evil.example"), 403);
}

#[test]
fn browsers_are_told_what_its_comments_say() {
    let gateway = Copy::of_file("browsers.yaml").start();
    let ask = |request: Request| send(main_address(&gateway), &request);
    let products = ask(Request::get("/products").header("Origin", "https://shop.example"));
    assert_eq!(products.header("access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(products.header("x-frame-options"), Some("DENY"));
    let preflight = |origin: &str, method: &str| {
        let request = Request::new("OPTIONS", "/cart").header("Origin", origin);
        ask(request.header("Access-Control-Request-Method", method))
    };
    for origin in ["https://shop.example", "https://eu.shop.example", "http://localhost:3000"] {
        let allowed = preflight(origin, "PUT");
        assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (204, Some(origin)));
        assert_eq!(allowed.header("access-control-max-age"), Some("3600"));
    }
    assert_eq!(preflight("https://evil.example", "PUT").status, 403);
    assert_eq!(preflight("https://shop.example", "DELETE").status, 405);
    assert_eq!(ask(Request::new("PUT", "/cart").header("Origin", "https://evil.example")).status, 403);
    let fonts = get(&gateway, "/fonts/a.woff2");
    assert_eq!(fonts.header("access-control-allow-origin"), Some("*"));
    assert_eq!(fonts.header("cross-origin-resource-policy"), Some("cross-origin"));
    let page = get(&gateway, "/");
    assert_eq!(page.header("content-security-policy"), Some("default-src 'self'; frame-ancestors 'self'"));
    assert_eq!(
        (page.header("x-frame-options"), page.header("referrer-policy")),
        (Some("SAMEORIGIN"), Some("no-referrer"))
    );
}

#[test]
fn websocket_lets_in_who_may_connect() {
    let gateway = Copy::of_file("websocket.yaml").start();
    let address = main_address(&gateway);
    let ask = |path: &str, fields: &[(&str, &str)]| Socket::ask(address, path, fields).head;
    assert!(ask("/chat", &[]).starts_with("HTTP/1.1 401 "));
    assert!(ask("/chat", &[("Origin", "https://evil.example")]).starts_with("HTTP/1.1 403 "));
    let claims = serde_json::json!({ "sub": "ann", "exp": now() + 60 });
    let token = Signer::with_secret(b"a-secret-for-tests-that-is-long-enough").token(&claims);
    let offered = format!("bearer, {token}");
    let fields = [("Origin", "https://app.example"), ("Sec-WebSocket-Protocol", &*offered)];
    // Nothing of this test listens where the services are.
    assert!(ask("/chat", &fields).starts_with("HTTP/1.1 502 "));
    assert!(ask("/ticker", &[("Origin", "https://evil.example")]).starts_with("HTTP/1.1 502 "));
    assert_eq!(send(address, &Request::post("/rpc", "{\"id\":1}")).status, 502);
    assert_eq!(send(address, &Request::post("/rpc", "{}")).status, 400, "by what would its reply be known?");
    assert_eq!(get(&gateway, "/feed").status, 502);
    assert!(ask("/orders/live", &[]).starts_with("HTTP/1.1 101 "));
    assert_eq!(get(&gateway, "/orders/live").status, 426);
}
