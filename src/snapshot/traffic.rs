//! What becomes of a route's requests beside the usual. Most routes have nothing of it.

use crate::exchange::call::Callee;
use crate::exchange::events::Events;
use crate::exchange::hedge::Hedge;
use crate::exchange::mirror::Mirror;
use crate::observe::metrics::TrafficMetrics;
use crate::policy::answer::Answers;
use crate::value::Outage;
use std::sync::Arc;

/// What a route does beside passing requests on.
pub struct Traffic {
    /// Copies for another upstream.
    pub mirror: Option<Arc<Mirror>>,
    /// A second attempt where the first takes long.
    pub hedge: Option<Arc<Hedge>>,
    /// What is done with streams of events.
    pub events: Option<Arc<Events>>,
    /// What stands in for an upstream that is out.
    pub fallback: Option<Fallback>,
    /// Its counters.
    pub metrics: Arc<TrafficMetrics>,
}

/// What stands in for an upstream that is out.
pub struct Fallback {
    /// What counts as out.
    pub on: Box<[Outage]>,
    /// Whether what the cache keeps comes first, out of date.
    pub stale: bool,
    /// Another upstream.
    pub to: Option<Callee>,
    /// The answer that is written.
    pub answer: Option<Box<Answers>>,
}

impl Traffic {
    /// Whether some of its requests are made as calls of the gateway's own.
    pub fn may_call(&self) -> bool {
        self.hedge.is_some() || self.events.is_some()
    }

    /// What it does, in lines of the plan.
    pub fn describe(&self) -> Vec<String> {
        let mirror = self.mirror.iter().map(|mirror| mirror.describe());
        let hedge = self.hedge.iter().map(|hedge| hedge.describe());
        let events = self.events.iter().map(|events| events.describe());
        hedge.chain(events).chain(mirror).chain(self.fallback.iter().map(Fallback::describe)).collect()
    }
}

impl Fallback {
    fn describe(&self) -> String {
        let on: Vec<String> = self.on.iter().map(ToString::to_string).collect();
        let ways = [
            self.stale.then(|| "what is kept".to_owned()),
            self.to.as_ref().map(ToString::to_string),
            self.answer.as_ref().map(|answers| answers.describe()),
        ];
        let ways: Vec<String> = ways.into_iter().flatten().collect();
        format!("falls back on {} to {}", on.join(", "), ways.join(", then "))
    }
}
