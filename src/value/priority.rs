//! How much a request matters when not all can be served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much the requests of a route matter when not all can be served: the lowest are turned away first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// What can wait: exports, prefetches, crawlers. Turned away first.
    Background,
    /// Everything else.
    #[default]
    Normal,
    /// What must go on: payments, logins, probes of others. Turned away last.
    Critical,
}

impl Priority {
    /// All of them, the lowest first; [`Self::index`] is the place in it.
    pub const ALL: [Self; 3] = [Self::Background, Self::Normal, Self::Critical];

    /// Its place in [`Self::ALL`], for tables.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name in the configuration and in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }
}
