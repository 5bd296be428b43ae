//! `graphql`: what passes the guard goes on as it was judged, and hostile queries never reach the service.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use serde_json::json;
use tollgate::policy::coding::{Coding, Encoder, Levels, Then};

const JSON: &str = "application/json";
/// The SHA-256 of nothing that is listed.
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

fn guarded(origin: &Origin, guard: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  /**:\n    to: {}\n    graphql: {guard}\n", origin.url()))
}

fn post(body: impl Into<Vec<u8>>) -> Request {
    Request::post("/graphql", body).header("Content-Type", JSON)
}

fn query(text: &str) -> Request {
    post(json!({ "query": text }).to_string())
}

#[test]
fn a_sound_request_goes_on_to_the_last_byte() {
    let origin = Origin::echo();
    let gateway = guarded(&origin, "true");
    let body = "{ \"query\" : \"query A($n: Int) { a(first: $n) { b } }\" , \"variables\":{\"n\":1.0e1, \"big\":12345678901234567890123} }\n";
    let chunked = Request::new("POST", "/graphql").header("Content-Type", JSON).chunks(&[&body[..30], &body[30..]]);
    let raw = Request::post("/graphql", "{ a }").header("Content-Type", "application/graphql; charset=utf-8");
    for (request, expected) in [(post(body), body), (chunked, body), (raw, "{ a }")] {
        origin.forget();
        assert_eq!(gateway.send(&request).status, 200);
        assert_eq!(String::from_utf8_lossy(&origin.only_request().body), expected);
    }
    origin.forget();
    assert_eq!(gateway.get("/graphql?query=%7Ba%7D&variables=%7B%7D").status, 200);
    assert_eq!(origin.only_request().target, "/graphql?query=%7Ba%7D&variables=%7B%7D");
}

#[test]
fn hostile_queries_are_refused_before_the_service_has_them() {
    let origin = Origin::echo();
    let gateway = guarded(&origin, "{ depth: 5, aliases: 5, cost: 500, tokens: 300, batch: 3 }");
    let bomb: String = (0..20).map(|n| format!(" fragment F{n} on T {{ ...F{m} ...F{m} }}", m = n + 1)).collect();
    let huge = json!({ "query": "query($n: Int) { a(first: $n) { b } }", "variables": { "n": 1_000_000 } });
    let many = json!([{ "query": "{a}" }, { "query": "{a}" }, { "query": "{a}" }, { "query": "{a}" }]);
    let split = json!([{ "query": "{a(first:300)}" }, { "query": "{a(first:300)}" }]);
    for (request, status, reason) in [
        (query("{a{a{a{a{a{a}}}}}}"), 403, "graphql-limit"),
        (query(&format!("{}a{}", "{a".repeat(50_000), "}".repeat(50_000))), 403, "graphql-limit"),
        (query("{a:x b:x c:x d:x e:x f:x}"), 403, "graphql-limit"),
        (query("{a(first:1000000){b(last:1000000){c}}}"), 403, "graphql-limit"),
        (query(&format!("{{...F0}}{bomb} fragment F20 on T {{a}}")), 403, "graphql-limit"),
        (post(huge.to_string()), 403, "graphql-limit"),
        (post(many.to_string()), 403, "graphql-limit"),
        (post(split.to_string()), 403, "graphql-limit"),
        (query("{...A} fragment A on T {...B} fragment B on T {...A}"), 400, "bad-graphql"),
        (query("{__schema{types{name}}}"), 403, "graphql-forbidden"),
        (query("{a # \u{2028} b }"), 400, "bad-graphql"),
        (post(r#"{"query":"{a}","query":"{__schema{a}}"}"#), 400, "bad-graphql"),
        (post(r#"{"query":"{a}","Query":"{__schema{a}}"}"#), 400, "bad-graphql"),
        (post("\u{feff}{\"query\":\"{a}\"}"), 400, "bad-graphql"),
        (post(&b"{\"query\":\"{a}\xff\"}"[..]), 400, "bad-graphql"),
        (post("[".repeat(100_000)), 400, "bad-graphql"),
        (post(""), 400, "bad-graphql"),
        (Request::post("/?query={__schema{a}}", r#"{"query":"{a}"}"#).header("Content-Type", JSON), 400, "bad-graphql"),
        (Request::post("/", "------").header("Content-Type", "multipart/form-data; boundary=x"), 415, "bad-graphql"),
        (Request::post("/", r#"{"query":"{a}"}"#), 415, "bad-graphql"),
        (Request::post("/", "{a}").header("Content-Type", "application/json; charset=utf-16"), 415, "bad-graphql"),
        (Request::get("/?query=mutation%7Ba%7D"), 403, "graphql-forbidden"),
        (Request::get("/?query=%7Ba%7D&query=%7Bb%7D"), 400, "bad-graphql"),
        (Request::get("/"), 400, "bad-graphql"),
        (
            Request::get("/?query=%7Ba%7D").header("Upgrade", "websocket").header("Connection", "Upgrade"),
            403,
            "graphql-forbidden",
        ),
        (Request::new("PUT", "/"), 405, "method-not-allowed"),
    ] {
        let response = gateway.send(&request);
        assert_eq!((response.status, response.problem().as_str()), (status, reason), "{request:?}");
    }
    assert!(origin.requests().is_empty(), "the service was asked {:?}", origin.requests());
    let refusals = gateway.metric("tollgate_refusals_total", &["reason=\"graphql-limit\""]);
    assert!(refusals >= 8.0, "{refusals}");
}

#[test]
fn coded_bodies_are_judged_decoded_and_go_on_so() {
    let origin = Origin::echo();
    let gateway = guarded(&origin, "{ max_body: 64KiB }");
    let coded = |body: &str| {
        let levels = Levels { gzip: 9, brotli: 9, zstd: 19 };
        let bytes = Encoder::new(Coding::Gzip, levels).unwrap().piece(body.as_bytes(), Then::End).unwrap().to_vec();
        post(bytes).header("Content-Encoding", "gzip")
    };
    let body = r#"{"query":"{a}"}"#;
    assert_eq!(gateway.send(&coded(body)).status, 200);
    let request = origin.only_request();
    assert_eq!((String::from_utf8_lossy(&request.body), request.header("content-encoding")), (body.into(), None));
    origin.forget();
    assert_eq!(gateway.send(&coded(r#"{"query":"{__schema{a}}"}"#)).status, 403);
    assert_eq!(gateway.send(&coded(&format!("{body}{}", " ".repeat(65_536)))).status, 413);
    assert_eq!(gateway.send(&post(body).header("Content-Encoding", "x-own")).status, 400);
    assert_eq!(gateway.send(&post(format!("{body}{}", " ".repeat(65_536)))).status, 413);
    assert!(origin.requests().is_empty());
}

#[test]
fn only_listed_queries_pass_and_their_hashes_stand_for_them() {
    let origin = Origin::echo();
    let gateway = guarded(&origin, "{ persisted: { queries: [\"{a}\"] } }");
    let sha = sha_of_a();
    let hashed = |sha: &str| json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": sha } } });
    assert_eq!(gateway.send(&query("{a}")).status, 200);
    origin.forget();
    assert_eq!(gateway.send(&post(hashed(&sha).to_string())).status, 200);
    let sent: serde_json::Value = serde_json::from_slice(&origin.only_request().body).unwrap();
    assert_eq!((&sent["query"], &sent["extensions"]), (&json!("{a}"), &hashed(&sha)["extensions"]));
    origin.forget();
    let extensions = format!("/?extensions={{%22persistedQuery%22:{{%22sha256Hash%22:%22{sha}%22}}}}");
    assert_eq!(gateway.get(&extensions).status, 200);
    assert!(origin.only_request().target.ends_with("&query=%7Ba%7D"), "{}", origin.only_request().target);
    origin.forget();
    let other = gateway.send(&query("{a }"));
    assert_eq!((other.status, other.problem().as_str()), (403, "graphql-forbidden"));
    let unknown = gateway.send(&post(hashed(OTHER).to_string()));
    assert_eq!(unknown.json()["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    assert!(origin.requests().is_empty());
}

/// The SHA-256 of `{a}`, as a client reckons it.
fn sha_of_a() -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"{a}");
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn clients_of_graphql_get_errors_as_they_read_them() {
    let origin = Origin::echo();
    let gateway = guarded(&origin, "true");
    let accept = "application/graphql-response+json, application/json;q=0.9";
    let response = gateway.send(&query("{__schema{a}}").header("Accept", accept));
    assert_eq!(response.header("content-type"), Some("application/graphql-response+json"));
    assert_eq!(response.json()["errors"][0]["extensions"]["code"], "FORBIDDEN");
    let problem = gateway.send(&query("{__schema{a}}"));
    assert_eq!(
        (problem.problem().as_str(), problem.json()["errors"][0]["message"].is_string()),
        ("graphql-forbidden", true)
    );
}
