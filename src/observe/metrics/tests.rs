//! The exposition read back strictly, and what it says of what was counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

use super::*;

const REASONS: &[&str] = &["no-route", "rate-limited"];

fn metrics() -> Metrics {
    Metrics::new(MetricsSettings { workers: 2, max_routes: 3, reasons: REASONS })
}

fn finished(worker: usize, status: u16) -> Finished {
    Finished {
        worker: Worker(worker),
        method: Method::Get,
        status,
        duration: Duration::from_millis(3),
        gateway: Duration::from_micros(70),
        bytes_in: 10,
        bytes_out: 100,
        refusal: None,
    }
}

/// A parsed exposition: samples by their name and sorted labels.
#[derive(Debug, Default)]
struct Exposition(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Exposition {
    /// The value of a sample written `name{label="value",…}`, in any order of labels.
    fn value(&self, sample: &str) -> Option<f64> {
        let (name, labels, rest) = parse_name(sample);
        assert_eq!(rest, "");
        self.0.get(&(name, labels)).copied()
    }

    fn series(&self, name: &str) -> usize {
        self.0.keys().filter(|(other, _)| other == name).count()
    }

    /// Reads an exposition and checks all that the format demands.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut samples = Self::default();
        let mut seen = BTreeSet::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let (name, help) = line.strip_prefix("# HELP ").expect("a HELP line").split_once(' ').expect("a help text");
            assert!(!help.is_empty() && seen.insert(name.to_owned()), "{name} twice");
            let kind =
                lines.next().and_then(|line| line.strip_prefix(&format!("# TYPE {name} "))).expect("a TYPE line");
            assert!(["counter", "gauge", "histogram"].contains(&kind));
            let mut own = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
                let (sample, labels, value) = parse_name(line);
                let value = value.strip_prefix(' ').expect("a blank before the value").parse().expect("a number");
                own.push((sample, labels, value));
            }
            assert!(!own.is_empty(), "{name} has no samples");
            match kind {
                "histogram" => check_histogram(name, &own),
                _ => assert!(own.iter().all(|(sample, ..)| sample == name)),
            }
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            for (sample, labels, value) in own {
                assert_eq!(samples.0.insert((sample.clone(), labels.clone()), value), None, "{sample}{labels:?} twice");
            }
        }
        samples
    }
}

/// The name and labels at the beginning of a line, and the rest of it.
fn parse_name(line: &str) -> (String, BTreeMap<String, String>, &str) {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    assert!(!name.is_empty());
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(label.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !label.is_empty(), "{label}");
            let (value, after) = parse_value(after);
            assert_eq!(labels.insert(label.to_owned(), value), None, "label {label} twice");
            if let Some(after) = after.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = after.strip_prefix(',').expect("a comma");
        }
    }
    (name.to_owned(), labels, rest)
}

fn parse_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next().expect("a closing quote") {
            '"' => return (value, characters.as_str()),
            '\\' => value.push(match characters.next() {
                Some('n') => '\n',
                Some(escaped @ ('\\' | '"')) => escaped,
                other => panic!("escape {other:?}"),
            }),
            other => value.push(other),
        }
    }
}

/// Buckets rise, end with `+Inf`, and agree with the count; every histogram has a sum.
fn check_histogram(name: &str, samples: &[(String, BTreeMap<String, String>, f64)]) {
    let mut rest = samples;
    while let Some((_, first, _)) = rest.first() {
        let mut labels = first.clone();
        labels.remove("le");
        let buckets = rest.iter().take_while(|(sample, ..)| *sample == format!("{name}_bucket")).count();
        let (own, others) = rest.split_at(buckets + 2);
        let bounds: Vec<f64> = own[..buckets].iter().map(|(_, labels, _)| labels["le"].parse().unwrap()).collect();
        assert!(bounds.is_sorted_by(|a, b| a < b) && bounds.last() == Some(&f64::INFINITY));
        assert!(own[..buckets].is_sorted_by(|(.., a), (.., b)| a <= b));
        let [(sum, sum_labels, _), (count, count_labels, total)] = &own[buckets..] else { panic!() };
        assert_eq!((sum, count), (&format!("{name}_sum"), &format!("{name}_count")));
        assert_eq!((sum_labels, count_labels, *total), (&labels, &labels, own[buckets - 1].2));
        rest = others;
    }
}

