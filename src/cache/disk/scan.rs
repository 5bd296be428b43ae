//! Finds at the start what lies in the folder, beside the requests that are served meanwhile, and clears up after those who
//! wrote there before.

use super::folder::{Folder, Lying, Name};
use super::record::{decode, millis};
use super::writer::Job;
use super::{Stored, Tier, Unreadable, file};
use crate::cache::store::{Placed, Store};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, SystemTime};

/// How often it is looked whether something has changed.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is looked whether a predecessor has ended.
const SWEEP: u32 = 20;

/// Runs until all is known and no predecessor lives any more.
///
/// What was purged since `epoch`, or is written down as purged, is not read in.
pub(super) fn run(tier: &Arc<Tier>, (store, epoch): (&Weak<Store>, u64), writer: &mpsc::Sender<Job>) {
    let may_begin = || tier.may_scan.load(Relaxed).then(|| tier.folder.get()).flatten();
    let Some(folder) = wait_for(tier, may_begin) else { return };
    let Some(strong) = store.upgrade() else { return };
    folder.noted_by_others().into_iter().for_each(|purge| strong.remember(purge));
    let (mut found, mut dropped) = (0_u64, 0_u64);
    for lying in folder.list() {
        if tier.stopped.load(Relaxed) {
            return;
        }
        match lying {
            Lying::Unfinished(path, name) if !folder.lives(name) => drop(std::fs::remove_file(path)),
            Lying::Unfinished(..) => {}
            Lying::Whole(name) if folder.wrote(name) => {} // written since the scan began, and known
            Lying::Whole(name) => match take_in(folder, &strong, name, epoch) {
                Ok(Placed::Yes) => found += 1,
                Ok(Placed::No) => {
                    dropped += 1;
                    let _ = writer.send(Job::Remove(name));
                }
                Err(Unreadable::Damaged) => {
                    tier.counts.damaged.fetch_add(1, Relaxed);
                    dropped += 1;
                    let _ = writer.send(Job::Remove(name));
                }
                Err(Unreadable::System(error)) => tier.troubled("a file cannot be read", &error),
                Err(Unreadable::Missing | Unreadable::Busy) => {}
            },
        }
    }
    log::info!("cache: {} holds {found} answers; {dropped} files were of no use", tier.path.display());
    tier.scanned.store(true, Relaxed);
    strong.read_files_in(false);
    let _ = writer.send(Job::Scanned);
    let _ = writer.send(Job::MakeRoom);
    drop(strong);
    clear_up(tier, folder, store, writer);
}

/// Reads one file in.
fn take_in(folder: &Folder, store: &Store, name: Name, epoch: u64) -> Result<Placed, Unreadable> {
    let opened = file::open(&folder.file(name))?;
    let record = decode(&opened.head, opened.body, store).ok_or(Unreadable::Damaged)?;
    let now = SystemTime::now();
    // Clocks are set back now and then, but not by hours.
    if record.object.is_over(now) || record.written > millis(now + Duration::from_secs(24 * 3_600)) {
        return Ok(Placed::No);
    }
    let (sum, length, written) = (opened.sum, opened.length, record.written);
    let stored = Arc::new(Stored { name, sum, length, written, gone: AtomicBool::new(false) });
    Ok(store.adopt(record, &stored, epoch))
}

/// What a predecessor writes after it was looked through is known to nobody: it goes once that one has ended. What it noted
/// as purged is purged here before its notes go.
fn clear_up(tier: &Tier, folder: &Folder, store: &Weak<Store>, writer: &mpsc::Sender<Job>) {
    loop {
        let Some(strong) = store.upgrade() else { return };
        let (living, dead) = folder.others();
        if living.is_empty() && dead.is_empty() {
            return;
        }
        if !dead.is_empty() {
            for purge in dead.iter().flat_map(|run| folder.noted_by(*run)) {
                strong.purge(&purge);
            }
            match folder.clear(&dead, &strong.names()) {
                Ok(()) => dead.into_iter().for_each(|run| drop(writer.send(Job::Forget(run)))),
                Err(error) => tier.troubled("a file cannot be removed", &error),
            }
        }
        drop(strong);
        let mut turns = 0..SWEEP;
        if wait_for(tier, || turns.next().is_none().then_some(())).is_none() {
            return;
        }
    }
}

/// Waits, looking now and then; `None` when the disk is given up.
fn wait_for<T>(tier: &Tier, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if tier.stopped.load(Relaxed) {
            return None;
        }
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::park_timeout(PAUSE);
    }
}
