//! The thread that writes and removes files, one after another, in the order it was asked to.

use super::folder::{Folder, Name};
use super::owed::Owed;
use super::record::{encode, millis};
use super::{OnDisk, Stored, Tier, file};
use crate::cache::key::Key;
use crate::cache::object::Object;
use crate::cache::store::{Placed, Store};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

/// After the system has refused, no answer is written for so long; what is owed is tried again after it.
const REST: Duration = Duration::from_secs(5);

/// What is to be done.
pub(super) enum Job {
    /// Write an answer.
    Keep { key: Arc<Key>, object: Arc<Object>, api: Arc<str> },
    /// Remove a file.
    Remove(Name),
    /// Write down a purge.
    Note(String),
    /// Write down a position.
    Position(String),
    /// All files are known: purges need not be written down any more.
    Scanned,
    /// Forget a dead run, once what it noted as purged is gone.
    Forget(u64),
    /// Files may take less than before.
    MakeRoom,
    /// Tell that all before is done, or that of what is purged something is still there.
    Tell(Box<dyn FnOnce(OnDisk) + Send>),
    /// Nothing more.
    End,
}

/// The thread: what it does it for, and what it has not been able to do.
struct Writer<'a> {
    tier: &'a Arc<Tier>,
    store: &'a Weak<Store>,
    owed: Owed,
    rests_until: Option<Instant>,
}

/// Runs until it is told to end.
pub(super) fn run(tier: &Arc<Tier>, store: &Weak<Store>, jobs: &mpsc::Receiver<Job>) {
    let mut writer = Writer { tier, store, owed: Owed::default(), rests_until: None };
    writer.open();
    loop {
        let is_due = writer.owed.is_due(tier.scanned.load(Relaxed));
        let job = if is_due { jobs.recv_timeout(REST) } else { jobs.recv().map_err(Into::into) };
        match job {
            Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(job) => writer.take(job),
            Err(RecvTimeoutError::Timeout) => writer.settle(),
        }
    }
}

impl Writer<'_> {
    fn take(&mut self, job: Job) {
        if self.rests_until.is_some_and(|until| until <= Instant::now()) {
            self.rests_until = None;
            self.open();
        }
        match job {
            Job::Keep { key, object, api } => self.keep((&key, &object, &api)),
            Job::MakeRoom => {
                if let Some(store) = self.store.upgrade() {
                    store.make_room_on_disk(self.tier.size.load(Relaxed), None);
                }
            }
            Job::Remove(name) => {
                self.owed.removal(name);
                // Where one could not be removed, all are tried again later, and not with each that is added.
                if self.rests_until.is_none() {
                    self.settle();
                }
            }
            Job::Note(text) => {
                self.owed.purge(text);
                self.settle();
            }
            Job::Position(text) => {
                self.owed.position(text);
                self.settle();
            }
            Job::Scanned => {
                self.owed.all_are_known();
                self.settle();
            }
            Job::Forget(run) => {
                self.settle();
                if let Some(folder) = self.tier.folder.get().filter(|_| !self.owed.has_purges()) {
                    let forgotten = folder.forget(run);
                    self.note(forgotten.map_err(|error| ("a file cannot be removed", error)));
                }
            }
            Job::Tell(tell) => {
                self.settle();
                tell(if self.owed.has_purges() { OnDisk::Later } else { OnDisk::Done });
            }
            Job::End => {}
        }
    }

    /// Opens the folder, where that has not come off yet.
    fn open(&mut self) {
        if self.tier.folder.get().is_none() {
            let opened = Folder::open(&self.tier.path, self.tier.run);
            let opened = opened.map(|folder| drop(self.tier.folder.set(folder)));
            self.note(opened.map_err(|error| ("the folder cannot be used", error)));
        }
    }

    /// Does what is owed, as far as it can be done.
    fn settle(&mut self) {
        let Some(folder) = self.tier.folder.get() else { return self.open() };
        let scanned = self.tier.scanned.load(Relaxed);
        if self.owed.is_due(scanned) {
            let settled = self.owed.settle(folder, scanned);
            self.note(settled);
        }
    }

    /// What was done came off, or the system has refused it.
    fn note(&mut self, done: Result<(), (&'static str, io::Error)>) {
        match done {
            Ok(()) => self.tier.well(),
            Err((what, error)) => {
                self.tier.troubled(what, &error);
                self.rests_until = Some(Instant::now() + REST);
            }
        }
    }

    fn keep(&mut self, answer: (&Arc<Key>, &Arc<Object>, &str)) {
        let (_, object, _) = answer;
        let Some(folder) = self.tier.folder.get().filter(|_| self.rests_until.is_none()) else {
            return skip(self.tier, object);
        };
        self.tier.queued.fetch_sub(object.body.length(), Relaxed);
        let Some(store) = self.store.upgrade() else { return };
        match keep(self.tier, folder, &store, answer) {
            Ok(Kept::Yes) => self.tier.well(),
            Ok(Kept::No) => {}
            Ok(Kept::Gone(name)) => self.take(Job::Remove(name)),
            Err(error) => self.note(Err(("an answer cannot be written", error))),
        }
    }
}

/// Whether an answer is on the disk.
enum Kept {
    Yes,
    No,
    /// It is, and was taken out while it was written: the file is to go.
    Gone(Name),
}

fn skip(tier: &Tier, object: &Object) {
    tier.queued.fetch_sub(object.body.length(), Relaxed);
    tier.counts.skipped.fetch_add(1, Relaxed);
}

fn keep(tier: &Tier, folder: &Folder, store: &Store, answer: (&Arc<Key>, &Arc<Object>, &str)) -> io::Result<Kept> {
    let (key, object, api) = answer;
    let Some(pieces) = object.body.whole() else { return Ok(Kept::No) };
    if tier.stopped.load(Relaxed) || !store.holds(key, &object.body) {
        return Ok(Kept::No);
    }
    let written = millis(SystemTime::now());
    let head = encode(key, api, object, written);
    let (length, size) = (file::length(&head, object.body.length()), tier.size.load(Relaxed));
    if !store.is_wanted_on_disk(key, length, size) {
        tier.counts.skipped.fetch_add(1, Relaxed);
        return Ok(Kept::No);
    }
    let name = folder.name();
    let sum = folder.write(name, |file| file::write(file, &head, pieces))?;
    let stored = Arc::new(Stored { name, sum, length, written, gone: AtomicBool::new(false) });
    if store.attach(key, &object.body, &stored) == Placed::No {
        return Ok(Kept::Gone(name));
    }
    tier.counts.written.fetch_add(1, Relaxed);
    store.make_room_on_disk(size, Some(object));
    Ok(Kept::Yes)
}
