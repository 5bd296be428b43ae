//! What consumers have left of their limits, as the admin API tells it. Names and numbers, never a credential.

use super::Snapshot;
use crate::request::Moment;
use serde_json::{Value, json};
use std::time::{Instant, SystemTime};

/// Consumers of one page where nothing else is asked for.
const PAGE: usize = 100;
/// The most of one page.
const LARGEST_PAGE: usize = 1_000;

fn now() -> Moment {
    Moment { started: Instant::now(), wall: SystemTime::now() }
}

/// What the consumers from the one at `from` on have left: at most `count` of them, and where the next page begins.
pub async fn usage_page(snapshot: &Snapshot, from: usize, count: Option<usize>) -> Value {
    let consumers = snapshot.consumers.load();
    let total = consumers.count().0;
    let count = count.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let now = now();
    let mut page: Vec<Value> = Vec::new();
    for consumer in consumers.page(from, count) {
        page.push(json!(snapshot.usage.of(consumer, &now).await));
    }
    let next = from.saturating_add(page.len());
    json!({ "consumers": page, "total": total, "next": (next < total && !page.is_empty()).then_some(next) })
}

/// What one consumer has left; `None` where nobody has that name.
pub async fn usage_of(snapshot: &Snapshot, consumer: &str) -> Option<Value> {
    let consumers = snapshot.consumers.load();
    let found = consumers.by_id(consumer)?;
    Some(json!(snapshot.usage.of(found, &now()).await))
}
