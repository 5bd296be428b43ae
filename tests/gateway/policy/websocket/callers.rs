//! Who may open a connection: tokens among the subprotocols, origins, and how many at once.

use super::{gateway, joined};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::socket::{Socket, Upstream};
use crate::support::tokens::{Signer, base64url, now};
use crate::support::wait::until;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn guarded(upstream: &Upstream, auth: &str) -> Gateway {
    Gateway::start(&format!(
        "auth: {{ idp: {{ jwt: {{ key: {{ value: {SECRET}, insecure_inline: true }} }} }} }}\n\
         routes: {{ /chat: {{ auth: {auth}, to: \"{}\", websocket: true }} }}",
        upstream.url()
    ))
}

fn token() -> String {
    Signer::with_secret(SECRET.as_bytes()).token(&serde_json::json!({ "sub": "acme", "exp": now() + 600 }))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(':').filter(|(known, _)| known.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value.trim())
}

#[test]
fn a_browsers_token_among_the_subprotocols_is_a_credential_and_ends_here() {
    let upstream = Upstream::start("");
    let gateway = guarded(&upstream, "idp");
    let token = token();
    let coded = format!("base64url.bearer.authorization.shop.{}", base64url(&token));
    for (offered, goes_on, answered) in [
        (format!("bearer, {token}"), None, Some("bearer")),
        (format!("chat, Bearer, {token}"), Some("chat"), Some("Bearer")),
        (format!("{coded}, chat, v2"), Some("chat, v2"), None),
    ] {
        let mut client = Socket::connect(gateway.address(), "/chat", &[("Sec-WebSocket-Protocol", &offered)]);
        let mut service = upstream.next();
        assert_eq!(field(&service.head, "sec-websocket-protocol"), goes_on, "{}", service.head);
        assert_eq!(field(&service.head, "x-consumer-id"), Some("acme"));
        assert!(!service.head.contains(&token) && !service.head.contains(&base64url(&token)), "{}", service.head);
        assert_eq!(field(&client.head, "sec-websocket-protocol"), answered, "{}", client.head);
        client.send(0x81, b"hello");
        assert_eq!(service.text(), "hello");
    }
}

#[test]
fn the_upstreams_own_choice_of_a_subprotocol_is_the_answer() {
    let upstream = Upstream::start("Sec-WebSocket-Protocol: chat\r\n");
    let gateway = guarded(&upstream, "idp");
    let offered = format!("bearer, {}, chat", token());
    let client = Socket::connect(gateway.address(), "/chat", &[("Sec-WebSocket-Protocol", &offered)]);
    assert_eq!(field(&client.head, "sec-websocket-protocol"), Some("chat"), "{}", client.head);
}

#[test]
fn credentials_go_upstream_where_they_are_to_in_the_usual_place() {
    let upstream = Upstream::start("");
    let gateway = guarded(&upstream, "{ any: idp, forward_credentials: true }");
    let token = token();
    let offered = format!("bearer, {token}");
    let _client = Socket::connect(gateway.address(), "/chat", &[("Sec-WebSocket-Protocol", &offered)]);
    let service = upstream.next();
    assert_eq!(field(&service.head, "authorization"), Some(&*format!("Bearer {token}")), "{}", service.head);
    assert_eq!(field(&service.head, "sec-websocket-protocol"), None);
}

#[test]
fn a_bad_token_or_two_of_them_open_nothing() {
    let upstream = Upstream::start("");
    let gateway = guarded(&upstream, "idp");
    let token = token();
    let protocol = |value: &str| ("Sec-WebSocket-Protocol", value.to_owned());
    for (status, fields) in [
        (401, vec![]),
        (401, vec![protocol("chat")]),
        (401, vec![protocol("bearer, abc")]),
        (401, vec![protocol("bearer")]),
        (400, vec![protocol(&format!("bearer, {token}, bearer, {token}"))]),
        (400, vec![protocol(&format!("bearer, {token}")), ("Authorization", format!("Bearer {token}"))]),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let socket = Socket::ask(gateway.address(), "/chat", &fields);
        assert!(socket.head.starts_with(&format!("HTTP/1.1 {status} ")), "{fields:?}: {}", socket.head);
    }
}

#[test]
fn pages_of_other_sites_do_not_connect_with_the_cookies_of_this_one() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "true");
    let own = format!("http://{}", "shop.example");
    for (status, fields) in [
        (101, vec![("Cookie", "session=1"), ("Origin", &own)]),
        (403, vec![("Cookie", "session=1"), ("Origin", "http://evil.example")]),
        (101, vec![("Origin", "http://evil.example")]),
        (101, vec![("Cookie", "session=1")]),
    ] {
        let socket = Socket::ask(gateway.address(), "/chat", &fields);
        assert!(socket.head.starts_with(&format!("HTTP/1.1 {status} ")), "{fields:?}: {}", socket.head);
    }
    gateway.await_metric("tollgate_refusals_total", &["origin-denied"], 1.0);
}

#[test]
fn listed_origins_connect_and_no_others() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ origins: [\"https://app.example\"] }");
    for (status, origin) in [(101, "https://app.example"), (101, "http://shop.example"), (403, "https://evil.example")]
    {
        let socket = Socket::ask(gateway.address(), "/chat", &[("Origin", origin)]);
        assert!(socket.head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {}", socket.head);
    }
}

#[test]
fn so_many_connections_are_open_at_once_and_the_next_is_refused_until_one_ends() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ connections: [2 per client, 100] }");
    let (one, _service) = joined(&gateway, &upstream);
    let _two = joined(&gateway, &upstream);
    let refused = Socket::ask(gateway.address(), "/chat", &[]);
    assert!(refused.head.starts_with("HTTP/1.1 429 "), "{}", refused.head);
    assert!(field(&refused.head, "retry-after").is_some(), "{}", refused.head);
    drop(one);
    until("a place is free", || Socket::ask(gateway.address(), "/chat", &[]).head.starts_with("HTTP/1.1 101 "));
    // Plain requests are no connections.
    let plain = gateway.send(&Request::get("/chat").header("Connection", "close"));
    assert_ne!(plain.status, 429);
}
