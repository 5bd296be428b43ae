//! A second attempt beside a first one that takes long: who wins, what becomes of the other, and what it may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::client::{self, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;
use crate::support::service::Service;
use crate::support::wait;
use crate::upstream::p99;

/// A gateway before these endpoints, with more settings of the route.
fn before(urls: &[&str], route: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up: {{ endpoints: [{}], ejection: \"off\" }}\n\
         routes:\n  /**: {{ to: up, {route} }}\n",
        urls.join(", ")
    ))
}

/// Two endpoints with one script, which is told the number of the attempt and the gate; and the number of attempts.
fn pair(script: impl Fn(usize, &Gate) -> Answer + Send + Sync + 'static) -> ([Origin; 2], Gate, Arc<AtomicUsize>) {
    let (count, script, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(script), Gate::default());
    let origin = || {
        let (count, script, gate) = (Arc::clone(&count), Arc::clone(&script), gate.clone());
        Origin::start(move |_| script(count.fetch_add(1, SeqCst), &gate))
    };
    ([origin(), origin()], gate, count)
}

fn urls(origins: &[Origin; 2]) -> [String; 2] {
    [origins[0].url(), origins[1].url()]
}

fn hedging(origins: &[Origin; 2], route: &str) -> Gateway {
    let [one, two] = urls(origins);
    before(&[&one, &two], route)
}

fn asked(origins: &[Origin; 2]) -> usize {
    origins[0].requests().len() + origins[1].requests().len()
}

/// Asks from a thread of its own; the answer's text.
fn asking(gateway: &Gateway) -> JoinHandle<String> {
    let address = gateway.address();
    std::thread::spawn(move || client::send(address, &Request::get("/")).text().to_owned())
}

fn hedges(gateway: &Gateway, outcome: &str) -> f64 {
    gateway.metric("tollgate_hedges_total", &[&format!("outcome=\"{outcome}\"")])
}

#[test]
fn the_second_attempt_wins_over_one_that_stalls_which_is_given_up() {
    let (origins, ..) = pair(|attempt, _| match attempt {
        0 => Answer::none(Ending::Stall),
        _ => Answer::ok("second"),
    });
    let gateway = hedging(&origins, "hedge: 500ms");
    let began = Instant::now();
    let response = gateway.get("/");
    assert_eq!((response.status, response.text()), (200, "second"));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!((origins[0].requests().len(), origins[1].requests().len()), (1, 1), "at another endpoint");
    wait::until("it is counted", || hedges(&gateway, "won") == 1.0);
    wait::until("the first is given up", || {
        gateway.metric("tollgate_upstream_attempts_total", &["outcome=\"abandoned\""]) == 1.0
    });
    wait::until("nothing is under way", || gateway.metric("tollgate_upstream_in_flight", &["up"]) == 0.0);
}

#[test]
fn the_first_attempt_wins_where_it_answers_first() {
    let (origins, gate, count) = pair(|attempt, gate| {
        if attempt > 0 {
            return Answer::none(Ending::Stall);
        }
        gate.pass();
        Answer::ok("first")
    });
    let gateway = hedging(&origins, "hedge: { after: 500ms }");
    let asking = asking(&gateway);
    wait::until("both are asked", || count.load(SeqCst) == 2);
    gate.open();
    assert_eq!(asking.join().expect("an answer"), "first");
    wait::until("it is counted", || hedges(&gateway, "lost") == 1.0);
}

#[test]
fn a_fast_answer_is_not_hedged_and_an_error_does_not_win() {
    let (origins, gate, count) = pair(|attempt, gate| match attempt {
        0 => Answer::ok("fast"),
        1 => {
            gate.pass();
            Answer::ok("slow but right")
        }
        _ => Answer::status(503),
    });
    let gateway = hedging(&origins, "retries: 0, hedge: 500ms");
    assert_eq!(gateway.get("/").text(), "fast");
    let asking = asking(&gateway);
    wait::until("the second is asked", || count.load(SeqCst) == 3);
    gate.open();
    assert_eq!(asking.join().expect("an answer"), "slow but right");
    wait::until("it is counted", || hedges(&gateway, "lost") == 1.0);
    assert_eq!(hedges(&gateway, "won"), 0.0);
}

