//! The access log: one line for every request, whatever became of it.

use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;
use crate::support::wait::{until, until_some};

/// A gateway that logs into its folder.
fn logging(yaml: &str) -> Gateway {
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("access.log");
    Gateway::start_in(folder, &format!("access_log: {}\n{yaml}", log.display()))
}

/// The lines of the log, once there are so many.
#[track_caller]
fn lines(gateway: &Gateway, count: usize) -> Vec<Value> {
    let path = gateway.folder().join("access.log");
    let text = until_some("the log has its lines", || {
        std::fs::read_to_string(&path).ok().filter(|text| text.lines().count() >= count && text.ends_with('\n'))
    });
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert_eq!(lines.len(), count, "{text}");
    lines
}

#[test]
fn the_parts_of_a_combined_answer_are_told_one_by_one() {
    let gate = Gate::default();
    let inner = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/order" => Answer::ok(r#"{"items":[1,2]}"#).header("Content-Type", "application/json"),
        "/no" => Answer::status(404),
        "/never" => {
            inner.pass();
            Answer::ok("")
        }
        _ => Answer::ok("1").header("Content-Type", "application/json"),
    });
    let gateway = logging(&format!(
        "upstreams: {{ shop: {{ endpoints: [{}] }} }}\nroutes:\n  /full:\n    combine:\n      \
         order: {{ get: \"shop:/order\" }}\n      items: {{ get: \"shop:/i/{{item}}\", each: \"{{order.items}}\" }}\n      \
         no: {{ get: \"shop:/no\", optional: true }}\n      late: {{ get: \"shop:/never\", optional: true, timeout: 300ms }}\n      \
         bad: {{ get: \"shop:/{{no.id}}\", optional: true }}\n  /broken:\n    combine:\n      \
         never: {{ get: \"shop:/never\" }}\n      no: {{ get: \"shop:/no\" }}\n",
        origin.url()
    ));
    assert_eq!(gateway.get("/full").status, 200);
    lines(&gateway, 1); // a line is written after the answer: two requests' in any order
    assert_eq!(gateway.get("/broken").status, 404);
    gate.open();
    let lines = lines(&gateway, 2);
    let told = |at: usize, name: &str| {
        let parts = lines[at]["parts"].as_array().expect("parts");
        parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("{name} in {}", lines[at])).clone()
    };
    let short = |part: Value| (part["outcome"].clone(), part["status"].clone(), part["calls"].clone());
    assert_eq!(short(told(0, "order")), ("answered".into(), 200.into(), 1.into()));
    assert_eq!(short(told(0, "items")), ("answered".into(), Value::Null, 2.into()));
    assert_eq!(short(told(0, "no")), ("status-404".into(), 404.into(), 1.into()));
    assert_eq!(short(told(0, "late")), ("timeout".into(), Value::Null, 1.into()));
    assert_eq!(short(told(0, "bad")), ("reference".into(), Value::Null, 0.into()));
    assert_eq!(short(told(1, "never")), ("abandoned".into(), Value::Null, 1.into()));
    assert!(told(0, "late")["duration_ms"].as_f64().is_some_and(|took| took >= 290.0), "{}", told(0, "late"));
    assert_eq!(told(0, "order")["upstream"], "shop");
    // Each call has a span of its own, which the log names.
    let seen = origin.requests();
    let parent = |target: &str| {
        let request = seen.iter().find(|request| request.target == target).expect("asked");
        request.header("traceparent").expect("a trace").to_owned()
    };
    let span = told(0, "order")["span_id"].as_str().expect("a span").to_owned();
    let trace = lines[0]["trace_id"].as_str().expect("a trace").to_owned();
    assert_eq!(parent("/order"), format!("00-{trace}-{span}-00"));
    assert_ne!(parent("/i/1"), parent("/i/2"));
    assert!(parent("/i/1").contains(&trace), "{}", parent("/i/1"));
}

