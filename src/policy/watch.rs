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

/// What a file looks like from outside; `None` where it is not there.
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
        let mut steps = Steps { taken: self.first.clone(), seen: self.first.clone() };
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
}

impl Steps {
    /// Whether they are to be read now.
    fn is_due(&mut self, now: Vec<Look>) -> bool {
        let due = now == self.seen && now != self.taken;
        if due {
            self.taken.clone_from(&now);
        }
        self.seen = now;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_once_it_stands_still() {
        let (old, half, new) = (Some((1, 10, 0, 0)), Some((1, 15, 1, 0)), Some((1, 20, 2, 0)));
        let mut steps = Steps { taken: vec![old], seen: vec![old] };
        let seen = [old, half, new, new, new, None, None, None, new, new];
        let due: Vec<bool> = seen.map(|now| steps.is_due(vec![now])).into();
        assert_eq!(due, [false, false, false, true, false, false, true, false, false, true]);
    }
}
