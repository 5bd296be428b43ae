//! `tollgate fmt`: a file in its canonical spelling.

use crate::config;
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Format a file.
#[derive(Args)]
pub struct Fmt {
    /// The configuration.
    file: PathBuf,
    /// Spell every short form out, with what is included.
    #[arg(long)]
    long: bool,
    /// Write the file in place; refused where it has comments, which would be lost.
    #[arg(short, long, conflicts_with = "long")]
    write: bool,
}

impl Fmt {
    /// Exit 1: the file has problems, or comments and `--write`.
    pub fn execute(self) -> ExitCode {
        match self.format() {
            Ok(Some(text)) => {
                super::print(&text);
                ExitCode::SUCCESS
            }
            Ok(None) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("{message}");
                ExitCode::FAILURE
            }
        }
    }

    fn format(&self) -> Result<Option<String>, String> {
        let loaded = config::load(&self.file).map_err(|failed| failed.to_string())?;
        if self.long {
            return config::fmt_long(&loaded.config).map(Some).map_err(|error| error.to_string());
        }
        let path = self.file.display();
        let formatted = config::fmt(&loaded);
        if !self.write {
            return Ok(Some(formatted.text));
        }
        if formatted.loses_comments {
            return Err(format!("{path} has comments, which would be lost; print it without --write and copy by hand"));
        }
        std::fs::write(&self.file, formatted.text).map_err(|error| format!("{path} cannot be written: {error}"))?;
        Ok(None)
    }
}
