//! What is read, how it is measured, and what is refused.

use super::*;
use crate::value::json::JsonBounds;

fn guard() -> Guard {
    let limits =
        Limits { depth: 5, aliases: 3, cost: 1_000, tokens: 500, batch: Some(2), list_size: 100, introspection: false };
    let list_arguments = ["first", "last", "limit"].map(Into::into).into();
    Guard { limits, list_arguments, persisted: None, max_body: 1 << 20 }
}

/// The measure of a query that comes with these variables.
fn measured(query: &str, variables: &str) -> Result<Measure, Refused> {
    let variables = Json::parse(variables.as_bytes(), JsonBounds::default()).unwrap();
    let generous = Limits { depth: 1_000, aliases: u64::MAX, cost: u64::MAX, tokens: 20_000, ..guard().limits };
    let message = Message { query: Some(query.into()), variables, ..Message::default() };
    Guard { limits: generous, ..guard() }.judge(&message, true).map(|(measured, _)| measured)
}

fn cost(query: &str, variables: &str) -> u64 {
    measured(query, variables).unwrap().cost
}

fn refusal(body: &str) -> Option<Reason> {
    guard().judge_json(body.as_bytes()).err().map(|refused| refused.reason)
}

#[test]
fn depth_and_aliases_count_with_fragments_in_their_places() {
    let query =
        "query A { a { ...F x: b } ... on T { c @include(if: true) { d { e } } } } fragment F on T { y: f { g } }";
    let expected = Measure { depth: 3, aliases: 2, cost: 7 };
    assert_eq!(measured(query, "null").unwrap(), expected);
}

