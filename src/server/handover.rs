//! The hand-over of the listening sockets from a running gateway to its successor.
//!
//! The successor, its configuration compiled, locks a marker file beside the upgrade socket, listens there, and asks
//! with QUIT. The running gateway sends its sockets and goes on accepting. The successor writes into the marker once it
//! serves, and only then does the other one leave; where the successor ends before that, its lock is gone and the
//! running gateway stays. So at every moment at least one of them accepts, whatever fails.

use super::background::pause;
use super::gateway::Gateway;
use super::lock::UpgradeLock;
use super::sockets::{MOST_HANDED_OVER, Sockets};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pingora_core::server::Fds;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After QUIT a successor is waited for this long.
const SUCCESSOR: Duration = Duration::from_secs(5);

/// A successor's mark that it has received the sockets and does not serve yet. Its lock is given up when the process
/// ends, however it ends; forking keeps it.
#[derive(Debug)]
pub struct Claim {
    marker: PathBuf,
    /// Open from the start: as a daemon the process may become a user who could not open it.
    file: File,
}

/// What a successor that serves has written into its marker.
const SERVING: &[u8] = b"serving";

/// How often it is looked whether somebody holds the lock before it is believed that nobody does.
const TRIES: u32 = 20;

impl Claim {
    fn make(socket: &Path) -> Result<Self, String> {
        let marker = marker_path(socket);
        let fail = |error: io::Error| format!("{} cannot be made: {error}", marker.display());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&marker).map_err(fail)?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &marker) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => {
                return Err(format!("another upgrade at {} is under way", socket.display()));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
        // The running gateway may be another user's, and must be able to read.
        let ready = file.set_len(0).and_then(|()| file.set_permissions(Permissions::from_mode(0o644)));
        ready.map_err(fail)?;
        Ok(Self { marker, file })
    }

    /// Tells the predecessor that this process serves.
    ///
    /// # Errors
    /// The marker cannot be written, so the predecessor stays.
    pub fn confirm(mut self) -> Result<(), String> {
        self.file.write_all(SERVING).map_err(|error| {
            format!("{} cannot be written, so the running gateway stays: {error}", self.marker.display())
        })?;
        // A marker that this user may not remove does no harm.
        let _ = fs::remove_file(&self.marker);
        Ok(())
    }
}

fn marker_path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".claim");
    PathBuf::from(name)
}

/// Whether the open file is still the one at that path.
fn is_at(file: &File, path: &Path) -> bool {
    matches!((file.metadata(), fs::metadata(path)), (Ok(one), Ok(two)) if one.ino() == two.ino())
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

fn await_socket(path: &Path) -> bool {
    let deadline = Instant::now() + SUCCESSOR;
    while !is_socket(path) {
        if Instant::now() > deadline {
            return false;
        }
        pause();
    }
    true
}

/// Receives the sockets of the running gateway. Where its pid file is known it is asked to hand them over; else the
/// operator sends QUIT.
///
/// # Errors
/// No gateway runs with this upgrade socket, it cannot be asked, or it does not answer.
pub fn receive(socket: &Path, pid_file: Option<&Path>) -> Result<(Sockets, Claim), String> {
    let shown = socket.display();
    if !has_holder(socket) {
        return Err(format!("no gateway runs with the upgrade socket {shown}; start this one without --upgrade"));
    }
    let pid = pid_file.map(read_pid).transpose()?;
    let claim = Claim::make(socket)?;
    let _ = fs::remove_file(socket);
    let path = socket.to_owned();
    let asking = std::thread::spawn(move || match pid {
        Some(pid) if await_socket(&path) => {
            kill(pid, Signal::SIGQUIT).map_err(|error| format!("process {pid}: {error}"))
        }
        _ => Ok(()),
    });
    let mut fds = Fds::new();
    let received = fds.get_from_sock(&*socket.to_string_lossy());
    let asked = asking.join().unwrap_or(Ok(()));
    match (received, asked) {
        (Ok(()), _) => Ok((Sockets::inherit(&fds), claim)),
        (Err(_), Err(why)) => Err(format!("the running gateway cannot be asked for its sockets: {why}")),
        (Err(error), Ok(())) => Err(format!("the running gateway did not hand its sockets over at {shown}: {error}")),
    }
}

/// Whether a gateway serves at the socket. Right after an upgrade the lock is nobody's for a moment, between the end of the
/// predecessor and its successor's waking up: whoever waits for it has it soon after it is let go of here.
fn has_holder(socket: &Path) -> bool {
    for _ in 0..TRIES {
        if UpgradeLock::take(socket).is_err() {
            return true;
        }
        pause();
    }
    false
}

fn read_pid(path: &Path) -> Result<Pid, String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!("{} cannot be read: {error}; an upgrade needs the running gateway's pid", path.display())
    })?;
    let pid = text.trim().parse().map_err(|_| format!("{} does not hold a process id", path.display()))?;
    Ok(Pid::from_raw(pid))
}

/// Gives the sockets to a successor and returns when that one serves.
///
/// # Errors
/// Nobody came for them, or the successor ended before it served: this gateway goes on.
pub fn give(gateway: &Gateway, socket: &Path) -> Result<(), String> {
    let shown = socket.display();
    if !await_socket(socket) {
        return Err(format!("no successor waits at {shown}"));
    }
    let sockets = gateway.export_sockets().map_err(|error| format!("the sockets cannot be copied: {error}"))?;
    if sockets.len() > MOST_HANDED_OVER {
        let count = sockets.len();
        return Err(format!(
            "{count} sockets are more than the {MOST_HANDED_OVER} that can be handed over; restart instead"
        ));
    }
    let mut fds = Fds::new();
    for (key, fd) in &sockets {
        fds.add(key.clone(), fd.as_raw_fd());
    }
    fds.send_to_sock(&*socket.to_string_lossy())
        .map_err(|error| format!("the sockets cannot be sent to {shown}: {error}"))?;
    drop(sockets);
    until_it_serves(&marker_path(socket))
}

fn until_it_serves(marker: &Path) -> Result<(), String> {
    loop {
        let mut file = match File::open(marker) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(format!("{} cannot be read: {error}", marker.display())),
        };
        // Read after the lock is tried: a successor that let go of it has written by then, or never will.
        let abandoned = file.try_lock().is_ok();
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(|error| format!("{} cannot be read: {error}", marker.display()))?;
        if text == SERVING || !is_at(&file, marker) {
            return Ok(());
        }
        if abandoned {
            return Err("the successor ended before it served".into());
        }
        pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_upgrade_waits_its_turn() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("upgrade.sock");
        let first = Claim::make(&socket).unwrap();
        assert!(Claim::make(&socket).unwrap_err().contains("under way"));
        first.confirm().unwrap();
        assert!(Claim::make(&socket).is_ok());
    }

    #[test]
    fn nobody_is_asked_where_no_gateway_runs() {
        let folder = tempfile::tempdir().unwrap();
        let error = receive(&folder.path().join("upgrade.sock"), None).unwrap_err();
        assert!(error.contains("no gateway runs"), "{error}");
    }

    #[test]
    fn a_successor_counts_once_it_has_confirmed_and_not_when_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("upgrade.sock");
        drop(Claim::make(&socket).unwrap());
        assert!(until_it_serves(&marker_path(&socket)).unwrap_err().contains("ended before"));
        Claim::make(&socket).unwrap().confirm().unwrap();
        assert_eq!(until_it_serves(&marker_path(&socket)), Ok(()));
    }
}
