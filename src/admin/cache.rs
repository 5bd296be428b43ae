//! What the cache holds, and taking things out of it.

use super::pages::{json, text};
use crate::cache::{Holdings, Purge};
use crate::observe::metrics::CacheLevels;
use crate::snapshot::Shared;
use http::{Response, StatusCode};
use serde_json::json;

/// What it holds, and how much of what it was asked it had.
pub fn levels(shared: &Shared) -> Response<Vec<u8>> {
    let Holdings { capacity, bytes, objects, evicted, purged } = shared.cache.holdings();
    let (hits, requests) = shared.metrics.cache_hits();
    let ratio = if requests == 0 { 0.0 } else { hits as f64 / requests as f64 };
    let levels = json!({
        "capacity": capacity,
        "bytes": bytes,
        "objects": objects,
        "evicted": evicted,
        "purged": purged,
        "requests": requests,
        "hits": hits,
        "hit_ratio": (ratio * 10_000.0).round() / 10_000.0,
        "disk": shared.cache.disk_levels(),
    });
    json(StatusCode::OK, &levels)
}

/// The same for the metrics.
pub fn counts(shared: &Shared) -> CacheLevels {
    let Holdings { bytes, objects, evicted, purged, .. } = shared.cache.holdings();
    let disk = shared.cache.disk_levels().map(|levels| levels.counts);
    CacheLevels { bytes, objects, evicted, purged, disk }
}

/// Takes out what `?url=`, `?prefix=`, `?tag=`, `?api=` name, or `?everything`; several together take out all they name.
pub async fn purge(shared: &Shared, query: Option<&str>) -> Response<Vec<u8>> {
    let snapshot = shared.store.load();
    let mut purges = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let named = match &*name {
            "url" => snapshot.purges_of_url(&value),
            "prefix" => snapshot.purge_of_prefix(&value).map(|purge| vec![purge]),
            "tag" => Ok(vec![Purge::Tag((*value).into())]),
            "api" => Ok(vec![Purge::Api((*value).into())]),
            "everything" => Ok(vec![Purge::Everything]),
            other => Err(format!("`{other}` names nothing to purge")),
        };
        match named {
            Ok(named) => purges.extend(named),
            Err(why) => return text(StatusCode::BAD_REQUEST, &format!("{why}\n")),
        }
    }
    if purges.is_empty() {
        return text(StatusCode::BAD_REQUEST, "name what to purge: url, prefix, tag, api, everything\n");
    }
    let purged = shared.cache.purge_and_wait(&purges).await;
    json(if purged.holds() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }, &json!(purged))
}
