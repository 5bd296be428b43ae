//! One gateway at a time hands over at an upgrade socket: whoever serves holds a lock beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held as long as this process serves at the upgrade socket. The system gives it up when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct UpgradeLock {
    file: File,
}

/// Why the lock is not had.
#[derive(Debug)]
pub enum LockError {
    /// Another process serves there.
    Held(PathBuf),
    /// The file cannot be made.
    Io(PathBuf, io::Error),
}

impl std::fmt::Display for LockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Held(socket) => write!(
                f,
                "another gateway runs with the upgrade socket {}; take over from it with `run --upgrade`, or give this one \
                 another `server.upgrade_socket`",
                socket.display()
            ),
            Self::Io(path, error) => write!(f, "{} cannot be made: {error}", path.display()),
        }
    }
}

/// The lock that goes with an upgrade socket.
fn lock_path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn open(socket: &Path) -> Result<File, LockError> {
    let path = lock_path(socket);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| LockError::Io(folder.to_owned(), error))?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    file.map_err(|error| LockError::Io(path, error))
}

impl UpgradeLock {
    /// Takes the lock now.
    ///
    /// # Errors
    /// Another process holds it, or the file cannot be made.
    pub fn take(socket: &Path) -> Result<Self, LockError> {
        let file = open(socket)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(socket.to_owned())),
            Err(TryLockError::Error(error)) => Err(LockError::Io(lock_path(socket), error)),
        }
    }

    /// Opens the lock without taking it, while the process may still do so: as a daemon it perhaps becomes another user.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn prepare(socket: &Path) -> Result<WaitingLock, LockError> {
        open(socket).map(|file| WaitingLock { file, path: lock_path(socket) })
    }
}

/// A lock that a predecessor holds.
#[derive(Debug)]
pub struct WaitingLock {
    file: File,
    path: PathBuf,
}

impl WaitingLock {
    /// Waits for the predecessor to end, then holds the lock until this process does.
    ///
    /// # Errors
    /// The file cannot be locked.
    pub fn wait(self) -> Result<UpgradeLock, LockError> {
        match self.file.lock() {
            Ok(()) => Ok(UpgradeLock { file: self.file }),
            Err(error) => Err(LockError::Io(self.path, error)),
        }
    }
}

impl Drop for UpgradeLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_until_the_first_leaves() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("upgrade.sock");
        let first = UpgradeLock::take(&socket).unwrap();
        assert!(matches!(UpgradeLock::take(&socket), Err(LockError::Held(_))));
        drop(first);
        assert!(UpgradeLock::take(&socket).is_ok());
    }
}
