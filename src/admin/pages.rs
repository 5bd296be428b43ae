//! The pages of the admin API.

use super::{AdminPowers, Readiness};
use crate::snapshot::{self, ReloadReport, Shared, explain_request, usage_page};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

fn page(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Vec<u8>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let length = response.body().len();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page of plain text.
pub fn text(status: StatusCode, body: &str) -> Response<Vec<u8>> {
    page(status, "text/plain; charset=utf-8", body.as_bytes().to_vec())
}

/// A page of JSON.
pub fn json(status: StatusCode, value: &Value) -> Response<Vec<u8>> {
    let mut body = serde_json::to_vec_pretty(value).unwrap_or_default();
    body.push(b'\n');
    page(status, "application/json", body)
}

/// Whether requests should come; with the last reload, which may have been refused though all is well.
pub fn ready(powers: &dyn AdminPowers) -> Response<Vec<u8>> {
    let reload = powers.last_reload().map(|report| describe(&report));
    match powers.readiness() {
        Readiness::Ready => json(StatusCode::OK, &json!({ "ready": true, "config": reload })),
        Readiness::NotReady(why) => {
            json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ready": false, "why": why, "config": reload }))
        }
    }
}

/// What came of a reload.
pub fn reload(report: Option<ReloadReport>) -> Response<Vec<u8>> {
    let Some(report) = report else { return text(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping\n") };
    let status = if report.refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    json(status, &describe(&report))
}

fn describe(report: &ReloadReport) -> Value {
    let at = report.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    json!({
        "revision": report.revision,
        "loaded": report.refused.is_none(),
        "at": at,
        "problems": report.refused,
        "needs_restart": report.needs_restart,
    })
}

/// The exposition of all metrics (text format 0.0.4).
pub fn metrics(shared: &Shared) -> Response<Vec<u8>> {
    page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", shared.metrics.render().into_bytes())
}

/// The configuration in its long form.
pub fn config(shared: &Shared) -> Response<Vec<u8>> {
    json(StatusCode::OK, &shared.store.load().written)
}

/// The state of all endpoints.
pub fn upstreams(shared: &Shared) -> Response<Vec<u8>> {
    let now = shared.clock.now();
    let snapshot = shared.store.load();
    let all: Vec<_> = snapshot.upstreams.values().map(|upstream| upstream.status(now)).collect();
    json(StatusCode::OK, &serde_json::to_value(all).unwrap_or(Value::Null))
}

/// What gateways share, and how that stands; `null` where this one shares nothing.
pub fn shared(shared: &Shared) -> Response<Vec<u8>> {
    let status = shared.store.load().shared.as_ref().map(|state| state.status());
    json(StatusCode::OK, &serde_json::to_value(status).unwrap_or(Value::Null))
}

/// What consumers have left of their limits, a page at a time: `?from=0&count=100`.
pub async fn usage(shared: &Shared, query: Option<&str>) -> Response<Vec<u8>> {
    let (mut from, mut count) = (0, None);
    for (name, value) in query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
        match (name, value.parse()) {
            ("from", Ok(number)) => from = number,
            ("count", Ok(number)) => count = Some(number),
            _ => return text(StatusCode::BAD_REQUEST, "write /usage?from=0&count=100, or /usage/{consumer}\n"),
        }
    }
    json(StatusCode::OK, &usage_page(&shared.store.load(), from, count).await)
}

/// What the consumer named at the end of the path has left.
pub async fn usage_of(shared: &Shared, path: &str) -> Response<Vec<u8>> {
    let name = path.strip_prefix("/usage/").unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    match snapshot::usage_of(&shared.store.load(), &name).await {
        Some(left) => json(StatusCode::OK, &left),
        None => text(StatusCode::NOT_FOUND, "there is no consumer of that name\n"),
    }
}

/// What would become of a request: `?method=GET&url=/path&header=Name:value`.
pub fn explain(shared: &Shared, query: Option<&str>) -> Response<Vec<u8>> {
    let mut asked = crate::snapshot::Question { method: "GET".into(), ..Default::default() };
    for (name, value) in query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
        let value = percent_encoding::percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
        match name {
            "method" => asked.method = value,
            "url" => asked.url = value,
            "client" => match value.parse() {
                Ok(client) => asked.client = Some(client),
                Err(_) => return text(StatusCode::BAD_REQUEST, "client is an address\n"),
            },
            "header" => asked.headers.extend(value.split_once(':').map(|(n, v)| (n.trim().into(), v.trim().into()))),
            _ => {}
        }
    }
    match explain_request(&shared.store.load(), &asked) {
        Ok(explanation) => text(StatusCode::OK, &explanation),
        Err(why) => text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
    }
}
