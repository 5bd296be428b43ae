//! Plans that gateways share: one count for each consumer, whichever gateway it asks, and `/usage` that says so.

use serde_json::Value;

use crate::redis::Redis;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// A gateway on that store with one plan, two consumers on it, and these routes.
fn selling(redis: &str, plan: &str, routes: &str) -> Gateway {
    let key = |name: &str| format!("{{ value: {name}-has-this-key, insecure_inline: true }}");
    Gateway::start(&format!(
        "shared_state: {{ redis: {redis} }}\nauth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\nplans: {{ gold: {plan} }}\n\
         consumers: {{ acme: {{ keys: {}, plan: gold }}, beta: {{ keys: {}, plan: gold }} }}\n\
         defaults: {{ auth: keys }}\nroutes:\n{routes}",
        key("acme"),
        key("beta"),
    ))
}

const ROUTES: &str = "  /a: { respond: { body: a } }\n  /b: { respond: { body: b } }\n";

fn patient(redis: &Redis) -> String {
    format!("{{ url: {}, timeout: 2s }}", redis.url())
}

fn asking(path: &str, consumer: &str) -> Request {
    Request::get(path).header("X-API-Key", &format!("{consumer}-has-this-key"))
}

fn status(gateway: &Gateway, path: &str, consumer: &str) -> u16 {
    gateway.send(&asking(path, consumer)).status
}

/// How many of so many requests pass.
fn passed(gateway: &Gateway, count: usize) -> usize {
    let mut client = gateway.connect();
    (0..count).filter(|_| client.send(&asking("/a", "acme")).status == 200).count()
}

/// What `/usage` tells of a limit of a consumer.
fn left(gateway: &Gateway, consumer: &str, limit: &str) -> Value {
    let usage = gateway.page(&format!("/usage/{consumer}")).json();
    let limits = usage["limits"].as_array().expect("limits").clone();
    limits.into_iter().find(|one| one["name"] == limit).unwrap_or_else(|| panic!("no {limit} in {usage}"))
}

#[test]
fn an_exact_plan_is_one_count_for_all_gateways_and_usage_tells_the_same_at_each() {
    let redis = Redis::start(&[]);
    let plan = "{ limit: { rate: 5/h, share: exact }, quota: 100/month }";
    let gateways = [(); 2].map(|()| selling(&patient(&redis), plan, ROUTES));
    let [one, two] = &gateways;
    assert_eq!(["/a", "/b"].map(|path| status(one, path, "acme")), [200, 200]);
    let told = two.send(&asking("/a", "acme"));
    assert_eq!(told.headers("ratelimit-policy"), ["\"gold\";q=5;w=3600, \"gold-quota\";q=100;w=2629746"]);
    assert!(told.headers("ratelimit")[0].starts_with("\"gold\";r=2;"), "{told:?}");
    for gateway in &gateways {
        let (rate, quota) = (left(gateway, "acme", "gold"), left(gateway, "acme", "gold-quota"));
        assert_eq!(
            (&rate["remaining"], &rate["shared"], &rate["counted_by"]),
            (&2.into(), &"exact".into(), &"store".into())
        );
        assert_eq!((&quota["remaining"], &quota["shared"]), (&97.into(), &"exact".into()));
        assert_eq!(left(gateway, "beta", "gold")["remaining"], 5, "somebody else's is its own");
    }
    assert_eq!(["/a", "/b", "/a"].map(|path| status(one, path, "acme")), [200, 200, 429]);
    let refused = two.send(&asking("/b", "acme"));
    assert_eq!((refused.status, &refused.json()["limit"]), (429, &"gold".into()));
    assert_eq!(status(two, "/a", "beta"), 200);
    assert_eq!(left(one, "acme", "gold-quota")["remaining"], 95, "what was refused cost nothing of the quota");
    drop(gateways);
    let third = selling(&patient(&redis), plan, ROUTES);
    assert_eq!(status(&third, "/a", "acme"), 429, "the count outlives the gateways");
}

#[test]
fn looking_at_usage_counts_nothing_and_leaves_nothing_in_the_store() {
    let redis = Redis::start(&[]);
    let gateway = selling(&patient(&redis), "{ limit: { rate: 2/h, share: exact }, quota: 3/day }", ROUTES);
    (0..5).for_each(|_| drop(left(&gateway, "acme", "gold")));
    assert_eq!(gateway.page("/usage").json()["consumers"].as_array().map(Vec::len), Some(2));
    assert_eq!(redis.cli(&["keys", "tollgate:limit:*"]), "");
    assert_eq!(passed(&gateway, 4), 2);
    assert_eq!(
        (&left(&gateway, "acme", "gold")["remaining"], &left(&gateway, "acme", "gold-quota")["remaining"]),
        (&0.into(), &1.into())
    );
}

