//! What came of a reload.

use std::time::SystemTime;

/// What came of the last reload.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    /// The running snapshot's number.
    pub revision: u64,
    /// When it was tried.
    pub at: SystemTime,
    /// Why the file was refused; `None` when it was taken.
    pub refused: Option<String>,
    /// What a reload cannot change and a restart or upgrade would.
    pub needs_restart: Vec<&'static str>,
}

impl ReloadReport {
    /// The report of a start.
    pub fn first(revision: u64) -> Self {
        Self { revision, at: SystemTime::now(), refused: None, needs_restart: Vec::new() }
    }
}
