//! What a token costs: one that comes again, a fresh one, and the bare check of its signature beside it.
//!
//! `cargo bench --bench jwt`. The provider is asked as a route asks it, on a head that is there already.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use serde_json::json;
use tokens::{Signer, jwks, now};
use tollgate::config::load_str;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::policy::auth::jwks::{Algorithm, Algorithms, Family, KeySet, Signed, read_set};
use tollgate::policy::auth::{Authenticate, Verdict};
use tollgate::request::{Moment, RequestCx, RequestView};
use tollgate::snapshot::{Snapshot, Surroundings, compile};

#[path = "../tests/gateway/support/tokens.rs"]
#[expect(dead_code, reason = "the benchmark uses a part of what tests do")]
#[expect(clippy::panic, reason = "a benchmark that cannot be set up has nothing to measure")]
#[expect(clippy::indexing_slicing, reason = "as above")]
mod tokens;

fn compiled(signer: &Signer, cache: usize) -> Snapshot {
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 10, reasons: &["no-route"] });
    let (fetcher, limits) = (Arc::default(), Arc::default());
    let surroundings = Surroundings {
        previous: None,
        metrics: &metrics,
        fetcher: &fetcher,
        limits: &limits,
        cache: &Default::default(),
        seed: 0,
    };
    let text = format!(
        "listen: :0\nauth: {{ idp: {{ jwt: {{ jwks: {}, issuer: \"https://idp.example\", audience: orders, cache: {cache} }} }} }}\n\
         routes: {{ /: {{ auth: idp, respond: {{}} }} }}\n",
        jwks(&[signer])
    );
    let loaded = load_str("bench.yaml", &text).unwrap_or_else(|failed| unreachable!("{failed}"));
    compile(loaded, &surroundings).unwrap_or_else(|failed| unreachable!("{failed}")).snapshot
}

fn token(signer: &Signer) -> String {
    signer.token(&json!({
        "iss": "https://idp.example", "aud": ["orders", "account"], "sub": "5b2c1f0e-8a3d-4c55-9f0e-0b6a2f7c9d11",
        "exp": now() + 3_600, "iat": now(), "jti": "f3b0c442", "azp": "shop", "scope": "openid email orders:read",
        "email": "alice@shop.example", "realm_access": { "roles": ["user", "buyer"] },
    }))
}

fn tokens_cost(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jwt");
    for alg in ["RS256", "ES256", "EdDSA"] {
        let signer = Signer::new(alg).named("one");
        let token = token(&signer);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a field"));
        let mut cx = RequestCx::new(Moment { started: Instant::now(), wall: SystemTime::now() });
        for (what, cache) in [("again", 100), ("fresh", 0)] {
            let snapshot = compiled(&signer, cache);
            let provider = snapshot.providers.get("idp").expect("the provider");
            let view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
            group.bench_function(format!("{alg} {what}"), |bencher| {
                bencher.iter(|| {
                    let verdict = provider.authenticate(&mut cx, black_box(&view), &snapshot.consumers.load());
                    assert!(matches!(verdict, Verdict::Passed(_)), "{verdict:?}");
                });
            });
        }
        let keys = read_set(jwks(&[&signer]).as_bytes(), Algorithms::of(Family::Public)).expect("keys").keys;
        let (set, algorithm) = (KeySet::new(keys), Algorithm::named(alg).expect("an algorithm"));
        let (message, _) = token.rsplit_once('.').expect("a token");
        let signature = signer.sign(message.as_bytes());
        let signed = Signed { kid: Some("one"), algorithm, message: message.as_bytes(), signature: &signature };
        let key = set.keys().first().expect("a key");
        group.bench_function(format!("{alg} signature alone"), |bencher| {
            bencher.iter(|| assert!(key.verify(algorithm, black_box(signed.message), signed.signature)));
        });
    }
    group.finish();
}

criterion_group!(benches, tokens_cost);
criterion_main!(benches);
