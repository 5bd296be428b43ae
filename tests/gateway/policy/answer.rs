//! Answers made of the request, redirects and mocks, over real sockets.

use crate::support::client::Request;
use crate::support::gateway::Gateway;

#[test]
fn an_answer_names_what_is_known_of_the_request() {
    let gateway = Gateway::start(
        "routes:
  GET /orders/{id}:
    respond:
      status: 202
      headers: { X-Order: \"{id}\", X-Tenant: \"{header.x-tenant|none}\", X-Gone: \"{header.x-absent}\" }
      json: { id: \"{id}\", by: \"{query.by}\", route: \"{route}\", n: 1, of: [\"{method} {path}\"] }
  /page/{name}: { respond: { headers: { Content-Type: text/html }, body: \"<h1>{name}</h1>\" } }
",
    );
    let response = gateway.send(&Request::get("/orders/a%22b?by=%22%7D").header("X-Tenant", "t\u{e9}"));
    assert_eq!((response.status, response.header("content-type")), (202, Some("application/json")));
    assert_eq!(response.header("x-order"), Some("a\"b"));
    assert_eq!(response.header("x-tenant"), Some("t%C3%A9"));
    assert_eq!(response.header("x-gone"), None);
    let body = response.json();
    assert_eq!((body["id"].as_str(), body["by"].as_str()), (Some("a\"b"), Some("\"}")));
    assert_eq!((body["route"].as_str(), body["of"][0].as_str()), (Some("GET /orders/{id}"), Some("GET /orders/a%22b")));
    assert_eq!(gateway.get("/orders/7").json()["by"], serde_json::Value::Null);
    assert_eq!(gateway.get("/page/%3Cscript%3E").text(), "<h1>&lt;script&gt;</h1>");
    let head = gateway.send(&Request::new("HEAD", "/orders/7"));
    assert_eq!((head.status, head.body.len()), (202, 0));
}

#[test]
fn nothing_a_client_sends_ends_a_field_of_an_answer() {
    let gateway = Gateway::start(
        "routes:\n  /a: { respond: { headers: { X-Q: \"{query.q}\", X-C: \"{cookie.c}\" }, body: \"{query.q}\" } }\n  \
         /r/{id}: { redirect: { to: \"/to/{id}/{query.q}?u={query.q}\" } }\n",
    );
    let response = gateway.send(&Request::get("/a?q=1%0D%0AX-Evil:%201%00").header("Cookie", "c=2"));
    assert_eq!((response.header("x-q"), response.header("x-c")), (Some("1%0D%0AX-Evil: 1%00"), Some("2")));
    assert_eq!(response.header("x-evil"), None);
    let response = gateway.get("/r/7?q=a/b%3Fc%23d%0D%0A%26");
    assert_eq!(
        (response.status, response.header("location")),
        (308, Some("/to/7/a%2Fb%3Fc%23d%0D%0A%26?u=a%2Fb%3Fc%23d%0D%0A%26"))
    );
    for climbing in ["/r/7?q=..", "/r/7?q=.", "/r/7", "/r/7?q="] {
        let response = gateway.get(climbing);
        assert_eq!((response.status, response.problem().as_str()), (400, "bad-path"), "{climbing}");
    }
}

#[test]
fn a_mock_answers_by_what_the_client_accepts_and_takes_its_time() {
    let gateway = Gateway::start(
        "routes:
  GET /orders/{id}:
    mock:
      headers: { X-Mock: \"yes\" }
      examples:
        application/json: { json: { id: \"{id}\" } }
        application/xml: { body: \"<order id=\\\"{id}\\\"/>\", headers: { X-Form: xml } }
        text/plain: { status: 406, body: none }
  /slow: { mock: { status: 503, delay: 20ms, json: { state: down } } }
  /late: { mock: { delay: 10m, body: never }, timeout: 30ms }
",
    );
    let ask = |accept: &str| gateway.send(&Request::get("/orders/a%3Cb").header("Accept", accept));
    let json = ask("application/*;q=0.5, application/json");
    assert_eq!(
        (json.status, json.text(), json.header("content-type")),
        (200, "{\"id\":\"a<b\"}", Some("application/json"))
    );
    assert_eq!((json.header("x-mock"), json.header("vary")), (Some("yes"), Some("accept")));
    let xml = ask("application/xml, */*;q=0.1");
    assert_eq!((xml.text(), xml.header("x-form")), ("<order id=\"a&lt;b\"/>", Some("xml")));
    assert_eq!(ask("text/plain").status, 406);
    assert_eq!(ask("image/png").text(), "{\"id\":\"a<b\"}");
    let began = std::time::Instant::now();
    let slow = gateway.get("/slow");
    assert_eq!((slow.status, slow.text()), (503, "{\"state\":\"down\"}"));
    assert!(began.elapsed() >= std::time::Duration::from_millis(20));
    let late = gateway.get("/late");
    assert_eq!((late.status, late.problem().as_str()), (504, "deadline"));
}
