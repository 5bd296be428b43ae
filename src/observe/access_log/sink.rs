//! Where lines go, and what happens when they cannot go there.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::observe::file::open_for_appending;

/// Where lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: entries cost nothing.
    Off,
    /// Standard output.
    Stdout,
    /// A file, made if it is not there.
    File(PathBuf),
}

/// An open destination.
pub(super) struct Sink {
    output: Option<Box<dyn Write + Send>>,
    /// The file to open again after a rotation or a failure.
    path: Option<PathBuf>,
    state: State,
    complaints: Complaints,
}

/// What the last write left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Whole lines.
    Whole,
    /// It failed between lines: the file may have to be opened again.
    Failed,
    /// It failed inside a line, which must be ended before another begins.
    Torn,
}

impl Sink {
    /// Opens the destination.
    ///
    /// # Errors
    /// What the system says of the file.
    pub(super) fn open(to: &Destination) -> io::Result<Self> {
        let (output, path): (Option<Box<dyn Write + Send>>, _) = match to {
            Destination::Off => (None, None),
            // A descriptor of our own: the standard library's would buffer, and share a lock with others.
            Destination::Stdout => (Some(Box::new(File::from(io::stdout().as_fd().try_clone_to_owned()?))), None),
            Destination::File(path) => (Some(Box::new(open_for_appending(path)?)), Some(path.clone())),
        };
        Ok(Self { output, path, state: State::Whole, complaints: Complaints::default() })
    }

    /// Writes to `output`, which cannot be opened again.
    #[cfg(test)]
    pub(super) fn to(output: impl Write + Send + 'static) -> Self {
        Self { output: Some(Box::new(output)), path: None, state: State::Whole, complaints: Complaints::default() }
    }

    /// Whether there is anywhere to write to.
    pub(super) const fn is_on(&self) -> bool {
        self.output.is_some()
    }

    /// Opens the file again, after it was renamed. If that fails, the file that is open stays in use.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match open_for_appending(path) {
            Ok(file) => {
                self.output = Some(Box::new(file));
                self.state = State::Whole;
            }
            Err(error) => self.complaints.reopening(path, &error),
        }
    }

    /// Writes whole lines; gives the number of lines that were lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        if lines.is_empty() {
            return 0;
        }
        if self.state != State::Whole && self.path.is_some() {
            self.renew();
        }
        let Some(output) = &mut self.output else { return 0 };
        let ended = match self.state {
            State::Torn => write_all(output.as_mut(), b"\n").1,
            State::Whole | State::Failed => Ok(()),
        };
        let (rest, result) = match ended {
            Ok(()) => {
                self.state = State::Whole;
                write_all(output.as_mut(), lines)
            }
            Err(error) => (lines, Err(error)),
        };
        if let Err(error) = result {
            self.complaints.writing(self.path.as_deref(), &error);
            // A torn line stays torn until its line feed is out, which puts the state back to whole.
            if self.state == State::Whole {
                self.state = if ends_a_line(written(lines, rest)) { State::Failed } else { State::Torn };
            }
        }
        count_lines(rest)
    }

    /// Opens the file again after a failure, for then it may be a new one (a volume mounted again, a file restored).
    fn renew(&mut self) {
        let file = self.path.as_deref().map(open_for_appending);
        if let Some(Ok(file)) = file {
            self.output = Some(Box::new(file));
        }
    }
}

/// What of `lines` was written, given what was not.
fn written<'a>(lines: &'a [u8], rest: &[u8]) -> &'a [u8] {
    lines.get(..lines.len() - rest.len()).unwrap_or_default()
}

fn ends_a_line(written: &[u8]) -> bool {
    written.last().is_none_or(|&byte| byte == b'\n')
}

fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// Writes all of `bytes`, however many calls it takes; gives what could not be written, and why.
fn write_all<'a>(output: &mut dyn Write, bytes: &'a [u8]) -> (&'a [u8], io::Result<()>) {
    const PAUSE: Duration = Duration::from_millis(10);
    let mut rest = bytes;
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return (rest, Err(io::ErrorKind::WriteZero.into())),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody else made the pipe behind our standard output non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(PAUSE),
            Err(error) => return (rest, Err(error)),
        }
    }
    (rest, Ok(()))
}

