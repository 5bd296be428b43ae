//! TERM and INT on a running gateway.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::program::{Process, Site};
use crate::support::client::{Client, Identified, Request};
use crate::support::gate::Gate;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// A gateway with a request under way that ends when the gate is opened.
struct Busy {
    gateway: Process,
    site: Site,
    gate: Gate,
    slow: Client,
    _origin: Origin,
}

impl Busy {
    fn start(server: &str) -> Self {
        let (site, gate) = (Site::new(), Gate::default());
        let held = gate.clone();
        let origin = Origin::start(move |_| {
            held.pass();
            Answer::ok("late")
        });
        let routes = "routes:\n  /quick: { respond: { status: 204 } }\n  /slow: { to: ";
        site.write_with(server, &format!("{routes}{} }}", origin.url()));
        let gateway = site.start();
        let mut slow = Client::connect(site.main);
        slow.send_raw(&Request::get("/slow").bytes("slow"));
        gate.await_arrivals(1);
        Self { gateway, site, gate, slow, _origin: origin }
    }

    #[track_caller]
    fn await_closed(&self) {
        wait::until("the listener is closed", || TcpStream::connect(self.site.main).is_err());
    }
}

#[test]
fn term_fails_readiness_finishes_what_is_under_way_and_ends_long_before_the_grace() {
    let mut busy = Busy::start("drain: 500ms, grace: 1h");
    let mut idle = Client::connect(busy.site.main);
    assert_eq!(idle.send(&Request::get("/quick")).status, 204);
    assert_eq!(busy.site.admin("/ready").status, 200);

    busy.gateway.signal(Signal::SIGTERM);
    wait::until("readiness fails", || busy.site.admin("/ready").status == 503);
    assert_eq!(busy.site.admin("/ready").json()["why"], "draining");
    busy.await_closed();
    assert!(idle.read_to_close().is_empty());
    assert!(busy.gateway.runs());
    assert_eq!(busy.site.admin("/ready").status, 503);

    busy.gate.open();
    assert_eq!(busy.slow.read_for("GET", Identified::Required).text(), "late");
    drop(busy.slow);
    assert_eq!(busy.gateway.await_end().code(), Some(0));
    assert!(!busy.site.path("run/pid").exists());
}

#[test]
fn an_idle_gateway_ends_at_once_on_term() {
    let site = Site::new();
    site.write_with("grace: 1h", "routes: { /: { respond: { status: 204 } } }");
    let mut gateway = site.start();
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.await_end().code(), Some(0));
}

#[test]
fn while_readiness_fails_new_connections_are_still_served() {
    let site = Site::new();
    site.write_with("drain: 1h, grace: 1h", "routes: { /: { respond: { status: 204 } } }");
    let mut gateway = site.start();
    gateway.signal(Signal::SIGTERM);
    wait::until("readiness fails", || site.admin("/ready").status == 503);
    assert_eq!(site.get("/").status, 204);
    gateway.signal(Signal::SIGINT);
    assert_eq!(gateway.await_end().code(), Some(0));
}

#[test]
fn a_request_that_outlasts_the_grace_is_cut() {
    let mut busy = Busy::start("grace: 200ms");
    busy.gateway.signal(Signal::SIGTERM);
    assert_eq!(busy.gateway.await_end().code(), Some(0));
    assert!(busy.slow.try_read("GET").is_err());
}

#[test]
fn int_ends_at_once_whatever_is_under_way() {
    let mut busy = Busy::start("drain: 1h, grace: 1h");
    busy.gateway.signal(Signal::SIGINT);
    assert_eq!(busy.gateway.await_end().code(), Some(0));
}

#[test]
fn int_cuts_a_drain_short() {
    let mut busy = Busy::start("grace: 1h");
    busy.gateway.signal(Signal::SIGTERM);
    busy.await_closed();
    busy.gateway.signal(Signal::SIGINT);
    assert_eq!(busy.gateway.await_end().code(), Some(0));
}
