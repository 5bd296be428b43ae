//! `plans:` and `max_in_flight:` over real sockets, and what `/usage` tells of them.

use crate::support::client::{Client, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::wait;

/// The key of each consumer is its name, this, and nothing else.
const KEY: &str = "-has-this-key-for-tests";

/// Plans, consumers and routes; `auth` is by key on all of them.
fn yaml(plans: &str, consumers: &[(&str, &str)], rest: &str) -> String {
    let consumers: String = consumers
        .iter()
        .map(|(name, plan)| {
            format!("  {name}: {{ keys: {{ value: {name}{KEY}, insecure_inline: true }}, plan: {plan} }}\n")
        })
        .collect();
    format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\nplans:\n{plans}\nconsumers:\n{consumers}\
         defaults: {{ auth: keys }}\n{rest}"
    )
}

fn asking(target: &str, consumer: &str) -> Request {
    Request::get(target).header("X-API-Key", &format!("{consumer}{KEY}"))
}

fn status(gateway: &Gateway, target: &str, consumer: &str) -> u16 {
    gateway.send(&asking(target, consumer)).status
}

const TWO: &str = "routes:\n  /a: { respond: { body: a } }\n  /b: { respond: { body: b } }\n  \
                   /free: { respond: { body: f }, plan: off }\n";

#[test]
fn a_plan_holds_over_all_routes_but_those_that_say_otherwise() {
    let plans = "  gold: { limit: 3/h, quota: 100/month }\n  free: { limit: 1/h }";
    let gateway = Gateway::start(&yaml(plans, &[("acme", "gold"), ("tiny", "free")], TWO));
    let first = gateway.send(&asking("/a", "acme"));
    assert_eq!(first.headers("ratelimit-policy"), ["\"gold\";q=3;w=3600, \"gold-quota\";q=100;w=2629746"]);
    assert!(first.headers("ratelimit").first().is_some_and(|left| left.starts_with("\"gold\";r=2;")));
    assert_eq!(["/b", "/a", "/b", "/free"].map(|path| status(&gateway, path, "acme")), [200, 200, 429, 200]);
    assert_eq!(["/a", "/b"].map(|path| status(&gateway, path, "tiny")), [200, 429]);
    let refused = gateway.send(&asking("/a", "acme"));
    assert_eq!((refused.problem().as_str(), &refused.json()["limit"]), ("rate-limited", &"gold".into()));
    assert_eq!(refused.headers("ratelimit").len(), 1, "{refused:?}");
    assert!(refused.header("retry-after").is_some());
    // The quota got back what was refused: of five requests that counted for it, three were answered.
    let left = &gateway.page("/usage/acme").json()["limits"];
    assert_eq!((&left[1]["name"], &left[1]["remaining"]), (&"gold-quota".into(), &97.into()));
}

#[test]
fn what_a_later_limit_refuses_costs_nothing_of_an_earlier_stage() {
    let rest = "routes:\n  /a: { respond: { body: a }, limit: [2/h per client] }\n";
    let gateway = Gateway::start(&yaml("  free: { limit: 1/h }", &[("one", "free"), ("two", "free")], rest));
    assert_eq!(["one", "one", "one", "two"].map(|name| status(&gateway, "/a", name)), [200, 429, 429, 200]);
    // Now the client has used up its two.
    assert_eq!(gateway.send(&asking("/a", "two")).problem(), "rate-limited");
    // A wrong key costs what it would have: guessing is not free.
    let rest = "routes:\n  /a: { respond: { body: a }, limit: [2/h per client] }\n";
    let gateway = Gateway::start(&yaml("  free: { limit: 1/h }", &[("one", "free")], rest));
    assert_eq!(["x", "y", "one"].map(|name| status(&gateway, "/a", name)), [401, 401, 429]);
}

#[test]
fn a_request_that_finds_nobody_to_ask_costs_nothing() {
    let origin = Origin::start(|_| Answer::ok("a"));
    let rest = format!(
        "upstreams: {{ one: {{ endpoints: [{}], max_in_flight: 1 }} }}\nroutes:\n  /a: {{ to: one, limit: 2/h }}\n",
        origin.url()
    );
    let gate = Gate::default();
    let held = gate.clone();
    let slow = Origin::start(move |_| Answer::ok("slow").chunked().then_wait(&held));
    let gateway = Gateway::start(&rest.replace(&origin.url(), &slow.url()));
    let mut busy = gateway.connect();
    busy.send_raw(&Request::get("/a").bytes("shop.example"));
    slow.await_requests(1);
    let refusals: Vec<u16> = (0..3).map(|_| gateway.get("/a").status).collect();
    assert_eq!(refusals, [503, 503, 503]);
    gate.open();
    assert_eq!(busy.read().status, 200);
    wait::until("the upstream is free", || gateway.get("/a").status != 503);
    assert_eq!(gateway.get("/a").status, 429);
}

