//! The process log: what the daemon says about itself, to standard error or a file.
//!
//! It writes on the thread that speaks, so that the last words of a dying process are not lost. It is meant for few
//! records: requests are the access log's, and [`repeats`] bounds how often one statement is heard.
//!
//! The logger of the `log` crate is the one global of this program.

mod levels;
mod line;
mod repeats;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use log::{LevelFilter, Record, SetLoggerError};
use parking_lot::Mutex;

pub use levels::{BadLevel, Levels};
pub use line::LogShape;

use self::line::Clock;
use self::repeats::{Repeats, Summary, Verdict};
use super::file::open_for_appending;
use super::{TimeStyle, TimeText, UnixMillis};

/// How the process log is kept.
#[derive(Clone, Debug)]
pub struct ProcessLogSettings {
    /// Where it goes: a file, or standard error.
    pub file: Option<PathBuf>,
    /// The form of its lines.
    pub shape: LogShape,
    /// Which records are wanted.
    pub levels: Levels,
}

/// The process log.
#[derive(Debug)]
pub struct ProcessLog {
    file: Option<PathBuf>,
    shape: LogShape,
    levels: Levels,
    voice: Mutex<Voice>,
}

/// What speaking needs, one speaker at a time.
#[derive(Debug)]
struct Voice {
    /// `None` is standard error.
    output: Option<File>,
    repeats: Repeats,
    clock: TimeText,
    line: Vec<u8>,
}

/// Statements of Pingora that any stranger can cause at will, and so are nobody's error: they count as `debug`.
const STRANGERS: [(&str, &str); 5] = [
    ("pingora_core::services::listening", "Downstream handshake"),
    ("pingora_core::apps", "H2 handshake error"),
    ("pingora_core::protocols::http::v1::common", "invalid content-length"),
    ("pingora_core::protocols::http::v1::common", "negative content-length"),
    ("pingora_core::protocols::tls::boringssl_openssl::server", "TLS shutdown failed"),
];

impl ProcessLog {
    /// Opens the log.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn open(settings: ProcessLogSettings) -> io::Result<Self> {
        let ProcessLogSettings { file, shape, levels } = settings;
        let output = file.as_deref().map(open_for_appending).transpose()?;
        let clock = TimeText::new(TimeStyle::Rfc3339);
        let voice = Voice { output, repeats: Repeats::default(), clock, line: Vec::new() };
        Ok(Self { file, shape, levels, voice: Mutex::new(voice) })
    }

    /// Makes this the logger of the process, for ever.
    ///
    /// # Errors
    /// There is one already.
    pub fn install(self) -> Result<&'static Self, SetLoggerError> {
        let log: &'static Self = Box::leak(Box::new(self));
        log::set_logger(log)?;
        log::set_max_level(log.levels.highest());
        Ok(log)
    }

    /// Opens the file again, after a rotation renamed it.
    ///
    /// # Errors
    /// What the system says of the file; then the one open before stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        if let Some(path) = &self.file {
            let file = open_for_appending(path)?;
            self.voice.lock().output = Some(file);
        }
        Ok(())
    }

    /// Writes a record that was made at `now`, if it is wanted.
    fn record(&self, record: &Record<'_>, now: SystemTime) {
        let wanted = self.levels.of(record.target());
        if record.level() > wanted {
            return;
        }
        let message = record.args().to_string();
        if is_of_strangers(record.target(), &message) && wanted < LevelFilter::Debug {
            return;
        }
        let mut voice = self.voice.lock();
        for summary in voice.repeats.ended(now) {
            voice.say_what_was_left_out(&summary, self.shape, now);
        }
        if voice.repeats.count(record.target(), record.line().unwrap_or_default(), now) == Verdict::Heard {
            voice.say(record, &message, self.shape, now);
        }
    }
}

impl Voice {
    fn say(&mut self, record: &Record<'_>, message: &str, shape: LogShape, now: SystemTime) {
        let Self { output, clock, line, .. } = self;
        line.clear();
        let mut clock = Clock { now: UnixMillis::from(now), text: clock };
        line::write(shape, record, message, &mut clock, line);
        // There is nobody left to tell if the log itself cannot be written.
        let _ = match output {
            Some(file) => file.write_all(line),
            None => io::stderr().write_all(line),
        };
    }

    fn say_what_was_left_out(&mut self, summary: &Summary, shape: LogShape, now: SystemTime) {
        let Summary { target, line, left_out } = summary;
        let message = format!("{left_out} more like the one from line {line} were left out");
        let record = Record::builder().level(log::Level::Warn).target(target).build();
        self.say(&record, &message, shape, now);
    }
}

fn is_of_strangers(target: &str, message: &str) -> bool {
    STRANGERS.iter().any(|(from, begins)| *from == target && message.starts_with(begins))
}

impl log::Log for ProcessLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= self.levels.of(metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        self.record(record, SystemTime::now());
    }

    /// Every record is written when it is made.
    fn flush(&self) {}
}
