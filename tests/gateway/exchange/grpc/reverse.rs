//! Clients that speak gRPC, in front of a service that speaks HTTP and JSON.

use super::folder;
use super::service::{Create, Get, Item};
use crate::support::client::{Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use prost::Message;

fn before(origin: &Origin) -> Gateway {
    let yaml = format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1] }} }}
routes:
  /**: {{ grpc: {{ proto: shop.proto, rules: true, clients: grpc, response_metadata: {{ x-served-by: served-by }}, most: 64KiB }}, to: \"{}\", timeout: 5s }}",
        origin.url()
    );
    Gateway::start_in(folder(), &yaml)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).expect("short").to_be_bytes()[..], message].concat()
}

fn call(gateway: &Gateway, method: &str, body: Vec<u8>) -> Response {
    let request = Request::post(&format!("/shop.Catalog/{method}"), body).header("content-type", "application/grpc");
    h2::Client::connect(gateway.listener("clear")).send(&request.header("te", "trailers").header("x-tenant", "t"))
}

/// The status of a call and its message, wherever they stand.
fn status(answer: &Response) -> (String, String) {
    let said = |name: &str| {
        let found = answer.fields.iter().chain(&answer.trailers).find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    (said("grpc-status"), said("grpc-message"))
}

#[test]
fn a_message_makes_path_query_and_body_and_json_makes_the_answer() {
    let origin = Origin::start(|request| {
        let json = match request.method.as_str() {
            "GET" => r#"{"name":"x","price":"7","tags":["a"]}"#,
            _ => r#"{"name":"made"}"#,
        };
        Answer::ok(json).header("Content-Type", "application/json").header("X-Served-By", "a")
    });
    let gateway = before(&origin);
    let get = Get { name: "shelves/1/items/a b".into(), revision: 9_007_199_254_740_993 };
    let answer = call(&gateway, "Get", framed(&get.encode_to_vec()));
    assert_eq!((answer.status, status(&answer)), (200, ("0".into(), String::new())));
    assert_eq!((answer.header("content-type"), answer.header("served-by")), (Some("application/grpc"), Some("a")));
    let item = Item { tags: vec!["a".into()], ..Item::new("x", 7) };
    assert_eq!(answer.body, framed(&item.bytes()));
    let create = Create { parent: "shelves/7".into(), item: Some(Item::new("n", 5)), dry_run: true };
    let answer = call(&gateway, "Create", framed(&create.encode_to_vec()));
    assert_eq!(answer.body, framed(&Item::new("made", 0).bytes()));
    let asked = origin.requests();
    let lines: Vec<(&str, &str)> =
        asked.iter().map(|request| (request.method.as_str(), request.target.as_str())).collect();
    let expected =
        [("GET", "/v1/shelves/1/items/a%20b?revision=9007199254740993"), ("POST", "/v1/shelves/7/items?dryRun=true")];
    assert_eq!(lines, expected);
    assert_eq!(asked[1].body, br#"{"name":"n","price":"5"}"#);
    assert_eq!((asked[1].header("content-type"), asked[1].header("x-tenant")), (Some("application/json"), Some("t")));
    assert_eq!((asked[0].header("content-type"), asked[0].header("grpc-accept-encoding")), (None, None));
}

#[test]
fn statuses_of_http_become_those_of_calls() {
    let origin = Origin::start(|request| {
        let status = request.target.rsplit('=').next().and_then(|status| status.parse().ok()).unwrap_or(500);
        Answer::status(status).body(r#"{"detail":"no: ü%"}"#).header("Content-Type", "application/problem+json")
    });
    let gateway = before(&origin);
    for (http, code) in [
        (400, 3),
        (401, 16),
        (403, 7),
        (404, 5),
        (409, 10),
        (429, 8),
        (500, 13),
        (501, 12),
        (503, 14),
        (504, 4),
        (418, 2),
    ] {
        let get = Get { name: "shelves/1/items/2".into(), revision: http };
        let answer = call(&gateway, "Get", framed(&get.encode_to_vec()));
        assert_eq!((answer.status, status(&answer)), (200, (format!("{code}"), "no: %C3%BC%25".into())), "{http}");
    }
    let label = "grpc_status=\"NOT_FOUND\"";
    gateway.await_metric("tollgate_grpc_calls_total", &["grpc_method=\"Get\"", label], 1.0);
}

#[test]
fn what_makes_no_request_and_what_is_no_answer_is_told_as_a_status() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/v1/shelves/1/items/2" => Answer::ok("<html>").header("Content-Type", "text/html"),
        "/v1/shelves/1/items/3" => Answer::ok("x".repeat(70_000)),
        _ => Answer::ok("{}"),
    });
    let gateway = before(&origin);
    let get = |name: &str| framed(&Get { name: name.into(), revision: 0 }.encode_to_vec());
    for (what, method, body, code) in [
        ("nothing", "Get", Vec::new(), "3"),
        ("a giant length", "Get", vec![0, 0xFF, 0xFF, 0xFF, 0xFF], "3"),
        ("two messages", "Get", [get("shelves/1/items/4"), get("shelves/1/items/4")].concat(), "3"),
        ("no message of that type", "Get", framed(&[0x0A, 0xFF]), "3"),
        ("a name that is empty", "Get", get(""), "3"),
        ("a name of another resource", "Get", get("others/1"), "3"),
        ("a name that climbs", "Get", get("shelves/../items/.."), "3"),
        ("too long", "Get", get(&"x".repeat(70_000)), "8"),
        ("an answer that is no JSON", "Get", get("shelves/1/items/2"), "14"),
        ("an answer that is too long", "Get", get("shelves/1/items/3"), "14"),
        ("a method that is a stream", "Watch", get("shelves/1"), "12"),
        ("a method that is not there", "Nothing", get("x"), "12"),
        ("all is well", "Get", get("shelves/1/items/4"), "0"),
    ] {
        let answer = call(&gateway, method, body);
        assert_eq!((answer.status, status(&answer).0.as_str()), (200, code), "{what}: {answer:?}");
    }
    let json = Request::post("/shop.Catalog/Get", "{}").header("Content-Type", "application/json");
    let refused = crate::support::client::send(gateway.listener("clear"), &json);
    assert_eq!((refused.status, refused.problem()), (415, "unsupported-protocol".into()));
}
