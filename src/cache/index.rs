//! Finds what is purged together without looking at all there is.

use super::key::{Key, UrlText};
use super::purge::Purge;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// What an answer is purged by.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) url: UrlText,
    pub(super) api: Arc<str>,
    pub(super) tags: Vec<Arc<str>>,
}

/// Keys by what they are purged by.
#[derive(Debug, Default)]
pub(super) struct Index {
    urls: BTreeMap<UrlText, Vec<Arc<Key>>>,
    tags: HashMap<Arc<str>, HashSet<Arc<Key>>>,
    apis: HashMap<Arc<str>, HashSet<Arc<Key>>>,
}

impl Index {
    pub(super) fn add(&mut self, key: &Arc<Key>, labels: &Labels) {
        let at_url = self.urls.entry(labels.url.clone()).or_default();
        if !at_url.contains(key) {
            at_url.push(Arc::clone(key));
        }
        if !labels.api.is_empty() {
            self.apis.entry(Arc::clone(&labels.api)).or_default().insert(Arc::clone(key));
        }
        for tag in &labels.tags {
            self.tags.entry(Arc::clone(tag)).or_default().insert(Arc::clone(key));
        }
    }

    pub(super) fn remove(&mut self, key: &Arc<Key>, labels: &Labels) {
        if let Some(at_url) = self.urls.get_mut(&labels.url) {
            at_url.retain(|other| other != key);
            if at_url.is_empty() {
                self.urls.remove(&labels.url);
            }
        }
        labels.tags.iter().for_each(|tag| forget(&mut self.tags, tag, key));
        forget(&mut self.apis, &labels.api, key);
    }

    /// The keys that a purge takes, everything apart.
    pub(super) fn taken(&self, purge: &Purge) -> Vec<Arc<Key>> {
        match purge {
            Purge::Everything => Vec::new(),
            Purge::Url(url) => self.urls.get(&UrlText(url.clone())).cloned().unwrap_or_default(),
            Purge::Prefix(prefix) => {
                let from = UrlText(prefix.clone());
                let after = self.urls.range((Bound::Included(from), Bound::Unbounded));
                let taken = after.take_while(|(url, _)| url.0.starts_with(&**prefix));
                taken.flat_map(|(_, keys)| keys.iter().cloned()).collect()
            }
            Purge::Tag(tag) => self.tags.get(&**tag).into_iter().flatten().cloned().collect(),
            Purge::Api(api) => self.apis.get(&**api).into_iter().flatten().cloned().collect(),
        }
    }

    /// Forgets all of these.
    pub(super) fn remove_all<'a>(&mut self, slots: impl Iterator<Item = (&'a Arc<Key>, &'a Labels)>) {
        slots.for_each(|(key, labels)| self.remove(key, labels));
    }
}

fn forget(map: &mut HashMap<Arc<str>, HashSet<Arc<Key>>>, name: &Arc<str>, key: &Arc<Key>) {
    if let Some(keys) = map.get_mut(name) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(name);
        }
    }
}
