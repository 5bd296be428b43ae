//! Routes that are told apart by what is in a body: `match.body`, over real sockets.

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use std::thread;

const JSON: &str = "application/json";

/// Two upstreams, one for express orders, and what they got.
struct Shop {
    express: Origin,
    other: Origin,
    gateway: Gateway,
}

impl Shop {
    fn new(listen: &str, rest: &str) -> Self {
        let answer = |name: &'static str| {
            Origin::start(move |request| Answer::ok(format!("{name} {}", request.body.len())).header("X-Got", name))
        };
        let (express, other) = (answer("express"), answer("other"));
        let gateway = Gateway::start(&format!(
            "{listen}routes:\n  POST,PUT /orders:\n    - {{ match: {{ body: {{ /order/type: express }} }}, to: {}{rest} }}\n    \
             - {{ to: {}{rest} }}\n",
            express.url(),
            other.url()
        ));
        Self { express, other, gateway }
    }

    fn post(&self, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        self.gateway.send(&Request::post("/orders", body).header("Content-Type", kind))
    }
}

fn order(kind: &str, padding: usize) -> String {
    format!("{{\"order\":{{\"type\":\"{kind}\"}},\"pad\":\"{}\"}}", "x".repeat(padding))
}

#[test]
fn json_chooses_the_route_and_arrives_whole() {
    let shop = Shop::new("", "");
    for (body, name) in [
        (order("express", 0), "express"),
        (order("express", 60_000), "express"),
        (order("slow", 0), "other"),
        ("{\"order\":{\"type\":[\"slow\",\"express\"]}}".into(), "express"),
        ("{\"order\":{\"type\":{\"express\":1}}}".into(), "other"),
        ("{\"order\":{\"type\":\"express\"},\"order\":{}}".into(), "other"),
        ("{\"order\":{\"type\":\"express\"}".into(), "other"),
        (String::new(), "other"),
    ] {
        let response = shop.post(JSON, body.clone());
        assert_eq!(response.text(), format!("{name} {}", body.len()), "{body:.60}");
        let chunks: Vec<&str> = vec![&body[..body.len() / 2], &body[body.len() / 2..]];
        let chunks: Vec<&str> = chunks.into_iter().filter(|chunk| !chunk.is_empty()).collect();
        let chunked = Request::new("POST", "/orders").header("Content-Type", JSON).chunks(&chunks);
        // Of a body without a length a little less is read.
        let expected =
            if body.len() > 48 * 1024 { format!("other {}", body.len()) } else { response.text().to_owned() };
        assert_eq!(shop.gateway.send(&chunked).text(), expected, "chunked {body:.60}");
    }
    let seen = shop.express.requests().remove(0);
    assert_eq!(String::from_utf8_lossy(&seen.body), order("express", 0));
    assert_eq!(shop.post("text/plain", order("express", 0)).header("x-got"), Some("other"));
    let coded = Request::post("/orders", order("express", 0)).header("Content-Type", JSON);
    assert_eq!(shop.gateway.send(&coded.header("Content-Encoding", "gzip")).header("x-got"), Some("other"));
}

#[test]
fn fields_of_forms_and_of_multipart_forms_choose_too() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  POST /f:\n    - {{ match: {{ body: {{ /type: {{ prefix: ex }} }} }}, respond: {{ body: express }} }}\n    \
         - {{ match: {{ body: {{ /type: {{ present: false }} }} }}, respond: {{ body: none }} }}\n    - {{ to: {} }}\n",
        origin.url()
    ));
    let send = |kind: &str, body: &str| {
        gateway.send(&Request::post("/f", body).header("Content-Type", kind)).text().to_owned()
    };
    assert_eq!(send("application/x-www-form-urlencoded", "a=1&type=e%78press"), "express");
    assert_eq!(send("application/x-www-form-urlencoded", "a=1"), "none");
    let part = "--b\r\nContent-Disposition: form-data; name=\"type\"\r\n\r\nexpress\r\n--b--\r\n";
    assert_eq!(send("multipart/form-data; boundary=b", part), "express");
    let file = "--b\r\nContent-Disposition: form-data; name=\"type\"; filename=\"f\"\r\n\r\nexpress\r\n--b--\r\n";
    assert_eq!(send("multipart/form-data; boundary=b", file), "none");
    assert_eq!(gateway.get("/f").status, 405);
    assert!(origin.requests().is_empty());
    assert!(send("text/plain", "type=express").contains("type=express"), "what is not read chooses nothing");
}

#[test]
fn bodies_larger_than_what_is_read_go_up_whole() {
    let shop = Shop::new("", ", body_limit: off, timeout: 60s");
    for size in [65_000, 65_536, 70_000, 10 << 20] {
        let body = order("express", size);
        let length = body.len();
        let name = if length <= 64 * 1024 { "express" } else { "other" };
        assert_eq!(shop.post(JSON, body.clone()).text(), format!("{name} {length}"), "{size}");
        for piece in [100, 40_000, length] {
            if length / piece > 4_000 {
                continue;
            }
            let pieces: Vec<&str> =
                body.as_bytes().chunks(piece).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
            let chunked = Request::new("POST", "/orders").header("Content-Type", JSON).chunks(&pieces);
            let text = shop.gateway.send(&chunked).text().to_owned();
            let (_, got) = text.split_once(' ').unwrap();
            assert_eq!(got, length.to_string(), "{size} in pieces of {piece}: {text}");
        }
    }
    for origin in [&shop.express, &shop.other] {
        for request in origin.requests() {
            let body = String::from_utf8(request.body).unwrap();
            assert_eq!(body, order("express", body.len() - order("express", 0).len()));
        }
    }
}

