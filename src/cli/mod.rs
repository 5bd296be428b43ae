//! The command line: one verb, one file.

mod check;
mod completions;
mod demo;
mod explain;
mod fmt;
mod import;
mod run;
mod schema;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Exit code of wrong usage.
const USAGE: u8 = 2;

/// An API gateway: the single entry point in front of many services.
#[derive(Parser)]
#[command(name = "tollgate", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve.
    ///
    /// Signals: HUP reloads (the last good configuration stays if the file has problems), TERM drains and stops,
    /// INT stops now, QUIT hands over to a successor, USR1 opens the logs anew.
    Run(run::Run),
    /// Say everything `run` would refuse, without listening. Exit 0: clean, 1: problems, 2: usage.
    Check(check::Check),
    /// Show the compiled plan, or the way of one request through it; no network is touched.
    Explain(explain::Explain),
    /// Print a file in its canonical spelling.
    Fmt(fmt::Fmt),
    /// Print routes for a service that is described elsewhere. Exit 0: printed, 1: problems, 2: usage.
    Import(import::Import),
    /// Print the JSON Schema of the configuration, for editors.
    Schema(schema::Schema),
    /// Print completions for a shell.
    Completions(completions::Completions),
    /// Serve the example shop: the gateway and four small services, nothing to install.
    Demo(demo::Demo),
}

/// Runs the command line and returns the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.verb {
        Verb::Run(run) => run.execute(),
        Verb::Check(check) => check.execute(),
        Verb::Explain(explain) => explain.execute(),
        Verb::Fmt(fmt) => fmt.execute(),
        Verb::Import(import) => import.execute(),
        Verb::Schema(schema) => schema.execute(),
        Verb::Completions(completions) => completions.execute(),
        Verb::Demo(demo) => demo.execute(),
    }
}

/// Writes to standard output; a reader that has gone away, such as `head`, is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
