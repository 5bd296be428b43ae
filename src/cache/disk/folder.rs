//! The folder: names of files, whose they are, and what is left behind by processes that are gone.
//!
//! Each process that uses the folder is a *run* with a number of its own and a lock file that it holds as long as it lives.
//! A file is `7f/RUN-NUMBER`, the folder being the last byte of its number; one that is being written ends in `.new`. Two
//! runs, as there are during an upgrade, never write the same file. What bears another name is nobody's business here.

use super::notes;
use std::collections::HashSet;
use std::fs::{DirBuilder, DirEntry, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What names a file: the run that wrote it, and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::cache) struct Name {
    run: u64,
    number: u64,
}

/// What lies in the folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lying {
    /// An answer.
    Whole(Name),
    /// One that was being written.
    Unfinished(PathBuf, Name),
}

/// The folder as one process uses it.
pub(super) struct Folder {
    path: PathBuf,
    run: u64,
    next: AtomicU64,
    /// Held as long as this run lives.
    _lock: File,
}

impl Folder {
    /// Opens the folder for a run of that number; makes it where it is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path, run: u64) -> io::Result<Self> {
        make(path)?;
        let place = notes::place(path, run);
        // Locked before it has the name others look for: they never find it free.
        let (beside, name) = (path.join(format!("{run:016x}.lock.new")), lock_name(path, run));
        let lock = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        lock.try_lock().map_err(io::Error::other)?;
        std::fs::rename(&beside, &name)?;
        let folder = Self { path: path.to_owned(), run, next: AtomicU64::new(0), _lock: lock };
        // What this run adds is newer than that: it holds for all that lies there, whoever is forgotten.
        place.map_or(Ok(()), |place| folder.note_position(&place.to_text()))?;
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of this run.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// A name that no other file has.
    pub fn name(&self) -> Name {
        Name { run: self.run, number: self.next.fetch_add(1, Relaxed) }
    }

    /// Where a file of that name is.
    pub fn file(&self, name: Name) -> PathBuf {
        self.path.join(format!("{:02x}", name.number & 0xff)).join(format!("{:016x}-{:016x}", name.run, name.number))
    }

    /// Writes a file whole: beside its place, and renamed.
    ///
    /// # Errors
    /// What the system says; nothing is left then.
    pub fn write<T>(&self, name: Name, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let path = self.file(name);
        let beside = path.with_extension("new");
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            make(folder)?;
        }
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            let result = write(&mut file)?;
            std::fs::rename(&beside, &path)?;
            Ok(result)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    /// All answers, whole or not.
    pub fn list(&self) -> impl Iterator<Item = Lying> {
        let folders = (0..=0xff_u8).map(|number| self.path.join(format!("{number:02x}")));
        let entries = folders.flat_map(|folder| read_dir(&folder));
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).filter_map(|entry| {
            let written = entry.file_name();
            let text = written.to_str()?;
            match text.strip_suffix(".new") {
                Some(text) => Some(Lying::Unfinished(entry.path(), parse(text)?)),
                None => Some(Lying::Whole(parse(text)?)),
            }
        })
    }

    /// Whether this very run wrote it.
    pub fn wrote(&self, name: Name) -> bool {
        name.run == self.run
    }

    /// Whether the process of a file's run still lives.
    pub fn lives(&self, name: Name) -> bool {
        name.run == self.run || is_held(&lock_name(&self.path, name.run))
    }

    /// Removes of the answers of a dead run those that are not among `known`, which it wrote after this run had looked, and
    /// what it had not finished.
    ///
    /// # Errors
    /// What the system says of the last that cannot be removed.
    pub fn clear(&self, dead: &HashSet<u64>, known: &HashSet<Name>) -> io::Result<()> {
        let mut all = Ok(());
        for lying in self.list() {
            let removed = match lying {
                Lying::Whole(name) if dead.contains(&name.run) && !known.contains(&name) => remove(&self.file(name)),
                Lying::Unfinished(path, name) if dead.contains(&name.run) => remove(&path),
                _ => continue,
            };
            if removed.is_err() {
                all = removed;
            }
        }
        all
    }
}

/// Removes a file. One that is not there is no failure: another process that uses the folder may have removed it.
///
/// # Errors
/// What the system says.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// What lies in a folder; nothing where there is none.
pub(super) fn read_dir(path: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    std::fs::read_dir(path).into_iter().flatten().flatten()
}

fn make(path: &Path) -> io::Result<()> {
    let known = path.exists();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let met = std::fs::metadata(path)?;
    if known && met.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write there: what lies in it could not be believed"));
    }
    // Its owner may write there too, whatever the mode.
    if ![0, nix::unistd::Uid::effective().as_raw()].contains(&met.uid()) {
        return Err(io::Error::other("it is another user's: what lies in it could not be believed"));
    }
    Ok(())
}

/// The lock of a run.
pub(super) fn lock_name(path: &Path, run: u64) -> PathBuf {
    path.join(format!("{run:016x}.lock"))
}

/// Whether somebody holds a lock file. One that is not there is held by nobody.
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

/// A number as names have it.
pub(super) fn number(text: &str) -> Option<u64> {
    (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

fn parse(text: &str) -> Option<Name> {
    let (run, number_) = text.split_once('-')?;
    Some(Name { run: number(run)?, number: number(number_)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn put(folder: &Folder, text: &str) -> Name {
        let name = folder.name();
        folder.write(name, |file| file.write_all(text.as_bytes())).unwrap();
        name
    }

    #[test]
    fn files_are_the_users_alone_and_others_stay_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = Folder::open(&path, 1).unwrap();
        let name = put(&folder, "text");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.file(name)), mode(&path)), (0o600, 0o700));
        let strange = ["00/notes.txt", "00/0000000000000001-1", "notes"].map(|name| path.join(name));
        strange.iter().for_each(|path| std::fs::write(path, "x").unwrap());
        assert_eq!(folder.list().collect::<Vec<_>>(), [Lying::Whole(name)]);
        folder.clear(&[1].into(), &[name].into()).unwrap();
        assert!(strange.iter().all(|path| path.exists()));
    }

    #[test]
    fn what_failed_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path(), 1).unwrap();
        let failed = folder.write(folder.name(), |file| {
            file.write_all(b"half")?;
            Err::<(), _>(io::Error::other("full"))
        });
        assert!(failed.is_err());
        assert_eq!(folder.list().count(), 0);
    }

    #[test]
    fn a_run_leaves_the_living_alone_and_clears_up_after_the_dead() {
        let dir = tempfile::tempdir().unwrap();
        let old = Folder::open(dir.path(), 1).unwrap();
        let (kept, later) = (put(&old, "kept"), put(&old, "later"));
        std::fs::write(old.file(later).with_extension("new"), "half").unwrap();
        let new = Folder::open(dir.path(), 2).unwrap();
        let own = put(&new, "own");
        assert!(new.lives(kept) && new.others().1.is_empty());
        assert_eq!(new.list().count(), 4);
        drop(old); // its lock is free: that of one that was killed is no other
        assert!(!new.lives(kept));
        let dead = new.others().1;
        new.clear(&dead, &[kept].into()).unwrap();
        dead.iter().for_each(|run| new.forget(*run).unwrap());
        let left: HashSet<Lying> = new.list().collect();
        assert_eq!(left, [Lying::Whole(kept), Lying::Whole(own)].into());
        assert!(!dir.path().join("0000000000000001.lock").exists());
    }

    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Folder::open(dir.path(), 1).is_err());
    }
}
