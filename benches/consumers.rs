//! What a million keys cost: loading them, keeping them, finding one.
//!
//! `cargo bench --bench consumers` (a number after `--` for another count). It writes a file of `consumers_from:` with one
//! key a line, compiles a configuration that names it, and prints the time, the growth of the resident set, and what a
//! look-up takes: of the digest alone, and of a whole request by `api_key`, with keys far apart in turn so that the tables
//! are cold. Times are of the processor, so that neighbours on the machine count for little; loading is shown by the clock
//! too. It fails over the budgets: 3 s, 250 bytes a key, 1 µs a look-up.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate::consumer::KeyDigest;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::policy::auth::{Authenticate, Verdict};
use tollgate::reply::Reason;
use tollgate::request::{Moment, RequestCx, RequestView};
use tollgate::snapshot::{Compiled, Surroundings, compile};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COUNT: usize = 1_000_000;
const LOOKUPS: usize = 1_000_000;
/// Coprime to the counts: consecutive look-ups are far apart.
const STRIDE: usize = 786_433;

fn main() {
    let count = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(COUNT);
    let folder = tempfile::tempdir().expect("a folder");
    let mut lines = String::with_capacity(count * 120);
    for number in 0..count {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key(number).as_bytes());
        let _ = write!(lines, "consumer-{number:08},sha256:");
        for byte in digest.as_ref() {
            let _ = write!(lines, "{byte:02x}");
        }
        lines.push_str(",partners,gold\n");
    }
    std::fs::write(folder.path().join("keys.csv"), lines).expect("a file of keys");
    let path = folder.path().join("gateway.yaml");
    let text = "listen: 127.0.0.1:0\nauth: { keys: { api_key: {} } }\nconsumers_from: keys.csv\n\
                routes: { /: { respond: {}, auth: keys } }\n";
    std::fs::write(&path, text).expect("a configuration");
    let (before, began, clock) = (resident(), spent(), Instant::now());
    let compiled = compiled(&path);
    let (loading, clock) = (spent() - began, clock.elapsed());
    let each = (resident().saturating_sub(before)) as f64 / count as f64;
    println!("{count} keys: loaded in {loading:.2?} ({clock:.2?} by the clock), {each:.0} bytes each");
    let found = look_up(&compiled, count);
    println!("look-up of a key, digest included: {found:.0?}");
    let asked = authenticate(&compiled, count, count);
    let again = authenticate(&compiled, count, 1_000);
    println!("api_key of a whole request: {asked:.0?} with {count} keys in turn, {again:.0?} with 1000");
    let within = loading < Duration::from_secs(3) && each < 250.0 && found < Duration::from_micros(1);
    assert!(within || count != COUNT, "over the budget: 3 s, 250 bytes, 1 µs");
}

fn key(number: usize) -> String {
    format!("key-of-a-consumer-{number:012}")
}

fn compiled(path: &std::path::Path) -> Compiled {
    let settings = MetricsSettings { workers: 1, max_routes: MetricsSettings::MAX_ROUTES, reasons: Reason::SLUGS };
    let metrics = Metrics::new(settings);
    let (fetcher, limits) = Default::default();
    let surroundings = Surroundings {
        previous: None,
        metrics: &metrics,
        fetcher: &fetcher,
        limits: &limits,
        cache: &Default::default(),
        seed: 0,
    };
    let loaded = tollgate::config::read(path).expect("a configuration");
    compile(loaded, &surroundings).expect("a sound configuration")
}

fn look_up(compiled: &Compiled, count: usize) -> Duration {
    let keys: Vec<String> = (0..LOOKUPS).map(|number| key(number * STRIDE % count)).collect();
    let consumers = compiled.snapshot.consumers.load();
    let began = spent();
    for key in &keys {
        assert!(black_box(consumers.credential(&KeyDigest::of(key.as_bytes()))).is_some());
    }
    (spent() - began) / LOOKUPS as u32
}

/// With that many of the keys in turn.
fn authenticate(compiled: &Compiled, count: usize, used: usize) -> Duration {
    let name = HeaderName::from_static("x-api-key");
    let values: Vec<HeaderValue> = (0..LOOKUPS)
        .map(|number| HeaderValue::try_from(key(number % used * STRIDE % count)).expect("a value"))
        .collect();
    let provider = compiled.snapshot.providers.get("keys").expect("the provider");
    let mut cx = RequestCx::new(Moment { started: Instant::now(), wall: SystemTime::now() });
    let mut headers = HeaderMap::new();
    let began = spent();
    for value in values {
        headers.insert(&name, value);
        let view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
        let consumers = compiled.snapshot.consumers.load();
        let verdict = provider.authenticate(&mut cx, &view, &consumers);
        assert!(matches!(black_box(verdict), Verdict::Passed(_)));
    }
    (spent() - began) / LOOKUPS as u32
}

/// What this thread has had of a processor.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("a number"))
}

/// The resident set of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
    pages * 4096
}
