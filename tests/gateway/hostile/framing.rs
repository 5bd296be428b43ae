//! Requests whose ends two readers could see in different places (RFC 9112 §6.3, §11.2). Each is answered 400 and the
//! connection closed; the request hidden behind it is never seen, and the upstream sees nothing at all.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

/// Heads without their empty line; a body or a second request follows each.
const AMBIGUOUS: &[&str] = &[
    // Two ways to tell the length
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked",
    // Several lengths, equal or not
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4,5",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\ncontent-length: 0",
    // Lengths that are no numbers
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4 ,",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4_0",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4.0",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\x0b",
    // Codings that hide chunked from one reader
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked",
    // Spaces and folds
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4",
    "POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked",
    "POST / HTTP/1.1\r\n Host: a\r\nContent-Length: 4",
    "POST  / HTTP/1.1\r\nHost: a",
    "POST / HTTP/1.1 \r\nHost: a",
    " POST / HTTP/1.1\r\nHost: a",
    "POST\t/\tHTTP/1.1\r\nHost: a",
    // Line ends
    "POST / HTTP/1.1\nHost: a\nContent-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\nContent-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\rContent-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\nTransfer-Encoding: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\rTransfer-Encoding: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\r\r\nContent-Length: 4",
    // Characters that readers treat differently
    "POST / HTTP/1.1\r\nHost: a\r\nX: a\0b",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\0: chunked",
    "POST / HTTP/1.1\r\nHost: a\r\nContent Length: 4",
    "POST / HTTP/1.1\r\nHost: a\r\nno colon",
    "POST / HTTP/1.1\r\nHost: a\r\n: no name",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\u{a0}: chunked",
    "P\0ST / HTTP/1.1\r\nHost: a",
    "POST /a b HTTP/1.1\r\nHost: a",
    "POST /\0 HTTP/1.1\r\nHost: a",
    // Versions
    "POST / HTTP/1.2\r\nHost: a",
    "POST / HTTP/2.0\r\nHost: a",
    "POST / HTTP/11\r\nHost: a",
    "POST / http/1.1\r\nHost: a",
    "POST /\r\nHost: a",
    // Hosts
    "POST / HTTP/1.1\r\nContent-Length: 4",
    "POST / HTTP/1.1\r\nHost: a\r\nHost: a",
    "POST / HTTP/1.1\r\nHost: a\r\nhost: b",
];

#[test]
fn each_ambiguous_request_is_400_and_closed_and_reaches_no_upstream() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for head in AMBIGUOUS {
        let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut client = gateway.connect();
        client.send_raw(format!("{head}\r\n\r\n0\r\n\r\n{hidden}").as_bytes());
        let response = client.read_for("POST", crate::support::client::Identified::Required);
        assert_eq!((response.status, response.keeps_alive()), (400, false), "{head:?}");
        assert_eq!(client.read_to_close(), b"", "something more was answered to {head:?}");
    }
    assert_eq!(origin.connections(), 0, "{:#?}", origin.requests());
    let reasons = gateway.metric("tollgate_refusals_total", &["ambiguous-framing"])
        + gateway.metric("tollgate_refusals_total", &["bad-request"]);
    assert!(reasons >= AMBIGUOUS.len() as f64, "{reasons} refusals were counted");
}

