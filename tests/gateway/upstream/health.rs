//! Leaving out what is sick: by checks, by failing requests; and serving anyway when all are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::wait::until;

/// An upstream that answers its own name, and its checks as the switch says.
fn switched(name: &'static str, well: &Arc<AtomicBool>) -> Origin {
    let well = Arc::clone(well);
    Origin::start(move |request| match request.target.as_str() {
        "/healthz" if !well.load(Ordering::SeqCst) => Answer::status(500),
        _ => Answer::ok(name),
    })
}

/// What `/upstreams` says of the endpoint at `position` of the only upstream.
fn state(gateway: &Gateway, position: usize) -> String {
    gateway.page("/upstreams").json()[0]["endpoints"][position]["state"].as_str().unwrap_or_default().to_owned()
}

const CHECK: &str = "health: { path: /healthz, interval: 20ms, healthy_after: 1, unhealthy_after: 1 }";

#[test]
fn checks_take_an_endpoint_out_and_bring_it_back() {
    let (first, second) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let origins = [switched("one", &first), switched("two", &second)];
    let gateway = Gateway::start(&format!(
        "upstreams: {{ pool: {{ endpoints: [{}, {}], {CHECK} }} }}\nroutes: {{ /**: {{ to: pool }} }}",
        origins[0].url(),
        origins[1].url()
    ));
    until("both are healthy", || state(&gateway, 0) == "healthy" && state(&gateway, 1) == "healthy");
    first.store(false, Ordering::SeqCst);
    until("the first is out", || state(&gateway, 0) == "unhealthy");
    let mut client = gateway.connect();
    (0..10).for_each(|_| assert_eq!(client.send(&Request::get("/")).text(), "two"));
    assert_eq!(gateway.metric("tollgate_endpoint_healthy", &[]), 1.0);
    first.store(true, Ordering::SeqCst);
    until("the first is back", || client.send(&Request::get("/")).text() == "one");
}

#[test]
fn when_all_are_sick_all_are_used() {
    let sick = Arc::new(AtomicBool::new(false));
    let origins = [switched("one", &sick), switched("two", &sick)];
    let gateway = Gateway::start(&format!(
        "upstreams: {{ pool: {{ endpoints: [{}, {}], {CHECK} }} }}\nroutes: {{ /**: {{ to: pool }} }}",
        origins[0].url(),
        origins[1].url()
    ));
    until("both are out", || state(&gateway, 0) == "unhealthy" && state(&gateway, 1) == "unhealthy");
    assert_eq!(gateway.page("/upstreams").json()[0]["panic"], true);
    let mut client = gateway.connect();
    let mut seen: Vec<String> = (0..10).map(|_| client.send(&Request::get("/")).text().to_owned()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, ["one", "two"]);
}

#[test]
fn failing_requests_eject_an_endpoint() {
    let broken = Origin::start(|_| Answer::none(Ending::Reset));
    let well = Origin::echo();
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ pool: {{ endpoints: [{}, {}], ejection: {{ after: 3, for: 60s }} }} }}\n\
         routes: {{ /**: {{ to: pool }} }}",
        broken.url(),
        well.url()
    ));
    until("the broken one is ejected", || {
        gateway.get("/");
        state(&gateway, 0) == "ejected"
    });
    let asked = broken.requests().len();
    (0..20).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert_eq!(broken.requests().len(), asked);
    assert_eq!(gateway.metric("tollgate_endpoint_ejected", &[]), 1.0);
}

#[test]
fn an_ejected_endpoint_comes_back_after_its_time() {
    let well = Arc::new(AtomicBool::new(false));
    let recovering = Origin::start({
        let well = Arc::clone(&well);
        move |_| if well.load(Ordering::SeqCst) { Answer::ok("back") } else { Answer::none(Ending::Reset) }
    });
    let other = Origin::start(|_| Answer::ok("other"));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ pool: {{ endpoints: [{}, {}], ejection: {{ after: 1, for: 200ms }} }} }}\n\
         routes: {{ /**: {{ to: pool }} }}",
        recovering.url(),
        other.url()
    ));
    until("it is ejected", || {
        gateway.get("/");
        state(&gateway, 0) == "ejected"
    });
    well.store(true, Ordering::SeqCst);
    until("it serves again", || gateway.get("/").text() == "back");
}

#[test]
fn a_single_failing_endpoint_is_still_asked() {
    let origin = Origin::start(|_| Answer::status(503));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ pool: {{ endpoints: [{}], ejection: {{ after: 1, for: 60s, at_most: 100% }} }} }}\nroutes: {{ /**: {{ to: pool }} }}",
        origin.url()
    ));
    (0..10).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    assert_eq!(origin.requests().len(), 10);
}
