//! What is counted of calls that the gateway makes with gRPC, by method.

use std::sync::Arc;

use super::cells::Counts;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;
use crate::value::GrpcCode;

/// The counters of one method, held by the snapshots that have a route for it.
#[derive(Debug)]
pub struct GrpcMetrics {
    /// `grpc_service="…",grpc_method="…"`.
    name: String,
    shards: Shards<Counts<{ GrpcCode::NAMES.len() }>>,
}

impl GrpcMetrics {
    /// `method`: `package.Service/Method`.
    pub(super) fn new(method: &str, workers: usize) -> Self {
        let (service, method) = method.split_once('/').unwrap_or((method, ""));
        let name = format!("{},{}", label("grpc_service", service), label("grpc_method", method));
        Self { name, shards: Shards::new(workers) }
    }

    /// Counts a call that ended with that code.
    pub fn record(&self, worker: Worker, code: GrpcCode) {
        self.shards.of(worker, Counts::default).add_one(usize::from(code.number()));
    }
}

/// Writes the family. What never happened is left out.
pub(super) fn write(mut methods: Vec<Arc<GrpcMetrics>>, text: &mut Text) {
    methods.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::GRPC_CALLS);
    for method in &methods {
        let mut totals = [0; GrpcCode::NAMES.len()];
        method.shards.used().for_each(|counts| counts.add_to(&mut totals));
        for (code, count) in GrpcCode::NAMES.iter().zip(totals).filter(|(_, count)| *count > 0) {
            samples.labelled(format_args!("{},grpc_status=\"{code}\"", method.name), count);
        }
    }
}
