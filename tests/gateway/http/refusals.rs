//! The statuses of the gateway's own refusals, each for its reason, none telling where the upstream is.

use super::replies::tells_nothing_of;
use crate::support::client::{Identified, Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;

#[track_caller]
fn is(reply: &Response, status: u16, reason: &str) {
    let kind = reply.json()["type"].clone();
    assert_eq!((reply.status, kind), (status, format!("urn:tollgate:problem:{reason}").into()), "{reply:#?}");
}

#[test]
fn refused_by_the_upstream_is_502() {
    let address = ports::free();
    let reply = Gateway::before(&format!("http://{address}")).get("/");
    is(&reply, 502, "upstream-refused");
    tells_nothing_of(&reply, address);
    assert!(reply.header("proxy-status").expect("RFC 9209").contains("error=connection_refused"));
}

#[test]
fn a_broken_upstream_is_502() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/reset" => Answer::none(Ending::Reset),
        "/close" => Answer::none(Ending::Close),
        "/half" => Answer::ok("body").cut_after(12, Ending::Close),
        "/garbage" => Answer::raw("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
        "/status" => Answer::raw("HTTP/1.1 xyz Odd\r\n\r\n"),
        "/lengths" => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        _ => Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab"),
    });
    let gateway = Gateway::before(&origin.url());
    for (target, reason) in [
        ("/reset", "upstream-reset"),
        ("/close", "upstream-reset"),
        ("/half", "upstream-reset"),
        ("/garbage", "upstream-invalid"),
        ("/status", "upstream-invalid"),
        ("/lengths", "upstream-invalid"),
        ("/length", "upstream-invalid"),
    ] {
        let reply = gateway.get(target);
        is(&reply, 502, reason);
        tells_nothing_of(&reply, origin.address());
    }
}

#[test]
fn an_answer_cut_short_is_never_completed() {
    let origin = Origin::start(|_| Answer::ok("0123456789".repeat(10)).cut_after(90, Ending::Close));
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let failure = client.try_read("GET").expect_err("a response cut short");
    assert!(failure.contains("short"), "{failure}");
}

#[test]
fn a_silent_upstream_is_504_by_the_deadline() {
    let origin = Origin::start(|_| Answer::none(Ending::Stall));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ slow: {{ endpoints: [{url}], read_timeout: 50ms }} }}\n\
         routes:\n  /deadline: {{ to: {url}, timeout: 50ms }}\n  /read: {{ to: slow, timeout: 30s }}\n",
        url = origin.url()
    ));
    let late = gateway.get("/deadline");
    is(&late, 504, "deadline");
    tells_nothing_of(&late, origin.address());
    is(&gateway.get("/read"), 504, "upstream-timeout");
}

#[test]
fn a_name_that_does_not_resolve_is_502() {
    is(&Gateway::before("http://nowhere.invalid:80").get("/"), 502, "no-name");
}

#[test]
fn bounds_of_the_head_have_statuses_of_their_own() {
    let gateway = Gateway::start(
        "limits: { uri_bytes: 100B, header_bytes: 2KiB, header_count: 10 }\nroutes: { /**: { respond: { body: a } } }",
    );
    let long = gateway.get(&format!("/{}", "x".repeat(100)));
    is(&long, 414, "uri-too-long");
    is(&gateway.send(&Request::get("/").header("X", &"x".repeat(3000))), 431, "headers-too-large");
    let many = (0..11).fold(Request::get("/"), |request, n| request.header(&format!("X-{n}"), "1"));
    is(&gateway.send(&many), 431, "headers-too-large");
    assert!(!long.keeps_alive());
}

#[test]
fn a_body_that_does_not_come_is_408() {
    let origin = Origin::echo();
    let gateway =
        Gateway::start(&format!("limits: {{ body_timeout: 100ms }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    is(&client.read_for("POST", Identified::Required), 408, "slow-request");
    assert_eq!(client.read_to_close(), b"");
    assert!(origin.requests().is_empty());
}

#[test]
fn too_many_connections_of_one_client_are_503() {
    let gateway = Gateway::start("limits: { connections_per_client: 2 }\nroutes: { /**: { respond: { body: a } } }");
    let mut kept: Vec<_> = (0..2).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.send(&Request::get("/")).status, 200);
    }
    let mut third = gateway.connect();
    let reply = third.read();
    is(&reply, 503, "overloaded");
    assert!(reply.header("retry-after").is_some());
    kept.clear();
    crate::support::wait::until("a place is free", || {
        let mut client = gateway.connect();
        client.send_raw(&Request::get("/").bytes("a"));
        client.try_read("GET").is_ok_and(|response| response.status == 200)
    });
}

#[test]
fn a_path_that_is_none_is_400() {
    let gateway = Gateway::start("routes: { /**: { respond: { body: a } } }");
    let mut client = gateway.connect();
    for target in ["/%", "/%zz", "/%0", "/a%00b", "/..", "/a/../..", "/%2e%2e/x"] {
        let reply = client.send(&Request::get(target));
        assert_eq!(reply.status, 400, "{target}");
        is(&reply, 400, "bad-path");
        assert!(reply.keeps_alive(), "{target}");
    }
}
