//! The store against a model, and the rules as tables.

mod judging;
mod keys;
mod storing;

use super::disk::{Name, Stored};
use super::{CacheConfig, Meaning, Plan};
use crate::value::Problems;
use std::sync::atomic::AtomicBool;

/// A plan of that long form.
pub(super) fn plan(change: impl FnOnce(&mut CacheConfig)) -> Plan {
    let mut config = CacheConfig::default();
    change(&mut config);
    let mut problems = Problems::new();
    let plan = Plan::compile(&config, Meaning { api: "shop", route: "/a", upstream: "u" }, &mut problems);
    assert!(problems.is_empty());
    plan
}

/// A file of nobody's, written then.
pub(super) fn stored(written: u64) -> Stored {
    Stored { name: Name::default(), sum: [0; 16], length: 100, written, gone: AtomicBool::new(false) }
}
