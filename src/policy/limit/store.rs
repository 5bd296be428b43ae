//! Where limits keep their counts: one for a gateway, outliving its snapshots.

use super::gcra::{Bucket, Ticks};
use super::guard::Guard;
use super::in_flight::{InFlight, Level};
use super::quota;
use super::sketch::Sketch;
use super::state::StateFolder;
use super::table::{KeyHash, Table};
use crate::request::Moment;
use crate::value::Rate;
use ahash::RandomState;
use aws_lc_rs::hmac;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

/// Room for that many keys at once where nothing else is said: 26 MB for rates, and as much for quotas.
pub const MAX_KEYS: usize = 1_000_000;

/// The counts of all limits of a gateway.
pub struct LimitStore {
    /// Made when the first limit is asked: a gateway without limits keeps no table.
    rates: OnceLock<Table>,
    quotas: OnceLock<Table>,
    max_keys: usize,
    /// Requests under way, by key.
    in_flight: Arc<InFlight>,
    /// Requests under way, by level.
    levels: Named<String, Level>,
    /// By listener, by what it counts, and by the rate.
    guards: Mutex<HashMap<(String, Rate), Weak<Guard>>>,
    /// One for each rate there is.
    overflows: Named<Bucket, Overflow>,
    hashers: [RandomState; 2],
    /// Keys what is written to disk: nobody who reads the file can tell whose counts they are.
    secret: [u8; 32],
    /// The key of that hash.
    lasting: [u64; 2],
    began: Instant,
}

impl Default for LimitStore {
    fn default() -> Self {
        Self::new(MAX_KEYS)
    }
}

/// A moment as limits need it: on the clock of rates and by the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// On the store's clock.
    pub ticks: Ticks,
    /// Seconds since the epoch.
    pub unix: u64,
}

impl LimitStore {
    /// A store with room for about that many keys, of rates and of quotas each.
    pub fn new(max_keys: usize) -> Self {
        let mut secret = [0; 32];
        rand::RngCore::fill_bytes(&mut rand::thread_rng(), &mut secret);
        Self::with_secret(max_keys, secret)
    }

    /// The same, going on from the quotas that were found in a folder.
    pub fn open(max_keys: usize, folder: Option<&StateFolder>) -> Self {
        let Some(saved) = folder.and_then(StateFolder::found) else { return Self::new(max_keys) };
        let store = Self::with_secret(max_keys, saved.secret);
        let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        saved.entries.iter().for_each(|entry| store.add_quota(*entry, None, now));
        store
    }

    fn with_secret(max_keys: usize, secret: [u8; 32]) -> Self {
        Self {
            rates: OnceLock::new(),
            quotas: OnceLock::new(),
            max_keys,
            in_flight: Arc::default(),
            levels: Named::default(),
            guards: Mutex::default(),
            overflows: Named::default(),
            hashers: [RandomState::new(), RandomState::new()],
            secret,
            lasting: words(&derived(&secret, "fingerprints of quotas")),
            began: Instant::now(),
        }
    }

    /// The moment a request began.
    pub fn now(&self, moment: &Moment) -> Now {
        // A second before the first request: a state of 0 is in the past for all of them.
        let since = moment.started.saturating_duration_since(self.began);
        Now { ticks: Ticks(Ticks::from_duration(since).0 + Ticks::SECOND.0), unix: moment.unix_seconds() }
    }

    /// The keyed hash of what `write` writes, for the life of this process.
    pub fn hash(&self, write: impl Fn(&mut dyn Hasher)) -> KeyHash {
        let [bucket, print] = self.hashers.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            write(&mut hasher);
            hasher.finish()
        });
        KeyHash::new(bucket, print)
    }

    /// The keyed hash of what `write` writes, the same in a later process that took the secret over.
    #[expect(deprecated, reason = "the only keyed hash of std that is the same in every process: SipHash-2-4")]
    pub fn lasting_hash(&self, write: impl Fn(&mut dyn Hasher)) -> u64 {
        let [first, second] = self.lasting;
        let mut hasher = std::hash::SipHasher::new_with_keys(first, second);
        write(&mut hasher);
        hasher.finish()
    }

    /// A key for another purpose, of the secret that lives as long as the counts do: over reloads, and with a folder for
    /// them over restarts and upgrades (HMAC-SHA256, RFC 2104).
    pub fn derived(&self, purpose: &str) -> [u8; 32] {
        derived(&self.secret, purpose)
    }

    /// What keys the fingerprints of quotas.
    pub(super) fn secret(&self) -> [u8; 32] {
        self.secret
    }

    /// Adds a count of quotas that was saved, as far as it is more than `base`, which is counted already.
    pub(super) fn add_quota(&self, entry: (u64, u64), base: Option<u64>, now: u64) {
        quota::add(self.quotas(), entry, base, now);
    }

    /// What is to be saved.
    pub(super) fn saved_quotas(&self, now: u64) -> Vec<(u64, u64)> {
        self.quotas.get().map_or_else(Vec::new, |table| quota::saved(table, now))
    }

    /// Requests under way, by key.
    pub(super) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }

    /// Requests under way through a level, which go on being counted over a reload.
    pub(super) fn level(&self, name: &str) -> Arc<Level> {
        self.levels.resolve(name.to_owned())
    }

    /// The guard of that name, which goes on counting as long as somebody holds it.
    pub fn guard(&self, name: &str, rate: Rate) -> Arc<Guard> {
        let mut held = self.guards.lock();
        if let Some(known) = held.get(&(name.to_owned(), rate)).and_then(Weak::upgrade) {
            return known;
        }
        held.retain(|_, guard| guard.strong_count() > 0);
        let made = Arc::new(Guard::new(name, &rate, self));
        held.insert((name.to_owned(), rate), Arc::downgrade(&made));
        made
    }

    /// What the limits of a rate share for keys that find no room.
    pub(super) fn overflow(&self, bucket: Bucket) -> Arc<Overflow> {
        self.overflows.resolve(bucket)
    }

    /// The table of rates.
    pub(super) fn rates(&self) -> &Table {
        self.rates.get_or_init(|| Table::new(self.max_keys))
    }

    /// The table of quotas.
    pub(super) fn quotas(&self) -> &Table {
        self.quotas.get_or_init(|| Table::new(self.max_keys))
    }
}

fn derived(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), purpose.as_bytes());
    std::array::from_fn(|at| tag.as_ref().get(at).copied().unwrap_or_default())
}

/// The first words of a key.
fn words(key: &[u8; 32]) -> [u64; 2] {
    let (words, _) = key.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).copied().map_or(0, u64::from_le_bytes))
}

/// What is shared by name for as long as a snapshot holds it.
struct Named<K, V>(Mutex<HashMap<K, Weak<V>>>);

impl<K, V> Default for Named<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Default> Named<K, V> {
    fn resolve(&self, name: K) -> Arc<V> {
        let mut held = self.0.lock();
        if let Some(known) = held.get(&name).and_then(Weak::upgrade) {
            return known;
        }
        held.retain(|_, value| value.strong_count() > 0);
        let made = Arc::new(V::default());
        held.insert(name, Arc::downgrade(&made));
        made
    }
}

/// What one rate needs when the table is full.
#[derive(Default)]
pub struct Overflow(OnceLock<Sketch>);

impl Overflow {
    /// The sketch, made now if it was not needed before.
    pub fn sketch(&self) -> &Sketch {
        self.0.get_or_init(Default::default)
    }

    /// The sketch, if there has been need of one.
    pub fn in_use(&self) -> Option<&Sketch> {
        self.0.get()
    }
}
