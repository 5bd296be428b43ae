//! The form of the gateway's own replies: problem details, HTML, text, gRPC, templates.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::ports;

const ROUTES: &str = "routes:\n  GET /a: { respond: { body: a } }\n  POST /a: { respond: { body: a } }\n";

#[test]
fn the_default_is_problem_details_that_name_the_request() {
    let reply = Gateway::start(ROUTES).get("/nowhere");
    let problem = reply.json();
    assert_eq!((reply.status, reply.header("content-type")), (404, Some("application/problem+json")));
    assert_eq!(problem["type"], "urn:tollgate:problem:no-route");
    assert_eq!(problem["status"], 404);
    assert_eq!(problem["instance"], format!("urn:uuid:{}", reply.header("x-request-id").expect("an id")));
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    assert!(reply.header("proxy-status").expect("RFC 9209").starts_with("tollgate; error="));
}

#[test]
fn the_form_follows_accept() {
    let gateway = Gateway::start(ROUTES);
    for (accept, form) in [
        ("application/json", "application/problem+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/html;q=0.1, application/json", "application/problem+json"),
        ("image/png", "application/problem+json"),
    ] {
        let reply = gateway.send(&Request::get("/nowhere").header("Accept", accept));
        assert_eq!((reply.status, reply.header("content-type")), (404, Some(form)), "{accept}");
    }
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let gateway = Gateway::start(ROUTES);
    let mut client = gateway.connect();
    let reply = client.send(&Request::new("DELETE", "/a"));
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD, POST")));
    assert_eq!(reply.json()["allow"], serde_json::json!(["GET", "HEAD", "POST"]));
    assert!(reply.keeps_alive());
    assert_eq!(client.send(&Request::get("/a")).status, 200);
}

#[test]
fn templates_replace_bodies_by_reason_and_the_inner_wins() {
    let gateway = Gateway::start(&format!(
        "replies:\n  no-route: {{ content_type: text/plain, body: \"none {{request_id}}\" }}\n\
         routes:\n  /down: {{ to: \"http://{}\", replies: {{ default: {{ content_type: application/json, status: 599, body: '{{\"why\": \"{{reason}}\"}}' }} }} }}\n",
        ports::free()
    ));
    let missing = gateway.get("/nowhere");
    assert_eq!(missing.text(), format!("none {}", missing.header("x-request-id").expect("an id")));
    let down = gateway.get("/down");
    assert_eq!((down.status, down.json()), (599, serde_json::json!({ "why": "upstream-refused" })));
}

#[test]
fn nothing_of_what_the_client_sent_becomes_markup() {
    let gateway = Gateway::start(ROUTES);
    for target in ["/<script>", "/%3Cscript%3E", "/a?<script>", "/..%2F<script>"] {
        let reply = gateway.send(&Request::get(target).header("Accept", "text/html"));
        assert!(!reply.text().contains("<script"), "{target}: {}", reply.text());
    }
}

/// Replies of every kind that involve an upstream.
pub fn tells_nothing_of(reply: &Response, address: std::net::SocketAddr) {
    let fields = reply.fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
    let all = fields + &String::from_utf8_lossy(&reply.body);
    assert!(!all.contains(&address.to_string()) && !all.contains(&format!(":{}", address.port())), "{all}");
    assert!(!all.to_ascii_lowercase().contains("pingora"), "{all}");
}

#[test]
fn what_an_api_replies_holds_below_its_base_where_no_route_does() {
    let text = |text: &str| format!("{{ content_type: text/plain, body: \"{text} {{reason}}\" }}");
    let gateway = Gateway::start(&format!(
        "replies: {{ default: {} }}
apis:
  shop: {{ host: shop.example, base: /v1, replies: {{ default: {} }}, routes: {{ GET /a: {{ respond: {{ body: a }} }} }} }}
  inner: {{ host: shop.example, base: /v1/inner, routes: {{ GET /a: {{ respond: {{ body: a }} }} }} }}
  wide: {{ base: /v2, replies: {{ no-route: {} }}, routes: {{ GET /a: {{ respond: {{ body: a }} }} }} }}
  same: {{ base: /v2, routes: {{ GET /b: {{ respond: {{ body: b }} }} }} }}
",
        text("gateway"),
        text("shop"),
        text("wide"),
    ));
    let cases = [
        ("shop.example", "/v1/none", "shop no-route"),
        ("SHOP.example:80", "/v1", "shop no-route"),
        ("shop.example", "/v1/x/../none", "shop no-route"),
        ("shop.example", "/v1x", "gateway no-route"),
        ("shop.example", "/v1/inner/none", "gateway no-route"),
        ("other.example", "/v1/none", "gateway no-route"),
        ("shop.example", "/v2/none", "wide no-route"),
        ("other.example", "/v2/none", "wide no-route"),
    ];
    for (host, path, said) in cases {
        let reply = gateway.send(&Request::get(path).header("Host", host));
        assert_eq!((reply.status, reply.text()), (404, said), "{host} {path}");
    }
    let reply = gateway.send(&Request::post("/v1/a", Vec::new()).header("Host", "shop.example"));
    assert_eq!((reply.status, reply.text()), (405, "shop method-not-allowed"));
    let reply = gateway.send(&Request::post("/v2/b", Vec::new()));
    assert_eq!((reply.status, reply.text()), (405, "gateway method-not-allowed"));
}
