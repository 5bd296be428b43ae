//! Consumers by what proves them.

use super::index::Index;
use super::{Consumer, KeyDigest, PasswordHash};
use ahash::RandomState;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What kind of name a subject is: the same text may name different consumers in a token and in a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// The claim of a token that a provider's `consumer:` names.
    Token,
    /// The subject of a client certificate.
    Certificate,
}

/// All consumers of one configuration.
#[derive(Debug)]
pub struct Consumers {
    revision: u64,
    hasher: RandomState,
    all: Vec<Arc<Consumer>>,
    by_id: Index,
    by_subject: HashMap<(SubjectKind, Box<str>), Arc<Consumer>>,
    keys: Vec<Held>,
    by_digest: Index,
    passwords: HashMap<Box<str>, Arc<PasswordHash>>,
}

/// A consumer that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder(u32);

impl Holder {
    /// Whether it was among the first `count` that were added.
    pub fn is_before(self, count: usize) -> bool {
        (self.0 as usize) < count
    }
}

/// A key to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its digest.
    pub digest: KeyDigest,
    /// What it is called.
    pub name: Option<Box<str>>,
    /// When it expires, in seconds since the epoch.
    pub expires: Option<u64>,
}

/// A key and who holds it.
#[derive(Debug)]
struct Held {
    key: Key,
    holder: Holder,
}

/// What a key proves.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// Which of the registry's keys it is: with the registry's revision, this key and no other.
    pub number: usize,
    /// Who holds it.
    pub consumer: &'a Arc<Consumer>,
    /// The key.
    pub key: &'a Key,
}

impl Credential<'_> {
    /// Names the key without giving it away: its name, else the beginning of its digest.
    pub fn name(&self) -> Box<str> {
        self.key.name.clone().unwrap_or_else(|| self.key.digest.name().into())
    }
}

impl Default for Consumers {
    fn default() -> Self {
        static REVISIONS: AtomicU64 = AtomicU64::new(1);
        Self {
            revision: REVISIONS.fetch_add(1, Relaxed),
            hasher: RandomState::new(),
            all: Vec::new(),
            by_id: Index::default(),
            by_subject: HashMap::new(),
            keys: Vec::new(),
            by_digest: Index::default(),
            passwords: HashMap::new(),
        }
    }
}

impl Consumers {
    /// Adds a consumer with the subjects that name it beside its id; gives back the subject or id that is taken.
    ///
    /// # Errors
    /// Another consumer has that id or subject already.
    pub fn add(&mut self, consumer: Consumer, subjects: &[(SubjectKind, &str)]) -> Result<Holder, String> {
        let consumer = Arc::new(consumer);
        let (hash, position) = (self.hasher.hash_one(&*consumer.id), u32::try_from(self.all.len()));
        let Ok(position) = position else { return Err(consumer.id.to_string()) };
        if self.position(&consumer.id).is_some() {
            return Err(consumer.id.to_string());
        }
        for (kind, subject) in subjects {
            if self.by_subject.contains_key(&(*kind, Box::from(*subject))) {
                return Err((*subject).to_owned());
            }
            self.by_subject.insert((*kind, Box::from(*subject)), Arc::clone(&consumer));
        }
        self.all.push(consumer);
        let (all, hasher) = (&self.all, &self.hasher);
        self.by_id.insert(hash, position, |at| all.get(at).map_or(0, |consumer| hasher.hash_one(&*consumer.id)));
        Ok(Holder(position))
    }

    /// Gives a consumer one more key.
    ///
    /// # Errors
    /// Who has that key already.
    pub fn add_key(&mut self, holder: Holder, key: Key) -> Result<(), Arc<Consumer>> {
        if let Some(taken) = self.credential(&key.digest) {
            return Err(Arc::clone(taken.consumer));
        }
        // More keys than a position can count would take more memory than a machine has.
        let position = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let hash = key.digest.hash();
        self.keys.push(Held { key, holder });
        let keys = &self.keys;
        self.by_digest.insert(hash, position, |at| keys.get(at).map_or(0, |held| held.key.digest.hash()));
        Ok(())
    }

    /// Those from the one at `from` on, in the order in which they were added: at most `count`.
    pub fn page(&self, from: usize, count: usize) -> &[Arc<Consumer>] {
        let rest = self.all.get(from..).unwrap_or_default();
        rest.get(..count).unwrap_or(rest)
    }

    /// Gives a consumer a password.
    pub fn set_password(&mut self, holder: Holder, password: Arc<PasswordHash>) {
        if let Some(consumer) = self.holder(holder) {
            let id = consumer.id.clone();
            self.passwords.insert(id, password);
        }
    }

    /// Makes room for that many consumers with a key each, which are to be added.
    pub fn reserve(&mut self, more: usize) {
        self.all.reserve_exact(more);
        self.keys.reserve_exact(more);
        let (all, keys, hasher) = (&self.all, &self.keys, &self.hasher);
        self.by_id.reserve(more, |at| all.get(at).map_or(0, |consumer| hasher.hash_one(&*consumer.id)));
        self.by_digest.reserve(more, |at| keys.get(at).map_or(0, |held| held.key.digest.hash()));
    }