/// Says what is wrong in the process log, at most once a minute.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
}

impl Complaints {
    fn writing(&mut self, path: Option<&Path>, error: &io::Error) {
        if self.is_due(Instant::now()) {
            let name = path.map_or("standard output".into(), Path::to_string_lossy);
            log::error!("cannot write the access log to {name}: {error}; lines are lost until this is mended");
        }
    }

    fn reopening(&mut self, path: &Path, error: &io::Error) {
        // Always said: it happens once for each signal, and the operator is waiting for it.
        log::error!("cannot reopen the access log {}: {error}; still writing to the file open before", path.display());
    }

    fn is_due(&mut self, now: Instant) -> bool {
        const PERIOD: Duration = Duration::from_secs(60);
        let due = self.last.is_none_or(|last| now.saturating_duration_since(last) >= PERIOD);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// Takes bytes by a script of results, then everything.
    struct Scripted {
        script: Vec<io::Result<usize>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = if self.script.is_empty() { bytes.len() } else { self.script.remove(0)?.min(bytes.len()) };
            self.taken.lock().extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn scripted(script: Vec<io::Result<usize>>) -> (Sink, Arc<Mutex<Vec<u8>>>) {
        let taken = Arc::default();
        (Sink::to(Scripted { script, taken: Arc::clone(&taken) }), taken)
    }

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn partial_writes_are_completed() {
        let (mut sink, taken) =
            scripted(vec![Ok(2), Err(io::ErrorKind::Interrupted.into()), Ok(1), Err(io::ErrorKind::WouldBlock.into())]);
        assert_eq!(sink.write(b"one\ntwo\n"), 0);
        assert_eq!(*taken.lock(), b"one\ntwo\n");
    }

    #[test]
    fn a_failing_disk_loses_lines_which_are_counted() {
        let (mut sink, taken) = scripted(vec![Ok(4), Err(full()), Err(full())]);
        assert_eq!(sink.write(b"one\ntwo\nthree\n"), 2);
        assert_eq!(sink.write(b"four\n"), 1);
        assert_eq!(sink.write(b"five\n"), 0);
        assert_eq!(*taken.lock(), b"one\nfive\n");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_begins() {
        let (mut sink, taken) = scripted(vec![Ok(6), Err(full()), Err(full())]);
        assert_eq!(sink.write(b"one\ntwo\nthree\n"), 2);
        assert_eq!(sink.write(b"four\n"), 1);
        assert_eq!(sink.write(b"five\n"), 0);
        assert_eq!(*taken.lock(), b"one\ntw\nfive\n");
    }

    #[test]
    fn a_full_device_never_panics() {
        let mut sink = Sink::open(&Destination::File("/dev/full".into())).unwrap();
        assert_eq!(sink.write(b"one\n"), 1);
        assert_eq!(sink.write(b"two\nthree\n"), 2);
    }

    #[test]
    fn a_closed_pipe_never_panics() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut sink = Sink::to(writer);
        assert_eq!(sink.write(b"one\n"), 1);
    }

    #[test]
    fn the_file_is_retried_after_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut sink, _) = scripted(vec![Err(full())]);
        sink.path = Some(path.clone());
        assert_eq!(sink.write(b"lost\n"), 1);
        assert_eq!(sink.write(b"kept\n"), 0);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "kept\n");
    }

    #[test]
    fn a_file_that_cannot_be_reopened_stays_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut sink = Sink::open(&Destination::File(path.clone())).unwrap();
        sink.path = Some(folder.path().join("gone/log"));
        sink.reopen();
        sink.write(b"one\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one\n");
    }

    #[test]
    fn complaints_are_a_minute_apart() {
        let mut complaints = Complaints::default();
        let start = Instant::now();
        let due = [0, 1, 59, 60, 61, 120].map(|seconds| complaints.is_due(start + Duration::from_secs(seconds)));
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
