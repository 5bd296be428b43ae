//! Errors of upstreams in the api's own format, over real sockets.

use crate::support::client::{Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};

const SECRET: &str = "org.example.OrderRepository line 7";

/// Answers with the status that the path names and an error of its own.
fn origin() -> Origin {
    Origin::start(|request| {
        let status = request.target.trim_start_matches('/').split('/').next().unwrap().parse().unwrap_or(200);
        let body = format!(
            "{{\"error\":{{\"code\":12345678901234567890.50,\"text\":\"no {status}\"}},\"trace\":\"{SECRET}\"}}"
        );
        let answer =
            Answer::status(status).header("X-Internal", SECRET).header("Retry-After", "7").header("Allow", "GET");
        match request.target.rsplit('/').next().unwrap() {
            "html" => answer.header("Content-Type", "text/html").body(format!("<h1>{SECRET}</h1>")),
            "empty" => answer,
            "large" => answer.header("Content-Type", "application/json").body(format!("\"{}\"", SECRET.repeat(60_000))),
            "broken" => answer.header("Content-Type", "application/json").body(format!("{{\"a\": {SECRET}")),
            "chunked" => answer.header("Content-Type", "application/json").body(body).chunked(),
            "cut" => answer.header("Content-Type", "application/json").body(body).cut_after(20, Ending::Close),
            _ => answer.header("Content-Type", "application/problem+json").body(body),
        }
    })
}

fn gateway(origin: &Origin, errors: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  /**:\n    to: {}\n    retries: 0\n    errors: {errors}\n", origin.url()))
}

fn leaks(response: &Response) -> bool {
    response.text().contains("org.example") || response.header("x-internal").is_some()
}

#[test]
fn errors_are_told_as_written_and_nothing_else_of_them() {
    let origin = origin();
    let errors = "[{ status: 404, title: No such order, type: \"https://shop.example/problems/order\", detail: \"{path} is not there ({status})\", select: { code: /error/code, gone: /none } }, \
        { status: 409, pass: true }, { to: 502, keep: Allow }]";
    let gateway = gateway(&origin, errors);
    let missing = gateway.get("/404/x");
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("application/problem+json")));
    let body = missing.json();
    assert_eq!(body["type"], "https://shop.example/problems/order");
    assert_eq!((body["title"].as_str(), body["status"].as_u64()), (Some("No such order"), Some(404)));
    assert_eq!(body["detail"], "/404/x is not there (404)");
    assert!(missing.text().contains("\"code\":12345678901234567890.50}"), "{}", missing.text());
    assert_eq!((body.get("gone"), leaks(&missing)), (None, false));
    assert_eq!((missing.header("retry-after"), missing.header("allow")), (Some("7"), None));
    let failed = gateway.get("/500/x");
    let body = failed.json();
    assert_eq!((failed.status, body["status"].as_u64(), body["title"].as_str()), (502, Some(502), Some("Bad Gateway")));
    assert_eq!((failed.header("allow"), leaks(&failed)), (Some("GET"), false));
    assert!(leaks(&gateway.get("/409/x")), "this one passes");
    assert!(leaks(&gateway.get("/200/x")), "what is no error passes");
    assert!(gateway.metric("tollgate_refusals_total", &["upstream-error"]) >= 2.0);
}

#[test]
fn a_body_that_says_nothing_selects_nothing() {
    let origin = origin();
    let gateway = gateway(&origin, "{ select: { code: /error/code } }");
    let mut client = gateway.connect();
    for kind in ["html", "empty", "large", "broken"] {
        let response = client.send(&Request::get(&format!("/503/{kind}")));
        assert_eq!((response.status, response.json()["title"].as_str()), (503, Some("Service Unavailable")), "{kind}");
        assert!(response.json().get("code").is_none() && !leaks(&response), "{kind}");
    }
    for kind in ["x", "chunked"] {
        let response = client.send(&Request::get(&format!("/503/{kind}")));
        assert!(response.text().contains("\"code\":12345678901234567890.50"), "{kind}");
    }
    let head = client.send(&Request::new("HEAD", "/503/x"));
    assert_eq!((head.status, head.header("x-internal"), head.body.len()), (503, None, 0));
    assert_eq!(gateway.get("/503/cut").status, 502);
}

#[test]
fn the_api_s_own_replies_tell_them_and_rules_for_answers_see_what_the_client_will() {
    let origin = origin();
    let gateway = Gateway::start(&format!(
        "listeners: {{ wire: {{ address: \"127.0.0.1:0\", protocols: [h2c] }} }}\n\
         defaults: {{ errors: {{ title: Not well }}, limit: 100/s per client }}\n\
         replies: {{ upstream-error: {{ content_type: application/json, body: '{{\"oops\": \"{{title}}\", \"code\": {{status}}}}' }} }}\n\
         routes:\n  /**: {{ to: {}, retries: 0, response: {{ status: 5xx, set: {{ X-Told: \"{{status}}\" }} }} }}\n  /raw/**: {{ to: {0}, errors: off, rewrite: \"/{{**}}\" }}\n",
        origin.url()
    ));
    let mut client = gateway.connect();
    let response = client.send(&Request::get("/500/x"));
    assert_eq!(response.text(), "{\"oops\": \"Not well\", \"code\": 500}");
    assert_eq!(response.headers("x-told"), ["500"]);
    assert_eq!(response.headers("ratelimit").len(), 1, "what limits say is said once");
    assert!(leaks(&client.send(&Request::get("/raw/500/x"))));
    assert_eq!(origin.connections(), 1, "a connection was lost");
    let over_h2 = h2::Client::connect(gateway.listener("wire")).send(&Request::get("/500/x"));
    assert_eq!(over_h2.text(), "{\"oops\": \"Not well\", \"code\": 500}");
}
