//! Checking passwords away from the threads that serve requests: a few at a time, a few more waiting, the same one once.

use crate::consumer::PasswordHash;
use crate::policy::auth::marker::Mark;
use crate::value::Secret;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// How many wait for one that is being checked: at some 50 ms each, none waits much longer than a second.
const WAITING: usize = 16;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    /// It was not checked: there is too much to check already.
    Busy,
}

impl Outcome {
    pub fn of(right: bool) -> Self {
        if right { Self::Right } else { Self::Wrong }
    }
}

/// The checks under way. Bounded in number, and so in memory and in what they take from requests.
pub(super) struct Checks {
    /// Those that run.
    running: Arc<Semaphore>,
    /// Those that run or wait.
    places: Arc<Semaphore>,
    pending: Mutex<HashMap<Mark, watch::Receiver<Option<Outcome>>>>,
}

impl Default for Checks {
    /// Half of the processors may check at once.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new((processors / 2).max(1), WAITING)
    }
}

impl Checks {
    fn new(running: usize, waiting: usize) -> Self {
        let places = running * (1 + waiting);
        Self {
            running: Arc::new(Semaphore::new(running)),
            places: Arc::new(Semaphore::new(places)),
            pending: Mutex::default(),
        }
    }

    /// Whether it is the password of that hash. Requests that ask the same at the same time share one check.
    pub async fn check(self: Arc<Self>, mark: Mark, hash: Arc<PasswordHash>, password: Secret) -> Outcome {
        let asked = match self.ask(mark, hash, password) {
            Some(asked) => asked,
            None => return Outcome::Busy,
        };
        let mut answer = asked;
        match answer.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.unwrap_or(Outcome::Busy),
            // It ended without an answer: the process is stopping.
            Err(_) => Outcome::Busy,
        }
    }

    /// The answer to come; `None` where there is no place left.
    fn ask(
        self: &Arc<Self>,
        mark: Mark,
        hash: Arc<PasswordHash>,
        password: Secret,
    ) -> Option<watch::Receiver<Option<Outcome>>> {
        let mut pending = self.pending.lock();
        if let Some(same) = pending.get(&mark) {
            return Some(same.clone());
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (answer, receiver) = watch::channel(None);
        pending.insert(mark, receiver.clone());
        drop(pending);
        let end = End { checks: Arc::clone(self), mark };
        // A task of its own: the others wait on even if the request that came first goes away.
        tokio::spawn(async move {
            let Ok(turn) = Arc::clone(&end.checks.running).acquire_owned().await else { return };
            let checked = tokio::task::spawn_blocking(move || {
                let right = hash.verify(password.expose().as_bytes());
                drop((turn, place));
                right
            });
            let outcome = checked.await.map_or(Outcome::Busy, Outcome::of);
            answer.send_replace(Some(outcome));
            drop(end);
        });
        Some(receiver)
    }
}

/// Forgets a check when it is over, however it ends.
struct End {
    checks: Arc<Checks>,
    mark: Mark,
}

impl Drop for End {
    fn drop(&mut self) {
        self.checks.pending.lock().remove(&self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Memory;
    use super::*;
    use futures_util::future::join_all;

    fn hash() -> Arc<PasswordHash> {
        Arc::new(PasswordHash::parse(&bcrypt::hash("right", 4).unwrap()).unwrap())
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn tells_right_from_wrong_and_forgets_what_is_over() {
        let (checks, hash, memory) = (Arc::new(Checks::new(1, 4)), hash(), Memory::new().unwrap());
        for (password, outcome) in [("right", Outcome::Right), ("wrong", Outcome::Wrong)] {
            let mark = memory.mark("ann", &hash, password);
            let asked = Arc::clone(&checks).check(mark, Arc::clone(&hash), Secret::new(password));
            assert_eq!(run(asked), outcome);
        }
        assert!(checks.pending.lock().is_empty());
        assert_eq!(checks.places.available_permits(), 5);
    }

    #[test]
    fn what_is_too_much_is_not_checked_and_what_is_the_same_is_checked_once() {
        let (checks, hash, memory) = (Arc::new(Checks::new(1, 1)), hash(), Memory::new().unwrap());
        let ask = |password: &str| {
            let mark = memory.mark("ann", &hash, password);
            Arc::clone(&checks).check(mark, Arc::clone(&hash), Secret::new(password))
        };
        let outcomes = run(join_all(["a", "b", "c", "a", "b", "d"].map(ask)));
        let (wrong, busy) = (Outcome::Wrong, Outcome::Busy);
        assert_eq!(outcomes, [wrong, wrong, busy, wrong, wrong, busy]);
        assert_eq!(run(ask("right")), Outcome::Right);
    }
}
