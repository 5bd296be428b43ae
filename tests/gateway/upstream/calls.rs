//! Routes whose answer is made out of the gateway's own calls to upstreams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use tollgate::exchange::call::{Backoff, Call, CallBody, Callee, Retries, RetryCause};
use tollgate::exchange::{Answer, Answering, Exchange, Incoming};
use tollgate::reply::Fixed;

use crate::support::client::h2::Client as H2Client;
use crate::support::client::{Identified, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::h2::{Answer as H2Answer, Origin as H2Origin};
use crate::support::origin::{Answer as Said, Ending, Origin};
use crate::support::tls::{Authority, H2};
use crate::support::wait;

/// Passes request and answer through a call, as they come.
struct Relay {
    to: Callee,
    retries: Arc<Retries>,
}

impl Exchange for Relay {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(async move {
            let Incoming { method, path, query, headers, body, origin, calls, .. } = request;
            let target = match query {
                Some(query) => format!("{path}?{query}"),
                None => path.into(),
            };
            let target = PathAndQuery::try_from(target).expect("a target");
            let body = match method {
                Method::GET | Method::HEAD => CallBody::None,
                _ => CallBody::stream(None, Box::new(body)),
            };
            let call = Call {
                body,
                retries: Arc::clone(&self.retries),
                ..Call::new(self.to.clone(), method, target, headers)
            };
            let answer = calls.send(call, &origin).await?;
            Ok(Answer::Stream { status: answer.status, headers: answer.headers, body: Box::new(answer.body) })
        })
    }

    fn describe(&self) -> Vec<String> {
        vec!["relays".into()]
    }
}

/// Reads the whole body, asks twice at once, and answers with all of it.
struct Join(Callee);

impl Exchange for Join {
    fn answer(self: Arc<Self>, mut request: Incoming) -> Answering {
        Box::pin(async move {
            let body = request.body.whole(1 << 24).await?;
            let call = |path| Call::new(self.0.clone(), Method::GET, PathAndQuery::from_static(path), HeaderMap::new());
            let (one, two) = futures_util::future::join(
                request.calls.send(call("/one"), &request.origin),
                request.calls.send(call("/two"), &request.origin),
            )
            .await;
            let (one, _) = one?.body.collect(64).await?;
            let (two, _) = two?.body.collect(64).await?;
            let text = format!("{} {} {}", String::from_utf8_lossy(&one), String::from_utf8_lossy(&two), body.len());
            Ok(Answer::Whole(Fixed { status: StatusCode::OK, fields: Vec::new(), body: Bytes::from(text) }))
        })
    }

    fn describe(&self) -> Vec<String> {
        vec!["joins".into()]
    }
}

/// Reads the whole body and sends it in one call.
struct Resend {
    to: Callee,
    retries: Arc<Retries>,
}

impl Exchange for Resend {
    fn answer(self: Arc<Self>, mut request: Incoming) -> Answering {
        Box::pin(async move {
            let body = CallBody::Whole(request.body.whole(1 << 20).await?);
            let (method, target) = (Method::PUT, PathAndQuery::from_static("/"));
            let call = Call {
                body,
                retries: Arc::clone(&self.retries),
                ..Call::new(self.to.clone(), method, target, HeaderMap::new())
            };
            let answer = request.calls.send(call, &request.origin).await?;
            Ok(Answer::Stream { status: answer.status, headers: answer.headers, body: Box::new(answer.body) })
        })
    }

    fn describe(&self) -> Vec<String> {
        vec!["sends again".into()]
    }
}

fn relay(to: Callee) -> Arc<dyn Exchange> {
    Arc::new(Relay { to, retries: Arc::default() })
}

fn retrying(to: Callee) -> Arc<dyn Exchange> {
    let on = vec![RetryCause::Connect, RetryCause::Reset, RetryCause::Status(503)];
    Arc::new(Relay { to, retries: Arc::new(Retries { max: 2, on, budget: 0.2, ..Retries::default() }) })
}

fn route(url: &str) -> String {
    format!("routes: {{ /**: {{ to: {url}, timeout: 5s, body_limit: 2MiB }} }}")
}