/// A gateway before an upstream that answers `/slow` when the gate opens.
fn slow_gateway(gate: &Gate, plans: &str, route: &str) -> (Gateway, Origin) {
    let held = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/slow" => Answer::ok("slow").chunked().then_wait(&held).body("er"),
        "/broken" => Answer::ok("0123456789").cut_after(3, Ending::Reset),
        "/empty" => Answer::status(204),
        _ => Answer::ok("quick"),
    });
    let rest = format!("routes:\n  /**: {{ to: {}{route} }}\n", origin.url());
    (Gateway::start(&yaml(plans, &[("acme", "gold"), ("other", "gold")], &rest)), origin)
}

fn begin(gateway: &Gateway, consumer: &str) -> Client {
    let mut client = gateway.connect();
    client.send_raw(&asking("/slow", consumer).bytes("shop.example"));
    client
}

#[test]
fn a_consumer_has_no_more_requests_under_way_than_its_plan_says() {
    let gate = Gate::default();
    let (gateway, origin) = slow_gateway(&gate, "  gold: { max_in_flight: 1 }", "");
    let mut slow = begin(&gateway, "acme");
    origin.await_requests(1);
    let refused = gateway.send(&asking("/quick", "acme"));
    assert_eq!((refused.status, refused.problem().as_str()), (429, "too-many-in-flight"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(status(&gateway, "/quick", "other"), 200);
    let usage = gateway.page("/usage/acme").json();
    assert_eq!((&usage["in_flight"], &usage["max_in_flight"]), (&1.into(), &1.into()));
    // A reload neither frees the place nor takes another.
    assert_eq!(gateway.reload().refused, None);
    assert_eq!(status(&gateway, "/quick", "acme"), 429);
    gate.open();
    assert_eq!(slow.read().status, 200);
    // Whoever waits for each answer is never refused, whatever came of the one before and over whichever connection.
    for path in ["/quick", "/empty", "/quick", "/empty", "/quick"].repeat(4) {
        assert_ne!(status(&gateway, path, "acme"), 429, "{path}");
    }
}

#[test]
fn a_place_is_free_again_however_a_request_ends() {
    let gate = Gate::default();
    let (gateway, origin) = slow_gateway(&gate, "  gold: { max_in_flight: 1 }", "");
    let free = || wait::until("the place is free", || gateway.page("/usage/acme").json()["in_flight"] == 0);
    // The client leaves.
    drop(begin(&gateway, "acme"));
    origin.await_requests(1);
    gate.open();
    free();
    // The upstream breaks off.
    let mut client = gateway.connect();
    client.send_raw(&asking("/broken", "acme").bytes("shop.example"));
    client.read_some();
    drop(client);
    free();
    // The gateway refuses.
    let large = asking("/quick", "acme").header("Transfer-Encoding", "gzip");
    let mut client = gateway.connect();
    client.send_raw(&large.bytes("shop.example"));
    client.read_to_close();
    free();
    assert_eq!(status(&gateway, "/quick", "acme"), 200);
}

#[test]
fn a_route_has_no_more_requests_under_way_than_it_says() {
    let gate = Gate::default();
    let (gateway, origin) = slow_gateway(&gate, "  gold: { limit: 5/h }", ", max_in_flight: 1");
    let mut slow = begin(&gateway, "acme");
    origin.await_requests(1);
    for _ in 0..10 {
        let refused = gateway.send(&asking("/quick", "other"));
        assert_eq!((refused.status, refused.problem().as_str()), (503, "route-busy"));
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    gate.open();
    assert_eq!(slow.read().status, 200);
    assert_eq!(status(&gateway, "/quick", "other"), 200, "what was refused cost nothing of the plan");
}

#[test]
fn usage_tells_what_each_consumer_has_left_a_page_at_a_time() {
    let rest = "routes:\n  /a: { respond: { body: a }, limit: [7/h per consumer, 9/h per client] }\n";
    let consumers = [("acme", "gold"), ("beta", "gold"), ("corp", "gold")];
    let gateway = Gateway::start(&yaml("  gold: { limit: 3/h, quota: 10/day }", &consumers, rest));
    assert_eq!(status(&gateway, "/a", "beta"), 200);
    let page = gateway.page("/usage?count=2").json();
    let names: Vec<&str> =
        page["consumers"].as_array().expect("a list").iter().filter_map(|it| it["consumer"].as_str()).collect();
    assert_eq!((names.as_slice(), &page["total"], &page["next"]), (&["acme", "beta"][..], &3.into(), &2.into()));
    let rest = gateway.page("/usage?from=2&count=2").json();
    assert_eq!((&rest["consumers"][0]["consumer"], rest["next"].is_null()), (&"corp".into(), true));
    let beta = gateway.page("/usage/beta").json();
    assert_eq!(beta, page["consumers"][1]);
    let left = |place: usize| {
        let limit = &beta["limits"][place];
        (limit["name"].as_str().unwrap_or(""), limit["kind"].as_str().unwrap_or(""), limit["remaining"].as_u64())
    };
    assert_eq!(left(0), ("gold", "rate", Some(2)));
    assert_eq!(left(1), ("gold-quota", "quota", Some(9)));
    assert_eq!(left(2), ("consumer", "rate", Some(6)));
    assert_eq!(beta["limits"].as_array().map(Vec::len), Some(3), "limits per client are nobody's");
    assert_eq!(
        ["/usage/nobody", "/usage?from=x", "/usage?from=9&count=0"].map(|page| gateway.page(page).status),
        [404, 400, 200]
    );
    let everything = gateway.page("/usage").text().to_owned();
    assert!(!everything.contains("has-this-key") && !everything.contains("sha256"));
}

#[test]
fn an_explanation_costs_nothing() {
    let gateway = Gateway::start("routes:\n  /a: { respond: { body: a }, limit: 1/h, max_in_flight: 1 }\n");
    for _ in 0..3 {
        assert!(gateway.page("/explain?url=/a").text().contains("passes, 0 left"));
    }
    assert_eq!(gateway.get("/a").status, 200);
}

#[test]
fn pieces_of_the_path_are_counted_apart() {
    let rest =
        "routes:\n  /orders/{id}/**: { respond: { body: a }, limit: { rate: 1/h, per: [consumer, capture id] } }\n";
    let gateway = Gateway::start(&yaml("  gold: {}", &[("acme", "gold"), ("beta", "gold")], rest));
    assert_eq!(
        ["/orders/1/x", "/orders/1/y", "/orders/2/x"].map(|path| status(&gateway, path, "acme")),
        [200, 429, 200]
    );
    assert_eq!(status(&gateway, "/orders/1", "beta"), 200);
}

#[test]
fn decisions_are_counted_those_of_shadows_too() {
    let rest =
        "routes:\n  /a: { respond: { body: a }, limit: { rate: 1/h, mode: shadow, name: tried }, max_in_flight: 9 }\n";
    let gateway = Gateway::start(&yaml("  gold: { limit: 2/h }", &[("acme", "gold")], rest));
    assert_eq!([(); 4].map(|()| status(&gateway, "/a", "acme")), [200, 200, 429, 429]);
    for line in [
        "{route=\"/a\",policy=\"tried\",decision=\"passed\"} 1",
        "{route=\"/a\",policy=\"tried\",decision=\"shadow\"} 3",
        "{route=\"/a\",policy=\"gold\",decision=\"passed\"} 2",
        "{route=\"/a\",policy=\"gold\",decision=\"refused\"} 2",
        "{route=\"/a\",policy=\"max_in_flight\",decision=\"passed\"} 2",
    ] {
        let line = format!("tollgate_limit_decisions_total{line}\n");
        wait::until(&format!("there is {line}"), || gateway.page("/metrics").text().contains(&line));
    }
}

#[test]
fn consumers_of_files_are_on_plans_and_an_unknown_one_is_refused_whole() {
    let folder = tempfile::TempDir::new().expect("a folder");
    // The digest of `test`.
    let list =
        |plan: &str| format!("acme,sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08,,{plan}\n");
    std::fs::write(folder.path().join("more.csv"), list("gold")).expect("a list");
    let text = format!("consumers_from: more.csv\n{}", yaml("  gold: { limit: 1/h }", &[("x", "gold")], TWO));
    let gateway = Gateway::start_in(folder, &text);
    let get = |path: &str| gateway.send(&Request::get(path).header("X-API-Key", "test")).status;
    assert_eq!(["/a", "/b"].map(get), [200, 429]);
    std::fs::write(gateway.folder().join("more.csv"), list("gild")).expect("a list");
    let refused = gateway.reload().refused.expect("a refusal");
    assert!(refused.contains("there is no plan `gild`") && refused.contains("did you mean `gold`?"), "{refused}");
}
