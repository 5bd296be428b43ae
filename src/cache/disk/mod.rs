//! Answers in files: a second tier behind memory, which survives a restart and an upgrade.
//!
//! Read in this order: [`mod@file`] (one answer in one file), [`record`] (what its head says), [`folder`] (names, locks, what the
//! dead leave), [`notes`] (what is purged, as a run writes it down), [`writer`] (the thread that writes and removes), [`reader`] (reading on behalf of requests), [`scan`] (what
//! is found at the start). What answers are there, and what they are purged by, is the store's to know: heads are in
//! memory, bodies here.
//!
//! A file is whole or not there, since it is written beside and renamed; that it is as it was written is checked each time
//! it is read, before a byte of it goes out. Nothing waits for the disk but who reads from it, and that for so long and no
//! longer. A disk that is full, or gone, is said in the log and on the admin page, and is tried again.

mod config;
mod file;
mod folder;
mod notes;
mod owed;
mod reader;
mod record;
mod scan;
mod writer;

pub use config::DiskConfig;
pub(super) use file::Sum;
pub(super) use folder::Name;
pub(super) use reader::Reading;
pub(super) use record::Record;

use super::key::Key;
use super::object::Object;
use super::purge::Purge;
use super::store::Store;
use crate::observe::metrics::DiskCounts;
use crate::shared_state::Place;
use folder::Folder;
use parking_lot::Mutex;
use serde::Serialize;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;
use tokio::sync::Semaphore;
use writer::Job;

/// Bodies that wait to be written may take this much memory; what comes while it is full is not written.
const MOST_QUEUED: u64 = 64 << 20;
/// So many requests read at a time.
const READERS: usize = 32;

/// Where answers are kept on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// The folder.
    pub path: PathBuf,
    /// How many bytes files may take.
    pub size: u64,
}

/// A file that holds an answer.
#[derive(Debug)]
pub(super) struct Stored {
    pub name: Name,
    /// Names its whole content.
    pub sum: Sum,
    /// The length of the file.
    pub length: u64,
    /// When it was written, in milliseconds since the epoch.
    pub written: u64,
    /// Whether it is, or is about to be, removed.
    pub gone: AtomicBool,
}

/// Whether what was purged is gone from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDisk {
    /// It is, and does not come back.
    Done,
    /// Something could not be removed, or a purge not written down: it is tried again.
    Later,
}

/// Why a file cannot be read.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// It is not there.
    Missing,
    /// It is not as it was written.
    Damaged,
    /// The system says so.
    System(io::Error),
    /// Too many read already, or the disk does not answer.
    Busy,
}

impl Unreadable {
    /// Whether the file will be no better later, and may be forgotten.
    pub(super) fn is_lasting(&self) -> bool {
        matches!(self, Self::Missing | Self::Damaged)
    }
}

/// The disk of a cache, as threads see it.
struct Tier {
    path: PathBuf,
    /// Names this use of the folder.
    run: u64,
    size: AtomicU64,
    folder: OnceLock<Folder>,
    /// Bytes of bodies that wait to be written.
    queued: AtomicU64,
    /// Whether all files that were there at the start are known.
    scanned: AtomicBool,
    /// Whether files may be read in: not before it is known what was purged while this gateway was away.
    may_scan: AtomicBool,
    stopped: AtomicBool,
    /// What is wrong with it, in words.
    trouble: Mutex<Option<String>>,
    reading: Arc<Semaphore>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    read: AtomicU64,
    skipped: AtomicU64,
    damaged: AtomicU64,
    errors: AtomicU64,
}

/// The disk of a cache. Its threads end when it is dropped; its files stay.
pub struct Disk {
    tier: Arc<Tier>,
    queue: mpsc::Sender<Job>,
}

/// How a disk stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskLevels {
    /// How many bytes files may take.
    pub capacity: u64,
    /// How many they take, and what has been done.
    #[serde(flatten)]
    pub counts: DiskCounts,
    /// Whether all that was there at the start is known.
    pub scanned: bool,
    /// What is wrong with it; `null` where nothing is.
    pub trouble: Option<String>,
}

