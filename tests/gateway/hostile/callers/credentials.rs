//! Credentials written oddly, twice, or in none of the ways that are asked for.

use serde_json::json;

use super::{KEY, OTHER, keys, named, raw};
use crate::support::client::{Request, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::tokens::{Signer, jwks, now};

#[test]
fn a_credential_written_oddly_is_refused_or_read_as_it_is() {
    let origin = Origin::echo();
    let routes = format!("routes: {{ /**: {{ auth: keys, to: {} }} }}\n", origin.url());
    let gateway = Gateway::start(&format!("{}{routes}", keys("{ header: Authorization, query: k, cookie: c }")));
    let own = format!("Authorization: ApiKey {KEY}\r\n");
    let good = [
        own.clone(),
        format!("aUTHORIZATION:ApiKey   {KEY}  \r\n"),
        format!("Authorization: apikey {KEY}\r\n"),
        format!("Cookie: a=1; c={KEY}\r\n"),
    ];
    for fields in good {
        assert_eq!(
            raw(&gateway, &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n")),
            Some(200),
            "{fields}"
        );
        assert_eq!(named(&origin.only_request(), "x-consumer-id"), ["acme"]);
        assert!(!format!("{:?}", origin.requests()).contains(KEY), "{fields}");
        origin.forget();
    }
    let bad = [
        format!("{own}Authorization: ApiKey {OTHER}\r\n"),
        format!("{own}{own}"),
        format!("{own}Authorization:\r\n"),
        format!("{own}authorization: Basic eA==\r\n"),
        format!("{own}Cookie: c={OTHER}\r\n"),
        format!("{own}Cookie: c=\r\n"),
        format!("Cookie: c={KEY}\r\nCookie: c={OTHER}\r\n"),
        format!("Cookie: c={KEY}; c={KEY}\r\n"),
        format!("Authorization : ApiKey {KEY}\r\n"),
        format!("Authorization\t: ApiKey {KEY}\r\n"),
        format!(" Authorization: ApiKey {KEY}\r\n"),
        format!("Authorization: ApiKey\r\n {KEY}\r\n"),
        format!("X-A: b\r\n\tAuthorization: ApiKey {KEY}\r\n"),
        format!("Authorization: ApiKey {KEY}, ApiKey {OTHER}\r\n"),
        format!("Authorization: ApiKey\t{KEY}\r\n"),
        format!("Authorization: ApiKey \"{KEY}\"\r\n"),
        format!("Authorization: ApiKey{KEY}\r\n"),
        format!("Authorization: {KEY}\r\n"),
        format!("Authorization: ApiKey {KEY}\0\r\n"),
        format!("Authorization: ApiKey {KEY}\rX: y\r\n"),
        format!("Proxy-Authorization: ApiKey {KEY}\r\n"),
        format!("Authorization_: ApiKey {KEY}\r\n"),
        format!("Cookie: C={KEY}\r\n"),
        format!("Cookie: c=\"{KEY}\"\r\n"),
        format!("Cookie: c%3d{KEY}\r\n"),
        format!("Cookie2: c={KEY}\r\n"),
        format!("X-API-Key: {KEY}\r\n"),
    ];
    for fields in bad {
        let status = raw(&gateway, &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"));
        assert!(matches!(status, None | Some(400 | 401)), "{fields:?}: {status:?}");
    }
    for query in
        ["k=A&k=B", "k=A&%6b=A", "K=A", "k%00=A", "k[]=A", "k=A%00", "k=A%20", "k=A&k", "x=k=A", "k;=A", ";k=A"]
    {
        let target = format!("/?{}", query.replace('A', KEY).replace('B', OTHER));
        let status = raw(&gateway, &format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        assert!(matches!(status, None | Some(400 | 401)), "{query}: {status:?}");
    }
    // Over HTTP/2 cookies may come in crumbs (RFC 9113 §8.2.3): all of them count.
    let crumbs = |values: &[&str]| {
        let request = values.iter().fold(Request::get("/"), |request, value| request.header("cookie", value));
        h2::Client::connect(gateway.listener("clear")).send(&request).status
    };
    let (mine, other) = (format!("c={KEY}"), format!("c={OTHER}"));
    assert_eq!(crumbs(&["a=1", &mine, "b=2"]), 200);
    assert_eq!([crumbs(&[&mine, &other]), crumbs(&[&mine, "a=1", &mine])], [400, 400]);
    assert_eq!(origin.requests().len(), 1);
}

/// Two ways in, each with a credential: one caller, and neither credential goes on.
#[test]
fn of_two_good_credentials_one_counts_and_none_goes_on() {
    let (origin, signer) = (Origin::echo(), Signer::new("EdDSA").named("one"));
    let auth = format!("auth: {{ idp: {{ jwt: {{ jwks: {} }} }}, ", jwks(&[&signer]));
    let gateway = Gateway::start(&format!(
        "{}routes: {{ /**: {{ auth: [keys, idp], allow: {{ group: staff }}, to: {} }} }}\n",
        keys("{}").replace("auth: { ", &auth),
        origin.url()
    ));
    let token = signer.token(&json!({ "sub": "admin", "exp": now() + 600 }));
    let send = |key: &str, token: &str| {
        let request = Request::get("/").header("X-API-Key", key);
        gateway.send(&request.header("Authorization", &format!("Bearer {token}"))).status
    };
    // The key is asked for first: whoever it names is judged, not who of the two may do more.
    assert_eq!(
        [send(KEY, &token), send(OTHER, &token), send("not-a-known-key", &token), send(OTHER, "x")],
        [403, 200, 200, 200]
    );
    for request in origin.requests() {
        assert_eq!((request.header("x-api-key"), request.header("authorization")), (None, None));
        assert_eq!(named(&request, "x-consumer-id"), ["admin"]);
    }
}

#[test]
fn no_protocol_and_no_way_of_sending_a_body_passes_without_a_credential() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{}routes: {{ /**: {{ auth: keys, to: {} }} }}\n", keys("{}"), origin.url()));
    let requests = [
        Request::get("/")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13"),
        Request::get("/")
            .header("Connection", "Upgrade, HTTP2-Settings")
            .header("Upgrade", "h2c")
            .header("HTTP2-Settings", "AAMAAABkAAQAAP__"),
        Request::get("/").header("Accept", "text/event-stream"),
        Request::post("/", "a").header("Expect", "100-continue"),
        Request::post("/", "a").header("Content-Type", "application/grpc-web+proto"),
        Request::new("POST", "/").chunks(&["a", "b"]),
        Request::get("/").header("Range", "bytes=0-1"),
        Request::get("/").header("Cache-Control", "only-if-cached"),
    ];
    for request in requests {
        let answer = gateway.send(&request);
        let refused = answer.status == 401 || answer.header("grpc-status") == Some("16");
        assert!(refused, "{request:?}: {answer:?}");
    }
    let call =
        Request::post("/a.B/C", "\0\0\0\0\0").header("content-type", "application/grpc").header("te", "trailers");
    let answer = h2::Client::connect(gateway.listener("clear")).send(&call);
    assert_eq!((answer.status, answer.header("grpc-status")), (200, Some("16")));
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
}
