//! `subset:`: requests that are for some endpoints of an upstream only, told by labels.

use std::collections::BTreeMap;

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

fn named(name: &'static str) -> Origin {
    Origin::start(move |_| Answer::ok(name))
}

fn endpoint(origin: &Origin, labels: &str) -> String {
    format!("{{ url: {}, labels: {{ {labels} }} }}", origin.url())
}

/// Who answers so many requests, by name; with the status where nobody does.
fn counts(gateway: &Gateway, request: &Request, count: usize) -> BTreeMap<String, usize> {
    let mut client = gateway.connect();
    let mut all = BTreeMap::new();
    for _ in 0..count {
        let response = client.send(request);
        let who = if response.status == 200 { response.text().to_owned() } else { response.status.to_string() };
        *all.entry(who).or_insert(0) += 1;
    }
    all
}

fn map(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn a_route_is_for_the_endpoints_with_all_of_its_labels_and_others_share_them_all() {
    let (old, new, fast) = (named("old"), named("new"), named("fast"));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up:\n    endpoints: [{}, {}, {}]\nroutes:\n\
         \x20 /all: {{ to: up }}\n\
         \x20 /new: {{ to: {{ upstream: up, subset: {{ version: v2 }} }} }}\n\
         \x20 /fast: {{ to: {{ upstream: up, subset: {{ version: v2, tier: fast }} }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&new, "version: v2"),
        endpoint(&fast, "version: v2, tier: fast"),
    ));
    assert_eq!(counts(&gateway, &Request::get("/all"), 30), map(&[("old", 10), ("new", 10), ("fast", 10)]));
    assert_eq!(counts(&gateway, &Request::get("/new"), 30), map(&[("new", 15), ("fast", 15)]));
    assert_eq!(counts(&gateway, &Request::get("/fast"), 30), map(&[("fast", 30)]));
    assert!(gateway.page("/upstreams").text().contains("tier=fast, version=v2"));
}

#[test]
fn subsets_split_requests_by_weight_and_by_what_a_header_says() {
    let (old, new) = (named("old"), named("new"));
    let gateway = Gateway::start(&format!(
        "upstreams:\n  up:\n    endpoints: [{}, {}]\nroutes:\n  /**:\n    to:\n\
         \x20     - {{ upstream: up, subset: {{ version: v1 }} }}\n\
         \x20     - {{ upstream: up, weight: 0, subset: {{ version: v2 }}, when: {{ header: {{ X-Version: v2 }} }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&new, "version: v2"),
    ));
    assert_eq!(counts(&gateway, &Request::get("/"), 20), map(&[("old", 20)]));
    assert_eq!(counts(&gateway, &Request::get("/").header("X-Version", "v2"), 20), map(&[("new", 20)]));
    assert_eq!(counts(&gateway, &Request::get("/").header("X-Version", "v3"), 20), map(&[("old", 20)]));
}

#[test]
fn a_subset_with_nobody_well_is_never_answered_by_others() {
    let (old, sick) = (named("old"), Origin::start(|_| Answer::status(503)));
    let yaml = |panic: &str| {
        format!(
            "server: {{ threads: 1 }}\nupstreams:\n  up:\n    endpoints: [{}, {}]\n    panic: {panic}\n    health: {{ path: /, interval: 20ms, unhealthy_after: 1 }}\n\
             routes: {{ /**: {{ to: {{ upstream: up, subset: {{ version: v2 }} }}, retries: {{ max: 2, on: [503], backoff: off }} }} }}\n",
            endpoint(&old, "version: v1"),
            endpoint(&sick, "version: v2"),
        )
    };
    // As of an upstream of its own: with fewer well than `panic` says all of the subset are used, with 0% nobody is.
    let gateway = Gateway::start(&yaml("50%"));
    wait::until("it is found sick", || gateway.metric("tollgate_endpoint_healthy", &[]) == 1.0);
    assert_eq!(counts(&gateway, &Request::get("/"), 5), map(&[("503", 5)]));
    gateway.await_metric("tollgate_upstream_attempts_total", &["outcome=\"answered\""], 5.0);
    gateway.change(&yaml("0%"));
    let before = gateway.metric("tollgate_upstream_attempts_total", &[]);
    let response = gateway.get("/");
    assert_eq!((response.status, &response.json()["type"]), (503, &"urn:tollgate:problem:no-endpoint".into()));
    assert_eq!(gateway.metric("tollgate_upstream_attempts_total", &[]), before);
}

#[test]
fn a_retry_stays_within_the_subset() {
    let (old, sick, well) = (named("old"), Origin::start(|_| Answer::status(503)), named("new"));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up:\n    ejection: off\n    endpoints: [{}, {}, {}]\n\
         routes: {{ /**: {{ to: {{ upstream: up, subset: {{ version: v2 }} }}, retries: {{ max: 1, on: [503], backoff: off, budget: 100% }} }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&sick, "version: v2"),
        endpoint(&well, "version: v2"),
    ));
    assert_eq!(counts(&gateway, &Request::get("/"), 20), map(&[("new", 20)]));
    assert!(sick.requests().len() >= 10 && old.requests().is_empty());
}

#[test]
fn affinity_holds_within_a_subset() {
    let (old, new) = (named("old"), named("new"));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up:\n    affinity: stay\n    endpoints: [{}, {}]\n\
         routes:\n  /v1: {{ to: {{ upstream: up, subset: {{ version: v1 }} }} }}\n  /v2: {{ to: {{ upstream: up, subset: {{ version: v2 }} }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&new, "version: v2"),
    ));
    let first = gateway.get("/v1");
    let cookie = first.header("set-cookie").and_then(|field| field.split(';').next()).expect("a cookie").to_owned();
    assert_eq!(first.text(), "old");
    assert_eq!(gateway.send(&Request::get("/v1").header("Cookie", &cookie)).header("set-cookie"), None);
    let elsewhere = gateway.send(&Request::get("/v2").header("Cookie", &cookie));
    assert_eq!((elsewhere.text(), elsewhere.header("set-cookie").is_some()), ("new", true));
}

#[test]
fn a_sticky_split_tells_the_subsets_of_one_upstream_apart() {
    let (old, new) = (named("old"), named("new"));
    let gateway = Gateway::start(&format!(
        "upstreams:\n  up:\n    endpoints: [{}, {}]\nroutes:\n  /**:\n    sticky: header X-User\n    to:\n\
         \x20     - {{ upstream: up, subset: {{ version: v1 }} }}\n\
         \x20     - {{ upstream: up, subset: {{ version: v2 }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&new, "version: v2"),
    ));
    let mut whole = BTreeMap::new();
    for user in 0..40 {
        let own = counts(&gateway, &Request::get("/").header("X-User", &format!("user-{user}")), 3);
        assert_eq!(own.len(), 1, "user-{user} is spread: {own:?}");
        whole.extend(own);
    }
    assert_eq!(whole.len(), 2, "all users share one subset: {whole:?}");
}

#[test]
fn copies_and_stand_ins_go_to_a_subset_too() {
    let (old, new) = (named("old"), named("new"));
    let gateway = Gateway::start(&format!(
        "upstreams:\n  up:\n    endpoints: [{}, {}]\n  down: {{ endpoints: [http://{}] }}\nroutes:\n  \
         /copied: {{ to: {{ upstream: up, subset: {{ version: v1 }} }}, mirror: {{ to: {{ upstream: up, subset: {{ version: v2 }} }} }} }}\n  \
         /stood: {{ to: down, fallback: {{ to: {{ upstream: up, subset: {{ version: v2 }} }} }} }}\n",
        endpoint(&old, "version: v1"),
        endpoint(&new, "version: v2"),
        crate::support::ports::free(),
    ));
    assert_eq!(counts(&gateway, &Request::get("/copied"), 6), map(&[("old", 6)]));
    new.await_requests(6);
    assert_eq!(counts(&gateway, &Request::get("/stood"), 6), map(&[("new", 6)]));
    assert!(gateway.page("/upstreams").text().contains("version=v2"));
}