#[test]
fn bytes_that_are_no_request_are_answered_once_or_closed() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let garbage: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\r\n\r\nGET\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\xff\xfe\xfd\r\n\r\n",
    ];
    for bytes in garbage {
        let mut client = gateway.connect();
        client.send_raw(bytes);
        client.finish_sending();
        let answer = String::from_utf8_lossy(&client.read_to_close()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{bytes:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 400").count(), usize::from(!answer.is_empty()), "{answer}");
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn targets_that_are_none_get_the_gateways_own_answer() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for target in [
        "foo",
        "a:443",
        "*",
        "?",
        "ftp://a/",
        "http:///x",
        "http://u:p@a/",
        "http://[::1/",
        "http:a",
        "//",
        "/a#b",
        "/<",
        "/>",
        "/\"",
        "/`",
        "/?<",
        "/?\"",
        "http://a\\b/",
        "mailto:x@a",
    ] {
        let reply = gateway.send(&Request::get(target).header("Host", "a"));
        assert!(reply.status == 400 || target == "//", "{target}: {}", reply.status);
    }
    for line in ["CONNECT a:443", "CONNECT /x", "CONNECT a"] {
        let mut client = gateway.connect();
        client.send_raw(format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        assert_eq!(client.read_for("CONNECT", crate::support::client::Identified::Required).status, 400, "{line}");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn what_stands_behind_a_body_is_a_request_of_its_own() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let first = client.read_for("POST", crate::support::client::Identified::Required);
    assert_eq!((&first.json()["target"], &first.json()["body"]), (&"/1".into(), &"GET ".into()));
    if first.keeps_alive() {
        assert_eq!(client.read().json()["target"], "/2");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    let all: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send_raw(all.as_bytes());
    for n in 0..20 {
        assert_eq!(client.read().json()["target"], format!("/{n}"));
    }
}

#[test]
fn two_hosts_in_one_request_are_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let absolute = Request::get("http://a.example/x").header("Host", "b.example");
    assert_eq!(gateway.send(&absolute).status, 400);
    for host in ["a b", "a/b", "a@b", "a:b", "a,b", "[::1", "a\"", "a?b", "a#b", "a%00", ""] {
        let reply = gateway.send(&Request::get("/").header("Host", host));
        assert!(reply.status == 400 || (host.is_empty() && reply.status < 500), "{host:?}: {}", reply.status);
    }
    assert!(origin.requests().iter().all(|request| request.header("x-forwarded-host").unwrap_or("").is_empty()));
}

#[test]
fn framing_of_a_response_is_not_the_clients_to_guess() {
    let answers: [&str; 5] = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n Content-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let origin = Origin::start(move |request| {
        let number: usize = request.target.trim_start_matches('/').parse().unwrap_or(0);
        crate::support::origin::Answer::raw(answers[number])
    });
    let gateway = Gateway::before(&origin.url());
    for number in 0..answers.len() {
        let mut client = gateway.connect();
        client.send_raw(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        if let Ok(response) = client.try_read("GET") {
            let framed = response.headers("content-length").len() + response.headers("transfer-encoding").len();
            assert!(framed <= 1, "{number}: {response:#?}");
            assert!(response.status != 204 || response.body.is_empty());
        }
    }
}

#[test]
fn a_chunked_body_that_is_none_is_answered_before_the_end() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let bodies =
        ["-3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabcdef\r\n0\r\n\r\n", "zz\r\n", "3\nabc\n0\n\n"];
    for body in bodies {
        let mut client = gateway.connect();
        client.send_raw(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes());
        let reply = client.read();
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (400, &"urn:tollgate:problem:bad-request".into()),
            "{body:?}"
        );
        assert!(!reply.keeps_alive(), "{body:?}");
    }
}

#[test]
fn one_host_in_two_spellings_is_one_host() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes: {{ /**: {{ match: {{ host: a.example }}, to: {}, preserve_host: true }} }}",
        origin.url()
    ));
    for (target, host) in [
        ("http://A.example/x", "a.example"),
        ("http://a.example:80/x?y", "A.EXAMPLE"),
        ("http://a.example/x", "a.example:80"),
        ("http://a.example:/x", "a.example"),
    ] {
        let mut client = gateway.connect();
        for _ in 0..2 {
            let reply = client.send(&Request::post(target, b"body".to_vec()).header("Host", host));
            assert_eq!((reply.status, &reply.json()["body"]), (200, &"body".into()), "{target} {host}");
            assert!(reply.json()["target"].as_str().is_some_and(|seen| seen.starts_with("/x")));
        }
    }
    let other = Request::get("http://a.example:81/x").header("Host", "a.example");
    assert_eq!(gateway.send(&other).status, 400);
}
