//! Copies of requests for another upstream: what is copied, that nobody waits for it, and what answers differ in.

use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;
use crate::support::wait;

/// A gateway that passes on to `main` and mirrors to `copy`, as `mirror` and `route` say.
fn mirroring(main: &Origin, copy: &str, mirror: &str, route: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  main: {{ endpoints: [{}] }}\n  next: {{ endpoints: [{copy}] }}\n\
         routes:\n  /**:\n    to: main\n    mirror: {{ to: next{mirror} }}\n{route}",
        main.url()
    ))
}

fn outcomes(gateway: &Gateway, outcome: &str) -> f64 {
    gateway.metric("tollgate_mirrors_total", &[&format!("outcome=\"{outcome}\"")])
}

#[test]
fn a_copy_is_what_went_up_head_and_body_and_says_what_it_is() {
    let (main, copy) = (Origin::echo(), Origin::echo());
    let gateway =
        mirroring(&main, &copy.url(), "", "    request: { set: { X-Added: \"{method}\" } }\n    rewrite: /v2/{**}\n");
    let sent = Request::post("/orders?a=1", "the body").header("X-Own", "1").header("X-Tollgate-Mirror", "forged");
    let response = gateway.send(&sent);
    // A request that says it is a copy is not copied again, and what a stranger says of it does not reach anyone.
    assert_eq!((response.status, main.only_request().header("x-tollgate-mirror")), (200, None));
    main.forget();
    let response = gateway.send(&Request::post("/orders?a=1", "the body").header("X-Own", "1"));
    assert_eq!(response.json()["body"], "the body");
    copy.await_requests(1);
    let (first, second) = (main.only_request(), copy.only_request());
    assert_eq!((second.method.as_str(), second.target.as_str()), ("POST", "/v2/orders?a=1"));
    assert_eq!(second.body, b"the body");
    assert_eq!(second.header("x-tollgate-mirror"), Some("true"));
    assert_eq!(first.header("x-tollgate-mirror"), None);
    for name in ["x-own", "x-added", "x-request-id", "x-forwarded-for", "traceparent", "via", "content-length"] {
        assert!(first.header(name).is_some(), "{name}");
        assert_eq!(first.headers(name), second.headers(name), "{name}");
    }
    assert_ne!(first.header("host"), second.header("host"), "each has its own");
    wait::until("it is counted", || outcomes(&gateway, "answered") == 1.0);
}

#[test]
fn credentials_go_to_a_copy_as_they_go_to_the_first_and_no_further() {
    let (main, copy) = (Origin::echo(), Origin::echo());
    let start = |forward: &str| {
        Gateway::start(&format!(
            "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\n\
             consumers: {{ acme: {{ keys: [{{ value: the-key-of-acme-for-these-tests, insecure_inline: true }}] }} }}\n\
             routes:\n  /**:\n    auth: {{ any: [keys]{forward} }}\n    to: {}\n    mirror: {}\n",
            main.url(),
            copy.url()
        ))
    };
    for (forward, expected) in [("", None), (", forward_credentials: true", Some("the-key-of-acme-for-these-tests"))] {
        let gateway = start(forward);
        gateway.send(&Request::get("/").header("X-API-Key", "the-key-of-acme-for-these-tests"));
        copy.await_requests(1);
        for origin in [&main, &copy] {
            let request = origin.only_request();
            assert_eq!((request.header("x-api-key"), request.header("x-consumer-id")), (expected, Some("acme")));
            origin.forget();
        }
    }
}

#[test]
fn a_mirror_that_stalls_or_is_gone_delays_no_one_and_the_copies_under_way_are_bounded() {
    let main = Origin::start(|_| Answer::ok("main"));
    let gate = Gate::default();
    let held = gate.clone();
    let stalling = Origin::start(move |_| {
        held.pass();
        Answer::ok("late")
    });
    let gateway = mirroring(&main, &stalling.url(), ", max_in_flight: 3", "");
    let mut client = gateway.connect();
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(client.send(&Request::post("/", "x")).text(), "main");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    gate.await_arrivals(3);
    wait::until("the rest is counted", || outcomes(&gateway, "busy") == 17.0);
    gateway.drain(); // does not wait for them
    gate.open();
    wait::until("the three are over", || outcomes(&gateway, "answered") == 3.0);
    let gone = mirroring(&main, &format!("http://{}", ports::free()), "", "");
    for _ in 0..5 {
        assert_eq!(gone.get("/").text(), "main");
    }
    wait::until("they have failed", || outcomes(&gone, "failed") == 5.0);
    wait::until("all are counted", || gone.metric("tollgate_requests_total", &["status=\"200\""]) == 5.0);
}

#[test]
fn a_copy_that_takes_too_long_is_given_up() {
    let (main, stalling) = (Origin::echo(), Origin::start(|_| Answer::none(Ending::Stall)));
    let gateway = mirroring(&main, &stalling.url(), ", timeout: 100ms", "");
    assert_eq!(gateway.get("/").status, 200);
    wait::until("it is given up", || outcomes(&gateway, "failed") == 1.0);
}

#[test]
fn a_share_of_requests_is_copied() {
    let (main, copy) = (Origin::start(|_| Answer::ok("")), Origin::start(|_| Answer::ok("")));
    let gateway = mirroring(&main, &copy.url(), ", share: 20%, max_in_flight: 1000", "");
    let mut client = gateway.connect();
    (0..1_000).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 200));
    let copied = || outcomes(&gateway, "answered");
    wait::until("a good part is copied", || copied() >= 120.0);
    // More than six standard deviations (12.6) from 200.
    assert!(copied() <= 280.0, "{}", copied());
}

#[test]
fn a_body_over_the_bound_is_not_copied_but_passed_on_whole() {
    let (main, copy) = (Origin::start(|request| Answer::ok(request.body.len().to_string())), Origin::echo());
    let gateway = mirroring(&main, &copy.url(), ", max_body: 1KiB", "");
    assert_eq!(gateway.send(&Request::post("/", vec![b'x'; 1_024])).text(), "1024");
    copy.await_requests(1);
    assert_eq!(gateway.send(&Request::post("/", vec![b'x'; 1_025])).text(), "1025");
    let long = "y".repeat(700);
    assert_eq!(gateway.send(&Request::post("/", "").chunks(&[&long, &long])).text(), "1400");
    wait::until("both are counted", || outcomes(&gateway, "too_large") == 2.0);
    assert_eq!(copy.only_request().body.len(), 1_024);
}

#[test]
fn what_is_tried_again_is_copied_once_and_whole() {
    let sick = Origin::start(|_| Answer::status(503));
    let copy = Origin::echo();
    let gateway = mirroring(&sick, &copy.url(), "", "    retries: { max: 2, on: [503], backoff: off }\n");
    assert_eq!(gateway.send(&Request::new("PUT", "/").body("again")).status, 503);
    assert_eq!(sick.requests().len(), 3);
    wait::until("it is counted", || outcomes(&gateway, "answered") == 1.0);
    assert_eq!(copy.only_request().body, b"again");
}

#[test]
fn streams_are_not_copied() {
    let (main, copy) = (Origin::echo(), Origin::echo());
    let gateway = mirroring(&main, &copy.url(), "", "");
    assert_eq!(gateway.send(&Request::get("/").header("Accept", "text/event-stream")).status, 200);
    assert_eq!(gateway.get("/").status, 200);
    wait::until("the other is counted", || outcomes(&gateway, "answered") == 1.0);
    assert_eq!(copy.requests().len(), 1);
}

#[test]
fn a_mirror_of_a_mirror_ends_where_it_is() {
    // The gateway mirrors to itself: each copy would make another.
    let main = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {} }} }}\n", main.url()));
    let itself = format!("http://{}", gateway.address());
    gateway.change(&format!("routes: {{ /**: {{ to: {}, mirror: \"{itself}\" }} }}\n", main.url()));
    assert_eq!(gateway.get("/").status, 200);
    main.await_requests(2);
    wait::until("the copy is answered", || outcomes(&gateway, "answered") == 1.0);
    assert_eq!(main.requests().len(), 2);
}

#[test]
fn answers_are_compared_and_what_differs_is_counted_by_kind() {
    let json = |body: &'static str| Answer::ok(body).header("Content-Type", "application/json");
    let main = Origin::start(move |request| match request.target.as_str() {
        "/json" => json(r#"{"id":1,"at":"now","items":[1,2]}"#),
        "/long" => json("1").body(format!("[{}1]", "1,".repeat(40_000))),
        _ => json(r#"{"id":1}"#).header("X-Kind", "a").header("Date", "Tue, 24 Nov 2026 00:00:00 GMT"),
    });
    let copy = Origin::start(move |request| match request.target.as_str() {
        "/same" => json(r#"{ "id": 1.0 }"#).header("X-Kind", "a").header("Set-Cookie", "a=1"),
        "/status" => json(r#"{"id":1}"#).header("X-Kind", "a").early(103, &[]).ending(Ending::Close),
        "/headers" => json(r#"{"id":1}"#).header("X-Kind", "b"),
        "/json" => json(r#"{"id":1,"at":"later","items":[1,3]}"#),
        "/long" => json("2"),
        _ => Answer::status(500),
    });
    let gateway = mirroring(&main, &copy.url(), ", compare: [status, headers, json], ignore: [/at]", "");
    let differ = |kind: &str| gateway.metric("tollgate_mirror_differences_total", &[&format!("kind=\"{kind}\"")]);
    for (target, same) in [("/same", 1.0), ("/status", 2.0), ("/long", 3.0)] {
        assert_eq!(gateway.get(target).status, 200);
        wait::until(&format!("{target} is the same"), || outcomes(&gateway, "same") == same);
    }
    assert_eq!((differ("status"), differ("headers"), differ("json")), (0.0, 0.0, 0.0));
    for (target, count, kinds) in
        [("/headers", 1.0, [0.0, 1.0, 0.0]), ("/json", 2.0, [0.0, 1.0, 1.0]), ("/other", 3.0, [1.0, 2.0, 2.0])]
    {
        assert_eq!(gateway.get(target).status, 200);
        wait::until(&format!("{target} differs"), || outcomes(&gateway, "different") == count);
        assert_eq!([differ("status"), differ("headers"), differ("json")], kinds, "{target}");
    }
    // HEAD has no body to compare, and a first answer that never comes is compared with nothing.
    assert_eq!(gateway.send(&Request::new("HEAD", "/same")).status, 200);
    wait::until("the head is the same", || outcomes(&gateway, "same") == 4.0);
    drop(main);
    assert_eq!(gateway.get("/same").status, 502);
}

#[test]
fn a_route_without_a_mirror_next_to_one_with_it_sends_nothing() {
    let (main, copy) = (Origin::echo(), Origin::echo());
    let gateway = Gateway::start(&format!(
        "defaults: {{ mirror: \"{}\" }}\nroutes:\n  /a: {{ to: {main} }}\n  /b: {{ to: {main}, mirror: off }}\n  \
         /c: {{ respond: {{ body: c }} }}\n",
        copy.url(),
        main = main.url()
    ));
    for target in ["/b", "/c", "/a"] {
        assert_eq!(gateway.get(target).status, 200);
    }
    wait::until("the copy is answered", || outcomes(&gateway, "answered") == 1.0);
    assert_eq!(copy.only_request().target, "/a");
}
