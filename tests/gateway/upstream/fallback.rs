//! What stands in for an upstream that is out, for each way it can be out.

use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;
use crate::support::wait;

/// A gateway before these endpoints, with more settings of the upstream and of the route.
fn before(url: &str, upstream: &str, route: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up: {{ endpoints: [\"{url}\"], ejection: \"off\"{upstream} }}\n\
         routes:\n  /**: {{ to: up, timeout: 5s, retries: 0, {route} }}\n"
    ))
}

const WRITTEN: &str = "respond: { status: 203, json: { sorry: \"{path}\" }, headers: { X-Standin: \"1\" } }";

fn refusing() -> String {
    format!("http://{}", ports::free())
}

fn fallbacks(gateway: &Gateway, kind: &str) -> f64 {
    gateway.metric("tollgate_fallbacks_total", &[&format!("kind=\"{kind}\"")])
}

/// The answer that is written stands in for a request.
#[track_caller]
fn stands_in(gateway: &Gateway, request: &Request) {
    let response = gateway.send(request);
    assert_eq!((response.status, response.header("x-standin")), (203, Some("1")), "{response:#?}");
    assert_eq!(response.json()["sorry"], "/a/b");
}

#[test]
fn what_is_written_stands_in_for_each_kind_of_outage_that_counts_by_itself() {
    let fallback = format!("fallback: {{ {WRITTEN} }}");
    let gateway = before(&refusing(), "", &fallback);
    stands_in(&gateway, &Request::get("/a/b"));
    stands_in(&gateway, &Request::post("/a/b", "a body that goes nowhere"));
    for (ending, upstream) in [(Ending::Reset, ""), (Ending::Close, ""), (Ending::Stall, ", read_timeout: 200ms")] {
        let broken = Origin::start(move |_| Answer::none(ending));
        stands_in(&before(&broken.url(), upstream, &fallback), &Request::post("/a/b", "body"));
    }
    let nonsense = Origin::start(|_| Answer::raw("this is no HTTP\r\n\r\n"));
    stands_in(&before(&nonsense.url(), "", &fallback), &Request::get("/a/b"));
    let nameless = before("http://nowhere.invalid:80", "", &fallback);
    stands_in(&nameless, &Request::get("/a/b"));
    wait::until("it is counted", || fallbacks(&nameless, "answer") == 1.0);
    nameless.await_metric("tollgate_requests_total", &["status=\"203\""], 1.0);
}

#[test]
fn an_open_breaker_counts_and_the_upstream_is_not_asked() {
    let sick = Origin::start(|_| Answer::status(503));
    let gateway = before(&sick.url(), ", breaker: { of_at_least: 4, for: 1h }", &format!("fallback: {{ {WRITTEN} }}"));
    for _ in 0..4 {
        assert_eq!(gateway.get("/a/b").status, 503, "a status counts only where it is listed");
    }
    stands_in(&gateway, &Request::get("/a/b"));
    assert_eq!(sick.requests().len(), 4);
}

#[test]
fn statuses_busy_and_deadline_count_where_they_are_listed() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/a/b" => Answer::status(503).body("down"),
        "/missing" => Answer::status(404),
        _ => Answer::ok("fine"),
    });
    let gateway = before(&origin.url(), "", &format!("fallback: {{ on: [503], {WRITTEN} }}"));
    stands_in(&gateway, &Request::get("/a/b"));
    stands_in(&gateway, &Request::post("/a/b", "body"));
    assert_eq!(gateway.get("/missing").status, 404);
    assert_eq!(gateway.get("/fine").text(), "fine");
    let stalling = Origin::start(|_| Answer::none(Ending::Stall));
    let late = format!("timeout: 300ms, fallback: {{ on: [deadline], {WRITTEN} }}");
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, {late} }} }}", stalling.url()));
    stands_in(&gateway, &Request::get("/a/b"));
    let unlisted = before(&refusing(), "", &format!("fallback: {{ on: [timeout], {WRITTEN} }}"));
    let refused = unlisted.get("/a/b");
    assert_eq!((refused.status, refused.json()["type"].as_str()), (502, Some("urn:tollgate:problem:upstream-refused")));
    let held = Origin::start(|_| Answer::none(Ending::Stall));
    let busy = before(&held.url(), ", max_in_flight: 1", &format!("fallback: {{ on: [busy], {WRITTEN} }}"));
    let mut first = busy.connect();
    first.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    held.await_requests(1);
    stands_in(&busy, &Request::get("/a/b"));
}

