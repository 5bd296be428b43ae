//! An answer that is kept.

use super::body::Body;
use super::disk::Stored;
use super::vary::{Variance, Vary};
use http::{StatusCode, header};
use pingora_cache::CacheMeta;
use pingora_http::ResponseHeader;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// What is counted for an object beside its bytes: the structures that hold it, about.
const OVERHEAD: u64 = 512;
/// And for each of its fields.
const OVERHEAD_OF_FIELD: u64 = 96;

/// What of an answer decides whom it may be given to and how it is purged.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By which fields of requests it differs from others at its URL.
    pub vary: Vary,
    /// What its own request says in them.
    pub variance: Variance,
    /// The same as a text that means the same to every process.
    pub said: Box<[u8]>,
    /// The names it is purged by.
    pub tags: Box<[Arc<str>]>,
    /// Whether it may never be given out of date, whoever asks (`must-revalidate` and the like).
    pub strict: bool,
}

/// How long an answer is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When it was made, by its origin's reckoning: what its age counts from.
    pub made: SystemTime,
    /// Until when it is fresh.
    pub fresh_until: SystemTime,
    /// How long after that it may be given while a new one is fetched, in seconds.
    pub while_revalidating: u32,
    /// How long after that it may be given because the upstream fails, in seconds.
    pub if_error: u32,
}

/// An answer that is kept, or on its way to be.
#[derive(Debug)]
pub struct Object {
    /// Its head, without the fields that are for one connection or one client.
    pub(super) header: ResponseHeader,
    pub(super) times: Times,
    pub(super) facts: Arc<Facts>,
    pub(super) body: Arc<Body>,
    /// The file it is kept in too, once it is.
    pub(super) file: OnceLock<Arc<Stored>>,
    /// Until which second nobody else need begin to fetch a new one.
    renewing_until: AtomicU64,
}

/// After so many seconds a fetch in the background is taken for failed and begun anew.
const RENEWAL: u64 = 5;

impl Object {
    /// An answer with that head whose body is to come, or is that of the one it renews.
    pub(super) fn of(meta: &CacheMeta, facts: Arc<Facts>, body: Arc<Body>) -> Self {
        let times = Times {
            made: meta.updated(),
            fresh_until: meta.fresh_until(),
            while_revalidating: meta.stale_while_revalidate_sec(),
            if_error: meta.stale_if_error_sec(),
        };
        Self::new(meta.response_header_copy(), times, facts, body)
    }

    pub(super) fn new(header: ResponseHeader, times: Times, facts: Arc<Facts>, body: Arc<Body>) -> Self {
        Self { header, times, facts, body, file: OnceLock::new(), renewing_until: AtomicU64::new(0) }
    }

    /// The same answer with its body in another place.
    pub(super) fn with_body(&self, body: Body) -> Self {
        let new = Self::new(self.header.clone(), self.times, Arc::clone(&self.facts), Arc::new(body));
        new.share_file(self);
        new
    }

    /// Is kept in the same file as another.
    pub(super) fn share_file(&self, other: &Self) {
        if let Some(file) = other.file.get() {
            let _ = self.file.set(Arc::clone(file));
        }
    }

    /// Whether nobody can be given it any more, nor an upstream be asked whether it is still good.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        let late = Duration::from_secs(self.times.while_revalidating.max(self.times.if_error).into());
        let renewable = [header::ETAG, header::LAST_MODIFIED].iter().any(|name| self.header.headers.contains_key(name));
        !renewable && self.times.fresh_until.checked_add(late).is_some_and(|end| end < now)
    }

    /// What Pingora is told of it.
    pub(super) fn meta(&self) -> CacheMeta {
        let Times { fresh_until, made, while_revalidating, if_error } = self.times;
        let mut header = self.header.clone();
        // What came in chunks has a length now: a client can be told, and ranges cut from it.
        let unframed = !header.headers.contains_key(header::CONTENT_LENGTH) && header.status != StatusCode::NO_CONTENT;
        if unframed && self.body.is_complete() {
            let _ = header.insert_header(header::CONTENT_LENGTH, self.body.length());
        }
        CacheMeta::new(fresh_until, made, while_revalidating, if_error, header)
    }

    /// Whether it is fresh then.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        self.times.fresh_until > now
    }

    /// For how long it is still fresh, or, negative, has not been; in whole seconds (RFC 9211 §2.5).
    pub fn ttl(&self, now: SystemTime) -> i64 {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        match self.times.fresh_until.duration_since(now) {
            Ok(left) => seconds(left),
            Err(over) => -seconds(over.duration()).max(1),
        }
    }

    /// Its age then (RFC 9111 §4.2.3).
    pub fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.times.made).unwrap_or_default()
    }

    /// Whether it may be given though it is no longer fresh, because a new one is being fetched.
    pub fn may_serve_while_revalidating(&self, now: SystemTime) -> bool {
        let until = self.times.fresh_until.checked_add(Duration::from_secs(self.times.while_revalidating.into()));
        self.times.while_revalidating > 0 && until.is_some_and(|until| until >= now)
    }

    /// Whether it was out of date as it arrived: it must be asked after for each request by itself.
    pub fn is_never_fresh(&self) -> bool {
        self.times.fresh_until <= self.times.made
    }

    /// Whether it falls to the one who asks to fetch a new one in the background.
    pub fn begin_renewal(&self, now: SystemTime) -> bool {
        let now = super::storage::seconds(now);
        let until = self.renewing_until.load(Relaxed);
        now >= until && self.renewing_until.compare_exchange(until, now + RENEWAL, Relaxed, Relaxed).is_ok()
    }

    /// Its fields.
    pub fn headers(&self) -> &http::HeaderMap {
        &self.header.headers
    }

    /// What of it decides whom it may be given to.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What it takes of the store's room, in bytes.
    pub(super) fn weight(&self) -> u64 {
        let fields = self.header.headers.iter();
        let head: u64 =
            fields.map(|(name, value)| (name.as_str().len() + value.len()) as u64 + OVERHEAD_OF_FIELD).sum();
        let tags: u64 = self.facts.tags.iter().map(|tag| tag.len() as u64 + 64).sum();
        OVERHEAD + head + tags + self.facts.said.len() as u64 + self.body.weight()
    }
}
