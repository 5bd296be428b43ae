//! What goes wrong with services, each in the way it does: refusing, resetting, stalling, slow, flapping, all of them sick.
//! The gateway has its defaults, or what `conf/resilience.yaml` shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;
use crate::support::service::Service;
use crate::support::wait;
use crate::upstream::p99;

/// A gateway before these endpoints.
fn before(urls: &[&str], upstream: &str, route: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up: {{ endpoints: [{}]{upstream} }}\nroutes:\n  /**: {{ to: up{route} }}\n",
        urls.join(", ")
    ))
}

/// How many of so many GETs, one after the other, are answered 200.
fn good(gateway: &Gateway, count: usize) -> usize {
    let mut client = gateway.connect();
    (0..count).filter(|_| client.send(&Request::get("/")).status == 200).count()
}

#[test]
fn an_endpoint_that_refuses_costs_no_request_and_is_left_out() {
    let (down, up) = (format!("http://{}", ports::free()), Origin::echo());
    let gateway = before(&[&down, &up.url()], "", "");
    assert_eq!(good(&gateway, 50), 50);
    assert_eq!(gateway.metric("tollgate_endpoint_ejected", &[&down]), 1.0);
}

#[test]
fn an_answer_that_breaks_off_is_not_passed_off_as_whole_and_its_endpoint_is_left_out() {
    let broken = Origin::start(|_| Answer::ok("a".repeat(1_000)).cut_after(500, Ending::Reset));
    let up = Origin::echo();
    let gateway = before(&[&broken.url(), &up.url()], ", ejection: { after: 3 }", "");
    let mut wholes = 0;
    for _ in 0..30 {
        let mut client = gateway.connect();
        client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        wholes += usize::from(client.try_read("GET").is_ok());
    }
    assert_eq!(30 - wholes, broken.requests().len());
    assert!(broken.requests().len() <= 4, "{} requests went to the broken endpoint", broken.requests().len());
}

#[test]
fn an_endpoint_that_stalls_is_given_up_after_its_part_of_the_time() {
    let stalling = Origin::start(|_| Answer::none(Ending::Stall));
    let up = Origin::echo();
    let retries = ", timeout: 8s, retries: { max: 1, per_try: 150ms, backoff: off }";
    let gateway = before(&[&stalling.url(), &up.url()], ", ejection: { after: 3 }", retries);
    let began = Instant::now();
    assert_eq!(good(&gateway, 40), 40);
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    assert_eq!(stalling.requests().len(), 3, "then it is left out");
}

#[test]
fn an_endpoint_that_comes_and_goes_costs_no_request() {
    let turn = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turn);
    // Ten requests well, ten not, and so on.
    let flapping = Origin::start(move |_| match counted.fetch_add(1, SeqCst) / 10 % 2 {
        0 => Answer::ok("well"),
        _ => Answer::none(Ending::Reset),
    });
    let up = Origin::echo();
    let gateway =
        before(&[&flapping.url(), &up.url()], "", ", retries: { max: 2, on: [connect, reset], backoff: 1ms }");
    assert_eq!(good(&gateway, 100), 100);
    assert!(flapping.requests().len() < 40, "{}", flapping.requests().len());
}

#[test]
fn with_every_endpoint_sick_all_are_still_asked_and_service_resumes_at_once() {
    let sick = Arc::new(AtomicBool::new(true));
    let said = Arc::clone(&sick);
    let script = move |_: &crate::support::origin::Request| Answer::status(if said.load(SeqCst) { 503 } else { 200 });
    let (a, b) = (Origin::start(script.clone()), Origin::start(script));
    let health = ", ejection: off, health: { path: /, interval: 20ms, unhealthy_after: 1 }";
    let gateway = before(&[&a.url(), &b.url()], health, ", retries: 0");
    wait::until("both are found sick", || gateway.metric("tollgate_endpoint_healthy", &[]) == 0.0);
    assert!(gateway.page("/upstreams").text().contains("\"panic\": true"));
    assert_eq!(gateway.get("/").status, 503);
    sick.store(false, SeqCst);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn one_endpoint_of_three_slow_by_fifty_times_does_not_show_with_peak_ewma() {
    let slow = Arc::new(AtomicBool::new(false));
    let origin = |may_be_slow: bool| {
        let (usual, slowly) =
            (Service::new(64, Duration::from_millis(10)), Service::new(64, Duration::from_millis(500)));
        let slow = Arc::clone(&slow);
        Origin::start(move |_| {
            if may_be_slow && slow.load(SeqCst) {
                slowly.serve()
            } else {
                usual.serve()
            }
            Answer::ok("done")
        })
    };
    let origins = [origin(true), origin(false), origin(false)];
    let urls = origins.iter().map(Origin::url).collect::<Vec<_>>();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let gateway = before(&urls, ", balance: peak_ewma", "");
    let healthy = p99(&gateway, 200);
    slow.store(true, SeqCst);
    let sick = p99(&gateway, 300);
    assert!(sick <= healthy * 2, "p99 {sick:?}, healthy {healthy:?}");
}

#[test]
fn a_retry_storm_stays_below_a_fifth_more_than_the_requests() {
    let sick = Origin::start(|_| Answer::status(503));
    let gateway =
        before(&[&sick.url()], ", ejection: off", ", retries: { max: 10, on: [503], backoff: off, budget: 15% }");
    let mut client = gateway.connect();
    (0..400).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 503));
    let attempts = sick.requests().len();
    assert!(attempts > 440 && attempts < 480, "{attempts} attempts for 400 requests");
}

#[test]
fn the_wait_that_an_upstream_asks_for_is_kept_or_the_answer_passed_on() {
    let busy = Origin::start(|_| Answer::status(429).header("Retry-After", "60"));
    let gateway = before(&[&busy.url()], "", ", timeout: 5s, retries: { max: 3, on: [429] }");
    let began = Instant::now();
    let response = gateway.get("/");
    assert_eq!((response.status, response.header("retry-after")), (429, Some("60")));
    assert_eq!(busy.requests().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(4));
    let turn = AtomicUsize::new(0);
    let recovers = Origin::start(move |_| match turn.fetch_add(1, SeqCst) {
        0 => Answer::status(429).header("Retry-After", "1"),
        _ => Answer::ok("fine"),
    });
    let gateway = before(&[&recovers.url()], "", ", timeout: 5s, retries: { max: 3, on: [429], backoff: off }");
    let began = Instant::now();
    assert_eq!(gateway.get("/").status, 200);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn another_endpoint_need_not_wait_for_what_one_asks() {
    let busy = Origin::start(|_| Answer::status(503).header("Retry-After", "60"));
    let up = Origin::echo();
    let gateway = before(&[&busy.url(), &up.url()], ", ejection: off", ", timeout: 5s, retries: { max: 1, on: [503] }");
    assert_eq!(good(&gateway, 10), 10);
}

#[test]
fn a_body_longer_than_is_kept_for_it_is_sent_once() {
    let sick = Origin::start(|_| Answer::status(503));
    let gateway = before(&[&sick.url()], "", ", retries: { max: 1, on: [503], replay: 1KiB, backoff: off }");
    assert_eq!(gateway.send(&Request::new("PUT", "/").body(vec![b'x'; 1_024])).status, 503);
    assert_eq!(sick.requests().len(), 2);
    assert_eq!(gateway.send(&Request::new("PUT", "/").body(vec![b'x'; 1_025])).status, 503);
    assert_eq!(sick.requests().len(), 3);
}

#[test]
fn deadlines_are_told_to_upstreams_and_believed_of_trusted_proxies_only() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/stall" => Answer::none(Ending::Stall),
        _ => Answer::echo(request),
    });
    let yaml = |trusted: &str| {
        format!(
            "{trusted}routes:\n  /**: {{ to: {}, timeout: 6s, retries: 0, deadline_header: X-Request-Deadline }}\n",
            origin.url()
        )
    };
    let millis = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        u64::try_from(since.as_millis()).expect("milliseconds")
    };
    let told = |gateway: &Gateway, header: &str| -> u64 {
        let response = gateway.send(&Request::get("/").header("X-Request-Deadline", header));
        assert_eq!(response.status, 200);
        let requests = origin.requests();
        let told = requests.last().and_then(|request| request.header("x-request-deadline")).expect("a deadline");
        told.parse().expect("milliseconds")
    };
    let stranger = Gateway::start(&yaml(""));
    let now = millis();
    assert!((now + 5_000..now + 8_000).contains(&told(&stranger, "1")), "what a stranger says is dropped");
    let trusted = Gateway::start(&yaml("trusted_proxies: [127.0.0.0/8]\n"));
    let now = millis();
    let soon = told(&trusted, &(now + 3_000).to_string());
    assert!((now + 2_000..=now + 3_001).contains(&soon), "{soon} at {now}");
    assert!((now + 5_000..now + 8_000).contains(&told(&trusted, &(now + 60_000).to_string())));
    let began = Instant::now();
    let late = trusted.send(&Request::get("/stall").header("X-Request-Deadline", &(millis() + 300).to_string()));
    assert_eq!((late.status, late.json()["type"].as_str()), (504, Some("urn:tollgate:problem:deadline")));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(trusted.send(&Request::get("/").header("X-Request-Deadline", "1")).status, 504);
}

#[test]
fn what_a_reload_takes_out_finishes_and_is_shown_until_then() {
    let gate = Gate::default();
    let held = gate.clone();
    let (old, new) = (Origin::start(move |_| Answer::ok("o").chunked().then_wait(&held).body("ld")), Origin::echo());
    let yaml = |url: &str| format!("upstreams:\n  up: {{ endpoints: [{url}] }}\nroutes: {{ /**: {{ to: up }} }}\n");
    let gateway = Gateway::start(&yaml(&old.url()));
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    old.await_requests(1);
    gateway.change(&yaml(&new.url()));
    assert!(gateway.page("/upstreams").text().contains("\"draining\""));
    assert_eq!(gateway.get("/").status, 200);
    gate.open();
    assert_eq!(client.read().text(), "old");
    wait::until("it is gone", || !gateway.page("/upstreams").text().contains("\"draining\""));
}

#[test]
fn the_own_zone_is_preferred_until_it_is_sick() {
    let (near, far) = (Origin::echo(), Origin::echo());
    let yaml = format!(
        "server: {{ threads: 1, zone: a }}\nupstreams:\n  up:\n    endpoints: [{{ url: {}, zone: a }}, {{ url: {}, zone: b }}]\n\
         routes: {{ /**: {{ to: up }} }}\n",
        near.url(),
        far.url()
    );
    let gateway = Gateway::start(&yaml);
    assert_eq!(good(&gateway, 20), 20);
    assert_eq!((near.requests().len(), far.requests().len()), (20, 0));
    drop(near);
    assert_eq!(good(&gateway, 20), 20);
    assert_eq!(far.requests().len(), 20);
}

#[test]
fn the_breaker_of_one_endpoint_leaves_the_other_in_service() {
    let (sick, well) = (Origin::start(|_| Answer::status(503)), Origin::echo());
    let breaker = ", ejection: off, breaker: { per: endpoint, of_at_least: 4, for: 1h }";
    let gateway = before(&[&sick.url(), &well.url()], breaker, ", retries: 0");
    let answered = good(&gateway, 40);
    assert_eq!((answered, sick.requests().len()), (36, 4));
    assert!(gateway.page("/upstreams").text().contains("\"barred\""));
    let alone = before(&[&sick.url()], breaker, ", retries: 0");
    assert_eq!(good(&alone, 4), 0);
    assert_eq!(alone.get("/").json()["type"], "urn:tollgate:problem:breaker-open");
}