#[test]
fn another_upstream_answers_what_the_first_cannot_with_the_body() {
    let other = Origin::echo();
    let with = |url: &str, more: &str| {
        Gateway::start(&format!(
            "upstreams:\n  up: {{ endpoints: [\"{url}\"], ejection: \"off\", read_timeout: 300ms }}\n  \
             spare: {{ endpoints: [{}] }}\nroutes:\n  /**: {{ to: up, {more} }}\n",
            other.url()
        ))
    };
    let gateway = with(&refusing(), "fallback: spare");
    for request in [
        Request::get("/a?b=c"),
        Request::post("/a?b=c", "the body"),
        Request::post("/a?b=c", "").chunks(&["the ", "body"]),
    ] {
        let response = gateway.send(&request);
        assert_eq!((response.status, response.json()["target"].as_str()), (200, Some("/a?b=c")), "{response:#?}");
    }
    assert!(other.requests().iter().skip(1).all(|request| request.body == b"the body"));
    wait::until("it is counted", || fallbacks(&gateway, "upstream") == 3.0);
    assert_eq!(gateway.metric("tollgate_refusals_total", &[]), 0.0);
    // Something has been sent: only what may be done twice goes elsewhere.
    for ending in [Ending::Reset, Ending::Stall] {
        let broken = Origin::start(move |_| Answer::none(ending));
        let gateway = with(&broken.url(), "retries: 0, fallback: { to: spare }");
        assert_eq!(gateway.send(&Request::new("PUT", "/").body("again")).json()["body"], "again");
        assert!([502, 504].contains(&gateway.send(&Request::post("/", "once")).status));
    }
    let sick = Origin::start(|_| Answer::status(503));
    let gateway = with(&sick.url(), "retries: { max: 1, on: [503], backoff: off }, fallback: { on: [503], to: spare }");
    assert_eq!(gateway.get("/x").json()["target"], "/x");
    assert_eq!(sick.requests().len(), 2, "after the retries");
    assert_eq!(gateway.send(&Request::post("/", "once")).status, 503);
}

#[test]
fn an_open_breaker_sends_to_the_other_upstream_at_once() {
    let (sick, other) = (Origin::start(|_| Answer::status(503)), Origin::echo());
    let fallback = format!("fallback: \"{}\"", other.url());
    let gateway = before(&sick.url(), ", breaker: { of_at_least: 4, for: 1h }", &fallback);
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    for n in 0..5 {
        assert_eq!(gateway.send(&Request::post("/", format!("{n}"))).json()["body"], n.to_string());
    }
    assert_eq!((sick.requests().len(), other.requests().len()), (4, 5));
}

#[test]
fn when_the_other_is_out_too_the_written_answer_is_the_last_resort() {
    let gateway = before(&refusing(), "", &format!("fallback: {{ to: \"{}\", {WRITTEN} }}", refusing()));
    stands_in(&gateway, &Request::post("/a/b", "body"));
    wait::until("both are counted", || fallbacks(&gateway, "upstream") == 1.0 && fallbacks(&gateway, "answer") == 1.0);
    let without = before(&refusing(), "", &format!("fallback: \"{}\"", refusing()));
    let began = Instant::now();
    assert_eq!(without.get("/").status, 502);
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn what_is_kept_stands_in_out_of_date_before_anything_else() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/a/b" => Answer::ok("kept").header("Cache-Control", "max-age=0"),
        _ => Answer::ok("other"),
    });
    let other = Origin::start(|_| Answer::ok("elsewhere"));
    let yaml = |url: &str| {
        format!(
            "upstreams:\n  up: {{ endpoints: [\"{url}\"], ejection: \"off\" }}\nroutes:\n  /**:\n    to: up\n    retries: 0\n    \
             cache: {{}}\n    fallback: {{ on: [connect, 500], stale: 1h, to: \"{}\", {WRITTEN} }}\n",
            other.url()
        )
    };
    let gateway = Gateway::start(&yaml(&origin.url()));
    assert_eq!(gateway.get("/a/b").text(), "kept");
    drop(origin);
    let stale = gateway.get("/a/b");
    assert_eq!((stale.status, stale.text()), (200, "kept"), "{stale:#?}");
    assert!(stale.header("cache-status").is_some_and(|status| status.contains("ttl=-")), "{stale:#?}");
    wait::until("it is counted", || fallbacks(&gateway, "stale") == 1.0);
    assert_eq!(gateway.get("/never-seen").text(), "elsewhere");
}

#[test]
fn an_answer_that_has_begun_is_not_replaced() {
    let broken = Origin::start(|_| Answer::ok("a".repeat(1_000)).cut_after(500, Ending::Reset));
    let gateway = before(&broken.url(), "", &format!("fallback: {{ {WRITTEN} }}"));
    let mut client = gateway.connect();
    client.send_raw(b"GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_read("GET").is_err(), "half an answer is no answer");
    assert_eq!(fallbacks(&gateway, "answer"), 0.0);
}

#[test]
fn the_log_says_what_stood_in() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let log = folder.path().join("access.log");
    let gateway = Gateway::start(&format!(
        "access_log: {}\nroutes:\n  /**: {{ to: \"{}\", retries: 0, fallback: {{ {WRITTEN} }} }}\n",
        log.display(),
        refusing()
    ));
    stands_in(&gateway, &Request::get("/a/b"));
    let line =
        wait::until_some("there is a line", || std::fs::read_to_string(&log).ok().filter(|text| text.ends_with('\n')));
    let line: serde_json::Value = serde_json::from_str(line.trim()).expect("JSON");
    assert_eq!(
        (&line["status"], &line["fallback"], &line["reason"]),
        (&203.into(), &"answer".into(), &"upstream-refused".into())
    );
}
