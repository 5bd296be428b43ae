//! HTTP/2 at both ends.

use crate::support::client::Request;
use crate::support::client::h2::Client;
use crate::support::origin;
use crate::support::origin::h2::{Answer, Origin};
use crate::support::tls::{Authority, H1, H2};

fn echo(request: &origin::Request) -> Answer {
    Answer { body: request.to_json().to_string().into(), ..Answer::default() }
}

#[test]
fn many_streams_share_a_connection() {
    let origin = Origin::start(echo);
    let requests: Vec<_> = (0..20).map(|n| Request::post(&format!("/{n}"), "body").unidentified()).collect();
    let responses = Client::connect(origin.address()).send_all(&requests);
    for (n, response) in responses.into_iter().enumerate() {
        assert_eq!(response.expect("a response").json()["target"], format!("/{n}"));
    }
    assert_eq!((origin.connections(), origin.requests().len()), (1, 20));
    assert!(origin.url().starts_with("h2c://"));
}

#[test]
fn trailers_and_resets_arrive() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/reset" => Answer { reset: Some(::h2::Reason::ENHANCE_YOUR_CALM), ..Answer::default() },
        _ => Answer { trailers: vec![("grpc-status".into(), "0".into())], ..Answer::default() },
    });
    let mut client = Client::connect(origin.address());
    let response = client.send(&Request::get("/").unidentified());
    assert_eq!(response.trailers, [("grpc-status".into(), "0".into())]);
    let failure = client.try_send(&Request::get("/reset").unidentified()).expect_err("a reset");
    assert!(failure.contains("excessive load"), "{failure}");
}

#[test]
fn tls_chooses_http_2_by_alpn() {
    let authority = Authority::new();
    let identity = authority.server("server", &["a.example"]);
    let origin = Origin::start_tls(authority.acceptor(&identity, H2), echo);
    let mut client = Client::connect_tls(origin.address(), &authority.connector(H2), "a.example").expect("HTTP/2");
    assert_eq!(client.send(&Request::get("/x").unidentified()).json()["version"], "HTTP/2.0");
    assert!(Client::connect_tls(origin.address(), &authority.connector(H1), "a.example").is_err());
}
