//! The examples that google/api/http.proto documents, each as it says.

use super::schema;
use crate::exchange::grpc::{Asked, Json, JsonChoice, Rule, Schema, rules_of};
use crate::reply::Reply;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::fmt::Write as _;

/// A schema of one method with rules, and its messages.
fn with(option: &str, messages: &str) -> Schema {
    schema(&format!(
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\"; {messages}
         service S {{ rpc M(Q) returns (A) {{ option (google.api.http) = {{ {option} }}; }} }} message A {{}}"
    ))
}

fn rules(schema: &Schema) -> Vec<Rule> {
    let service = schema.services().next().unwrap();
    service.methods().flat_map(|method| rules_of(&method, 0).unwrap()).collect()
}

/// The message that a request makes, as JSON; `None` where no rule is for it.
fn made(schema: &Schema, method: &str, url: &str, body: &str) -> Option<Result<String, Box<Reply>>> {
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let asked = Asked { method: &method, path, query, captures: &[] };
    let json = Json::new(JsonChoice::default());
    let taken = |rule: &Rule| rule.method.as_deref().is_none_or(|own| own == method.as_str());
    let all = rules(schema);
    let (binding, texts) =
        all.iter().filter(|rule| taken(rule)).find_map(|rule| Some((&rule.binding, rule.binding.texts(&asked)?)))?;
    let body = Bytes::copy_from_slice(body.as_bytes());
    let made = binding.values(&asked, &texts, &json).and_then(|values| {
        let body = binding.reads_body(&method).then_some(&body);
        binding.message(body, &values, &json, &HeaderMap::new())
    });
    Some(made.map(|message| {
        let mut out = Vec::new();
        json.write(&message, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }))
}

#[track_caller]
fn makes(schema: &Schema, method: &str, url: &str, body: &str) -> String {
    made(schema, method, url, body).expect("a rule").unwrap_or_else(|reply| panic!("{}", reply.detail))
}

#[test]
fn a_variable_of_several_segments_is_the_name_of_a_resource() {
    let schema = with("get: \"/v1/{name=messages/*}\"", "message Q { string name = 1; }");
    assert_eq!(makes(&schema, "GET", "/v1/messages/123456", ""), r#"{"name":"messages/123456"}"#);
}

#[test]
fn fields_that_are_not_in_the_path_are_parameters_of_the_query() {
    let messages =
        "message Q { message Sub { string subfield = 1; } string message_id = 1; int64 revision = 2; Sub sub = 3; }";
    let schema = with("get: \"/v1/messages/{message_id}\"", messages);
    let made = makes(&schema, "GET", "/v1/messages/123456?revision=2&sub.subfield=foo", "");
    assert_eq!(made, r#"{"messageId":"123456","revision":"2","sub":{"subfield":"foo"}}"#);
}

#[test]
fn a_body_is_the_field_that_the_rule_names() {
    let messages = "message Message { string text = 1; } message Q { string message_id = 1; Message message = 2; }";
    let schema = with("patch: \"/v1/messages/{message_id}\" body: \"message\"", messages);
    let made = makes(&schema, "PATCH", "/v1/messages/123456", r#"{ "text": "Hi!" }"#);
    assert_eq!(made, r#"{"messageId":"123456","message":{"text":"Hi!"}}"#);
}

#[test]
fn a_body_is_all_fields_that_are_not_in_the_path() {
    let schema = with(
        "patch: \"/v1/messages/{message_id}\" body: \"*\"",
        "message Q { string message_id = 1; string text = 2; }",
    );
    let made = makes(&schema, "PATCH", "/v1/messages/123456", r#"{ "text": "Hi!" }"#);
    assert_eq!(made, r#"{"messageId":"123456","text":"Hi!"}"#);
    // There are no parameters then, and what the path says stands.
    let made = makes(&schema, "PATCH", "/v1/messages/1?text=x", r#"{ "messageId": "2" }"#);
    assert_eq!(made, r#"{"messageId":"1"}"#);
}

#[test]
fn a_method_has_several_rules() {
    let option = "get: \"/v1/messages/{message_id}\"
                  additional_bindings { get: \"/v1/users/{user_id}/messages/{message_id}\" }";
    let schema = with(option, "message Q { string message_id = 1; string user_id = 2; }");
    assert_eq!(makes(&schema, "GET", "/v1/messages/123456", ""), r#"{"messageId":"123456"}"#);
    let made = makes(&schema, "GET", "/v1/users/me/messages/123456", "");
    assert_eq!(made, r#"{"messageId":"123456","userId":"me"}"#);
    assert!(made_nothing(&schema, "POST", "/v1/messages/1") && made_nothing(&schema, "GET", "/v1/users/me"));
}

fn made_nothing(schema: &Schema, method: &str, url: &str) -> bool {
    made(schema, method, url, "").is_none()
}

#[test]
fn parameters_go_to_repeated_and_nested_fields() {
    let messages =
        "message Foo { string a = 1; bool b = 2; double c = 3; } message Q { Foo foo = 1; repeated string param = 2; }";
    let schema = with("get: \"/v1/x\"", messages);
    let made = makes(&schema, "GET", "/v1/x?param=A&param=B&foo.a=A&foo.b=true&foo.c=1.5", "");
    assert_eq!(made, r#"{"foo":{"a":"A","b":true,"c":1.5},"param":["A","B"]}"#);
}

#[test]
fn a_verb_ends_a_path() {
    let option = "post: \"/v1/{name=shelves/*/books/*}:archive\" body: \"*\"
                  additional_bindings { post: \"/v1/{name=shelves/*/books/**}\" }";
    let schema = with(option, "message Q { string name = 1; int32 n = 2; }");
    assert_eq!(
        makes(&schema, "POST", "/v1/shelves/1/books/2:archive", r#"{"n": 7}"#),
        r#"{"name":"shelves/1/books/2","n":7}"#
    );
    assert_eq!(makes(&schema, "POST", "/v1/shelves/1/books/a/b", ""), r#"{"name":"shelves/1/books/a/b"}"#);
}

#[test]
fn kinds_of_requests_are_put_delete_and_any_other() {
    let option = "put: \"/v1/{id}\" additional_bindings { delete: \"/v1/{id}\" }
                  additional_bindings { custom { kind: \"HEAD\" path: \"/v2/{id}\" } }
                  additional_bindings { custom { kind: \"*\" path: \"/v3/{id}\" } }";
    let schema = with(option, "message Q { int32 id = 1; }");
    for (method, url) in
        [("PUT", "/v1/5"), ("DELETE", "/v1/5"), ("HEAD", "/v2/5"), ("REPORT", "/v3/5"), ("GET", "/v3/5")]
    {
        assert_eq!(makes(&schema, method, url, ""), r#"{"id":5}"#, "{method} {url}");
    }
    assert!(made_nothing(&schema, "GET", "/v2/5"));
}

#[test]
fn values_of_paths_and_queries_have_the_forms_of_json() {
    let messages = "import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/field_mask.proto\";
        import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/duration.proto\";
        enum E { ZERO = 0; ONE = 1; }
        message Q { E e = 1; bytes data = 2; google.protobuf.Timestamp when = 3; google.protobuf.FieldMask mask = 4;
          google.protobuf.BoolValue flag = 5; google.protobuf.Int64Value big = 6; google.protobuf.Duration span = 7;
          repeated E es = 8; }";
    let schema = with("get: \"/v1/{e}\"", messages);
    let url = "/v1/ONE?data=AQI&when=1970-01-01T00:00:00Z&mask=userName&flag=true&big=5&span=1s&es=1&es=ZERO";
    let made = makes(&schema, "GET", url, "");
    let expected = r#"{"e":"ONE","data":"AQI=","when":"1970-01-01T00:00:00Z","mask":"userName","flag":true,"big":"5","span":"1s","es":["ONE","ZERO"]}"#;
    assert_eq!(made, expected);
    let mut wrong = String::new();
    for url in ["/v1/TWO", "/v1/ONE?data=*", "/v1/ONE?big=x", "/v1/ONE?flag=yes", "/v1/ONE?e=ONE", "/v1/ONE?no=1"] {
        let detail = super::http_rules::made(&schema, "GET", url, "").unwrap().unwrap_err().detail;
        let _ = writeln!(wrong, "{detail}");
    }
    assert_eq!(
        wrong.trim(),
        "\
The path is not as it should be: field `e`: `TWO` is no value of t.E.
The query is not as it should be: query parameter `data`: field `data`: `*` is no base64.
The query is not as it should be: query parameter `big`: field `big`: `x` is no google.protobuf.Int64Value.
The query is not as it should be: query parameter `flag`: field `flag`: `yes` is no google.protobuf.BoolValue.
The query is not as it should be: query parameter `e`: the field has its value from elsewhere.
The query is not as it should be: query parameter `no`: t.Q has no field `no`."
    );
}

#[test]
fn a_rule_that_cannot_be_kept_is_told_at_its_place() {
    let cases = [
        ("get: \"/v1/{nothing}\"", "the rule of t.S/M: t.Q has no field `nothing`"),
        ("get: \"/v1/{list}\"", "the rule of t.S/M: field `list` of t.Q is repeated, and a path holds one value"),
        ("get: \"/v1/{sub}\"", "the rule of t.S/M: field `sub` of t.Q is a message: name a field of it"),
        ("post: \"/v1\" body: \"x\"", "the rule of t.S/M: t.Q has no field `x`"),
        ("get: \"/v1\" response_body: \"x\"", "the rule of t.S/M: t.A has no field `x`"),
        ("get: \"v1\"", "the rule of t.S/M: `v1`: a path begins with `/`"),
        ("body: \"*\"", "the rule of t.S/M: it names no path"),
    ];
    for (option, message) in cases {
        let schema = with(option, "message Q { repeated string list = 1; Q sub = 2; }");
        let method = schema.services().next().unwrap().methods().next().unwrap();
        let bad = rules_of(&method, 0).unwrap_err();
        assert_eq!(bad.message, message);
        assert_eq!((&*bad.file, bad.at.map(|(line, ..)| line)), ("test.proto", Some(2)), "{option}");
    }
}