#[test]
fn each_request_of_a_batch_has_a_line_that_names_the_batch() {
    let origin = Origin::start(|_| Answer::ok("x"));
    let gateway = logging(&format!("routes: {{ \"POST /batch\": {{ batch: 5 }}, /**: {{ to: {} }} }}", origin.url()));
    let batch = Request::post("/batch", r#"{"requests":[{"path":"/a"},{"path":"/b"}]}"#);
    let answer = gateway.send(&batch.header("Content-Type", "application/json"));
    let lines = lines(&gateway, 3);
    let whole = lines.iter().find(|line| line["path"] == "/batch").expect("the batch");
    assert_eq!((whole["request_id"].as_str(), whole.get("batch")), (answer.header("x-request-id"), None));
    for path in ["/a", "/b"] {
        let line = lines.iter().find(|line| line["path"] == path).expect("a request of it");
        assert_eq!((&line["batch"], &line["trace_id"]), (&whole["request_id"], &whole["trace_id"]), "{line}");
        assert_ne!(line["request_id"], whole["request_id"]);
        assert_eq!(line["client"], "127.0.0.1");
    }
}

#[test]
fn a_forwarded_request_is_told_whole() {
    let origin = Origin::start(|_| Answer::ok("0123456789"));
    let gateway = logging(&format!(
        "upstreams: {{ users: {{ endpoints: [{}] }} }}\nroutes: {{ \"POST /users/{{id}}\": {{ to: users }} }}",
        origin.url()
    ));
    let request = Request::post("/users/7?page=2&token=s3cret", "body").header("Host", "shop.example");
    let response = gateway.send(&request.header("User-Agent", "test \"quoted\""));
    let line = lines(&gateway, 1).remove(0);
    let told = |name: &str| line[name].clone();
    assert_eq!(told("request_id"), response.header("x-request-id").expect("an id"));
    for (name, value) in [
        ("client", "127.0.0.1"),
        ("listener", "main"),
        ("method", "POST"),
        ("host", "shop.example"),
        ("path", "/users/7"),
        ("upstream", "users"),
        ("user_agent", "test \"quoted\""),
    ] {
        assert_eq!(told(name), value, "{name} in {line}");
    }
    assert_eq!((told("status"), told("bytes_in"), told("bytes_out")), (200.into(), 4.into(), 10.into()), "{line}");
    assert_eq!(told("attempts"), 1);
    assert!(told("route").as_str().is_some_and(|route| route.contains("/users/{id}")), "{line}");
    assert!(
        told("query").as_str().is_some_and(|query| query.contains("page=2") && !query.contains("s3cret")),
        "{line}"
    );
}

#[test]
fn every_refusal_has_its_line_and_its_reason() {
    let broken = Origin::start(|_| Answer::none(Ending::Reset));
    let gateway = logging(&format!(
        "routes: {{ GET /a: {{ respond: {{ body: a }} }}, /broken: {{ to: {} }}, /down: {{ to: \"http://{}\" }} }}",
        broken.url(),
        ports::free()
    ));
    let requests = [
        (Request::get("/a"), 200, None),
        (Request::get("/nowhere"), 404, Some("no-route")),
        (Request::new("DELETE", "/a"), 405, Some("method-not-allowed")),
        (Request::get("/%zz"), 400, Some("bad-path")),
        (Request::get("/broken"), 502, Some("upstream-reset")),
        (Request::get("/down"), 502, Some("upstream-refused")),
        (Request::get("/").header("Content-Length", "1, 1"), 400, Some("ambiguous-framing")),
    ];
    for (request, status, _) in &requests {
        assert_eq!(gateway.send(request).status, *status);
    }
    let lines = lines(&gateway, requests.len());
    for (_, status, reason) in requests {
        let told = |line: &&Value| line["status"] == status && line["reason"].as_str() == reason;
        assert_eq!(lines.iter().filter(told).count(), 1, "{status} {reason:?} in {lines:#?}");
    }
}

#[test]
fn a_client_that_left_is_told_as_499() {
    let origin = Origin::echo();
    let gateway = logging(&format!("routes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    drop(client);
    let line = lines(&gateway, 1).remove(0);
    assert_eq!((&line["status"], &line["reason"]), (&499.into(), &"client-closed".into()), "{line}");
}

#[test]
fn nothing_a_client_sends_breaks_a_line() {
    let gateway = logging("routes: { /**: { respond: { body: a } } }");
    let odd = "\"},{\"status\":200,\"x\":\"\\u0000\t\u{ff}";
    gateway.send(&Request::get("/a%0a%22%7d?b=%0d%0a{\"x\":1}'").header("User-Agent", odd));
    gateway.send(&Request::get("/%22?%22").header("User-Agent", &"x".repeat(10_000)));
    let sizes: Vec<usize> = lines(&gateway, 2).iter().map(|line| line.to_string().len()).collect();
    assert!(sizes.iter().all(|size| *size < 8_192), "{sizes:?}");
}

#[test]
fn a_moved_log_is_opened_anew() {
    let gateway = logging("routes: { /**: { respond: { body: a } } }");
    gateway.get("/one");
    lines(&gateway, 1);
    std::fs::rename(gateway.folder().join("access.log"), gateway.folder().join("old.log")).expect("moved");
    gateway.reopen_logs();
    until("the new file is there", || gateway.folder().join("access.log").exists());
    gateway.get("/two");
    assert_eq!(lines(&gateway, 1)[0]["path"], "/two");
}

#[test]
fn the_client_is_the_one_behind_trusted_proxies() {
    let gateway = logging("trusted_proxies: [127.0.0.1, 10.0.0.0/8]\nroutes: { /**: { respond: { body: a } } }");
    gateway.send(&Request::get("/").header("X-Forwarded-For", "192.0.2.1, 203.0.113.7, 10.1.2.3"));
    assert_eq!(lines(&gateway, 1)[0]["client"], "203.0.113.7");
}
