//! Attempts to be taken for somebody else: by fields, by credentials in odd places, by what was learnt for another provider.

use std::time::Instant;

use serde_json::json;

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::openid::browser::Browser;
use crate::support::openid::{CLIENT, Provider, SECRET};
use crate::support::origin::{Answer, Origin, Request as Received};
use crate::support::tokens::{Signer, jwks, now};
use crate::support::wait::DEADLINE;

const KEY: &str = "a-key-of-twenty-four-chars";
const OTHER: &str = "another-key-of-somebody-else";

/// Providers and consumers of a gateway that knows two by their keys.
fn keys(provider: &str) -> String {
    format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h1, h2c] }} }}\n\
         auth: {{ keys: {{ api_key: {provider} }} }}\n\
         consumers:\n  acme: {{ keys: {{ value: {KEY}, insecure_inline: true }} }}\n  \
         admin: {{ keys: {{ value: {OTHER}, insecure_inline: true }}, groups: [staff] }}\n"
    )
}

/// The statuses of what comes back for bytes as they are; none where the connection is closed without an answer.
fn raw(gateway: &Gateway, text: &str) -> Option<u16> {
    let mut client = Client::connect(gateway.listener("clear"));
    client.send_raw(text.as_bytes());
    client.try_read("GET").ok().map(|response| response.status)
}

fn named<'a>(request: &'a Received, name: &str) -> Vec<&'a str> {
    let fold = |name: &str| name.to_ascii_lowercase().replace(['_', '.'], "-");
    request.fields.iter().filter(|(known, _)| fold(known) == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn no_field_names_another_method_than_the_one_that_was_judged() {
    let origin = Origin::echo();
    let fields = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "X-HTTP_Method.Override",
        "X_Method_Override",
        "X.Http.Method",
    ];
    for trusted in ["[]", "[127.0.0.1]"] {
        let gateway = Gateway::start(&format!(
            "trusted_proxies: {trusted}\n{}routes:\n  GET /orders: {{ to: {url} }}\n  POST /orders: {{ to: {url} }}\n  \
             DELETE /orders: {{ auth: keys, to: {url} }}\n",
            keys("{}"),
            url = origin.url()
        ));
        let address = gateway.listener("clear");
        assert_eq!(gateway.send(&Request::new("DELETE", "/orders")).status, 401);
        for field in fields {
            for method in ["GET", "POST"] {
                let request =
                    |name: &str| Request::new(method, "/orders").header(name, "DELETE").header(name, "delete");
                assert_eq!(Client::connect(address).send(&request(field)).status, 200);
                assert_eq!(h2::Client::connect(address).send(&request(&field.to_lowercase())).status, 200);
            }
        }
        for request in origin.requests() {
            for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
                assert_eq!(named(&request, name), [] as [&str; 0], "{request:?}");
            }
        }
        assert_eq!(origin.requests().len(), 4 * fields.len());
        origin.forget();
    }
}

/// What a claim or a service tells of the caller in a field of the operator's choosing comes from nobody else either.
#[test]
fn fields_of_the_operators_choosing_come_from_no_client() {
    let (origin, signer) = (Origin::echo(), Signer::new("ES256").named("one"));
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h1, h2c] }} }}\n\
         auth: {{ idp: {{ jwt: {{ jwks: {}, headers: {{ X-Tenant: tenant, Billing-Account: account }} }} }} }}\n\
         routes:\n  /open: {{ to: {url} }}\n  /known: {{ auth: idp, to: {url} }}\n",
        jwks(&[&signer]),
        url = origin.url()
    ));
    let token = signer.token(&json!({ "sub": "alice", "exp": now() + 600, "tenant": "t1" }));
    let forged = |target: &str| {
        let names = ["x-tenant", "x_tenant", "x.tenant", "billing-account", "billing_account", "billing.account"];
        let request = Request::get(target).header("authorization", &format!("Bearer {token}"));
        names.iter().fold(request, |request, name| request.header(name, "evil").header(name, "t2"))
    };
    let nominating = |request: Request| request.header("Connection", "close, X-Tenant, Billing-Account, X-Consumer-Id");
    let address = gateway.listener("clear");
    for target in ["/open", "/known"] {
        assert_eq!(Client::connect(address).send(&nominating(forged(target))).status, 200);
        assert_eq!(h2::Client::connect(address).send(&forged(target)).status, 200);
    }
    for request in origin.requests() {
        let expected: &[&str] = if request.target == "/known" { &["t1"] } else { &[] };
        assert_eq!(named(&request, "x-tenant"), expected, "{request:?}");
        assert_eq!(named(&request, "billing-account"), [] as [&str; 0], "{request:?}");
    }
}

