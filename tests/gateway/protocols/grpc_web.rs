//! gRPC-Web clients before services that speak gRPC (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md>).

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tollgate::server::{Gateway, Sockets, Source};

use super::cart::Cart;
use crate::support::client::{self, Client, Request, Response, h2};
use crate::support::origin::h2::{Answer, Origin};
use crate::support::origin::{self, Answer as H1Answer, Origin as H1Origin};
use crate::support::wire::{Fields, values};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";
pub const METHOD: &str = "/shop.Cart/Add";

/// What every call of a service that succeeds ends with.
const OK: &str = "grpc-status: 0\r\ngrpc-message: all%20well\r\n";

/// A gateway before one service.
pub struct Front(Arc<Gateway>);

impl Front {
    /// Every method of the cart.
    pub fn before(url: &str) -> Self {
        Self::at("/shop.Cart/{method}", url)
    }

    /// That path, over HTTP/1.1 and over HTTP/2 in clear text.
    pub fn at(path: &str, url: &str) -> Self {
        let text = format!(
            "listeners:\n  main: {{ address: 127.0.0.1:0 }}\n  h2c: {{ address: 127.0.0.1:0, protocols: [h2c] }}\n\
             admin: 127.0.0.1:0\naccess_log: \"off\"\nserver: {{ threads: 1 }}\n\
             routes:\n  POST {path}: {{ to: {url}, body_limit: 64KiB }}\n"
        );
        let source = Source::Text { name: "test".into(), text };
        let loaded = source.load().unwrap_or_else(|problems| panic!("{problems}"));
        let started = Gateway::start(source, loaded, Sockets::default());
        Self(started.unwrap_or_else(|error| panic!("{error}")))
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.0.address(listener).expect("a listener")
    }

    /// The same request over HTTP/1.1 and over HTTP/2.
    #[track_caller]
    fn send_both(&self, request: &Request) -> [Response; 2] {
        [client::send(self.address("main"), request), h2::Client::connect(self.address("h2c")).send(request)]
    }

    /// The same request over HTTP/1.1 and over HTTP/2: what comes back must not differ.
    #[track_caller]
    fn send(&self, request: &Request) -> Response {
        let [over_h1, over_h2] = self.send_both(request);
        assert_eq!((over_h1.status, &over_h1.body), (over_h2.status, &over_h2.body));
        for name in ["content-type", "grpc-status", "grpc-message"] {
            assert_eq!(over_h1.header(name), over_h2.header(name), "{name}");
        }
        assert_eq!((&over_h1.trailers, &over_h2.trailers), (&Fields::new(), &Fields::new()));
        over_h1
    }
}

pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("a length");
    [&[flag], length.to_be_bytes().as_slice(), message].concat()
}

pub fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect()
}

/// A gRPC service that sends back what it gets.
fn echo(request: &origin::Request) -> Answer {
    Answer {
        fields: fields(&[("content-type", request.header("content-type").unwrap_or("none"))]),
        body: request.body.clone(),
        trailers: fields(&[("grpc-status", "0"), ("grpc-message", "all%20well")]),
        ..Answer::default()
    }
}

fn call(content_type: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(METHOD, body).header("Content-Type", content_type).header("X-Grpc-Web", "1")
}

/// The pieces of a text body, each padded for itself, decoded and joined.
fn decoded(text: &[u8]) -> Vec<u8> {
    text.chunks(4).flat_map(|quad| STANDARD.decode(quad).expect("base64")).collect()
}

#[test]
fn a_binary_call_is_answered_with_its_trailers_in_the_body() {
    let service = Origin::start(echo);
    let response = Front::before(&service.url()).send(&call(BINARY, frame(0, b"hello")));
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some(BINARY));
    assert_eq!(response.body, [frame(0, b"hello"), frame(0x80, OK.as_bytes())].concat());
}

