//! Where answers are kept: in memory, in shards, within a bound of bytes; some of them in files too, and of these perhaps
//! the head alone in memory.
//!
//! A look-up takes one shard's lock for reading. When room runs out, a few objects picked at random are compared by how
//! often they were asked for lately and the least wanted of them goes; what has just arrived and is wanted less than that
//! is not kept at all, so that a scan does not push out what is asked for again and again.
//! Locks are taken in one order: a shard's, then the index's.

mod files;
mod room;

use super::disk::Disk;
use super::index::{Index, Labels};
use super::key::Key;
use super::object::Object;
use super::purge::{Purge, PurgeLog};
use super::shard::{Entry, Shard, Slot};
use super::shunned::Shunned;
use super::sketch::Sketch;
use ahash::RandomState;
use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SHARDS: usize = 64;
/// The size of an object on average, for the size of the sketch alone.
const USUAL_OBJECT: u64 = 4 << 10;

/// The store.
pub struct Store {
    shards: Box<[RwLock<Shard>]>,
    hashers: [RandomState; 2],
    index: Mutex<Index>,
    purges: PurgeLog,
    sketch: ArcSwap<Sketch>,
    /// Keys whose answers cannot be shared.
    pub shunned: Shunned,
    capacity: AtomicU64,
    bytes: AtomicU64,
    /// Of these, what is taken by objects whose bodies are in files alone.
    heads: AtomicU64,
    objects: AtomicU64,
    disk: ArcSwapOption<Disk>,
    files: Files,
    evicted: AtomicU64,
    purged: AtomicU64,
    random: AtomicU64,
}

/// What is in files.
#[derive(Default)]
struct Files {
    bytes: AtomicU64,
    count: AtomicU64,
}

/// What a store holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The room there is, in bytes.
    pub capacity: u64,
    /// The room that is taken.
    pub bytes: u64,
    /// How many objects.
    pub objects: u64,
    /// How many went, or did not stay, for want of room.
    pub evicted: u64,
    /// How many were purged.
    pub purged: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(0)
    }
}

