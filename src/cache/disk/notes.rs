//! What runs write down beside answers: up to which purge of all gateways they have followed, and what was purged while
//! they did not know all files yet.
//!
//! Each run writes its own, so that two processes, as there are during an upgrade, never speak for each other. One that
//! begins goes on from the place of whoever of those before it has come least far.

use super::folder::{Folder, is_held, lock_name, number, read_dir, remove};
use crate::cache::purge::Purge;
use crate::shared_state::Place;
use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How the names of what a run writes end, after its number. The last is removed last: while it is there, so is the run.
const ENDS: [&str; 3] = ["lock", "purges", "position"];

/// Up to which purge of all gateways what lies in a folder may be believed by that run: `None` where nobody knows.
pub(super) fn place(path: &Path, run: u64) -> Option<Place> {
    let said = |run| Place::of_text(&std::fs::read_to_string(position_of(path, run)).ok()?);
    if let Some(own) = said(run) {
        return Some(own);
    }
    let mut others = runs(path).into_iter().filter(|other| *other != run).map(said);
    let first = others.next()??;
    others.try_fold(first, |least, other| {
        let other = other.filter(|other| other.era == least.era)?;
        Some(if other.number < least.number { other } else { least })
    })
}

/// All that have written there and are not forgotten.
fn runs(path: &Path) -> HashSet<u64> {
    let of_run = |name: &str| {
        let (run, end) = name.split_once('.')?;
        ENDS.contains(&end).then(|| number(run)).flatten()
    };
    read_dir(path).filter_map(|entry| of_run(entry.file_name().to_str()?)).collect()
}

fn position_of(path: &Path, run: u64) -> PathBuf {
    path.join(format!("{run:016x}.position"))
}

fn purges_of(path: &Path, run: u64) -> PathBuf {
    path.join(format!("{run:016x}.purges"))
}

impl Folder {
    /// Writes down up to which purge of all gateways this run has followed.
    ///
    /// # Errors
    /// What the system says.
    pub fn note_position(&self, place: &str) -> io::Result<()> {
        let path = position_of(self.path(), self.run());
        let beside = path.with_extension("position.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(place.as_bytes())?;
        std::fs::rename(beside, path)
    }

    /// Writes down a purge.
    ///
    /// # Errors
    /// What the system says.
    pub fn note_purge(&self, text: &str) -> io::Result<()> {
        let path = purges_of(self.path(), self.run());
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.write_all(format!("{}\n", text.replace(['\n', '\r'], " ")).as_bytes())
    }

    /// All files are known: what this run has noted need not be remembered.
    ///
    /// # Errors
    /// What the system says.
    pub fn forget_purges(&self) -> io::Result<()> {
        remove(&purges_of(self.path(), self.run()))
    }

    /// What other runs have noted.
    pub fn noted_by_others(&self) -> Vec<Purge> {
        let (living, dead) = self.others();
        living.iter().chain(&dead).flat_map(|run| self.noted_by(*run)).collect()
    }

    /// What a run has noted.
    pub fn noted_by(&self, run: u64) -> Vec<Purge> {
        let text = std::fs::read_to_string(purges_of(self.path(), run)).unwrap_or_default();
        text.lines().map(Purge::of_text).collect()
    }

    /// The other runs: those that live, and those that do not.
    pub fn others(&self) -> (HashSet<u64>, HashSet<u64>) {
        let others = runs(self.path()).into_iter().filter(|run| *run != self.run());
        others.partition(|run| is_held(&lock_name(self.path(), *run)))
    }

    /// Removes what a dead run has written down, and its lock.
    ///
    /// # Errors
    /// What the system says.
    pub fn forget(&self, run: u64) -> io::Result<()> {
        ENDS.iter().try_for_each(|end| remove(&self.path().join(format!("{run:016x}.{end}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(era: &str, number: u64) -> Place {
        Place { era: era.into(), number, last: "x 1 tag t".into() }
    }

    #[test]
    fn who_begins_goes_on_from_the_place_of_who_has_come_least_far() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(place(dir.path(), 9), None, "nobody was here");
        let [one, two] = [1, 2].map(|run| Folder::open(dir.path(), run).unwrap());
        one.note_position(&at("e", 7).to_text()).unwrap();
        assert_eq!(place(dir.path(), 9), None, "the second does not know");
        two.note_position(&at("e", 9).to_text()).unwrap();
        assert_eq!(place(dir.path(), 9), Some(at("e", 7)));
        drop(one);
        let third = Folder::open(dir.path(), 3).unwrap();
        two.note_position(&at("f", 9).to_text()).unwrap();
        assert_eq!(place(dir.path(), 9), None, "two logs");
        assert_eq!(place(dir.path(), 3), Some(at("e", 7)), "what it began with is its own");
        third.forget(1).unwrap();
        third.forget(2).unwrap();
        assert_eq!(place(dir.path(), 9), Some(at("e", 7)), "and is there when the others are forgotten");
    }

    #[test]
    fn each_run_notes_purges_of_its_own_and_others_read_them() {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = [1, 2].map(|run| Folder::open(dir.path(), run).unwrap());
        one.note_purge("tag a").unwrap();
        two.note_purge("tag b").unwrap();
        two.forget_purges().unwrap();
        assert_eq!((two.noted_by_others(), one.noted_by_others()), (vec![Purge::Tag("a".into())], Vec::new()));
        assert_eq!(two.others(), ([1].into(), [].into()));
        drop(one);
        assert_eq!(two.others(), ([].into(), [1].into()));
        two.forget(1).unwrap();
        assert_eq!(two.others(), ([].into(), [].into()));
        assert!(two.noted_by_others().is_empty());
    }
}