#[test]
fn a_text_call_is_decoded_for_the_service_and_its_answer_encoded() {
    let service = Origin::start(echo);
    let request = call(TEXT, STANDARD.encode(frame(0, b"hello"))).header("Accept", TEXT);
    let response = Front::before(&service.url()).send(&request);
    assert_eq!(response.header("content-type"), Some(TEXT));
    assert_eq!(decoded(&response.body), [frame(0, b"hello"), frame(0x80, OK.as_bytes())].concat());
    assert!(service.requests().iter().all(|request| request.body == frame(0, b"hello")));
}

#[test]
fn the_service_sees_a_grpc_request() {
    let service = Origin::start(echo);
    let front = Front::before(&service.url());
    for (web, grpc) in [(BINARY, "application/grpc+proto"), (TEXT, "application/grpc")] {
        front.send(&call(web, STANDARD.encode(frame(0, b""))).header("Grpc-Timeout", "2S"));
        for request in service.requests().iter().rev().take(2) {
            assert_eq!(request.version, "HTTP/2.0");
            assert_eq!(request.header("content-type"), Some(grpc));
            assert_eq!(request.header("te"), Some("trailers"));
            assert!(is_less_than(request.header("grpc-timeout"), 2.0), "{:?}", request.header("grpc-timeout"));
        }
    }
}

#[test]
fn a_client_that_accepts_text_gets_text_for_a_binary_request() {
    let service = Origin::start(echo);
    let request = call(BINARY, frame(0, b"x")).header("Accept", "application/grpc-web-text+proto");
    let response = Front::before(&service.url()).send(&request);
    assert_eq!(response.header("content-type"), Some("application/grpc-web-text+proto"));
    assert_eq!(decoded(&response.body), [frame(0, b"x"), frame(0x80, OK.as_bytes())].concat());
}

#[test]
fn base64_cut_at_every_boundary_reaches_the_service_whole() {
    let service = Origin::start(echo);
    let front = Front::before(&service.url());
    let mut client = Client::connect(front.address("main"));
    // Two pieces encoded apart, the first with padding in mid-stream.
    let text = STANDARD.encode(frame(0, b"")) + &STANDARD.encode(b"and the rest");
    let sent = [frame(0, b""), b"and the rest".to_vec()].concat();
    for cut in 0..=text.len() {
        let (first, second) = text.split_at(cut);
        let request = Request::new("POST", METHOD).header("Content-Type", TEXT).chunks(&[first, second]);
        assert_eq!(client.send(&request).status, 200, "{cut}");
        let received = service.requests().pop().expect("a request");
        assert_eq!(received.body, sent, "{cut}");
    }
}

#[test]
fn what_is_not_base64_is_a_bad_request() {
    let service = Origin::start(echo);
    let front = Front::before(&service.url());
    for body in ["A", "AAAAA", "AAA", "AA==A", "=AAA", "!!!!", "AAAA\r\nAAA", "\0\0\0\0"] {
        for response in front.send_both(&call(TEXT, body)) {
            assert_eq!((response.status, response.header("grpc-status")), (400, None), "{body:?}");
            assert_eq!(response.json()["type"], "urn:tollgate:problem:bad-request", "{body:?}");
        }
    }
    assert!(service.requests().is_empty(), "no service takes half a request for a whole one");
}

#[test]
fn a_status_in_the_head_stays_there() {
    let service = Origin::start(|_| Answer {
        fields: fields(&[("content-type", "application/grpc"), ("grpc-status", "5"), ("grpc-message", "no%20cart")]),
        ..Answer::default()
    });
    let front = Front::before(&service.url());
    for (web, answered) in [(BINARY, "application/grpc-web"), (TEXT, TEXT)] {
        let response = front.send(&call(web, STANDARD.encode(frame(0, b""))));
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some(answered));
        assert_eq!(response.header("grpc-status"), Some("5"));
        assert_eq!(response.header("grpc-message"), Some("no%20cart"));
        assert_eq!(response.body, b"");
    }
}

