//! What one gateway takes out of its cache, all take out: a log in the store, and a bell that rings when it grows.
//!
//! Each entry has a number. A gateway knows up to which it has followed, and asks for what came since: whether it was away
//! for a moment, or was started later with answers on its disk, it misses none. Where its place in the log is not known
//! any more (the log is longer than what is kept of it, or the store has lost its memory), everything may have been purged,
//! and so it is. While the store is out of reach, purges wait here and are told when it is back.

use super::StoreError;
use super::store::Store;
use super::wire::Bell;
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::Notify;

/// Entries of the log that are kept.
pub(super) const KEPT: usize = 10_000;
/// Purges that may wait; where more come, all of them become one of everything.
const MOST_WAITING: usize = 10_000;
/// Told at once.
const MOST_AT_ONCE: usize = 256;
/// How often the log is looked at though no bell has rung, and where there is no bell.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_millis(250));
/// How long the store may take to answer.
const ANSWER: Duration = Duration::from_secs(1);
/// What takes out everything.
const EVERYTHING: &str = "everything";

/// Who takes out what others have purged.
pub trait Follower: Send + Sync {
    /// Others have purged this.
    fn purged(&self, what: &str);
    /// It is not known what was purged.
    fn lost(&self);
    /// All that was purged up to there is taken out.
    fn reached(&self, place: &Place);
}

/// A place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Names the log, which is another one when the store has lost its memory.
    pub era: String,
    /// The number of the last entry.
    pub number: u64,
    /// That entry.
    pub last: String,
}

impl Place {
    /// As it is written down.
    pub fn to_text(&self) -> String {
        format!("{} {} {}", self.era, self.number, self.last)
    }

    /// What was written so.
    pub fn of_text(text: &str) -> Option<Self> {
        let (era, rest) = text.split_once(' ')?;
        let (number, last) = rest.split_once(' ')?;
        Some(Self { era: era.to_owned(), number: number.parse().ok()?, last: last.to_owned() })
    }
}

/// What is asked of the log.
#[derive(Clone, Debug)]
pub struct PurgeAsk {
    /// Up to where the asker has followed.
    pub place: Place,
    /// The name of an era, should one begin.
    pub era: String,
    /// Entries to add.
    pub entries: Vec<String>,
}

/// What the log answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeNews {
    /// Where it ends now.
    pub place: Place,
    /// What came since the asker's place; `None` where that is not known.
    pub entries: Option<Vec<String>>,
}

/// Purges that the log does not have yet, as far as is known; the oldest first.
#[derive(Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// So many of them are on their way: they wait until the store has answered.
    asked: usize,
}

/// What this gateway adds to the log.
struct Entry {
    number: u64,
    what: String,
}

impl Waiting {
    /// Adds a purge. Where too many wait, those not yet on their way become one of everything.
    fn add(&mut self, entry: Entry) {
        if self.entries.len() >= MOST_WAITING
            && let Some(number) = self.entries.get(self.asked).map(|oldest| oldest.number)
        {
            self.entries.truncate(self.asked);
            self.entries.push_back(Entry { number, what: EVERYTHING.to_owned() });
        }
        self.entries.push_back(entry);
    }

    /// Whether all before that number are in the log.
    fn has_told(&self, number: u64) -> bool {
        self.entries.front().is_none_or(|oldest| oldest.number >= number)
    }
}

/// The purges of a gateway and of all others.
pub struct Purges {
    /// Names this gateway in the log.
    id: String,
    /// Tells apart what it has purged.
    next: AtomicU64,
    waiting: Mutex<Waiting>,
    follower: ArcSwapOption<Box<dyn Follower>>,
    place: Mutex<Place>,
    caught_up: AtomicBool,
    wake: Notify,
    told: Notify,
}

impl Default for Purges {
    fn default() -> Self {
        Self {
            id: format!("{:016x}", rand::random::<u64>()),
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            follower: ArcSwapOption::empty(),
            place: Mutex::default(),
            caught_up: AtomicBool::new(false),
            wake: Notify::new(),
            told: Notify::new(),
        }
    }
}

impl Purges {
    /// Follows the log from there on; without a place everything may have been purged.
    pub fn follow(&self, follower: Box<dyn Follower>, from: Option<Place>) {
        let mut place = self.place.lock();
        *place = from.unwrap_or_default();
        self.caught_up.store(false, SeqCst);
        self.follower.store(Some(Arc::new(follower)));
        drop(place);
        self.wake.notify_one();
    }

    /// Follows no longer.
    pub fn leave(&self) {
        self.follower.store(None);
    }

