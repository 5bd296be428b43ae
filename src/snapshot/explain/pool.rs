//! An upstream in words.

use crate::upstream::{Balance, CheckKind, EjectionSpec, HashOn, OverloadSpec, UpstreamSpec};
use std::fmt::Write as _;

/// The endpoints of an upstream, and how they are chosen and checked.
pub(super) fn pool(spec: &UpstreamSpec) -> String {
    let endpoints = spec.endpoints.iter().map(|endpoint| {
        let weight = Some(endpoint.weight.get()).filter(|weight| *weight != 1).map(|weight| format!("weight {weight}"));
        let told = weight.into_iter().chain(endpoint.labels.iter().map(|(name, value)| format!("{name}={value}")));
        match told.collect::<Vec<_>>().join(", ") {
            told if told.is_empty() => endpoint.label.clone(),
            told => format!("{} ({told})", endpoint.label),
        }
    });
    let mut text = endpoints.collect::<Vec<_>>().join(", ");
    let balance = match &spec.balance {
        Balance::RoundRobin => String::new(),
        Balance::Random => "random".to_owned(),
        Balance::LeastRequests => "least_requests".to_owned(),
        Balance::PeakEwma => "peak_ewma".to_owned(),
        Balance::Hash(HashOn::Client) => "hash of the client".to_owned(),
        Balance::Hash(HashOn::Path) => "hash of the path".to_owned(),
        Balance::Hash(HashOn::Header(name)) => format!("hash of header {name}"),
        Balance::Hash(HashOn::Cookie(name)) => format!("hash of cookie {name}"),
    };
    let checked = spec.health.as_ref().map(|health| match &health.kind {
        CheckKind::Http { path, .. } => format!("GET {path} every {:?}", health.interval),
        CheckKind::Grpc { service } if service.is_empty() => format!("gRPC health every {:?}", health.interval),
        CheckKind::Grpc { service } => format!("gRPC health of {service} every {:?}", health.interval),
        CheckKind::Tcp => format!("connected to every {:?}", health.interval),
    });
    let overload = match &spec.overload {
        None => "no overload control".to_owned(),
        Some(usual) if *usual == OverloadSpec::USUAL => String::new(),
        Some(own) => format!("overload control from {} waiting and {} times the latency", own.at_least, own.tolerance),
    };
    let breaker = match (&spec.breaker, &spec.endpoint_breaker) {
        (None, None) => String::new(),
        (Some(breaker), _) => format!("breaker at {}%", breaker.open_at * 100.0),
        (None, Some(breaker)) => format!("a breaker for each endpoint at {}%", breaker.open_at * 100.0),
    };
    let warming = spec.slow_start.map(|span| format!("slow start over {span:?}")).unwrap_or_default();
    let zone = spec.zone.as_ref().map(|zone| format!("zone {} preferred", zone.own)).unwrap_or_default();
    let affinity = spec.affinity.as_ref().map(|own| format!("affinity by cookie {}", own.cookie)).unwrap_or_default();
    let zone = if zone.is_empty() { zone } else { format!("{zone}{}", spill(spec)) };
    let ejection = match &spec.ejection {
        None => "no ejection".to_owned(),
        Some(usual) if *usual == EjectionSpec::USUAL => String::new(),
        Some(own) => format!("ejection after {} failures, for {:?}", own.after, own.base),
    };
    let most = spec.max_in_flight.map(|most| format!("at most {most} in flight")).unwrap_or_default();
    let panic = Some(spec.panic_threshold * 100.0).filter(|share| (share - 50.0).abs() > 0.01);
    let panic = panic.map(|share| format!("all used with less than {share}% of them well")).unwrap_or_default();
    let checked = checked.unwrap_or_default();
    let parts = [balance, affinity, checked, ejection, panic, most, overload, breaker, warming, zone];
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let _ = write!(text, "; {part}");
    }
    text
}

/// When others take part beside the endpoints of the preferred zone.
fn spill(spec: &UpstreamSpec) -> String {
    let below = spec.zone.as_ref().map(|zone| zone.spill_below * 100.0);
    below.map(|below| format!(", others below {below}% of it well")).unwrap_or_default()
}
