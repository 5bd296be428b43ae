//! Calls of one message each way.

use super::service::{Create, Get, Item, Messages, Shop, one};
use super::{before, ruled};
use crate::support::client::Request;
use crate::support::ports;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tonic::{Code, Response, Status};

/// A service that answers each method with what it was asked.
fn shop() -> Shop {
    Shop::start(|mut call| async move {
        match call.path.as_str() {
            "/shop.Catalog/Get" => {
                let asked: Get = call.message().await;
                one(Item { tags: vec!["a".into(), "b".into()], ..Item::new(&asked.name, asked.revision) }.bytes())
            }
            "/shop.Catalog/Create" => {
                let asked: Create = call.message().await;
                let item = asked.item.unwrap_or_default();
                let tags = vec![asked.parent, asked.dry_run.to_string()];
                one(Item { tags, ..item }.bytes())
            }
            "/shop.Catalog/Picture" => {
                let body = [vec![0x0A, 9], b"image/png".to_vec(), vec![0x12, 3], b"PNG".to_vec()].concat();
                one(body.into())
            }
            other => Err(Status::unimplemented(other.to_owned())),
        }
    })
}

#[test]
fn rules_of_the_schema_make_the_routes() {
    let shop = shop();
    let gateway = ruled(&shop);
    let answer = gateway.get("/v1/shelves/1/items/2?revision=9007199254740993");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.text(), r#"{"name":"shelves/1/items/2","price":"9007199254740993","tags":["a","b"]}"#);
    assert_eq!(gateway.get("/v1/items/x").text(), r#"["a","b"]"#);
    let created = Request::post("/v1/shelves/7/items?dry_run=true", r#"{"name":"n","price":5,"inner":{"price":"6"}}"#);
    let created = gateway.send(&created.header("Content-Type", "application/json"));
    assert_eq!(created.text(), r#"{"name":"n","price":"5","tags":["shelves/7","true"],"inner":{"price":"6"}}"#);
    let picture = gateway.get("/v1/shelves/1/items/2:picture");
    assert_eq!((picture.header("content-type"), picture.text()), (Some("image/png"), "PNG"));
}

#[test]
fn other_paths_and_methods_are_refused_as_of_any_route() {
    let shop = shop();
    let gateway = ruled(&shop);
    assert_eq!(gateway.get("/v2/shelves/1/items/2").problem(), "no-route");
    let refused = gateway.send(&Request::new("DELETE", "/v1/shelves/1/items/2"));
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    assert_eq!(gateway.send(&Request::new("HEAD", "/v1/shelves/1/items/2")).status, 200);
}

#[test]
fn a_route_calls_one_method_with_captures_query_and_body() {
    let shop = shop();
    let gateway = before(
        &shop.url(),
        "  POST /items/{parent}: { grpc: { proto: shop.proto, method: shop.Catalog/Create, body: item }, to: UPSTREAM }
  /get/{name}: { grpc: { proto: shop.proto, method: shop.Catalog/Get, response_body: tags }, to: UPSTREAM }
  /any: { grpc: { proto: shop.proto, method: shop.Catalog/Get, json: { proto_names: true } }, to: UPSTREAM }",
    );
    let json = |target: &str, body: &str| Request::post(target, body).header("Content-Type", "application/json");
    let created = gateway.send(&json("/items/a%20b?dryRun=true", r#"{"name":"n"}"#));
    assert_eq!(created.text(), r#"{"name":"n","tags":["a b","true"]}"#);
    assert_eq!(gateway.get("/get/x").text(), r#"["a","b"]"#);
    assert_eq!(gateway.get("/any?name=x&revision=1").json()["price"], "1");
    assert_eq!(gateway.send(&json("/any?revision=2", r#"{"name":"x"}"#)).json()["price"], "2");
}

#[test]
fn what_makes_no_message_is_refused_and_says_why() {
    let shop = shop();
    let gateway = ruled(&shop);
    let cases: &[(&str, &str, &str, u16)] = &[
        ("application/json", "{", "/v1/shelves/1/items", 400),
        ("application/json", r#"{"price":"x"}"#, "/v1/shelves/1/items", 400),
        ("application/json", r#"{"nothing":1}"#, "/v1/shelves/1/items", 400),
        ("application/json", "{}", "/v1/shelves/1/items?nothing=1", 400),
        ("application/json", "{}", "/v1/shelves/1/items?item.name=x", 400),
        ("text/plain", "{}", "/v1/shelves/1/items", 415),
        ("application/x-www-form-urlencoded", "name=x", "/v1/shelves/1/items", 415),
    ];
    for (kind, body, target, status) in cases {
        let request = Request::post(target, *body).header("Content-Type", kind);
        let answer = gateway.send(&request);
        assert_eq!(answer.status, *status, "{kind} {body} {target}: {}", answer.text());
        let reason = if *status == 400 { "invalid-message" } else { "unsupported-protocol" };
        assert_eq!(answer.problem(), reason, "{kind} {body} {target}");
    }
    let detail = gateway.get("/v1/shelves/1/items/2?revision=x").json()["detail"].clone();
    let said = "The query is not as it should be: query parameter `revision`: field `revision`: `x` is no int64.";
    assert_eq!(detail, said);
}

#[test]
fn statuses_of_calls_become_those_of_http_with_code_message_and_details() {
    let shop = Shop::start(|mut call| async move {
        let asked: Get = call.message().await;
        let code = Code::from_i32(i32::try_from(asked.revision).expect("a code"));
        // google.rpc.Status { details: [BadRequest { field_violations: [{ field: "name" }] }, an unknown type] }
        let violation = [vec![0x0A, 6, 0x0A, 4], b"name".to_vec()].concat();
        let any = |kind: &str, value: Vec<u8>| {
            let kind = format!("type.googleapis.com/{kind}");
            [
                vec![0x0A, u8::try_from(kind.len()).expect("short")],
                kind.into_bytes(),
                vec![0x12, u8::try_from(value.len()).expect("short")],
                value,
            ]
            .concat()
        };
        let detail = |any: Vec<u8>| [vec![0x1A, u8::try_from(any.len()).expect("short")], any].concat();
        let details = [detail(any("google.rpc.BadRequest", violation)), detail(any("else.Where", vec![8, 1]))].concat();
        Err::<Response<Messages>, _>(Status::with_details(code, "no such thing: ü", details.into()))
    });
    let gateway = ruled(&shop);
    for (code, status, name) in [
        (1, 499, "CANCELLED"),
        (2, 500, "UNKNOWN"),
        (3, 400, "INVALID_ARGUMENT"),
        (4, 504, "DEADLINE_EXCEEDED"),
        (5, 404, "NOT_FOUND"),
        (6, 409, "ALREADY_EXISTS"),
        (7, 403, "PERMISSION_DENIED"),
        (8, 429, "RESOURCE_EXHAUSTED"),
        (9, 400, "FAILED_PRECONDITION"),
        (10, 409, "ABORTED"),
        (11, 400, "OUT_OF_RANGE"),
        (12, 501, "UNIMPLEMENTED"),
        (13, 500, "INTERNAL"),
        (14, 503, "UNAVAILABLE"),
        (15, 500, "DATA_LOSS"),
        (16, 401, "UNAUTHENTICATED"),
    ] {
        let answer = gateway.get(&format!("/v1/shelves/1/items/2?revision={code}"));
        assert_eq!(answer.status, status, "{name}");
        let problem = answer.json();
        assert_eq!((&problem["grpc_status"], &problem["detail"]), (&json!(name), &json!("no such thing: ü")));
        let known =
            json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "name"}]});
        assert_eq!(problem["details"], json!([known, {"@type": "type.googleapis.com/else.Where"}]), "{name}");
    }
}

#[test]
fn metadata_and_deadline_go_with_the_call_and_metadata_comes_back() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let shop = Shop::start(move |call| {
        *told.lock().expect("metadata") = vec![call.metadata.clone()];
        async {
            let mut answer = one(Item::new("x", 1).bytes())?;
            answer.metadata_mut().insert("served-by", "a".parse().expect("a value"));
            answer.metadata_mut().insert_bin("mark-bin", tonic::metadata::MetadataValue::from_bytes(&[1, 2]));
            Ok(answer)
        }
    });
    let gateway = before(
        &shop.url(),
        "  /all: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: UPSTREAM, timeout: 7s }
  /some: { grpc: { proto: shop.proto, method: shop.Catalog/Get, request_metadata: { X-Tenant: tenant, X-Mark: mark-bin },
    response_metadata: { mark-bin: X-Mark, served-by: Server-Name } }, to: UPSTREAM }",
    );
    let request = |target: &str| {
        let request = Request::get(target).header("X-Tenant", "t").header("X-Mark", "AQI=").header("X-Other", "o");
        request.header("grpc-timeout", "1n").header("Accept", "application/json")
    };
    let answer = gateway.send(&request("/all"));
    assert_eq!((answer.status, answer.header("served-by")), (200, Some("a")));
    let metadata = seen.lock().expect("metadata").remove(0);
    let said = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok().map(str::to_owned));
    assert_eq!((said("x-tenant").as_deref(), said("x-other").as_deref(), said("accept")), (Some("t"), Some("o"), None));
    let timeout = said("grpc-timeout").expect("a deadline");
    let millis: u64 = timeout.strip_suffix('m').expect("milliseconds").parse().expect("a number");
    assert!((5_000..=7_000).contains(&millis), "{timeout}");
    assert!(said("x-request-id").is_some() && said("x-forwarded-for").is_some());
    let answer = gateway.send(&request("/some"));
    assert_eq!((answer.header("server-name"), answer.header("x-mark")), (Some("a"), Some("AQI")));
    assert_eq!(answer.header("served-by"), None);
    let metadata = seen.lock().expect("metadata").remove(0);
    assert_eq!(metadata.get_bin("mark-bin").expect("a mark").to_bytes().expect("base64"), vec![1, 2]);
    assert!(
        metadata.get("tenant").is_some() && metadata.get("x-tenant").is_none() && metadata.get("x-other").is_none()
    );
    let refused = gateway.send(&Request::get("/some").header("X-Mark", "not base64"));
    assert_eq!((refused.status, refused.problem()), (400, "bad-request".into()));
}

#[test]
fn a_deadline_ends_a_call_that_takes_too_long() {
    let shop = Shop::start(|_| std::future::pending::<Result<Response<Messages>, Status>>());
    let gateway = before(
        &shop.url(),
        "  /slow: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: UPSTREAM, timeout: 100ms }",
    );
    let answer = gateway.get("/slow");
    assert_eq!((answer.status, answer.problem()), (504, "deadline".into()));
}

#[test]
fn a_service_that_is_away_is_told_as_of_any_upstream() {
    let gateway = before(
        &format!("grpc://{}", ports::free()),
        "  /away: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: UPSTREAM }",
    );
    let answer = gateway.get("/away");
    assert_eq!((answer.status, answer.problem()), (502, "upstream-refused".into()));
}

#[test]
fn calls_are_balanced_one_by_one_over_connections_that_stay() {
    let named = |name: &'static str| Shop::start(move |_| async move { one(Item::new(name, 1).bytes()) });
    let (first, second) = (named("first"), named("second"));
    let both = format!("[{}, {}]", first.url(), second.url());
    let gateway = before(&both, "  /x: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: UPSTREAM }");
    let mut names: Vec<String> =
        (0..10).map(|_| gateway.get("/x").json()["name"].as_str().expect("a name").to_owned()).collect();
    names.sort();
    assert_eq!(names, [["first"; 5], ["second"; 5]].concat());
}

#[test]
fn a_descriptor_set_is_as_good_as_its_source() {
    let shop = shop();
    let folder = super::folder();
    let mut loading = tollgate::exchange::grpc::Schema::load(&[folder.path().join("shop.proto")], &[]);
    let pool = loading.schema.as_mut().expect("a schema").pool().encode_to_vec();
    std::fs::write(folder.path().join("shop.binpb"), pool).expect("a set");
    let yaml = "routes: { /**: { grpc: { proto: shop.binpb, rules: true, service: shop.Catalog }, to: UPSTREAM } }";
    let gateway = crate::support::gateway::Gateway::start_in(folder, &yaml.replace("UPSTREAM", &shop.url()));
    let answer = gateway.get("/v1/shelves/1/items/2?revision=3");
    assert_eq!(answer.json()["price"], "3");
}
