//! Answers in fewer bytes, over real sockets: framing, streams, ranges, and what is left alone.

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{self, Answer, Ending, Origin};
use crate::support::tls::{Authority, H2};
use tollgate::policy::coding::{Bound, Coding, Decoder};

const JSON: &str = "application/json";

fn text() -> String {
    (0..2000).map(|n| format!("{{\"id\":{n},\"name\":\"product {n}\"}},")).collect()
}

fn plain(response: &Response) -> String {
    let coding = Coding::parse(response.header("content-encoding").expect("a coding").as_bytes()).expect("a known one");
    let mut decoder = Decoder::new(coding, Bound { bytes: 1 << 24, ratio: 10_000 }).unwrap();
    String::from_utf8(decoder.piece(&response.body, true).expect("a whole body").to_vec()).unwrap()
}

fn asking(accept: &str) -> Request {
    Request::get("/").header("Accept-Encoding", accept)
}

fn before(url: &str, policy: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /**: {{ to: {url}, compress: {policy} }} }}"))
}

#[test]
fn the_client_chooses_and_the_connection_is_kept() {
    let origin = Origin::start(|_| Answer::ok(text()).header("Content-Type", JSON).header("ETag", "\"v1\""));
    let gateway = before(&origin.url(), "true");
    let mut client = gateway.connect();
    for (accept, coding) in [("gzip", "gzip"), ("br;q=0.9, gzip;q=0.5", "br"), ("zstd, gzip", "zstd"), ("*", "zstd")] {
        let response = client.send(&asking(accept));
        assert_eq!(response.header("content-encoding"), Some(coding), "{accept}");
        assert!(response.body.len() * 4 < text().len(), "{coding}: {} bytes", response.body.len());
        assert_eq!(plain(&response), text(), "{coding}");
        assert_eq!(response.header("vary"), Some("Accept-Encoding"));
        assert_eq!(response.header("etag"), Some("W/\"v1\""));
        assert_eq!(response.headers("content-length"), Vec::<&str>::new());
        assert!(response.keeps_alive());
    }
    for accept in ["identity", "gzip;q=0", "gzip;q=0.1, identity"] {
        let response = client.send(&asking(accept));
        assert_eq!((response.header("content-encoding"), response.text()), (None, text().as_str()), "{accept}");
        assert_eq!(response.header("etag"), Some("\"v1\""));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn any_framing_of_the_upstream_ends_properly() {
    let origin = Origin::start(|request| {
        let answer = Answer::status(200).header("Content-Type", JSON);
        match request.target.as_str() {
            "/chunked" => answer.body("a".repeat(70_000)).body("b".repeat(70_000)).chunked(),
            "/close" => answer.body("a".repeat(70_000)).body("b".repeat(70_000)).until_close(),
            "/trailers" => answer.body("a".repeat(70_000)).body("b".repeat(70_000)).trailer("X-Sum", "1"),
            "/empty" => answer.chunked(),
            _ => answer.body("a".repeat(70_000)).body("b".repeat(70_000)),
        }
    });
    let gateway = before(&origin.url(), "true");
    let mut client = gateway.connect();
    let whole = "a".repeat(70_000) + &"b".repeat(70_000);
    for target in ["/chunked", "/close", "/trailers", "/length"] {
        for accept in ["gzip", "br", "zstd"] {
            let response = client.send(&Request::get(target).header("Accept-Encoding", accept));
            assert_eq!(plain(&response), whole, "{target} {accept}");
        }
    }
    assert_eq!(plain(&client.send(&Request::get("/empty").header("Accept-Encoding", "gzip"))), "");
}

#[test]
fn each_event_arrives_when_it_is_sent() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        let answer = Answer::status(200).header("Content-Type", "text/event-stream").chunked().body("data: 0\n\n");
        answer.then_wait(&held).body("data: 1\n\n")
    });
    let gateway = before(&origin.url(), "{ types: [text/event-stream], codings: [gzip] }");
    let mut client = gateway.connect();
    client.send_raw(&asking("gzip").header("Accept", "text/event-stream").bytes("a"));
    let (status, fields) = client.read_head();
    assert_eq!(status, 200);
    assert!(fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("content-encoding") && value == "gzip"));
    let mut decoder = Decoder::new(Coding::Gzip, Bound { bytes: 1 << 20, ratio: 1000 }).unwrap();
    let mut seen = String::new();
    let mut wire = Vec::new();
    let mut read_until = |client: &mut Client, event: &str| {
        while !seen.contains(event) {
            let bytes = client.read_some();
            assert!(!bytes.is_empty(), "the stream ended before {event}");
            wire.extend(bytes);
            while let Some(chunk) = take_chunk(&mut wire) {
                seen.push_str(&String::from_utf8_lossy(&decoder.piece(&chunk, false).unwrap()));
            }
        }
    };
    read_until(&mut client, "data: 0");
    gate.open();
    read_until(&mut client, "data: 1");
}

/// The first chunk of a chunked body, once all of it is there.
fn take_chunk(wire: &mut Vec<u8>) -> Option<Vec<u8>> {
    let line = wire.windows(2).position(|two| two == b"\r\n")?;
    let length = usize::from_str_radix(std::str::from_utf8(&wire[..line]).unwrap(), 16).expect("a length");
    let end = line + 2 + length;
    if wire.len() < end + 2 {
        return None;
    }
    let chunk = wire[line + 2..end].to_vec();
    wire.drain(..end + 2);
    Some(chunk)
}

#[test]
fn what_must_not_be_touched_is_not() {
    let origin = Origin::start(|request| {
        let answer = Answer::ok("x".repeat(5000)).header("Content-Type", JSON);
        match request.target.as_str() {
            "/coded" => answer.header("Content-Encoding", "gzip"),
            "/kept" => answer.header("Cache-Control", "no-transform"),
            "/image" => Answer::ok("x".repeat(5000)).header("Content-Type", "image/png"),
            "/short" => Answer::ok("x".repeat(500)).header("Content-Type", JSON),
            "/part" => Answer::status(206)
                .body("x".repeat(5000))
                .header("Content-Type", JSON)
                .header("Content-Range", "bytes 0-4999/9000"),
            "/none" => Answer::status(204),
            _ => Answer::status(304).header("ETag", "\"v1\""),
        }
    });
    let gateway = before(&origin.url(), "true");
    let mut client = gateway.connect();
    for target in ["/coded", "/kept", "/image", "/short", "/part", "/none", "/304"] {
        let response = client.send(&Request::get(target).header("Accept-Encoding", "gzip, br"));
        let coded = response.header("content-encoding").filter(|coding| *coding != "gzip" || target != "/coded");
        assert_eq!(coded, None, "{target}");
        assert!(response.body.iter().all(|byte| *byte == b'x'), "{target}");
    }
}

#[test]
fn head_says_what_get_would() {
    let origin = Origin::start(|request| {
        let answer = Answer::ok(text()).header("Content-Type", JSON);
        if request.method == "HEAD" { answer.header("Content-Length", &text().len().to_string()) } else { answer }
    });
    let gateway = before(&origin.url(), "true");
    let mut client = gateway.connect();
    let head = client.send(&Request::new("HEAD", "/").header("Accept-Encoding", "br"));
    assert_eq!((head.status, head.header("content-encoding"), head.header("content-length")), (200, Some("br"), None));
    assert!(client.send(&asking("br")).status == 200);
}

#[test]
fn the_gateway_s_own_answers_are_compressed_with_their_length() {
    let gateway = Gateway::start(&format!(
        "defaults: {{ compress: {{ min_size: 100B }} }}\nroutes:\n  /: {{ respond: {{ body: {} }} }}\n  \
         /gone: {{ to: http://127.0.0.1:1, retries: 0 }}\n  /off: {{ compress: off, respond: {{ body: {} }} }}",
        "a".repeat(3000),
        "a".repeat(3000)
    ));
    let mut client = gateway.connect();
    let response = client.send(&asking("gzip"));
    assert_eq!(plain(&response), "a".repeat(3000));
    assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    let problem = client.send(&Request::get("/gone").header("Accept-Encoding", "br"));
    assert_eq!((problem.status, problem.header("content-encoding")), (502, Some("br")));
    assert!(plain(&problem).contains("upstream-refused"));
    let mut client = gateway.connect();
    let off = client.send(&Request::get("/off").header("Accept-Encoding", "gzip"));
    assert_eq!((off.header("content-encoding"), off.header("vary")), (None, None));
    let head = client.send(&Request::new("HEAD", "/").header("Accept-Encoding", "gzip"));
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn over_http2_both_ways() {
    let authority = Authority::new();
    let identity = authority.server("shop", &["shop.example"]);
    let origin = origin::h2::Origin::start(|request| origin::h2::Answer {
        fields: vec![("content-type".into(), JSON.into())],
        body: ("a".repeat(70_000) + &"b".repeat(70_000)).into_bytes(),
        trailers: if request.target == "/" { vec![("x-sum".into(), "1".into())] } else { Vec::new() },
        ..Default::default()
    });
    let gateway = Gateway::start(&format!(
        "listeners:\n  secure:\n    address: 127.0.0.1:0\n    tls: {{ certificates: [{{ cert: {}, key: {} }}] }}\n\
         routes: {{ /**: {{ to: {}, compress: true }} }}",
        identity.certificate.display(),
        identity.key.display(),
        origin.url()
    ));
    let secure = gateway.listener("secure");
    let mut client = h2::Client::connect_tls(secure, &authority.connector(H2), "shop.example").expect("a handshake");
    for accept in ["gzip", "br", "zstd"] {
        for target in ["/", "/plain"] {
            let response = client.send(&Request::get(target).header("Accept-Encoding", accept));
            assert_eq!(plain(&response), "a".repeat(70_000) + &"b".repeat(70_000), "{target} {accept}");
        }
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_made_whole() {
    let origin =
        Origin::start(|_| Answer::ok("a".repeat(70_000)).header("Content-Type", JSON).cut_after(40_000, Ending::Close));
    let gateway = before(&origin.url(), "true");
    let mut client = gateway.connect();
    client.send_raw(&asking("gzip").bytes("a"));
    assert!(client.try_read("GET").is_err(), "a cut body was taken for a whole one");
}

#[test]
fn what_is_kept_is_compressed_once_for_each_coding() {
    let origin = Origin::start(|_| Answer::ok(text()).header("Content-Type", JSON).header("ETag", "\"v1\""));
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, cache: 1h, compress: true }} }}", origin.url()));
    let mut client = gateway.connect();
    assert_eq!(plain(&client.send(&asking("gzip"))), text(), "as it is fetched");
    let bytes = || gateway.metric("tollgate_cache_bytes", &[]);
    for coding in ["gzip", "br", "zstd"] {
        let before = bytes();
        let first = client.send(&asking(coding));
        assert_eq!((first.header("content-encoding"), plain(&first)), (Some(coding), text()));
        let length = first.body.len().to_string();
        assert_eq!(first.header("content-length"), Some(&*length), "its length is known");
        assert_eq!((first.header("etag"), first.header("vary")), (Some("W/\"v1\""), Some("Accept-Encoding")));
        assert_eq!(bytes() - before, first.body.len() as f64, "it is kept");
        let again = client.send(&asking(coding));
        assert!(again.body == first.body && bytes() - before == first.body.len() as f64, "once");
    }
    assert_eq!((client.send(&asking("identity")).text(), origin.requests().len()), (&*text(), 1));
    assert_eq!(gateway.metric("tollgate_cache_objects", &[]), 1.0);
    let same = client.send(&asking("gzip").header("If-None-Match", "W/\"v1\""));
    assert_eq!((same.status, same.header("etag"), same.body.len()), (304, Some("W/\"v1\""), 0));
    let part = client.send(&asking("gzip").header("Range", "bytes=0-9"));
    assert_eq!((part.status, part.header("content-encoding"), part.text()), (206, None, &text()[..10]));
    assert_eq!(part.header("etag"), Some("\"v1\""), "a part is one of the plain body");
    assert_eq!(part.header("vary"), Some("Accept-Encoding"), "RFC 9110 §15.3.7: as the whole says");
    let weak = client.send(&asking("gzip").header("Range", "bytes=0-9").header("If-Range", "W/\"v1\""));
    assert_eq!((weak.status, plain(&weak)), (200, text()), "RFC 9110 §13.1.5: a weak tag vouches for no bytes");
    let head = client.send(&Request::new("HEAD", "/").header("Accept-Encoding", "gzip"));
    assert_eq!((head.status, head.header("content-encoding"), head.body.len()), (200, Some("gzip"), 0));
    gateway.admin(Request::post("/cache/purge?everything", ""));
    assert_eq!(bytes(), 0.0);
}

#[test]
fn an_answer_that_is_kept_as_it_goes_out_is_compressed_to_its_end() {
    let origin = Origin::start(|request| {
        let answer = Answer::status(200).header("Content-Type", JSON).header("ETag", "\"v\"").header("Age", "9");
        let answer = answer.header("Cache-Control", "max-age=1");
        match (request.target.as_str(), request.header("if-none-match")) {
            (_, Some(_)) => Answer::status(304).header("Cache-Control", "max-age=1").header("Age", "9"),
            ("/chunked", _) => answer.body(text()).body("end").chunked(),
            _ => answer.body(text()).body("end"),
        }
    });
    let gateway =
        Gateway::start(&format!("routes: {{ /**: {{ to: {}, cache: {{}}, compress: true }} }}", origin.url()));
    let mut client = gateway.connect();
    for target in ["/chunked", "/length"] {
        for accept in ["gzip", "br", "zstd", "gzip"] {
            let response = client.send(&Request::get(target).header("Accept-Encoding", accept));
            assert_eq!(plain(&response), text() + "end", "{target} {accept} {:?}", response.header("cache-status"));
        }
    }
}

#[test]
fn what_is_kept_and_long_or_changed_otherwise_is_compressed_as_it_goes_out() {
    let long = text().repeat(30);
    let sent = long.clone();
    let origin = Origin::start(move |_| Answer::ok(sent.clone()).header("Content-Type", JSON));
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, cache: 1h, compress: true }} }}", origin.url()));
    for _ in 0..3 {
        let response = gateway.send(&asking("gzip"));
        assert!(plain(&response) == long && response.header("content-length").is_none());
    }
    assert_eq!(origin.requests().len(), 1);
}
