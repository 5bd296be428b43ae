//! Files that are read again when they change, for as long as a snapshot runs.
//!
//! They are looked at rather than subscribed to: that works alike on network file systems and for the symbolic links of
//! mounted Kubernetes volumes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How often files are looked at; a change is taken over once it has stood for as long again, so that a file that is
/// still being written is not read in part.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looks that a file must stand still for which has been written over in place and become shorter: so far it may be half of
/// what it is to be, and half a list of those who are denied denies half of them. One that was exchanged by renaming is
/// whole, whatever its length.
const LOOKS_IF_SHORTER: u32 = 10;

/// What a file looks like from outside: inode, length, time of the last change; `None` where it is not there.
type Look = Option<(u64, u64, i64, i64)>;

fn look(path: &Path) -> Look {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
}

/// Files, and what they looked like before they were read.
#[derive(Debug)]
pub struct Watched {
    paths: Box<[PathBuf]>,
    first: Vec<Look>,
}

impl Watched {
    /// Looks at the files. To be called before they are read, or a change in between is lost.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let paths: Box<[PathBuf]> = paths.into_iter().collect();
        let first = looks(&paths);
        Self { paths, first }
    }

    /// Calls `renew`, where it may block, whenever one of the files has changed and stands still. Never returns.
    pub async fn each_change(&self, renew: Arc<dyn Fn() + Send + Sync>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut steps = Steps { taken: self.first.clone(), seen: self.first.clone(), still: 0 };
        loop {
            ticks.tick().await;
            if steps.is_due(looks(&self.paths)) {
                let renew = Arc::clone(&renew);
                // Large files take long to read: that is not for the thread that checks upstreams.
                let _ = tokio::task::spawn_blocking(move || renew()).await;
            }
        }
    }
}

fn looks(paths: &[PathBuf]) -> Vec<Look> {
    paths.iter().map(|path| look(path)).collect()
}

/// Tells when files that are looked at now and then have changed and stand still.
struct Steps {
    /// What they looked like when they were last read.
    taken: Vec<Look>,
    /// What they looked like last.
    seen: Vec<Look>,
    /// For how many looks they have looked like that.
    still: u32,
}

impl Steps {
    /// Whether they are to be read now.
    fn is_due(&mut self, now: Vec<Look>) -> bool {
        self.still = if now == self.seen { self.still.saturating_add(1) } else { 0 };
        let needed = if is_shorter(&self.taken, &now) { LOOKS_IF_SHORTER } else { 1 };
        let due = self.still >= needed && now != self.taken;
        if due {
            self.taken.clone_from(&now);
        }
        self.seen = now;
        due
    }
}

/// Whether one of the files is the same and has become shorter.
fn is_shorter(before: &[Look], now: &[Look]) -> bool {
    let pairs = before.iter().zip(now).filter_map(|(before, now)| before.zip(*now));
    pairs.into_iter().any(|((inode, length, ..), (same, left, ..))| inode == same && left < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_once_it_stands_still() {
        let (old, half, new) = (Some((1, 10, 0, 0)), Some((1, 15, 1, 0)), Some((1, 20, 2, 0)));
        let mut steps = Steps { taken: vec![old], seen: vec![old], still: 0 };
        let seen = [old, half, new, new, new, None, None, None, new, new];
        let due: Vec<bool> = seen.map(|now| steps.is_due(vec![now])).into();
        assert_eq!(due, [false, false, false, true, false, false, true, false, false, true]);
    }
    #[test]
    fn what_has_become_shorter_in_place_is_believed_later_than_what_was_exchanged() {
        let (old, half, whole) = (Some((1, 100, 0, 0)), Some((1, 50, 1, 0)), Some((1, 90, 2, 0)));
        let rounds = |seen: &[(Look, usize)]| {
            let mut steps = Steps { taken: vec![old], seen: vec![old], still: 0 };
            let looks = seen.iter().flat_map(|(look, times)| std::iter::repeat_n(*look, *times));
            looks.enumerate().filter_map(|(round, look)| steps.is_due(vec![look]).then_some(round)).collect::<Vec<_>>()
        };
        assert_eq!(rounds(&[(half, 9), (whole, 20)]), [19], "half a file is not read while its writer rests");
        assert_eq!(rounds(&[(half, 9), (Some((1, 110, 3, 0)), 3)]), [10], "a whole longer one at once");
        assert_eq!(rounds(&[(Some((2, 50, 1, 0)), 3)]), [1], "another file in its place at once");
    }
}
