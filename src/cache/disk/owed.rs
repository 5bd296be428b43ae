//! What was asked of the disk and could not be done: it is tried again, and until it is done no purge is said to be, nor is
//! it written down that one was.

use super::folder::{Folder, Name, remove};
use std::collections::VecDeque;
use std::io;

/// Purges that may wait to be written down; where more come, all of them become one of everything.
const MOST: usize = 10_000;

/// What is still to be done.
#[derive(Default)]
pub(super) struct Owed {
    /// Files to remove.
    removals: Vec<Name>,
    /// Purges to write down.
    purges: VecDeque<String>,
    /// The place to write down when all that is purged up to there is gone.
    position: Option<String>,
    /// Whether purges that are written down may be forgotten.
    all_known: bool,
}

impl Owed {
    /// A file is to be removed.
    pub fn removal(&mut self, name: Name) {
        self.removals.push(name);
    }

    /// A purge is to be written down.
    pub fn purge(&mut self, text: String) {
        if self.purges.len() >= MOST {
            self.purges = ["everything".to_owned()].into();
        }
        self.purges.push_back(text);
    }

    /// A place is to be written down.
    pub fn position(&mut self, text: String) {
        self.position = Some(text);
    }

    /// All files are known: purges need not be written down.
    pub fn all_are_known(&mut self) {
        self.all_known = true;
    }

    /// Whether purges are not done yet.
    pub fn has_purges(&self) -> bool {
        !self.removals.is_empty() || !self.purges.is_empty()
    }

    /// Whether anything is to be done yet. A place waits until all files are known, which takes its time.
    pub fn is_due(&self, scanned: bool) -> bool {
        self.has_purges() || self.all_known || (scanned && self.position.is_some())
    }

    /// Does what can be done.
    ///
    /// # Errors
    /// What the system says of the first that cannot, and in which words.
    pub fn settle(&mut self, folder: &Folder, scanned: bool) -> Result<(), (&'static str, io::Error)> {
        let mut failed = None;
        self.removals.retain(|name| match remove(&folder.file(*name)) {
            Ok(()) => false,
            Err(error) => {
                failed.get_or_insert(error);
                true
            }
        });
        if let Some(error) = failed {
            return Err(("a file cannot be removed", error));
        }
        let unwritten = |error| ("a purge cannot be written down", error);
        while let Some(text) = self.purges.front() {
            folder.note_purge(text).map_err(unwritten)?;
            self.purges.pop_front();
        }
        if !scanned {
            return Ok(()); // what is purged may lie there unread: the place holds once all is read
        }
        if let Some(place) = &self.position {
            folder.note_position(place).map_err(unwritten)?;
            self.position = None;
        }
        if self.all_known {
            folder.forget_purges().map_err(unwritten)?;
            self.all_known = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::notes::place;
    use super::*;
    use std::path::Path;

    fn at(dir: &Path) -> Option<u64> {
        place(dir, 1).map(|place| place.number)
    }

    #[test]
    fn a_place_is_written_down_when_what_it_says_is_true() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, mut owed) = (Folder::open(dir.path(), 1).unwrap(), Owed::default());
        let name = folder.name();
        std::fs::create_dir_all(folder.file(name)).unwrap(); // a folder is not removed as a file is
        owed.removal(name);
        owed.position("e 7 x".into());
        for _ in 0..2 {
            assert!(owed.settle(&folder, true).is_err());
            assert_eq!((owed.has_purges(), at(dir.path())), (true, None));
        }
        std::fs::remove_dir(folder.file(name)).unwrap();
        assert!(owed.settle(&folder, false).is_ok());
        assert_eq!((owed.has_purges(), owed.is_due(true), at(dir.path())), (false, true, None), "not all is read");
        assert!(owed.settle(&folder, true).is_ok());
        assert_eq!((owed.is_due(true), at(dir.path())), (false, Some(7)));
    }

    #[test]
    fn purges_are_noted_until_all_files_are_known() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, mut owed) = (Folder::open(dir.path(), 1).unwrap(), Owed::default());
        owed.purge("tag a".into());
        owed.purge("tag b".into());
        assert!(owed.settle(&folder, false).is_ok());
        assert_eq!(folder.noted_by(1).len(), 2);
        owed.all_are_known();
        assert!(owed.settle(&folder, true).is_ok());
        assert!(folder.noted_by(1).is_empty() && !owed.is_due(true));
        (0..=MOST).for_each(|number| owed.purge(format!("tag {number}")));
        assert!(owed.settle(&folder, false).is_ok());
        assert_eq!(folder.noted_by(1).len(), 2, "one of everything, and what came after it");
    }
}
