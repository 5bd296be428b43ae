//! Values, and changes to heads against a plain model of them.

use super::headers::{HeaderChanges, Way, written};
use super::pairs::{Kind, PairChanges};
use super::value::{Place, Value};
use super::variable::Facts;
use super::*;
use crate::consumer::Consumer;
use crate::policy::tests::{messages, try_written, with_setup, written as read};
use crate::request::{Answered, Asked, Caller};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use std::path::Path;

fn scope(captures: &[Box<str>]) -> Scope<'_> {
    Scope { captures, route: "GET /orders/{id}", api: "shop", env: &[], answered: true }
}

fn captures() -> [Box<str>; 2] {
    ["id".into(), "**".into()]
}

fn context() -> RequestCx {
    let mut cx = RequestCx::at(0);
    cx.changes.asked = Some(Box::new(Asked {
        host: "shop.example".into(),
        path: "/orders/a%2Fb/x/..y".into(),
        query: Some("q=one%20two&evil=%0D%0AX:1".into()),
        captures: ["a%2Fb".into(), "x/..y".into()].into(),
    }));
    cx.identity.request_id = Some(HeaderValue::from_static("r-1"));
    cx.identity.caller = Some(Arc::new(Caller {
        id: "acme\r\nX-Evil: 1".into(),
        groups: ["gold".into(), "partners".into()].into(),
        consumer: Some(Arc::new(Consumer { id: "acme".into(), groups: Box::default(), plan: Some("gold".into()) })),
        claims: serde_json::json!({ "sub": "7", "n": 12, "ok": true, "list": ["a", "b"], "o": { "p": "q" }, "z": null }),
        ..Caller::default()
    }));
    cx
}

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn expand(text: &str, place: Place) -> Option<String> {
    let captures = captures();
    let scope = scope(&captures);
    let value = Spanned::nowhere(text.to_owned());
    let (value, problems, _) = with_setup(Path::new("."), |setup| Value::compile(&value, &scope, setup));
    assert_eq!(messages(&problems), Vec::<String>::new(), "{text}");
    let (cx, headers) = (context(), map(&[("x-tenant", "t1"), ("cookie", "a=1; b=\"2\"")]));
    let request = Answered { method: "PUT", headers: &headers };
    value.unwrap().expand(&Facts { cx: &cx, request, status: Some(404) }, place)
}

#[test]
fn each_variable_has_its_text() {
    for (text, expected) in [
        ("plain", Some("plain")),
        ("{{id}} }}", Some("{id} }")),
        ("{id}", Some("a/b")),
        ("{**}", Some("x/..y")),
        ("{method} {host} {path}", Some("PUT shop.example /orders/a%2Fb/x/..y")),
        ("{scheme}://{client}", Some("http://0.0.0.0")),
        ("{request_id}:{status}", Some("r-1:404")),
        ("{route} of {api}", Some("GET /orders/{id} of shop")),
        ("{consumer}", Some("acme%0D%0AX-Evil: 1")),
        ("{consumer.group}", Some("gold,partners")),
        ("{consumer.plan}", Some("gold")),
        ("{claim.sub}/{claim.n}/{claim.ok}/{claim.list}/{claim.o.p}", Some("7/12/true/a,b/q")),
        ("{claim.none}", None),
        ("{claim.z}", None),
        ("{claim.none|nobody}", Some("nobody")),
        ("{claim.none|}", Some("")),
        ("{header.X-Tenant}", Some("t1")),
        ("{header.x-none}", None),
        ("{query.q}", Some("one two")),
        ("{query.evil}", Some("%0D%0AX:1")),
        ("{cookie.a}{cookie.b}", Some("1\"2\"")),
    ] {
        assert_eq!(expand(text, Place::Field).as_deref(), expected, "{text}");
    }
}

