//! What the calls made for one request come to: attempts, and the time in which at least one was under way.

use crate::observe::SpanId;
use crate::upstream::{Endpoint, Upstream};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts the calls made for one request, for its line in the access log and for `tollgate_gateway_duration_seconds`.
/// Calls that run side by side count once.
#[derive(Default)]
pub struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    attempts: u32,
    under_way: u32,
    since: Option<Instant>,
    spent: Duration,
    last: Option<(Arc<Upstream>, Arc<Endpoint>)>,
    parts: Vec<PartTold>,
}

/// What a part of an answer came to that is made of several.
#[derive(Clone)]
pub struct PartTold {
    /// Its name.
    pub name: Arc<str>,
    /// Who was asked.
    pub upstream: Arc<Upstream>,
    /// What it answered, where it was one call.
    pub status: Option<u16>,
    /// From its beginning to its end.
    pub duration: Duration,
    /// `answered`, `kept`, `abandoned`, or why it failed.
    pub outcome: Cow<'static, str>,
    /// The calls it asked for.
    pub calls: usize,
    /// The span of its call, where it was one.
    pub span: Option<SpanId>,
}

impl Ledger {
    /// An attempt begins.
    pub(super) fn begin(&self, now: Instant, upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>) {
        let mut entries = self.0.lock();
        entries.attempts += 1;
        entries.under_way += 1;
        entries.since.get_or_insert(now);
        entries.last = Some((Arc::clone(upstream), Arc::clone(endpoint)));
    }

    /// An attempt is over.
    pub(super) fn end(&self, now: Instant) {
        let mut entries = self.0.lock();
        entries.under_way = entries.under_way.saturating_sub(1);
        if entries.under_way == 0
            && let Some(since) = entries.since.take()
        {
            entries.spent += now.saturating_duration_since(since);
        }
    }

    /// Counts the time until what is returned is dropped as spent elsewhere, without an attempt.
    pub fn away(&self) -> Away<'_> {
        let mut entries = self.0.lock();
        entries.under_way += 1;
        entries.since.get_or_insert_with(Instant::now);
        Away(self)
    }

    /// An attempt has been answered; of several at once the one that counts is told last.
    pub(super) fn answered(&self, upstream: &Arc<Upstream>, endpoint: &Arc<Endpoint>) {
        self.0.lock().last = Some((Arc::clone(upstream), Arc::clone(endpoint)));
    }

    /// A part is over.
    pub fn part(&self, told: PartTold) {
        self.0.lock().parts.push(told);
    }

    /// The parts that are over, in the order in which they were.
    pub fn parts(&self) -> Vec<PartTold> {
        self.0.lock().parts.clone()
    }

    /// Attempts so far.
    pub fn attempts(&self) -> u32 {
        self.0.lock().attempts
    }

    /// The time so far in which at least one was under way.
    pub fn spent(&self, now: Instant) -> Duration {
        let entries = self.0.lock();
        entries.spent + entries.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Who was asked, or has answered, last.
    pub fn last(&self) -> Option<(Arc<Upstream>, Arc<Endpoint>)> {
        self.0.lock().last.clone()
    }
}

/// The time of something that is waited for.
pub struct Away<'a>(&'a Ledger);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.end(Instant::now());
    }
}
