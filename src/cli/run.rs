//! `tollgate run`: serves.

use crate::config;
use crate::observe::log::{Levels, LogShape, ProcessLog, ProcessLogSettings};
use crate::server::Source;
use crate::server::daemon::{self, Mode, Start};
use clap::{Args, ValueEnum};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

/// Serve.
#[derive(Args)]
pub struct Run {
    /// The configuration.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Go to the background once everything is known to work.
    #[arg(short, long)]
    daemon: bool,
    /// Take the listeners over from the running gateway without losing a request.
    #[arg(short, long)]
    upgrade: bool,
    #[command(flatten)]
    log: LogArguments,
}

/// How the process log is written.
#[derive(Args)]
pub struct LogArguments {
    /// How much is logged: error, warn, info, debug, trace, also by target: `info,tollgate::upstream=debug`.
    #[arg(long, value_name = "LEVELS", default_value = "info", env = "TOLLGATE_LOG")]
    log_level: String,
    /// Log to this file instead of standard error; it is opened anew on USR1.
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// The form of log lines.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl LogArguments {
    /// Installs the process log.
    ///
    /// # Errors
    /// The levels are no levels (2), or the file cannot be opened (1); it has been said why.
    pub fn install(&self) -> Result<Option<&'static ProcessLog>, ExitCode> {
        let levels: Levels = self.log_level.parse().map_err(|error| {
            eprintln!("tollgate: --log-level: {error}");
            ExitCode::from(super::USAGE)
        })?;
        let shape = match self.log_format {
            LogFormat::Text => LogShape::Text,
            LogFormat::Json => LogShape::Json,
        };
        // A daemon changes to the root folder, and opens the log anew there.
        let file = self.log_file.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let shown = file.clone().unwrap_or_default();
        let log = ProcessLog::open(ProcessLogSettings { file, shape, levels }).map_err(|error| {
            eprintln!("tollgate: --log-file {}: {error}", shown.display());
            ExitCode::FAILURE
        })?;
        // Another logger is there already in tests only; it stays.
        Ok(log.install().ok())
    }
}

impl Run {
    /// Runs until the process is told to stop. Exit 1: refused to start.
    pub fn execute(self) -> ExitCode {
        daemon::keep_signals();
        let log = match self.log.install() {
            Ok(log) => log,
            Err(code) => return code,
        };
        if self.daemon && self.log.log_file.is_none() && std::io::stderr().is_terminal() {
            eprintln!("tollgate: without --log-file nothing is logged once the gateway has left the terminal");
        }
        // A daemon changes to the root folder.
        let path = std::path::absolute(&self.config).unwrap_or_else(|_| self.config.clone());
        let loaded = match config::read(&path) {
            Ok(loaded) => loaded,
            Err(failed) => {
                eprintln!("{failed}");
                return ExitCode::FAILURE;
            }
        };
        let mode = if self.daemon { Mode::Daemon } else { Mode::Foreground };
        let start = if self.upgrade { Start::Upgrade } else { Start::Fresh };
        daemon::run(Source::File(path), loaded, daemon::Manner { mode, start, log })
    }
}
