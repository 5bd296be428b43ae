//! Heads changed both ways, over real sockets.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

fn route(origin: &Origin, key: &str, rest: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  {key}:\n    to: {}\n{rest}", origin.url()))
}

#[test]
fn the_upstream_sees_what_the_rules_make_of_a_request() {
    let origin = Origin::echo();
    let gateway = route(
        &origin,
        "/orders/{id}",
        "    request:
      rename: { X-Old: X-New }
      remove: [X-Secret, X-Internal-*]
      set: { X-Channel: web, X-Order: \"{id}\", X-User: \"{claim.sub}\" }
      add: { X-Tenant: \"{query.tenant|none}\" }
      append: { X-Trace: \"{request_id}\" }
      query: { set: { source: gateway }, remove: debug }
      cookies: { remove: session }
      method: POST
      path: /v2/orders/{id}/lines
",
    );
    let request = Request::get("/orders/7?debug=1&a=%7Eb")
        .header("X-Old", "1")
        .header("X-Secret", "2")
        .header("X-Internal-Id", "3")
        .header("X-User", "admin")
        .header("X-Trace", "a")
        .header("Cookie", "session=s; theme=dark")
        .header("X-Request-Size", "5");
    let response = gateway.send(&request);
    assert_eq!(response.status, 200);
    let seen = origin.only_request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v2/orders/7/lines?a=%7Eb&source=gateway"));
    assert_eq!(seen.headers("x-new"), ["1"]);
    for gone in ["x-old", "x-secret", "x-internal-id", "x-user"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(
        (seen.header("x-channel"), seen.header("x-order"), seen.header("x-tenant")),
        (Some("web"), Some("7"), Some("none"))
    );
    assert_eq!(seen.headers("x-trace").len(), 2);
    assert_eq!(seen.header("cookie"), Some("theme=dark"));
    assert_eq!(seen.header("x-request-size"), Some("5"));
}

#[test]
fn nothing_a_client_sends_breaks_out_of_its_place() {
    let origin = Origin::echo();
    let gateway = route(
        &origin,
        "/a/{name}",
        "    request: { set: { X-Name: \"{query.q}\" }, query: { set: { q: \"{query.q}\" } }, path: \"/files/{query.p|x}/end\" }\n    encoded_slash: keep\n",
    );
    let mut client = gateway.connect();
    for (target, status, path) in [
        ("/a/b?q=%0D%0AX-Evil:%201", 200, "/files/x/end?q=%0D%0AX-Evil%3A%201"),
        ("/a/b?q=1&p=..", 400, ""),
        ("/a/b?q=1&p=.", 400, ""),
        ("/a/b?q=1&p=../../admin", 400, ""),
        ("/a/b?q=1&p=a/../b", 400, ""),
        ("/a/b?q=1&p=%2e%2e", 400, ""),
        ("/a/b?q=1&p=%3Fadmin=1%23", 200, "/files/%3Fadmin=1%23/end?q=1&p=%3Fadmin=1%23"),
        ("/a/b?q=1&p=", 400, ""),
        ("/a/b?q=%26admin=1", 200, "/files/x/end?q=%26admin%3D1"),
        ("/a/b?q=%00", 200, "/files/x/end?q=%00"),
    ] {
        origin.forget();
        let response = client.send(&Request::get(target));
        assert_eq!(response.status, status, "{target}");
        if status == 200 {
            let seen = origin.only_request();
            assert_eq!(seen.target, path, "{target}");
            assert_eq!(seen.headers("x-evil"), Vec::<&str>::new());
        } else {
            assert!(origin.requests().is_empty(), "{target}");
            client = gateway.connect();
        }
    }
}

#[test]
fn the_rest_of_a_path_keeps_its_encoded_slashes() {
    let origin = Origin::echo();
    let gateway = route(&origin, "/old/**", "    request: { path: \"/new/{**}\" }\n    encoded_slash: keep\n");
    for (asked, seen) in
        [("/old/a%2Fb/c", "/new/a%2Fb/c"), ("/old/a/b%2F", "/new/a/b%2F"), ("/old/%C3%A9/%2F", "/new/%C3%A9/%2F")]
    {
        origin.forget();
        assert_eq!(gateway.get(asked).status, 200, "{asked}");
        assert_eq!(origin.only_request().target, seen, "{asked}");
    }
}

#[test]
fn answers_change_by_status_type_and_what_was_asked() {
    let origin = Origin::start(|request| {
        let status = request.target.rsplit('/').next().and_then(|status| status.parse().ok()).unwrap_or(200);
        Answer::status(status)
            .body("{}")
            .header("Content-Type", if status == 200 { "application/json" } else { "text/plain" })
            .header("X-Powered-By", "php")
            .header("Set-Cookie", "debug=1; Path=/")
            .header("Set-Cookie", "s=2")
    });
    let gateway = route(
        &origin,
        "/a/{status}",
        "    response:
      - { remove: X-Powered-By, cookies: { remove: debug }, set: { X-Route: \"{route}\", X-Status: \"{status}\" } }
      - { status: [4xx, 502], set: { X-Failed: \"yes\" } }
      - { content_type: [\"*+json\", application/json], add: { Cache-Control: no-store } }
      - { when: \"'x-debug' in request.headers\", set: { X-Debug: \"{header.X-Debug}\" } }
",
    );
    let ok = gateway.send(&Request::get("/a/200").header("X-Debug", "on"));
    assert_eq!((ok.header("x-powered-by"), ok.headers("set-cookie")), (None, vec!["s=2"]));
    assert_eq!((ok.header("x-route"), ok.header("x-status")), (Some("/a/{status}"), Some("200")));
    assert_eq!(
        (ok.header("cache-control"), ok.header("x-failed"), ok.header("x-debug")),
        (Some("no-store"), None, Some("on"))
    );
    let missing = gateway.get("/a/404");
    assert_eq!(
        (missing.header("x-failed"), missing.header("cache-control"), missing.header("x-debug")),
        (Some("yes"), None, None)
    );
}

#[test]
fn the_gateway_s_own_answers_are_changed_where_the_request_came_so_far() {
    let gateway = Gateway::start(
        "defaults: { response: { set: { X-Seen: \"{path}\" } } }
routes:
  /fixed: { respond: { body: a } }
  /moved: { redirect: /fixed }
  /gone: { to: http://127.0.0.1:1, retries: 0 }
  /denied: { to: http://127.0.0.1:1, ip: { deny: [0.0.0.0/0] } }
  /off: { respond: { body: a }, response: off }
",
    );
    for (target, status, seen) in [
        ("/fixed", 200, Some("/fixed")),
        ("/moved", 308, Some("/moved")),
        ("/gone", 502, Some("/gone")),
        ("/denied", 403, None),
        ("/off", 200, None),
    ] {
        let response = gateway.get(target);
        assert_eq!((response.status, response.header("x-seen")), (status, seen), "{target}");
    }
}

#[test]
fn a_request_made_unsafe_is_not_tried_again() {
    let origin = Origin::start(|_| Answer::status(503));
    let rest = "    retries: { max: 2, on: [503] }\n    request: { method: POST }\n";
    let gateway = route(&origin, "/**", rest);
    assert_eq!(gateway.get("/").status, 503);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn head_stays_head_towards_the_client() {
    let origin = Origin::echo();
    let gateway = route(&origin, "/**", "    request: { method: GET, set: { X-A: b } }\n");
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.send(&Request::new("HEAD", "/"));
        assert_eq!((response.status, response.body.len()), (200, 0));
    }
    assert_eq!(client.send(&Request::get("/")).json()["method"], "GET");
}
