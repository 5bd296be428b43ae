//! What one request asks of the cache.

use super::client::{Client, Freshness};
use super::key::Key;
use super::object::Object;
use super::plan::Plan;
use http::HeaderMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::SystemTime;

/// Why a request goes past the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// By its method.
    Method,
    /// By what the client asks.
    Request,
    /// By something else in it: in a word.
    Because(&'static str),
}

/// What one request asks of the cache. Pingora carries it with the key.
#[derive(Debug)]
pub struct Asked {
    /// The policy.
    pub plan: Arc<Plan>,
    /// Its key.
    pub key: Arc<Key>,
    /// What its client asks, where that counts.
    pub client: Client,
    /// Purges before it began.
    pub(super) epoch: u64,
    /// When it began.
    pub now: SystemTime,
    state: Mutex<State>,
    end: AtomicU8,
}

/// Nobody asks for a sign at the end of the body; somebody does; it has been given.
const NO_SIGN: u8 = 0;
const SIGN: u8 = 1;
const SIGNED: u8 = 2;

#[derive(Debug, Default)]
struct State {
    /// What the first look-up found, until Pingora asks for it.
    found: Option<Arc<Object>>,
    /// The fields of the request, where a later look-up or the answer's `Vary` will ask for them.
    fields: Option<HeaderMap>,
    /// The answer that is being fetched for it.
    filling: Option<Arc<Object>>,
}

impl Asked {
    /// A request that found this; its fields are kept where it may have to look again.
    pub fn new(plan: Arc<Plan>, key: Key, now: SystemTime, found: Found<'_>) -> Self {
        let client = if plan.honour_client { Client::of(found.request) } else { Client::default() };
        let is_done = found.object.as_ref().is_some_and(|object| client.judge(object, now) == Freshness::Fresh);
        let fields = (!is_done).then(|| found.request.clone());
        let state = Mutex::new(State { found: found.object, fields, filling: None });
        Self { plan, key: Arc::new(key), client, epoch: found.epoch, now, state, end: AtomicU8::new(NO_SIGN) }
    }

    /// Asks for a piece without content at the end of the body: Pingora itself does not say which piece of an answer that
    /// is read back while it is kept is the last, and what changes bodies must know.
    pub fn ask_for_end(&self) {
        let _ = self.end.compare_exchange(NO_SIGN, SIGN, Relaxed, Relaxed);
    }

    /// Whether that piece was given.
    pub fn has_ended(&self) -> bool {
        self.end.load(Relaxed) == SIGNED
    }

    /// The end is reached: whether that piece is to be given now.
    pub(super) fn gives_sign(&self) -> bool {
        self.end.compare_exchange(SIGN, SIGNED, Relaxed, Relaxed).is_ok()
    }

    pub(super) fn take_found(&self) -> Option<Arc<Object>> {
        self.state.lock().found.take()
    }

    pub(super) fn with_fields<T>(&self, read: impl FnOnce(&HeaderMap) -> T) -> T {
        match &self.state.lock().fields {
            Some(fields) => read(fields),
            None => read(&HeaderMap::new()),
        }
    }

    pub(super) fn fill(&self, object: Arc<Object>) {
        self.state.lock().filling = Some(object);
    }

    pub(super) fn filling(&self) -> Option<Arc<Object>> {
        self.state.lock().filling.clone()
    }
}

/// What the first look-up of a request found.
#[derive(Debug)]
pub struct Found<'a> {
    /// The answer.
    pub object: Option<Arc<Object>>,
    /// The fields of the request.
    pub request: &'a HeaderMap,
    /// Purges before it began.
    pub epoch: u64,
}
