//! What the gateway as a whole costs: compiling a configuration, choosing an endpoint, a route's policies on a head, and
//! one request over real sockets, one after another.
//!
//! `cargo bench --bench gateway`. Beside `scripts/bench`, which loads the built program, these say where a change lies.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Instant, SystemTime};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::HeaderMap;
use tollgate::config::load_str;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::policy::Progress;
use tollgate::request::{Moment, RequestCx, RequestView};
use tollgate::server::{Gateway, Sockets, Source};
use tollgate::snapshot::{Snapshot, Surroundings, compile};
use tollgate::upstream::{Ask, Millis};

const NAME: &str = "bench.yaml";
const LISTEN: &str = "listen: 127.0.0.1:0\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello";
const REQUEST: &[u8] = b"GET /items/7 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

fn compiled(text: &str) -> Snapshot {
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 10_000, reasons: &["no-route"] });
    let fetcher = Arc::default();
    let surroundings = Surroundings {
        previous: None,
        metrics: &metrics,
        fetcher: &fetcher,
        limits: &Default::default(),
        cache: &Default::default(),
        seed: 0,
    };
    let loaded = load_str(NAME, text).unwrap_or_else(|failed| unreachable!("{failed}"));
    compile(loaded, &surroundings).unwrap_or_else(|failed| unreachable!("{failed}")).snapshot
}

/// So many routes to one upstream.
fn routes(count: usize) -> String {
    let routes: String = (0..count).map(|n| format!("  GET /r{n}/{{id}}: {{ to: origin, timeout: 5s }}\n")).collect();
    format!("{LISTEN}upstreams: {{ origin: {{ endpoints: [http://127.0.0.1:9000] }} }}\nroutes:\n{routes}")
}

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("configuration");
    group.sample_size(10);
    for count in [100, 1_000] {
        let text = routes(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::new("read and compile", count), |bencher| {
            bencher.iter(|| compiled(black_box(&text)));
        });
    }
    group.finish();
}

fn balance(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for algorithm in ["round_robin", "random", "least_requests", "peak_ewma", "{ hash: path }"] {
        for count in [2, 100] {
            let endpoints: Vec<String> = (0..count).map(|n| format!("http://127.0.0.1:{}", 9_000 + n)).collect();
            let endpoints = endpoints.join(", ");
            let snapshot = compiled(&format!(
                "{LISTEN}upstreams: {{ origin: {{ endpoints: [{endpoints}], balance: {algorithm} }} }}\nroutes: {{ /: {{ to: origin }} }}"
            ));
            let upstream = snapshot.upstreams.get("origin").expect("the upstream");
            let mut random = 1_u64;
            group.bench_function(BenchmarkId::new(algorithm, count), |bencher| {
                bencher.iter(|| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let ask = Ask { hash: Some(random), tried: &[], now: Millis(7), random, ..Ask::default() };
                    upstream.pick(black_box(&ask)).is_ok()
                });
            });
        }
    }
    group.finish();
}

fn policies(criterion: &mut Criterion) {
    let snapshot = compiled(&routes(1));
    let chain = &snapshot.routes.first().expect("a route").chain;
    let mut headers = HeaderMap::new();
    let moment = Moment { started: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    criterion.bench_function("policies of a plain route", |bencher| {
        bencher.iter(|| {
            let mut cx = RequestCx::new(moment);
            let mut view = RequestView { method: "GET", host: "h", path: "/r0/7", query: None, headers: &mut headers };
            chain.on_request(&mut Progress::default(), black_box(&mut cx), &mut view).is_continue()
        });
    });
}

/// Answers every head that comes in one piece, on as many connections as come.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4_096];
    while stream.read(&mut buffer)? > 0 {
        stream.write_all(ANSWER)?;
    }
    Ok(())
}

fn ask(stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
    stream.write_all(REQUEST).expect("a request sent");
    stream.read(buffer).expect("an answer")
}

fn request(criterion: &mut Criterion) {
    let text = format!(
        "{LISTEN}server: {{ threads: 1 }}\naccess_log: \"off\"\nlimits: {{ requests_per_connection: 1000000000 }}\nroutes: {{ /**: {{ to: http://{} }} }}\n",
        origin()
    );
    let source = Source::Text { name: NAME.to_owned(), text };
    let loaded = source.load().unwrap_or_else(|failed| unreachable!("{failed}"));
    let gateway = Gateway::start(source, loaded, Sockets::default()).unwrap_or_else(|error| unreachable!("{error}"));
    let mut stream = TcpStream::connect(gateway.address("main").expect("a listener")).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = [0; 4_096];
    let length = ask(&mut stream, &mut buffer);
    assert!(
        buffer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(buffer.get(..length).unwrap_or_default())
    );
    criterion.bench_function("request through the gateway", |bencher| {
        bencher.iter(|| ask(&mut stream, &mut buffer));
    });
}

criterion_group!(benches, compiling, balance, policies, request);
criterion_main!(benches);
