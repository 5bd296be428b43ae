//! A part of the store: objects, by key and in no order.

use super::index::Labels;
use super::key::Key;
use super::object::Object;
use super::sketch::Sketch;
use super::vary::Vary;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// How many objects are compared when one must go.
const COMPARED: usize = 8;
/// The hash of a key is made already.
#[derive(Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A part of the store under a lock of its own.
#[derive(Default)]
pub(super) struct Shard {
    pub(super) slots: HashMap<Arc<Key>, Slot, BuildHasherDefault<AsIs>>,
    /// All objects, in no order, so that some can be picked at random.
    pub(super) entries: Vec<Entry>,
}

/// The variants at one key.
pub(super) struct Slot {
    pub(super) vary: Vary,
    pub(super) labels: Labels,
    pub(super) places: SmallVec<[usize; 2]>,
}

/// An object and where it belongs.
pub(super) struct Entry {
    pub(super) key: Arc<Key>,
    pub(super) object: Arc<Object>,
    /// What is counted for it; nothing while it arrives.
    pub(super) weight: u64,
}

impl Shard {
    /// Where an object lies.
    pub(super) fn place_of(&self, key: &Key, object: &Arc<Object>) -> Option<usize> {
        let slot = self.slots.get(key)?;
        let here = |place: &usize| self.entries.get(*place).is_some_and(|entry| Arc::ptr_eq(&entry.object, object));
        slot.places.iter().copied().find(here)
    }

    /// The entry of an object.
    pub(super) fn entry_mut(&mut self, key: &Key, object: &Arc<Object>) -> Option<&mut Entry> {
        let place = self.place_of(key, object)?;
        self.entries.get_mut(place)
    }

    /// Of a few, the one asked for least, and how often it was. Those that still arrive are let be, and so is `spared`.
    pub(super) fn least_wanted(
        &self,
        random: u64,
        sketch: &Sketch,
        spared: Option<&Arc<Object>>,
    ) -> Option<(usize, u8)> {
        let count = self.entries.len();
        let from = (random as usize).checked_rem(count)?;
        let step = ((random >> 32) as usize % count.max(1)) | 1;
        let places = (0..COMPARED.min(count)).map(|turn| (from + turn * step) % count);
        let settled = places.filter_map(|place| {
            let entry = self.entries.get(place)?;
            let spared = spared.is_some_and(|object| Arc::ptr_eq(object, &entry.object));
            (entry.weight > 0 && !spared).then(|| (place, sketch.estimate(entry.key.hash64())))
        });
        settled.min_by_key(|(_, wanted)| *wanted)
    }
}
