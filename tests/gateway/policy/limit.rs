//! `limit:` over real sockets. Periods are long, so that no test depends on how fast it runs.

use std::time::{Duration, Instant};

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

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
fn several_limits_are_told_as_members_of_one_list() {
    let gateway = answering("[100/s per client, { rate: 7/h, headers: both }]");
    let answer = gateway.get("/a");
    let of = |answer: &Response, name: &str| answer.headers(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of(&answer, "ratelimit-policy"), ["\"client\";q=100;w=1, \"all\";q=7;w=3600"]);
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

#[test]
fn at_twice_its_rate_each_key_gets_what_it_may_over_real_sockets() {
    const KEYS: usize = 4;
    const STEPS: u32 = 110;
    const STEP: Duration = Duration::from_millis(20);
    // 50 a second of each key are sent on a fixed schedule, whatever has come of those before.
    let gateway = answering("25/s burst 25 per header X-A");
    let mut client = gateway.connect();
    let mut passed = [0_u32; KEYS];
    let batch: Vec<u8> =
        (0..KEYS).flat_map(|key| Request::get("/a").header("X-A", &key.to_string()).bytes("shop.example")).collect();
    let began = Instant::now();
    let (mut first_answered, mut last_sent) = (None, began);
    for step in 0..STEPS {
        wait::until("it is time", || began.elapsed() >= STEP * step);
        last_sent = Instant::now();
        client.send_raw(&batch);
        for passed in &mut passed {
            *passed += u32::from(client.read().status == 200);
        }
        first_answered.get_or_insert_with(Instant::now);
    }
    let ended = Instant::now();
    let least = last_sent.duration_since(first_answered.unwrap_or(began)).as_secs_f64() * 25.0 + 25.0;
    let most = ended.duration_since(began).as_secs_f64() * 25.0 + 25.0;
    for passed in passed.map(f64::from) {
        assert!(passed >= least * 0.99 - 1.0 && passed <= most + 1.0, "{passed} of {least} to {most}");
    }
    let all: f64 = passed.iter().map(|passed| f64::from(*passed)).sum();
    assert!(all >= least * 4.0 * 0.99 - 4.0 && all <= most * 4.0 * 1.01, "{all} of {least} to {most} each");
}

#[test]
fn a_client_that_comes_too_fast_is_stopped_before_anything_is_known_of_it() {
    let gateway =
        Gateway::start("limits: { request_rate_per_client: 10/h }\nroutes: { /a: { respond: { body: a } } }\n");
    let mut client = gateway.connect();
    let statuses: Vec<u16> = (0..20).map(|_| client.send(&Request::get("/a")).status).collect();
    // Five that nobody looks at, ten of the exact count.
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 15, "{statuses:?}");
    let refused = client.send(&Request::get("/nowhere"));
    assert_eq!((refused.status, &refused.json()["type"]), (429, &"urn:tollgate:problem:rate-limited".into()));
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn a_client_that_opens_connections_too_fast_is_turned_away() {
    let gateway =
        Gateway::start("limits: { connection_rate_per_client: 4/h }\nroutes: { /a: { respond: { body: a } } }\n");
    let statuses: Vec<u16> = (0..8).map(|_| gateway.get("/a").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 503, 503]);
    let page = gateway.page("/metrics").text().to_owned();
    assert!(page.contains("reason=\"too-fast-from-client\"} 2"), "{page}");
}
