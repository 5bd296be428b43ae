//! `api_key:` over real sockets.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

const KEY: &str = "a-key-of-twenty-four-chars";
const OLD: &str = "an-older-key-of-the-same";

/// A gateway that asks for a key in any place before everything goes to `origin`.
fn before(origin: &Origin, more: &str) -> Gateway {
    Gateway::start(&yaml(origin, "groups: [partners, eu]", more))
}

fn yaml(origin: &Origin, consumer: &str, more: &str) -> String {
    format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key, query: api_key, cookie: key }} }} }}\n\
         consumers:\n  acme:\n    {consumer}\n    keys:\n      - {{ value: {KEY}, insecure_inline: true }}\n      \
         - {{ key: {{ value: {OLD}, insecure_inline: true }}, id: old, expires: 2020-01-31 }}\n\
         routes: {{ /**: {{ to: {}, auth: {{ any: keys{more} }} }} }}\n",
        origin.url()
    )
}

fn reason(response: &Response) -> String {
    let problem = response.json();
    problem["type"].as_str().expect("a type").trim_start_matches("urn:tollgate:problem:").to_owned()
}

#[test]
fn a_known_key_passes_and_the_upstream_is_told_whose_it_is() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, "");
    let request = Request::get("/a").header("X-API-Key", KEY).header("X-Consumer-Groups", "admins");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = origin.only_request();
    assert_eq!((seen.header("x-consumer-id"), seen.header("x-consumer-groups")), (Some("acme"), Some("partners,eu")));
    assert_eq!(seen.header("x-credential-id").map(str::len), Some(12));
    assert_eq!(seen.header("x-api-key"), None);
}

#[test]
fn the_key_is_taken_out_of_query_and_cookies_and_nothing_else_is() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, "");
    assert_eq!(gateway.get(&format!("/a?x=1&%61pi_key={KEY}&y=%20")).status, 200);
    assert_eq!(gateway.send(&Request::get("/b").header("Cookie", &format!("a=1; key={KEY}; b=2"))).status, 200);
    let seen = origin.requests();
    assert_eq!(seen[0].target, "/a?x=1&y=%20");
    assert_eq!(seen[1].header("cookie"), Some("a=1; b=2"));
}

#[test]
fn credentials_go_on_where_that_is_asked_for() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, ", forward_credentials: true");
    assert_eq!(gateway.get(&format!("/a?api_key={KEY}")).status, 200);
    assert_eq!(origin.only_request().target, format!("/a?api_key={KEY}"));
}

#[test]
fn what_proves_nobody_is_refused_with_the_way_in() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, "");
    let long = "x".repeat(5_000);
    for (request, status, expected) in [
        (Request::get("/"), 401, "no-credentials"),
        (Request::get("/").header("X-API-Key", "not-a-known-key-at-all"), 401, "bad-credentials"),
        (Request::get("/").header("X-API-Key", &KEY.to_uppercase()), 401, "bad-credentials"),
        (Request::get("/").header("X-API-Key", ""), 401, "bad-credentials"),
        (Request::get("/").header("X-API-Key", &long), 401, "bad-credentials"),
        (Request::get("/").header("X-API-Key", OLD), 401, "expired-token"),
        (Request::get("/").header("X-API-Key", KEY).header("X-API-Key", KEY), 400, "ambiguous-credentials"),
        (Request::get(&format!("/?api_key={KEY}")).header("X-API-Key", KEY), 400, "ambiguous-credentials"),
        (Request::get(&format!("/?api_key={KEY}&api_key=x")), 400, "ambiguous-credentials"),
        (Request::get(&format!("/?API_KEY={KEY}")), 401, "no-credentials"),
        (Request::get("/").header("Cookie", &format!("key={KEY}; key={KEY}")), 400, "ambiguous-credentials"),
    ] {
        let refused = gateway.send(&request);
        assert_eq!((refused.status, reason(&refused)), (status, expected.to_owned()), "{request:?}");
        if status == 401 {
            assert_eq!(refused.header("www-authenticate"), Some("ApiKey realm=\"keys\""));
        }
        assert!(!refused.text().contains(KEY) && !refused.text().contains(OLD), "{}", refused.text());
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn anonymous_lets_pass_who_brings_nothing_and_nobody_who_brings_a_bad_key() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, ", anonymous: true");
    assert_eq!(gateway.get("/").status, 200);
    let seen = origin.only_request();
    assert_eq!((seen.header("x-anonymous-consumer"), seen.header("x-consumer-id")), (Some("true"), None));
    assert_eq!(gateway.send(&Request::get("/").header("X-API-Key", "not-a-known-key-at-all")).status, 401);
}

#[test]
fn a_reload_changes_at_once_what_a_key_means() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let gateway = before(&origin, "");
    let request = Request::get("/").header("X-API-Key", KEY);
    assert_eq!(gateway.send(&request).status, 200);
    gateway.change(&yaml(&origin, "groups: [blocked]", ""));
    assert_eq!(gateway.send(&request).status, 200);
    assert_eq!(origin.requests()[1].header("x-consumer-groups"), Some("blocked"));
    gateway.change(&yaml(&origin, "", "").replace(KEY, "another-key-that-is-long"));
    assert_eq!(gateway.send(&request).status, 401);
}

#[test]
fn a_consumer_is_limited_by_who_it_is() {
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{}} }} }}\nconsumers:\n  a: {{ keys: {{ value: {KEY}, insecure_inline: true }} }}\n  \
         b: {{ keys: {{ value: {OLD}, insecure_inline: true }} }}\n\
         routes: {{ /**: {{ respond: {{ body: in }}, auth: keys, limit: 2/h per consumer }} }}\n"
    ));
    let by = |key: &str| gateway.send(&Request::get("/").header("X-API-Key", key)).status;
    assert_eq!([by(KEY), by(KEY), by(KEY), by(OLD)], [200, 200, 429, 200]);
}
