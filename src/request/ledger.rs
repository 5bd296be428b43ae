//! What limits have counted for one request: what they give back if it is refused after all, and what is let go of when
//! it is over.

use crate::observe::metrics::LimitDecision;
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;

/// What limits have counted for one request.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What was taken of rates and quotas.
    pub taken: SmallVec<[Taken; 3]>,
    /// What was decided, with the place of its counter among those of the route's chain; for the metrics.
    pub decided: SmallVec<[(u16, LimitDecision); 4]>,
    /// What the request is counted by as long as it is under way.
    pub held: SmallVec<[Held; 2]>,
}

/// What a request has taken of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which limit.
    pub limit: u64,
    /// Under which key.
    pub key: (u64, u64),
    /// How many it counted for.
    pub cost: u32,
}

/// Counts requests that are under way.
pub trait Holder: Send + Sync {
    /// One of those counted under that key is over.
    fn release(&self, key: (u64, u64));
}

/// Counts one request as under way for as long as this lives, however it ends.
pub struct Held {
    holder: Arc<dyn Holder>,
    key: (u64, u64),
}

impl Held {
    /// The holder has counted it, and is told when it is over.
    pub fn new(holder: Arc<dyn Holder>, key: (u64, u64)) -> Self {
        Self { holder, key }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.holder.release(self.key);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
