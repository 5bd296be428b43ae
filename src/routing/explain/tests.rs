//! What is told of the routes that were considered.

use super::*;
use crate::routing::support::{Request, predicate, rule};

fn told(rules: Vec<RouteRule>, request: &Request) -> Vec<(usize, Verdict)> {
    let router = Router::build(rules).unwrap();
    router.explain(&request.target()).into_iter().map(|candidate| (candidate.route, candidate.verdict)).collect()
}

#[test]
fn tells_the_first_thing_each_route_lost_on() {
    let rules = vec![
        rule("", "/**", &[]),
        rule("x.h", "/a/{id}", &["header beta", "query q"]),
        rule("x.h", "POST /a/7", &["header beta"]),
        rule("x.h", "GET /a/7/items", &[]),
        rule("*.h", "GET /a/*", &[]),
        rule("y.h", "GET /a/7", &[]),
        rule("y.h", "POST /a/7", &[]),
        rule("x.h", "~/b.*", &[]),
        rule("x.h", "/b", &[]),
        rule("x.h", "/a/{id}", &[]),
        rule("x.h", "/a/{id}", &["query r=1"]),
    ];
    assert_eq!(
        told(rules, &Request::new("GET x.h/a/7", &[("beta", "1")])),
        [
            (3, Verdict::Path { segment: Some(2) }),
            (5, Verdict::Host),
            (2, Verdict::Method(Methods::parse("POST").unwrap())),
            (1, Verdict::Predicate(predicate("query q"))),
            (10, Verdict::Predicate(predicate("query r=1"))),
            (9, Verdict::Won),
            (8, Verdict::Path { segment: Some(0) }),
            (7, Verdict::Path { segment: None }),
            (4, Verdict::Outranked { winner: 9, on: Step::Host }),
            (0, Verdict::Outranked { winner: 9, on: Step::Host }),
        ]
    );
}

#[test]
fn tells_what_the_winner_is_ahead_in() {
    let rules = vec![
        rule("", "/a/b", &["header x"]),
        rule("", "GET /a/b", &[]),
        rule("", "/a/b", &[]),
        rule("", "/a/*", &[]),
        rule("", "GET /a/b", &["header x"]),
    ];
    let outranked = |on| Verdict::Outranked { winner: 4, on };
    assert_eq!(
        told(rules, &Request::new("HEAD h/a/b", &[("x", "")])),
        [
            (4, Verdict::Won),
            (1, outranked(Step::Predicates)),
            (0, outranked(Step::Method)),
            (2, outranked(Step::Method)),
            (3, outranked(Step::Path)),
        ]
    );
}

#[test]
fn tells_the_nearest_when_there_are_many() {
    let far = (0..200).map(|at| rule("", &format!("/far/{at}"), &[]));
    let rules = far.chain([rule("", "/near/{x}/z", &[]), rule("", "PUT /near/x", &[])]).collect();
    let told = told(rules, &Request::new("GET h/near/x", &[]));
    assert_eq!(told.len(), 50);
    assert!(told.contains(&(200, Verdict::Path { segment: Some(2) })));
    assert!(told.contains(&(201, Verdict::Method(Methods::parse("PUT").unwrap()))));
}

#[test]
fn the_winner_is_told_however_many_would_do() {
    let name = |at: usize| format!("header x{at:03}");
    let many = |at: usize| (0..at).map(name).collect::<Vec<_>>();
    let rule = |at: usize| {
        let predicates = many(at);
        rule("", "/a", &predicates.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fields: Vec<(String, &str)> = (0..80).map(|at| (format!("x{at:03}"), "")).collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let told = told((0..80).map(rule).collect(), &Request::new("GET h/a", &fields));
    assert_eq!(told.len(), 50);
    assert_eq!(told.first(), Some(&(79, Verdict::Won)));
}
