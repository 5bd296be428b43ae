//! HUP and USR1 on a running gateway: what changes, what stays, and that no request is lost.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};

use nix::sys::signal::Signal;

use crate::load::Load;
use crate::program::Site;
use crate::support::client::{self, Request};
use crate::support::origin::{Answer, Origin};
use crate::support::ports;
use crate::support::wait;

fn routes(origin: &Origin, version: usize) -> String {
    format!(
        "routes:\n  /load: {{ to: {} }}\n  /version: {{ respond: {{ json: {{ version: {version} }} }} }}",
        origin.url()
    )
}

fn version(site: &Site) -> u64 {
    site.get("/version").json()["version"].as_u64().expect("a version")
}

#[test]
fn a_reload_under_load_swaps_the_routes_and_loses_no_request() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let gateway = site.start();
    let load = Load::start(site.main, "/load");
    for next in 2..=8 {
        load.await_more(40);
        site.write_with("", &routes(&origin, next));
        gateway.signal(Signal::SIGHUP);
        wait::until("the new routes answer", || version(&site) == next as u64);
    }
    load.await_more(40);
    let answered = load.finish();
    assert_eq!(origin.requests().len(), answered);
    assert_eq!(site.revision(), 8);
}

#[test]
fn a_reload_of_a_file_with_problems_changes_nothing_and_is_told() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let gateway = site.start();
    assert_eq!(site.metric("tollgate_config_last_reload_success"), 1.0);

    site.write_with("", "routes:\n  /version: { to: nowhere }");
    gateway.signal(Signal::SIGHUP);
    wait::until("the failure is in the metrics", || site.metric("tollgate_config_last_reload_success") == 0.0);
    wait::until("readiness tells of it", || site.admin("/ready").json()["config"]["loaded"] == false);
    let ready = site.admin("/ready");
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(ready.json()["config"]["revision"], 1);
    assert!(ready.json()["config"]["problems"].as_str().is_some_and(|text| text.contains("nowhere")), "{ready:?}");
    gateway.await_log("nowhere");
    assert_eq!(version(&site), 1);

    site.write_with("", &routes(&origin, 2));
    gateway.signal(Signal::SIGHUP);
    wait::until("the mended file is in service", || version(&site) == 2);
    wait::until("the metrics tell of it", || site.metric("tollgate_config_last_reload_success") == 1.0);
}

fn with_listener(site: &Site, origin: &Origin, address: SocketAddr) {
    site.write_with("", &format!("listeners: {{ other: {{ address: '{address}' }} }}\n{}", routes(origin, 1)));
}

#[test]
fn a_listener_moves_to_another_address_and_the_others_lose_no_request() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    let (old, new) = (ports::free(), ports::free());
    with_listener(&site, &origin, old);
    let gateway = site.start();
    assert_eq!(client::send(old, &Request::get("/load")).status, 200);
    let load = Load::start(site.main, "/load");
    load.await_more(40);

    with_listener(&site, &origin, new);
    gateway.signal(Signal::SIGHUP);
    wait::until("the new address accepts", || TcpStream::connect(new).is_ok());
    assert_eq!(client::send(new, &Request::get("/load")).status, 200);
    wait::until("the old address is closed", || TcpStream::connect(old).is_err());
    load.await_more(40);
    load.finish();
}

#[test]
fn a_listener_on_an_address_in_use_refuses_the_reload_and_opens_no_other() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let gateway = site.start();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (free, taken) = (ports::free(), socket.local_addr().expect("an address"));
    let listeners = format!("a: {{ address: '{free}' }}, b: {{ address: '{taken}' }}");
    site.write_with("", &format!("listeners: {{ {listeners} }}\n{}", routes(&origin, 2)));
    gateway.signal(Signal::SIGHUP);
    wait::until("the failure is in the metrics", || site.metric("tollgate_config_last_reload_success") == 0.0);
    assert_eq!(version(&site), 1);
    wait::until("the address that was free is free again", || TcpStream::connect(free).is_err());
}

#[test]
fn the_access_log_is_opened_anew_after_it_was_moved_away() {
    let site = Site::new();
    site.write_with("", "routes: { /**: { respond: { status: 204 } } }");
    let gateway = site.start();
    let (log, moved) = (site.path("access.log"), site.path("access.log.1"));
    let holds = |file, text: &str| fs::read_to_string(file).is_ok_and(|lines| lines.contains(text));
    site.get("/before");
    wait::until("the first request is logged", || holds(&log, "/before"));
    fs::rename(&log, &moved).expect("a log to move");
    gateway.signal(Signal::SIGUSR1);
    wait::until("there is a new log", || log.exists());
    site.get("/after");
    wait::until("the second request is logged", || holds(&log, "/after"));
    assert!(holds(&moved, "/before") && !holds(&moved, "/after"));
}

#[test]
fn a_storm_of_hups_loses_no_request_and_ends_with_the_last_file() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let gateway = site.start();
    let load = Load::start(site.main, "/load");
    for next in 2..=51 {
        load.await_more(3);
        site.write_with("", &routes(&origin, next));
        gateway.signal(Signal::SIGHUP);
    }
    wait::until("the last file is in service", || version(&site) == 51);
    load.await_more(40);
    let answered = load.finish();
    assert_eq!(origin.requests().len(), answered);
}

#[test]
fn a_hup_while_the_first_file_is_compiled_is_a_reload_and_no_end() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    let many: String = (0..5_000).map(|route| format!("  /many/{route}: {{ respond: {{ status: 204 }} }}\n")).collect();
    site.write_with("", &format!("{}\n{many}", routes(&origin, 1)));
    let mut gateway = site.launch(&[]);
    wait::until("the process keeps HUP for later", || gateway.keeps(Signal::SIGHUP));
    site.write_with("", &routes(&origin, 2));
    gateway.signal(Signal::SIGHUP);
    gateway.signal(Signal::SIGUSR1);
    gateway.await_serving();
    wait::until("the newer file is in service", || version(&site) == 2);
}