impl Store {
    /// An empty store with that much room, in bytes.
    pub fn new(capacity: u64) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hashers: [RandomState::new(), RandomState::new()],
            index: Mutex::default(),
            purges: PurgeLog::default(),
            sketch: ArcSwap::from_pointee(sketch(capacity)),
            shunned: Shunned::default(),
            capacity: AtomicU64::new(capacity),
            bytes: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            disk: ArcSwapOption::empty(),
            files: Files::default(),
            evicted: AtomicU64::new(0),
            purged: AtomicU64::new(0),
            random: AtomicU64::new(0x2545_F491_4F6C_DD1D),
        }
    }

    /// Changes how much room there is.
    pub fn set_capacity(&self, capacity: u64) {
        if self.capacity.swap(capacity, Relaxed) != capacity {
            self.sketch.store(Arc::new(sketch(capacity)));
            self.make_room(None);
        }
    }

    /// The key of that text.
    pub fn key(&self, text: Vec<u8>) -> Key {
        let hashes = self.hashers.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            hasher.write(&text);
            hasher.finish()
        });
        Key::new(text, hashes)
    }

    /// What keeps the values of varying fields apart.
    pub(super) fn hashers(&self) -> &[RandomState; 2] {
        &self.hashers
    }

    /// How many purges there have been.
    pub fn epoch(&self) -> u64 {
        self.purges.epoch()
    }

    /// The variant a request of these fields may be given, and whether others are there at its key.
    pub fn get(&self, key: &Key, request: &HeaderMap) -> Look {
        self.sketch.load().count(key.hash64());
        let Some(shard) = self.shard(key) else { return Look::Nothing };
        let shard = shard.read();
        let Some(slot) = shard.slots.get(key) else { return Look::Nothing };
        let variance = slot.vary.variance(request, &self.hashers);
        let mut objects = slot.places.iter().filter_map(|place| shard.entries.get(*place)).map(|entry| &entry.object);
        match objects.find(|object| object.facts.variance == variance) {
            Some(object) => Look::Found(Arc::clone(object)),
            None => Look::OtherVariant(variance.0),
        }
    }

    /// Puts an answer in whose body arrives: its followers find it from now on. One of the same variance goes. It does not
    /// come in where it was purged since `epoch`.
    pub(super) fn place(&self, key: &Arc<Key>, object: &Arc<Object>, labels: Labels, epoch: u64) -> Placed {
        let Some(lock) = self.shard(key) else { return Placed::No };
        {
            let mut shard = lock.write();
            self.clear_the_way(&mut shard, key, object);
            self.enter(&mut shard, key, object, &labels);
        }
        // After it is in: a purge that came before this look has seen it, one that comes after finds it.
        if self.purges.took_since(epoch, &labels) {
            self.take_out(key, object);
            return Placed::No;
        }
        Placed::Yes
    }

    /// Enters an object at its key.
    fn enter(&self, shard: &mut Shard, key: &Arc<Key>, object: &Arc<Object>, labels: &Labels) {
        let place = shard.entries.len();
        shard.entries.push(Entry { key: Arc::clone(key), object: Arc::clone(object), weight: 0 });
        self.objects.fetch_add(1, Relaxed);
        let slot = shard.slots.entry(Arc::clone(key)).or_insert_with(|| Slot {
            vary: object.facts.vary.clone(),
            labels: Labels { tags: Vec::new(), ..labels.clone() },
            places: SmallVec::new(),
        });
        slot.places.push(place);
        let new: Vec<_> = labels.tags.iter().filter(|tag| !slot.labels.tags.contains(tag)).cloned().collect();
        slot.labels.tags.extend(new);
        self.index.lock().add(key, &slot.labels);
    }

    /// Takes out what the object replaces: the same variance, and all that vary by other fields.
    fn clear_the_way(&self, shard: &mut Shard, key: &Arc<Key>, object: &Object) {
        let Some(slot) = shard.slots.get(&**key) else { return };
        let same_fields = slot.vary == object.facts.vary;
        let replaced = |entry: &Entry| !same_fields || entry.object.facts.variance == object.facts.variance;
        let entries = &shard.entries;
        let mut places: SmallVec<[usize; 4]> =
            slot.places.iter().copied().filter(|place| entries.get(*place).is_some_and(replaced)).collect();
        places.sort_unstable_by_key(|place| std::cmp::Reverse(*place)); // the last first: those before keep their place
        for place in places {
            self.remove_at(shard, place);
        }
    }

    /// The body of an object is complete: it is counted, and room is made. Answers whether it stays.
    pub(super) fn settle(&self, key: &Arc<Key>, object: &Arc<Object>) -> Placed {
        let Some(lock) = self.shard(key) else { return Placed::No };
        {
            let mut shard = lock.write();
            let Some(entry) = shard.entry_mut(key, object) else { return Placed::No };
            self.put(entry, Arc::clone(object));
        }
        self.write_down(key, object);
        self.make_room(Some((key, object)));
        Placed::Yes
    }

    /// Takes an object out, if it is still there.
    pub(super) fn take_out(&self, key: &Arc<Key>, object: &Arc<Object>) {
        let Some(lock) = self.shard(key) else { return };
        let mut shard = lock.write();
        if let Some(place) = shard.place_of(key, object) {
            self.remove_at(&mut shard, place);
        }
    }

    /// Puts an object in the place of one that it renews, with the same body and variance.
    pub(super) fn renew(&self, key: &Arc<Key>, old: &Arc<Object>, new: Object) -> Placed {
        let Some(lock) = self.shard(key) else { return Placed::No };
        let mut shard = lock.write();
        let Some(entry) = shard.entry_mut(key, old) else { return Placed::No };
        // The file tells of what was before the renewal: after a restart it is asked after once more.
        new.share_file(&entry.object);
        self.put(entry, Arc::new(new));
        Placed::Yes
    }

    /// An object takes more memory than before, or less.
    pub(super) fn weigh_again(&self, key: &Arc<Key>, object: &Arc<Object>) {
        if let Some(lock) = self.shard(key)
            && let Some(entry) = lock.write().entry_mut(key, object)
        {
            self.put(entry, Arc::clone(object));
        }
        self.make_room(None);
    }

    /// Puts an object in the place of an entry's, and counts what it takes.
    fn put(&self, entry: &mut Entry, object: Arc<Object>) {
        let weight = object.weight();
        self.bytes.fetch_add(weight, Relaxed);
        self.bytes.fetch_sub(entry.weight, Relaxed);
        if !object.body.is_here() {
            self.heads.fetch_add(weight, Relaxed);
        }
        if !entry.object.body.is_here() {
            self.heads.fetch_sub(entry.weight, Relaxed);
        }
        (entry.object, entry.weight) = (object, weight);
    }

    /// Takes out what a purge takes, their files too; answers with how many objects that were.
    pub fn purge(&self, purge: &Purge) -> u64 {
        self.purges.add(purge.clone());
        self.note_down(purge);
        let before = self.objects.load(Relaxed);
        if *purge == Purge::Everything {
            for lock in &self.shards {
                let mut shard = lock.write();
                let taken = std::mem::take(&mut *shard);
                self.index.lock().remove_all(taken.slots.iter().map(|(key, slot)| (key, &slot.labels)));
                taken.entries.iter().for_each(|entry| self.uncount(entry));
            }
            self.purged.fetch_add(before, Relaxed);
            return before;
        }
        let keys = self.index.lock().taken(purge);
        let mut count = 0;
        for key in keys {
            let Some(lock) = self.shard(&key) else { continue };
            let mut shard = lock.write();
            while let Some(place) = shard.slots.get(&*key).and_then(|slot| slot.places.last().copied()) {
                self.remove_at(&mut shard, place);
                count += 1;
            }
        }
        self.purged.fetch_add(count, Relaxed);
        count
    }

    /// What it holds.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            capacity: self.capacity.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            objects: self.objects.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            purged: self.purged.load(Relaxed),
        }
    }

    fn shard(&self, key: &Key) -> Option<&RwLock<Shard>> {
        self.shards.get((key.hash64() >> 48) as usize % SHARDS)
    }

    /// An entry is no longer there, nor is its file.
    fn uncount(&self, entry: &Entry) {
        self.bytes.fetch_sub(entry.weight, Relaxed);
        if !entry.object.body.is_here() {
            self.heads.fetch_sub(entry.weight, Relaxed);
        }
        self.objects.fetch_sub(1, Relaxed);
        self.remove_file(&entry.object);
    }

    /// Takes the object at a place out; the last takes its place.
    fn remove_at(&self, shard: &mut Shard, place: usize) {
        if place >= shard.entries.len() {
            return;
        }
        let entry = shard.entries.swap_remove(place);
        self.uncount(&entry);
        let moved_from = shard.entries.len();
        if let Some(slot) = shard.slots.get_mut(&*entry.key) {
            slot.places.retain(|other| *other != place);
            if slot.places.is_empty()
                && let Some(slot) = shard.slots.remove(&*entry.key)
            {
                self.index.lock().remove(&entry.key, &slot.labels);
            }
        }
        let moved = shard.entries.get(place).map(|moved| Arc::clone(&moved.key));
        if let Some(slot) = moved.and_then(|key| shard.slots.get_mut(&*key)) {
            slot.places.iter_mut().filter(|other| **other == moved_from).for_each(|other| *other = place);
        }
    }
}

/// What a look-up finds.
#[derive(Debug)]
pub enum Look {
    /// This.
    Found(Arc<Object>),
    /// Answers for other requests at the same key, and what tells this one from them.
    OtherVariant(u128),
    /// Nothing.
    Nothing,
}

impl Look {
    /// What was found.
    pub fn found(self) -> Option<Arc<Object>> {
        match self {
            Self::Found(object) => Some(object),
            Self::OtherVariant(_) | Self::Nothing => None,
        }
    }
}

/// Whether an object came, or is still, in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is in.
    Yes,
    /// It is not.
    No,
}

fn sketch(capacity: u64) -> Sketch {
    let width = usize::try_from(capacity / USUAL_OBJECT).unwrap_or(usize::MAX).clamp(1 << 12, 1 << 22);
    Sketch::new(width)
}
