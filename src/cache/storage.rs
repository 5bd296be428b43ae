//! The store behind Pingora's cache phases.
//!
//! Pingora wants storage and locks that live as long as the process. A gateway's are made when its first route caches, and
//! what little they are is not given back when it goes; what they hold is.

use super::asked::Asked;
use super::body::Body;
use super::disk::{Disk, DiskLevels, DiskPlan};
use super::hit::Hit;
use super::index::Labels;
use super::object::{Facts, Object};
use super::purge::Purge;
use super::sharing::Shared;
use super::store::{Holdings, Placed, Store};
use super::vary::Vary;
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora_cache::storage::{HandleMiss, HitHandler, MissFinishType, MissHandler, PurgeOutcome, PurgeTarget, Storage};
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
/// How long a purge, or the end, waits for the disk.
pub(super) const SETTLING: Duration = Duration::from_secs(5);

/// The cache of a gateway.
#[derive(Default)]
pub struct Cache {
    pub(super) store: Arc<Store>,
    pub(super) shared: ArcSwapOption<Shared>,
    for_pingora: OnceLock<(&'static Shelf, &'static CacheKeyLockImpl)>,
}

impl Drop for Cache {
    fn drop(&mut self) {
        if let Some(shared) = &*self.shared.load() {
            shared.0.leave();
        }
        self.store.set_disk(None); // what is in files stays there
        if self.for_pingora.get().is_some() {
            self.store.purge(&Purge::Everything);
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

    /// Changes how much room there is, in memory and on a disk. What lies there is read in once [`Cache::share`] says so.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn furnish(&self, memory: u64, disk: Option<&DiskPlan>) -> std::io::Result<()> {
        self.store.set_capacity(memory);
        match (disk, self.store.disk()) {
            (None, None) => {}
            (None, Some(_)) => self.store.set_disk(None),
            (Some(plan), Some(running)) if running.is_at(plan) => running.set_size(plan.size),
            (Some(plan), _) => {
                self.store.set_disk(None); // what is on the one before stays there
                self.store.set_disk(Some(Disk::start(plan, &self.store)?));
            }
        }
        Ok(())
    }

    /// Ends writing to the disk, after what is queued up: a successor has the folder, or the process ends.
    pub fn retire(&self) {
        if let Some(disk) = self.store.disk() {
            disk.flush(SETTLING);
            disk.stop_writing();
        }
    }

    /// How the disk stands, where there is one.
    pub fn disk_levels(&self) -> Option<DiskLevels> {
        self.store.disk().map(|disk| disk.levels(&self.store))
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
        asked.with_fields(|request| self.store.get(&asked.key, request)).found()
    }

    /// Takes out what is kept for a request: the upstream has said that it is so no longer.
    pub fn forget(&self, asked: &Asked) {
        if let Some(object) = self.kept(asked) {
            self.store.take_out(&asked.key, &object);
        }
    }

    /// By which fields an answer varies, and what its request says in them; `None` where nobody else may have it.
    pub fn vary(&self, answer: &HeaderMap, asked: &Asked) -> Option<Facts> {
        let vary = Vary::of(answer)?;
        let said = asked.with_fields(|request| vary.said(request));
        let variance = vary.hash(&said, self.store.hashers());
        Some(Facts { vary, variance, said, ..Facts::default() })
    }
}

/// The store as Pingora sees it.
struct Shelf {
    store: Arc<Store>,
}

fn asked(key: &CacheKey) -> Result<&Arc<Asked>> {
    key.extensions.get::<Arc<Asked>>().ok_or_else(|| Error::explain(ErrorType::InternalError, "a key of nobody's"))
}

#[async_trait]
impl Storage for Shelf {
    async fn lookup(&'static self, key: &CacheKey, _trace: &SpanHandle) -> Result<Option<(CacheMeta, HitHandler)>> {
        let asked = asked(key)?;
        let look = || asked.with_fields(|request| self.store.get(&asked.key, request)).found();
        let object = asked.take_found().or_else(look);
        let hit = match object {
            Some(object) if object.body.is_here() => Some(Hit::new(&self.store, asked, object)),
            Some(object) => Hit::of_file(&self.store, asked, object).await,
            None => None,
        };
        Ok(hit.map(|hit| (hit.object().meta(), Box::new(hit) as HitHandler)))
    }

    async fn lookup_streaming_write(
        &'static self,
        key: &CacheKey,
        _tag: Option<&[u8]>,
        _trace: &SpanHandle,
    ) -> Result<Option<(CacheMeta, HitHandler)>> {
        let asked = asked(key)?;
        let hit = asked.filling().map(|object| Hit::new(&self.store, asked, object).of_first());
        Ok(hit.map(|hit| (hit.object().meta(), Box::new(hit) as HitHandler)))
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
        let found = asked.with_fields(|request| self.store.get(&asked.key, request)).found();
        let Some(old) = found else { return Ok(false) };
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
