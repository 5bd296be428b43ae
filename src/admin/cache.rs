//! What the cache holds, and taking things out of it.

use super::pages::{json, text};
use crate::cache::{Holdings, Purge};
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
    });
    json(StatusCode::OK, &levels)
}

/// Takes out what `?url=`, `?prefix=`, `?tag=`, `?api=` name, or `?everything`; several together take out all they name.
pub fn purge(shared: &Shared, query: Option<&str>) -> Response<Vec<u8>> {
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
    let count: u64 = purges.iter().map(|purge| shared.cache.store().purge(purge)).sum();
    json(StatusCode::OK, &json!({ "purged": count }))
}