    /// Tells all other gateways, as soon as the store is there.
    pub fn publish(&self, what: &str) {
        let mut waiting = self.waiting.lock();
        let number = self.next.fetch_add(1, SeqCst);
        waiting.add(Entry { number, what: what.to_owned() });
        drop(waiting);
        self.wake.notify_one();
    }

    /// Waits until all that was published so far is in the log, for so long at most; false where it is not.
    pub fn all_told(&self, longest: Duration) -> impl Future<Output = bool> {
        let next = self.next.load(SeqCst);
        let all = async move {
            loop {
                let told = self.told.notified();
                tokio::pin!(told);
                told.as_mut().enable();
                if self.waiting.lock().has_told(next) {
                    return;
                }
                told.await;
            }
        };
        async move { tokio::time::timeout(longest, all).await.is_ok() }
    }

    /// Whether nobody follows, or the log has been followed to its end since that began.
    pub(super) fn is_caught_up(&self) -> bool {
        self.follower.load().is_none() || self.caught_up.load(SeqCst)
    }

    /// How many purges wait to be told.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().entries.len()
    }

    /// What is to be told now. It waits on until [`Self::answered`].
    fn ask(&self) -> Vec<String> {
        let mut waiting = self.waiting.lock();
        waiting.asked = waiting.entries.len().min(MOST_AT_ONCE);
        let asked = waiting.entries.iter().take(waiting.asked);
        asked.map(|Entry { number, what }| format!("{} {number} {what}", self.id)).collect()
    }

    /// The store has answered, or not: then it is not known whether the log has them, and twice does no harm.
    fn answered(&self, told: bool) {
        let mut waiting = self.waiting.lock();
        let asked = std::mem::take(&mut waiting.asked);
        if told {
            waiting.entries.drain(..asked);
            drop(waiting);
            self.told.notify_waiters();
        }
    }

    /// Takes in what the log has answered to that follower. What this gateway has purged itself is done already.
    fn take_in(&self, news: PurgeNews, follower: &Arc<Box<dyn Follower>>) {
        let own = format!("{} ", self.id);
        match &news.entries {
            None => follower.lost(),
            Some(entries) => {
                for entry in entries.iter().filter(|entry| !entry.starts_with(&own)) {
                    let mut parts = entry.splitn(3, ' ').skip(2);
                    follower.purged(parts.next().unwrap_or(EVERYTHING));
                }
            }
        }
        let mut place = self.place.lock();
        if !self.follower.load().as_ref().is_some_and(|now| Arc::ptr_eq(now, follower)) {
            return; // another follows since it was asked, from a place of its own
        }
        let first = !self.caught_up.swap(true, SeqCst);
        if first || *place != news.place {
            follower.reached(&news.place);
            *place = news.place;
        }
    }
}

/// Follows as long as the store is kept connected.
pub(super) async fn run(store: &Store) {
    let purges = store.purges();
    let mut bell = None::<Bell>;
    loop {
        let mut more = false;
        if let Some(follower) = purges.follower.load_full() {
            more = exchange(store, purges, &follower).await;
            if bell.is_none() && store.is_reachable() {
                let ringing = tokio::time::timeout(ANSWER, Bell::listen(store.plan())).await;
                bell = ringing.ok().flatten();
            }
        }
        if more {
            continue;
        }
        let pause = if bell.is_some() { PAUSES.0 } else { PAUSES.1 };
        tokio::select! {
            () = purges.wake.notified() => {}
            rang = rings(&mut bell) => if !rang { bell = None },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn rings(bell: &mut Option<Bell>) -> bool {
    match bell {
        Some(bell) => bell.rings().await,
        None => std::future::pending().await,
    }
}

/// Tells what waits and hears what is new. True where there is more to tell.
async fn exchange(store: &Store, purges: &Purges, follower: &Arc<Box<dyn Follower>>) -> bool {
    let Some(connected) = store.connected().filter(|_| store.is_reachable()) else { return false };
    let era = format!("{:016x}", rand::random::<u64>());
    let ask = PurgeAsk { place: purges.place.lock().clone(), era, entries: purges.ask() };
    let answer = tokio::time::timeout(ANSWER, connected.purges(&ask)).await.unwrap_or(Err(StoreError::Timeout));
    store.breaker().observe(&answer);
    purges.answered(answer.is_ok());
    match answer {
        Ok(news) => {
            purges.take_in(news, follower);
            purges.waiting() > 0
        }
        Err(error) => {
            store.metrics().failed(error.label());
            false
        }
    }
}

#[cfg(test)]
mod tests;
