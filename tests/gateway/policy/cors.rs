//! What a browser would see: preflights, answers it may show to a page, and those it may not.

use crate::support::client::{Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

const SHOP: &str = "https://shop.example";

fn preflight(target: &str, origin: &str, method: &str) -> Request {
    Request::new("OPTIONS", target).header("Origin", origin).header("Access-Control-Request-Method", method)
}

fn from(origin: &str, request: Request) -> Request {
    request.header("Origin", origin)
}

#[track_caller]
fn is_readable(response: &Response) {
    assert_eq!(response.header("access-control-allow-origin"), Some(SHOP), "{response:?}");
    assert!(response.headers("vary").iter().any(|value| value.contains("Origin")), "{response:?}");
}

#[track_caller]
fn is_unreadable(response: &Response) {
    let fields: Vec<_> = response.fields.iter().filter(|(name, _)| name.starts_with("access-control-")).collect();
    assert!(fields.is_empty(), "{fields:?}");
    assert!(response.headers("vary").iter().any(|value| value.contains("Origin")), "{response:?}");
}

#[track_caller]
fn is_refused(response: &Response) {
    assert_eq!((response.status, &response.json()["type"]), (403, &"urn:tollgate:problem:cors-denied".into()));
}

#[test]
fn a_preflight_is_answered_for_the_route_of_the_method_it_asks_about() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "defaults: {{ cors: {SHOP} }}\nroutes:\n  GET /orders/{{id}}: {{ to: {url} }}\n  \
         PUT /orders/{{id}}: {{ to: {url}, cors: {{ origins: {SHOP}, credentials: true, headers: [X-Trace], max_age: 1h }} }}\n  \
         DELETE /orders/{{id}}: {{ to: {url}, cors: off }}",
        url = origin.url()
    ));
    let mut client = gateway.connect();
    let get = client.send(&preflight("/orders/7", SHOP, "GET"));
    assert_eq!((get.status, get.header("access-control-allow-methods")), (204, Some("GET")));
    assert_eq!(get.header("access-control-allow-credentials"), None);
    is_readable(&get);
    assert_eq!(client.send(&preflight("/orders/7", SHOP, "HEAD")).status, 204);
    let put = client.send(&preflight("/orders/7", SHOP, "PUT").header("Access-Control-Request-Headers", "x-trace"));
    assert_eq!((put.status, put.header("access-control-allow-methods")), (204, Some("PUT")));
    assert_eq!(put.header("access-control-allow-headers"), Some("x-trace"));
    assert_eq!(put.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(put.header("access-control-max-age"), Some("3600"));
    is_refused(&client.send(&preflight("/orders/7", "https://evil.example", "PUT")));
    is_refused(&client.send(&preflight("/orders/7", SHOP, "PUT").header("Access-Control-Request-Headers", "x-other")));
    // Neither a route without CORS nor a method that nobody answers is opened by its neighbours.
    for method in ["DELETE", "PATCH", "OPTIONS", "get"] {
        let response = client.send(&preflight("/orders/7", SHOP, method));
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD, PUT, DELETE")), "{method}");
    }
    assert_eq!(client.send(&preflight("/carts", SHOP, "GET")).status, 404);
    assert!(origin.requests().is_empty(), "a preflight went to the upstream");
    gateway.await_metric("tollgate_refusals_total", &["cors-denied"], 2.0);
}

#[test]
fn a_route_without_cors_is_not_opened_by_one_for_any_method() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  /orders: {{ to: {url}, cors: {SHOP} }}\n  DELETE /orders: {{ to: {url} }}",
        url = origin.url()
    ));
    assert_eq!(gateway.send(&preflight("/orders", SHOP, "PATCH")).status, 204);
    is_refused(&gateway.send(&preflight("/orders", SHOP, "DELETE")));
    assert!(origin.requests().is_empty());
}

