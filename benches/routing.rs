//! What routing costs: compiling, looking up, and bringing paths and hosts into normal form.
//!
//! `cargo bench --bench routing`. A look-up must cost the same with 10, 1,000 and 10,000 routes (a tenth as many hosts),
//! caches apart: each look-up of a series is for another host, so that with 10,000 routes the tables are cold.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::HeaderMap;
use tollgate::routing::{
    Captures, Found, HostPattern, Reading, RouteKey, RouteRule, Router, Target, Template, normalise, normalise_host,
};

const KEYS: [&str; 10] = [
    "GET /orders",
    "POST /orders",
    "GET /orders/{id}",
    "PUT /orders/{id}",
    "/orders/{id}/items/**",
    "GET /users/{id:[0-9]+}",
    "GET /users/me",
    "/a/b/c/d/e/f/g/h/i/j/{last}",
    "/static/**",
    "/",
];

/// Ten routes on each of `hosts` hosts, every tenth of these a wildcard.
fn rules(hosts: usize) -> Vec<RouteRule> {
    let rule = |number: usize, key: &str| {
        let host = if number % 10 == 9 { format!("*.h{number}.example") } else { host(number) };
        let key = RouteKey::parse(key).expect("a legal key");
        let hosts = vec![HostPattern::parse(&host).expect("a legal host")];
        RouteRule { hosts, methods: key.methods, path: key.path, predicates: Vec::new() }
    };
    (0..hosts).flat_map(|number| KEYS.map(|key| rule(number, key))).collect()
}

fn host(number: usize) -> String {
    if number % 10 == 9 { format!("www.h{number}.example") } else { format!("h{number}.example") }
}

fn look_up(criterion: &mut Criterion) {
    let requests = [
        ("literal", "GET", "/users/me"),
        ("capture", "GET", "/orders/1234567"),
        ("rest", "GET", "/orders/1234567/items/7/price"),
        ("expression", "GET", "/users/1234567"),
        ("deep", "GET", "/a/b/c/d/e/f/g/h/i/j/k"),
        ("no route", "GET", "/products/7"),
        ("other method", "DELETE", "/orders"),
    ];
    let headers = HeaderMap::new();
    let mut group = criterion.benchmark_group("find");
    for hosts in [1, 100, 1_000] {
        let router = Router::build(rules(hosts)).expect("no conflicts");
        // Hosts far apart in turn.
        let names: Vec<String> = (0..hosts).map(|number| host(number * 7_919 % hosts)).collect();
        for (name, method, path) in requests {
            let mut captures = Captures::new();
            let mut next = names.iter().cycle();
            group.bench_function(BenchmarkId::new(name, hosts * KEYS.len()), |bencher| {
                bencher.iter(|| {
                    let host = next.next().expect("a host");
                    let target = Target { host, path, method, query: None, headers: &headers, body: Reading::Unfit };
                    let found = router.find(black_box(&target), &mut captures);
                    debug_assert_eq!(matches!(found, Found::Route(_)), !matches!(name, "no route" | "other method"));
                    found
                });
            });
        }
    }
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    for hosts in [100, 1_000] {
        let rules = rules(hosts);
        group.throughput(Throughput::Elements(rules.len() as u64));
        group.bench_function(BenchmarkId::new("router", rules.len()), |bencher| {
            let build = |rules| Router::build(rules).expect("no conflicts");
            bencher.iter_batched(|| rules.clone(), build, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("patterns and router", rules.len()), |bencher| {
            bencher.iter(|| Router::build(self::rules(hosts)).expect("no conflicts"));
        });
    }
    group.finish();
}

fn normal_forms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalise");
    for (name, path) in [
        ("plain", "/orders/1234567/items/7"),
        ("settled escapes", "/caf%C3%A9/%20/items"),
        ("encoded slash", "/orders/a%2Fb/items"),
        ("rewritten", "/orders/./%31234567//x/../items"),
    ] {
        group.throughput(Throughput::Bytes(path.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| normalise(black_box(path))));
    }
    group.finish();
    let authority = "api.shop.example:8443";
    criterion.bench_function("normalise_host", |bencher| bencher.iter(|| normalise_host(black_box(authority))));
}

fn expand(criterion: &mut Criterion) {
    let key = RouteKey::parse("/orders/{id}/**").expect("a legal key");
    let template = Template::parse("/v2/{id}/{**}", &key.path).expect("a legal template");
    let rule = RouteRule { hosts: Vec::new(), methods: key.methods, path: key.path, predicates: Vec::new() };
    let router = Router::build(vec![rule]).expect("no conflicts");
    let (path, mut captures, headers) = ("/orders/1234567/items/7", Captures::new(), HeaderMap::new());
    router.find(
        &Target { host: "h", path, method: "GET", query: None, headers: &headers, body: Reading::Unfit },
        &mut captures,
    );
    let mut out = String::new();
    criterion.bench_function("expand", |bencher| {
        bencher.iter(|| {
            out.clear();
            template.expand(black_box(path), &captures, &mut out)
        });
    });
}

criterion_group!(benches, look_up, compile, normal_forms, expand);
criterion_main!(benches);
