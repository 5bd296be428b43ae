//! `limit:` over real sockets. Periods are long, so that no test depends on how fast it runs.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

fn answering(limit: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  /a: {{ respond: {{ body: a }}, limit: {limit} }}\n"))
}

fn statuses(gateway: &Gateway, count: usize, request: &Request) -> Vec<u16> {
    (0..count).map(|_| gateway.send(request).status).collect()
}

#[test]
fn refuses_when_the_bucket_is_empty() {
    let gateway = answering("5/h burst 2 per client");
    let first = gateway.get("/a");
    assert_eq!((first.status, first.header("ratelimit-policy")), (200, Some("\"client\";q=5;w=3600")));
    assert_eq!(first.header("ratelimit"), Some("\"client\";r=1;t=720"));
    assert_eq!(gateway.get("/a").header("ratelimit"), Some("\"client\";r=0;t=1440"));
    let refused = gateway.get("/a");
    assert_eq!((refused.status, refused.header("ratelimit")), (429, Some("\"client\";r=0;t=720")));
    assert_eq!(refused.header("retry-after"), Some("720"));
    let problem = refused.json();
    assert_eq!(problem["type"], "urn:tollgate:problem:rate-limited");
    assert_eq!((&problem["limit"], &problem["retry_after"]), (&"client".into(), &720.into()));
    assert!(refused.keeps_alive());
}

#[test]
fn what_is_refused_costs_nothing_of_any_limit() {
    let gateway = answering("[{ rate: 1/h, per: header X-A }, { rate: 4/h, per: route }]");
    let with = |value: &str| Request::get("/a").header("X-A", value);
    assert_eq!(statuses(&gateway, 4, &with("1")), [200, 429, 429, 429]);
    assert_eq!(["2", "3", "4", "5"].map(|value| gateway.send(&with(value)).status), [200, 200, 200, 429]);
    // The second limit refused the last one, so the first has given its token back.
    let again = gateway.send(&with("5"));
    assert_eq!(again.json()["limit"], "route");
}

#[test]
fn several_limits_are_told_on_lines_of_their_own() {
    let gateway = answering("[100/s per client, { rate: 7/h, headers: both }]");
    let answer = gateway.get("/a");
    let of = |answer: &Response, name: &str| answer.headers(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of(&answer, "ratelimit-policy"), ["\"client\";q=100;w=1", "\"all\";q=7;w=3600"]);
    assert_eq!(of(&answer, "x-ratelimit-remaining"), ["6"]);
}

#[test]
fn a_shadow_counts_and_never_refuses() {
    let gateway = answering("{ rate: 1/h, mode: shadow }");
    assert_eq!(statuses(&gateway, 3, &Request::get("/a")), [200, 200, 200]);
    assert_eq!(gateway.get("/a").header("ratelimit"), None);
}

#[test]
fn counts_survive_a_reload_that_leaves_the_limit_as_it_is() {
    let yaml = |body: &str, rate: &str| format!("routes:\n  /a: {{ respond: {{ body: {body} }}, limit: {rate} }}\n");
    let gateway = Gateway::start(&yaml("a", "1/h"));
    assert_eq!(gateway.get("/a").status, 200);
    gateway.change(&yaml("b", "1/h"));
    assert_eq!(gateway.get("/a").status, 429);
    gateway.change(&yaml("b", "2/h"));
    assert_eq!(gateway.get("/a").status, 200);
}

#[test]
fn a_limit_counts_where_it_is_written() {
    let gateway = Gateway::start(
        "defaults: { limit: 2/h }\napis:\n  shop:\n    base: /shop\n    limit: 1/h\n    routes:\n      \
         /a: { respond: { body: a } }\n      /b: { respond: { body: b } }\n\
         routes:\n  /a: { respond: { body: a } }\n  /b: { respond: { body: b } }\n  /c: { respond: { body: c }, limit: off }\n",
    );
    let get = |path: &str| gateway.get(path).status;
    assert_eq!(["/shop/a", "/shop/b"].map(get), [200, 429]);
    assert_eq!(["/a", "/b", "/a"].map(get), [200, 200, 429]);
    assert_eq!(["/c", "/c", "/c"].map(get), [200, 200, 200]);
}

#[test]
fn an_answer_that_says_what_it_cost_leads_into_debt() {
    let origin = Origin::start(|_| Answer::ok("").header("X-Cost", "5"));
    let gateway = Gateway::start(&format!(
        "routes:\n  /a: {{ to: {}, limit: {{ rate: 4/h, cost: {{ response_header: X-Cost }} }} }}\n",
        origin.url()
    ));
    assert_eq!(gateway.get("/a").status, 200);
    let refused = gateway.get("/a");
    // Five of four are gone: two must come back before one may pass.
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1800")));
}

#[test]
fn the_request_says_what_it_costs_where_that_is_asked_for() {
    let gateway = answering("{ rate: 10/h, cost: { header: X-Cost, default: 2 } }");
    let costing = |cost: &str| gateway.send(&Request::get("/a").header("X-Cost", cost)).status;
    assert_eq!(costing("7"), 200);
    assert_eq!(costing("0"), 200, "no number from 1 is the default");
    assert_eq!(costing("-1"), 429);
    assert_eq!(costing("4294967296"), 429);
    assert_eq!(costing("1"), 200);
}

#[test]
fn a_quota_is_a_refusal_of_its_own() {
    let gateway = answering("2/month per client");
    assert_eq!(gateway.get("/a").header("ratelimit-policy"), Some("\"client\";q=2;w=2629746"));
    assert_eq!(gateway.get("/a").status, 200);
    let refused = gateway.get("/a");
    let problem = refused.json();
    assert_eq!((refused.status, &problem["type"]), (429, &"urn:tollgate:problem:quota-exceeded".into()));
    let seconds: u64 = refused.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((1..=31 * 86_400).contains(&seconds), "{seconds}");
}
