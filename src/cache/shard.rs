//! A part of the store: objects, by key and in no order.

use super::body::Body;
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

    /// The entry of an object with that body, which may have been renewed in the meantime.
    pub(super) fn entry_of_body(&mut self, key: &Key, body: &Arc<Body>) -> Option<&mut Entry> {
        let slot = self.slots.get(key)?;
        let here = |place: &usize| self.entries.get(*place).is_some_and(|entry| Arc::ptr_eq(&entry.object.body, body));
        let place = slot.places.iter().copied().find(here)?;
        self.entries.get_mut(place)
    }

    /// Of a few that fit, the one asked for least, and how often it was. Those that still arrive are let be.
    pub(super) fn least_wanted(
        &self,
        random: u64,
        sketch: &Sketch,
        fits: impl Fn(&Entry) -> bool,
    ) -> Option<(usize, u8)> {
        let count = self.entries.len();
        let from = (random as usize).checked_rem(count)?;
        let step = if count <= COMPARED { 1 } else { ((random >> 32) as usize % count) | 1 };
        let fits = |place: usize| {
            let entry = self.entries.get(place)?;
            (entry.weight > 0 && fits(entry)).then(|| (place, sketch.estimate(entry.key.hash64())))
        };
        let compared = (0..COMPARED.min(count)).filter_map(|turn| fits((from + turn * step) % count));
        // Where few fit, the first that does.
        let any = || (0..count).find_map(|turn| fits((from + turn) % count));
        compared.min_by_key(|(_, wanted)| *wanted).or_else(any)
    }
}
