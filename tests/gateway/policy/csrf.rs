//! `csrf:` over real sockets; the whole table is in the policy's own tests.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

fn gateway(origin: &Origin, csrf: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /**: {{ csrf: {csrf}, to: {} }} }}", origin.url()))
}

fn post(fields: &[(&str, &str)]) -> Request {
    fields.iter().fold(Request::post("/transfer", "x"), |request, (name, value)| request.header(name, value))
}

#[test]
fn a_forged_request_never_reaches_the_upstream() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "true");
    let forged = gateway.send(&post(&[("Cookie", "a=b"), ("Sec-Fetch-Site", "cross-site")]));
    assert_eq!((forged.status, forged.json()["type"].as_str()), (403, Some("urn:tollgate:problem:csrf-denied")));
    assert_eq!(gateway.send(&post(&[("Cookie", "a=b"), ("Origin", "http://evil.example")])).status, 403);
    assert_eq!(gateway.send(&post(&[("Cookie", "a=b")])).status, 403);
    assert!(origin.requests().is_empty());
    let own = format!("http://{}", gateway.address());
    for fields in [
        &[("Cookie", "a=b"), ("Sec-Fetch-Site", "same-origin")][..],
        &[("Cookie", "a=b"), ("Origin", &own)],
        &[("Cookie", "a=b"), ("Authorization", "Bearer t"), ("Sec-Fetch-Site", "cross-site")],
        &[("Sec-Fetch-Site", "cross-site")],
    ] {
        assert_eq!(gateway.send(&post(fields)).status, 200, "{fields:?}");
    }
    let read = Request::get("/").header("Cookie", "a=b").header("Sec-Fetch-Site", "cross-site");
    assert_eq!(gateway.send(&read).status, 200);
}

#[test]
fn listed_origins_and_headers_pass_and_a_shadow_refuses_nobody() {
    let origin = Origin::echo();
    let listed = gateway(&origin, "{ origins: https://app.example, headers: X-Own }");
    let from = |origin: &'static str| [("Cookie", "a=b"), ("Sec-Fetch-Site", "cross-site"), ("Origin", origin)];
    assert_eq!(listed.send(&post(&from("https://app.example"))).status, 200);
    assert_eq!(listed.send(&post(&from("https://app.example.evil.example"))).status, 403);
    assert_eq!(listed.send(&post(&[("Cookie", "a=b"), ("X-Own", "1")])).status, 200);
    assert_eq!(listed.send(&post(&[("Cookie", "a=b"), ("X-API-Key", "1")])).status, 403);
    let shadow = gateway(&origin, "{ mode: shadow }");
    assert_eq!(shadow.send(&post(&from("https://evil.example"))).status, 200);
    shadow.await_metric("tollgate_csrf_shadowed_total", &[], 1.0);
}

#[test]
fn a_websocket_of_another_site_is_refused() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "true");
    let handshake = |site: &str| {
        Request::get("/chat")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Cookie", "a=b")
            .header("Origin", site)
    };
    assert_eq!(gateway.send(&handshake("https://evil.example")).status, 403);
    assert!(origin.requests().is_empty());
}
