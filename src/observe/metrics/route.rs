//! What is counted of every finished request, by route.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cells::Count;
use super::histogram::{self, Histogram, Totals};
use super::labels::{self, Method, STATUS_COUNT};
use super::names;
use super::requests::Requests;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// A finished request, as the metrics see it.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// The worker it ran on.
    pub worker: Worker,
    /// Its method.
    pub method: Method,
    /// The status the client was sent, or 499 if the client left first.
    pub status: u16,
    /// From its head to the last byte of the answer.
    pub duration: Duration,
    /// The part of `duration` not spent on upstreams.
    pub gateway: Duration,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the answer's body.
    pub bytes_out: u64,
    /// Why the gateway answered itself, if it did.
    pub refusal: Option<ReasonIndex>,
}

/// A place in the list of reasons the metrics were made with ([`MetricsSettings::reasons`](super::MetricsSettings)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonIndex(pub u8);

/// The counters of one route, held by the snapshots that have the route.
///
/// A worker that has served the route keeps 384 bytes for it, and 0.6 KiB for each method once there are more than four
/// pairs of method and status; one that has not, 16 bytes.
#[derive(Debug)]
pub struct RouteMetrics {
    /// `route="…"`, and what routes are sorted and gathered by.
    route: String,
    /// `api="…",route="…"`.
    api_and_route: String,
    reasons: &'static [&'static str],
    shards: Shards<RouteCells>,
}

/// In the order in which they stand in memory: a usual request touches the first line, the one after it, and the one
/// where `gateway` begins. With many routes none of them is in a near cache.
#[derive(Debug, Default)]
#[repr(C)]
struct RouteCells {
    requests: Requests,
    bytes_out: Count,
    duration: Histogram<14>,
    gateway: Histogram<12>,
    bytes_in: Count,
    /// One for each reason and one for unknown ones; most routes never refuse.
    refusals: OnceLock<Box<[Count]>>,
}

impl RouteMetrics {
    pub(super) fn new(api: Option<&str>, route: &str, workers: usize, reasons: &'static [&'static str]) -> Self {
        let route = label("route", route);
        let api_and_route = format!("{},{route}", label("api", api.unwrap_or_default()));
        Self { route, api_and_route, reasons, shards: Shards::new(workers) }
    }

    /// Counts a finished request: some ten relaxed additions on cache lines of the worker's own.
    pub fn record(&self, finished: &Finished) {
        let cells = self.shards.of(finished.worker, RouteCells::default);
        cells.requests.add_one(finished.method, finished.status);
        cells.duration.observe(&histogram::EXCHANGE, finished.duration);
        cells.gateway.observe(&histogram::GATEWAY, finished.gateway);
        if finished.bytes_in > 0 {
            cells.bytes_in.add(finished.bytes_in);
        }
        if finished.bytes_out > 0 {
            cells.bytes_out.add(finished.bytes_out);
        }
        if let Some(reason) = finished.refusal {
            self.record_refusal(cells, reason);
        }
    }

    fn record_refusal(&self, cells: &RouteCells, reason: ReasonIndex) {
        let counts = cells.refusals.get_or_init(|| (0..=self.reasons.len()).map(|_| Count::default()).collect());
        if let Some(count) = counts.get(usize::from(reason.0)).or(counts.last()) {
            count.add(1);
        }
    }

    fn used(&self) -> bool {
        self.shards.used().next().is_some()
    }

    /// Requests by method and status; places never counted at are left out.
    fn write_requests(&self, samples: &mut super::text::Samples<'_>) {
        for method in Method::ALL {
            let mut row = [0; STATUS_COUNT];
            self.shards.used().for_each(|cells| cells.requests.add_to(*method, &mut row));
            for (status, count) in labels::status_labels().zip(row).filter(|&(_, count)| count > 0) {
                let (names, method) = (&self.api_and_route, method.label());
                samples.labelled(format_args!("{names},method=\"{method}\",status=\"{status}\""), count);
            }
        }
    }
}

/// Writes the families of all routes. Routes no request has used are left out.
///
/// Only the family of requests tells apis apart; in the others the routes of one key are one series.
pub(super) fn write(mut routes: Vec<Arc<RouteMetrics>>, text: &mut Text) {
    routes.retain(|route| route.used());
    routes.sort_unstable_by(|a, b| (&a.route, &a.api_and_route).cmp(&(&b.route, &b.api_and_route)));
    let mut samples = text.family(&names::REQUESTS);
    routes.iter().for_each(|route| route.write_requests(&mut samples));

    let same_key: Vec<&[Arc<RouteMetrics>]> = routes.chunk_by(|a, b| a.route == b.route).collect();
    let mut samples = text.family(&names::REQUEST_DURATION);
    for &routes in &same_key {
        let totals = Totals::of(cells(routes).map(|cells| &cells.duration));
        samples.histogram(name(routes), &histogram::EXCHANGE, &totals);
    }
    let mut samples = text.family(&names::GATEWAY_DURATION);
    for &routes in &same_key {
        let totals = Totals::of(cells(routes).map(|cells| &cells.gateway));
        samples.histogram(name(routes), &histogram::GATEWAY, &totals);
    }
    let mut samples = text.family(&names::REQUEST_BYTES);
    for &routes in &same_key {
        samples.labelled(format_args!("{}", name(routes)), cells(routes).map(|cells| cells.bytes_in.get()).sum());
    }
    let mut samples = text.family(&names::RESPONSE_BYTES);
    for &routes in &same_key {
        samples.labelled(format_args!("{}", name(routes)), cells(routes).map(|cells| cells.bytes_out.get()).sum());
    }
    write_refusals(&same_key, text);
}

fn write_refusals(same_key: &[&[Arc<RouteMetrics>]], text: &mut Text) {
    let mut samples = text.family(&names::REFUSALS);
    for &routes in same_key {
        let Some(first) = routes.first() else { continue };
        let rows: Vec<&Box<[Count]>> = cells(routes).filter_map(|cells| cells.refusals.get()).collect();
        for (place, reason) in first.reasons.iter().copied().chain(["other"]).enumerate() {
            let count: u64 = rows.iter().filter_map(|row| row.get(place)).map(Count::get).sum();
            if count > 0 {
                samples.labelled(format_args!("{},reason=\"{reason}\"", first.route), count);
            }
        }
    }
}

fn cells(routes: &[Arc<RouteMetrics>]) -> impl Iterator<Item = &RouteCells> {
    routes.iter().flat_map(|route| route.shards.used())
}

fn name(routes: &[Arc<RouteMetrics>]) -> &str {
    routes.first().map_or("", |route| &route.route)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn a_route_costs_what_its_description_says() {
        assert!(size_of::<RouteCells>() <= 384, "{}", size_of::<RouteCells>());
        assert_eq!(size_of::<OnceLock<Box<RouteCells>>>(), 16);
    }

    #[test]
    fn what_is_counted_of_every_request_begins_at_a_cache_line() {
        assert_eq!(offset_of!(RouteCells, duration), 64);
        assert_eq!(offset_of!(RouteCells, gateway), 192);
    }
}
