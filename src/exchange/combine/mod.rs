//! Aggregation: one answer out of the answers of several upstreams.
//!
//! Parts are asked side by side, or one after another where one refers to another's answer; the references make a
//! [`Graph`]. Each is a [call](crate::exchange::call), with all that its upstream's balancing, health, breaker and retries
//! do. What happens when a part fails is written on the route: a required part's failure is the answer, at once, and the
//! other calls are given up; an optional one is left out or replaced, and the answer says so in `Tollgate-Partial`.
//!
//! | file | what |
//! |---|---|
//! | `reference` | `{order.customer_id}`: what a name in braces means |
//! | `facts` | what it stands for in one request, encoded for where it stands |
//! | `shape` | a JSON value with references in it |
//! | `part` | one call and what is taken of its answer |
//! | `graph` | which part waits for which |
//! | `answered` | an answer read, unpacked and parsed under bounds |
//! | `run` | one request: asks, settles, puts together |
//! | `merge` | the values in one |
//! | `beside` | a part's own limits and memory |
//! | `course` | what the access log is told of a part |
//! | `fields` | header fields made of several answers' |

mod answered;
mod beside;
mod course;
mod facts;
mod fields;
mod graph;
mod merge;
mod part;
mod reference;
mod run;
mod shape;

#[cfg(test)]
mod tests;

pub use beside::{Admission, Memory, Recall, Recalled, Remember, Shaper};
pub use graph::Graph;
pub use part::{Each, Need, Part, Taking};
pub use reference::{BadText, Piece, RESERVED, Reference, Scope, Text};
pub use shape::Shape;

use super::{Answering, Exchange, Incoming, Show};
use http::HeaderName;
use std::fmt::Write as _;
use std::sync::Arc;

/// The compiled form of a route's `combine`.
pub struct Combine {
    /// The parts, in the order written.
    pub parts: Vec<Part>,
    /// Which waits for which.
    pub graph: Graph,
    /// How their answers are put together.
    pub put: Put,
    /// What makes the answer of that.
    pub program: Option<Arc<dyn Shaper>>,
    /// Where the answer tells of what is missing.
    pub mark: Mark,
    /// Fields of the client's request that every part gets.
    pub forward: Vec<HeaderName>,
}

/// How answers are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// Each under its part's name.
    Named,
    /// The members of all in one object; of two of a name the later part's stays.
    Root,
    /// As a template says.
    Shape(Shape),
}

/// Where an answer tells that parts of it are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// In `Tollgate-Partial`.
    Header,
    /// And in the member `partial` of the body.
    Body,
}

impl Combine {
    /// Whether anything refers to the client's body.
    fn reads_body(&self) -> bool {
        let shape = match &self.put {
            Put::Shape(shape) => shape.references(),
            Put::Named | Put::Root => Vec::new(),
        };
        let fallbacks = self.parts.iter().flat_map(|part| match &part.need {
            Need::Fallback(shape) => shape.references(),
            Need::Required | Need::Optional => Vec::new(),
        });
        let mut all = self.parts.iter().flat_map(Part::references).chain(fallbacks).chain(shape);
        all.any(|reference| matches!(reference, Reference::Body(_)))
    }

    fn name(&self, part: usize) -> &str {
        self.parts.get(part).map(|part| &*part.name).unwrap_or_default()
    }

    fn line(&self, at: usize, part: &Part) -> String {
        let (name, upstream) = (&part.name, part.to.upstream.name());
        let colon = if upstream.contains("://") { "" } else { ":" };
        let path = part::shown(&part.path, &self.parts);
        let mut line = format!("part {name}: {} {upstream}{colon}{path}", part.method);
        let spec = part.to.upstream.spec();
        if let Some(labels) = part.to.subset.and_then(|number| spec.subsets.get(number)) {
            let _ = write!(line, " where {labels}");
        }
        if let Some(query) = &part.query {
            let _ = write!(line, "?{}", part::shown(query, &self.parts));
        }
        let sent: Vec<&str> =
            part.headers.iter().map(|(name, _)| name.as_str()).chain(part.body.as_ref().map(|_| "a body")).collect();
        if !sent.is_empty() {
            let _ = write!(line, " with {}", sent.join(", "));
        }
        if let Some(each) = &part.each {
            let _ = write!(line, ", for each of at most {} items, {} at a time", each.most, each.at_once);
        }
        let needs: Vec<&str> = self.graph.needs(at).iter().map(|needed| self.name(*needed)).collect();
        if !needs.is_empty() {
            let _ = write!(line, ", after {}", needs.join(" and "));
        }
        if let Some(timeout) = part.timeout {
            let _ = write!(line, ", within {timeout:?}");
        }
        line.push_str(match part.need {
            Need::Required => ", required",
            Need::Optional => ", optional",
            Need::Fallback(_) => ", with a fallback",
        });
        if part.hidden {
            line.push_str(", not in the answer");
        }
        let _ = write!(line, ", {} bytes at most", part.most);
        for limit in part.limits.iter().flat_map(|limits| limits.describe()) {
            let _ = write!(line, ", {limit}");
        }
        if let Some(memory) = &part.memory {
            let _ = write!(line, ", {}", memory.describe());
        }
        line
    }
}

impl Exchange for Combine {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(run::run(self, request))
    }

    fn describe(&self) -> Vec<String> {
        let deepest = (0..self.parts.len()).map(|part| self.graph.depth(part) + 1).max().unwrap_or_default();
        let mut lines = vec![format!("combines {} parts, {deepest} calls one after another at most", self.parts.len())];
        lines.extend(self.parts.iter().enumerate().map(|(at, part)| self.line(at, part)));
        lines.extend(self.program.as_ref().map(|program| format!("the answer: {}", program.describe())));
        lines
    }

    fn show(&self, what: Show<'_>) -> Option<String> {
        let Show::Chart = what else { return None };
        // The nodes of parts are marked, since `end` and others mean something to Mermaid.
        let mut out = String::from("flowchart LR\n  request([request])\n  answer([answer])\n");
        for (at, part) in self.parts.iter().enumerate() {
            let (name, upstream) = (&part.name, part.to.upstream.name());
            let optional = if part.need == Need::Required { "" } else { ", optional" };
            let _ = writeln!(out, "  part_{name}[\"{name}: {} {upstream}{optional}\"]", part.method);
            if self.graph.needs(at).is_empty() {
                let _ = writeln!(out, "  request --> part_{name}");
            }
            for needed in self.graph.needs(at) {
                let _ = writeln!(out, "  part_{} --> part_{name}", self.name(*needed));
            }
            if !part.hidden {
                let _ = writeln!(out, "  part_{name} --> answer");
            }
        }
        Some(out)
    }
}
