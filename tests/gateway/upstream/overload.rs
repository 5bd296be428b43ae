//! `overload:` and `priority:` over real sockets: a service that is asked for far more than it can do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tollgate::listener::pressure::Pressure;
use tollgate::value::Priority;

use crate::support::client::{Client, Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::service::Service;
use crate::support::wait;

/// A gateway before a service of two workers that take 5 ms, four hundred requests a second.
fn before(settings: &str) -> (Origin, Gateway) {
    let service = Service::new(2, Duration::from_millis(5));
    let origin = Origin::start(move |_| {
        service.serve();
        Answer::ok("done")
    });
    let gateway = Gateway::start(&format!(
        "upstreams:\n  up: {{ endpoints: [{}]{settings} }}\n\
         routes:\n  /pay: {{ to: up, priority: critical }}\n  /shop: {{ to: up }}\n  /crawl: {{ to: up, priority: background }}\n",
        origin.url()
    ));
    (origin, gateway)
}

/// Sends requests one after the other, over one connection while it lasts, until told to stop; refused ones come again
/// after a moment.
fn flood(gateway: &Gateway, target: &str, stop: &AtomicBool, mut seen: impl FnMut(&Response)) {
    let mut client = Client::connect(gateway.address());
    while !stop.load(SeqCst) {
        let response = client.send(&Request::get(target));
        seen(&response);
        if response.status != 200 {
            wait::moment();
        }
    }
}

#[test]
fn the_least_important_are_turned_away_when_a_service_gets_more_than_it_can_do() {
    let (_origin, gateway) = before(", overload: { at_least: 4 }");
    let mut client = gateway.connect();
    (0..500).for_each(|_| assert_eq!(client.send(&Request::get("/shop")).status, 200));
    let (stop, done, refused) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for target in ["/shop", "/crawl"].repeat(12) {
            let (gateway, stop, done, refused) = (&gateway, &stop, &done, &refused);
            scope.spawn(move || {
                flood(gateway, target, stop, |response| match response.status {
                    200 => drop(done.fetch_add(1, SeqCst)),
                    _ => {
                        assert_eq!(response.json()["type"], "urn:tollgate:problem:overloaded");
                        assert_eq!(response.header("retry-after"), Some("1"));
                        refused.fetch_add(1, SeqCst);
                    }
                });
            });
        }
        let shed = |priority: &str| {
            gateway.metric("tollgate_upstream_shed_total", &["upstream=\"up\"", &format!("priority=\"{priority}\"")])
        };
        wait::until("requests are turned away", || shed("background") > 20.0 && shed("normal") > 0.0);
        assert!(gateway.metric("tollgate_upstream_limit", &["upstream=\"up\""]) >= 4.0);
        assert!(gateway.page("/upstreams").text().contains("\"limit\""));
        let before = done.load(SeqCst);
        let mut critical = gateway.connect();
        for n in 0..50 {
            assert_eq!(critical.send(&Request::get("/pay")).status, 200, "the {n}th critical request");
        }
        let others = done.load(SeqCst) - before;
        assert!(others > 20, "{others} other requests were served beside 50 critical ones");
        assert_eq!(shed("critical"), 0.0);
        stop.store(true, SeqCst);
    });
    assert!(refused.load(SeqCst) > 0);
    (0..50).for_each(|_| assert_eq!(client.send(&Request::get("/crawl")).status, 200));
}

#[test]
fn a_service_asked_for_three_times_what_it_can_do_does_it_and_critical_requests_are_unharmed() {
    let service = Service::new(2, Duration::from_millis(20));
    let origin = Origin::start(move |_| {
        service.serve();
        Answer::ok("done")
    });
    // What the gateway itself can do is not the question here.
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 2, overload: off }}\nupstreams:\n  up: {{ endpoints: [{}], overload: {{ at_least: 4 }} }}\n{}",
        origin.url(),
        super::flood::routes("up")
    ));
    let mut client = gateway.connect();
    (0..100).for_each(|_| assert_eq!(client.send(&Request::get("/shop")).status, 200));
    super::flood::flood(&gateway, (80, 120)).assert_good();
}

#[test]
fn a_gateway_whose_work_waits_turns_the_least_important_away_until_it_does_not() {
    let origin = Origin::start(|_| Answer::ok("done"));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up: {{ endpoints: [{}] }}\n{}",
        origin.url(),
        super::flood::routes("up")
    ));
    // The wait is told by hand: long until most of what is critical is turned away, or none until all passes.
    let wait = |span: Duration, goes_on: &dyn Fn(&Pressure) -> bool| {
        gateway.feel(|pressure| {
            while goes_on(pressure) {
                pressure.measured(span, 1_000, Some(Duration::from_millis(200)));
            }
        });
    };
    let long = || wait(Duration::from_secs(1), &|pressure| pressure.admits(Priority::Critical, || 1 << 62));
    for target in ["/crawl", "/shop"] {
        long();
        let refused = gateway.get(target);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{target}");
        assert_eq!(refused.json()["type"], "urn:tollgate:problem:overloaded");
    }
    long();
    wait::until("critical requests pass", || gateway.get("/pay").status == 200);
    assert!(origin.requests().iter().all(|request| request.target == "/pay"));
    let shed = |priority: &str| gateway.metric("tollgate_gateway_shed_total", &[&format!("priority=\"{priority}\"")]);
    assert!(shed("background") >= 1.0 && shed("normal") >= 1.0);
    wait(Duration::ZERO, &|pressure| !pressure.admits(Priority::Background, || u64::MAX));
    (0..20).for_each(|_| assert_eq!(gateway.get("/crawl").status, 200));
}

#[test]
fn without_overload_control_everybody_waits() {
    let (_origin, gateway) = before(", overload: off");
    let mut client = gateway.connect();
    (0..30).for_each(|_| assert_eq!(client.send(&Request::get("/crawl")).status, 200));
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                let mut client = gateway.connect();
                (0..4).for_each(|_| assert_eq!(client.send(&Request::get("/crawl")).status, 200));
            });
        }
    });
}
