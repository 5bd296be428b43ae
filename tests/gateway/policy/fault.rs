//! `fault:` and `maintenance:` over real sockets.

use crate::support::gateway::Gateway;

#[test]
fn a_share_of_the_requests_is_aborted() {
    let gateway =
        Gateway::start("routes:\n  /a: { respond: { body: a }, fault: { abort: { status: 418, share: 25% } } }\n");
    let mut client = gateway.connect();
    let request = crate::support::client::Request::get("/a");
    let aborted = (0..100).filter(|_| client.send(&request).status == 418).count();
    assert!((22..=28).contains(&aborted), "{aborted}");
}

#[test]
fn a_delayed_request_is_answered_after_its_time() {
    let gateway = Gateway::start("routes:\n  /a: { respond: { body: a }, fault: { delay: { for: 60ms } } }\n");
    let began = std::time::Instant::now();
    assert_eq!(gateway.get("/a").status, 200);
    assert!(began.elapsed().as_millis() >= 60);
}

#[test]
fn a_delay_ends_at_the_deadline_of_the_route() {
    let gateway =
        Gateway::start("routes:\n  /a: { respond: { body: a }, timeout: 50ms, fault: { delay: { for: 1h } } }\n");
    let late = gateway.get("/a");
    assert_eq!((late.status, &late.json()["type"]), (504, &"urn:tollgate:problem:deadline".into()));
}

#[test]
fn maintenance_answers_before_anything_else() {
    let gateway = Gateway::start(
        "routes:\n  /a: { respond: { body: a }, limit: 1/h, maintenance: Back at six. }\n  \
         /b: { respond: { body: b }, maintenance: { retry_after: 2h } }\n",
    );
    for _ in 0..3 {
        let away = gateway.get("/a");
        assert_eq!((away.status, away.header("retry-after")), (503, Some("60")));
        assert_eq!(away.json()["detail"], "Back at six.");
    }
    assert_eq!(gateway.get("/b").header("retry-after"), Some("7200"));
}
