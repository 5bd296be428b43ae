//! The store behind Pingora's cache phases.
//!
//! Pingora wants storage and locks that live as long as the process. A gateway's are made when its first route caches, and
//! what little they are is not given back when it goes; what they hold is.

use super::asked::Asked;
use super::body::{Body, Broken, Position, Reader};
use super::index::Labels;
use super::object::{Facts, Object};
use super::store::{Holdings, Look, Placed, Store};
use super::vary::{Variance, Vary};
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora_cache::storage::{
    HandleHit, HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget, Storage,
};
use pingora_cache::trace::SpanHandle;
use pingora_cache::{CacheKey, CacheMeta, PurgeType};
use pingora_core::{Error, ErrorType, Result};
use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// After this long another request may fetch what a leader has not begun to answer.
const LEADER: Duration = Duration::from_secs(30);
/// The first reader of a body that is too long to be kept may be this far behind before its arrival is slowed down.
const UNREAD: usize = 4 << 20;
/// And so long for each such amount it is behind.
const SLOWED: Duration = Duration::from_millis(20);

/// The cache of a gateway.
#[derive(Default)]
pub struct Cache {
    store: Arc<Store>,
    for_pingora: OnceLock<(&'static Shelf, &'static CacheKeyLockImpl)>,
}

impl Drop for Cache {
    fn drop(&mut self) {
        if self.for_pingora.get().is_some() {
            self.store.purge(&super::Purge::Everything);
        }
    }
}

impl Cache {
    /// What holds the answers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What it holds.
    pub fn holdings(&self) -> Holdings {
        self.store.holdings()
    }

    /// What Pingora needs: storage, and the locks by which one request fetches and others wait.
    pub fn for_pingora(&self) -> (&'static (dyn Storage + Sync), &'static CacheKeyLockImpl) {
        let (shelf, lock) = self.for_pingora.get_or_init(|| {
            let shelf = Box::leak(Box::new(Shelf { store: Arc::clone(&self.store) }));
            (shelf, Box::leak(CacheLock::new_boxed(LEADER)))
        });
        (*shelf, *lock)
    }

    /// What is kept for a request.
    pub fn kept(&self, asked: &Asked) -> Option<Arc<Object>> {
        match asked.with_fields(|request| self.store.get(&asked.key, request)) {
            Look::Found(object) => Some(object),
            Look::OtherVariant(_) | Look::Nothing => None,
        }
    }

    /// Takes out what is kept for a request: the upstream has said that it is so no longer.
    pub fn forget(&self, asked: &Asked) {
        if let Some(object) = self.kept(asked) {
            self.store.take_out(&asked.key, &object);
        }
    }

    /// By which fields an answer varies, and what its request says in them; `None` where nobody else may have it.
    pub fn vary(&self, answer: &HeaderMap, asked: &Asked) -> Option<(Vary, Variance)> {
        let vary = Vary::of(answer)?;
        let variance = asked.with_fields(|request| vary.variance(request, self.store.hashers()));
        Some((vary, variance))
    }
}

/// The store as Pingora sees it.
struct Shelf {
    store: Arc<Store>,
}

/// Reads an answer; what Pingora calls a hit handler.
pub struct Hit {
    object: Arc<Object>,
    reader: Reader,
    position: Position,
    /// How many bytes are left of a range.
    left: Option<u64>,
}

impl Hit {
    fn new(object: Arc<Object>, reader: Reader) -> Self {
        Self { object, reader, position: Position::default(), left: None }
    }

    /// The answer that is read.
    pub fn object(&self) -> &Arc<Object> {
        &self.object
    }
}

fn asked(key: &CacheKey) -> Result<&Arc<Asked>> {
    key.extensions.get::<Arc<Asked>>().ok_or_else(|| Error::explain(ErrorType::InternalError, "a key of nobody's"))
}

#[async_trait]
impl Storage for Shelf {
    async fn lookup(&'static self, key: &CacheKey, _trace: &SpanHandle) -> Result<Option<(CacheMeta, HitHandler)>> {
        let asked = asked(key)?;
        let object =
            asked.take_found().or_else(|| match asked.with_fields(|request| self.store.get(&asked.key, request)) {
                Look::Found(object) => Some(object),
                Look::OtherVariant(_) | Look::Nothing => None,
            });
        Ok(object.map(|object| (object.meta(), Box::new(Hit::new(object, Reader::Other)) as HitHandler)))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        _tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let object = asked(key)?.filling();
        Ok(object.map(|object| (object.meta(), Box::new(Hit::new(object, Reader::First)) as HitHandler)))
    }