#[test]
fn a_leased_plan_lets_pass_its_amount_and_asks_the_store_seldom() {
    let redis = Redis::start(&[]);
    let plan = "{ limit: { rate: 3000/h, share: { mode: leased, batch: 100 } } }";
    let gateways = [(); 2].map(|()| selling(&patient(&redis), plan, ROUTES));
    let admitted: usize = std::thread::scope(|scope| {
        let each = gateways.each_ref().map(|gateway| scope.spawn(move || passed(gateway, 2_000)));
        each.into_iter().map(|thread| thread.join().expect("a client")).sum()
    });
    // All is granted by the store out of one count; what others still hold is a batch each, and a few come back in the time.
    assert!((3_000 - 2 * 100..=3_000 + 30).contains(&admitted), "{admitted}");
    let asked: f64 = gateways.iter().map(|one| one.metric("tollgate_shared_store_commands_total", &[])).sum();
    let by_lease: f64 =
        gateways.iter().map(|one| one.metric("tollgate_shared_decisions_total", &["by=\"lease\""])).sum();
    assert!(by_lease >= admitted as f64, "{by_lease}");
    assert!(asked <= 4_000.0 / 50.0, "{asked} questions for 4000 requests");
    let told = left(&gateways[0], "acme", "gold");
    assert_eq!((&told["shared"], &told["counted_by"]), (&"leased".into(), &"store".into()));
    gateways[1].await_metric("tollgate_shared_gateways", &[], 2.0);
    assert_eq!(gateways[1].metric("tollgate_limit_overshoot_bound", &["level=\"plan gold\"", "limit=\"gold\""]), 200.0);
}

#[test]
fn usage_counts_a_lease_of_this_gateway_as_still_to_be_had() {
    let redis = Redis::start(&[]);
    let plan = "{ limit: { rate: 1000/h, share: { mode: leased, batch: 100 } } }";
    let gateway = selling(&patient(&redis), plan, ROUTES);
    assert_eq!(passed(&gateway, 150), 150);
    let remaining = left(&gateway, "acme", "gold")["remaining"].as_u64().expect("a number");
    // A token comes back every 3.6 s.
    assert!((850..=855).contains(&remaining), "{remaining}");
}

#[test]
fn what_decides_on_a_plan_without_the_store_is_as_written_and_usage_says_who_counts() {
    let mut redis = Redis::start(&[]);
    let both = |failure: &str| {
        let plan = format!("{{ limit: {{ rate: 3/h, share: exact, on_store_failure: {failure} }} }}");
        selling(&patient(&redis), &plan, ROUTES)
    };
    let (local, closed, open) = (both("local"), both("closed"), both("open"));
    assert_eq!(status(&local, "/a", "acme"), 200);
    redis.kill();
    for gateway in [&local, &closed, &open] {
        wait::until("the store is known to be away", || {
            drop(gateway.send(&asking("/a", "beta")));
            gateway.metric("tollgate_shared_store_reachable", &[]) == 0.0
        });
    }
    // The gateway has counted none of what the store had.
    assert_eq!(passed(&local, 4), 3);
    let told = left(&local, "acme", "gold");
    assert_eq!((&told["remaining"], &told["counted_by"]), (&0.into(), &"gateway".into()));
    let refused = closed.send(&asking("/a", "acme"));
    assert_eq!((refused.status, &refused.json()["type"]), (503, &"urn:tollgate:problem:limits-unavailable".into()));
    assert!(left(&closed, "acme", "gold")["remaining"].is_null(), "nobody can tell");
    assert_eq!(passed(&open, 9), 9);
    redis.run();
    wait::until("the store decides again", || {
        drop(local.send(&asking("/a", "beta")));
        left(&local, "acme", "gold")["counted_by"] == "store"
    });
    assert_eq!(status(&local, "/a", "acme"), 200, "a store that has lost its memory begins anew");
}

#[test]
fn what_another_limit_refuses_costs_nothing_of_a_shared_plan_and_the_other_way_round() {
    let redis = Redis::start(&[]);
    let routes = "  /a: { respond: { body: a } }\n  /b: { respond: { body: b }, limit: { rate: 1/h, per: consumer, share: off } }\n";
    let gateway = selling(&patient(&redis), "{ limit: { rate: 3/h, share: exact } }", routes);
    assert_eq!(["/b", "/b", "/b"].map(|path| status(&gateway, path, "acme")), [200, 429, 429]);
    wait::until("the plan has got back what was refused", || left(&gateway, "acme", "gold")["remaining"] == 2);
    assert_eq!(["/a", "/a", "/a"].map(|path| status(&gateway, path, "acme")), [200, 200, 429]);
    // The plan refuses: the route's own gets it back.
    assert_eq!(["/b", "/b"].map(|path| status(&gateway, path, "beta")), [200, 429]);
}

#[test]
fn a_cost_that_the_answer_tells_is_counted_for_the_plan_in_the_store() {
    let redis = Redis::start(&[]);
    let origin = Origin::start(|_| Answer::ok("done").header("X-Cost", "4"));
    let routes = format!("  /a: {{ to: {} }}\n", origin.url());
    let plan = "{ limit: { rate: 9/h, share: exact, cost: { response_header: X-Cost } } }";
    let gateways = [(); 2].map(|()| selling(&patient(&redis), plan, &routes));
    assert_eq!(status(&gateways[0], "/a", "acme"), 200);
    wait::until("five are left", || left(&gateways[1], "acme", "gold")["remaining"] == 5);
}

#[test]
fn limits_of_routes_that_gateways_share_are_told_too() {
    let redis = Redis::start(&[]);
    let routes = "  /a: { respond: { body: a }, limit: { rate: 7/h, per: consumer, share: exact } }\n";
    let gateways = [(); 2].map(|()| selling(&patient(&redis), "{ quota: 50/day }", routes));
    assert_eq!(gateways.each_ref().map(|gateway| status(gateway, "/a", "acme")), [200, 200]);
    for gateway in &gateways {
        assert_eq!(left(gateway, "acme", "consumer")["remaining"], 5);
        assert_eq!(left(gateway, "acme", "gold-quota")["remaining"], 48);
    }
}
