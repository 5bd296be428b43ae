//! Certificates and both ends of TLS.

use crate::support::client::{Client, Request};
use crate::support::origin::{Answer, Origin};
use crate::support::tls::{Authority, H1};

fn get() -> Request {
    Request::get("/").unidentified()
}

#[test]
fn verifies_names_wildcards_and_addresses() {
    let authority = Authority::new();
    let identity = authority.server("server", &["a.example", "*.b.example", "127.0.0.1"]);
    let origin = Origin::start_tls(authority.acceptor(&identity, H1), Answer::echo);
    let tls = authority.connector(H1);
    for name in ["a.example", "x.b.example", "127.0.0.1"] {
        let mut client = Client::connect_tls(origin.address(), &tls, name).expect(name);
        assert_eq!(client.send(&get()).json()["headers"][0][1], name);
    }
    for name in ["b.example", "x.a.example", "x.y.b.example"] {
        assert!(Client::connect_tls(origin.address(), &tls, name).is_err(), "{name}");
    }
    assert!(origin.url().starts_with("https://"));
    assert!(identity.key.starts_with(authority.folder()));
}

#[test]
fn trusts_only_its_own_authority() {
    let authority = Authority::new();
    let identity = authority.server("server", &["a.example"]);
    let origin = Origin::start_tls(authority.acceptor(&identity, H1), Answer::echo);
    assert!(Client::connect_tls(origin.address(), &Authority::new().connector(H1), "a.example").is_err());
}

#[test]
fn shows_a_client_certificate_to_those_who_ask() {
    let authority = Authority::new();
    let identity = authority.server("server", &["a.example"]);
    let origin = Origin::start_tls(authority.strict_acceptor(&identity, H1), Answer::echo);
    let shown = authority.connector_as(H1, Some(&authority.client("alice")));
    let mut client = Client::connect_tls(origin.address(), &shown, "a.example").expect("a handshake");
    assert_eq!(client.send(&get()).status, 200);
    // With TLS 1.3 the refusal comes after the client's own handshake.
    if let Ok(mut client) = Client::connect_tls(origin.address(), &authority.connector(H1), "a.example") {
        client.send_raw(&get().bytes("a.example"));
        assert!(client.try_read("GET").is_err());
    }
}
