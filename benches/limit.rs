//! What a request pays for its limits: one, a plan with all it may have, many live keys, many threads on one key.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant, SystemTime};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate::config::load_str;
use tollgate::consumer::Consumer;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::policy::limit::LimitStore;
use tollgate::policy::{Chain, Progress};
use tollgate::request::{Caller, Moment, RequestCx, RequestView};
use tollgate::snapshot::{Snapshot, Surroundings, compile};

/// Nothing is refused: what is measured is a request that passes.
const PLENTY: &str = "1000000000/s";

/// A route with these policies.
fn compiled(policies: &str) -> Snapshot {
    compiled_with(policies, &Arc::default())
}

/// The same with counts in that store.
fn compiled_with(policies: &str, limits: &Arc<LimitStore>) -> Snapshot {
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 10, reasons: &["no-route"] });
    let fetcher = Arc::default();
    let surroundings = Surroundings {
        previous: None,
        metrics: &metrics,
        fetcher: &fetcher,
        limits,
        cache: &Default::default(),
        seed: 0,
    };
    let text = format!(
        "listen: 127.0.0.1:0\nauth: {{ partners: {{ mtls: {{}} }} }}\n\
         plans: {{ gold: {{ limit: {PLENTY}, quota: 100000000000/month, max_in_flight: 1000 }} }}\n\
         consumers: {{ acme: {{ plan: gold }} }}\nroutes: {{ /: {{ body_limit: off, auth: {{ any: partners, anonymous: true \
         }}, {policies}, respond: {{}} }} }}\n"
    );
    let loaded = load_str("bench.yaml", &text).unwrap_or_else(|failed| unreachable!("{failed}"));
    compile(loaded, &surroundings).unwrap_or_else(|failed| unreachable!("{failed}")).snapshot
}

fn caller() -> Arc<Caller> {
    let consumer = Consumer { id: "acme".into(), groups: Box::default(), plan: Some("gold".into()) };
    Arc::new(Caller { id: "acme".into(), consumer: Some(Arc::new(consumer)), ..Caller::default() })
}

const TENANT: HeaderName = HeaderName::from_static("x-tenant");

/// One request through the chain.
fn request(chain: &Chain, moment: Moment, caller: &Arc<Caller>, headers: &mut HeaderMap) {
    let mut cx = RequestCx::new(moment);
    cx.identity.caller = Some(Arc::clone(caller));
    let mut view = RequestView { method: "GET", host: "shop.example", path: "/orders/7", query: None, headers };
    assert!(chain.on_request(&mut Progress::default(), black_box(&mut cx), &mut view).is_continue());
    black_box(cx);
}

fn now() -> Moment {
    Moment { started: Instant::now(), wall: SystemTime::now() }
}

fn limits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit");
    let (caller, mut headers) = (caller(), HeaderMap::new());
    for (name, policies) in [
        ("none", "plan: off".to_owned()),
        ("per consumer", format!("plan: off, limit: {PLENTY} per consumer")),
        (
            "plan, two limits, in-flight cap",
            format!("limit: [{PLENTY} per consumer, {PLENTY} per client], max_in_flight: 1000"),
        ),
    ] {
        let snapshot = compiled(&policies);
        let chain = &snapshot.routes.first().expect("a route").chain;
        let moment = now();
        group.bench_function(name, |bencher| bencher.iter(|| request(chain, moment, &caller, &mut headers)));
    }
    group.finish();
}

fn live_keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit, live keys");
    let caller = caller();
    for keys in [1_000_u64, 1_000_000] {
        let snapshot = compiled("plan: off, limit: 1000000/week per header X-Tenant");
        let chain = &snapshot.routes.first().expect("a route").chain;
        let moment = now();
        let mut headers = HeaderMap::new();
        let mut ask = |key: u64| {
            headers.insert(TENANT, HeaderValue::from(key));
            request(chain, moment, &caller, &mut headers);
        };
        (0..keys).for_each(&mut ask);
        let mut next = 0_u64;
        group.bench_function(BenchmarkId::from_parameter(keys), |bencher| {
            bencher.iter(|| {
                next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ask((next >> 32) % keys);
            });
        });
    }
    group.finish();
}

fn hot_key(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("limit, one key");
    let snapshot = compiled(&format!("plan: off, limit: {PLENTY} per consumer"));
    let chain = &snapshot.routes.first().expect("a route").chain;
    for threads in [1_usize, 8] {
        group.bench_function(BenchmarkId::new("threads", threads), |bencher| {
            bencher.iter_custom(|rounds| {
                let barrier = Barrier::new(threads);
                let spent: Vec<Duration> = std::thread::scope(|scope| {
                    let run = || {
                        let (caller, mut headers, moment) = (caller(), HeaderMap::new(), now());
                        barrier.wait();
                        let began = Instant::now();
                        (0..rounds).for_each(|_| request(chain, moment, &caller, &mut headers));
                        began.elapsed()
                    };
                    let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
                    running.into_iter().map(|thread| thread.join().expect("a thread")).collect()
                });
                // With more threads than cores each of them waits for its turn: the time a core gives to one is counted.
                let cores = std::thread::available_parallelism().map_or(1, usize::from).min(threads);
                spent.iter().sum::<Duration>() * u32::try_from(cores).unwrap_or(1)
                    / u32::try_from(threads * threads).unwrap_or(1)
            });
        });
    }
    group.finish();
}

/// What this process has in memory, bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// Ten million distinct keys, with room for as many: what they take, and what one more request pays then.
fn flood(criterion: &mut Criterion) {
    const KEYS: u64 = 10_000_000;
    let store = Arc::new(LimitStore::new(10_000_000));
    let before = resident();
    let snapshot = compiled_with("plan: off, limit: 1000000/week per header X-Tenant", &store);
    let chain = &snapshot.routes.first().expect("a route").chain;
    let (caller, moment, mut headers) = (caller(), now(), HeaderMap::new());
    let mut ask = |key: u64| {
        headers.insert(TENANT, HeaderValue::from(key));
        request(chain, moment, &caller, &mut headers);
    };
    (0..KEYS).for_each(&mut ask);
    let taken = resident().saturating_sub(before);
    println!("{KEYS} keys take {} MiB", taken >> 20);
    assert!(taken < 512 << 20, "{taken} bytes");
    let mut next = KEYS;
    criterion.bench_function("limit, flooded", |bencher| {
        bencher.iter(|| {
            next += 1;
            ask(next);
        });
    });
}

criterion_group!(benches, limits, live_keys, hot_key, flood);
criterion_main!(benches);
