//! The router against a plain matcher: written from the rules of precedence alone, it tries every rule and sorts.

use std::cmp::Reverse;

use http::HeaderMap;
use proptest::prelude::*;

use crate::routing::support::{Request, predicate, rule};
use crate::routing::{Candidate, ConflictKind, Found, RouteRule, Router, Verdict};

/// A rule as its texts, which is all the plain matcher looks at.
#[derive(Debug, Clone)]
struct Written {
    hosts: Vec<&'static str>,
    methods: &'static str,
    path: String,
    predicates: Vec<&'static str>,
}

impl Written {
    fn rule(&self) -> RouteRule {
        let key = format!("{} {}", self.methods, self.path);
        rule(&self.hosts.join(" "), key.trim_start(), &self.predicates)
    }
}

/// What decides between rules that take a request; the least wins.
type Rank = (Reverse<usize>, Vec<(u8, Reverse<usize>, String)>, u8, Reverse<Vec<usize>>, Vec<String>);

fn rank(written: &Written, request: &Request) -> Result<Rank, Missed> {
    let host = if written.hosts.is_empty() {
        0
    } else {
        written.hosts.iter().filter_map(|host| host_rank(host, &request.host)).max().ok_or(Missed::Otherwise)?
    };
    let path = path_rank(&written.path, &request.path).ok_or(Missed::Otherwise)?;
    let headers: &HeaderMap = &request.headers;
    if !written.predicates.iter().all(|text| holds(text, request, headers)) {
        return Err(Missed::Otherwise);
    }
    let named: Vec<&str> = written.methods.split(',').collect();
    let method = match &*request.method {
        _ if written.methods.is_empty() => 2,
        method if named.contains(&method) => 0,
        "HEAD" if named.contains(&"GET") => 1,
        _ => return Err(Missed::Method),
    };
    let mut texts: Vec<String> = written.predicates.iter().map(|text| predicate(text).to_string()).collect();
    texts.sort();
    texts.dedup();
    let mut unique = written.predicates.clone();
    unique.sort_unstable();
    unique.dedup();
    let count = |test: &dyn Fn(&str) -> bool| unique.iter().filter(|text| test(text)).count();
    let weight = vec![
        unique.len(),
        count(&|text| text.contains("header")),
        count(&|text| text.contains("query")),
        count(&|text| text.contains("cookie")),
        count(&|text| text.contains('=') && !text.contains('^')),
        count(&|text| text.contains('^')),
        count(&|text| text.contains('~')),
        count(&|text| !text.contains(['=', '~', '!'])),
    ];
    Ok((Reverse(host), path, method, Reverse(weight), texts))
}

enum Missed {
    Method,
    Otherwise,
}

fn host_rank(pattern: &str, host: &str) -> Option<usize> {
    match pattern.strip_prefix('*') {
        Some(suffix) => (host.ends_with(suffix) && host.len() > suffix.len()).then_some(suffix.len()),
        None => (pattern == host).then_some(usize::MAX),
    }
}

/// The kind of each segment, with the length and text of its expression.
fn path_rank(pattern: &str, path: &str) -> Option<Vec<(u8, Reverse<usize>, String)>> {
    if let Some(expression) = pattern.strip_prefix('~') {
        let rank = (9, Reverse(expression.len()), expression.to_owned());
        return whole(expression, path).then_some(vec![rank]);
    }
    let mut given = path.split('/').skip(1);
    let mut ranks = Vec::new();
    for segment in pattern.split('/').skip(1) {
        let plain = |kind| (kind, Reverse(0), String::new());
        if segment == "**" {
            ranks.push(plain(5));
            return Some(ranks);
        }
        let given = given.next()?;
        let open = !given.is_empty();
        ranks.push(match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => match inner.split_once(':') {
                Some((_, expression)) if open && whole(expression, given) => {
                    (2, Reverse(expression.len()), expression.to_owned())
                }
                None if open => plain(3),
                _ => return None,
            },
            None if segment == "*" && open => plain(4),
            None if segment == given => plain(1),
            None => return None,
        });
    }
    given.next().is_none().then_some(ranks)
}