#[test]
fn a_status_in_trailers_alone_is_one_frame() {
    let service = Origin::start(|_| Answer {
        fields: fields(&[("content-type", "application/grpc")]),
        trailers: fields(&[("grpc-status", "7")]),
        ..Answer::default()
    });
    let response = Front::before(&service.url()).send(&call(BINARY, frame(0, b"")));
    assert_eq!(response.header("grpc-status"), None);
    assert_eq!(response.body, frame(0x80, b"grpc-status: 7\r\n"));
}

#[test]
fn an_answer_that_is_no_grpc_passes_as_it_is() {
    let service = Origin::start(|_| Answer {
        status: 404,
        fields: fields(&[("content-type", "text/plain")]),
        body: b"not here".into(),
        ..Answer::default()
    });
    let response = Front::before(&service.url()).send(&call(TEXT, STANDARD.encode(frame(0, b""))));
    assert_eq!((response.status, response.text()), (404, "not here"));
    assert_eq!(response.header("content-type"), Some("text/plain"));
}

#[test]
fn a_service_over_http_1_speaks_grpc_web_itself() {
    let service = H1Origin::start(|request| {
        H1Answer::ok(request.body.clone()).header("Content-Type", request.header("content-type").unwrap_or_default())
    });
    let front = Front::before(&service.url());
    let body = STANDARD.encode(frame(0, b"hello"));
    let response = front.send(&call(TEXT, body.as_str()));
    assert_eq!((response.header("content-type"), response.text()), (Some(TEXT), body.as_str()));
    let received = service.requests().pop().expect("a request");
    assert_eq!((received.header("content-type"), received.header("te")), (Some(TEXT), None));
}

#[test]
fn a_refusal_is_a_grpc_status_in_the_head() {
    let service = Origin::start(echo);
    let front = Front::before(&service.url());
    let lost = |kind: &str| Request::post("/shop.Cart/Lose/It", "").header("Content-Type", kind);
    for kind in [BINARY, TEXT] {
        let response = front.send(&lost(kind));
        assert_eq!((response.status, response.header("content-type")), (200, Some(kind)));
        assert_eq!(response.header("grpc-status"), Some("12"), "no such method");
        assert_eq!(response.header("grpc-message"), Some("Nothing is published at this host and path."));
        assert_eq!(response.body, b"");
    }
}

#[test]
fn a_body_over_the_limit_is_a_grpc_status() {
    let service = Origin::start(echo);
    let response = client::send(
        Front::before(&service.url()).address("main"),
        &call(TEXT, STANDARD.encode(frame(0, &[0; 64 * 1024]))),
    );
    assert_eq!((response.status, response.header("grpc-status")), (200, Some("8")));
}

#[test]
fn a_service_that_is_away_is_unavailable() {
    let address = crate::support::ports::free();
    let response = Front::before(&format!("grpc://{address}")).send(&call(BINARY, frame(0, b"")));
    assert_eq!((response.status, response.header("content-type")), (200, Some(BINARY)));
    assert_eq!(response.header("grpc-status"), Some("14"));
}

#[test]
fn a_service_that_resets_the_stream_is_unavailable() {
    let service = Origin::start(|_| Answer { reset: Some(::h2::Reason::INTERNAL_ERROR), ..Answer::default() });
    let response = Front::before(&service.url()).send(&call(BINARY, frame(0, b"")));
    assert_eq!((response.status, response.header("grpc-status")), (200, Some("14")));
}

#[test]
fn a_large_message_comes_back_whole() {
    let service = Origin::start(echo);
    let message: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let response = Front::before(&service.url()).send(&call(TEXT, STANDARD.encode(frame(0, &message))));
    assert_eq!(decoded(&response.body), [frame(0, &message), frame(0x80, OK.as_bytes())].concat());
}

