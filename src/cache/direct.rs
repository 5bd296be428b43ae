//! Answers that are given and kept without Pingora's phases: those to the gateway's own calls.

use super::asked::Asked;
use super::hit::Hit;
use super::judge::{Answer, Refused, Terms, judge, stored_head, tags_of};
use super::object::Facts;
use super::storage::Cache;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_cache::trace::Span;
use pingora_cache::{CacheKey, CacheMeta};
use pingora_http::ResponseHeader;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

impl Cache {
    /// The fields and the whole body of what is kept for a request and fresh, with its age (RFC 9111 §5.1).
    pub async fn recall(&self, asked: &Arc<Asked>) -> Option<(HeaderMap, Bytes)> {
        let (storage, _) = self.for_pingora();
        let (_, mut hit) = storage.lookup(&key(asked), &Span::inactive().handle()).await.ok()??;
        let object = Arc::clone(hit.as_any().downcast_ref::<Hit>()?.object());
        if !object.is_fresh(asked.now) {
            return None;
        }
        let mut body = BytesMut::new();
        while let Some(piece) = hit.read_body().await.ok()? {
            body.extend_from_slice(&piece);
        }
        let mut headers = object.headers().clone();
        headers.insert(header::AGE, HeaderValue::from(object.age(asked.now).as_secs()));
        Some((headers, body.freeze()))
    }

    /// Keeps a whole answer, if it may be kept.
    ///
    /// # Errors
    /// Why it may not.
    pub async fn remember(&self, asked: &Arc<Asked>, answer: &Answer<'_>, body: Bytes) -> Result<(), Refused> {
        let terms = judge(&asked.plan, answer)?;
        if body.len() as u64 > asked.plan.max_object {
            return Err(Refused::Size);
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = answer.status;
        parts.headers = answer.headers.clone();
        let meta = self.meta(asked, parts, terms).ok_or(Refused::Vary)?;
        let (storage, _) = self.for_pingora();
        // What cannot be kept now is asked for again.
        let kept = async {
            let mut miss = storage.get_miss_handler(&key(asked), &meta, &Span::inactive().handle()).await?;
            miss.write_body(body, true).await?;
            miss.finish().await
        };
        kept.await.map(drop).map_err(|_| Refused::Size)
    }

    /// What Pingora is told of an answer that is kept on these terms; `None` where nobody else may have it.
    pub fn meta(&self, asked: &Asked, mut parts: http::response::Parts, terms: Terms) -> Option<CacheMeta> {
        let facts = self.vary(&parts.headers, asked)?;
        let facts = Facts { tags: tags_of(&asked.plan, &parts.headers), strict: terms.strict, ..facts };
        stored_head(&asked.plan, &mut parts.headers);
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        let arrived = SystemTime::now();
        let made = arrived.checked_sub(terms.age).unwrap_or(SystemTime::UNIX_EPOCH);
        let fresh_until = made.checked_add(terms.lifetime).unwrap_or(made);
        let seconds = |span: Duration| u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
        let (late, failing) = (seconds(terms.while_revalidating), seconds(terms.if_error));
        let mut meta = CacheMeta::new(fresh_until, made, late, failing, ResponseHeader::from(parts));
        meta.extensions_mut().insert(Arc::new(facts));
        Some(meta)
    }
}

fn key(asked: &Arc<Asked>) -> CacheKey {
    let mut key = CacheKey::new(Vec::new(), String::new());
    key.set_primary_bin_override(asked.key.hash128().to_be_bytes());
    key.extensions.insert(Arc::clone(asked));
    key
}
