//! `tollgate completions`: for bash, zsh, fish, elvish and PowerShell.

use super::Arguments;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use std::process::ExitCode;

/// Print completions.
#[derive(Args)]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Always succeeds.
    pub fn execute(self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "tollgate", &mut script);
        super::print(&String::from_utf8_lossy(&script));
        ExitCode::SUCCESS
    }
}
