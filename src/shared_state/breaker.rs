//! Stands in front of the store, so that one that is out of reach costs a request one look.

use super::StoreError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use tokio::sync::Notify;

/// So many answers in a row that were none, or came too late, and the store counts as out of reach.
const FAILURES: u32 = 5;

/// Open while the store is out of reach. It is never tried with requests: who keeps the connection closes it again.
#[derive(Debug)]
pub(super) struct Breaker {
    open: AtomicBool,
    failures: AtomicU32,
    tripped: Notify,
}

impl Default for Breaker {
    /// Open: nothing is connected yet.
    fn default() -> Self {
        Self { open: AtomicBool::new(true), failures: AtomicU32::new(0), tripped: Notify::new() }
    }
}

impl Breaker {
    pub fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// The store has answered the one who keeps the connection.
    pub fn close(&self) {
        self.failures.store(0, Relaxed);
        self.open.store(false, Relaxed);
    }

    /// Takes in what came of a question.
    pub fn observe<T>(&self, result: &Result<T, StoreError>) {
        match result {
            // Read first: the line is shared by all workers and seldom changes.
            Ok(_) if self.failures.load(Relaxed) > 0 => self.failures.store(0, Relaxed),
            Ok(_) | Err(StoreError::Open) => {}
            Err(StoreError::Connection) => self.trip(),
            Err(StoreError::Timeout | StoreError::Reply) => {
                if self.failures.fetch_add(1, Relaxed) + 1 >= FAILURES {
                    self.trip();
                }
            }
        }
    }

    fn trip(&self) {
        self.open.store(true, Relaxed);
        self.tripped.notify_one();
    }

    /// Waits until it has opened.
    pub async fn tripped(&self) {
        while !self.is_open() {
            self.tripped.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_on_a_broken_connection_and_on_failures_in_a_row() {
        let breaker = Breaker::default();
        assert!(breaker.is_open());
        breaker.close();
        breaker.observe::<()>(&Err(StoreError::Connection));
        assert!(breaker.is_open());
        breaker.close();
        for _ in 0..FAILURES - 1 {
            breaker.observe::<()>(&Err(StoreError::Timeout));
        }
        breaker.observe(&Ok(()));
        breaker.observe::<()>(&Err(StoreError::Timeout));
        assert!(!breaker.is_open());
        for _ in 0..FAILURES {
            breaker.observe::<()>(&Err(StoreError::Timeout));
        }
        assert!(breaker.is_open());
    }
}
