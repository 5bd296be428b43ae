//! A successor takes the listeners over from a running gateway: no request is lost, and where the successor fails the
//! running one stays.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use nix::sys::signal::Signal;

use crate::load::Load;
use crate::program::Site;
use crate::support::client::Request;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

fn routes(origin: &Origin, version: usize) -> String {
    format!(
        "routes:\n  /load: {{ to: {} }}\n  /version: {{ respond: {{ json: {{ version: {version} }} }} }}",
        origin.url()
    )
}

#[test]
fn an_upgrade_under_load_loses_no_request() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let mut old = site.start();
    let load = Load::start(site.main, "/load");
    load.await_more(60);

    site.write_with("", &routes(&origin, 2));
    let mut new = site.launch(&["--upgrade"]);
    new.await_serving();
    wait::until("the old process has ended", || {
        assert_eq!(site.admin("/ready").status, 200);
        !old.runs()
    });
    assert_eq!(old.await_end().code(), Some(0), "{}", old.log());
    load.await_more(60);
    let answered = load.finish();
    assert_eq!(origin.requests().len(), answered);

    assert_eq!(site.get("/version").json()["version"], 2);
    assert_eq!(site.pid(), new.id());
    new.signal(Signal::SIGTERM);
    assert_eq!(new.await_end().code(), Some(0), "{}", new.log());
}

#[test]
fn quit_without_a_successor_changes_nothing() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 204 } } }");
    let mut gateway = site.start();
    gateway.signal(Signal::SIGQUIT);
    gateway.await_log("serving on");
    assert_eq!(site.get("/").status, 204);
    assert_eq!(site.admin("/ready").status, 200);
    assert!(gateway.runs());
}

#[test]
fn a_successor_with_problems_in_its_file_leaves_the_running_gateway_alone() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 204 } } }");
    let mut old = site.start();
    site.write_with("", "routes: { /: { to: nowhere } }");
    let mut new = site.launch(&["--upgrade"]);
    assert_eq!(new.await_end().code(), Some(1));
    assert!(new.log().contains("nowhere"), "{}", new.log());
    assert!(old.runs() && !old.log().contains("successor"), "{}", old.log());
    assert_eq!(site.get("/").status, 204);
}

#[test]
fn a_successor_that_fails_with_the_sockets_in_hand_loses_nothing() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &routes(&origin, 1));
    let mut old = site.start();
    let load = Load::start(site.main, "/load");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address");
    site.write_with("", &format!("listeners: {{ other: {{ address: '{address}' }} }}\n{}", routes(&origin, 2)));
    let mut new = site.launch(&["--upgrade"]);
    assert_eq!(new.await_end().code(), Some(1));
    assert!(new.log().contains(&address.to_string()), "{}", new.log());
    old.await_log("serving on");
    load.await_more(60);
    load.finish();
    assert!(old.runs());
    assert_eq!(site.get("/version").json()["version"], 1);
    assert_eq!(site.pid(), old.id());
}

#[test]
fn a_socket_left_behind_by_a_dead_successor_stops_neither_the_gateway_nor_an_upgrade() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 204 } } }");
    let mut old = site.start();
    drop(UnixListener::bind(site.path("run/upgrade.sock")).expect("a socket"));
    std::fs::write(site.path("run/upgrade.sock.claim"), "").expect("a file");
    let mut new = site.launch(&["--upgrade"]);
    new.await_serving();
    assert_eq!(old.await_end().code(), Some(0), "{}", old.log());
    assert_eq!(site.get("/").status, 204);
    let left: Vec<_> = ["run/upgrade.sock", "run/upgrade.sock.claim"].map(|name| site.path(name).exists()).into();
    assert_eq!(left, [false, false]);
}

#[test]
fn a_successor_and_a_restart_bring_clients_back_to_their_endpoints_where_there_is_a_folder_for_state() {
    let (site, origins) = (Site::new(), [0, 1, 2].map(|number| Origin::start(move |_| Answer::ok(number.to_string()))));
    let urls: Vec<String> = origins.iter().map(Origin::url).collect();
    let yaml = format!(
        "upstreams: {{ up: {{ endpoints: [{}], affinity: stay }} }}\nroutes: {{ /**: {{ to: up }} }}",
        urls.join(", ")
    );
    site.write_with("state_dir: state", &yaml);
    let mut old = site.start();
    let first = site.get("/");
    let cookie = first.header("set-cookie").and_then(|field| field.split(';').next()).expect("a cookie").to_owned();
    let comes_back = || {
        for _ in 0..6 {
            let again = crate::support::client::send(site.main, &Request::get("/").header("Cookie", &cookie));
            assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
        }
    };
    wait::until("the key is on the disk", || site.path("state/quotas").exists());
    let mut new = site.launch(&["--upgrade"]);
    new.await_serving();
    wait::until("the old process has ended", || !old.runs());
    old.await_end();
    comes_back();
    new.signal(Signal::SIGTERM);
    new.await_end();
    let mut third = site.start();
    comes_back();
    third.signal(Signal::SIGTERM);
    third.await_end();
}