#[test]
fn a_service_on_tonic_is_called_both_ways() {
    let cart = Cart::start();
    let front = Front::before(&cart.url());
    let binary = front.send(&call(BINARY, frame(0, b"two apples")));
    assert_eq!(binary.body, [frame(0, b"two apples"), frame(0x80, b"grpc-status: 0\r\n")].concat());
    let text = front.send(&call(TEXT, STANDARD.encode(frame(0, b"two apples"))));
    assert_eq!(decoded(&text.body), binary.body);
}

#[test]
fn the_errors_of_a_service_on_tonic_arrive() {
    let cart = Cart::start();
    let front = Front::before(&cart.url());
    let refused = front.send(&call(BINARY, frame(0, b"")));
    assert_eq!((refused.header("grpc-status"), refused.body.len()), (Some("3"), 0));
    assert_eq!(refused.header("grpc-message"), Some("an%20empty%20item:%20%C3%BC"));
    let unknown = Request::post("/shop.Cart/Lose", frame(0, b"")).header("Content-Type", BINARY);
    assert_eq!(front.send(&unknown).header("grpc-status"), Some("12"));
}

#[test]
fn every_message_of_a_stream_is_passed_on_at_once() {
    for (kind, encode) in [(BINARY, Bytes::from as fn(Vec<u8>) -> Bytes), (TEXT, |frame| STANDARD.encode(frame).into())]
    {
        let mut cart = Cart::start();
        let front = Front::before(&cart.url());
        let mut client = Client::connect(front.address("main"));
        let request = Request::post("/shop.Cart/Watch", encode(frame(0, b"from now"))).header("Content-Type", kind);
        client.send_raw(&request.bytes("shop"));
        let (status, fields) = client.read_head();
        assert_eq!((status, values(&fields, "transfer-encoding").as_slice()), (200, ["chunked"].as_slice()));
        let mut received = Vec::new();
        for message in [b"first".as_slice(), b"second"] {
            cart.send(message);
            await_bytes(&mut client, &mut received, &encode(frame(0, message)));
        }
        cart.end(Some(tonic::Status::aborted("closed")));
        let status = frame(0x80, b"grpc-status: 10\r\ngrpc-message: closed\r\n");
        await_bytes(&mut client, &mut received, &encode(status));
        await_bytes(&mut client, &mut received, b"0\r\n\r\n");
    }
}

/// Reads until those bytes are among what was received, and forgets what came before their end.
#[track_caller]
fn await_bytes(client: &mut Client, received: &mut Vec<u8>, expected: &[u8]) {
    let end = loop {
        if let Some(at) = memchr::memmem::find(received, expected) {
            break at + expected.len();
        }
        let more = client.read_some();
        assert!(!more.is_empty(), "closed after {:?}", String::from_utf8_lossy(received));
        received.extend(more);
    };
    received.drain(..end);
}

#[test]
fn grpc_itself_passes_with_its_trailers() {
    let service = Origin::start(echo);
    let front = Front::before(&service.url());
    let request = call("application/grpc", frame(0, b"x")).header("TE", "trailers").header("Grpc-Timeout", "100m");
    let response = h2::Client::connect(front.address("h2c")).send(&request);
    assert_eq!(response.body, frame(0, b"x"));
    assert_eq!(values(&response.trailers, "grpc-status"), ["0"]);
    let received = service.requests().pop().expect("a request");
    assert_eq!(received.header("te"), Some("trailers"));
    assert!(is_less_than(received.header("grpc-timeout"), 0.1), "{:?}", received.header("grpc-timeout"));
}

/// Whether a `grpc-timeout` is above nothing and below so many seconds: what the request has taken is taken off.
fn is_less_than(timeout: Option<&str>, seconds: f64) -> bool {
    let Some((count, unit)) = timeout.and_then(|timeout| timeout.split_at_checked(timeout.len() - 1)) else {
        return false;
    };
    let unit = match unit {
        "S" => 1.0,
        "m" => 1e-3,
        "u" => 1e-6,
        "n" => 1e-9,
        _ => return false,
    };
    count.parse::<f64>().is_ok_and(|count| count > 0.0 && count * unit < seconds)
}
