//! Answers made of a request, without sockets.

use super::*;
use crate::policy::tests::{messages, with_setup, written};
use crate::request::{Answered, Asked, RequestCx};
use std::path::Path;

fn compiled(yaml: &str) -> (Answers, Vec<String>) {
    let captures = ["id".into()];
    let scope = Scope { captures: &captures, route: "/a/{id}", api: "", env: &[], answered: false };
    let (answers, problems, _) = with_setup(Path::new("."), |setup| Answers::respond(&written(yaml), &scope, setup));
    (answers, messages(&problems))
}

fn answered(yaml: &str, id: &str) -> Fixed {
    let (answers, problems) = compiled(yaml);
    assert_eq!(problems, Vec::<String>::new(), "{yaml}");
    let mut cx = RequestCx::at(0);
    let (captures, path) = ([id.into()].into(), "/".into());
    cx.changes.asked = Some(Box::new(Asked { host: "h".into(), path, query: None, captures }));
    let headers = HeaderMap::new();
    answers.answer(&Facts { cx: &cx, request: Answered { method: "GET", headers: &headers }, status: None })
}

fn body(yaml: &str, id: &str) -> String {
    String::from_utf8(answered(yaml, id).body.to_vec()).unwrap()
}

#[test]
fn what_is_put_in_is_written_for_where_it_stands() {
    let evil = "%22%3C%27%26%5C%0D%0A%00%C3%A9";
    for (yaml, expected) in [
        (
            "{ json: { a: [\"x{id}\", 1, null, { b: true }] } }",
            "{\"a\":[\"x\\\"<'&\\\\\\r\\n\\u0000é\",1,null,{\"b\":true}]}",
        ),
        (
            "{ headers: { Content-Type: application/problem+json }, body: '{\"a\": {\"b\":\"{id}\"}}' }",
            "{\"a\": {\"b\":\"\\\"<'&\\\\\\r\\n\\u0000é\"}}",
        ),
        (
            "{ headers: { content-type: text/html }, body: '<a title=\"{id}\">' }",
            "<a title=\"&quot;&lt;&#39;&amp;\\\r\né\">",
        ),
        ("{ headers: { content-type: image/svg+xml }, body: '<a>{id}</a>' }", "<a>&quot;&lt;&#39;&amp;\\\r\né</a>"),
        ("{ body: '{ {id} } {} {{id}} a}}' }", "{ \"<'&\\\r\n\0é } {} {id} a}}"),
    ] {
        assert_eq!(body(yaml, evil), expected, "{yaml}");
    }
    let fixed = answered("{ headers: { X-A: 'a/{id}', X-Gone: '{query.none}', X-B: b }, body: x }", evil);
    let found: Vec<_> = fixed.fields.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!(
        found,
        [("content-type", "text/plain; charset=utf-8"), ("x-a", "a/\"<'&\\%0D%0A%00%C3%A9"), ("x-b", "b")]
    );
}

#[test]
fn a_variable_that_is_not_there_leaves_nothing() {
    assert_eq!(body("{ json: { a: \"{query.x}\", b: \"{query.x|none}\" } }", "1"), "{\"a\":null,\"b\":\"none\"}");
    assert_eq!(body("{ body: 'a{query.x}b{cookie.c|d}' }", "1"), "abd");
}

#[test]
fn what_depends_on_no_request_is_made_once() {
    let (answers, _) = compiled("{ status: 418, headers: { X-Pot: tea }, json: { short: [stout, \"{{\"] } }");
    assert!(!answers.asks());
    assert_eq!(answers.describe(), "answers 418 (23 bytes)");
    assert_eq!(body("{ json: { short: [stout, \"{{\"] } }", ""), "{\"short\":[\"stout\",\"{\"]}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (yaml, problem) in [
        ("{ body: '{idd}' }", "there is no variable `idd`"),
        ("{ json: { a: '{idd}' } }", "there is no variable `idd`"),
        ("{ body: '{status}' }", "a request has no status yet"),
        (
            "{ headers: { Content-Type: application/json }, body: '{\"a\": {id}}' }",
            "a variable in JSON stands within a string",
        ),
        (
            "{ headers: { Content-Type: '{id}' }, body: a }",
            "the `Content-Type` of an answer may not depend on the request",
        ),
        ("{ headers: { Content-Length: '1' } }", "`content-length` may not be changed: the gateway writes it"),
        ("{ status: 100 }", "a status is from 200 to 599"),
        ("{ body: a, json: 1 }", "an answer has `body` or `json`, not both"),
    ] {
        let found: Vec<String> = compiled(yaml).1.iter().map(|text| text.lines().take(1).collect()).collect();
        assert_eq!(found, [problem], "{yaml}");
    }
}
