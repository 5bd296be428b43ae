//! Many askers of one thing, one question.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

type Underway<V> = WeakShared<BoxFuture<'static, V>>;
type Table<K, V> = Mutex<HashMap<K, (u64, Underway<V>)>>;

/// Questions under way, by key: who asks what is being asked already waits for the same answer.
///
/// A question goes on for as long as one of its askers is left; when the last one leaves it is dropped. Nothing is kept
/// of an answer: that is a cache's work.
pub struct Flight<K, V> {
    underway: Arc<Table<K, V>>,
    tickets: AtomicU64,
}

impl<K, V> Default for Flight<K, V> {
    fn default() -> Self {
        Self { underway: Arc::default(), tickets: AtomicU64::new(0) }
    }
}

impl<K, V> Flight<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer for `key`: of the question under way, else of the one that `begin` makes.
    pub fn join<F>(&self, key: K, begin: impl FnOnce() -> F) -> Shared<BoxFuture<'static, V>>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut underway = self.underway.lock();
        if let Some(shared) = underway.get(&key).and_then(|(_, weak)| weak.upgrade()) {
            return shared;
        }
        let ticket = self.tickets.fetch_add(1, Relaxed);
        let entry = Entry { table: Arc::clone(&self.underway), key: key.clone(), ticket };
        let question = begin();
        let future = async move {
            let _entry = entry;
            question.await
        };
        let shared = future.boxed().shared();
        if let Some(weak) = shared.downgrade() {
            underway.insert(key, (ticket, weak));
        }
        shared
    }

    /// Questions under way.
    pub fn len(&self) -> usize {
        self.underway.lock().len()
    }

    /// Whether nothing is being asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Takes its question out of the table when it is answered or dropped.
struct Entry<K: Eq + Hash, V> {
    table: Arc<Table<K, V>>,
    key: K,
    ticket: u64,
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut table = self.table.lock();
        // The key may be another question's by now.
        if table.get(&self.key).is_some_and(|(ticket, _)| *ticket == self.ticket) {
            table.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn many_askers_are_one_question() {
        let (flight, asked) = (Flight::<u8, u8>::default(), Arc::new(AtomicUsize::new(0)));
        let (open, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let mut askers = Vec::new();
        for _ in 0..100 {
            let (asked, gate) = (Arc::clone(&asked), gate.take());
            askers.push(flight.join(7, || async move {
                asked.fetch_add(1, Relaxed);
                gate.unwrap().await.unwrap();
                9
            }));
        }
        assert_eq!(flight.len(), 1);
        open.send(()).unwrap();
        assert_eq!(futures_util::future::join_all(askers).await, [9; 100]);
        assert_eq!((asked.load(Relaxed), flight.len()), (1, 0));
        assert_eq!(flight.join(7, || async { 1 }).await, 1);
    }

    #[tokio::test]
    async fn the_first_asker_may_leave() {
        let flight = Flight::<u8, u8>::default();
        let (open, gate) = oneshot::channel::<()>();
        let mut first = flight.join(7, || async move {
            gate.await.unwrap();
            9
        });
        assert!(futures_util::poll!(&mut first).is_pending());
        let second = flight.join(7, || async { 1 });
        drop(first);
        open.send(()).unwrap();
        assert_eq!(second.await, 9);
    }

    #[tokio::test]
    async fn a_question_without_askers_leaves_nothing_behind() {
        let flight = Flight::<u8, u8>::default();
        drop(flight.join(7, std::future::pending::<u8>));
        assert!(flight.is_empty());
        assert_eq!(flight.join(7, || async { 2 }).await, 2);
    }
}