#[test]
fn over_http2_bodies_of_every_size_arrive_whole() {
    let shop = Shop::new("listeners: { wire: { address: \"127.0.0.1:0\", protocols: [h2c] } }\n", ", body_limit: off");
    let mut client = h2::Client::connect(shop.gateway.listener("wire"));
    for size in [0, 30_000, 49_100, 64_000, 65_536, 200_000] {
        let body = order("express", size);
        let length = body.len();
        let request = Request::post("/orders", body).header("Content-Type", JSON);
        let text = client.send(&request).text().to_owned();
        assert!(text.ends_with(&format!(" {length}")), "{size}: {text}");
        if length <= 48 * 1024 {
            assert!(text.starts_with("express"), "{size}: {text}");
        }
    }
}

#[test]
fn a_client_that_waits_for_leave_is_given_it() {
    let shop = Shop::new("", "");
    let mut client = Client::connect(shop.gateway.address());
    let body = order("express", 10);
    client.send_raw(
        format!(
            "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: {JSON}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .as_bytes(),
    );
    assert_eq!(client.read_head().0, 100);
    client.send_raw(body.as_bytes());
    let response = client.read();
    assert_eq!(response.text(), format!("express {}", body.len()));
}

#[test]
fn policies_of_the_route_that_was_chosen_see_the_body() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  POST /o:\n    - {{ match: {{ body: {{ /a: \"1\" }} }}, to: {0}, request: {{ json: {{ set: {{ /b: 2 }} }} }} }}\n    \
         - {{ to: {0}, body_limit: 10B }}\n",
        origin.url()
    ));
    let send = |body: &str| gateway.send(&Request::post("/o", body).header("Content-Type", JSON));
    assert_eq!(send("{\"a\":1}").status, 200);
    assert_eq!(String::from_utf8_lossy(&origin.only_request().body), "{\"a\":1,\"b\":2}");
    assert_eq!(send("{\"a\":2}").status, 200);
    assert_eq!(send("{\"a\":2,\"c\":\"longer\"}").status, 413);
}

#[test]
fn requests_that_are_tried_again_take_their_body_along() {
    let dead = crate::support::ports::free();
    let origin = Origin::start(|request| Answer::ok(request.body.len().to_string()));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ u: {{ endpoints: [\"http://{dead}\", \"{}\"] }} }}\nroutes:\n  PUT /o:\n    - {{ match: {{ body: {{ /a: \"1\" }} }}, to: u, retries: 2 }}\n    - respond: {{}}\n",
        origin.url()
    ));
    for _ in 0..4 {
        let request = Request::new("PUT", "/o").body("{\"a\":1}").header("Content-Type", JSON);
        assert_eq!(gateway.send(&request).text(), "7");
    }
}

#[test]
fn routes_whose_answer_is_made_of_calls_get_the_body_too() {
    let origin =
        Origin::start(|request| Answer::ok(format!("\"{}\"", request.body.len())).header("Content-Type", JSON));
    let url = origin.url();
    let gateway = Gateway::start(&format!(
        "upstreams: {{ u: {{ endpoints: [\"{url}\"] }} }}\nroutes:\n  PUT /o:\n    - {{ match: {{ body: {{ /a: \"1\" }} }}, to: u, hedge: 10s }}\n    \
         - {{ match: {{ body: {{ /a: \"2\" }} }}, combine: {{ all: {{ put: \"u:/x\", body: \"{{body}}\" }} }} }}\n    - respond: {{}}\n"
    ));
    for (sent, got) in [("{\"a\":1,\"b\":2}", "\"13\""), ("{\"a\":2}", "{\"all\":\"7\"}")] {
        let request = Request::new("PUT", "/o").body(sent).header("Content-Type", JSON);
        assert_eq!(gateway.send(&request).text(), got);
        assert_eq!(String::from_utf8_lossy(&origin.only_request().body), sent);
        origin.forget();
        let chunked = Request::new("PUT", "/o").header("Content-Type", JSON).chunks(&[&sent[..3], &sent[3..]]);
        assert_eq!(gateway.send(&chunked).text(), got);
        origin.forget();
    }
}

#[test]
fn a_body_that_never_comes_holds_nobody_else_up() {
    let shop = Shop::new("limits: { body_timeout: 200ms }\n", "");
    let mut silent = Client::connect(shop.gateway.address());
    let head = format!("POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: {JSON}\r\nContent-Length: 10\r\n\r\n");
    silent.send_raw(head.as_bytes());
    let others: Vec<_> = (0..4).map(|_| order("express", 0)).collect();
    thread::scope(|scope| {
        for body in others {
            scope.spawn(|| assert_eq!(shop.post(JSON, body).header("x-got"), Some("express")));
        }
    });
    assert_eq!(silent.read().status, 408);
    assert_eq!(shop.other.requests().len(), 0);
}