#[test]
fn counts_of_all_workers_are_added_up() {
    let metrics = metrics();
    let route = metrics.handles().route(Some("shop"), "GET /products/{id}");
    for worker in [0, 1, 1, 7] {
        route.record(&finished(worker, 200));
    }
    route.record(&Finished { method: Method::Other, refusal: Some(ReasonIndex(1)), ..finished(1, 429) });
    let text = Exposition::parse(&metrics.render());
    let get = |sample: &str| text.value(sample);
    let requests = r#"tollgate_requests_total{api="shop",route="GET /products/{id}",method="GET",status="200"}"#;
    assert_eq!(get(requests), Some(4.0));
    let other = r#"tollgate_requests_total{api="shop",route="GET /products/{id}",method="other",status="429"}"#;
    assert_eq!(get(other), Some(1.0));
    assert_eq!(text.series("tollgate_requests_total"), 2);
    let name = |family: &str| format!(r#"{family}{{route="GET /products/{{id}}"}}"#);
    assert_eq!(get(&name("tollgate_request_bytes_total")), Some(50.0));
    assert_eq!(get(&name("tollgate_response_bytes_total")), Some(500.0));
    assert_eq!(get(&name("tollgate_request_duration_seconds_count")), Some(5.0));
    assert_eq!(get(&name("tollgate_request_duration_seconds_sum")), Some(0.015));
    assert_eq!(get(&name("tollgate_gateway_duration_seconds_sum")), Some(0.00035));
    let refusals = r#"tollgate_refusals_total{route="GET /products/{id}",reason="rate-limited"}"#;
    assert_eq!((get(refusals), text.series("tollgate_refusals_total")), (Some(1.0), 1));
}

#[test]
fn every_duration_falls_into_its_bucket() {
    let metrics = metrics();
    let route = metrics.handles().route(None, "/");
    for millis in [1, 3, 31_000] {
        route.record(&Finished { duration: Duration::from_millis(millis), ..finished(0, 200) });
    }
    let text = Exposition::parse(&metrics.render());
    for (bound, count) in [("0.0005", 0.0), ("0.001", 1.0), ("0.0025", 1.0), ("0.005", 2.0), ("30", 2.0), ("+Inf", 3.0)]
    {
        let sample = format!(r#"tollgate_request_duration_seconds_bucket{{route="/",le="{bound}"}}"#);
        assert_eq!(text.value(&sample), Some(count), "{bound}");
    }
}

#[test]
fn hostile_names_stay_inside_their_quotes() {
    let metrics = metrics();
    let key = "~^/\\d+\"}\n# TYPE evil counter\nevil 1\n{\u{1F600}";
    let route = metrics.handles().route(None, key);
    route.record(&finished(0, 200));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.series("evil"), 0);
    assert!(text.0.keys().any(|(_, labels)| labels.get("route").is_some_and(|route| route == key)));
}

#[test]
fn counters_go_on_over_a_reload_and_end_with_the_last_snapshot() {
    let metrics = metrics();
    let old = metrics.handles().route(None, "/a");
    old.record(&finished(0, 200));
    let new = metrics.handles().route(None, "/a");
    drop(old);
    new.record(&finished(1, 200));
    let sample = r#"tollgate_requests_total{api="",route="/a",method="GET",status="200"}"#;
    assert_eq!(Exposition::parse(&metrics.render()).value(sample), Some(2.0));
    drop(new);
    assert_eq!(Exposition::parse(&metrics.render()).value(sample), None);
}

#[test]
fn routes_beyond_the_bound_share_a_series() {
    let metrics = metrics();
    let mut handles = metrics.handles();
    let routes: Vec<_> = ["/a", "/b", "/a", "/c", "/d", "/e"].map(|key| handles.route(None, key)).into();
    routes.iter().for_each(|route| route.record(&finished(0, 200)));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.series("tollgate_requests_total"), 4);
    let other = r#"tollgate_requests_total{api="",route="other",method="GET",status="200"}"#;
    assert_eq!(text.value(other), Some(2.0));
}