    /// Gives back memory that was kept for more to come.
    pub fn settle(&mut self) {
        self.all.shrink_to_fit();
        self.keys.shrink_to_fit();
    }

    /// The consumer of that id as it was added.
    pub fn find(&self, id: &str) -> Option<Holder> {
        self.position(id).and_then(|position| u32::try_from(position).ok()).map(Holder)
    }

    /// The consumer that was added.
    pub fn holder(&self, holder: Holder) -> Option<&Arc<Consumer>> {
        self.all.get(holder.0 as usize)
    }

    fn position(&self, id: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |at| self.all.get(at).is_some_and(|consumer| &*consumer.id == id))
    }

    /// The consumer of that id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Consumer>> {
        self.all.get(self.position(id)?)
    }

    /// What the key of that digest proves. Digests are compared in constant time.
    pub fn credential(&self, digest: &KeyDigest) -> Option<Credential<'_>> {
        let number = self
            .by_digest
            .find(digest.hash(), |at| self.keys.get(at).is_some_and(|held| held.key.digest == *digest))?;
        let held = self.keys.get(number)?;
        Some(Credential { number, consumer: self.holder(held.holder)?, key: &held.key })
    }

    /// The password of the consumer of that id.
    pub fn password(&self, id: &str) -> Option<&Arc<PasswordHash>> {
        self.passwords.get(id)
    }

    /// Some consumer's password: what an unknown user is made to cost.
    pub fn any_password(&self) -> Option<&Arc<PasswordHash>> {
        self.passwords.values().next()
    }

    /// The consumer a subject names: one that lists it, else the one whose id it is.
    pub fn by_subject(&self, kind: SubjectKind, subject: &str) -> Option<&Arc<Consumer>> {
        if !self.by_subject.is_empty()
            && let Some(found) = self.by_subject.get(&(kind, Box::from(subject)))
        {
            return Some(found);
        }
        self.by_id(subject)
    }

    /// How many consumers there are, and how many keys they hold.
    pub fn count(&self) -> (usize, usize) {
        (self.all.len(), self.keys.len())
    }

    /// Differs between any two registries of a process: what was concluded from one does not hold for another.
    pub fn revision(&self) -> u64 {
        self.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(id: &str) -> Consumer {
        Consumer { id: id.into(), groups: Box::default(), plan: None }
    }

    #[test]
    fn a_subject_names_a_consumer_of_its_own_kind_only() {
        let mut consumers = Consumers::default();
        consumers.add(consumer("acme"), &[(SubjectKind::Token, "auth0|7")]).unwrap();
        assert_eq!(consumers.by_subject(SubjectKind::Token, "auth0|7").unwrap().id.as_ref(), "acme");
        assert!(consumers.by_subject(SubjectKind::Certificate, "auth0|7").is_none());
        assert_eq!(consumers.by_subject(SubjectKind::Certificate, "acme").unwrap().id.as_ref(), "acme");
    }

    #[test]
    fn no_two_consumers_share_a_name() {
        let mut consumers = Consumers::default();
        consumers.add(consumer("acme"), &[(SubjectKind::Token, "7")]).unwrap();
        assert_eq!(consumers.add(consumer("acme"), &[]), Err("acme".to_owned()));
        assert_eq!(consumers.add(consumer("other"), &[(SubjectKind::Token, "7")]), Err("7".to_owned()));
    }

    fn key(text: &str) -> Key {
        Key { digest: KeyDigest::of(text.as_bytes()), name: None, expires: None }
    }

    #[test]
    fn a_key_proves_who_holds_it_and_only_one_may() {
        let mut consumers = Consumers::default();
        let (acme, other) =
            (consumers.add(consumer("acme"), &[]).unwrap(), consumers.add(consumer("other"), &[]).unwrap());
        consumers.add_key(acme, key("one")).unwrap();
        consumers.add_key(acme, Key { name: Some("new".into()), ..key("two") }).unwrap();
        assert_eq!(consumers.add_key(other, key("one")).unwrap_err().id.as_ref(), "acme");
        let found = consumers.credential(&KeyDigest::of(b"two")).unwrap();
        assert_eq!((&*found.consumer.id, &*found.name()), ("acme", "new"));
        assert_eq!(consumers.credential(&KeyDigest::of(b"one")).unwrap().name().len(), 12);
        assert!(consumers.credential(&KeyDigest::of(b"three")).is_none());
        assert_eq!(consumers.count(), (2, 2));
    }

    #[test]
    fn a_password_belongs_to_its_consumer() {
        let mut consumers = Consumers::default();
        let acme = consumers.add(consumer("acme"), &[]).unwrap();
        consumers.add(consumer("other"), &[]).unwrap();
        let hash = Arc::new(PasswordHash::of("x").unwrap());
        consumers.set_password(acme, Arc::clone(&hash));
        assert_eq!(consumers.password("acme"), Some(&hash));
        assert_eq!((consumers.password("other"), consumers.any_password()), (None, Some(&hash)));
    }

    #[test]
    fn registries_are_told_apart() {
        assert_ne!(Consumers::default().revision(), Consumers::default().revision());
    }
}
