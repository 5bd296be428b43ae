//! `tollgate check`: everything that `run` would refuse, without listening.

use crate::config::{self, Failed};
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::reply::Reason;
use crate::snapshot::{Compiled, Surroundings, compile};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check a file.
#[derive(Args)]
pub struct Check {
    /// The configuration.
    file: PathBuf,
    /// Count warnings as problems.
    #[arg(long)]
    strict: bool,
    /// How problems are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Loads and compiles a file without anything running.
///
/// # Errors
/// All problems.
pub fn compile_file(path: &Path) -> Result<Compiled, Failed> {
    let loaded = config::read(path)?;
    let metrics =
        Metrics::new(MetricsSettings { workers: 1, max_routes: MetricsSettings::MAX_ROUTES, reasons: Reason::SLUGS });
    compile(
        loaded,
        &Surroundings {
            previous: None,
            metrics: &metrics,
            fetcher: &Default::default(),
            limits: &Default::default(),
            cache: &Default::default(),
            seed: 0,
        },
    )
}

impl Check {
    /// Exit 0: clean, 1: problems.
    pub fn execute(self) -> ExitCode {
        match compile_file(&self.file) {
            Err(failed) => {
                match self.format {
                    Format::Text => eprintln!("{failed}"),
                    Format::Json => super::print(&format!("{:#}\n", failed.problems.to_json(&failed.sources))),
                }
                ExitCode::FAILURE
            }
            Ok(compiled) => {
                let warned = !compiled.warnings.is_empty();
                match self.format {
                    Format::Text if warned => eprintln!("{}", compiled.warnings.trim_end()),
                    Format::Text => {
                        super::print(&format!(
                            "{}: {} routes, no problems\n",
                            self.file.display(),
                            compiled.snapshot.routes.len()
                        ));
                    }
                    Format::Json => super::print(&format!("{:#}\n", compiled.warnings_json)),
                }
                if warned && self.strict { ExitCode::FAILURE } else { ExitCode::SUCCESS }
            }
        }
    }
}