/// The values of the captures of a pattern of segments.
fn captured(pattern: &str, path: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = path;
    for segment in pattern.split('/').skip(1) {
        let tail = rest.strip_prefix('/').unwrap_or(rest);
        if segment == "**" {
            values.push(tail.to_owned());
            break;
        }
        let end = tail.find('/').unwrap_or(tail.len());
        if segment.starts_with('{') {
            values.push(tail[..end].to_owned());
        }
        rest = &tail[end..];
    }
    values
}

/// What the expressions of this test match, by hand.
fn whole(expression: &str, text: &str) -> bool {
    match expression {
        "[ab]+" => !text.is_empty() && text.chars().all(|c| matches!(c, 'a' | 'b')),
        "a|c" => matches!(text, "a" | "c"),
        "[12]" => matches!(text, "1" | "2"),
        "/a.*" => text.starts_with("/a"),
        "/(?:a|b)/.*" => text.starts_with("/a/") || text.starts_with("/b/"),
        "/a/?" => matches!(text, "/a" | "/a/"),
        ".*" => true,
        _ => panic!("{expression} is new"),
    }
}

fn holds(text: &str, request: &Request, headers: &HeaderMap) -> bool {
    let (bare, wanted) = text.strip_prefix('!').map_or((text, true), |bare| (bare, false));
    let (kind, rest) = bare.split_once(' ').unwrap();
    let name: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
    let test = &rest[name.len()..];
    let values: Vec<String> = match kind {
        "header" => headers.get_all(&name).iter().map(|value| value.to_str().unwrap().to_owned()).collect(),
        "query" => pairs(request.query.as_deref().unwrap_or(""), '&', &name),
        _ => headers.get_all("cookie").iter().flat_map(|line| pairs(line.to_str().unwrap(), ';', &name)).collect(),
    };
    let passes = |value: &String| match test.chars().next() {
        None => true,
        Some('=') => *value == test[1..],
        Some('^') => value.starts_with(&test[2..]),
        _ => whole(&test[1..], value),
    };
    values.iter().any(passes) == wanted
}

fn pairs(text: &str, separator: char, name: &str) -> Vec<String> {
    let pairs = text.split(separator).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect()
}

/// The outcome as the plain matcher sees it: a route, or the methods of a 405.
fn plain(rules: &[Written], request: &Request) -> (Option<usize>, Vec<&'static str>) {
    let mut ranked: Vec<(Rank, usize)> = Vec::new();
    let mut allow = Vec::new();
    for (at, written) in rules.iter().enumerate() {
        match rank(written, request) {
            Ok(rank) => ranked.push((rank, at)),
            Err(Missed::Method) => allow.extend(written.methods.split(',')),
            Err(Missed::Otherwise) => {}
        }
    }
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.sort_unstable();
    allow.dedup();
    (ranked.into_iter().min().map(|(_, at)| at), allow)
}

fn paths() -> impl Strategy<Value = String> {
    let segments = ["a", "a", "b", "", "capture", "[ab]+", "a|c", "*", "**"];
    let segmented = prop::collection::vec(prop::sample::select(segments.to_vec()), 1..5).prop_map(|segments| {
        let mut path = String::new();
        for (at, segment) in segments.into_iter().enumerate() {
            // Names must differ.
            path += &match segment {
                "capture" => format!("/{{n{at}}}"),
                "[ab]+" | "a|c" => format!("/{{n{at}:{segment}}}"),
                _ => format!("/{segment}"),
            };
            if matches!(segment, "" | "**") {
                break;
            }
        }
        path
    });
    let whole = prop::sample::select(vec!["~/a.*", "~/(?:a|b)/.*", "~/a/?", "~.*"]).prop_map(str::to_owned);
    prop_oneof![9 => segmented, 1 => whole]
}