#[test]
fn options_that_is_no_preflight_is_an_ordinary_request() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "defaults: {{ cors: {SHOP} }}\nroutes:\n  GET /one: {{ to: {url} }}\n  /any: {{ to: {url} }}",
        url = origin.url()
    ));
    let bare = [
        Request::new("OPTIONS", "/one"),
        from(SHOP, Request::new("OPTIONS", "/one")),
        Request::new("OPTIONS", "/one").header("Access-Control-Request-Method", "GET"),
    ];
    for request in bare {
        let response = gateway.send(&request);
        assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD")));
    }
    let passed = gateway.send(&from(SHOP, Request::new("OPTIONS", "/any")));
    assert_eq!((passed.status, &passed.json()["method"]), (200, &"OPTIONS".into()));
    is_readable(&passed);
}

#[test]
fn a_route_written_for_options_answers_for_itself() {
    let origin = Origin::start(|_| Answer::status(204).header("Access-Control-Allow-Origin", "https://own.example"));
    let gateway = Gateway::start(&format!(
        "defaults: {{ cors: {SHOP} }}\nroutes:\n  GET /own: {{ to: {url} }}\n  OPTIONS /own: {{ to: {url} }}",
        url = origin.url()
    ));
    let response = gateway.send(&preflight("/own", "https://own.example", "GET"));
    assert_eq!((response.status, response.header("access-control-allow-origin")), (204, Some("https://own.example")));
    assert_eq!(origin.only_request().method, "OPTIONS");
}

#[test]
fn answers_are_readable_by_listed_pages_whoever_makes_them() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/missing" => Answer::status(404),
        "/moved" => Answer::status(302).header("Location", "/"),
        _ => Answer::ok("a")
            .header("Access-Control-Allow-Origin", "*")
            .header("Access-Control-Allow-Credentials", "true")
            .header("Access-Control-Expose-Headers", "X-Inner")
            .header("Vary", "Accept-Encoding"),
    });
    let gateway = Gateway::start(&format!(
        "trusted_proxies: [127.0.0.1]\ndefaults: {{ cors: {{ origins: [{SHOP}], expose: [X-Request-Id] }} }}\nroutes:\n  \
         /**: {{ to: {}, body_limit: 8B, ip: {{ deny: 203.0.113.0/24 }} }}\n  /fixed: {{ respond: {{ body: a }} }}\n  \
         /old: {{ redirect: / }}\n  /gone: {{ to: http://127.0.0.1:1, retries: 0 }}",
        origin.url()
    ));
    let denied = Request::get("/").header("X-Forwarded-For", "203.0.113.1");
    let requests = [
        (200, Request::get("/")),
        (200, Request::new("HEAD", "/")),
        (404, Request::get("/missing")),
        (302, Request::get("/moved")),
        (200, Request::get("/fixed")),
        (308, Request::get("/old")),
        (400, Request::get("/a%2Fb")),
        (502, Request::get("/gone")),
        (413, Request::post("/", "more than eight bytes")),
        (403, denied),
    ];
    for (status, request) in requests {
        let response = gateway.send(&from(SHOP, request.clone()));
        assert_eq!(response.status, status, "{request:?}");
        is_readable(&response);
        assert_eq!(response.header("access-control-expose-headers"), Some("x-request-id"));
        assert_eq!(response.header("access-control-allow-credentials"), None);
        for other in ["https://evil.example", "null", "https://shop.example.evil", "HTTPS://SHOP.EXAMPLE"] {
            is_unreadable(&gateway.send(&from(other, request.clone())));
        }
        is_unreadable(&gateway.send(&request));
    }
    assert_eq!(gateway.get("/").headers("vary"), ["Accept-Encoding", "Origin"]);
}

