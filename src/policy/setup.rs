//! What policies and providers draw on while they are compiled, and how they keep up with the world afterwards.

use super::limit::LimitStore;
use crate::fetch::Fetcher;
use crate::observe::metrics::Metrics;
use crate::shared_state::SharedState;
use crate::value::{Problems, Secret, SecretConfig, Sources, Spanned};
use async_trait::async_trait;
use http::HeaderName;
use std::path::PathBuf;
use std::sync::Arc;

/// What a policy draws on while it is compiled.
pub struct Setup<'a> {
    /// Where everything that is wrong is said.
    pub problems: &'a mut Problems,
    /// The files the configuration stands in: relative paths start there.
    pub sources: &'a Sources,
    /// The gateway's own calls to others.
    pub fetcher: &'a Arc<Fetcher>,
    /// Where limits keep their counts.
    pub limits: &'a Arc<LimitStore>,
    /// Where gateways keep what they share; `None` where this one shares nothing.
    pub shared: Option<&'a Arc<SharedState>>,
    /// Where what goes on in the background is counted.
    pub metrics: &'a Metrics,
    /// What has work of its own in the background while the snapshot runs.
    pub tended: &'a mut Vec<Arc<dyn Tend>>,
    /// Query parameters that carry credentials: their values are never logged.
    pub redacted: &'a mut Vec<String>,
    /// Fields that tell upstreams who the caller is: dropped from what clients send, on every route.
    pub identity: &'a mut Vec<HeaderName>,
}

impl Setup<'_> {
    /// The secret a reference names; a problem is recorded where it cannot be had.
    pub fn secret(&mut self, written: &SecretConfig) -> Option<Secret> {
        let folder = self.sources.folder(written.place).to_owned();
        match written.resolve(&folder, &|name| std::env::var(name).ok()) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    /// The path that is meant: relative ones start at the file that names them.
    pub fn path(&self, written: &Spanned<String>) -> PathBuf {
        self.sources.resolve(written.place, &written.value)
    }

    /// The content of a file, or a problem at the place that names it.
    pub fn read_file(&mut self, written: &Spanned<String>) -> Option<Vec<u8>> {
        let path = self.path(written);
        match std::fs::read(&path) {
            Ok(content) => Some(content),
            Err(error) => {
                self.problems.error(written.place, format!("{} cannot be read: {error}", path.display()));
                None
            }
        }
    }
}

/// Work in the background for as long as a snapshot is the running one: keys to refresh, files to read anew.
#[async_trait]
pub trait Tend: Send + Sync {
    /// Runs until it is dropped. It must never panic, and return only when nothing is left to do.
    async fn tend(&self);
}