#[test]
fn a_call_says_who_it_is_made_for_and_nothing_of_the_connection() {
    let origin = Origin::echo();
    let gateway = Gateway::exchanging(&route(&origin.url()), relay);
    let request = Request::get("/a?b=c")
        .header("Connection", "X-Hop")
        .header("X-Hop", "1")
        .header("X-Forwarded-For", "6.6.6.6")
        .header("X-Consumer-Id", "forged")
        .header("TE", "trailers")
        .header("X-End", "2");
    let response = gateway.send(&request);
    assert_eq!(response.status, 200);
    let seen = origin.only_request();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/a?b=c"));
    for name in ["x-hop", "connection", "te", "x-consumer-id"] {
        assert_eq!(seen.header(name), None, "{name}");
    }
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("via"), Some("1.1 tollgate"));
    assert_eq!(seen.header("x-end"), Some("2"));
    assert_eq!(seen.header("host"), Some(origin.address().to_string().as_str()));
    assert_eq!(seen.header("x-request-id"), response.header("x-request-id"));
    assert!(seen.header("traceparent").is_some());
    assert!(origin.errors().is_empty(), "{:?}", origin.errors());
}

#[test]
fn bodies_of_any_framing_pass_both_ways_and_connections_are_kept() {
    let origin = Origin::start(|request| Said::ok(request.body.clone()).chunked());
    let gateway = Gateway::exchanging(&route(&origin.url()), relay);
    let mut client = gateway.connect();
    let long = vec![b'x'; 1_500_000];
    for body in [&b""[..], b"short", &long] {
        let response = client.send(&Request::post("/", body));
        assert_eq!((response.status, response.body.len()), (200, body.len()));
    }
    let response = client.send(&Request::new("POST", "/").chunks(&["one ", "two ", "three"]));
    assert_eq!(response.text(), "one two three");
    assert_eq!(origin.connections(), 1);
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"answered\""], 4.0);
    assert!(origin.errors().is_empty(), "{:?}", origin.errors());
}

#[test]
fn a_whole_body_of_more_than_pingoras_replay_is_read_and_calls_run_side_by_side() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |request| Said::ok("").then_wait(&held).body(request.target.clone()).chunked());
    let gateway = Gateway::exchanging(&route(&origin.url()), |to| Arc::new(Join(to)));
    let mut client = gateway.connect();
    client.send_raw(&Request::post("/", vec![b'x'; 300_000]).bytes("a"));
    gate.await_arrivals(2);
    gate.open();
    assert_eq!(client.read().text(), "/one /two 300000");
    let spent = gateway.metric("tollgate_upstream_attempts_total", &["outcome=\"answered\""]);
    assert!(spent <= 2.0);
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"answered\""], 2.0);
}

#[test]
fn the_limit_of_the_body_holds_while_the_exchange_reads() {
    let origin = Origin::echo();
    let gateway = Gateway::exchanging(&route(&origin.url()), |to| Arc::new(Join(to)));
    let piece = "x".repeat(1_000_000);
    let response = gateway.send(&Request::new("POST", "/").chunks(&[&piece, &piece, &piece]));
    assert_eq!(response.status, 413);
    assert_eq!(response.json()["type"], "urn:tollgate:problem:body-too-large");
    assert!(origin.requests().is_empty());
}

#[test]
fn a_client_that_waits_for_leave_is_given_it_when_the_body_is_wanted() {
    let origin = Origin::start(|_| Said::ok("well"));
    let gateway = Gateway::exchanging(&route(&origin.url()), |to| Arc::new(Join(to)));
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let (status, _) = client.read_head();
    assert_eq!(status, 100);
    client.send_raw(b"abc");
    assert_eq!(client.read().status, 200);
}

#[test]
fn a_client_that_leaves_ends_the_call() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Said::ok("").then_wait(&held).body("late").chunked());
    let gateway = Gateway::exchanging(&route(&origin.url()), relay);
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").bytes("a"));
    gate.await_arrivals(1);
    drop(client);
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"abandoned\""], 1.0);
    gateway.await_metric("tollgate_requests_total", &["status=\"499\""], 1.0);
    gate.open();
}

#[test]
fn an_answer_that_breaks_off_is_not_completed() {
    let origin =
        Origin::start(|_| Said::raw(*b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234").ending(Ending::Close));
    let gateway = Gateway::exchanging(&route(&origin.url()), relay);
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").bytes("a"));
    client.try_read("GET").expect_err("an answer cut short");
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"reset\""], 1.0);
}

