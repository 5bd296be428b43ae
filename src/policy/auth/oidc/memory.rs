//! Sessions that were opened before, so that the next request with the same cookie costs a hash; and those that were
//! ended, which no cookie brings back.
//!
//! A cookie is found by its mark: neither it nor what it was sealed by stands here. Only sessions that could be opened
//! get in, so that a flood of made-up cookies evicts none. How long a session holds is asked of it at each request,
//! whether it was remembered or not. What was ended is carried over a reload, what was opened is not: a reload may have
//! changed whom a session names.

use super::replay::Used;
use super::session::Session;
use crate::policy::auth::marker::{Mark, Marker};
use crate::request::Caller;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Bytes of cookies whose sessions are kept, about.
const MOST_BYTES: u64 = 16 << 20;
/// What a session weighs beside its cookie.
const OVERHEAD: u64 = 1024;
/// Sessions that are expected; only tables are made after it.
const EXPECTED: usize = 8192;

/// A session that was opened.
pub struct Opened {
    /// What the cookie says.
    pub session: Session,
    /// Whom it names, if anybody.
    pub caller: Option<Arc<Caller>>,
    /// Of the consumers the caller was found among.
    pub revision: u64,
    weight: u64,
}

#[derive(Clone)]
struct ByCookie;

impl Weighter<Mark, Arc<Opened>> for ByCookie {
    fn weight(&self, _mark: &Mark, opened: &Arc<Opened>) -> u64 {
        opened.weight
    }
}

/// Sessions that were opened, and those that were ended.
pub struct Memory {
    marker: Marker,
    opened: Cache<Mark, Arc<Opened>, ByCookie>,
    ended: Arc<Used>,
}

impl Memory {
    /// Knows no session yet but the `ended` ones.
    pub fn new(marker: Marker, ended: Arc<Used>) -> Self {
        Self { marker, opened: Cache::with_weighter(EXPECTED, MOST_BYTES, ByCookie), ended }
    }

    /// The sessions that were ended.
    pub fn ended(&self) -> &Arc<Used> {
        &self.ended
    }

    /// The session of a cookie that was sealed; opened by `open` where it is not known, and named anew by `name` where
    /// the consumers are others. `None` for what cannot be opened, and for a session that was ended.
    pub fn session(
        &self,
        sealed: &str,
        revision: u64,
        open: impl FnOnce() -> Option<Session>,
        name: impl FnOnce(&Session) -> Option<Arc<Caller>>,
    ) -> Option<Arc<Opened>> {
        let mark = self.marker.mark(sealed.as_bytes());
        let session = match self.opened.get(&mark) {
            Some(known) if known.revision == revision => return Some(known),
            Some(known) => known.session.clone(),
            None => open()?,
        };
        let caller = name(&session);
        let weight = OVERHEAD + 2 * sealed.len() as u64;
        let opened = Arc::new(Opened { session, caller, revision, weight });
        self.opened.insert(mark, Arc::clone(&opened));
        // Looked at last: whoever ends it in the meantime has either seen it here or is seen here.
        if self.ended.contains(&opened.session.id) {
            self.opened.remove(&mark);
            return None;
        }
        Some(opened)
    }

    /// Ends a session that would hold until `until`: this cookie's, and every older or newer cookie's of the same login.
    pub fn end(&self, session: &Session, now: u64, until: u64) {
        // Ended twice it is ended all the same.
        let _ = self.ended.first_use(&session.id, now, until);
        self.opened.retain(|_, opened| opened.session.id != session.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn session(id: &str) -> Session {
        let claims = serde_json::Map::new();
        Session { id: id.into(), claims, began: 0, seen: 0, refresh: None, renew_at: None }
    }

    fn memory() -> Memory {
        Memory::new(Marker::new().unwrap(), Arc::default())
    }

    fn caller(_: &Session) -> Option<Arc<Caller>> {
        Some(Arc::default())
    }

    #[test]
    fn a_cookie_is_opened_once_and_its_session_named_anew_with_other_consumers() {
        let (memory, opened, named) = (memory(), Cell::new(0), Cell::new(0));
        for revision in [1, 1, 2, 2] {
            let open = || {
                opened.set(opened.get() + 1);
                Some(session("s"))
            };
            let name = |session: &Session| {
                named.set(named.get() + 1);
                caller(session)
            };
            assert_eq!(memory.session("sealed", revision, open, name).unwrap().session.id, "s");
        }
        assert_eq!((opened.get(), named.get()), (1, 2));
    }

    #[test]
    fn what_cannot_be_opened_is_not_remembered_and_evicts_nothing() {
        let memory = memory();
        assert!(memory.session("good", 1, || Some(session("s")), caller).is_some());
        for number in 0..100_000 {
            assert!(memory.session(&number.to_string(), 1, || None, caller).is_none());
        }
        assert_eq!(memory.opened.len(), 1);
        assert!(memory.session("good", 1, || panic!("it is known"), caller).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let memory = memory();
        let long = "x".repeat(10_000);
        for number in 0..5_000 {
            memory.session(&format!("{long}{number}"), 1, || Some(session("s")), caller);
        }
        assert!(memory.opened.weight() <= MOST_BYTES && memory.opened.len() < 1_000, "{}", memory.opened.len());
    }

    #[test]
    fn an_ended_session_is_gone_whichever_cookie_brings_it() {
        let memory = memory();
        for cookie in ["older", "newer"] {
            assert!(memory.session(cookie, 1, || Some(session("s")), caller).is_some());
        }
        assert!(memory.session("another's", 1, || Some(session("t")), caller).is_some());
        memory.end(&session("s"), 0, 100);
        for cookie in ["older", "newer", "kept by a thief"] {
            assert!(memory.session(cookie, 1, || Some(session("s")), caller).is_none(), "{cookie}");
        }
        assert_eq!(memory.opened.len(), 1);
        let after_a_reload = Memory::new(Marker::new().unwrap(), Arc::clone(memory.ended()));
        assert!(after_a_reload.session("older", 1, || Some(session("s")), caller).is_none());
    }
}
