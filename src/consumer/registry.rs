//! Consumers by what proves them.

use super::{Consumer, Key, KeyDigest};
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
    by_id: HashMap<Box<str>, Arc<Consumer>>,
    by_subject: HashMap<(SubjectKind, Box<str>), Arc<Consumer>>,
    by_key: HashMap<KeyDigest, Key>,
}

impl Default for Consumers {
    fn default() -> Self {
        static REVISIONS: AtomicU64 = AtomicU64::new(1);
        let revision = REVISIONS.fetch_add(1, Relaxed);
        Self { revision, by_id: HashMap::new(), by_subject: HashMap::new(), by_key: HashMap::new() }
    }
}

impl Consumers {
    /// Adds a consumer with the subjects that name it beside its id; gives back the subject or id that is taken.
    ///
    /// # Errors
    /// Another consumer has that id or subject already.
    pub fn add(&mut self, consumer: Consumer, subjects: &[(SubjectKind, &str)]) -> Result<Arc<Consumer>, String> {
        let consumer = Arc::new(consumer);
        if self.by_id.contains_key(&consumer.id) {
            return Err(consumer.id.to_string());
        }
        for (kind, subject) in subjects {
            if self.by_subject.contains_key(&(*kind, Box::from(*subject))) {
                return Err((*subject).to_owned());
            }
            self.by_subject.insert((*kind, Box::from(*subject)), Arc::clone(&consumer));
        }
        self.by_id.insert(consumer.id.clone(), Arc::clone(&consumer));
        Ok(consumer)
    }

    /// Gives a consumer a key.
    ///
    /// # Errors
    /// The key is another's, or its own already: whose.
    pub fn add_key(&mut self, digest: KeyDigest, key: Key) -> Result<(), Box<str>> {
        if let Some(taken) = self.by_key.get(&digest) {
            return Err(taken.consumer.id.clone());
        }
        self.by_key.insert(digest, key);
        Ok(())
    }

    /// The key of that digest.
    pub fn key(&self, digest: &KeyDigest) -> Option<&Key> {
        self.by_key.get(digest)
    }

    /// The consumer of that id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Consumer>> {
        self.by_id.get(id)
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
        assert_eq!(consumers.add(consumer("acme"), &[]).unwrap_err(), "acme");
        assert_eq!(consumers.add(consumer("other"), &[(SubjectKind::Token, "7")]).unwrap_err(), "7");
    }

    #[test]
    fn registries_are_told_apart() {
        assert_ne!(Consumers::default().revision(), Consumers::default().revision());
    }
}