#[test]
fn what_must_not_be_done_twice_is_asked_once() {
    let (origins, ..) = pair(|_, _| Answer::none(Ending::Stall));
    let gateway = hedging(&origins, "timeout: 400ms, retries: 0, hedge: 20ms");
    for (count, request) in [
        Request::post("/", "an order"),
        Request::new("PATCH", "/").body("a change"),
        Request::new("PUT", "/").body(vec![b'x'; 65_537]),
        Request::new("PUT", "/").chunks(&["of unknown length"]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(gateway.send(&request).status, 504);
        assert_eq!(asked(&origins), count + 1);
    }
    assert_eq!(hedges(&gateway, ""), 0.0);
}

#[test]
fn a_body_goes_to_both_whole() {
    let (origins, ..) = pair(|attempt, _| match attempt {
        0 => Answer::none(Ending::Stall),
        _ => Answer::ok("stored"),
    });
    let gateway = hedging(&origins, "hedge: 30ms");
    assert_eq!(gateway.send(&Request::new("PUT", "/thing").body("the whole body")).text(), "stored");
    for origin in &origins {
        let request = origin.only_request();
        assert_eq!((request.target.as_str(), &*request.body), ("/thing", &b"the whole body"[..]));
    }
}

#[test]
fn second_attempts_are_taken_from_the_budget_of_retries() {
    let (origins, ..) = pair(|_, _| {
        Service::new(8, Duration::from_millis(60)).serve();
        Answer::ok("slow")
    });
    let gateway = hedging(&origins, "retries: { max: 0, budget: 0% }, hedge: 10ms");
    let mut client = gateway.connect();
    (0..20).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 200));
    wait::until("all is counted", || hedges(&gateway, "over_budget") >= 5.0);
    let made = hedges(&gateway, "won") + hedges(&gateway, "lost");
    // Ten in each span of the budget, which may begin once meanwhile.
    assert!((1.0..=20.0).contains(&made) && made + hedges(&gateway, "over_budget") == 20.0, "{made}");
    assert!(asked(&origins) <= 20 + made as usize);
}

#[test]
fn with_one_endpoint_there_is_nobody_else_to_ask() {
    let slow = Origin::start(|_| {
        Service::new(8, Duration::from_millis(60)).serve();
        Answer::ok("alone")
    });
    let gateway = before(&[&slow.url()], "hedge: 10ms");
    assert_eq!(gateway.get("/").text(), "alone");
    wait::until("it is counted", || hedges(&gateway, "alone") == 1.0);
    assert_eq!(slow.requests().len(), 1);
}

#[test]
fn a_percentile_is_learnt_and_then_what_takes_longer_is_hedged() {
    let (origins, ..) = pair(|attempt, _| match attempt {
        // Nothing is known yet.
        5 => {
            Service::new(8, Duration::from_millis(150)).serve();
            Answer::ok("slow")
        }
        // Some of them first attempts, some second ones.
        _ if attempt > 100 && attempt % 7 == 0 => Answer::none(Ending::Stall),
        _ => Answer::ok("fast"),
    });
    let gateway = hedging(&origins, "retries: { budget: 100% }, hedge: p95");
    let mut client = gateway.connect();
    let mut answers: Vec<String> = (0..40).map(|_| client.send(&Request::get("/")).text().to_owned()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "slow").count(), 1, "too little is known to hedge");
    while asked(&origins) < 180 {
        answers.push(client.send(&Request::get("/")).text().to_owned());
    }
    assert!(answers.iter().skip(40).all(|answer| answer == "fast"));
    wait::until("it is counted", || hedges(&gateway, "won") >= 1.0);
}

