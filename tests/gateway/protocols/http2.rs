//! HTTP/2 over TLS and in clear text, by the h2 crate and by curl.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::client::h2::Client;
use crate::support::client::{Client as Http1, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::h2::{Answer as Answer2, Origin as Origin2};
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::run::run;
use crate::support::tls::{Authority, H1, H2};

const CLEAR: &str = "listeners: { clear: { address: \"127.0.0.1:0\", protocols: [h2c, h1] } }\n";

fn clear(url: &str) -> Gateway {
    Gateway::start(&format!("{CLEAR}routes: {{ /**: {{ to: {url} }} }}"))
}

#[test]
fn prior_knowledge_and_http_1_share_a_listener() {
    let origin = Origin::echo();
    let gateway = clear(&origin.url());
    let mut client = Client::connect(gateway.listener("clear"));
    let response = client.send(&Request::post("/a/../b?c", "body"));
    assert_eq!((response.status, &response.json()["target"]), (200, &"/b?c".into()));
    assert_eq!(response.json()["body"], "body");
    let response = Http1::connect(gateway.listener("clear")).send(&Request::get("/x"));
    assert_eq!(response.json()["target"], "/x");
}

#[test]
fn a_plain_listener_does_not_take_http_2() {
    let gateway = Gateway::start("routes: { /**: { respond: { body: a } } }");
    let mut client = gateway.connect();
    client.send_raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert_eq!(client.read().status, 400);
}

#[test]
fn many_streams_are_served_at_once() {
    let origin = Origin::echo();
    let gateway = clear(&origin.url());
    let requests: Vec<Request> = (0..60).map(|n| Request::post(&format!("/{n}"), format!("{n}"))).collect();
    let responses = Client::connect(gateway.listener("clear")).send_all(&requests);
    for (n, response) in responses.into_iter().enumerate() {
        assert_eq!(response.expect("a response").json()["body"], n.to_string());
    }
}

#[test]
fn a_large_body_passes_both_ways() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let gateway = clear(&origin.url());
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let response = Client::connect(gateway.listener("clear")).send(&Request::post("/", body.clone()));
    assert!(response.body == body, "{} bytes came back", response.body.len());
}

#[test]
fn refusals_have_the_same_form_and_keep_the_connection() {
    let broken = Origin::start(|_| Answer::none(Ending::Reset));
    let gateway = Gateway::start(&format!(
        "{CLEAR}routes: {{ GET /a: {{ respond: {{ body: a }} }}, /broken: {{ to: {url} }}, /small: {{ to: {url}, body_limit: 10B }} }}",
        url = broken.url()
    ));
    let mut client = Client::connect(gateway.listener("clear"));
    for (request, status) in [
        (Request::get("/nowhere"), 404),
        (Request::new("DELETE", "/a"), 405),
        (Request::get("/a/%zz"), 400),
        (Request::get("/broken"), 502),
        (Request::post("/small", "more than ten bytes"), 413),
        (Request::get("/a"), 200),
    ] {
        let response = client.send(&request);
        assert_eq!(response.status, status, "{response:#?}");
        assert!(status == 200 || response.json()["status"] == status);
        assert!(response.headers("connection").is_empty(), "RFC 9113 §8.2.2: {response:#?}");
    }
}

#[test]
fn another_host_than_the_authority_is_refused() {
    let origin = Origin::echo();
    let gateway = clear(&origin.url());
    let mut client = Client::connect(gateway.listener("clear"));
    let answer = client.try_send(&Request::get("/").unidentified().header("host", "other.example"));
    assert!(answer.is_err() || answer.as_ref().is_ok_and(|response| response.status == 400), "{answer:?}");
    assert!(origin.requests().is_empty());
}

#[test]
fn alpn_chooses_and_http_1_stays_possible() {
    let authority = Authority::new();
    let identity = authority.server("one", &["one.example"]);
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "listeners: {{ secure: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: {}, key: {} }}] }} }} }}\nroutes: {{ /**: {{ to: {} }} }}",
        identity.certificate.display(),
        identity.key.display(),
        origin.url()
    ));
    let address = gateway.listener("secure");
    let mut client = Client::connect_tls(address, &authority.connector(H2), "one.example").expect("HTTP/2");
    assert_eq!(client.send(&Request::get("/two")).json()["target"], "/two");
    let mut client = Http1::connect_tls(address, &authority.connector(H1), "one.example").expect("HTTP/1.1");
    assert_eq!(client.send(&Request::get("/one")).json()["target"], "/one");
    let seen = origin.requests();
    assert!(seen.iter().all(|request| request.header("x-forwarded-host") == Some("one.example")), "{seen:#?}");
}

#[test]
fn curl_speaks_each_version() {
    let authority = Authority::new();
    let identity = authority.server("one", &["one.example"]);
    let gateway = Gateway::start(&format!(
        "listeners:\n  clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1] }}\n  secure: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: {}, key: {} }}] }} }}\nroutes: {{ /**: {{ respond: {{ body: hello }} }} }}",
        identity.certificate.display(),
        identity.key.display()
    ));
    let (clear, secure) = (gateway.listener("clear"), gateway.listener("secure"));
    let ca = authority.certificate().display().to_string();
    let resolve = format!("one.example:{}:127.0.0.1", secure.port());
    let (plain, https) = (format!("http://{clear}/"), format!("https://one.example:{}/", secure.port()));
    let secured = ["--cacert", &ca, "--resolve", &resolve, &https];
    for (version, more, expected) in [
        ("--http1.1", &[plain.as_str()][..], "1.1"),
        ("--http2-prior-knowledge", &[plain.as_str()], "2"),
        ("--http1.1", &secured, "1.1"),
        ("--http2", &secured, "2"),
    ] {
        let arguments = [&["-sS", "-w", " %{http_version}", version], more].concat();
        assert_eq!(run("curl", &arguments).success(), format!("hello {expected}"), "{arguments:?}");
    }
}

#[test]
fn http_2_to_the_upstream_shares_a_connection() {
    let origin = Origin2::start(|request| Answer2 { body: request.to_json().to_string().into(), ..Answer2::default() });
    let gateway =
        Gateway::start(&format!("server: {{ threads: 1 }}\n{CLEAR}routes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = Http1::connect(gateway.listener("clear"));
    for n in 0..20 {
        let response = client.send(&Request::post(&format!("/{n}"), "x"));
        assert_eq!((&response.json()["version"], &response.json()["body"]), (&"HTTP/2.0".into(), &"x".into()));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_is_told_as_such() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first").chunked().then_wait(&held).body("second"));
    let gateway = clear(&origin.url());
    let mut client = TcpStream::connect(gateway.listener("clear")).expect("a connection");
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    // GET http://a/ from the static table (RFC 7541, appendix A): END_STREAM and END_HEADERS on stream 1.
    let head = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a";
    client.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], settings, head].concat()).expect("a request");
    let mut received = Vec::new();
    while !received.windows(5).any(|bytes| bytes == b"first") {
        let mut piece = [0; 1024];
        let count = client.read(&mut piece).expect("an answer that begins");
        assert!(count > 0, "closed after {received:?}");
        received.extend_from_slice(&piece[..count]);
    }
    drop(client);
    gateway.await_metric("tollgate_refusals_total", &["client-closed"], 1.0);
    gate.open();
}
