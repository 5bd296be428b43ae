//! How log files are opened, for the access log and the process log alike.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens a log file for appending and makes it if it is not there, readable by owner and group only (0640).
///
/// Appending (`O_APPEND`) lets the old and the new process write to one file during an upgrade, and lets a rotation
/// truncate it.
///
/// # Errors
/// What the system says: no such folder, no permission, and the like.
pub(super) fn open_for_appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn appends_to_what_is_there_and_closes_the_file_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for line in ["one\n", "two\n"] {
            open_for_appending(&path).unwrap().write_all(line.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
    }
}