/// A service that merges trailers into fields (RFC 9110 §6.5.1) must not learn of a caller by one.
#[test]
fn no_trailer_names_a_caller() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{}routes: {{ /**: {{ to: {} }} }}\n", keys("{}"), origin.url()));
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Consumer-Id\r\n\r\n";
    let body = "1\r\na\r\n0\r\nX-Consumer-Id: admin\r\nX_Consumer_Groups: staff\r\nAuthorization: Bearer x\r\n\r\n";
    let status = raw(&gateway, &format!("{head}{body}"));
    assert!(matches!(status, Some(200 | 400)), "{status:?}");
    for request in origin.requests() {
        assert!(!format!("{request:?}").contains("admin"), "{request:?}");
    }
}

#[test]
fn what_connection_nominates_takes_nothing_from_what_the_gateway_says() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {} }} }}\n", origin.url()));
    let nominating = |name: &str| gateway.send(&Request::get("/a").header("Connection", &format!("close, {name}")));
    for name in ["X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "Host"] {
        assert_eq!(nominating(name).status, 400, "{name}");
    }
    assert!(origin.requests().is_empty());
    for name in ["X-Forwarded-Port", "X-Request-Id", "Via", "traceparent"] {
        assert_eq!(nominating(name).status, 200, "{name}");
        let seen = origin.requests().pop().expect("a request");
        assert_eq!(named(&seen, &name.to_lowercase()).len(), 1, "{name}: {seen:?}");
    }
}

#[test]
fn a_credential_written_oddly_is_refused_or_read_as_it_is() {
    let origin = Origin::echo();
    let routes = format!("routes: {{ /**: {{ auth: keys, to: {} }} }}\n", origin.url());
    let gateway = Gateway::start(&format!("{}{routes}", keys("{ header: Authorization, query: k, cookie: c }")));
    let own = format!("Authorization: ApiKey {KEY}\r\n");
    let good = [
        own.clone(),
        format!("aUTHORIZATION:ApiKey   {KEY}  \r\n"),
        format!("Authorization: apikey {KEY}\r\n"),
        format!("Cookie: a=1; c={KEY}\r\n"),
    ];
    for fields in good {
        assert_eq!(
            raw(&gateway, &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")),
            Some(200),
            "{fields}"
        );
        assert_eq!(named(&origin.only_request(), "x-consumer-id"), ["acme"]);
        assert!(!format!("{:?}", origin.requests()).contains(KEY), "{fields}");
        origin.forget();
    }
    let bad = [
        format!("{own}Authorization: ApiKey {OTHER}\r\n"),
        format!("{own}{own}"),
        format!("{own}Authorization:\r\n"),
        format!("{own}authorization: Basic eA==\r\n"),
        format!("{own}Cookie: c={OTHER}\r\n"),
        format!("{own}Cookie: c=\r\n"),
        format!("Cookie: c={KEY}\r\nCookie: c={OTHER}\r\n"),
        format!("Cookie: c={KEY}; c={KEY}\r\n"),
        format!("Authorization : ApiKey {KEY}\r\n"),
        format!("Authorization\t: ApiKey {KEY}\r\n"),
        format!(" Authorization: ApiKey {KEY}\r\n"),
        format!("Authorization: ApiKey\r\n {KEY}\r\n"),
        format!("X-A: b\r\n\tAuthorization: ApiKey {KEY}\r\n"),
        format!("Authorization: ApiKey {KEY}, ApiKey {OTHER}\r\n"),
        format!("Authorization: ApiKey\t{KEY}\r\n"),
        format!("Authorization: ApiKey \"{KEY}\"\r\n"),
        format!("Authorization: ApiKey{KEY}\r\n"),
        format!("Authorization: {KEY}\r\n"),
        format!("Authorization: ApiKey {KEY}\0\r\n"),
        format!("Authorization: ApiKey {KEY}\rX: y\r\n"),
        format!("Proxy-Authorization: ApiKey {KEY}\r\n"),
        format!("Authorization_: ApiKey {KEY}\r\n"),
        format!("Cookie: C={KEY}\r\n"),
        format!("Cookie: c=\"{KEY}\"\r\n"),
        format!("Cookie: c%3d{KEY}\r\n"),
        format!("Cookie2: c={KEY}\r\n"),
        format!("X-API-Key: {KEY}\r\n"),
    ];
    for fields in bad {
        let status = raw(&gateway, &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
        assert!(matches!(status, None | Some(400 | 401)), "{fields:?}: {status:?}");
    }
    for query in
        ["k=A&k=B", "k=A&%6b=A", "K=A", "k%00=A", "k[]=A", "k=A%00", "k=A%20", "k=A&k", "x=k=A", "k;=A", ";k=A"]
    {
        let target = format!("/?{}", query.replace('A', KEY).replace('B', OTHER));
        let status = raw(&gateway, &format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(matches!(status, None | Some(400 | 401)), "{query}: {status:?}");
    }
    // Over HTTP/2 cookies may come in crumbs (RFC 9113 §8.2.3): all of them count.
    let crumbs = |values: &[&str]| {
        let request = values.iter().fold(Request::get("/"), |request, value| request.header("cookie", value));
        h2::Client::connect(gateway.listener("clear")).send(&request).status
    };
    let (mine, other) = (format!("c={KEY}"), format!("c={OTHER}"));
    assert_eq!(crumbs(&["a=1", &mine, "b=2"]), 200);
    assert_eq!([crumbs(&[&mine, &other]), crumbs(&[&mine, "a=1", &mine])], [400, 400]);
    assert_eq!(origin.requests().len(), 1);
}

/// Two ways in, each with a credential: one caller, and neither credential goes on.
#[test]
fn of_two_good_credentials_one_counts_and_none_goes_on() {
    let (origin, signer) = (Origin::echo(), Signer::new("EdDSA").named("one"));
    let auth = format!("auth: {{ idp: {{ jwt: {{ jwks: {} }} }}, ", jwks(&[&signer]));
    let gateway = Gateway::start(&format!(
        "{}routes: {{ /**: {{ auth: [keys, idp], allow: {{ group: staff }}, to: {} }} }}\n",
        keys("{}").replace("auth: { ", &auth),
        origin.url()
    ));
    let token = signer.token(&json!({ "sub": "admin", "exp": now() + 600 }));
    let send = |key: &str, token: &str| {
        let request = Request::get("/").header("X-API-Key", key);
        gateway.send(&request.header("Authorization", &format!("Bearer {token}"))).status
    };
    // The key is asked for first: whoever it names is judged, not who of the two may do more.
    assert_eq!(
        [send(KEY, &token), send(OTHER, &token), send("not-a-known-key", &token), send(OTHER, "x")],
        [403, 200, 200, 200]
    );
    for request in origin.requests() {
        assert_eq!((request.header("x-api-key"), request.header("authorization")), (None, None));
        assert_eq!(named(&request, "x-consumer-id"), ["admin"]);
    }
}

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

/// Whether a page of that origin could read the answer with the cookies of its user.
fn is_readable_with_cookies(response: &Response, origin: &str) -> bool {
    response.header("access-control-allow-origin") == Some(origin)
        && response.header("access-control-allow-credentials") == Some("true")
}

#[test]
fn no_page_that_is_not_listed_reads_an_answer_with_cookies() {
    let origin = Origin::start(|_| {
        Answer::ok("a").header("Access-Control-Allow-Origin", "null").header("Access-Control-Allow-Credentials", "true")
    });
    let gateway = Gateway::start(&format!(
        "{}routes: {{ /**: {{ auth: keys, to: {}, cors: {{ origins: [\"https://*.shop.example\", \"https://shop.example\"], credentials: true }} }} }}\n",
        keys("{}"),
        origin.url()
    ));
    let ask = |origin: &str, request: Request| gateway.send(&request.header("Origin", origin));
    let known = || Request::get("/").header("X-API-Key", KEY);
    let preflight = || Request::new("OPTIONS", "/").header("Access-Control-Request-Method", "GET");
    for listed in ["https://shop.example", "https://eu.shop.example", "https://a.b.shop.example"] {
        assert!(is_readable_with_cookies(&ask(listed, known()), listed), "{listed}");
        let refused = ask(listed, Request::get("/"));
        assert!(refused.status == 401 && is_readable_with_cookies(&refused, listed), "{listed}");
        let allowed = ask(listed, preflight());
        assert!(allowed.status == 204 && is_readable_with_cookies(&allowed, listed), "{listed}");
    }
    for evil in [
        "null",
        "",
        "*",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.",
        "https://shop.example/",
        "https://shop.example.evil",
        "https://evilshop.example",
        "https://.shop.example",
        "https://evil.example/.shop.example",
        "https://evil.example#.shop.example",
        "https://evil.example?.shop.example",
        "https://evil.example\\.shop.example",
        "https://evil.example@eu.shop.example",
        "https://evil.example:443.shop.example",
        "https://evil%2f.shop.example",
        "https://evil_.example,https://shop.example",
        "https://shop.example https://evil.example",
        "HTTPS://SHOP.EXAMPLE",
        "file://",
    ] {
        for request in [known(), Request::get("/"), preflight()] {
            let answer = ask(evil, request);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{evil}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{evil}");
        }
    }
    let both = known().header("Origin", "https://evil.example");
    assert_eq!(ask("https://shop.example", both).header("access-control-allow-origin"), None);
}

#[test]
fn a_preflight_where_nobody_answers_one_is_a_request_like_any_other() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "{}routes:\n  /a: {{ auth: keys, to: {url} }}\n  OPTIONS /b: {{ auth: keys, to: {url}, cors: \"https://shop.example\" }}\n",
        keys("{}"),
        url = origin.url()
    ));
    for target in ["/a", "/b"] {
        let request = Request::new("OPTIONS", target).header("Origin", "https://shop.example");
        assert_eq!(gateway.send(&request.header("Access-Control-Request-Method", "OPTIONS")).status, 401, "{target}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn no_protocol_and_no_way_of_sending_a_body_passes_without_a_credential() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{}routes: {{ /**: {{ auth: keys, to: {} }} }}\n", keys("{}"), origin.url()));
    let requests = [
        Request::get("/")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13"),
        Request::get("/")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", "h2c")
            .header("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        Request::get("/").header("Accept", "text/event-stream"),
        Request::post("/", "a").header("Expect", "100-continue"),
        Request::post("/", "a").header("Content-Type", "application/grpc-web+proto"),
        Request::new("POST", "/").chunks(&["a", "b"]),
        Request::get("/").header("Range", "bytes=0-1"),
        Request::get("/").header("Cache-Control", "only-if-cached"),
    ];
    for request in requests {
        let answer = gateway.send(&request);
        let refused = answer.status == 401 || answer.header("grpc-status") == Some("16");
        assert!(refused, "{request:?}: {answer:?}");
    }
    let call =
        Request::post("/a.B/C", "\0\0\0\0\0").header("content-type", "application/grpc").header("te", "trailers");
    let answer = h2::Client::connect(gateway.listener("clear")).send(&call);
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("16")));
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
}

/// A rule that goes over what a request brings is an end in itself only for so long.
#[test]
fn a_query_of_thousands_of_names_holds_no_worker_up() {
    let gateway = Gateway::start(
        "server: { threads: 1 }\nroutes:\n  /slow: { allow: { when: \"request.query.all(a, request.query.all(b, a != b || a == b))\" }, respond: { body: a } }\n  \
         /quick: { respond: { body: a } }\n",
    );
    let query: String = (0..1_200).map(|number| format!("{number}&")).collect();
    let began = Instant::now();
    for _ in 0..3 {
        let answer = gateway.get(&format!("/slow?{query}"));
        assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("urn:tollgate:problem:forbidden")));
    }
    assert_eq!([gateway.get("/slow?a&b").status, gateway.get("/quick").status], [200, 200]);
    assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
}