    async fn get_miss_handler(
        &'static self,
        key: &CacheKey,
        meta: &CacheMeta,
        _trace: &SpanHandle,
    ) -> Result<MissHandler> {
        let asked = asked(key)?;
        let facts = meta.extensions().get::<Arc<Facts>>().cloned().unwrap_or_default();
        let labels = Labels { url: asked.key.url(), api: Arc::clone(&asked.plan.api), tags: facts.tags.to_vec() };
        let object = Arc::new(Object::of(meta, facts, Arc::new(Body::default())));
        let placed = self.store.place(&asked.key, &object, labels, asked.epoch);
        asked.fill(Arc::clone(&object));
        let fill = Fill { store: &self.store, asked: Arc::clone(asked), object, placed, finished: false };
        Ok(Box::new(fill))
    }

    async fn purge(&'static self, _: PurgeTarget<'_>, _: PurgeType, _: &SpanHandle) -> Result<PurgeOutcome> {
        Ok(PurgeOutcome::NotFound) // purges have a way of their own, to the store itself
    }

    async fn update_meta(&'static self, key: &CacheKey, meta: &CacheMeta, _trace: &SpanHandle) -> Result<bool> {
        let asked = asked(key)?;
        let Look::Found(old) = asked.with_fields(|request| self.store.get(&asked.key, request)) else {
            return Ok(false);
        };
        let facts = meta.extensions().get::<Arc<Facts>>().cloned().unwrap_or_else(|| Arc::clone(&old.facts));
        let new = Object::of(meta, facts, Arc::clone(&old.body));
        Ok(self.store.renew(&asked.key, &old, new) == Placed::Yes)
    }

    fn support_streaming_partial_write(&self) -> bool {
        true
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync + 'static) {
        self
    }
}

#[async_trait]
impl HandleHit for Hit {
    async fn read_body(&mut self) -> Result<Option<Bytes>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let piece = self.object.body.read(&mut self.position, self.reader).await.map_err(|broken| {
            let why = match broken {
                Broken::CutOff => "the answer was cut off",
                Broken::Silent => "the answer stopped arriving",
                Broken::Outrun => "the answer is too long to be kept for a slow reader",
            };
            Error::explain(ErrorType::ReadError, why).into_up()
        })?;
        let Some(mut piece) = piece else { return Ok(None) };
        if let Some(left) = &mut self.left {
            piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= piece.len() as u64;
        }
        Ok(Some(piece))
    }

    async fn finish(self: Box<Self>, _: &'static (dyn Storage + Sync), _: &CacheKey, _: &SpanHandle) -> Result<()> {
        Ok(())
    }

    fn can_seek(&self) -> bool {
        true
    }

    fn seek(&mut self, start: usize, end: Option<usize>) -> Result<()> {
        if end.is_some_and(|end| end < start) {
            return Error::e_explain(ErrorType::InternalError, "a range that ends before it begins");
        }
        self.position = Position::at(start as u64);
        self.left = end.map(|end| (end - start) as u64);
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }

    fn as_any_mut(&mut self) -> &mut (dyn Any + Send + Sync) {
        self
    }
}

/// Takes an answer in as it arrives.
struct Fill {
    store: &'static Store,
    asked: Arc<Asked>,
    object: Arc<Object>,
    /// Whether others can find it.
    placed: Placed,
    finished: bool,
}

#[async_trait]
impl HandleMiss for Fill {
    async fn write_body(&mut self, data: Bytes, _eof: bool) -> Result<()> {
        let body = &self.object.body;
        let length = body.push(data);
        if length > self.asked.plan.max_object {
            if self.placed == Placed::Yes {
                self.placed = Placed::No;
                self.store.take_out(&self.asked.key, &self.object);
                self.store.shunned.add(self.asked.key.hash64(), seconds(self.asked.now));
            }
            // It goes on to the one client it was fetched for, and is not gathered here faster than that one reads.
            body.pass_through();
            let behind = u32::try_from(body.unread() / UNREAD).unwrap_or(u32::MAX);
            if behind > 0 {
                tokio::time::sleep(SLOWED.saturating_mul(behind.min(50))).await;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<MissFinishType> {
        self.finished = true;
        self.object.body.finish();
        if self.placed == Placed::Yes {
            self.store.settle(&self.asked.key, &self.object);
        }
        Ok(MissFinishType::Created(0))
    }
}

impl Drop for Fill {
    fn drop(&mut self) {
        if !self.finished {
            self.object.body.break_off();
            self.store.take_out(&self.asked.key, &self.object);
        }
    }
}

/// Seconds since the epoch.
pub(super) fn seconds(at: std::time::SystemTime) -> u64 {
    at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
