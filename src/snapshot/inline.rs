//! Providers that stand in routes: without names of their own they are found again, after a reload, by what is written.

use crate::policy::auth::{AuthConfig, Provider};
use std::collections::HashMap;
use std::sync::Arc;

/// Providers by what is written of them.
#[derive(Default)]
pub struct InlineProviders(HashMap<String, Vec<(AuthConfig, Arc<Provider>)>>);

impl InlineProviders {
    /// Adds one.
    pub fn add(&mut self, written: AuthConfig, provider: Arc<Provider>) -> Arc<Provider> {
        self.0.entry(key(&written)).or_default().push((written, Arc::clone(&provider)));
        provider
    }

    /// One that was written alike, and not taken yet by one of `taken`. Whether what it has learnt still holds is for the
    /// provider to say: the same text may name another file by now.
    pub fn like(&self, written: &AuthConfig, taken: &Self) -> Option<&Provider> {
        let key = key(written);
        let alike =
            |all: &Self| all.0.get(&key).map_or(0, |all| all.iter().filter(|(known, _)| known == written).count());
        let before = self.0.get(&key)?.iter().filter(|(known, _)| known == written);
        before.map(|(_, provider)| &**provider).nth(alike(taken))
    }
}

/// What is written, with its secrets hidden: alike for some that are not equal.
fn key(written: &AuthConfig) -> String {
    serde_json::to_string(written).unwrap_or_default()
}
