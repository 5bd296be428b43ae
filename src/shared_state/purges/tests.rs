//! The log over a store that answers when the test says so.

use super::*;
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::shared_state::counter::{Ask, CounterStore, Decided};
use crate::shared_state::plan::{Plan, Servers};

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
