//! Bodies changed both ways, over real sockets: framing, sizes, codings, and what cannot be changed.

use crate::support::client::{Request, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{self, Answer, Ending, Origin};
use crate::support::tls::{Authority, H2};
use tollgate::policy::coding::{Coding, Encoder, Levels, Then};

const JSON: &str = "application/json";

fn route(url: &str, rest: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  /**:\n    to: {url}\n    {rest}\n"))
}

fn post(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/", body).header("Content-Type", JSON)
}

fn coded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let levels = Levels { gzip: 9, brotli: 9, zstd: 19 };
    Encoder::new(coding, levels).unwrap().piece(body, Then::End).unwrap().to_vec()
}

/// Answers with that body and type.
fn answering(body: &'static str, kind: &'static str) -> Origin {
    Origin::start(move |_| Answer::ok(body).header("Content-Type", kind))
}

#[test]
fn requests_change_and_keep_what_is_not_named() {
    let origin = Origin::echo();
    let rest = "request: { json: { rename: { /no: number }, move: { /a/b: /c }, remove: /items/*/secret, set: { /by: \"{query.u}\", /n: 1 } } }";
    let gateway = route(&origin.url(), rest);
    let mut client = gateway.connect();
    let body = r#"{"no": 12345678901234567890123, "a":{"b":1.50}, "items":[{"x":1e400,"secret":"s"}],"z":"\u00e9"}"#;
    let expected =
        r#"{"number":12345678901234567890123,"a":{},"items":[{"x":1e400}],"z":"\u00e9","c":1.50,"by":"u\"1","n":1}"#;
    let whole = Request::post("/?u=u%221", body).header("Content-Type", JSON).header("Content-Digest", "sha-256=:x:");
    assert_eq!(client.send(&whole).status, 200);
    let chunked = Request::new("POST", "/?u=u%221").header("Content-Type", JSON).chunks(&[&body[..30], &body[30..]]);
    assert_eq!(client.send(&chunked).status, 200);
    for request in origin.requests() {
        assert_eq!(String::from_utf8_lossy(&request.body), expected);
        assert_eq!(request.headers("content-length"), Vec::<&str>::new());
        assert_eq!((request.header("content-type"), request.header("content-digest")), (Some(JSON), None));
    }
    assert_eq!(origin.requests().len(), 2);
    origin.forget();
    let other = Request::post("/", "not json").header("Content-Type", "text/plain");
    assert_eq!(client.send(&other).status, 200);
    assert_eq!(
        (origin.only_request().body, origin.only_request().header("content-length")),
        (b"not json".to_vec(), Some("8"))
    );
    assert_eq!(client.send(&Request::get("/")).status, 200);
}

#[test]
fn ten_mebibytes_pass_and_one_byte_more_does_not() {
    let origin = Origin::start(|request| Answer::ok(request.body.len().to_string()));
    let gateway = route(&origin.url(), "body_limit: off\n    request: { json: { remove: /a } }\n    timeout: 60s");
    let mut client = gateway.connect();
    let body = |size: usize| format!("{{\"a\":1,\"b\":\"{}\"}}", "x".repeat(size - 14));
    let large = 10 << 20;
    assert_eq!(client.send(&post(body(large))).text(), (large - 6).to_string());
    let declared = client.send(&post(body(large + 1)));
    assert_eq!((declared.status, declared.problem().as_str()), (413, "body-too-large"));
    origin.forget();
    let undeclared = Request::new("POST", "/").header("Content-Type", JSON).chunks(&[&body(large + 1)]);
    let response = gateway.send(&undeclared);
    assert_eq!((response.status, response.problem().as_str()), (413, "body-too-large"));
    assert!(origin.requests().is_empty(), "half a body was taken for a whole one");
}

#[test]
fn what_is_not_what_it_says_is_the_client_s_fault() {
    let origin = Origin::echo();
    let gateway = route(&origin.url(), "request: { json: { set: { /a/b: 1 } } }");
    let deep = "[".repeat(100_000);
    for (kind, body) in [
        (JSON, "{"),
        (JSON, "{\"a\":1}"),
        (JSON, "{\"a\":{},\"a\":{}}"),
        (JSON, "{\"a\":{\"x\":1,}}"),
        (JSON, deep.as_str()),
        ("application/json; charset=utf-16", "{}"),
    ] {
        let response = gateway.send(&Request::post("/", body).header("Content-Type", kind));
        assert_eq!((response.status, response.problem().as_str()), (400, "bad-body"), "{kind} {:.20}", body);
    }
    let response = gateway.send(&post("{}").header("Content-Encoding", "compress"));
    assert_eq!((response.status, response.problem().as_str()), (400, "bad-body"));
    assert!(origin.requests().is_empty());
    let latin = Request::post("/", b"{\"a\":{\"x\":\"\xe9\"}}".to_vec());
    gateway.send(&latin.header("Content-Type", "application/json; charset=iso-8859-1"));
    assert_eq!(origin.only_request().header("content-type"), Some(JSON));
    assert_eq!(String::from_utf8(origin.only_request().body).as_deref(), Ok("{\"a\":{\"x\":\"é\",\"b\":1}}"));
    origin.forget();
    let digits = "9".repeat(1_000_000);
    gateway.send(&post(format!("{{\"a\":{{\"n\":{digits}}}}}")));
    assert_eq!(origin.only_request().body.len(), digits.len() + "{\"a\":{\"n\":,\"b\":1}}".len());
}

#[test]
fn coded_requests_are_read_within_their_bound() {
    let origin = Origin::start(|request| {
        Answer::ok(request.body.clone()).header("X-Coding", request.header("content-encoding").unwrap_or("none"))
    });
    let gateway = Gateway::start(&format!(
        "routes:\n  /json: {{ to: {0}, request: {{ json: {{ remove: /a }}, max_body: 1MiB }} }}\n  \
         /plain: {{ to: {0}, request: {{ decompress: true, max_body: 1MiB }} }}\n  /as-it-is: {{ to: {0} }}\n",
        origin.url()
    ));
    for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
        let send = |target: &str, body: &[u8]| {
            let request = Request::post(target, coded(coding, body)).header("Content-Type", JSON);
            gateway.send(&request.header("Content-Encoding", coding.as_str()))
        };
        assert_eq!(send("/json", b"{\"a\":1,\"b\":2}").text(), "{\"b\":2}", "{coding:?}");
        let plain = send("/plain", b"{\"a\":1}");
        assert_eq!((plain.text(), plain.header("x-coding")), ("{\"a\":1}", Some("none")));
        assert_eq!(send("/as-it-is", b"a").header("x-coding"), Some(coding.as_str()));
        let bomb = vec![b' '; 20_000_000];
        let (changed, decoded) = (send("/json", &bomb), send("/plain", &bomb));
        assert_eq!((changed.status, changed.problem().as_str()), (400, "bad-body"), "{coding:?}");
        assert_eq!((decoded.status, decoded.problem().as_str()), (413, "body-too-large"), "{coding:?}");
        let cut = &coded(coding, b"{\"a\":1}")[..8];
        let request = Request::post("/plain", cut).header("Content-Encoding", coding.as_str());
        assert_eq!(gateway.send(&request).status, 400, "{coding:?}");
    }
}

#[test]
fn formats_become_one_another_both_ways() {
    let origin = Origin::start(|request| {
        let kind = request.header("content-type").unwrap_or_default().to_owned();
        Answer::ok(request.body.clone()).header("Content-Type", &kind).header("X-Seen", &kind)
    });
    let gateway = route(
        &origin.url(),
        "request: { body: xml, set: { X-A: b } }\n    response: { body: json, json: { set: { /order/via: xml } } }",
    );
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.send(&post(r#"{"order":{"@id":"7","item":["a","b"]}}"#));
        assert_eq!(
            (response.status, response.header("content-type"), response.header("x-seen")),
            (200, Some(JSON), Some("application/xml"))
        );
        assert_eq!(response.text(), r#"{"order":{"@id":"7","item":["a","b"],"via":"xml"}}"#);
        assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
        assert!(response.keeps_alive());
    }
    assert_eq!(origin.connections(), 1, "a connection was lost");
    let seen = origin.requests().remove(0);
    let expected = r#"<?xml version="1.0" encoding="UTF-8"?><order id="7"><item>a</item><item>b</item></order>"#;
    assert_eq!(String::from_utf8_lossy(&seen.body), expected);
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    let unsayable = client.send(&post(r#"{"a b":1}"#));
    assert_eq!((unsayable.status, unsayable.problem().as_str()), (400, "bad-body"));
}

#[test]
fn forms_become_json() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let gateway = route(&origin.url(), "request: { body: json, json: { remove: /csrf } }");
    let form = Request::post("/", "a=1&b=x+y&csrf=z&a=2").header("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(gateway.send(&form).text(), r#"{"a":["1","2"],"b":"x y"}"#);
}

#[test]
fn an_answer_that_cannot_be_changed_is_a_proper_502() {
    let rest = "response: { body: json, max_body: 64KiB }";
    for (body, kind) in [
        ("<a>", "application/xml"),
        ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "application/xml"),
        ("<a/>", "application/xml; charset=utf-16"),
    ] {
        let origin = answering(body, kind);
        let response = route(&origin.url(), rest).get("/");
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-body"), "{body} {kind}");
        assert!(!response.text().contains("127.0.0.1"));
    }
    let origin = Origin::start(|request| {
        let answer = Answer::status(200).header("Content-Type", "application/xml");
        let large = format!("<a>{}</a>", "x".repeat(70_000));
        match request.target.as_str() {
            "/chunked" => answer.body(large).chunked(),
            "/length" => answer.body(large),
            "/part" => Answer::status(206)
                .body("<a/>")
                .header("Content-Type", "application/xml")
                .header("Content-Range", "bytes 0-3/9"),
            "/cut" => answer.body(format!("<a>{}</a>", "x".repeat(30_000))).cut_after(9_000, Ending::Close),
            "/reset" => answer.body(format!("<a>{}</a>", "x".repeat(30_000))).cut_after(9_000, Ending::Reset),
            "/gzip" => {
                answer.body(coded(Coding::Gzip, b"<a>b</a>")).header("Content-Encoding", "gzip").header("ETag", "\"v\"")
            }
            "/bomb" => answer.body(coded(Coding::Gzip, &vec![b'x'; 5_000_000])).header("Content-Encoding", "gzip"),
            "/empty" => answer.chunked(),
            "/none" => Answer::status(204),
            _ => answer.body("<a>b</a>").until_close(),
        }
    });
    let gateway = route(&origin.url(), rest);
    let get = |target: &str| gateway.send(&Request::get(target).header("Range", "bytes=0-3"));
    for target in ["/chunked", "/length", "/part", "/bomb"] {
        let response = get(target);
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-body"), "{target}");
    }
    for target in ["/cut", "/reset"] {
        assert_eq!(get(target).status, 502, "{target}");
    }
    let decoded = get("/gzip");
    assert_eq!(
        (decoded.text(), decoded.header("content-encoding"), decoded.header("etag")),
        ("{\"a\":\"b\"}", None, Some("W/\"v\""))
    );
    assert_eq!(get("/close").text(), "{\"a\":\"b\"}");
    assert_eq!((get("/empty").status, get("/empty").text(), get("/none").status), (200, "", 204));
    assert!(origin.requests().iter().all(|request| request.header("range").is_none()));
}

#[test]
fn a_changed_answer_goes_out_by_every_road() {
    let authority = Authority::new();
    let identity = authority.server("shop", &["shop.example"]);
    let origin = origin::h2::Origin::start(|request| origin::h2::Answer {
        fields: vec![("content-type".into(), JSON.into())],
        body: if request.method == "HEAD" {
            Vec::new()
        } else {
            format!(
                "{{\"secret\":1,\"pad\":\"{}\"}}",
                "x".repeat(if request.target == "/large" { 200_000 } else { 10 })
            )
            .into_bytes()
        },
        trailers: if request.target == "/trailers" { vec![("x-sum".into(), "1".into())] } else { Vec::new() },
        ..Default::default()
    });
    let gateway = Gateway::start(&format!(
        "listeners:\n  secure:\n    address: 127.0.0.1:0\n    tls: {{ certificates: [{{ cert: {}, key: {} }}] }}\nlisten: 127.0.0.1:0\n\
         routes: {{ /**: {{ to: {}, response: {{ json: {{ remove: /secret }} }}, compress: {{ min_size: 100B }} }} }}",
        identity.certificate.display(),
        identity.key.display(),
        origin.url()
    ));
    let secure = gateway.listener("secure");
    let mut client = h2::Client::connect_tls(secure, &authority.connector(H2), "shop.example").expect("a handshake");
    let mut plain = gateway.connect();
    for target in ["/", "/trailers", "/large"] {
        for response in [client.send(&Request::get(target)), plain.send(&Request::get(target))] {
            assert_eq!(response.status, 200, "{target}");
            assert!(response.keeps_alive(), "{target}");
            assert!(response.text().starts_with("{\"pad\":\"xxxxxxxxxx"), "{target}");
            assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
        }
    }
    let small = client.send(&Request::get("/large").header("Accept-Encoding", "gzip"));
    assert_eq!(small.header("content-encoding"), Some("gzip"));
    assert!(small.body.len() < 2_000, "{}", small.body.len());
    assert_eq!(plain.send(&Request::get("/")).status, 200);
    let head = plain.send(&Request::new("HEAD", "/head"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(plain.send(&Request::get("/")).status, 200);
}

#[test]
fn conditions_choose_which_bodies_change() {
    let origin = Origin::start(|request| {
        let status = if request.target.starts_with("/missing") { 404 } else { 200 };
        Answer::status(status)
            .body("{\"code\":7,\"trace\":\"at main.c\"}")
            .header("Content-Type", "application/problem+json")
    });
    let rest = "response:\n      - { status: 4xx, json: { remove: /trace, set: { /status: \"{status}\", /path: \"{path}\" } } }\n      - { when: \"'x-raw' in request.headers\", set: { X-Raw: \"1\" } }";
    let gateway = route(&origin.url(), rest);
    assert_eq!(gateway.get("/missing/\"x").status, 400);
    assert_eq!(gateway.get("/missing/a").text(), "{\"code\":7,\"status\":\"404\",\"path\":\"/missing/a\"}");
    assert_eq!(gateway.get("/ok").text(), "{\"code\":7,\"trace\":\"at main.c\"}");
}

#[test]
fn a_request_that_is_tried_again_is_changed_anew() {
    let origin = Origin::start(|request| match request.header("x-request-id") {
        _ if request.connection == 0 => Answer::none(Ending::Reset),
        _ => Answer::ok(request.body.clone()),
    });
    let gateway =
        route(&origin.url(), "retries: { max: 3, on: [connect, reset] }\n    request: { json: { set: { /a: 1 } } }");
    let put = Request::new("PUT", "/").body("{}").header("Content-Type", JSON);
    assert_eq!(gateway.send(&put).text(), "{\"a\":1}");
}