#[test]
fn what_is_put_in_stays_in_its_place() {
    for (text, place, expected) in [
        ("/v2/{id}", Place::Segment, "/v2/a%2Fb"),
        ("/v2/{**}", Place::Segment, "/v2/x/..y"),
        ("/v2/{query.q}", Place::Segment, "/v2/one%20two"),
        ("{consumer}", Place::Parameter, "acme%0D%0AX-Evil%3A%201"),
        ("{query.q}&", Place::Parameter, "one%20two&"),
        ("{cookie.b}; Path=/", Place::Cookie, "%222%22; Path=/"),
    ] {
        assert_eq!(expand(text, place).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn names_that_are_unknown_are_refused_with_a_suggestion() {
    let captures = captures();
    for (text, message, hint) in [
        ("{consumr}", "there is no variable `consumr`", "`{consumer}`"),
        ("{ide}", "there is no variable `ide`", "`{id}`"),
        ("{elephant}", "there is no variable `elephant`", "known are"),
        ("{headers.X-A}", "there is no variable `headers.X-A`", "`{header.X-A}`"),
        ("{consumer.groups}", "there is no variable `consumer.groups`", "`{consumer.group}`"),
        ("{claim.}", "there is no variable `claim.`", ""),
        ("{header.a b}", "`a b` is not the name of a header", ""),
        ("{env.HOME}", "values may not name the environment variable `HOME`", "`env: [HOME]`"),
        ("{id", "`{` without `}`", "`{{`"),
        ("id}", "`}` without `{`", "`}}`"),
        ("{}", "there is no variable ``", ""),
    ] {
        let value = Spanned::nowhere(text.to_owned());
        let scope = scope(&captures);
        let (_, problems, _) = with_setup(Path::new("."), |setup| Value::compile(&value, &scope, setup));
        let said = messages(&problems).join("; ");
        assert!(said.starts_with(message) && said.contains(hint), "{text}: {said}");
    }
}

fn refused(yaml: &str) -> Vec<String> {
    let rule: Spanned<RequestConfig> = read(yaml);
    let mut chain = ChainBuilder::default();
    let ((), problems, _) = with_setup(Path::new("."), |setup| {
        attach((&[rule], &[]), Scope { answered: false, ..scope(&[]) }, &mut chain, setup);
    });
    messages(&problems)
}

#[test]
fn the_gateway_s_own_fields_cannot_be_named() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "TE",
        "Upgrade",
        "Host",
        "Via",
        "X-Request-Id",
        "X-Forwarded-For",
        "Forwarded",
        "X-Consumer-Id",
        "X_Consumer_Id",
        "x-consumer.groups",
        "X-Credential-Id",
        "X-Anonymous-Consumer",
        "traceparent",
    ] {
        for rule in
            [format!("set: {{ {name}: a }}"), format!("rename: {{ X-A: {name} }}"), format!("append: {{ {name}: a }}")]
        {
            let said = refused(&format!("{{ {rule} }}"));
            assert!(said[0].contains("may not be changed"), "{rule}: {said:?}");
        }
    }
    for (rule, message) in [
        ("set: { \"a b\": c }", "not the name of a header"),
        ("set: { X-A: \"b\\nc\" }", "not the value of a header"),
        ("set: { X-A: \"{header.X|\\r}\" }", "not the value of a header"),
        ("set: { X-A: ü }", "not the value of a header"),
        ("path: v2", "begins with `/`"),
        ("path: \"/a?b=c\"", "parameters are changed under `query:`"),
        ("path: \"/{status}\"", "no status yet"),
        ("method: HEAD", "no method a request can be changed to"),
        ("method: \"GET /\"", "no method a request can be changed to"),
        ("query: { set: { a: \"b&c=d\" } }", "`&` may not stand here"),
        ("query: { set: { \"\": b } }", "not the name of a parameter"),
        ("cookies: { set: { a: \"b; c=d\" } }", "`;` may not stand here"),
        ("cookies: { set: { \"a b\": c } }", "not the name of a cookie"),
        ("when: \"request.method = 'GET'\", set: { X-A: b }", "cannot be parsed"),
        ("when: \"requst.method == 'GET'\", set: { X-A: b }", "did you mean `request`?"),
        ("when: \"request.method == 'GET'\"", "changes nothing"),
    ] {
        let said = refused(&format!("{{ {rule} }}"));
        assert!(said.first().is_some_and(|said| said.contains(message)), "{rule}: {said:?}");
    }
    assert!(try_written::<RequestConfig>("{ headers: { a: b } }").is_err());
}

/// Changes to parameters or cookies of these pairs.
fn pairs(yaml: &str, kind: Kind) -> PairChanges {
    let config: ChangesConfig = read(yaml);
    let captures = captures();
    let scope = scope(&captures);
    let (changes, problems, _) =
        with_setup(Path::new("."), |setup| PairChanges::compile(written!(config), kind, &scope, setup));
    assert_eq!(messages(&problems), Vec::<String>::new(), "{yaml}");
    changes
}

#[test]
fn parameters_that_are_not_named_stay_as_they_are() {
    let (cx, headers) = (context(), HeaderMap::new());
    let facts = Facts { cx: &cx, request: Answered { method: "GET", headers: &headers }, status: None };
    for (yaml, query, expected) in [
        ("{ set: { a: 1 } }", None, Some("a=1")),
        ("{ set: { a: 1 } }", Some("x=%7e&a=2&b&%61=3"), Some("x=%7e&a=1&b")),
        ("{ set: { a: \"{claim.none}\" } }", Some("a=2&b=3"), Some("b=3")),
        ("{ remove: a }", Some("a=1&A=2&a"), Some("A=2")),
        ("{ remove: a }", Some("a=1"), None),
        ("{ rename: { a: \"b c\" } }", Some("a=1&c&a"), Some("b%20c=1&c&b%20c")),
        ("{ add: { a: 1, b: 2 } }", Some("a=0"), Some("a=0&b=2")),
        ("{ append: { a: \"{consumer.plan}\" } }", Some("a=0"), Some("a=0&a=gold")),
        ("{ set: { a: \"{query.evil}\" } }", Some(""), Some("&a=%0D%0AX%3A1")),
    ] {
        assert_eq!(pairs(yaml, Kind::Query).of_query(&facts, query).as_deref(), expected, "{yaml} {query:?}");
    }
}

#[test]
fn cookies_both_ways() {
    let cx = context();
    let asked = map(&[("cookie", "a=1; b=2"), ("cookie", "a=3")]);
    let facts = Facts { cx: &cx, request: Answered { method: "GET", headers: &asked }, status: None };
    for (yaml, expected) in [
        ("{ set: { a: \"{consumer}\" } }", Some("a=acme%0D%0AX-Evil:%201; b=2")),
        ("{ remove: [a, b] }", None),
        ("{ rename: { a: c } }", Some("c=1; b=2; c=3")),
        ("{ add: { a: 9, d: 4 } }", Some("a=1; b=2; a=3; d=4")),
    ] {
        let mut headers = asked.clone();
        pairs(yaml, Kind::Cookies).of_request(&facts, &mut headers);
        let lines: Vec<&str> = headers.get_all("cookie").iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines, expected.into_iter().collect::<Vec<_>>(), "{yaml}");
    }
    let mut headers = map(&[("set-cookie", "s=1; Path=/"), ("set-cookie", "t=2")]);
    pairs("{ remove: t, set: { u: \"{consumer.plan}; HttpOnly\" } }", Kind::SetCookies).of_answer(&facts, &mut headers);
    let lines: Vec<&str> = headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(lines, ["s=1; Path=/", "u=gold; HttpOnly"]);
}

