//! The key under which Pingora locks and looks up.

use super::ctx::ProxyCtx;
use pingora_cache::CacheKey;
use pingora_core::{Error, ErrorType, Result};
use std::sync::Arc;

/// Runs the moment. Only for requests that the cache is on for. The text of the key stays with what the request asks:
/// Pingora's own hash of it is replaced by ours, which is made already, and which tells variants apart once it is known
/// what they vary by, so that one does not wait for another.
pub fn run(ctx: &ProxyCtx) -> Result<CacheKey> {
    let asked = ctx.cache.as_ref().and_then(|state| state.asked.as_ref());
    let asked = asked.ok_or_else(|| Error::explain(ErrorType::InternalError, "a key for what is not cached"))?;
    let variant = ctx.cache.as_ref().map_or(0, |state| state.variant);
    let mut key = CacheKey::new(Vec::new(), String::new());
    key.set_primary_bin_override((asked.key.hash128() ^ variant).to_be_bytes());
    key.extensions.insert(Arc::clone(asked));
    Ok(key)
}
