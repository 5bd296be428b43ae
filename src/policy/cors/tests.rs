//! What pages may do, and what a configuration may say.

use super::*;
use crate::policy::tests::{messages, try_written, with_setup, written};
use crate::request::{Answered, Maker};
use crate::value::Spanned;
use http::HeaderMap;
use std::path::Path;

fn cors(yaml: &str) -> Cors {
    let config = written::<CorsConfig>(yaml);
    let (cors, problems, _) = with_setup(Path::new(""), |setup| config.compile(Preflights::Answered, setup));
    assert!(problems.is_empty(), "{yaml}: {problems:?}");
    cors
}

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap());
    }
    headers
}

fn decide(cors: &Cors, method: &str, fields: &[(&str, &str)]) -> Decision {
    let mut headers = map(fields);
    let mut view = RequestView { method, host: "api.example", path: "/", query: None, headers: &mut headers };
    cors.on_request(&mut RequestCx::at(0), &mut view)
}

/// The answer to a preflight: its fields, or the detail of the refusal.
fn preflight(cors: &Cors, fields: &[(&str, &str)]) -> Result<HeaderMap, String> {
    match decide(cors, "OPTIONS", fields) {
        Decision::Answer(fixed) => {
            assert_eq!((fixed.status, fixed.body.len()), (StatusCode::NO_CONTENT, 0));
            Ok(fixed.fields.into_iter().collect())
        }
        Decision::Reply(reply) => {
            assert_eq!(reply.reason, Reason::CorsDenied);
            Err(reply.detail.into_owned())
        }
        other => panic!("a preflight must be decided: {other:?}"),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next().map(|value| value.to_str().unwrap());
    assert!(all.next().is_none(), "{name} stands twice");
    first
}

/// An answer with these fields, after the policy has seen it.
fn answered(cors: &Cors, request: &[(&str, &str)], upstream: &[(&str, &str)]) -> HeaderMap {
    let (request, mut headers) = (map(request), map(upstream));
    let request = Answered { method: "GET", headers: &request };
    let mut view = ResponseView { request, status: 200, maker: Maker::Upstream, headers: &mut headers };
    cors.on_response(&mut RequestCx::at(0), &mut view);
    headers
}

const SHOP: (&str, &str) = ("origin", "https://shop.example");
const PUT: (&str, &str) = ("access-control-request-method", "PUT");

#[test]
fn a_preflight_is_told_what_it_may() {
    let policy = cors("{ origins: https://shop.example, expose: [X-Total], max_age: 2h }");
    let asked = [SHOP, PUT, ("access-control-request-headers", "content-type,X-Trace")];
    let fields = preflight(&policy, &asked).unwrap();
    assert_eq!(text(&fields, "access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(text(&fields, "access-control-allow-methods"), Some("PUT"));
    assert_eq!(text(&fields, "access-control-allow-headers"), Some("content-type, x-trace"));
    assert_eq!(text(&fields, "access-control-max-age"), Some("7200"));
    assert!(text(&fields, "vary").unwrap().starts_with("Origin, "));
    for absent in
        ["access-control-allow-credentials", "access-control-expose-headers", "access-control-allow-private-network"]
    {
        assert_eq!(text(&fields, absent), None);
    }
}

#[test]
fn a_preflight_for_anything_else_is_refused_and_says_why() {
    let policy = cors("{ origins: [https://shop.example], methods: [GET, PUT], headers: [Content-Type, X-Trace] }");
    let list = |value| [SHOP, PUT, ("access-control-request-headers", value)];
    assert_eq!(text(&preflight(&policy, &list("x-trace")).unwrap(), "access-control-allow-methods"), Some("GET, PUT"));
    let fields = preflight(&policy, &list("X-TRACE")).unwrap();
    assert_eq!(text(&fields, "access-control-allow-headers"), Some("content-type, x-trace"));
    for (fields, expected) in [
        (vec![("origin", "https://evil.example"), PUT], Reason::CorsDenied.detail()),
        (vec![("origin", "null"), PUT], Reason::CorsDenied.detail()),
        (vec![("origin", ""), PUT], Reason::CorsDenied.detail()),
        (vec![SHOP, ("origin", "https://evil.example"), PUT], Reason::CorsDenied.detail()),
        (vec![SHOP, SHOP, PUT], Reason::CorsDenied.detail()),
        (
            vec![SHOP, ("access-control-request-method", "DELETE")],
            "Pages of other origins may not use the method DELETE here.",
        ),
        (
            vec![SHOP, ("access-control-request-method", "put")],
            "Pages of other origins may not use the method put here.",
        ),
        (vec![SHOP, ("access-control-request-method", "PUT, GET")], "What the preflight asks for is not a method."),
        (vec![SHOP, ("access-control-request-method", "")], "What the preflight asks for is not a method."),
        (
            list("x-trace, authorization").into(),
            "Pages of other origins may not send the header field authorization here.",
        ),
        (list("x trace").into(), "What the preflight asks for is not a list of header fields."),
        (list("<script>").into(), "What the preflight asks for is not a list of header fields."),
    ] {
        assert_eq!(preflight(&policy, &fields).unwrap_err(), expected, "{fields:?}");
    }
}

#[test]
fn any_origin_is_told_so_and_never_with_credentials() {
    let policy = cors("\"*\"");
    for origin in ["https://a.example", "null"] {
        let fields = preflight(&policy, &[("origin", origin), PUT]).unwrap();
        assert_eq!(text(&fields, "access-control-allow-origin"), Some("*"));
        assert_eq!(text(&fields, "access-control-allow-credentials"), None);
    }
    let fields = answered(&policy, &[("origin", "https://a.example")], &[]);
    assert_eq!((text(&fields, "access-control-allow-origin"), text(&fields, "vary")), (Some("*"), None));
}

#[test]
fn private_networks_are_entered_only_where_that_is_allowed() {
    let asked = [SHOP, PUT, ("access-control-request-private-network", "true")];
    let name = "access-control-allow-private-network";
    let open = cors("{ origins: https://shop.example, private_network: true }");
    assert_eq!(text(&preflight(&open, &asked).unwrap(), name), Some("true"));
    assert_eq!(text(&preflight(&open, &asked[..2]).unwrap(), name), None);
    assert_eq!(text(&preflight(&cors("https://shop.example"), &asked).unwrap(), name), None);
}

#[test]
fn answers_say_whose_pages_may_read_them_once() {
    let policy = cors(
        "{ origins: [https://shop.example, \"https://*.shop.example\"], credentials: true, expose: [X-Total, etag] }",
    );
    let loud = [
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "DELETE"),
        ("access-control-expose-headers", "set-cookie"),
        ("x-other", "stays"),
    ];
    for origin in ["https://shop.example", "https://eu.shop.example"] {
        let fields = answered(&policy, &[("origin", origin)], &loud);
        assert_eq!(text(&fields, "access-control-allow-origin"), Some(origin));
        assert_eq!(text(&fields, "access-control-allow-credentials"), Some("true"));
        assert_eq!(text(&fields, "access-control-expose-headers"), Some("x-total, etag"));
        assert_eq!(text(&fields, "access-control-allow-methods"), None);
        assert_eq!((text(&fields, "vary"), text(&fields, "x-other")), (Some("Origin"), Some("stays")));
    }
    let others: [&[(&str, &str)]; 5] = [
        &[],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://evilshop.example")],
        &[SHOP, ("origin", "https://evil.example")],
    ];
    for request in others {
        let fields = answered(&policy, request, &loud);
        assert!(!fields.keys().any(|name| name.as_str().starts_with(PREFIX)), "{request:?}: {fields:?}");
        assert_eq!(text(&fields, "vary"), Some("Origin"), "{request:?}");
    }
}

#[test]
fn vary_names_the_origin_once() {
    let policy = cors("https://shop.example");
    for (upstream, expected) in [
        ("Accept-Encoding, origin", vec!["Accept-Encoding, origin"]),
        ("*", vec!["*"]),
        ("Accept-Encoding", vec!["Accept-Encoding", "Origin"]),
        ("X-Origin", vec!["X-Origin", "Origin"]),
    ] {
        let fields = answered(&policy, &[], &[("vary", upstream)]);
        let lines: Vec<&str> = fields.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(lines, expected);
    }
}

#[test]
fn requests_of_other_pages_pass_unless_they_open_a_socket_or_all_are_refused() {
    let (lenient, strict) = (cors("https://shop.example"), cors("{ origins: https://shop.example, others: refuse }"));
    let evil = ("origin", "https://evil.example");
    let socket = [("upgrade", "websocket"), ("connection", "Upgrade"), ("host", "api.example")];
    assert!(decide(&lenient, "POST", &[evil]).is_continue());
    assert!(decide(&strict, "POST", &[evil]).refusal().is_some());
    for policy in [&lenient, &strict] {
        assert!(decide(policy, "GET", &[]).is_continue());
        assert!(decide(policy, "GET", &[SHOP]).is_continue());
        let handshake = |origin| decide(policy, "GET", &[&[origin][..], &socket].concat());
        assert!(decide(policy, "GET", &socket).is_continue());
        assert!(handshake(SHOP).is_continue());
        for origin in ["https://evil.example", "null", "", "https://shop.example.evil", "https://SHOP.example"] {
            let reason = handshake(("origin", origin)).refusal().map(|reply| reply.reason);
            assert_eq!(reason, Some(Reason::CorsDenied), "{origin}");
        }
    }
}

#[test]
fn a_page_of_the_site_itself_is_no_other() {
    let policy = cors("{ origins: https://shop.example, others: refuse }");
    let decide = |scheme: Scheme, fields: &[(&str, &str)]| {
        let mut headers = map(fields);
        let mut view =
            RequestView { method: "POST", host: "api.example", path: "/", query: None, headers: &mut headers };
        let mut cx = RequestCx::at(0);
        cx.scheme = scheme;
        policy.on_request(&mut cx, &mut view).is_continue()
    };
    let (own, plain) = (("origin", "https://api.example"), ("origin", "http://api.example"));
    let host = ("host", "api.example");
    assert!(
        decide(Scheme::Https, &[own, host])
            && decide(Scheme::Http, &[own, host])
            && decide(Scheme::Http, &[plain, host])
    );
    assert!(decide(Scheme::Https, &[own]));
    assert!(decide(Scheme::Https, &[("origin", "https://api.example:8443"), ("host", "api.example:8443")]));
    assert!(decide(Scheme::Https, &[("origin", "https://x.example"), ("sec-fetch-site", "same-origin")]));
    assert!(!decide(Scheme::Https, &[plain, host]), "a page that came in clear text");
    assert!(!decide(Scheme::Https, &[("origin", "https://api.example:8443"), host]));
    assert!(!decide(Scheme::Https, &[("origin", "https://x.example"), ("sec-fetch-site", "same-site")]));
    assert!(!decide(Scheme::Https, &[("origin", "https://x.example"), ("sec-fetch-site", "cross-site"), host]));
}

#[test]
fn a_route_written_for_options_answers_preflights_itself() {
    let config = written::<CorsConfig>("https://shop.example");
    let (policy, ..) = with_setup(Path::new(""), |setup| config.compile(Preflights::Passed, setup));
    assert!(decide(&policy, "OPTIONS", &[SHOP, PUT]).is_continue());
    assert_eq!(policy.describe(), "cors for https://shop.example, preflights passed on");
}

#[test]
fn options_without_its_fields_is_no_preflight() {
    let policy = cors("https://shop.example");
    for fields in [vec![], vec![SHOP], vec![PUT]] {
        assert!(decide(&policy, "OPTIONS", &fields).is_continue(), "{fields:?}");
    }
    assert!(decide(&policy, "GET", &[SHOP, PUT]).is_continue());
}

#[test]
fn credentials_are_for_listed_origins_only() {
    for (yaml, expected) in [
        (
            "{ origins: [https://shop.example, \"*\"], credentials: true }",
            "`*` and `credentials: true` do not go together\nlist the origins that are trusted with the credentials of callers",
        ),
        (
            "{ origins: \"https://*.com\", credentials: true }",
            "`https://*.com` is far too wide for `credentials: true`\nname a domain of yours: `https://*.shop.example`",
        ),
        (
            "{ origins: https://shop.example, credentials: true, expose: \"*\" }",
            "`*` has no meaning here together with `credentials: true`\nlist the fields; browsers take `*` for a field of that name",
        ),
        ("{ origins: \"*\", methods: [get] }", "`get` is not a method: case counts\nwrite `GET`"),
        ("{ origins: \"*\", methods: [G T] }", "`G T` is not a method\nwrite names such as `GET`, or leave it out"),
        (
            "{ origins: \"*\", headers: [X Y] }",
            "`X Y` is not the name of a header\nwrite a name such as `X-Request-Id`",
        ),
        (
            "{ origins: \"*\", expose: [\"X:\"] }",
            "`X:` is not the name of a header\nwrite a name such as `X-Request-Id`",
        ),
    ] {
        let config = written::<CorsConfig>(yaml);
        let (_, problems, _) = with_setup(Path::new(""), |setup| config.compile(Preflights::Answered, setup));
        assert_eq!(messages(&problems), [expected], "{yaml}");
    }
}

#[test]
fn no_origin_is_a_problem() {
    for yaml in ["{}", "[]", "{ credentials: true }"] {
        assert!(CorsConfig::missing(&written::<Spanned<CorsConfig>>(yaml)).is_some(), "{yaml}");
    }
    assert!(try_written::<CorsConfig>("{ origin: https://shop.example }").unwrap_err()[0].contains("origins"));
}
