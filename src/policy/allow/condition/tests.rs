//! Expressions: what is refused when they are read, and what they say of requests.

use super::uses::Names;
use super::*;
use crate::consumer::Consumer;
use crate::request::{Caller, RequestCx, RequestView};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

/// Asks every expression about one request, of a caller where there is one.
struct Asked {
    cx: RequestCx,
    headers: HeaderMap,
    query: Option<&'static str>,
}

impl Asked {
    fn anonymous() -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-tenant", "t1"), ("accept", "a"), ("accept", "b"), ("x-raw", "\u{fc}")] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers.append("x-latin", HeaderValue::from_bytes(b"\xfc").unwrap());
        Self { cx: RequestCx::at(1_000), headers, query: Some("id=7&name=J%C3%BC+x&id2=&twice=a&twice=b") }
    }

    fn known() -> Self {
        let mut asked = Self::anonymous();
        let consumer = Consumer { id: "acme".into(), groups: ["partners".into()].into(), plan: None };
        asked.cx.identity.caller = Some(Arc::new(Caller {
            id: "acme".into(),
            consumer: Some(Arc::new(consumer)),
            provider: "idp".into(),
            groups: ["partners".into(), "staff".into()].into(),
            scopes: ["orders:read".into()].into(),
            claims: json!({
                "tenant": { "id": "t1", "admin": true }, "roles": ["a", "b"], "level": 7, "share": 0.5,
                "exp": 2_000, "none": null, "big": u64::MAX, "nested": [{ "a": [1, 2] }],
            }),
            ..Caller::default()
        }));
        asked
    }

    fn says(&mut self, text: &str) -> Result<bool, Cow<'static, str>> {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message));
        let request = RequestView {
            method: "POST",
            host: "api.example",
            path: "/orders/7",
            query: self.query,
            headers: &mut self.headers,
        };
        condition.evaluate(&Facts::of(&self.cx, &request))
    }
}

#[test]
fn expressions_see_the_request_and_the_caller() {
    let mut asked = Asked::known();
    let cases = [
        ("request.method == 'POST'", true),
        ("request.method in ['GET', 'HEAD']", false),
        ("request.scheme == 'http' && request.host == 'api.example'", true),
        ("request.path.startsWith('/orders/')", true),
        ("request.path.matches('^/orders/[0-9]+$')", true),
        ("matches(request.path, '^/users')", false),
        ("request.client == '0.0.0.0'", true),
        ("request.headers['x-tenant'] == claims.tenant.id", true),
        ("request.headers.accept == 'a, b'", true),
        ("request.headers['x-raw'] == '\u{fc}' && request.headers['x-latin'] == '\u{fc}'", true),
        ("has(request.headers.cookie)", false),
        ("'x-tenant' in request.headers", true),
        ("'cookie' in request.headers", false),
        ("request.headers.exists(name, name.startsWith('x-'))", true),
        ("request.query.id == '7' && int(request.query.id) == claims.level", true),
        ("request.query.name == 'J\u{fc} x' && request.query['id2'] == ''", true),
        ("has(request.query.missing) || 'missing' in request.query", false),
        ("caller.id == 'acme' && caller.consumer == 'acme' && caller.provider == 'idp'", true),
        ("'staff' in caller.groups && 'orders:read' in caller.scopes && !caller.anonymous", true),
        ("claims.tenant.admin && claims['tenant'].id == 't1'", true),
        ("claims.roles.exists(role, role == 'b') && claims.roles.all(role, size(role) == 1)", true),
        ("claims.share < 1.0 && claims.level > 6 && claims.big > 0u", true),
        ("claims.none == null && claims.nested[0].a[1] == 2", true),
        ("has(claims.tenant.name)", false),
        ("claims.exp > now && now == 1000", true),
        ("type(claims.level) == int", true),
        ("claims.level == '7'", false),
        ("[1].exists(request, request == 1)", true),
        ("true", true),
        ("1 + 1 == 3", false),
    ];
    for (text, holds) in cases {
        assert_eq!(asked.says(text), Ok(holds), "{text}");
    }
    let mut nobody = Asked::anonymous();
    for text in ["caller.anonymous", "caller.id == '' && caller.groups == []", "!has(claims.tenant)", "claims == {}"] {
        assert_eq!(nobody.says(text), Ok(true), "{text}");
    }
}

#[test]
fn an_error_is_no_value_and_tells_nothing_of_the_request() {
    let mut asked = Asked::known();
    let cases = [
        ("claims.missing == 'x'", "not there"),
        ("claims.missing != 'x'", "not there"),
        ("request.headers['x-none'] != 'admin'", "not there"),
        ("request.query.twice == 'a'", "twice in the query"),
        ("request.query.exists(name, name == 'id')", "twice in the query"),
        ("claims.tenant.id > 1", "no matching overload"),
        ("claims.tenant.id + 1 == 2", "does not fit"),
        ("claims.level / (claims.level - 7) == 1", "divides by zero"),
        ("claims.level + 9223372036854775807 > 0", "too large"),
        ("claims.roles[7] == 'a'", "list is shorter"),
        ("claims.tenant", "not true or false"),
        ("claims.level ? true : false", "where a bool is needed"),
        ("int(claims.tenant.id) == 1", ""),
        ("!(claims.missing == 'x')", "not there"),
        ("claims.missing == 'x' || claims.level == 8", "not there"),
    ];
    for (text, said) in cases {
        let why = asked.says(text).expect_err(text);
        assert!(why.contains(said) && !why.contains("t1") && !why.contains("acme"), "{text}: {why}");
    }
    // What is decided without the part that fails is decided.
    assert_eq!(asked.says("claims.missing == 'x' || claims.level == 7"), Ok(true));
    assert_eq!(asked.says("claims.missing == 'x' && claims.level == 8"), Ok(false));
}

