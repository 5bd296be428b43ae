//! What one request pays for being seen: counting it, and formatting and queueing its line.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate::observe::access_log::{
    AccessEntry, AccessLog, AccessLogBounds, AccessLogSettings, Answer, Destination, Ids, Matched, Outcome, Redaction,
    Shape, Timings, What, Who, write_json,
};
use tollgate::observe::metrics::{
    AttemptOutcome, ConnectionKind, Finished, FinishedAttempt, Method, Metrics, MetricsSettings,
};
use tollgate::observe::{RequestId, Sampling, TimeStyle, TimeText, TraceContext, UnixMillis, Worker};

const TIME: UnixMillis = UnixMillis(1_795_500_249_042);

fn settings(max_routes: usize) -> MetricsSettings {
    MetricsSettings { workers: 2, max_routes, reasons: &["no-route"] }
}

fn finished() -> Finished {
    Finished {
        worker: Worker(0),
        method: Method::of(black_box("GET")),
        status: black_box(200),
        duration: Duration::from_micros(black_box(1_200)),
        gateway: Duration::from_micros(black_box(30)),
        bytes_in: 0,
        bytes_out: 1_024,
        refusal: None,
    }
}

fn attempt() -> FinishedAttempt {
    FinishedAttempt {
        worker: Worker(0),
        outcome: AttemptOutcome::Answered,
        connection: Some(ConnectionKind::Reused),
        duration: Duration::from_micros(black_box(1_100)),
    }
}

fn entry<'a>(id: &'a RequestId, trace: &TraceContext) -> AccessEntry<'a> {
    AccessEntry {
        time: TIME,
        ids: Ids { request: id.as_bytes(), trace: Some(trace.trace_id), batch: None },
        who: Who {
            client: Some([192, 0, 2, 1].into()),
            listener: "http",
            protocol: "HTTP/1.1",
            tls: None,
            consumer: Some("acme"),
            user_agent: Some(b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        },
        what: What {
            method: b"GET",
            host: b"api.shop.example",
            path: b"/v1/products/7",
            query: Some(b"page=2&sort=price"),
        },
        matched: Matched { api: Some("shop"), route: Some("GET /products/{id}") },
        outcome: Outcome {
            status: 200,
            reason: None,
            bytes_in: 0,
            bytes_out: 1_024,
            cache: None,
            fallback: None,
            socket: None,
        },
        timings: Timings {
            total: Duration::from_micros(1_200),
            gateway: Duration::from_micros(30),
            upstream: Some(Duration::from_micros(1_170)),
        },
        upstream: Some(Answer { upstream: "catalog", endpoint: Some("10.0.0.1:8080"), attempts: 1 }),
        parts: &[],
    }
}

fn counting(c: &mut Criterion) {
    let metrics = Metrics::new(settings(10));
    let mut handles = metrics.handles();
    let (route, upstream) = (handles.route(Some("shop"), "GET /products/{id}"), handles.upstream("catalog"));
    c.bench_function("metrics/route", |b| b.iter(|| route.record(&finished())));
    c.bench_function("metrics/request", |b| {
        b.iter(|| {
            let in_flight = metrics.begin(Worker(0));
            upstream.record(&attempt());
            route.record(&finished());
            drop(in_flight);
        });
    });
}

/// The same while another worker counts all the time, on the same route and on one of its own. The two must be equal:
/// then what the other worker costs is the core it takes (a hyperthread, say), and not cache lines.
fn counting_beside_another(c: &mut Criterion) {
    let metrics = Metrics::new(settings(10));
    let mut handles = metrics.handles();
    let (route, own) = (handles.route(None, "/"), handles.route(None, "/own"));
    for (name, others) in [("the same route", &route), ("its own route", &own)] {
        let busy = AtomicBool::new(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    others.record(&Finished { worker: Worker(1), ..finished() });
                }
            });
            let name = format!("metrics/route beside a worker on {name}");
            c.bench_function(&name, |b| b.iter(|| route.record(&finished())));
            busy.store(false, Ordering::Relaxed);
        });
    }
}

fn rendering(c: &mut Criterion) {
    let metrics = Metrics::new(settings(10_000));
    let mut handles = metrics.handles();
    let routes: Vec<_> = (0..10_000).map(|number| handles.route(None, &format!("GET /route/{number}"))).collect();
    routes.iter().for_each(|route| route.record(&finished()));
    c.bench_function("metrics/render 10,000 used routes", |b| b.iter(|| metrics.render().len()));
}

fn logging(c: &mut Criterion) {
    let id = RequestId::new(TIME, [1, 2]);
    let trace = TraceContext::new([1, 2, 3], Sampling::Sampled);
    let entry = entry(&id, &trace);
    let (redaction, mut clock) = (Redaction::default(), TimeText::new(TimeStyle::Rfc3339));
    let mut line = Vec::with_capacity(4_096);
    c.bench_function("access_log/write_json", |b| {
        b.iter(|| {
            line.clear();
            write_json(black_box(&entry), &redaction, &mut clock, &mut line);
            line.len()
        });
    });

    let settings = AccessLogSettings {
        to: Destination::File("/dev/null".into()),
        shape: Shape::Json,
        redaction: Redaction::default(),
    };
    // Far more than the usual bound: dropping a line is cheap, and would flatter the figure.
    let bounds = AccessLogBounds { workers: 1, bytes_per_worker: 1 << 30 };
    let dropped = Arc::default();
    let log = AccessLog::open(settings, bounds, Arc::clone(&dropped)).expect("/dev/null can be opened");
    log.start().expect("a thread");
    c.bench_function("access_log/record", |b| b.iter(|| log.record(Worker(0), black_box(&entry))));
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

fn names(c: &mut Criterion) {
    c.bench_function("request_id/new", |b| b.iter(|| RequestId::new(black_box(TIME), black_box([1, 2]))));
    let text = TraceContext::new([1, 2, 3], Sampling::Sampled).to_bytes();
    c.bench_function("trace/parse, child, write", |b| {
        b.iter(|| TraceContext::parse(black_box(&text)).map(|context| context.child(black_box(7)).to_bytes()));
    });
}

criterion_group!(benches, counting, counting_beside_another, rendering, logging, names);
criterion_main!(benches);