#[test]
fn a_preflight_needs_no_credentials_and_a_401_is_readable() {
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\n\
         consumers: {{ acme: {{ keys: [{{ value: 0123456789abcdef0123, insecure_inline: true }}] }} }}\n\
         routes: {{ GET /: {{ cors: {SHOP}, auth: keys, respond: {{ body: a }} }} }}"
    ));
    let asked = preflight("/", SHOP, "GET").header("Access-Control-Request-Headers", "x-api-key");
    let allowed = gateway.send(&asked);
    assert_eq!((allowed.status, allowed.header("access-control-allow-headers")), (204, Some("x-api-key")));
    let refused = gateway.send(&from(SHOP, Request::get("/")));
    assert_eq!(refused.status, 401);
    is_readable(&refused);
    let passed = gateway.send(&from(SHOP, Request::get("/").header("X-API-Key", "0123456789abcdef0123")));
    assert_eq!((passed.status, passed.text()), (200, "a"));
    is_readable(&passed);
}

#[test]
fn any_origin_gets_the_same_answer() {
    let gateway = Gateway::start("routes: { /: { cors: \"*\", respond: { body: a } } }");
    for request in [Request::get("/"), from(SHOP, Request::get("/")), from("null", Request::get("/"))] {
        let response = gateway.send(&request);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(response.header("vary"), None);
    }
}

#[test]
fn holds_over_http2() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: 127.0.0.1:0, protocols: [h1, h2c] }} }}\n\
         routes: {{ POST /: {{ to: {}, cors: {{ origins: \"https://*.shop.example\", others: refuse }} }} }}",
        origin.url()
    ));
    let mut client = h2::Client::connect(gateway.listener("clear"));
    let allowed = client.send(&preflight("/", "https://eu.shop.example", "POST"));
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://eu.shop.example"));
    let post = client.send(&from("https://eu.shop.example", Request::post("/", "a")));
    assert_eq!((post.status, post.header("access-control-allow-origin")), (200, Some("https://eu.shop.example")));
    for origin in [SHOP, "https://evilshop.example", "https://eu.shop.example.evil", "null"] {
        is_refused(&client.send(&preflight("/", origin, "POST")));
        is_refused(&client.send(&from(origin, Request::post("/", "a"))));
    }
    assert_eq!(client.send(&Request::post("/", "a")).status, 200, "a client that is no browser");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_websocket_from_an_unlisted_page_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /chat: {{ to: {}, cors: {SHOP} }} }}", origin.url()));
    let handshake = || {
        Request::get("/chat")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    };
    for evil in ["https://evil.example", "null", "http://shop.example", "https://shop.example:8443"] {
        is_refused(&gateway.send(&from(evil, handshake())));
    }
    let both = from("https://evil.example", from(SHOP, handshake()));
    is_refused(&gateway.send(&both));
    assert!(origin.requests().is_empty(), "a handshake went to the upstream");
    // The upstream of this test does not upgrade: that it was asked is enough.
    assert_eq!(gateway.send(&from(SHOP, handshake())).status, 200);
    assert_eq!(gateway.send(&handshake()).status, 200);
    let own = handshake().header("Host", "api.example").header("Origin", "http://api.example");
    assert_eq!(gateway.send(&own).status, 200);
    assert_eq!(gateway.send(&from("https://evil.example", Request::get("/chat"))).status, 200);
}

#[test]
fn a_reload_changes_who_may_read() {
    let with = |origin: &str| format!("routes: {{ /: {{ cors: {origin}, respond: {{ body: a }} }} }}");
    let gateway = Gateway::start(&with("https://old.example"));
    let mut client = gateway.connect();
    is_unreadable(&client.send(&from(SHOP, Request::get("/"))));
    gateway.change(&with(SHOP));
    is_readable(&client.send(&from(SHOP, Request::get("/"))));
    gateway.rewrite(&with("{ origins: \"*\", credentials: true }"));
    assert!(gateway.reload().refused.is_some_and(|why| why.contains("`*` and `credentials: true`")));
    is_readable(&client.send(&from(SHOP, Request::get("/"))));
}
