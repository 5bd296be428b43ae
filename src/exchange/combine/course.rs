//! What the access log is told of a part.

use super::answered::Failed;
use super::part::Part;
use crate::exchange::call::{Call, Origin, PartTold};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// A part under way. It is told when it is over: as given up, where nothing else is known when this is dropped.
pub struct Course {
    origin: Arc<Origin>,
    told: PartTold,
    began: Instant,
}

impl Course {
    /// A part whose calls begin now.
    pub fn begin(origin: &Arc<Origin>, part: &Part, asked: &[Call]) -> Self {
        let span = match asked {
            [only] => only.trace.map(|trace| trace.span_id),
            _ => None,
        };
        let told = PartTold {
            name: Arc::clone(&part.name),
            upstream: Arc::clone(&part.to.upstream),
            status: None,
            duration: std::time::Duration::ZERO,
            outcome: Cow::Borrowed("abandoned"),
            calls: asked.len(),
            span,
        };
        Self { origin: Arc::clone(origin), told, began: Instant::now() }
    }

    /// It has been answered.
    pub fn answered(mut self, status: Option<u16>) {
        self.told.outcome = Cow::Borrowed("answered");
        self.told.status = status;
    }

    /// It was known already.
    pub fn kept(mut self) {
        self.told.outcome = Cow::Borrowed("kept");
    }

    /// It has failed.
    pub fn failed(mut self, why: &Failed) {
        self.told.outcome = Cow::Owned(why.reason.to_string());
        self.told.status = why.status;
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        let duration = self.began.elapsed();
        self.origin.ledger.part(PartTold { duration, ..self.told.clone() });
    }
}
