//! `batch:` over real sockets: each request by itself, its bounds, and requests that try to be somebody else's.

use crate::support::client::{Request, Response, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use serde_json::{Value, json};

fn shop() -> Origin {
    Origin::start(|request| match request.target.as_str() {
        "/json" => Answer::ok(r#"{"big":18446744073709551616}"#).header("Content-Type", "application/json"),
        "/missing" => Answer::status(404),
        "/long" => Answer::ok("x".repeat(3000)),
        _ => Answer::echo(request),
    })
}

fn gateway(origin: &Origin, batch: &str, more: &str) -> Gateway {
    Gateway::start(&format!(
        "{more}\nupstreams: {{ shop: {{ endpoints: [{}], ejection: \"off\" }} }}\n\
         routes:\n  POST /batch: {{ batch: {batch} }}\n  GET /**: {{ to: shop }}\n  POST /orders: {{ to: shop }}\n",
        origin.url()
    ))
}

fn post(requests: &Value) -> Request {
    Request::post("/batch", json!({ "requests": requests }).to_string()).header("Content-Type", "application/json")
}

#[track_caller]
fn responses(answer: &Response) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["responses"].as_array().expect("a list of responses").clone()
}

fn statuses(responses: &[Value]) -> Vec<u64> {
    responses.iter().map(|response| response["status"].as_u64().expect("a status")).collect()
}

#[test]
fn each_request_is_answered_by_itself_in_order() {
    let shop = shop();
    let gateway = gateway(&shop, "10", "");
    let answer = gateway.send(&post(&json!([
        { "id": "a", "path": "/json" },
        { "id": 2, "path": "/missing" },
        { "method": "DELETE", "path": "/json" },
        { "method": "POST", "path": "/orders?x=1", "headers": { "X-Mine": "1" }, "body": { "a": [1] } },
        { "path": 7 },
        { "method": "HEAD", "path": "/json" },
    ])));
    let told = responses(&answer);
    assert_eq!(statuses(&told), [200, 404, 405, 200, 400, 200]);
    assert_eq!((&told[0]["id"], &told[1]["id"], &told[3]["id"]), (&json!("a"), &json!(2), &Value::Null));
    assert!(answer.text().contains(r#""body":{"big":18446744073709551616}"#), "{}", answer.text());
    assert_eq!(told[2]["body"]["type"], "urn:tollgate:problem:method-not-allowed");
    assert_eq!(told[2]["headers"]["allow"], "GET, HEAD");
    assert_eq!(told[4]["body"]["detail"], "This request of the batch is malformed: `path` is a string.");
    assert_eq!((told[5].get("body"), told[5].get("text")), (None, None));
    let echoed = &told[3];
    assert!(echoed["headers"]["x-request-id"].is_string(), "{echoed}");
    let seen = shop.requests().into_iter().find(|request| request.method == "POST").expect("the order");
    assert_eq!((seen.target.as_str(), seen.body.as_slice()), ("/orders?x=1", br#"{"a":[1]}"#.as_slice()));
    assert_eq!((seen.header("x-mine"), seen.header("content-type")), (Some("1"), Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let counted = |outcome| gateway.metric("tollgate_batched_requests_total", &["POST /batch", outcome]);
    assert_eq!((counted("answered"), counted("malformed")), (5.0, 1.0));
}

#[test]
fn each_request_proves_its_caller_and_is_limited_and_kept_by_itself() {
    let shop = Origin::start(|request| Answer::ok(request.header("x-consumer-id").unwrap_or("nobody").to_owned()));
    let (key, other) = ("0123456789abcdef-acme", "0123456789abcdef-zeta");
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\n\
         consumers:\n  acme: {{ keys: [{{ value: {key}, insecure_inline: true }}] }}\n  \
         zeta: {{ keys: [{{ value: {other}, insecure_inline: true }}] }}\n\
         upstreams: {{ shop: {{ endpoints: [{}] }} }}\n\
         routes:\n  POST /batch: {{ batch: {{ requests: 9, at_once: 1, forward: [X-API-Key] }} }}\n  \
         GET /mine: {{ to: shop, auth: keys }}\n  \
         GET /two: {{ to: shop, limit: 2/h per client }}\n  \
         GET /kept: {{ to: shop, cache: 1h }}\n",
        shop.url()
    ));
    let asked = json!([
        { "path": "/mine" },
        { "path": "/mine", "headers": { "X-API-Key": key } },
        { "path": "/mine", "headers": { "X-API-Key": "another" } },
        { "path": "/two" }, { "path": "/two" }, { "path": "/two" },
        { "path": "/kept" }, { "path": "/kept" },
    ]);
    let told = responses(&gateway.send(&post(&asked)));
    assert_eq!(statuses(&told), [401, 200, 401, 200, 200, 429, 200, 200]);
    assert_eq!(told[1]["text"], "acme");
    assert!(told[5]["headers"]["retry-after"].is_string(), "{}", told[5]);
    assert!(told[6]["headers"]["cache-status"].as_str().is_some_and(|said| said.contains("fwd=")), "{}", told[6]);
    assert!(told[7]["headers"]["cache-status"].as_str().is_some_and(|said| said.contains("hit")), "{}", told[7]);
    // What the batch itself says is given to those that do not say it.
    let told = responses(&gateway.send(&post(&asked).header("X-API-Key", other)));
    assert_eq!((&told[0]["text"], &told[1]["text"], &told[2]["status"]), (&json!("zeta"), &json!("acme"), &json!(401)));
}

#[test]
fn no_request_says_who_its_client_is() {
    let shop = Origin::start(|request| {
        let told = ["x-forwarded-for", "x-real-ip", "forwarded", "x-consumer-id", "host"];
        let told: Vec<String> = told.iter().map(|name| request.headers(name).join("+")).collect();
        Answer::ok(told.join("|"))
    });
    let forged = json!([{ "path": "/", "headers": {
        "X-Forwarded-For": "1.1.1.1", "X_Forwarded_For": "1.1.1.1", "X-Real-IP": "1.1.1.1", "Forwarded": "for=1.1.1.1",
        "X-Consumer-Id": "root", "Host": "elsewhere.example", "Connection": "X-Forwarded-For"
    } }]);
    let host = shop.address().to_string();
    let open = gateway(&shop, "10", "");
    let told = responses(&open.send(&post(&forged).header("X-Forwarded-For", "2.2.2.2")));
    assert_eq!(told[0]["text"], format!("127.0.0.1||||{host}"));
    // Behind a proxy that is believed, what the proxy said stands, and still nothing that the client wrote into its batch.
    let behind = gateway(&shop, "10", "trusted_proxies: [127.0.0.0/8]");
    let told = responses(&behind.send(&post(&forged).header("X-Forwarded-For", "203.0.113.9")));
    assert_eq!(told[0]["text"], format!("203.0.113.9, 127.0.0.1||||{host}"));
}

#[test]
fn an_address_that_may_not_pass_does_not_pass_in_a_batch() {
    let shop = shop();
    let gateway = Gateway::start(&format!(
        "routes:\n  POST /batch: {{ batch: 5 }}\n  GET /inner: {{ to: {0}, ip: {{ allow: [10.0.0.0/8] }} }}\n  \
         GET /**: {{ to: {0} }}\n",
        shop.url()
    ));
    let told = responses(&gateway.send(&post(&json!([
        { "path": "/inner" }, { "path": "/x/../inner" }, { "path": "/%69nner" }, { "path": "//inner" },
    ]))));
    assert_eq!(statuses(&told), [403, 403, 403, 403]);
    assert_eq!(shop.requests().len(), 0);
}

#[test]
fn a_batch_does_not_stand_in_a_batch() {
    let shop = shop();
    let gateway = gateway(&shop, "10", "");
    let nested = json!([{
        "method": "POST", "path": "/batch", "body": { "requests": [{ "path": "/json" }] }
    }]);
    let told = responses(&gateway.send(&post(&nested)));
    assert_eq!(statuses(&told), [403]);
    assert_eq!(told[0]["body"]["detail"], "A batch cannot stand in a batch.");
    assert_eq!(shop.requests().len(), 0);
}

#[test]
fn batches_have_bounds() {
    let shop = shop();
    let batch = "{ requests: 3, max_body: 1000B, max_answer: 2000B, max_answers: 5KiB }";
    let gateway = gateway(&shop, batch, "");
    let many = json!([{ "path": "/" }, { "path": "/" }, { "path": "/" }, { "path": "/" }]);
    assert_eq!(gateway.send(&post(&many)).problem(), "body-too-large");
    let long = json!([{ "path": "/", "text": "x".repeat(1000) }]);
    assert_eq!(gateway.send(&post(&long)).status, 413);
    let told = responses(&gateway.send(&post(&json!([{ "path": "/long" }, { "path": "/json" }]))));
    assert_eq!(statuses(&told), [502, 200]);
    assert_eq!(told[0]["body"]["type"], "urn:tollgate:problem:upstream-body");
    let typed = |kind: &str| Request::post("/batch", r#"{"requests":[]}"#).header("Content-Type", kind);
    assert_eq!(gateway.send(&typed("text/plain")).status, 415);
    assert_eq!(gateway.send(&typed("application/json").header("Content-Encoding", "gzip")).status, 415);
    assert_eq!(gateway.send(&typed("application/json")).text(), r#"{"responses":[]}"#);
    let broken = Request::post("/batch", "{").header("Content-Type", "application/json");
    assert_eq!(gateway.send(&broken).problem(), "bad-body");
}

#[test]
fn all_answers_together_have_a_bound() {
    let shop = shop();
    let gateway = gateway(&shop, "{ requests: 3, at_once: 1, max_answers: 7000B }", "");
    let long = json!([{ "path": "/long" }, { "path": "/long" }, { "path": "/long" }]);
    assert_eq!(statuses(&responses(&gateway.send(&post(&long)))), [200, 200, 502]);
}

#[test]
fn so_many_requests_are_under_way_at_once() {
    let gate = Gate::default();
    let inner = gate.clone();
    let slow = Origin::start(move |_| {
        inner.pass();
        Answer::ok("")
    });
    let gateway = gateway(&slow, "{ requests: 5, at_once: 2 }", "");
    let asking = std::thread::spawn({
        let address = gateway.address();
        move || {
            crate::support::client::send(address, &post(&json!([{ "path": "/a" }, { "path": "/b" }, { "path": "/c" }])))
        }
    });
    gate.await_arrivals(2);
    // The batch, and two of its three: the third begins once one of them is answered.
    assert_eq!(gateway.metric("tollgate_requests_in_flight", &[]), 3.0);
    gate.open();
    assert_eq!(statuses(&responses(&asking.join().unwrap())), [200, 200, 200]);
}

#[test]
fn a_request_that_is_late_does_not_take_the_answers_of_the_others() {
    let gate = Gate::default();
    let inner = gate.clone();
    let stuck = Origin::start(move |request| {
        if request.target == "/never" {
            inner.pass();
        }
        Answer::ok("here")
    });
    let gateway = Gateway::start(&format!(
        "routes:\n  POST /batch: {{ batch: 5, timeout: 1s }}\n  /**: {{ to: {} }}\n",
        stuck.url()
    ));
    let told = responses(&gateway.send(&post(&json!([{ "path": "/never" }, { "path": "/now" }]))));
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"abandoned\""], 1.0);
    gate.open();
    assert_eq!(statuses(&told), [504, 200]);
    assert_eq!(told[0]["body"]["type"], "urn:tollgate:problem:deadline");
}

#[test]
fn a_client_that_leaves_gives_the_requests_of_its_batch_up() {
    let gate = Gate::default();
    let inner = gate.clone();
    let stuck = Origin::start(move |_| {
        inner.pass();
        Answer::ok("")
    });
    let gateway = gateway(&stuck, "5", "");
    let mut client = gateway.connect();
    client.send_raw(&post(&json!([{ "path": "/never" }])).bytes("a"));
    gate.await_arrivals(1);
    drop(client);
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"abandoned\""], 1.0);
    gate.open();
}

#[test]
fn batches_come_over_http2_to_listeners_that_speak_nothing_else() {
    let shop = shop();
    let gateway = Gateway::start(&format!(
        "listeners: {{ wire: {{ address: \"127.0.0.1:0\", protocols: [h2c] }} }}\n\
         routes:\n  POST /batch: {{ batch: 5 }}\n  /**: {{ to: {} }}\n",
        shop.url()
    ));
    let told = responses(&h2::Client::connect(gateway.listener("wire")).send(&post(&json!([{ "path": "/json" }]))));
    assert_eq!(statuses(&told), [200]);
}