#[test]
fn policies_do_what_they_do_without_a_hedge() {
    let other = Origin::echo();
    let gateway = before(
        &[&other.url()],
        "hedge: 1s, preserve_host: true, rewrite: \"/v2/{**}\", \
         request: { set: { X-Up: \"{method}\" } }, response: { set: { X-Down: \"{status}\" } }",
    );
    let response =
        gateway.send(&Request::new("PUT", "/a/b?c=d").body("body").header("Connection", "X-Hop").header("X-Hop", "1"));
    assert_eq!((response.status, response.header("x-down")), (200, Some("200")));
    assert!(response.header("x-request-id").is_some());
    let request = other.only_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/v2/a/b?c=d"));
    assert_eq!((request.header("x-up"), request.header("x-hop")), (Some("PUT"), None));
    assert_eq!(request.header("host"), Some(gateway.address().to_string().as_str()));
    assert!(request.header("x-forwarded-for").is_some() && request.headers("via").len() == 1);
    let head = gateway.send(&Request::new("HEAD", "/"));
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn a_hedged_route_falls_back_and_mirrors_as_any_other() {
    let (spare, copy) = (Origin::start(|_| Answer::ok("spare")), Origin::echo());
    let sick = Origin::start(|_| Answer::status(503));
    let refusing = format!("http://{}", ports::free());
    let gateway = |url: &str, fallback: &str| {
        before(&[url], &format!("retries: 0, hedge: 1s, mirror: \"{}\", fallback: {fallback}", copy.url()))
    };
    let to = format!("{{ on: [connect, 503], to: \"{}\" }}", spare.url());
    for url in [&refusing, &sick.url()] {
        let gateway = gateway(url, &to);
        assert_eq!(gateway.get("/x").text(), "spare");
        wait::until("it is counted", || gateway.metric("tollgate_fallbacks_total", &["kind=\"upstream\""]) == 1.0);
        let written =
            self::before(&[url], "retries: 0, hedge: 1s, fallback: { on: [connect, 503], respond: { status: 203 } }");
        assert_eq!(written.get("/x").status, 203);
    }
    copy.await_requests(2);
}

#[test]
fn nobody_can_have_removed_what_is_told_of_them() {
    let (main, copy) = (Origin::echo(), Origin::echo());
    let gateway = before(&[&main.url()], &format!("hedge: 1s, mirror: \"{}\"", copy.url()));
    let nominated = "X-Forwarded-For, X-Request-Id, X-Tollgate-Mirror, X-Own";
    let request =
        Request::get("/").header("Connection", nominated).header("X-Own", "1").header("X_Tollgate_Mirror", "true");
    assert_eq!(gateway.send(&request).status, 200);
    copy.await_requests(1);
    for (origin, mark) in [(&main, None), (&copy, Some("true"))] {
        let request = origin.only_request();
        assert!(request.header("x-forwarded-for").is_some() && request.header("x-request-id").is_some());
        assert_eq!((request.header("x-own"), request.header("x_tollgate_mirror")), (None, None));
        assert_eq!(request.header("x-tollgate-mirror"), mark);
    }
}

#[test]
fn one_endpoint_of_three_slow_by_fifty_times_does_not_show_with_hedging() {
    let slow = Arc::new(std::sync::atomic::AtomicBool::new(false));
    // Usually 20 ms, now and then 60.
    let origin = |may_be_slow: bool| {
        let (slow, turn) = (Arc::clone(&slow), AtomicUsize::new(0));
        let service = |millis| Service::new(64, Duration::from_millis(millis));
        let (usual, longer, slowly) = (service(20), service(60), service(1_000));
        Origin::start(move |_| {
            match turn.fetch_add(1, SeqCst) % 16 {
                _ if may_be_slow && slow.load(SeqCst) => slowly.serve(),
                15 => longer.serve(),
                _ => usual.serve(),
            }
            Answer::ok("done")
        })
    };
    let origins = [origin(true), origin(false), origin(false)];
    let urls: Vec<String> = origins.iter().map(Origin::url).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let gateway = before(&urls, "retries: { budget: 60% }, hedge: 35ms");
    let healthy = p99(&gateway, 150);
    slow.store(true, SeqCst);
    let sick = p99(&gateway, 200);
    assert!(sick <= healthy * 2, "p99 {sick:?}, healthy {healthy:?}");
    assert!(hedges(&gateway, "won") >= 50.0);
}
