//! Bodies made by programs, by templates and by replacement, over real sockets.

use crate::support::client::{Client, Request, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use tollgate::policy::coding::{Coding, Encoder, Levels, Then};

const JSON: &str = "application/json";

fn post(target: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(target, body).header("Content-Type", JSON)
}

fn answering(body: impl Into<Vec<u8>>, kind: &'static str) -> Origin {
    let body = body.into();
    Origin::start(move |_| {
        Answer::ok(body.clone())
            .header("Content-Type", kind)
            .header("ETag", "\"v1\"")
            .header("Content-Digest", "sha-256=:x:")
    })
}

#[test]
fn a_program_makes_bodies_both_ways() {
    let origin =
        Origin::start(|request| Answer::ok(request.body.clone()).header("Content-Type", JSON).header("ETag", "\"v\""));
    let gateway = Gateway::start(&format!(
        "routes:
  POST /orders/{{id}}:
    to: {}
    request:
      json: {{ remove: /secret }}
      jq: {{ program: '{{id: $id, who: $who, n: .n, total: ([.items[].price] | add)}}', with: {{ id: \"{{id}}\", who: \"{{query.who}}\" }} }}
    response: {{ jq: '.total, \"x\" | select(type == \"number\") | {{total: ., ok: true}}' }}
",
        origin.url()
    ));
    let body = r#"{"secret":1,"n":12345678901234567890123,"items":[{"price":1},{"price":2}]}"#;
    let response = gateway.send(&post("/orders/a%22b?x=1", body));
    assert_eq!((response.status, response.text()), (200, r#"{"total":3,"ok":true}"#));
    assert_eq!(response.header("etag"), Some("W/\"v\""));
    assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    let seen = origin.only_request();
    assert_eq!(
        String::from_utf8_lossy(&seen.body),
        r#"{"id":"a\"b","who":null,"n":12345678901234567890123,"total":3}"#
    );
    let refused = gateway.send(&post("/orders/7", "{\"items\":1}"));
    assert_eq!((refused.status, refused.problem().as_str()), (400, "bad-body"));
    let twice = gateway.send(&post("/orders/7", "{\"a\":1,\"a\":2}"));
    assert_eq!((twice.status, twice.problem().as_str()), (400, "bad-body"));
}

#[test]
fn a_program_that_never_ends_is_ended_and_others_are_served_meanwhile() {
    let origin = answering("{\"a\":1}", JSON);
    let gateway = Gateway::start(&format!(
        "routes:\n  /endless: {{ to: {0}, response: {{ jq: 'def f: f; f' }}, timeout: 60s }}\n  /grows: {{ to: {0}, response: {{ jq: '[range(1e12) | \"x\" * 1000]' }} }}\n  \
         /deep: {{ to: {0}, response: {{ jq: 'def f: [f]; f' }} }}\n  /plain: {{ to: {0} }}\n  /fine: {{ to: {0}, response: {{ jq: .a }} }}\n",
        origin.url()
    ));
    std::thread::scope(|scope| {
        let endless: Vec<_> = (0..12).map(|_| scope.spawn(|| gateway.get("/endless"))).collect();
        for _ in 0..20 {
            assert_eq!(gateway.get("/plain").text(), "{\"a\":1}");
            assert_eq!(gateway.get("/fine").text(), "1");
        }
        let outcomes: Vec<(u16, String)> = endless
            .into_iter()
            .map(|one| one.join().unwrap())
            .map(|response| (response.status, response.problem()))
            .collect();
        assert!(outcomes.contains(&(502, "upstream-body".to_owned())), "{outcomes:?}");
        assert!(
            outcomes.iter().all(|(status, reason)| matches!(
                (status, reason.as_str()),
                (502, "upstream-body") | (503, "overloaded")
            )),
            "{outcomes:?}"
        );
    });
    for target in ["/grows", "/deep"] {
        let response = gateway.get(target);
        assert_eq!((response.status, response.problem().as_str()), (502, "upstream-body"), "{target}");
    }
    assert_eq!(gateway.get("/fine").text(), "1");
}

#[test]
fn programs_take_bodies_of_ten_mebibytes_and_bombs_of_none() {
    let large = format!("{{\"a\":1,\"b\":\"{}\"}}", "x".repeat((10 << 20) - 20));
    let origin = Origin::start(|request| Answer::ok(request.body.len().to_string()));
    let gateway = Gateway::start(&format!(
        "routes:\n  /up: {{ to: {0}, body_limit: off, timeout: 60s, request: {{ jq: 'del(.a)' }} }}\n  /small: {{ to: {0}, request: {{ jq: ., max_body: 1MiB }} }}\n",
        origin.url()
    ));
    assert_eq!(gateway.send(&post("/up", large.clone())).text(), (large.len() - 6).to_string());
    let down = answering(large.clone(), JSON);
    let gateway_down = Gateway::start(&format!(
        "routes:\n  /**: {{ to: {}, timeout: 60s, response: {{ jq: '.b | length' }} }}\n",
        down.url()
    ));
    assert_eq!(gateway_down.get("/").text(), (large.len() - 14).to_string());
    let levels = Levels { gzip: 9, brotli: 9, zstd: 19 };
    let bomb = Encoder::new(Coding::Gzip, levels).unwrap().piece(&vec![b' '; 20_000_000], Then::End).unwrap().to_vec();
    let response = gateway.send(&post("/small", bomb).header("Content-Encoding", "gzip"));
    assert_eq!((response.status, response.problem().as_str()), (400, "bad-body"));
    for hostile in ["[".repeat(100_000), format!("{{\"a\":{}}}", "9".repeat(900_000)), "{\"a\":1,\"a\":2}".to_owned()] {
        let length = hostile.len();
        let response = gateway.send(&post("/small", hostile));
        assert!(response.status == 400 || response.text() == length.to_string(), "{}", response.status);
    }
}

#[test]
fn templates_write_for_what_they_say_they_write() {
    let origin = Origin::start(|request| {
        Answer::ok(request.body.clone()).header("X-Kind", request.header("content-type").unwrap_or(""))
    });
    let page = answering(r#"{"title":"<b>","items":[1,2]}"#, JSON);
    let gateway = Gateway::start(&format!(
        "routes:
  /up/{{id}}:
    to: {}
    request:
      template: {{ text: '<order id=\"{{{{ id }}}}\">{{% for item in body.items %}}<item>{{{{ item }}}}</item>{{% endfor %}}</order>', content_type: application/xml, with: {{ id: \"{{id}}\" }} }}
  /page: {{ to: {page}, response: {{ template: {{ text: '<h1>{{{{ body.title }}}}</h1>', content_type: text/html }} }} }}
  /json: {{ to: {page}, response: {{ template: '{{\"t\": {{{{ body.title }}}}, \"n\": {{{{ body.items | length }}}}}}' }} }}
  /endless: {{ to: {page}, response: {{ template: '{{% for a in range(9999) %}}{{% for b in range(9999) %}}{{% for c in range(999) %}}{{% endfor %}}{{% endfor %}}{{% endfor %}}' }} }}
",
        origin.url(),
        page = page.url()
    ));
    let up = gateway.send(&post("/up/a%3C", r#"{"items":["<&>", 2]}"#));
    assert_eq!(up.text(), "<order id=\"a&lt;\"><item>&lt;&amp;&gt;</item><item>2</item></order>");
    assert_eq!(up.header("x-kind"), Some("application/xml"));
    let html = gateway.get("/page");
    assert_eq!((html.text(), html.header("content-type")), ("<h1>&lt;b&gt;</h1>", Some("text/html")));
    assert_eq!((html.header("etag"), html.header("content-digest")), (Some("W/\"v1\""), None));
    let json = gateway.get("/json");
    assert_eq!((json.json()["t"].as_str(), json.json()["n"].as_u64()), (Some("<b>"), Some(2)));
    let endless = gateway.get("/endless");
    assert_eq!((endless.status, endless.problem().as_str()), (502, "upstream-body"));
}

#[test]
fn texts_are_replaced_as_they_pass() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        let text = Answer::status(200)
            .header("Content-Type", "text/html")
            .header("ETag", "\"v\"")
            .header("Content-Digest", "sha-256=:x:");
        match request.target.as_str() {
            "/split" => text.body("see http://inter").body("nal.example/ and intern").chunked(),
            "/stream" => Answer::status(200)
                .header("Content-Type", "text/event-stream")
                .body("data: internal.example\n\n")
                .then_wait(&held)
                .body("data: end\n\n")
                .chunked(),
            "/binary" => Answer::ok("internal.example").header("Content-Type", "application/octet-stream"),
            "/utf16" => Answer::ok("internal.example").header("Content-Type", "text/plain; charset=utf-16"),
            "/gzip" => {
                let levels = Levels { gzip: 9, brotli: 9, zstd: 19 };
                let coded = Encoder::new(Coding::Gzip, levels)
                    .unwrap()
                    .piece(b"at internal.example", Then::End)
                    .unwrap()
                    .to_vec();
                text.body(coded).header("Content-Encoding", "gzip")
            }
            "/large" => text.body("internal.example ".repeat(600_000)),
            _ => text.body(request.body.clone()),
        }
    });
    let gateway = Gateway::start(&format!(
        "routes:\n  /**:\n    to: {}\n    body_limit: off\n    timeout: 60s\n    request: {{ replace: {{ from: ping, to: pong }} }}\n    response: {{ replace: [{{ from: internal.example, to: api.example }}, {{ from: \"http:\", to: \"https:\" }}] }}\n",
        origin.url()
    ));
    let mut client = gateway.connect();
    let split = client.send(&Request::get("/split"));
    assert_eq!(split.text(), "see https://api.example/ and intern");
    assert_eq!((split.header("etag"), split.header("content-digest")), (Some("W/\"v\""), None));
    assert_eq!(client.send(&Request::get("/gzip")).text(), "at api.example");
    assert_eq!(client.send(&Request::get("/binary")).text(), "internal.example");
    assert_eq!(client.send(&Request::post("/echo", "ping").header("Content-Type", "text/plain")).text(), "pong");
    assert_eq!(client.send(&Request::get("/large")).text(), "api.example ".repeat(600_000));
    let utf16 = client.send(&Request::get("/utf16"));
    assert_eq!((utf16.status, utf16.problem().as_str()), (502, "upstream-body"));
    let mut streaming = Client::connect(gateway.address());
    streaming.send_raw(b"GET /stream HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n");
    let (status, _) = streaming.read_head();
    assert_eq!(status, 200);
    let mut first = Vec::new();
    while !first.ends_with(b"data: api.example\n\n\r\n") {
        first.extend(streaming.read_some());
    }
    gate.open();
    let mut rest = Vec::new();
    while !String::from_utf8_lossy(&rest).contains("data: end") {
        rest.extend(streaming.read_some());
    }
}

#[test]
fn over_http2_changed_bodies_have_their_own_length() {
    let origin = answering(r#"{"a":[1,2,3]}"#, JSON);
    let gateway = Gateway::start(&format!(
        "listeners: {{ wire: {{ address: \"127.0.0.1:0\", protocols: [h2c] }} }}\nroutes:\n  /jq: {{ to: {0}, response: {{ jq: '.a | add' }} }}\n  /text: {{ to: {0}, response: {{ replace: {{ from: \"1,2\", to: one }} }} }}\n",
        origin.url()
    ));
    let mut client = h2::Client::connect(gateway.listener("wire"));
    let made = client.send(&Request::get("/jq"));
    assert_eq!((made.text(), made.header("content-length")), ("6", Some("1")));
    assert_eq!(client.send(&Request::get("/text")).text(), r#"{"a":[one,3]}"#);
    assert_eq!(client.send(&Request::new("HEAD", "/jq")).header("content-digest"), None);
}
