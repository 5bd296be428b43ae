//! What goes when room runs out.

use super::{SHARDS, Store};
use crate::cache::key::Key;
use crate::cache::object::Object;
use crate::cache::shard::{Entry, Shard};
use crate::cache::sketch::Sketch;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Objects whose bodies are in files alone may take one part in so many of the memory before they go themselves.
const SHARE_OF_HEADS: u64 = 2;

impl Store {
    /// Takes objects out of memory until there is room. `newcomer` goes itself where it is wanted less than what would have
    /// to. What is in a file too leaves its head behind.
    pub(super) fn make_room(&self, newcomer: Option<(&Arc<Key>, &Arc<Object>)>) {
        let sketch = self.sketch.load();
        let wanted = newcomer.map(|(key, _)| sketch.estimate(key.hash64()));
        let spared = |entry: &Entry| newcomer.is_some_and(|(_, object)| Arc::ptr_eq(object, &entry.object));
        while self.is_full() {
            let many_heads = self.heads.load(Relaxed) * SHARE_OF_HEADS > self.capacity.load(Relaxed);
            let of_kind = |entry: &Entry| !spared(entry) && entry.object.body.is_here() != many_heads;
            let pick = |fits: &dyn Fn(&Entry) -> bool| {
                self.in_some_shard(|shard, random| {
                    let (place, least) = shard.least_wanted(random, &sketch, fits)?;
                    if !many_heads && wanted.is_some_and(|wanted| wanted < least) {
                        return Some(false);
                    }
                    self.give_up(shard, place);
                    Some(true)
                })
            };
            match pick(&of_kind).or_else(|| pick(&|entry| !spared(entry))) {
                Some(true) => {}
                Some(false) | None => break,
            }
        }
        if let Some((key, object)) = newcomer
            && self.is_full()
            && let Some(lock) = self.shard(key)
        {
            let mut shard = lock.write();
            if let Some(place) = shard.place_of(key, object) {
                self.give_up(&mut shard, place);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Relaxed) > self.capacity.load(Relaxed)
    }

    /// An object leaves memory; its head stays where it is in a file.
    fn give_up(&self, shard: &mut Shard, place: usize) {
        if let Some(entry) = shard.entries.get_mut(place)
            && entry.object.body.is_here()
            && self.has_file(&entry.object)
        {
            self.leave_in_file(entry);
            return;
        }
        self.remove_at(shard, place);
        self.evicted.fetch_add(1, Relaxed);
    }

    /// Asks the shards from one at random on until one answers.
    pub(super) fn in_some_shard<T>(&self, ask: impl Fn(&mut Shard, u64) -> Option<T>) -> Option<T> {
        let random = self.next_random();
        (0..SHARDS).find_map(|turn| {
            let lock = self.shards.get((random as usize + turn) % SHARDS)?;
            ask(&mut lock.write(), random >> 8)
        })
    }

    /// Takes files away until they fit into so much of the disk.
    pub(in crate::cache) fn make_room_on_disk(&self, size: u64, newcomer: Option<&Arc<Object>>) {
        let sketch = self.sketch.load();
        while self.files.bytes.load(Relaxed) > size {
            let taken = self.in_some_shard(|shard, random| {
                let fits = |entry: &Entry| {
                    self.has_file(&entry.object)
                        && !newcomer.is_some_and(|new| Arc::ptr_eq(&new.body, &entry.object.body))
                };
                let (place, _) = shard.least_wanted(random, &sketch, fits)?;
                match shard.entries.get(place).filter(|entry| entry.object.body.is_here()) {
                    Some(entry) => self.remove_file(&entry.object),
                    None => {
                        self.remove_at(shard, place);
                        self.evicted.fetch_add(1, Relaxed);
                    }
                }
                Some(())
            });
            if taken.is_none() {
                return;
            }
        }
    }

    /// Whether an answer of that length is wanted on a disk of that size: it is, unless what would have to go is wanted
    /// more.
    pub(in crate::cache) fn is_wanted_on_disk(&self, key: &Key, length: u64, size: u64) -> bool {
        if length > size {
            return false;
        }
        if self.files.bytes.load(Relaxed) + length <= size {
            return true;
        }
        let sketch: &Sketch = &self.sketch.load();
        let least = self.in_some_shard(|shard, random| {
            shard.least_wanted(random, sketch, |entry| self.has_file(&entry.object)).map(|(_, least)| least)
        });
        least.is_none_or(|least| sketch.estimate(key.hash64()) >= least)
    }

    fn next_random(&self) -> u64 {
        // Two threads that meet get the same number, which does no harm.
        let mut state = self.random.load(Relaxed);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.random.store(state, Relaxed);
        state
    }
}
