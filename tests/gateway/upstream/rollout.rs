//! Versions side by side: who is sent where.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

#[test]
fn a_request_that_asks_for_the_new_version_gets_it_and_no_other_does() {
    let (old, new) = (Origin::start(|_| Answer::ok("old")), Origin::start(|_| Answer::ok("new")));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ v1: {{ endpoints: [\"{}\"] }}, v2: {{ endpoints: [\"{}\"] }} }}\n\
         routes:\n  /**:\n    to:\n      - {{ upstream: v1 }}\n      \
         - {{ upstream: v2, weight: 0, when: {{ header: {{ X-Canary: \"on\" }}, cookie: {{ beta: {{ present: true }} }} }} }}\n",
        old.url(),
        new.url()
    ));
    let answer = |canary: &[&str], cookie: &str| {
        let asked = canary.iter().fold(Request::get("/"), |asked, value| asked.header("X-Canary", value));
        gateway.send(&asked.header("Cookie", cookie)).text().to_owned()
    };
    assert_eq!(answer(&["on"], "beta=1"), "new");
    assert_eq!(answer(&["off", "on"], "a=1; beta=2"), "new");
    for (canary, cookie) in [(&["on"][..], "a=1"), (&[], "beta=1"), (&["off"], "beta=1"), (&["on "], "xbeta=1")] {
        assert_eq!(answer(canary, cookie), "old", "{canary:?} {cookie}");
    }
}

/// Two upstreams with these weights, kept apart by `sticky`; each answers with its own name.
fn split(origins: &[Origin; 2], weights: [u32; 2], sticky: &str) -> String {
    let [old, new] = [origins[0].url(), origins[1].url()];
    format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\n\
         consumers:\n  acme: {{ keys: [{{ value: {ACME}, insecure_inline: true }}] }}\n  \
         zeta: {{ keys: [{{ value: {ZETA}, insecure_inline: true }}] }}\n\
         upstreams: {{ old: {{ endpoints: [\"{old}\"] }}, new: {{ endpoints: [\"{new}\"] }} }}\n\
         routes:\n  /**:\n    auth: {{ any: [keys], anonymous: true }}\n    sticky: {sticky}\n    \
         to: [{{ upstream: old, weight: {} }}, {{ upstream: new, weight: {} }}]\n",
        weights[0], weights[1]
    )
}

const ACME: &str = "the-key-of-acme-for-these-tests";
const ZETA: &str = "the-key-of-zeta-for-these-tests";

fn named() -> [Origin; 2] {
    [Origin::start(|_| Answer::ok("old")), Origin::start(|_| Answer::ok("new"))]
}

/// Who answers so many requests, each with its own value of a field.
fn answers(gateway: &Gateway, count: usize, field: impl Fn(usize) -> (&'static str, String)) -> Vec<String> {
    let mut client = gateway.connect();
    let mut ask = |n| {
        let (name, value) = field(n);
        client.send(&Request::get("/").header(name, &value)).text().to_owned()
    };
    (0..count).map(&mut ask).collect()
}

#[test]
fn a_tenant_stays_where_it_is_over_reloads_and_moves_only_to_the_weight_that_grew() {
    let origins = named();
    let gateway = Gateway::start(&split(&origins, [80, 20], "header X-Tenant"));
    let tenant = |n: usize| ("X-Tenant", format!("tenant-{n}"));
    let first = answers(&gateway, 200, tenant);
    let new = first.iter().filter(|name| *name == "new").count();
    assert!((15..70).contains(&new), "{new} of 200 at 20%");
    assert_eq!(answers(&gateway, 200, tenant), first, "and again");
    gateway.change(&split(&origins, [80, 20], "header X-Tenant"));
    assert_eq!(answers(&gateway, 200, tenant), first, "after a reload");
    gateway.change(&split(&origins, [50, 50], "header X-Tenant"));
    let later = answers(&gateway, 200, tenant);
    let moved = first.iter().zip(&later).filter(|(before, after)| before != after);
    assert!(moved.clone().count() > 20, "{} moved", moved.count());
    assert!(first.iter().zip(&later).all(|(before, after)| before == after || after == "new"));
    // Another gateway agrees.
    assert_eq!(answers(&Gateway::start(&split(&origins, [50, 50], "header X-Tenant")), 200, tenant), later);
}

#[test]
fn a_consumer_stays_at_one_version_whatever_else_changes() {
    let origins = named();
    let gateway = Gateway::start(&split(&origins, [50, 50], "consumer"));
    for key in [ACME, ZETA] {
        let answers = answers(&gateway, 30, |_| ("X-API-Key", key.to_owned()));
        assert!(["old", "new"].contains(&answers[0].as_str()), "{answers:?}");
        assert!(answers.iter().all(|name| *name == answers[0]), "{answers:?}");
    }
    // Without a caller each request is drawn anew.
    let nobody = answers(&gateway, 60, |_| ("X-Other", "1".to_owned()));
    assert!(nobody.contains(&"old".to_owned()) && nobody.contains(&"new".to_owned()));
}

#[test]
fn a_client_stays_at_one_version() {
    let origins = named();
    let gateway = Gateway::start(&split(&origins, [50, 50], "client"));
    let answers = answers(&gateway, 40, |n| ("X-Other", n.to_string()));
    assert!(
        ["old", "new"].contains(&answers[0].as_str()) && answers.iter().all(|name| *name == answers[0]),
        "{answers:?}"
    );
}

#[test]
fn who_has_no_cookie_gets_one_and_stays_and_one_made_up_reaches_nothing_that_has_no_share() {
    let origins = named();
    let gateway = Gateway::start(&split(&origins, [50, 50], "cookie canary for 1h"));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let first = gateway.get("/");
        let issued = first.header("set-cookie").expect("a cookie").to_owned();
        assert!(issued.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"), "{issued}");
        let pair = issued.split(';').next().expect("a pair");
        let again = gateway.send(&Request::get("/").header("Cookie", &format!("other=1; {pair}")));
        assert_eq!((again.text(), again.header("set-cookie")), (first.text(), None));
        seen.insert(first.text().to_owned());
    }
    assert_eq!(seen.len(), 2, "both versions are given out: {seen:?}");
    gateway.change(&split(&origins, [100, 0], "cookie canary for 1h"));
    for n in 0..50 {
        let forged = gateway.send(&Request::get("/").header("Cookie", &format!("canary={n:016x}")));
        assert_eq!((forged.text(), forged.header("set-cookie")), ("old", None));
    }
    // What is no cookie of ours is replaced, and makes no one ill.
    for broken in ["canary=", &format!("canary={}", "x".repeat(4_000))] {
        let response = gateway.send(&Request::get("/").header("Cookie", broken));
        assert!(response.status == 200 && response.header("set-cookie").is_some(), "{broken}");
    }
}
