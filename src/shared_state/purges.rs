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
mod tests {
    use super::super::counter::{Ask, CounterStore, Decided};
    use super::super::plan::{Plan, Servers};
    use super::*;
    use crate::observe::metrics::{Metrics, MetricsSettings};

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Follower for Arc<Heard> {
        fn purged(&self, what: &str) {
            self.0.lock().push(what.to_owned());
        }

        fn lost(&self) {
            self.0.lock().push("lost".to_owned());
        }

        fn reached(&self, place: &Place) {
            self.0.lock().push(format!("at {}", place.number));
        }
    }

    fn place(number: u64) -> Place {
        Place { era: "e".into(), number, last: "x 1 url a/b c".into() }
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        for place in [place(7), Place { last: String::new(), ..place(0) }] {
            assert_eq!(Place::of_text(&place.to_text()), Some(place));
        }
        assert_eq!((Place::of_text(""), Place::of_text("e x y")), (None, None));
    }

    /// Follows; and what is given as the one who does.
    fn following(purges: &Purges, from: Option<Place>) -> (Arc<Heard>, Arc<Box<dyn Follower>>) {
        let heard = Arc::new(Heard::default());
        purges.follow(Box::new(Arc::clone(&heard)), from);
        (heard, purges.follower.load_full().unwrap())
    }

    #[test]
    fn what_one_asked_says_nothing_of_how_far_the_next_has_followed() {
        let purges = Purges::default();
        let (_, former) = following(&purges, None);
        let (heard, follower) = following(&purges, Some(place(3)));
        purges.take_in(PurgeNews { place: place(7), entries: Some(Vec::new()) }, &former);
        assert!(heard.0.lock().is_empty() && !purges.is_caught_up());
        assert_eq!(*purges.place.lock(), place(3), "what came since is asked for yet");
        purges.take_in(PurgeNews { place: place(7), entries: Some(vec!["x 9 tag t".into()]) }, &follower);
        assert_eq!(*heard.0.lock(), ["tag t", "at 7"]);
        assert!(purges.is_caught_up());
    }

    #[test]
    fn others_purges_are_heard_and_own_ones_are_done_already() {
        let purges = Purges::default();
        let (heard, follower) = following(&purges, None);
        let news = |number, entries| PurgeNews { place: place(number), entries };
        purges.take_in(news(4, None), &follower);
        purges.publish("tag t");
        let own = purges.ask().remove(0);
        purges.take_in(news(7, Some(vec!["x 1 url a/b c".into(), own, "odd".into()])), &follower);
        purges.take_in(news(7, Some(Vec::new())), &follower);
        assert_eq!(*heard.0.lock(), ["lost", "at 4", "url a/b c", "everything", "at 7"]);
    }

    #[test]
    fn too_many_that_wait_become_one_of_everything_beside_what_is_on_its_way() {
        let purges = Purges::default();
        purges.publish("tag first");
        assert_eq!(purges.ask().len(), 1);
        (0..=MOST_WAITING).for_each(|number| purges.publish(&format!("tag {number}")));
        assert_eq!(purges.waiting(), 4, "the first, everything, and the two that came after it");
        purges.answered(true);
        assert!(purges.ask().first().is_some_and(|entry| entry.ends_with(" everything")));
    }

    /// A store that answers when it is let.
    #[derive(Default)]
    struct Slow {
        asked: Notify,
        gate: Notify,
        log: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl CounterStore for Arc<Slow> {
        async fn decide(&self, _: &[Ask]) -> Result<Decided, StoreError> {
            Err(StoreError::Reply)
        }

        async fn presence(&self, _: &str) -> Result<u64, StoreError> {
            Ok(1)
        }

        async fn purges(&self, ask: &PurgeAsk) -> Result<PurgeNews, StoreError> {
            self.log.lock().extend(ask.entries.iter().cloned());
            self.asked.notify_one();
            self.gate.notified().await;
            Ok(PurgeNews { place: place(self.log.lock().len() as u64), entries: Some(Vec::new()) })
        }
    }

    /// A store of that kind in service.
    fn slow() -> (Arc<Store>, Arc<Slow>) {
        let node = "127.0.0.1:1".parse().unwrap();
        let servers = Servers::One { node, database: 0 };
        let plan = Plan {
            servers,
            login: Default::default(),
            tls: None,
            timeout: ANSWER,
            prefix: String::new(),
            on_store_failure: Default::default(),
        };
        let settings = MetricsSettings { workers: 1, max_routes: 1, reasons: &[] };
        let (store, slow) = (Store::new(plan, Metrics::new(settings).shared_state()).0, Arc::new(Slow::default()));
        store.connect(Some(Box::new(Arc::clone(&slow))));
        (store, slow)
    }

    /// Does that while the store is followed.
    async fn while_following(store: &Store, test: impl Future<Output = ()>) {
        tokio::select! {
            () = run(store) => {}
            () = test => {}
        }
    }

    #[tokio::test]
    async fn what_is_on_its_way_is_not_told_yet() {
        let (store, slow) = slow();
        let purges = store.purges();
        following(purges, None);
        purges.publish("tag t");
        while_following(&store, async {
            slow.asked.notified().await;
            assert!(!purges.all_told(Duration::from_millis(20)).await, "nobody has said that it is in the log");
            assert_eq!(purges.waiting(), 1);
            slow.gate.notify_one();
            assert!(purges.all_told(Duration::from_secs(10)).await);
            assert_eq!(purges.waiting(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn nobody_waits_for_what_others_publish_later() {
        let (store, slow) = slow();
        let purges = store.purges();
        following(purges, None);
        purges.publish("tag t");
        while_following(&store, async {
            slow.asked.notified().await;
            let told = purges.all_told(Duration::from_secs(10));
            purges.publish("tag later");
            slow.gate.notify_one();
            assert!(told.await);
            assert_eq!(purges.waiting(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn what_may_not_have_arrived_is_told_again() {
        let (store, slow) = slow();
        let purges = store.purges();
        following(purges, None);
        purges.publish("tag t");
        while_following(&store, async {
            slow.asked.notified().await;
            slow.asked.notified().await; // the first had no answer in time
            slow.gate.notify_one();
            assert!(purges.all_told(Duration::from_secs(10)).await);
            let log = slow.log.lock();
            assert!(log.len() == 2 && log[0] == log[1], "{log:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn who_begins_to_follow_while_another_s_question_waits_is_caught_up_without_a_purge() {
        let (store, slow) = slow();
        let purges = store.purges();
        following(purges, None);
        while_following(&store, async {
            slow.asked.notified().await;
            let (heard, _) = following(purges, Some(place(0)));
            slow.gate.notify_one();
            slow.asked.notified().await;
            slow.gate.notify_one();
            slow.asked.notified().await; // the one before has been taken in
            assert_eq!(*heard.0.lock(), ["at 0"]);
            assert!(purges.is_caught_up());
        })
        .await;
    }
}
