//! What a request pays for being allowed: who it is by its certificate, and each kind of rule over a caller that is known.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue};
use tollgate::config::load_str;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::policy::Progress;
use tollgate::request::{Caller, ClientCertificate, Moment, RequestCx, RequestView};
use tollgate::snapshot::{Snapshot, Surroundings, compile};

/// A route with this rule, or with none.
fn compiled(auth: &str, allow: &str) -> Snapshot {
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
        "listen: 127.0.0.1:0\nauth: {{ partners: {{ mtls: {{}} }} }}\nconsumers: {{ acme: {{ groups: [partners] }} }}\n\
         routes: {{ /: {{ body_limit: off, auth: {auth}, allow: {allow}, respond: {{}} }} }}\n"
    );
    let loaded = load_str("bench.yaml", &text).unwrap_or_else(|failed| unreachable!("{failed}"));
    compile(loaded, &surroundings).unwrap_or_else(|failed| unreachable!("{failed}")).snapshot
}

fn caller() -> Arc<Caller> {
    let claims =
        serde_json::json!({ "tenant": { "id": "t1" }, "roles": ["reader", "writer"], "level": 7, "sub": "acme" });
    Arc::new(Caller {
        id: "acme".into(),
        groups: ["staff".into(), "partners".into()].into(),
        scopes: ["openid".into(), "orders:read".into(), "orders:write".into()].into(),
        claims,
        ..Caller::default()
    })
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "shop.example"),
        ("user-agent", "bench/1.0"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip, br"),
        ("content-type", "application/json"),
        ("x-tenant", "t1"),
    ] {
        headers.append(name, HeaderValue::from_static(value));
    }
    headers
}

fn rules(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("allow");
    let (caller, mut headers) = (caller(), headers());
    let moment = Moment { started: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    for (name, rule) in [
        ("nothing", "off"),
        ("scope", "{ scope: orders:read }"),
        ("group", "{ group: partners }"),
        ("claim", "{ claim: { tenant.id: t1 } }"),
        ("tree", "{ any: [{ group: admins }, { all: [{ scope: orders:read }, { not: { group: blocked } }] }] }"),
        ("cel, method", "{ when: \"request.method == 'GET'\" }"),
        ("cel, caller", "{ when: \"'partners' in caller.groups\" }"),
        ("cel, header and claim", "{ when: \"request.headers['x-tenant'] == claims.tenant.id\" }"),
        ("cel, all headers", "{ when: \"request.headers.exists(name, name == 'x-tenant')\" }"),
        ("cel, pattern", "{ when: \"request.path.matches('^/[a-z]+/[0-9]+$')\" }"),
    ] {
        let snapshot = compiled("{ any: partners, anonymous: true }", rule);
        let chain = &snapshot.routes.first().expect("a route").chain;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut cx = RequestCx::new(moment);
                cx.identity.caller = Some(Arc::clone(&caller));
                let mut view = RequestView {
                    method: "GET",
                    host: "shop.example",
                    path: "/orders/7",
                    query: None,
                    headers: &mut headers,
                };
                assert!(chain.on_request(&mut Progress::default(), black_box(&mut cx), &mut view).is_continue());
            });
        });
    }
    group.finish();
}

fn certificates(criterion: &mut Criterion) {
    let snapshot = compiled("partners", "off");
    let chain = &snapshot.routes.first().expect("a route").chain;
    let certificate = Arc::new(ClientCertificate {
        common_name: Some("acme".into()),
        fingerprint: "ab".repeat(32).into(),
        expires: Some(u64::MAX),
        ..ClientCertificate::default()
    });
    let moment = Moment { started: Instant::now(), wall: SystemTime::UNIX_EPOCH };
    criterion.bench_function("mtls, a caller known from before", |bencher| {
        bencher.iter(|| {
            let mut cx = RequestCx::new(moment);
            cx.identity.certificate = Some(Arc::clone(&certificate));
            let mut headers = HeaderMap::new();
            let mut view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
            assert!(chain.on_request(&mut Progress::default(), black_box(&mut cx), &mut view).is_continue());
        });
    });
}

fn compiling(criterion: &mut Criterion) {
    let expression =
        "{ when: \"request.method in ['GET', 'HEAD'] && (claims.level > 6 || 'staff' in caller.groups)\" }";
    criterion.bench_function("a configuration with an expression, compiled", |bencher| {
        bencher.iter(|| compiled("partners", black_box(expression)).routes.len());
    });
}

criterion_group!(benches, rules, certificates, compiling);
criterion_main!(benches);
