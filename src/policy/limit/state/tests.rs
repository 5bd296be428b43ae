//! Restarts, successors and damage, with stores in place of processes.

use super::*;
use crate::policy::limit::quota::{Counter, Used};
use crate::policy::limit::zone::Zone;
use tempfile::TempDir;

/// A gateway's counts and who keeps them.
struct Gateway {
    store: Arc<LimitStore>,
    metrics: Arc<StateMetrics>,
    keeper: Option<Keeper>,
}

impl Gateway {
    fn start(folder: &TempDir) -> Self {
        let folder = StateFolder::read(folder.path().join("state"));
        folder.make().unwrap();
        let store = Arc::new(LimitStore::open(1_000, Some(&folder)));
        let metrics = Arc::new(StateMetrics::default());
        let keeper = Keeper::start(Arc::clone(&store), folder, Arc::clone(&metrics)).unwrap();
        Self { store, metrics, keeper: Some(keeper) }
    }

    /// Takes `count` of ten a month; how many passed.
    fn take(&self, count: usize) -> usize {
        let counter = Counter::new(&"10/month".parse().unwrap(), Zone::default());
        let key = self.store.lasting_hash(|hasher| hasher.write(b"acme"));
        let take = || counter.take(self.store.quotas(), key, unix_seconds(), 1);
        (0..count).filter(|_| matches!(take(), Some(Used::Passes { .. }))).count()
    }

    fn flush(&self) {
        self.keeper.as_ref().unwrap().flush(Duration::from_secs(30));
    }

    /// The process is gone without a chance to write.
    fn kill(mut self, folder: &TempDir) {
        let path = folder.path().join("state/quotas");
        let before = std::fs::read(&path);
        drop(self.keeper.take());
        match before {
            Ok(bytes) => std::fs::write(&path, bytes).unwrap(),
            Err(_) => std::fs::remove_file(&path).unwrap(),
        }
    }
}

#[test]
fn what_is_used_up_stays_so_over_a_restart() {
    let folder = TempDir::new().unwrap();
    let first = Gateway::start(&folder);
    assert_eq!(first.take(7), 7);
    drop(first);
    let second = Gateway::start(&folder);
    assert_eq!(second.take(7), 3);
    drop(second);
    assert_eq!(Gateway::start(&folder).take(1), 0);
}

#[test]
fn a_killed_process_loses_what_it_has_not_written() {
    let folder = TempDir::new().unwrap();
    let first = Gateway::start(&folder);
    first.take(6);
    first.flush();
    first.take(2);
    first.kill(&folder);
    assert_eq!(Gateway::start(&folder).take(10), 4);
}

#[test]
fn a_successor_counts_on_and_nothing_is_counted_twice() {
    let folder = TempDir::new().unwrap();
    let old = Gateway::start(&folder);
    old.take(3);
    old.flush();
    let new = Gateway::start(&folder);
    // Both serve for a while; neither writes over the other.
    assert_eq!((old.take(2), new.take(1)), (2, 1));
    new.flush();
    old.flush();
    drop(old);
    while new.keeper.is_some() && new.take(0) == 0 && !has_lock(&folder) {
        std::thread::yield_now();
    }
    new.flush();
    new.flush();
    assert_eq!(new.take(10), 4);
    drop(new);
    assert_eq!(Gateway::start(&folder).take(1), 0);
}

/// Whether somebody has taken the lock over.
fn has_lock(folder: &TempDir) -> bool {
    let file = File::open(folder.path().join("state").join(LOCK)).unwrap();
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

#[test]
fn a_damaged_file_is_said_and_kept_and_counts_begin_anew() {
    let folder = TempDir::new().unwrap();
    let first = Gateway::start(&folder);
    first.take(7);
    drop(first);
    let path = folder.path().join("state/quotas");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let second = Gateway::start(&folder);
    second.flush();
    assert_eq!(std::fs::read(folder.path().join("state/quotas.damaged")).unwrap(), bytes);
    assert!(second.metrics.is_damaged());
    assert_eq!(second.take(11), 10);
    drop(second);
    assert!(!Gateway::start(&folder).metrics.is_damaged());
}

#[test]
fn a_folder_that_cannot_be_written_is_counted_as_a_failure() {
    let folder = TempDir::new().unwrap();
    let gateway = Gateway::start(&folder);
    gateway.flush();
    std::fs::remove_dir_all(folder.path().join("state")).unwrap();
    gateway.take(1);
    gateway.flush();
    assert!(gateway.metrics.failures() > 0);
}
