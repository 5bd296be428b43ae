//! Trying again: only what is safe, elsewhere, within the deadline and the budget.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;

/// A gateway that retries as `retries` says, with requests going to these in turn.
fn gateway(urls: &[&str], retries: &str) -> Gateway {
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ pool: {{ endpoints: [{}], ejection: \"off\" }} }}\n\
         routes: {{ /**: {{ to: pool, timeout: 5s, retries: {retries} }} }}",
        urls.join(", ")
    ))
}

#[test]
fn a_refused_connection_goes_to_the_other_endpoint_whatever_the_method() {
    let (down, up) = (format!("http://{}", ports::free()), Origin::echo());
    let gateway = gateway(&[&down, &up.url()], "{ max: 1, on: [connect] }");
    let mut client = gateway.connect();
    for n in 0..10 {
        let response = client.send(&Request::post("/", format!("body {n}")));
        assert_eq!((response.status, &response.json()["body"]), (200, &format!("body {n}").into()));
    }
    assert_eq!(up.requests().len(), 10);
}

#[test]
fn a_listed_status_is_retried_for_get_and_never_for_post() {
    let sick = Origin::start(|_| Answer::status(503));
    let well = Origin::echo();
    let gateway = gateway(&[&sick.url(), &well.url()], "{ max: 1, on: [connect, 503] }");
    let mut client = gateway.connect();
    for _ in 0..6 {
        assert_eq!(client.send(&Request::get("/")).status, 200);
    }
    let asked = sick.requests().len();
    assert!(asked > 0, "the sick endpoint was never asked");
    let statuses: Vec<u16> = (0..6).map(|_| client.send(&Request::post("/", "x")).status).collect();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!(refused, sick.requests().len() - asked, "{statuses:?}");
    assert!(refused > 0, "{statuses:?}");
}

#[test]
fn the_body_of_a_put_is_sent_again_whole() {
    let sick = Origin::start(|_| Answer::status(503));
    let well = Origin::start(|request| Answer::ok(request.body.clone()));
    let gateway = gateway(&[&sick.url(), &well.url()], "{ max: 1, on: [503] }");
    let mut client = gateway.connect();
    let body: Vec<u8> = (0..30_000_u32).map(|n| (n % 251) as u8).collect();
    for _ in 0..4 {
        let response = client.send(&Request::new("PUT", "/").body(body.clone()));
        assert!(response.status == 200 && response.body == body, "{} {}", response.status, response.body.len());
    }
    assert!(sick.requests().iter().all(|request| request.body == body));
    assert!(!sick.requests().is_empty());
}

#[test]
fn a_body_too_long_to_replay_is_not_retried_half() {
    let sick = Origin::start(|_| Answer::status(503));
    let well = Origin::start(|request| Answer::ok(request.body.len().to_string()));
    let gateway = gateway(&[&sick.url(), &well.url()], "{ max: 1, on: [503] }");
    let mut client = gateway.connect();
    for _ in 0..4 {
        let response = client.send(&Request::new("PUT", "/").body(vec![b'x'; 200_000]));
        assert!(response.status == 503 || response.text() == "200000", "{response:#?}");
    }
    assert!(well.requests().iter().all(|request| request.body.len() == 200_000));
}

#[test]
fn a_reset_is_retried_where_listed_and_safe() {
    let broken = Origin::start(|_| Answer::none(Ending::Reset));
    let well = Origin::echo();
    let listed = gateway(&[&broken.url(), &well.url()], "{ max: 1, on: [reset] }");
    let mut client = listed.connect();
    (0..6).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 200));
    let statuses: Vec<u16> = (0..4).map(|_| listed.send(&Request::post("/", "x")).status).collect();
    assert!(statuses.contains(&502), "{statuses:?}");
    let unlisted = gateway(&[&broken.url()], "{ max: 3, on: [connect] }");
    let before = broken.requests().len();
    assert_eq!(unlisted.get("/").status, 502);
    assert_eq!(broken.requests().len(), before + 1);
}

#[test]
fn attempts_are_bounded_and_the_last_answer_is_passed_on() {
    let sick = Origin::start(|_| Answer::status(503).body("sorry"));
    let gateway = gateway(&[&sick.url()], "{ max: 2, on: [503] }");
    let response = gateway.get("/");
    assert_eq!((response.status, response.text()), (503, "sorry"));
    assert_eq!(sick.requests().len(), 3);
}

#[test]
fn the_deadline_holds_over_all_attempts() {
    let sick = Origin::start(|_| Answer::none(Ending::Stall));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ pool: {{ endpoints: [{url}], ejection: \"off\", read_timeout: 200ms }} }}\n\
         routes: {{ /**: {{ to: pool, timeout: 500ms, retries: {{ max: 50, on: [timeout] }} }} }}",
        url = sick.url()
    ));
    let began = std::time::Instant::now();
    let response = gateway.get("/");
    assert_eq!(response.status, 504);
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    assert!((2..=4).contains(&sick.requests().len()), "{} attempts", sick.requests().len());
}

#[test]
fn the_budget_keeps_a_failing_service_from_being_buried() {
    let sick = Origin::start(|_| Answer::status(503));
    let gateway = gateway(&[&sick.url()], "{ max: 5, on: [503], budget: 10% }");
    let mut client = gateway.connect();
    (0..100).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 503));
    let retries = sick.requests().len() - 100;
    assert!(retries <= 25, "{retries} retries for 100 requests");
}
