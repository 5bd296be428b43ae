//! What moves with a weight and what stays; cookies that are issued.

use super::*;
use crate::config::load_str;
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::reply::Reason;
use crate::request::Moment;
use crate::snapshot::{Action, Snapshot, Surroundings, compile};
use crate::value::Duration;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A snapshot whose one route splits as `to` says: `a 90, b 10`.
fn splitting(to: &str) -> Snapshot {
    let names = ["a", "b", "c"];
    let upstreams: String =
        names.iter().map(|name| format!("  {name}: {{ endpoints: [http://10.0.0.1:80] }}\n")).collect();
    let entries: String = to
        .split(", ")
        .map(|entry| {
            let (name, weight) = entry.split_once(' ').unwrap();
            format!("{{ upstream: {name}, weight: {weight} }}, ")
        })
        .collect();
    let text = format!("listen: :1\nupstreams:\n{upstreams}routes:\n  /: {{ sticky: client, to: [{entries}] }}\n");
    let settings = MetricsSettings { workers: 1, max_routes: 10, reasons: Reason::SLUGS };
    let surroundings = Surroundings {
        previous: None,
        metrics: &Metrics::new(settings),
        fetcher: &Arc::default(),
        limits: &Arc::default(),
        cache: &Default::default(),
        seed: 0,
    };
    compile(load_str("x", &text).unwrap(), &surroundings).unwrap_or_else(|failed| panic!("{failed}")).snapshot
}

/// Where the first so many keys go.
fn places(to: &str, keys: u64) -> Vec<String> {
    let snapshot = splitting(to);
    let Action::Forward(target) = &snapshot.routes.first().unwrap().action else { panic!("no target") };
    let name = |key: u64| {
        let place = target.by_share(Draw::Key(hash_of(&key.to_be_bytes()))).unwrap();
        target.choices().get(place).unwrap().to.upstream.name().to_owned()
    };
    (0..keys).map(name).collect()
}

fn count(places: &[String], name: &str) -> usize {
    places.iter().filter(|place| *place == name).count()
}

#[test]
fn keys_are_spread_as_the_weights_say() {
    let places = places("a 90, b 9, c 1", 20_000);
    for (name, share) in [("a", 18_000), ("b", 1_800), ("c", 200)] {
        let got = count(&places, name);
        // Five standard deviations of the binomial distribution.
        let deviation = (f64::from(share) * (1.0 - f64::from(share) / 20_000.0)).sqrt();
        assert!((got as f64 - f64::from(share)).abs() < 5.0 * deviation, "{name}: {got} instead of {share}");
    }
}

#[test]
fn a_weight_that_grows_takes_and_moves_nothing_else() {
    let (before, after) = (places("a 80, b 10, c 10", 5_000), places("a 80, b 30, c 10", 5_000));
    let moved: Vec<_> = before.iter().zip(&after).filter(|(before, after)| before != after).collect();
    assert!(moved.iter().all(|(_, after)| *after == "b"), "only to the one that grew");
    // From 10 of 100 to 30 of 120: 750 keys.
    assert!((650..850).contains(&moved.len()), "{} moved", moved.len());
}

#[test]
fn taking_one_out_moves_its_own_keys_alone_whatever_the_order_of_writing() {
    let (before, after) = (places("a 80, b 10, c 10", 5_000), places("c 10, b 0, a 80", 5_000));
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || before == "b", "{before} went to {after}");
        assert_ne!(after, "b");
    }
}

#[test]
fn by_chance_shares_are_what_the_weights_say() {
    let snapshot = splitting("a 90, b 10");
    let Action::Forward(target) = &snapshot.routes.first().unwrap().action else { panic!("no target") };
    let mut random = SmallRng::seed_from_u64(7);
    let second = (0..10_000).filter(|_| target.by_share(Draw::Random(random.r#gen())) == Some(1)).count();
    assert!((850..1_150).contains(&second), "{second}");
}

#[test]
fn a_cookie_is_issued_where_none_of_ours_came() {
    let sticky = Sticky::Cookie { name: "split".into(), lasts: Duration::from_secs(60) };
    let cx = RequestCx::new(Moment { started: Instant::now(), wall: SystemTime::now() });
    let headers = |line: &str| HeaderMap::from_iter([(http::header::COOKIE, HeaderValue::from_str(line).unwrap())]);
    let (digest, field) = issue(&sticky, Scheme::Https, 0xAB).unwrap();
    assert_eq!(field, "split=00000000000000ab; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
    assert_eq!(key(&sticky, &cx, &headers("a=1; split=00000000000000ab")), Some(digest), "what was issued comes back");
    assert!(key(&sticky, &cx, &headers("split=made-up")).is_some());
    for none in ["a=1", "split=", &format!("split={}", "x".repeat(129))] {
        assert_eq!(key(&sticky, &cx, &headers(none)), None, "{none}");
    }
    assert!(issue(&Sticky::Client, Scheme::Http, 1).is_none());
}
