//! The thread that writes and removes files, one after another, in the order it was asked to.

use super::folder::{Folder, Name};
use super::record::{encode, millis};
use super::{Stored, Tier, file};
use crate::cache::key::Key;
use crate::cache::object::Object;
use crate::cache::store::{Placed, Store};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant, SystemTime};

/// The file that says up to which purge of all gateways this folder has followed.
pub(super) const POSITION: &str = "position";
/// The file of purges that came while not all files were known.
pub(super) const PURGES: &str = "purges";
/// After the system has refused, nothing is written for so long.
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
    /// Files may take less than before.
    MakeRoom,
    /// Tell that all before is done.
    Tell(Box<dyn FnOnce() + Send>),
    /// Nothing more.
    End,
}

/// Runs until it is told to end.
pub(super) fn run(tier: &Arc<Tier>, store: &Weak<Store>, jobs: &mpsc::Receiver<Job>) {
    let mut rests_until = None::<Instant>;
    let mut position = None;
    open(tier, &mut rests_until);
    while let Ok(job) = jobs.recv() {
        if rests_until.is_some_and(|until| until <= Instant::now()) {
            rests_until = None;
            open(tier, &mut rests_until);
        }
        let Some(folder) = tier.folder.get() else {
            match job {
                Job::Keep { object, .. } => skip(tier, &object),
                Job::Tell(tell) => tell(),
                Job::End => return,
                _ => {}
            }
            continue;
        };
        let done = match job {
            Job::Keep { object, .. } if rests_until.is_some() => {
                skip(tier, &object);
                continue;
            }
            Job::Keep { key, object, api } => {
                tier.queued.fetch_sub(object.body.length(), Relaxed);
                let Some(store) = store.upgrade() else { return };
                keep(tier, folder, &store, (&key, &object, &api))
                    .map_err(|error| ("an answer cannot be written", error))
            }
            Job::Remove(name) => {
                gone(std::fs::remove_file(folder.file(name))).map_err(|error| ("a file cannot be removed", error))
            }
            Job::Note(text) => append(folder, &text).map_err(|error| ("a purge cannot be written down", error)),
            Job::Position(text) if tier.scanned.load(Relaxed) => {
                replace(folder, &text).map_err(|error| ("a purge cannot be written down", error))
            }
            Job::Position(text) => {
                position = Some(text); // what is purged may lie there unread: it holds once all is read
                Ok(())
            }
            Job::Scanned => {
                let held = position.take().map_or(Ok(()), |text| replace(folder, &text));
                held.and_then(|()| gone(std::fs::remove_file(folder.note(PURGES))))
                    .map_err(|error| ("a purge cannot be written down", error))
            }
            Job::MakeRoom => {
                let Some(store) = store.upgrade() else { return };
                store.make_room_on_disk(tier.size.load(Relaxed), None);
                Ok(())
            }
            Job::Tell(tell) => {
                tell();
                Ok(())
            }
            Job::End => return,
        };
        if let Err((what, error)) = done {
            tier.troubled(what, &error);
            rests_until = Some(Instant::now() + REST);
        }
    }
}

/// Opens the folder, where that has not come off yet.
fn open(tier: &Tier, rests_until: &mut Option<Instant>) {
    if tier.folder.get().is_some() {
        return;
    }
    match Folder::open(&tier.path, rand::random()) {
        Ok(folder) => {
            let _ = tier.folder.set(folder);
            tier.well();
        }
        Err(error) => {
            tier.troubled("the folder cannot be used", &error);
            *rests_until = Some(Instant::now() + REST);
        }
    }
}

fn skip(tier: &Tier, object: &Object) {
    tier.queued.fetch_sub(object.body.length(), Relaxed);
    tier.counts.skipped.fetch_add(1, Relaxed);
}

fn keep(tier: &Tier, folder: &Folder, store: &Store, answer: (&Arc<Key>, &Arc<Object>, &str)) -> io::Result<()> {
    let (key, object, api) = answer;
    let Some(pieces) = object.body.whole() else { return Ok(()) };
    if tier.stopped.load(Relaxed) || !store.holds(key, &object.body) {
        return Ok(());
    }
    let written = millis(SystemTime::now());
    let head = encode(key, api, object, written);
    let (length, size) = (file::length(&head, object.body.length()), tier.size.load(Relaxed));
    if !store.is_wanted_on_disk(key, length, size) {
        tier.counts.skipped.fetch_add(1, Relaxed);
        return Ok(());
    }
    let name = folder.name();
    let sum = folder.write(name, |file| file::write(file, &head, pieces))?;
    tier.well();
    let stored = Arc::new(Stored { name, sum, length, written, gone: AtomicBool::new(false) });
    if store.attach(key, &object.body, &stored) == Placed::No {
        return gone(std::fs::remove_file(folder.file(name)));
    }
    tier.counts.written.fetch_add(1, Relaxed);
    store.make_room_on_disk(size, Some(object));
    Ok(())
}

/// Removing what is not there is no failure: another process that uses the folder may have.
fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn append(folder: &Folder, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.note(PURGES))?;
    file.write_all(format!("{}\n", text.replace(['\n', '\r'], " ")).as_bytes())
}

fn replace(folder: &Folder, text: &str) -> io::Result<()> {
    let (path, beside) = (folder.note(POSITION), folder.note("position.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    std::fs::rename(beside, path)
}
