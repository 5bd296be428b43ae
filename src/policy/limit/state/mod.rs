//! Counts of quotas on disk: they survive a restart, and pass from a gateway to its successor.
//!
//! One process at a time writes, the one that holds the lock beside the file. Whoever starts reads what stands there and
//! counts on from it; a successor that serves beside its predecessor gets the lock when that one has ended, and only then
//! adds what the predecessor has counted since it read: nothing is counted twice, and nothing is lost but what a killed
//! process had not yet written.

mod file;

use super::store::LimitStore;
use crate::observe::metrics::StateMetrics;
use file::Saved;
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// How often counts that have changed are written: what a killed process loses at most.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// How often a successor looks whether its predecessor has ended.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);
/// Writing takes at most one part in so many of the time: many counts are written less often.
const PATIENCE: u32 = 20;

/// The folder that counts are kept in, as it was found.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    found: Option<Saved>,
    /// What was found could not be used.
    damaged: Option<String>,
}

impl StateFolder {
    /// Reads what is there. A file that cannot be used is said loudly, and counts begin anew.
    pub fn read(path: PathBuf) -> Self {
        let file = path.join(FILE);
        let (found, damaged) = match read(&file) {
            Ok(found) => (found, None),
            Err(why) => (None, Some(why)),
        };
        if let Some(why) = &damaged {
            log::error!("{}: {why}; all quotas begin anew", file.display());
        }
        Self { path, found, damaged }
    }

    /// Makes the folder where it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.path)
    }

    pub(super) fn found(&self) -> Option<&Saved> {
        self.found.as_ref()
    }
}

const FILE: &str = "quotas";
const LOCK: &str = "quotas.lock";
const DAMAGED: &str = "quotas.damaged";

/// What a file holds; `None` where there is none.
fn read(path: &Path) -> Result<Option<Saved>, String> {
    match std::fs::read(path) {
        Ok(bytes) => Saved::from_bytes(&bytes).map(Some).map_err(str::to_owned),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// Keeps the counts of a store in a folder until it is dropped.
pub struct Keeper {
    signal: Arc<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is asked for.
#[derive(Default)]
struct Signal {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Default)]
struct Asked {
    end: bool,
    /// Counts up with every wish to have all written, and what of them is done.
    flushes: u64,
    flushed: u64,
}

impl Keeper {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(store: Arc<LimitStore>, folder: StateFolder, metrics: Arc<StateMetrics>) -> io::Result<Self> {
        metrics.begins(folder.damaged.is_some());
        let signal = Arc::new(Signal::default());
        let writer = Writer::new(store, folder, metrics);
        let asked = Arc::clone(&signal);
        let thread = std::thread::Builder::new().name("quotas".into()).spawn(move || writer.run(&asked))?;
        Ok(Self { signal, thread: Some(thread) })
    }

    /// Writes what there is to write, and returns when that is done, or after a while.
    pub fn flush(&self, patience: Duration) {
        let mut asked = self.signal.asked.lock();
        asked.flushes += 1;
        let wanted = asked.flushes;
        self.signal.changed.notify_all();
        self.signal.changed.wait_while_for(&mut asked, |asked| asked.flushed < wanted, patience);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.signal.asked.lock().end = true;
        self.signal.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread does.
struct Writer {
    store: Arc<LimitStore>,
    folder: PathBuf,
    metrics: Arc<StateMetrics>,
    /// Held while this process is the one that writes.
    lock: Option<File>,
    /// What was counted on from, until the lock is held: counts by fingerprint.
    base: HashMap<u64, u64>,
    damaged: bool,
    /// The last attempt failed, and that has been said.
    failing: bool,
    /// The digest of what was written last is enough to tell whether there is anything new.
    written: Option<Vec<u8>>,
}

impl Writer {
    fn new(store: Arc<LimitStore>, folder: StateFolder, metrics: Arc<StateMetrics>) -> Self {
        let base = folder.found.iter().flat_map(|saved| &saved.entries).map(|(print, state)| (*print, *state));
        let base = base.collect();
        let damaged = folder.damaged.is_some();
        Self { store, folder: folder.path, metrics, lock: None, base, damaged, failing: false, written: None }
    }

    fn run(mut self, signal: &Signal) {
        loop {
            let began = Instant::now();
            let (end, flushes) = {
                let asked = signal.asked.lock();
                (asked.end, asked.flushes)
            };
            if self.has_lock() {
                self.write();
            }
            let mut asked = signal.asked.lock();
            asked.flushed = flushes;
            signal.changed.notify_all();
            if end {
                return;
            }
            let pause = if self.lock.is_some() { INTERVAL.max(began.elapsed() * PATIENCE) } else { LOCK_INTERVAL };
            let idle = |asked: &mut Asked| !asked.end && asked.flushes == flushes;
            signal.changed.wait_while_for(&mut asked, idle, pause);
        }
    }

    /// Takes the lock if it is free; then what the one before has counted is added.
    fn has_lock(&mut self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let path = self.folder.join(LOCK);
        let file = match OpenOptions::new().create(true).truncate(false).write(true).open(&path) {
            Ok(file) => file,
            Err(error) => {
                self.failed(&path, &error);
                return false;
            }
        };
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return false,
            Err(TryLockError::Error(error)) => {
                self.failed(&path, &error);
                return false;
            }
        }
        self.take_over();
        true
    }

    /// Adds what was counted by another process since this one read.
    fn take_over(&mut self) {
        let path = self.folder.join(FILE);
        let base = std::mem::take(&mut self.base);
        match read(&path) {
            Ok(Some(saved)) if saved.secret == self.store.secret() => {
                let now = unix_seconds();
                for (print, state) in saved.entries {
                    self.store.add_quota((print, state), base.get(&print).copied(), now);
                }
            }
            Ok(Some(_)) => log::error!("{}: its counts are of another gateway, and are not taken over", path.display()),
            Ok(None) => {}
            Err(why) => {
                if !self.damaged {
                    log::error!("{}: {why}", path.display());
                    self.metrics.begins(true);
                }
                let kept = self.folder.join(DAMAGED);
                if std::fs::rename(&path, &kept).is_ok() {
                    log::error!("{} is kept as {}", path.display(), kept.display());
                }
            }
        }
    }

    fn write(&mut self) {
        let mut entries = self.store.saved_quotas(unix_seconds());
        entries.sort_unstable();
        let bytes = Saved { secret: self.store.secret(), entries }.to_bytes();
        let digest = bytes.last_chunk::<32>().map(|digest| digest.to_vec());
        if digest == self.written {
            self.metrics.wrote(SystemTime::now());
            return;
        }
        let path = self.folder.join(FILE);
        match file::replace(&path, &bytes) {
            Ok(()) => {
                self.failing = false;
                self.written = digest;
                self.metrics.wrote(SystemTime::now());
            }
            Err(error) => self.failed(&path, &error),
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        self.metrics.failed();
        if std::mem::replace(&mut self.failing, true) {
            return; // it has been said, and would be said every second
        }
        log::error!("{}: {error}; a restart now would lose what quotas have counted", path.display());
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests;
