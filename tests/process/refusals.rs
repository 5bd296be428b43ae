//! What `run` refuses: at once, with exit code 1, a message that names the cause, and nothing listening.

use std::net::{TcpListener, TcpStream};

use crate::program::{Process, Site, write};
use crate::support::tls::Authority;

/// Waits for a refusal and gives back what was printed.
#[track_caller]
fn refusal(mut process: Process) -> String {
    let status = process.await_end();
    assert_eq!(status.code(), Some(1), "{}", process.log());
    process.log()
}

#[track_caller]
fn nothing_listens(site: &Site) {
    for address in [site.main, site.admin] {
        assert!(TcpStream::connect(address).is_err(), "something listens on {address}");
    }
}

#[test]
fn a_file_with_problems_is_refused_with_every_one() {
    let site = Site::new();
    site.write_with("", "routes:\n  /a: { to: http://127.0.0.1:9, body_limit: huge }\n  /b: { respnd: { status: 200 } }\n  /c: { to: x, timeout: soon }");
    let printed = refusal(site.launch(&[]));
    for problem in [":6:", ":7:", ":8:"] {
        assert!(printed.contains(&format!("gateway.yaml{problem}")), "{problem} is missing in\n{printed}");
    }
    nothing_listens(&site);
}

#[test]
fn what_only_compiling_finds_is_refused_too() {
    let site = Site::new();
    site.write_with("", "routes:\n  /a: { respond: { status: 200 } }\n  GET /b: { to: nowhere }");
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains("nowhere"), "{printed}");
    nothing_listens(&site);
}

#[test]
fn an_address_in_use_is_refused_and_named() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 200 } } }");
    let _other = TcpListener::bind(site.main).expect("a free address");
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains(&site.main.to_string()), "{printed}");
    assert!(TcpStream::connect(site.admin).is_err(), "the admin API is open");
}

#[test]
fn an_admin_address_in_use_is_refused_and_named() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 200 } } }");
    let _other = TcpListener::bind(site.admin).expect("a free address");
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains(&site.admin.to_string()), "{printed}");
    assert!(TcpStream::connect(site.main).is_err(), "the listener is open");
}

fn secure(site: &Site, certificate: &str, key: &str) {
    let address = site.main;
    let tls = format!("tls: {{ certificates: [{{ cert: {certificate}, key: {key} }}] }}");
    site.write(&format!(
        "listeners: {{ secure: {{ address: '{address}', {tls} }} }}\nroutes: {{ /: {{ respond: {{ status: 200 }} }} }}\n"
    ));
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_and_named() {
    let site = Site::new();
    secure(&site, "missing.pem", "missing.key");
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains("missing.pem"), "{printed}");
}

#[test]
fn a_certificate_that_is_none_is_refused_and_named() {
    let site = Site::new();
    write(&site.path("garbage.pem"), "no certificate");
    write(&site.path("garbage.key"), "no key");
    secure(&site, "garbage.pem", "garbage.key");
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains("garbage.pem"), "{printed}");
}

#[test]
fn a_key_that_does_not_match_is_refused_and_named() {
    let site = Site::new();
    let authority = Authority::new();
    let (one, two) = (authority.server("one", &["localhost"]), authority.server("two", &["localhost"]));
    secure(&site, one.certificate.to_str().expect("UTF-8"), two.key.to_str().expect("UTF-8"));
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains("two.key") && printed.contains("does not belong"), "{printed}");
}

#[test]
fn a_second_gateway_on_the_same_upgrade_socket_is_refused() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 200 } } }");
    let _running = site.start();
    let printed = refusal(site.launch(&[]));
    assert!(printed.contains("upgrade.sock") && printed.contains("--upgrade"), "{printed}");
    assert_eq!(site.get("/").status, 200);
}

#[test]
fn an_upgrade_of_nothing_is_refused() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 200 } } }");
    let printed = refusal(site.launch(&["--upgrade"]));
    assert!(printed.contains("no gateway runs"), "{printed}");
    nothing_listens(&site);
}

#[test]
fn a_daemon_without_a_pid_file_is_refused() {
    let site = Site::new();
    site.write(&format!("listen: {}\nroutes: {{ /: {{ respond: {{ status: 200 }} }} }}\n", site.main));
    let printed = refusal(site.launch(&["--daemon"]));
    assert!(printed.contains("pid_file"), "{printed}");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_refused() {
    let site = Site::new();
    site.write_with("", "routes: { /: { respond: { status: 200 } } }");
    let mut process = site.launch(&["--log-file", "/nowhere/log"]);
    assert_eq!(process.await_end().code(), Some(1), "{}", process.log());
    assert!(process.log().contains("/nowhere/log"), "{}", process.log());
}