#[test]
fn failures_are_the_same_refusals_as_those_of_the_proxy() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/none" => Said::none(Ending::Close),
        "/garbage" => Said::raw(*b"hello\r\n\r\n"),
        "/coded" => Said::raw(*b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        "/switch" => Said::raw(*b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        _ => Said::none(Ending::Stall),
    });
    let yaml = format!("routes: {{ /**: {{ to: {}, timeout: 400ms }} }}", origin.url());
    let gateway = Gateway::exchanging(&yaml, relay);
    for (target, status, reason) in [
        ("/none", 502, "upstream-reset"),
        ("/garbage", 502, "upstream-invalid"),
        ("/coded", 502, "upstream-invalid"),
        ("/switch", 502, "upstream-invalid"),
        ("/stall", 504, "deadline"),
    ] {
        let reply = gateway.get(target);
        let kind = format!("urn:tollgate:problem:{reason}");
        assert_eq!((reply.status, &reply.json()["type"]), (status, &kind.into()), "{target}");
    }
    let refusing = Gateway::exchanging(&route("http://127.0.0.1:1"), relay);
    assert_eq!(refusing.get("/").json()["type"], "urn:tollgate:problem:upstream-refused");
}

#[test]
fn another_endpoint_is_tried_within_the_budget_and_only_where_it_is_safe() {
    let sick = Origin::start(|_| Said::status(503));
    let well = Origin::start(|_| Said::ok("well"));
    let yaml = format!("routes: {{ /**: {{ to: [{}, {}, http://127.0.0.1:1] }} }}", sick.url(), well.url());
    let gateway = Gateway::exchanging(&yaml, retrying);
    for _ in 0..4 {
        assert_eq!(gateway.get("/").text(), "well");
    }
    let unsafe_ones: Vec<u16> = (0..6).map(|_| gateway.send(&Request::post("/", "x")).status).collect();
    assert!(unsafe_ones.contains(&503), "{unsafe_ones:?}");
    assert!(!unsafe_ones.contains(&502), "a refused connection is safe to try elsewhere: {unsafe_ones:?}");
}

#[test]
fn http_2_and_tls_upstreams_answer_with_trailers() {
    let authority = Authority::new();
    let identity = authority.server("origin", &["localhost"]);
    let trailers = vec![("grpc-status".to_owned(), "0".to_owned())];
    let answer = H2Answer { body: b"two".to_vec(), trailers, ..H2Answer::default() };
    let (plain, secure) = (answer.clone(), answer);
    let plain = H2Origin::start(move |_| plain.clone());
    let secure = H2Origin::start_tls(authority.acceptor(&identity, H2), move |_| secure.clone());
    let yaml = format!(
        "listeners: {{ clear: {{ address: 127.0.0.1:0, protocols: [h2c, h1] }} }}\nupstreams:\n  secure: {{ endpoints: [\"h2://localhost:{}\"], tls: {{ ca: {} }} }}\nroutes:\n  /plain/**: {{ to: \"h2c://{}\" }}\n  /secure/**: {{ to: secure }}\n",
        secure.address().port(),
        authority.certificate().display(),
        plain.address(),
    );
    let gateway = Gateway::exchanging(&yaml, relay);
    let mut client = H2Client::connect(gateway.listener("clear"));
    for target in ["/plain/x", "/secure/x"] {
        for method in ["GET", "POST"] {
            let response = client.send(&Request::new(method, target).body(if method == "GET" { "" } else { "body" }));
            assert_eq!((response.status, response.text()), (200, "two"), "{target}");
            let status = response.trailers.iter().find(|(name, _)| name == "grpc-status");
            assert_eq!(status.map(|(_, value)| value.as_str()), Some("0"), "{target}");
        }
        let mut plain_client = gateway.connect();
        assert_eq!(plain_client.send(&Request::get(target)).text(), "two");
    }
    let seen = plain.requests();
    assert_eq!(seen.iter().filter(|request| request.body == b"body").count(), 1);
    // Connections are kept by worker, and there are two.
    assert!(plain.connections() <= 2 && secure.connections() <= 2);
}