fn rules() -> impl Strategy<Value = Vec<Written>> {
    let hosts = prop::collection::vec(prop::sample::select(vec!["x.h", "y.h", "*.h", "*.y.h", "*.x.h"]), 0..3);
    let methods = prop::sample::select(vec!["", "", "GET", "GET", "POST", "HEAD", "GET,POST", "PURGE"]);
    let predicates = [
        "header x",
        "header x=1",
        "header x=2",
        "header x^=1",
        "header y=1",
        "!header y",
        "query q=1",
        "query q",
        "cookie c=1",
        "header x~[12]",
    ];
    let predicates = prop::collection::vec(prop::sample::select(predicates.to_vec()), 0..3);
    let written = (hosts, methods, paths(), predicates).prop_map(|(hosts, methods, path, predicates)| Written {
        hosts,
        methods,
        path,
        predicates,
    });
    prop::collection::vec(written, 1..24)
}

fn requests() -> impl Strategy<Value = Vec<Request>> {
    let host = prop::sample::select(vec!["x.h", "y.h", "z.h", "a.y.h", "a.b.x.h", "h", "other"]);
    let method = prop::sample::select(vec!["GET", "GET", "HEAD", "POST", "PUT", "PURGE"]);
    let segment = prop::sample::select(vec!["a", "a", "b", "c", "aa", "d"]);
    let path = (prop::collection::vec(segment, 0..5), prop::bool::weighted(0.2)).prop_map(|(segments, slash)| {
        let slash = if slash || segments.is_empty() { "/" } else { "" };
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        format!("{path}{slash}")
    });
    let query = prop::sample::select(vec!["", "?q=1", "?q=2", "?q=2&q=1"]);
    let fields =
        [("x", "1"), ("x", "2"), ("x", "12"), ("y", "1"), ("y", "2"), ("cookie", "c=1"), ("cookie", "d=1; c=2")];
    let fields = prop::collection::vec(prop::sample::select(fields.to_vec()), 0..4);
    let request = (method, host, path, query, fields).prop_map(|(method, host, path, query, fields)| {
        Request::new(&format!("{method} {host}{path}{query}"), &fields)
    });
    prop::collection::vec(request, 32)
}

/// Leaves out the losers until none is left; a shadowed one must not win in the plain matcher either.
fn without_losers(mut rules: Vec<Written>, requests: &[Request]) -> Result<(Vec<Written>, Router), TestCaseError> {
    loop {
        match Router::build(rules.iter().map(Written::rule).collect()) {
            Ok(router) => return Ok((rules, router)),
            Err(conflicts) => {
                for conflict in conflicts.iter().filter(|conflict| conflict.kind == ConflictKind::Shadowed) {
                    let won = requests.iter().find(|request| plain(&rules, request).0 == Some(conflict.loser));
                    prop_assert!(won.is_none(), "{:?} wins {:?} in {:?}", conflict, won, rules);
                }
                let mut losers: Vec<usize> = conflicts.iter().map(|conflict| conflict.loser).collect();
                losers.sort_unstable();
                losers.dedup();
                losers.into_iter().rev().for_each(|loser| drop(rules.remove(loser)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_router_agrees_with_a_plain_matcher(rules in rules(), requests in requests()) {
        let (rules, router) = without_losers(rules, &requests)?;
        for request in &requests {
            let (winner, allow) = plain(&rules, request);
            let (found, values) = request.find(&router);
            match (&found, winner) {
                (Found::Route(found), Some(winner)) => {
                    prop_assert_eq!(*found, winner, "{:?} in {:?}", request, rules);
                    let expected = match &*rules[winner].path {
                        pattern if pattern.starts_with('~') => Vec::new(),
                        pattern => captured(pattern, &request.path),
                    };
                    prop_assert_eq!(values, expected, "{:?} in {:?}", request, rules);
                }
                (Found::MethodNotAllowed(found), None) => {
                    let mut found: Vec<&str> = found.iter().collect();
                    found.sort_unstable();
                    prop_assert_eq!(found, allow, "{:?} in {:?}", request, rules);
                }
                (Found::NoRoute, None) => prop_assert!(allow.is_empty(), "{:?} in {:?}", request, rules),
                _ => prop_assert!(false, "{:?}, not {:?} for {:?} in {:?}", found, winner, request, rules),
            }
            let told = router.explain(&request.target());
            let won = told.iter().find(|Candidate { verdict, .. }| *verdict == Verdict::Won).map(|told| told.route);
            prop_assert_eq!(won, winner, "{:?} explained as {:?} in {:?}", request, told, rules);
        }
    }
}