#[test]
fn what_can_never_be_right_is_refused_with_its_place() {
    let cases = [
        ("request.metod == 'GET'", 0, "`request` has no `metod`"),
        ("true && request['metod'] == 'GET'", 15, "`request` has no `metod`"),
        ("caller.name == 'x'", 0, "`caller` has no `name`"),
        ("true && clams.role == 'x'", 8, "there is no variable `clams`"),
        ("clams == 1", 0, "there is no variable `clams`"),
        ("['a'].exists(x, y == x)", 16, "there is no variable `y`"),
        ("lower(request.path) == 'x'", 0, "there is no function `lower`"),
        ("request.path.startWith('/a')", 0, "there is no function `startWith`"),
        ("request.path.matches(request.query.p)", 0, "written out"),
        ("request.path.matches('(')", 0, "not a regular expression"),
        ("request.path.matches('(a{1000}){1000}')", 0, "not a regular expression"),
        ("request.headers['X-Tenant'] == 'a'", 0, "in lower case"),
        ("'yes'", 0, "never true or false"),
        ("1", 0, "never true or false"),
        ("[true]", 0, "never true or false"),
        ("size(request.path)", 0, "never true or false"),
        ("1 < 2 ? 'a' : 'b'", 0, "never true or false"),
        ("1 / 0 == 1", 0, "never be evaluated"),
        ("request.method == ", 18, "cannot be parsed"),
        ("request.method = 'GET'", 15, "cannot be parsed"),
        ("Shop{a: 1} == 1", 0, "no message types"),
        (".request.method == 'GET'", 0, "there is no variable `.request`"),
        ("optional.of(1).hasValue()", 0, "there is no function `of`"),
        ("[1].all(a, [1].all(b, [1].all(c, [1].all(d, [1].all(e, true)))))", 0, "more than 4 macros"),
    ];
    for (text, offset, said) in cases {
        let error = Condition::parse(text).map(|_| ()).expect_err(text);
        assert!(error.message.contains(said), "{text}: {}", error.message);
        if offset > 0 {
            assert_eq!(error.offset, offset, "{text}: {}", error.message);
        }
    }
}

#[test]
fn an_expression_that_goes_too_deep_is_refused() {
    for text in [format!("claims{}", ".a".repeat(500)), format!("1 == 1{}", " && claims.a == now".repeat(90))] {
        match Condition::parse(&text) {
            Ok(condition) => drop(condition),
            Err(error) => assert!(error.message.contains("deep"), "{}", error.message),
        }
    }
    let sum = vec!["now"; 300].join(" + ") + " > 1";
    assert!(Condition::parse(&sum).is_err_and(|error| error.message.contains("deep")));
}

#[test]
fn only_what_is_named_is_bound() {
    let uses = |text: &str| Condition::parse(text).unwrap().uses;
    let read = uses("request.method == 'GET'");
    assert!(read.request.any() && !read.caller.any() && !read.headers.any() && !read.query.any());
    assert!(
        matches!(uses("request.headers.a == request.headers['b']").headers, Names::Some(names) if names.len() == 2)
    );
    assert!(matches!(uses("size(request.headers) > 0").headers, Names::All));
    assert!(matches!(uses("[request].size() > 0").query, Names::All));
    assert!(!Condition::parse("request.path == '/'").unwrap().reads_caller());
    assert!(Condition::parse("has(claims.a)").unwrap().reads_caller());
}

#[test]
fn macros_over_what_a_request_brings_come_to_an_end() {
    let many = |count: usize| (0..count).map(|number| format!("n{number}=1&")).collect::<String>();
    let mut asked = Asked::known();
    let inside = |text: &str| format!("request.query.all(a, request.query.{text})");
    let nested = [
        "all(b, a != '' && b != '')",
        "exists(b, b == '') == false",
        "map(b, a + b) != []",
        "filter(b, b == '') == []",
    ];
    let nested =
        nested.map(inside).into_iter().chain([inside("exists_one(b, b == a)"), inside("map(b, a == b, b) != []")]);
    for text in nested {
        asked.query = Some(many(3_000).leak());
        let began = std::time::Instant::now();
        assert_eq!(asked.says(&text).unwrap_err(), "its macros go on for too long", "{text}");
        // Nine million rounds would take minutes here.
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{text}");
        asked.query = Some(many(50).leak());
        assert!(asked.says(&text).is_ok(), "{text}");
    }
    asked.query = Some(many(10_000).leak());
    assert_eq!(asked.says("request.query.all(name, name != 'x')"), Ok(true));
    assert_eq!(
        asked.says("request.query.filter(name, name == 'n7').map(name, name + 'x') == ['n7x']"),
        Err("its macros go on for too long".into())
    );
    // Each request begins anew, and what decides by itself does.
    assert_eq!(asked.says("request.query.exists(name, name == 'x') || request.method == 'POST'"), Ok(true));
    let list = vec!["0"; 200].join(",");
    let constant = format!("[{list}].all(a, [{list}].all(b, [{list}].all(c, a + b + c == 0)))");
    let error = Condition::parse(&constant).map(|_| ()).unwrap_err();
    assert!(error.message.contains("go on for too long"), "{}", error.message);
}