impl Disk {
    /// Begins to keep the answers of a store in a folder. Files are looked for once [`Disk::may_scan`] is told.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn start(plan: &DiskPlan, store: &Arc<Store>) -> io::Result<Arc<Self>> {
        let tier = Arc::new(Tier {
            path: plan.path.clone(),
            run: rand::random(),
            size: AtomicU64::new(plan.size),
            folder: OnceLock::new(),
            queued: AtomicU64::new(0),
            scanned: AtomicBool::new(false),
            may_scan: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            trouble: Mutex::new(None),
            reading: Arc::new(Semaphore::new(READERS)),
            counts: Counts::default(),
        });
        // From now on: a purge may take what has not been read in yet.
        let epoch = store.read_files_in(true);
        let (queue, jobs) = mpsc::channel();
        let (of_thread, of_store) = (Arc::clone(&tier), Arc::downgrade(store));
        std::thread::Builder::new()
            .name("cache-disk".into())
            .spawn(move || writer::run(&of_thread, &of_store, &jobs))?;
        let (of_thread, of_store, answers) = (Arc::clone(&tier), Arc::downgrade(store), queue.clone());
        std::thread::Builder::new()
            .name("cache-scan".into())
            .spawn(move || scan::run(&of_thread, (&of_store, epoch), &answers))?;
        Ok(Arc::new(Self { tier, queue }))
    }

    /// Whether it is in that folder.
    pub(super) fn is_at(&self, plan: &DiskPlan) -> bool {
        self.tier.path == plan.path
    }

    /// Changes how much may lie there.
    pub(super) fn set_size(&self, size: u64) {
        if self.tier.size.swap(size, Relaxed) != size {
            let _ = self.queue.send(Job::MakeRoom);
        }
    }

    /// It is known what was purged while this gateway was away: what lies there may be read in.
    pub(super) fn may_scan(&self) {
        self.tier.may_scan.store(true, Relaxed);
    }

    /// Writes an answer, some time.
    pub(super) fn keep(&self, key: &Arc<Key>, object: &Arc<Object>, api: Arc<str>) {
        let length = object.body.length();
        let tier = &self.tier;
        if tier.stopped.load(Relaxed) || tier.queued.load(Relaxed) + length > MOST_QUEUED {
            tier.counts.skipped.fetch_add(1, Relaxed);
            return;
        }
        tier.queued.fetch_add(length, Relaxed);
        let _ = self.queue.send(Job::Keep { key: Arc::clone(key), object: Arc::clone(object), api });
    }

    /// Removes a file, soon.
    pub(super) fn remove(&self, file: &Stored) {
        let _ = self.queue.send(Job::Remove(file.name));
    }

    /// Writes down a purge while not all files are known: it must hold after a restart too.
    pub(super) fn note(&self, purge: &Purge) {
        if !self.tier.scanned.load(Relaxed) {
            let _ = self.queue.send(Job::Note(purge.to_text()));
        }
    }

    /// Writes down up to which purge of all gateways this one has followed.
    pub(super) fn remember_position(&self, position: String) {
        let _ = self.queue.send(Job::Position(position));
    }

    /// Up to which purge of all gateways this folder has followed.
    pub(super) fn position(&self) -> Option<Place> {
        notes::place(&self.tier.path, self.tier.run)
    }

    /// Waits until all that was asked for so far is done, for so long at most.
    pub(super) fn flush(&self, longest: Duration) {
        let (done, told) = mpsc::channel();
        self.when_done(move |_| {
            let _ = done.send(());
        });
        let _ = told.recv_timeout(longest);
    }

    /// The same for who may not block; says whether what was purged is gone.
    pub(super) async fn flushed(&self, longest: Duration) -> OnDisk {
        let (done, told) = tokio::sync::oneshot::channel();
        self.when_done(move |how| {
            let _ = done.send(how); // who asked may not wait any more
        });
        tokio::time::timeout(longest, told).await.ok().and_then(Result::ok).unwrap_or(OnDisk::Later)
    }

    fn when_done(&self, tell: impl FnOnce(OnDisk) + Send + 'static) {
        let _ = self.queue.send(Job::Tell(Box::new(tell)));
    }

    /// Writes no more from now on: a successor has the folder.
    pub(super) fn stop_writing(&self) {
        self.tier.stopped.store(true, Relaxed);
    }

    /// How it stands.
    pub(super) fn levels(&self, store: &Store) -> DiskLevels {
        let Tier { counts, size, scanned, trouble, .. } = &*self.tier;
        let (objects, bytes) = store.files();
        DiskLevels {
            capacity: size.load(Relaxed),
            counts: DiskCounts {
                bytes,
                objects,
                written: counts.written.load(Relaxed),
                read: counts.read.load(Relaxed),
                skipped: counts.skipped.load(Relaxed),
                damaged: counts.damaged.load(Relaxed),
                errors: counts.errors.load(Relaxed),
            },
            scanned: scanned.load(Relaxed),
            trouble: trouble.lock().clone(),
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.tier.stopped.store(true, Relaxed);
        let _ = self.queue.send(Job::End);
    }
}

impl Tier {
    /// Tells once of each kind of trouble, in the log.
    fn troubled(&self, what: &str, error: &io::Error) {
        self.counts.errors.fetch_add(1, Relaxed);
        let said = format!("{what}: {error}");
        let mut trouble = self.trouble.lock();
        if trouble.as_ref() != Some(&said) {
            log::warn!("cache: {}: {said}; answers are kept in memory alone until that is better", self.path.display());
            *trouble = Some(said);
        }
    }

    fn well(&self) {
        if self.trouble.lock().take().is_some() {
            log::info!("cache: {} takes answers again", self.path.display());
        }
    }
}
