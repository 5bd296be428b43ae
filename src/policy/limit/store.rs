//! Where limits keep their counts: one for a gateway, outliving its snapshots.

use super::gcra::Ticks;
use super::sketch::Sketch;
use super::table::{KeyHash, Table};
use crate::request::Moment;
use ahash::RandomState;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;
use std::time::Instant;

/// Room for that many keys at once where nothing else is said: 34 MB for rates, and as much for quotas.
pub const MAX_KEYS: usize = 1_000_000;

/// The counts of all limits of a gateway.
pub struct LimitStore {
    /// Made when the first limit is asked: a gateway without limits keeps no table.
    rates: OnceLock<Table>,
    quotas: OnceLock<Table>,
    max_keys: usize,
    hashers: [RandomState; 2],
    /// Keys what is written to disk: nobody who reads the file can tell whose counts they are.
    secret: [u8; 32],
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
        Self {
            rates: OnceLock::new(),
            quotas: OnceLock::new(),
            max_keys,
            hashers: [RandomState::new(), RandomState::new()],
            secret,
            began: Instant::now(),
        }
    }

    /// The moment a request began.
    pub fn now(&self, moment: &Moment) -> Now {
        // A second before the first request: a state of 0 is in the past for all of them.
        let second = Ticks::from_duration(std::time::Duration::from_secs(1)).0;
        let since = moment.started.saturating_duration_since(self.began);
        Now { ticks: Ticks(Ticks::from_duration(since).0 + second), unix: moment.unix_seconds() }
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
    pub fn lasting_hash(&self, write: impl Fn(&mut dyn Hasher)) -> u64 {
        let mut written = Written(SmallVec::from_slice(&self.secret));
        write(&mut written);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &written.0);
        let first = digest.as_ref().first_chunk::<8>().copied().unwrap_or_default();
        u64::from_le_bytes(first)
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

/// Gathers what is hashed, for a hash over the whole.
struct Written(SmallVec<[u8; 256]>);

impl Hasher for Written {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        0 // never asked: the digest is
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
}