#[test]
fn lists_cost_as_often_as_they_may_have_entries() {
    for (query, variables, expected) in [
        ("{ a }", "null", 1),
        ("{ a(first: 10) { b c } }", "null", 30),
        ("{ a(last: 10) { b(limit: 5) { c } } }", "null", 110),
        ("{ a(other: 10) { b } }", "null", 2),
        ("{ a(first: 10, last: 20) }", "null", 20),
        ("{ a(page: { limit: 50, offset: 900 }) }", "null", 50),
        ("{ a(pages: [{ limit: 50 }, { limit: 70 }]) }", "null", 70),
        ("query($n: Int) { a(first: $n) }", r#"{"n":7}"#, 7),
        ("query($n: Int) { a(first: $n) }", r#"{"n":1e3}"#, 1_000),
        ("query($p: P) { a(page: $p) }", r#"{"p":{"limit":60}}"#, 60),
        ("query($p: P) { a(where: { page: $p }) }", r#"{"p":[{"x":{"first":60}}]}"#, 60),
        ("query($n: Int = 8) { a(first: $n) }", "null", 8),
        ("query($n: Int = 8) { a(first: $n) }", r#"{"n":9}"#, 9),
        // What cannot be told, and what some services take for no bound, stands for the list size of the route.
        ("query($n: Int) { a(first: $n) }", "null", 100),
        ("query($n: Int) { a(first: $n) }", r#"{"n":"7"}"#, 100),
        ("query($n: Int = 8) { a(first: $n) }", r#"{"n":null}"#, 100),
        ("{ a(first: 0) }", "null", 100),
        ("{ a(limit: -1) }", "null", 100),
        ("{ a(first: null) }", "null", 100),
        ("{ a(first: ALL) }", "null", 100),
        ("{ a(first: 99999999999999999999999999) { b } }", "null", u64::MAX),
        ("{ a(first: 4294967296) { b(first: 4294967296) { c(first: 4294967296) } } }", "null", u64::MAX),
    ] {
        assert_eq!(cost(query, variables), expected, "{query} {variables}");
    }
}

#[test]
fn a_bomb_of_fragments_is_measured_as_fast_as_it_is_read() {
    let mut query = String::from("{ ...F0 }");
    for number in 0..200 {
        query.push_str(&format!(" fragment F{number} on T {{ ...F{next} ...F{next} }}", next = number + 1));
    }
    query.push_str(" fragment F200 on T { x: a }");
    let measured = measured(&query, "null").unwrap();
    assert_eq!((measured.depth, measured.aliases, measured.cost), (1, u64::MAX, u64::MAX));
}

#[test]
fn fragments_that_spread_themselves_are_refused_wherever_they_stand() {
    for query in [
        "{ ...A } fragment A on T { a ...A }",
        "{ ...A } fragment A on T { ...B } fragment B on T { b { ...A } }",
        "{ a } fragment A on T { ...B } fragment B on T { ...A }",
        "{ ...Missing }",
    ] {
        assert_eq!(measured(query, "null").unwrap_err().reason, Reason::BadGraphql, "{query}");
    }
}

#[test]
fn no_nesting_takes_the_stack() {
    let chain: String = (0..2_000).map(|n| format!("fragment F{n} on T {{ ...F{} }} ", n + 1)).collect();
    for query in [
        format!("{}a{}", "{a".repeat(9_000), "}".repeat(9_000)),
        format!("{{ a(x: {}1{}) }}", "[".repeat(9_000), "]".repeat(9_000)),
        format!("{{ a(x: {}1{}) }}", "{x:".repeat(6_000), "}".repeat(6_000)),
        format!("query($x: {}Int{}) {{ a }}", "[".repeat(9_000), "]".repeat(9_000)),
        format!("{{ {} a {} }}", "... {".repeat(6_000), "}".repeat(6_000)),
        format!("{{ ...F0 }} {chain}fragment F2000 on T {{ a }}"),
    ] {
        assert_eq!(measured(&query, "null").unwrap_err().reason, Reason::GraphqlLimit, "{:.40}", query);
    }
}

#[test]
fn what_one_reader_could_read_differently_from_another_is_refused() {
    for body in [
        r#"{"query":"{a}","query":"{b}"}"#,
        r#"{"query":"{a}","\u0071uery":"{b}"}"#,
        r#"{"query":"{a}","Query":"{b}"}"#,
        r#"{"query":"{a}","id":"other"}"#,
        r#"{"query":"{a}","variables":{"n":1,"n":2}}"#,
        r#"{"query":"{a}","variables":"{}"}"#,
        r#"{"query":"{a}","variables":[]}"#,
        r#"{"query":["{a}"]}"#,
        r#"{"query":"{a}"} {"query":"{b}"}"#,
        "\u{feff}{\"query\":\"{a}\"}",
        r#""{a}""#,
        r"[]",
        r#"[[{"query":"{a}"}]]"#,
        r"{}",
        r#"{"query":""}"#,
        r#"{"query":"{a} # \u2028 }"}"#,
        r#"{"query":"{a} # \u0085 }"}"#,
        r#"{"query":"{a(x: \"\n\")}"}"#,
        r#"{"query":"{a(x: \"\\q\")}"}"#,
        r#"{"query":"{a(x: 01)}"}"#,
        r#"{"query":"{a(x: 1x)}"}"#,
        r#"{"query":"{a(x: \"\"\"open)}"}"#,
        r#"{"query":"{a}{b}"}"#,
        r#"{"query":"query A {a} query A {b}","operationName":"A"}"#,
        r#"{"query":"query A {a} query B {b}"}"#,
        r#"{"query":"query A {a}","operationName":"B"}"#,
        r#"{"query":"{...F} fragment F on T {a} fragment F on T {b}"}"#,
        r#"{"query":"type T { a: Int }"}"#,
        r#"{"query":"{a} type T { a: Int }"}"#,
        r#"{"query":"{}"}"#,
        r#"{"query":"{a"}"#,
        r#"{"query":"{a}}"}"#,
        r#"{"query":"{a\u00a0b}"}"#,
        r#"{"query":"{\u0430}"}"#,
        r#"{"query":"{a}","extensions":{"persistedQuery":{"sha256Hash":"00"}}}"#,
    ] {
        assert_eq!(refusal(body), Some(Reason::BadGraphql), "{body}");
    }
}

#[test]
fn what_is_sound_passes_however_it_is_spelled() {
    for body in [
        r#"{"query":"{a}"}"#,
        r#"{"query":"{a}","variables":null,"operationName":null,"extensions":null}"#,
        r#"{"query":"query A {a} mutation B {b}","operationName":"B","variables":{"deep":{"x":[1.50]}}}"#,
        r##"{"query":"\ufeff# a comment { b { c\r\n{ a(x: -1.5e+3, y: \"\\u0061 } {\", z: \"\"\" \\\"\"\" } \"\"\", e: E, v: $v, l: [1 2], o: {a: true}) @d(x: 1) { b } , , on: c }"}"##,
        r#"{"query":"query A($a: [Int!]! = [1] @d, $b: S) @x { __typename ... @skip(if: false) { a } }"}"#,
        r#"[{"query":"{a}"},{"query":"{b}"}]"#,
    ] {
        assert_eq!(guard().judge_json(body.as_bytes()), Ok(None), "{body}");
    }
}

#[test]
fn limits_hold_for_one_request_and_for_an_array_together() {
    for body in [
        r#"{"query":"{a{a{a{a{a{a}}}}}}"}"#,
        r#"{"query":"{a:x b:x c:x d:x}"}"#,
        r#"{"query":"{a(first:1001)}"}"#,
        r#"[{"query":"{a:x b:x}"},{"query":"{a:x b:x}"}]"#,
        r#"[{"query":"{a(first:600)}"},{"query":"{a(first:600)}"}]"#,
        r#"[{"query":"{a}"},{"query":"{a}"},{"query":"{a}"}]"#,
    ] {
        assert_eq!(refusal(body), Some(Reason::GraphqlLimit), "{body}");
    }
    assert_eq!(refusal(&format!(r#"{{"query":"{{{}}}"}}"#, "a ".repeat(499))), Some(Reason::GraphqlLimit));
    assert_eq!(refusal(&format!(r#"{{"query":"{{{}}}"}}"#, "a ".repeat(498))), None);
}

#[test]
fn the_schema_is_not_told_under_any_name() {
    for query in ["{__schema{a}}", "{x:__schema{a}}", "{a{...F}} fragment F on T {__type(name:1){a}}"] {
        let refused = refusal(&format!(r#"{{"query":"{query}"}}"#));
        assert_eq!(refused, Some(Reason::GraphqlForbidden), "{query}");
    }
    let open = Guard { limits: Limits { introspection: true, ..guard().limits }, ..guard() };
    assert_eq!(open.judge_json(br#"{"query":"{__schema{a}}"}"#), Ok(None));
}

#[test]
fn listed_queries_pass_by_text_and_by_hash_and_others_do_not() {
    let (query, sha) = ("{a}", hash("{a}"));
    let persisted = Some([(sha.as_str().into(), query.into())].into());
    let guard = Guard { persisted, ..guard() };
    let judge = |body: &str| guard.judge_json(body.as_bytes()).map_err(|refused| refused.code);
    let hashed = |sha: &str| {
        format!(
            r#"{{"extensions":{{"persistedQuery":{{"version":1,"sha256Hash":"{sha}"}}}},"variables":{{"n":1.50}}}}"#
        )
    };
    assert_eq!(judge(r#"{"query":"{a}"}"#), Ok(None));
    assert_eq!(judge(r#"{"query":"{a }"}"#), Err("FORBIDDEN"));
    let put_in = hashed(&sha).replace("1.50}}", "1.50},\"query\":\"{a}\"}");
    assert_eq!(judge(&hashed(&sha)), Ok(Some(put_in.into_bytes())));
    assert_eq!(judge(&hashed(&hash("{b}"))), Err("PERSISTED_QUERY_NOT_FOUND"));
}

#[test]
fn parameters_of_a_url_stand_once_and_as_they_are_known() {
    for (query, passes) in [
        ("query=%7Ba%7D", true),
        ("query={a}&variables={%22n%22:1}&operationName=&other=1&other=2", true),
        ("query={a}&query={b}", false),
        ("query={a}&Query={b}", false),
        ("query={a}&query[]={b}", false),
        ("query={a}&query.x={b}", false),
        ("query={a}&%71uery={b}", false),
        ("query={a};query={b}", false),
        ("query={a}&variables={%22n%22:1,%22n%22:2}", false),
        ("query={a}&variables=1", false),
        ("query={a%ff}", false),
        ("", false),
    ] {
        let judged = Message::of_url(query).and_then(|message| guard().judge(&message, false).map(|_| ()));
        assert_eq!(judged.is_ok(), passes, "{query}");
    }
}

#[test]
fn get_is_for_queries_alone() {
    for (query, operation, passes) in [
        ("query A {a} mutation B {b}", "A", true),
        ("query A {a} mutation B {b}", "B", false),
        ("mutation {b}", "", false),
        ("subscription {b}", "", false),
    ] {
        let operation = Some(operation).filter(|name| !name.is_empty()).map(Into::into);
        let message = Message { query: Some(query.into()), operation, ..Message::default() };
        let judged = guard().judge(&message, false).map(|_| ()).map_err(|refused| refused.reason);
        assert_eq!(judged, if passes { Ok(()) } else { Err(Reason::GraphqlForbidden) }, "{query}");
        assert!(guard().judge(&message, true).is_ok());
    }
}