#[test]
fn heads_and_empty_answers_end_with_the_head() {
    let origin = Origin::start(|request| match request.method.as_str() {
        "HEAD" => Said::raw(*b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        _ => Said::status(204),
    });
    let gateway = Gateway::exchanging(&route(&origin.url()), relay);
    let mut client = gateway.connect();
    client.send_raw(&Request::new("HEAD", "/").bytes("a"));
    let response = client.read_for("HEAD", Identified::Required);
    assert_eq!((response.status, response.header("content-length")), (200, Some("5")));
    assert_eq!(client.send(&Request::get("/")).status, 204);
    wait::until("the connections settle", || origin.errors().is_empty());
}

/// A gateway whose calls go to these endpoints, with these retries.
fn calling(urls: &[&str], retries: Retries) -> Gateway {
    let yaml = format!(
        "server: {{ threads: 1 }}\nupstreams: {{ up: {{ endpoints: [{}], ejection: off }} }}\nroutes: {{ /**: {{ to: up, timeout: 6s }} }}",
        urls.join(", ")
    );
    Gateway::exchanging(&yaml, move |to| Arc::new(Relay { to, retries: Arc::new(retries.clone()) }))
}

#[test]
fn a_call_that_stalls_is_given_up_after_its_part_of_the_time_and_made_elsewhere() {
    let (stalling, up) = (Origin::start(|_| Said::none(Ending::Stall)), Origin::echo());
    let retries = Retries {
        max: 1,
        on: vec![RetryCause::Timeout],
        budget: 1.0,
        per_try: Some(Duration::from_millis(150)),
        ..Retries::default()
    };
    let gateway = calling(&[&stalling.url(), &up.url()], retries);
    let began = Instant::now();
    assert_eq!([(); 4].map(|()| gateway.get("/").status), [200; 4]);
    // Each of the stalls alone would have taken all of the six seconds.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!stalling.requests().is_empty());
}

#[test]
fn a_call_keeps_the_wait_that_the_upstream_asks_for_and_begins_none_that_does_not_end_in_time() {
    let retries = Retries { max: 3, on: vec![RetryCause::Status(429)], budget: 1.0, ..Retries::default() };
    let busy = Origin::start(|_| Said::status(429).header("Retry-After", "60"));
    let response = calling(&[&busy.url()], retries.clone()).get("/");
    assert_eq!((response.status, response.header("retry-after")), (429, Some("60")));
    assert_eq!(busy.requests().len(), 1);
    let turn = AtomicUsize::new(0);
    let recovers = Origin::start(move |_| match turn.fetch_add(1, SeqCst) {
        0 => Said::status(429).header("Retry-After", "1"),
        _ => Said::ok("fine"),
    });
    let began = Instant::now();
    assert_eq!(calling(&[&recovers.url()], retries).get("/").status, 200);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn calls_wait_before_they_are_made_again_and_not_where_another_endpoint_was_not_reached() {
    let longest = Duration::from_secs(3_600);
    let retries = |on: RetryCause| {
        let backoff = Some(Backoff { first: longest, longest });
        Retries { max: 1, on: vec![on], budget: 1.0, backoff, ..Retries::default() }
    };
    // An hour, drawn at random, is beyond the deadline all but once in 600 times: the answer is passed on.
    let sick = Origin::start(|_| Said::status(503));
    let gateway = calling(&[&sick.url()], retries(RetryCause::Status(503)));
    assert_eq!([(); 3].map(|()| gateway.get("/").status), [503; 3]);
    assert!(sick.requests().len() <= 4, "{}", sick.requests().len());
    let (down, up) = (format!("http://{}", crate::support::ports::free()), Origin::echo());
    let gateway = calling(&[&down, &up.url()], retries(RetryCause::Connect));
    assert_eq!([(); 4].map(|()| gateway.get("/").status), [200; 4]);
}

#[test]
fn a_call_with_a_longer_body_than_is_kept_for_it_is_made_once() {
    let sick = Origin::start(|_| Said::status(503));
    let retries =
        Retries { max: 1, on: vec![RetryCause::Status(503)], budget: 1.0, replay: 1_024, ..Retries::default() };
    let gateway =
        Gateway::exchanging(&route(&sick.url()), move |to| Arc::new(Resend { to, retries: Arc::new(retries.clone()) }));
    assert_eq!(gateway.send(&Request::post("/", vec![b'x'; 1_024])).status, 503);
    assert_eq!(sick.requests().len(), 2);
    assert_eq!(gateway.send(&Request::post("/", vec![b'x'; 1_025])).status, 503);
    assert_eq!(sick.requests().len(), 3);
}
