//! The entries of one map as they are read: duplicates refused, merge keys merged.

use super::tree::{Entry, Key, Kind, Node, Style};
use crate::value::{Place, Problems};
use std::collections::HashMap;

/// Entries of a map, and which keys there are.
#[derive(Default)]
pub(super) struct Keys {
    entries: Vec<Entry>,
    places: HashMap<String, Place>,
    merged: Vec<(Place, Node)>,
}

impl Keys {
    /// Adds an entry, unless its key is there already.
    pub fn add(&mut self, key: Key, value: Node, problems: &mut Problems) {
        if key.text == "<<" && key.style == Style::Plain {
            self.merged.push((key.place, value));
            return;
        }
        if let Some(first) = self.places.get(&key.text) {
            problems.error(key.place, format!("duplicate key `{}`", key.text)).related(*first, "first defined here");
            return;
        }
        self.places.insert(key.text.clone(), key.place);
        self.entries.push(Entry { key, value });
    }

    /// The entries, those of merge keys (`<<`, YAML 1.1) last; what is written in the map itself stands.
    pub fn finish(mut self, problems: &mut Problems) -> Vec<Entry> {
        for (place, value) in std::mem::take(&mut self.merged) {
            match value.kind {
                Kind::Map(entries, _) => self.merge(entries),
                Kind::List(elements, _) => {
                    for element in elements {
                        match element.kind {
                            Kind::Map(entries, _) => self.merge(entries),
                            _ => self.refuse(element.place, problems),
                        }
                    }
                }
                _ => self.refuse(place, problems),
            }
        }
        self.entries
    }

    fn merge(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if !self.places.contains_key(&entry.key.text) {
                self.places.insert(entry.key.text.clone(), entry.key.place);
                self.entries.push(entry);
            }
        }
    }

    fn refuse(&self, place: Place, problems: &mut Problems) {
        problems.error(place, "`<<` merges maps only").hint("write an alias of a map, such as `<<: *common`");
    }
}
