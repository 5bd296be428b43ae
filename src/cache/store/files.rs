//! Answers that are in files: how they come in, go out, and move between file and memory.

use super::{Placed, Store};
use crate::cache::body::Body;
use crate::cache::disk::{Disk, Name, Record, Stored};
use crate::cache::key::Key;
use crate::cache::object::Object;
use crate::cache::purge::Purge;
use crate::cache::shard::Entry;
use bytes::Bytes;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

impl Store {
    /// The disk, where answers are kept on one.
    pub(in crate::cache) fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.load_full()
    }

    /// Keeps answers on that disk from now on, or on none. Those on the one before stay there and are forgotten here.
    pub(in crate::cache) fn set_disk(&self, disk: Option<Arc<Disk>>) {
        if self.disk.swap(disk).is_none() {
            return;
        }
        self.purges.remember_longer(false);
        for lock in &self.shards {
            let mut shard = lock.write();
            for place in (0..shard.entries.len()).rev() {
                let Some(entry) = shard.entries.get(place) else { continue };
                if let Some(file) = entry.object.file.get() {
                    self.leave(file);
                }
                if !entry.object.body.is_here() {
                    self.remove_at(&mut shard, place);
                }
            }
        }
    }

    /// How many files there are, and what they take.
    pub(in crate::cache) fn files(&self) -> (u64, u64) {
        (self.files.count.load(Relaxed), self.files.bytes.load(Relaxed))
    }

    /// The names of all files that are in use.
    pub(in crate::cache) fn names(&self) -> HashSet<Name> {
        let mut names = HashSet::new();
        for lock in &self.shards {
            let shard = lock.read();
            let files = shard.entries.iter().filter_map(|entry| entry.object.file.get());
            names.extend(files.filter(|file| !file.gone.load(Acquire)).map(|file| file.name));
        }
        names
    }

    /// Purges are remembered longer while files are read in; gives back how many there were so far.
    pub(in crate::cache) fn read_files_in(&self, reading: bool) -> u64 {
        self.purges.remember_longer(reading);
        self.epoch()
    }

    /// Remembers a purge of before.
    pub(in crate::cache) fn remember(&self, purge: Purge) {
        self.purges.add(purge);
    }

    /// What was purged while not all files have been read in is written down: it must not come back after a restart.
    pub(super) fn note_down(&self, purge: &Purge) {
        if let Some(disk) = &*self.disk.load() {
            disk.note(purge);
        }
    }

    /// Has an answer written to the disk.
    pub(super) fn write_down(&self, key: &Arc<Key>, object: &Arc<Object>) {
        if let Some(disk) = &*self.disk.load()
            && object.file.get().is_none()
            && let Some(lock) = self.shard(key)
            && let Some(api) = lock.read().slots.get(key).map(|slot| Arc::clone(&slot.labels.api))
        {
            disk.keep(key, object, api);
        }
    }

    /// Whether an answer with that body is still there.
    pub(in crate::cache) fn holds(&self, key: &Key, body: &Arc<Body>) -> bool {
        self.shard(key).is_some_and(|lock| lock.write().entry_of_body(key, body).is_some())
    }

    /// An answer with that body is in a file now. It may have gone in the meantime.
    pub(in crate::cache) fn attach(&self, key: &Key, body: &Arc<Body>, file: &Arc<Stored>) -> Placed {
        let Some(lock) = self.shard(key) else { return Placed::No };
        let mut shard = lock.write();
        let Some(entry) = shard.entry_of_body(key, body) else { return Placed::No };
        if entry.object.file.set(Arc::clone(file)).is_err() {
            return Placed::No;
        }
        self.count(file);
        Placed::Yes
    }

    /// Takes in an answer that was found in a file, unless there is a newer one, or it was purged since `epoch`.
    pub(in crate::cache) fn adopt(&self, record: Record, file: &Arc<Stored>, epoch: u64) -> Placed {
        let Record { key, labels, object, .. } = record;
        let Some(lock) = self.shard(&key) else { return Placed::No };
        let object = Arc::new(object);
        let _ = object.file.set(Arc::clone(file));
        {
            let mut shard = lock.write();
            let newer = |entry: &Entry| match entry.object.file.get() {
                Some(other) if !entry.object.body.is_here() => other.written >= file.written,
                _ => true, // it was fetched since this process began
            };
            if let Some(slot) = shard.slots.get(&*key) {
                let same_fields = slot.vary == object.facts.vary;
                let mut at_key = slot.places.iter().filter_map(|place| shard.entries.get(*place));
                let replaced = |entry: &Entry| !same_fields || entry.object.facts.variance == object.facts.variance;
                if at_key.any(|entry| replaced(entry) && newer(entry)) {
                    return Placed::No;
                }
            }
            self.count(file);
            self.clear_the_way(&mut shard, &key, &object);
            self.enter(&mut shard, &key, &object, &labels);
            if let Some(entry) = shard.entry_mut(&key, &object) {
                self.put(entry, Arc::clone(&object));
            }
        }
        if self.purges.took_since(epoch, &labels) {
            self.take_out(&key, &object);
            return Placed::No;
        }
        self.make_room(None);
        Placed::Yes
    }

    /// Puts an answer that was in a file alone into memory too, and gives back what it is now.
    pub(in crate::cache) fn promote(&self, key: &Arc<Key>, object: &Arc<Object>, body: Bytes) -> Arc<Object> {
        let promoted = Arc::new(object.with_body(Body::of(body)));
        let Some(lock) = self.shard(key) else { return promoted };
        {
            let mut shard = lock.write();
            let Some(entry) = shard.entry_mut(key, object) else { return promoted };
            self.put(entry, Arc::clone(&promoted));
        }
        self.make_room(Some((key, &promoted)));
        promoted
    }

    /// The body of an object leaves memory.
    pub(super) fn leave_in_file(&self, entry: &mut Entry) {
        let left = entry.object.with_body(Body::elsewhere(entry.object.body.length()));
        self.put(entry, Arc::new(left));
    }

    /// Whether an object is in a file.
    pub(super) fn has_file(&self, object: &Object) -> bool {
        object.file.get().is_some_and(|file| !file.gone.load(Acquire))
    }

    /// Removes the file of an object, if it has one.
    pub(super) fn remove_file(&self, object: &Object) {
        if let Some(file) = object.file.get()
            && self.leave(file)
            && let Some(disk) = &*self.disk.load()
        {
            disk.remove(file);
        }
    }

    fn count(&self, file: &Stored) {
        self.files.bytes.fetch_add(file.length, Relaxed);
        self.files.count.fetch_add(1, Relaxed);
    }

    /// Uses a file no longer; true for the one who was the first to say so.
    fn leave(&self, file: &Stored) -> bool {
        let first = !file.gone.swap(true, AcqRel);
        if first {
            self.files.bytes.fetch_sub(file.length, Relaxed);
            self.files.count.fetch_sub(1, Relaxed);
        }
        first
    }
}
