//! What a request pays for being looked up among kept answers, few and a million, what one more of them costs when there is
//! no room left, and what reading one costs: of 100 KB, and of 20 KB in gzip, coded anew and kept so.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, header};
use pingora_cache::trace::Span;
use pingora_cache::{CacheKey, CacheMeta};
use pingora_http::ResponseHeader;
use tollgate::cache::{Asked, Authority, Cache, CacheConfig, Facts, Found, Hit, Look, Meaning, Place, Plan};
use tollgate::policy::coding::{Coding, Encoder, Levels, Then};
use tollgate::request::{Moment, RequestCx, Scheme};
use tollgate::value::Problems;

const COUNTS: [u32; 2] = [1_000, 1_000_000];
const BODY: usize = 1_024;

/// A cache with so much memory, and what fills it.
struct Kept {
    cache: Cache,
    plan: Arc<Plan>,
    cx: RequestCx,
    headers: HeaderMap,
    runtime: tokio::runtime::Runtime,
}

impl Kept {
    fn new(memory: u64) -> Self {
        let cache = Cache::default();
        cache.furnish(memory, None).expect("memory alone");
        let (mut problems, mut headers) = (Problems::new(), HeaderMap::new());
        let meaning = Meaning { api: "shop", route: "/products/**", upstream: "products" };
        let plan = Arc::new(Plan::compile(&CacheConfig::default(), meaning, &mut problems));
        let cx = RequestCx::new(Moment { started: Instant::now(), wall: SystemTime::now() });
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { cache, plan, cx, headers, runtime }
    }

    /// The key of a request, made as for each request.
    fn key(&self, number: u32) -> Vec<u8> {
        let path = format!("/products/{number}");
        let place =
            Place { scheme: Scheme::Http, authority: Authority("shop.example"), path: &path, query: Some("page=2") };
        self.plan.key(&place, &self.cx, &self.headers)
    }

    /// A request for one of them, as Pingora has it.
    fn asked(&self, number: u32) -> CacheKey {
        let (store, now) = (self.cache.store(), SystemTime::now());
        let found = Found { object: None, request: &self.headers, epoch: store.epoch() };
        let asked = Arc::new(Asked::new(Arc::clone(&self.plan), store.key(self.key(number)), now, found));
        let mut key = CacheKey::new(Vec::new(), String::new());
        key.extensions.insert(asked);
        key
    }

    /// Takes an answer in as it comes from an upstream.
    fn put(&self, number: u32, body: &Bytes) {
        let (key, now) = (self.asked(number), SystemTime::now());
        let mut head = ResponseHeader::build(200, None).expect("a head");
        head.insert_header(header::CONTENT_TYPE, "application/json").expect("a field");
        head.insert_header(header::CONTENT_LENGTH, body.len()).expect("a field");
        let mut meta = CacheMeta::new(now + Duration::from_secs(3_600), now, 0, 0, head);
        meta.extensions_mut().insert(Arc::new(Facts::default()));
        let (storage, _) = self.cache.for_pingora();
        self.runtime.block_on(async {
            let span = Span::inactive();
            let mut filling = storage.get_miss_handler(&key, &meta, &span.handle()).await.expect("a handler");
            filling.write_body(body.clone(), true).await.expect("a body");
            filling.finish().await.expect("an end");
        });
    }
}

impl Kept {
    /// Reads one of them to its end, in gzip where that is wanted; answers with its length.
    fn read(&self, number: u32, gzipped: bool) -> usize {
        let (storage, _) = self.cache.for_pingora();
        let key = self.asked(number);
        self.runtime.block_on(async {
            let span = Span::inactive();
            let found = storage.lookup(&key, &span.handle()).await.expect("a store");
            let (_, mut hit) = found.expect("an answer");
            if gzipped {
                let own = hit.as_any_mut().downcast_mut::<Hit>().expect("a hit of this cache");
                own.recode(("gzip", LEVELS.gzip), |whole| Ok::<_, std::io::Error>(gzip(&whole))).expect("gzip");
            }
            let mut length = 0;
            while let Some(piece) = hit.read_body().await.expect("a body") {
                length += black_box(piece).len();
            }
            length
        })
    }
}

const LEVELS: Levels = Levels { gzip: 4, brotli: 4, zstd: 3 };

fn gzip(whole: &Bytes) -> Bytes {
    let mut encoder = Encoder::new(Coding::Gzip, LEVELS).expect("an encoder");
    encoder.piece(whole, Then::End).expect("gzip")
}

/// What this process has in memory, bytes; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache, reading");
    let kept = Kept::new(1 << 30);
    let long = Bytes::from(vec![b'x'; 100_000]);
    let json: String = (0..480).map(|n| format!("{{\"id\":{n},\"name\":\"product {n}\",\"n\":{}}}", n * 7)).collect();
    let json = Bytes::from(json);
    kept.put(1, &long);
    kept.put(2, &json);
    group.bench_function("100 KB", |bencher| bencher.iter(|| assert_eq!(kept.read(1, false), long.len())));
    group.bench_function(format!("{} bytes", json.len()), |bencher| bencher.iter(|| kept.read(2, false)));
    group.bench_function("the same, gzip made anew", |bencher| bencher.iter(|| gzip(black_box(&json)).len()));
    group.bench_function("the same, kept gzip", |bencher| bencher.iter(|| kept.read(2, true)));
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cache");
    let body = Bytes::from(vec![b'x'; BODY]);
    for count in COUNTS {
        let (kept, before) = (Kept::new(16 << 30), resident());
        (0..count).for_each(|number| kept.put(number, &Bytes::copy_from_slice(&body)));
        let holdings = kept.cache.holdings();
        assert_eq!(holdings.objects, u64::from(count));
        let taken = resident().saturating_sub(before) as f64;
        println!(
            "{count} objects: counted {} bytes, {:.2} times that in memory",
            holdings.bytes,
            taken / holdings.bytes as f64
        );
        let mut number = 0_u32;
        group.bench_with_input(BenchmarkId::new("hit", count), &count, |bencher, count| {
            bencher.iter(|| {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let key = kept.cache.store().key(kept.key((number >> 8) % count));
                let found = kept.cache.store().get(&key, black_box(&kept.headers));
                assert!(matches!(found, Look::Found(_)));
            });
        });
        group.bench_with_input(BenchmarkId::new("miss", count), &count, |bencher, count| {
            bencher.iter(|| {
                number = number.wrapping_add(1);
                let key = kept.cache.store().key(kept.key(count + number % 1_000_000));
                black_box(kept.cache.store().get(&key, black_box(&kept.headers)))
            });
        });
    }
    let full = Kept::new(64 << 20);
    (0..60_000).for_each(|number| full.put(number, &Bytes::copy_from_slice(&body)));
    let mut number = 60_000_u32;
    group.bench_function("one more, full", |bencher| {
        bencher.iter(|| {
            number = number.wrapping_add(1);
            full.put(number, &Bytes::copy_from_slice(&body));
        });
    });
    group.finish();
}

criterion_group! {
    name = cache;
    config = Criterion::default().sample_size(20);
    targets = reading, look_up
}
criterion_main!(cache);
