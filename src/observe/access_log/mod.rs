//! The access log: one line for every request, written by a thread of its own so that no disk ever holds a request up.
//!
//! Read in this order: [`entry`] (what is known), [`mod@line`] (how it is written), [`writer`] (how it gets out).

mod entry;
mod escape;
mod line;
mod redact;
mod sink;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

pub use entry::{AccessEntry, Answer, Ids, Matched, Outcome, Part, SocketOutcome, Timings, What, Who};
pub use line::{Shape, write_json, write_text};
pub use redact::Redaction;
pub use sink::Destination;

use self::sink::Sink;
use self::writer::{Format, Shared, Writer};
use super::Worker;

/// How the access log is kept.
#[derive(Clone, Debug)]
pub struct AccessLogSettings {
    /// Where lines go.
    pub to: Destination,
    /// Their form.
    pub shape: Shape,
    /// Which values of the query are not shown.
    pub redaction: Redaction,
}

/// How much the access log may hold back; fixed while it lives.
#[derive(Clone, Copy, Debug)]
pub struct AccessLogBounds {
    /// How many workers log; more than that share buffers.
    pub workers: usize,
    /// Bytes of lines that may wait to be written, for each worker. One line may go beyond it.
    pub bytes_per_worker: usize,
}

impl AccessLogBounds {
    /// The usual bound of a worker's buffer: some two thousand lines.
    pub const BYTES_PER_WORKER: usize = 1024 * 1024;
}

/// The access log of one gateway. It outlives reloads: see [`AccessLog::reconfigure`].
pub struct AccessLog {
    shared: Arc<Shared>,
    /// Until the thread is started.
    writer: Mutex<Option<Writer>>,
}

impl AccessLog {
    /// Opens the log. Lines can be recorded at once, but are not written before [`AccessLog::start`].
    ///
    /// Lost lines are added to `dropped`.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn open(settings: AccessLogSettings, bounds: AccessLogBounds, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        let sink = Sink::open(&settings.to)?;
        Ok(Self::with_sink(sink, Format::of(settings), bounds, dropped))
    }

    fn with_sink(sink: Sink, format: Format, bounds: AccessLogBounds, dropped: Arc<AtomicU64>) -> Self {
        let AccessLogBounds { workers, bytes_per_worker } = bounds;
        let shared = Arc::new(Shared::new(workers, bytes_per_worker, &format, dropped));
        let writer = Writer::new(Arc::clone(&shared), sink);
        Self { shared, writer: Mutex::new(Some(writer)) }
    }

    /// Starts the writing thread. A second call does nothing.
    ///
    /// A process that becomes a daemon must call this after it has, since threads do not survive a fork.
    ///
    /// # Errors
    /// The system has no thread to give. Then lines are dropped once the buffers are full.
    pub fn start(&self) -> io::Result<()> {
        let Some(writer) = self.writer.lock().take() else { return Ok(()) };
        let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        self.shared.set_writer(thread.thread().clone());
        Ok(())
    }

    /// Whether lines go anywhere at all: if not, there is no need to make them.
    pub fn is_on(&self) -> bool {
        self.shared.is_on()
    }

    /// Takes a line, or drops and counts it if the worker's buffer is full. Never waits for the disk.
    pub fn record(&self, worker: Worker, entry: &AccessEntry<'_>) {
        self.shared.record(worker, entry);
    }

    /// Opens the file again, after a rotation renamed it. Lines recorded before go to the old file.
    ///
    /// Returns at once; if the file cannot be opened, the old one stays in use and the process log says so.
    pub fn reopen(&self) {
        self.shared.reopen();
    }

    /// Changes where lines go and how they look, as on a reload. Lines recorded before still go where they should have
    /// gone, in the form they have.
    ///
    /// Call it once the new configuration is sure to be put into service: there is no way back from a successful call
    /// but another one.
    ///
    /// # Errors
    /// What the system says of the new file; then nothing has changed.
    pub fn reconfigure(&self, settings: AccessLogSettings) -> io::Result<()> {
        let sink = Sink::open(&settings.to)?;
        self.shared.switch(sink, Format::of(settings));
        Ok(())
    }

    /// Waits until every line recorded before, and every order given before, is dealt with; `false` if that took longer
    /// than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        self.shared.flush(patience)
    }

    /// Writes what there is and ends the thread; `false` if that took longer than `patience`. Lines recorded later go
    /// nowhere.
    pub fn flush_and_stop(&self, patience: Duration) -> bool {
        self.shared.flush_and_stop(patience)
    }
}

impl Drop for AccessLog {
    /// Tells the thread to write what there is and end, and does not wait for it.
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AccessLog").finish_non_exhaustive()
    }
}

impl Format {
    fn of(settings: AccessLogSettings) -> Self {
        Self { shape: settings.shape, redaction: Arc::new(settings.redaction) }
    }
}
