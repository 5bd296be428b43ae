//! Verdicts that were reached before. Nothing kept here gives a password away: a mark is a hash under a key that was made
//! up when the process started and is nowhere else.

use crate::consumer::PasswordHash;
use crate::policy::auth::marker::{Mark, Marker};
use crate::request::Caller;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Right passwords remembered.
const GOOD: usize = 10_000;
/// Wrong passwords remembered: apart from the right ones, so that a flood of them costs only each other.
const BAD: usize = 1_000;

/// Whether there is a user of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    User,
    Nobody,
}

/// What is remembered of passwords that were checked.
pub(super) struct Memory {
    marker: Marker,
    /// With the revision of the consumers the caller was made of.
    good: Cache<Mark, (u64, Arc<Caller>)>,
    bad: Cache<Mark, ()>,
}

impl Memory {
    /// Remembers nothing yet; `None` where the system gives no random bytes.
    pub fn new() -> Option<Self> {
        Some(Self { marker: Marker::new()?, good: Cache::new(GOOD), bad: Cache::new(BAD) })
    }

    /// The mark of what was tried. A user whose stored hash changes has other marks from then on.
    pub fn mark(&self, user: &str, hash: &PasswordHash, password: &str) -> Mark {
        self.marker.mark_all([user, hash.as_str(), password].map(str::as_bytes))
    }

    /// The caller, if the password was right before; made anew where the consumers have changed since.
    pub fn good(&self, mark: &Mark, revision: u64, make: impl FnOnce() -> Arc<Caller>) -> Option<Arc<Caller>> {
        let (of, caller) = self.good.get(mark)?;
        if of == revision {
            return Some(caller);
        }
        let caller = make();
        self.learn_good(*mark, revision, &caller);
        Some(caller)
    }

    /// Whether the password was wrong before.
    pub fn is_bad(&self, mark: &Mark) -> bool {
        self.bad.get(mark).is_some()
    }

    pub fn learn_good(&self, mark: Mark, revision: u64, caller: &Arc<Caller>) {
        self.good.insert(mark, (revision, Arc::clone(caller)));
    }

    pub fn learn_bad(&self, mark: Mark) {
        self.bad.insert(mark, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(cost: u32) -> PasswordHash {
        PasswordHash::parse(&format!("$2y${cost:02}$UuTkLRZZ6QofpDOlMz32MuuxEHA43WOemOYHPz6.SjsVsyO1tDU96")).unwrap()
    }

    #[test]
    fn a_mark_stands_for_user_hash_and_password_and_no_others() {
        let memory = Memory::new().unwrap();
        let mark = memory.mark("ann", &hash(4), "secret");
        assert_eq!(mark, memory.mark("ann", &hash(4), "secret"));
        for other in [
            memory.mark("anns", &hash(4), "ecret"),
            memory.mark("ann", &hash(5), "secret"),
            memory.mark("ann", &hash(4), "Secret"),
            Memory::new().unwrap().mark("ann", &hash(4), "secret"),
        ] {
            assert_ne!(mark, other);
        }
    }

    #[test]
    fn a_flood_of_wrong_passwords_evicts_no_right_one() {
        let memory = Memory::new().unwrap();
        let caller = Arc::new(Caller::default());
        let marks: Vec<Mark> =
            (0..100).map(|number| memory.mark("ann", &hash(4), &format!("right {number}"))).collect();
        marks.iter().for_each(|mark| memory.learn_good(*mark, 1, &caller));
        for number in 0..50_000 {
            memory.learn_bad(memory.mark("ann", &hash(4), &format!("wrong {number}")));
        }
        assert!(marks.iter().all(|mark| memory.good(mark, 1, || panic!("made anew")).is_some()));
        assert!(memory.bad.len() <= BAD);
    }

    #[test]
    fn the_caller_is_made_anew_when_the_consumers_have_changed() {
        let memory = Memory::new().unwrap();
        let mark = memory.mark("ann", &hash(4), "secret");
        memory.learn_good(mark, 1, &Arc::new(Caller::default()));
        let made = memory.good(&mark, 2, || Arc::new(Caller { id: "new".into(), ..Caller::default() })).unwrap();
        assert_eq!(&*made.id, "new");
        assert!(Arc::ptr_eq(&made, &memory.good(&mark, 2, || panic!("made anew")).unwrap()));
    }
}
