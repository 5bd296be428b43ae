//! `tollgate schema`: the JSON Schema that editors use.

use crate::config;
use clap::Args;
use std::process::ExitCode;

/// Print the schema.
#[derive(Args)]
pub struct Schema {}

impl Schema {
    /// Always succeeds.
    pub fn execute(self) -> ExitCode {
        super::print(&format!("{:#}\n", config::schema()));
        ExitCode::SUCCESS
    }
}