/// A list of fields, as a plain model of a head; names within it have the order of their first value.
type Model = Vec<(String, String)>;

fn model(fields: &Model, config: &ChangesConfig) -> Model {
    let mut fields = fields.clone();
    for (from, to) in config.rename.iter() {
        let (moved, kept): (Model, Model) = fields.into_iter().partition(|(name, _)| *name == from.value);
        fields = kept;
        fields.extend(moved.into_iter().map(|(_, value)| (to.value.clone(), value)));
    }
    for gone in &config.remove {
        fields.retain(|(name, _)| *name != gone.value);
    }
    for (name, value) in config.set.iter() {
        fields.retain(|(known, _)| *known != name.value);
        fields.push((name.value.clone(), value.value.clone()));
    }
    for (name, value) in config.add.iter() {
        if !fields.iter().any(|(known, _)| *known == name.value) {
            fields.push((name.value.clone(), value.value.clone()));
        }
    }
    for (name, value) in config.append.iter() {
        fields.push((name.value.clone(), value.value.clone()));
    }
    fields
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["x-a", "x-b", "x-c", "x-d"]).prop_map(str::to_owned)
}

fn named() -> impl Strategy<Value = crate::value::Named<Spanned<String>>> {
    prop::collection::vec((names(), "[a-z0-9]{0,3}"), 0..3).prop_map(|pairs| {
        let mut named = crate::value::Named::default();
        for (name, value) in pairs {
            let _ = named.insert(Spanned::nowhere(name), Spanned::nowhere(value));
        }
        named
    })
}

proptest! {
    #[test]
    fn changes_to_fields_are_those_of_the_model(
        fields in prop::collection::vec((names(), "[a-z]{0,2}"), 0..6),
        renamed in prop::collection::vec((names(), names()), 0..3),
        remove in prop::collection::vec(names(), 0..2),
        (set, add, append) in (named(), named(), named()),
    ) {
        let mut rename = crate::value::Named::default();
        for (from, to) in renamed {
            let _ = rename.insert(Spanned::nowhere(from), Spanned::nowhere(to));
        }
        let remove = OneOrMany(remove.into_iter().map(Spanned::nowhere).collect());
        let config = ChangesConfig { rename, remove, set, add, append };
        let (changes, problems, _) = with_setup(Path::new("."), |setup| {
            HeaderChanges::compile(written!(config), Way::Up, &scope(&[]), setup)
        });
        prop_assert!(problems.is_empty());
        let mut headers = HeaderMap::new();
        for (name, value) in &fields {
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        let (cx, asked) = (context(), HeaderMap::new());
        let facts = Facts { cx: &cx, request: Answered { method: "GET", headers: &asked }, status: None };
        changes.make(&facts, &mut headers);
        for name in ["x-a", "x-b", "x-c", "x-d"] {
            let found: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            let expected = model(&fields, &config);
            let expected: Vec<&str> =
                expected.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
            prop_assert_eq!(found, expected, "{}: {:?}", name, config);
        }
    }
}
