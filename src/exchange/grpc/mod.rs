//! JSON for clients of services that speak gRPC: a request of HTTP makes a message, the method is called, and what it
//! answers is written as JSON.
//!
//! | file | what |
//! |---|---|
//! | `schema`, `files` | which messages and methods there are, from `.proto` files or descriptor sets |
//! | `rules`, `template` | which requests call which method: `google.api.http` |
//! | `binding`, `fields` | what of a request goes to which field |
//! | `json`, `careful` | messages as JSON and back, by the mapping of proto3 |
//! | `frames` | messages one after another, within bounds |
//! | `metadata` | header fields and metadata |
//! | `status` | how a call ended, and what the client is told |
//! | `run`, `explain` | one request, and what it would be |
//! | `reverse`, `query` | gRPC for services that speak HTTP and JSON |
//! | `upload`, `download`, `format` | streams of messages: lines up; lines, events or an array down |

mod binding;
mod careful;
mod download;
mod explain;
mod fields;
mod files;
mod format;
mod frames;
mod json;
mod metadata;
mod query;
mod reverse;
mod rules;
mod run;
mod schema;
mod status;
mod template;
mod upload;

#[cfg(test)]
mod tests;

pub use binding::{Asked, Binding, BodyBinding, PathValues};
pub use fields::FieldPath;
pub use files::{Fault, Text};
pub use json::{Json, JsonChoice};
pub use metadata::Metadata;
pub use reverse::Reverse;
pub use rules::{BadRule, Rule, rules_of, single, top};
pub use schema::{Loading, Method, MethodKind, Schema};
pub use template::Template;

use super::call::{Callee, Retries};
use super::{Answering, Exchange, Incoming, Show};
use crate::observe::metrics::GrpcMetrics;
use std::sync::Arc;

/// Bytes of a message at most, where nothing is written.
pub const MOST: usize = 4 << 20;

/// The compiled form of a route's `grpc`.
pub struct Transcode {
    /// What requests may call; the first whose path fits is called.
    pub callables: Vec<Callable>,
    /// Who is called.
    pub to: Callee,
    /// When another attempt is made.
    pub retries: Arc<Retries>,
    /// How JSON is read and written.
    pub json: Json,
    /// Where types are known from.
    pub schema: Arc<Schema>,
    /// Which header fields become metadata, and back.
    pub metadata: Metadata,
    /// The longest message, in bytes.
    pub most: usize,
}

/// Something that requests may call.
pub struct Callable {
    /// How requests make its message.
    pub binding: Arc<Binding>,
    /// Its counters.
    pub metrics: Arc<GrpcMetrics>,
}

impl Transcode {
    /// What a request calls, with the texts that stand in its path.
    fn callable(&self, asked: &Asked<'_>) -> Option<(&Callable, Vec<Option<String>>)> {
        self.callables.iter().find_map(|callable| Some((callable, callable.binding.texts(asked)?)))
    }
}

impl Exchange for Transcode {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(run::run(self, request))
    }

    fn describe(&self) -> Vec<String> {
        let upstream = self.to.upstream.name();
        let mut lines: Vec<String> =
            self.callables.iter().map(|callable| callable.binding.describe(upstream)).collect();
        lines.push(format!("messages up to {} bytes", self.most));
        lines
    }

    fn show(&self, what: Show<'_>) -> Option<String> {
        match what {
            Show::Chart => None,
            Show::Request(shown) => Some(explain::explained(self, shown)),
        }
    }
}