#[test]
fn a_reload_that_renames_every_route_leaves_none_in_other() {
    let metrics = metrics();
    let mut handles = metrics.handles();
    let old = ["/a", "/b", "/c"].map(|key| handles.route(None, key));
    let mut handles = metrics.handles();
    let new = ["/d", "/e", "/f"].map(|key| handles.route(None, key));
    old.iter().chain(&new).for_each(|route| route.record(&finished(0, 200)));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.value(r#"tollgate_requests_total{api="",route="other",method="GET",status="200"}"#), None);
}

#[test]
fn one_key_in_two_apis_is_one_series_where_the_api_is_no_label() {
    let metrics = metrics();
    let mut handles = metrics.handles();
    let routes = [handles.route(Some("blog"), "/"), handles.route(Some("shop"), "/")];
    routes.iter().for_each(|route| route.record(&finished(0, 200)));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.series("tollgate_requests_total"), 2);
    assert_eq!(text.value(r#"tollgate_request_duration_seconds_count{route="/"}"#), Some(2.0));
    assert_eq!(text.value(r#"tollgate_request_bytes_total{route="/"}"#), Some(20.0));
}

#[test]
fn unknown_statuses_and_reasons_count_as_other() {
    let metrics = metrics();
    for status in [0, 299, 600, u16::MAX] {
        metrics.unrouted().record(&Finished { refusal: Some(ReasonIndex(200)), ..finished(0, status) });
    }
    let text = Exposition::parse(&metrics.render());
    let sample = r#"tollgate_requests_total{api="",route="none",method="GET",status="other"}"#;
    assert_eq!(text.value(sample), Some(4.0));
    assert_eq!(text.value(r#"tollgate_refusals_total{route="none",reason="other"}"#), Some(4.0));
}

#[test]
fn attempts_are_counted_by_outcome_and_connection() {
    let metrics = metrics();
    let upstream = metrics.handles().upstream("orders");
    let answered = FinishedAttempt {
        worker: Worker(0),
        outcome: AttemptOutcome::Answered,
        connection: Some(ConnectionKind::Reused),
        duration: Duration::from_millis(2),
    };
    upstream.record(&answered);
    upstream.record(&FinishedAttempt { worker: Worker(1), connection: Some(ConnectionKind::New), ..answered });
    upstream.record(&FinishedAttempt { outcome: AttemptOutcome::Refused, connection: None, ..answered });
    let text = Exposition::parse(&metrics.render());
    let attempts =
        |outcome| text.value(&format!(r#"tollgate_upstream_attempts_total{{upstream="orders",outcome="{outcome}"}}"#));
    assert_eq!((attempts("answered"), attempts("refused"), attempts("timeout")), (Some(2.0), Some(1.0), Some(0.0)));
    let connections =
        |kind| text.value(&format!(r#"tollgate_upstream_connections_total{{upstream="orders",kind="{kind}"}}"#));
    assert_eq!((connections("new"), connections("reused")), (Some(1.0), Some(1.0)));
    assert_eq!(text.value(r#"tollgate_upstream_duration_seconds_sum{upstream="orders"}"#), Some(0.006));
}

#[test]
fn connections_are_open_until_dropped() {
    let metrics = metrics();
    let listener = metrics.listener("secure");
    listener.accepted();
    listener.accepted();
    listener.refused(ConnectionRefusal::Tls);
    let mut connection = listener.open(Protocol::Http1);
    connection.becomes(Protocol::WebSocket);
    let open = |protocol: &str| {
        let sample = format!(r#"tollgate_connections{{listener="secure",protocol="{protocol}"}}"#);
        Exposition::parse(&metrics.render()).value(&sample)
    };
    assert_eq!((open("h1"), open("websocket")), (Some(0.0), Some(1.0)));
    drop(connection);
    assert_eq!(open("websocket"), Some(0.0));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.value(r#"tollgate_connections_total{listener="secure"}"#), Some(2.0));
    assert_eq!(text.value(r#"tollgate_connections_refused_total{listener="secure",reason="tls"}"#), Some(1.0));
}

#[test]
fn a_request_is_in_flight_until_it_ends_in_any_way() {
    let metrics = metrics();
    let requests = [metrics.begin(Worker(0)), metrics.begin(Worker(1)), metrics.begin(Worker(9))];
    assert_eq!(metrics.in_flight(), 3);
    drop(requests);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _request = metrics.begin(Worker(0));
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(metrics.in_flight(), 0);
}

#[test]
fn the_result_of_the_last_reload_is_shown() {
    let metrics = metrics();
    metrics.reload_succeeded(3, UNIX_EPOCH + Duration::from_secs(1_000));
    metrics.reload_failed(UNIX_EPOCH + Duration::from_secs(2_000));
    let text = Exposition::parse(&metrics.render());
    assert_eq!(text.value("tollgate_config_revision"), Some(3.0));
    assert_eq!(text.value("tollgate_config_last_reload_success"), Some(0.0));
    assert_eq!(text.value("tollgate_config_last_reload_timestamp_seconds"), Some(2_000.0));
}

#[test]
fn endpoints_and_certificates_are_shown_once_each() {
    let metrics = metrics();
    let state = EndpointState {
        upstream: "orders",
        endpoint: "10.0.0.1:8080",
        health: Health::Healthy,
        ejection: Ejection::Ejected,
    };
    metrics.set_endpoint_source(Box::new(move |sink| {
        sink.endpoint(state);
        sink.endpoint(EndpointState { health: Health::Unhealthy, ..state });
    }));
    let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    metrics.set_certificates([("shop", at(9)), ("shop", at(5))]);
    let text = Exposition::parse(&metrics.render());
    let endpoint = r#"{upstream="orders",endpoint="10.0.0.1:8080"}"#;
    assert_eq!(text.value(&format!("tollgate_endpoint_healthy{endpoint}")), Some(1.0));
    assert_eq!(text.value(&format!("tollgate_endpoint_ejected{endpoint}")), Some(1.0));
    assert_eq!(text.value(r#"tollgate_certificate_expiry_timestamp_seconds{name="shop"}"#), Some(5.0));
}

#[test]
fn the_process_and_the_build_are_shown() {
    let metrics = metrics();
    metrics.access_log_dropped().fetch_add(5, Ordering::Relaxed);
    let text = Exposition::parse(&metrics.render());
    assert!(text.value("process_resident_memory_bytes").is_some_and(|bytes| bytes > 0.0));
    assert_eq!(text.value(&format!(r#"tollgate_build_info{{version="{}"}}"#, env!("CARGO_PKG_VERSION"))), Some(1.0));
    assert_eq!(text.value("tollgate_access_log_dropped_total"), Some(5.0));
}

#[test]
fn workers_that_count_at_once_lose_nothing() {
    let metrics = metrics();
    let route = metrics.handles().route(None, "/");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let route = &route;
            scope.spawn(move || (0..1_000).for_each(|_| route.record(&finished(thread, 200))));
        }
        for _ in 0..5 {
            Exposition::parse(&metrics.render());
        }
    });
    let sample = r#"tollgate_requests_total{api="",route="/",method="GET",status="200"}"#;
    assert_eq!(Exposition::parse(&metrics.render()).value(sample), Some(4_000.0));
}
