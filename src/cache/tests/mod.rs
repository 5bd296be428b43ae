//! The store against a model, and the rules as tables.

mod judging;
mod storing;

use super::{CacheConfig, Meaning, Plan};
use crate::value::Problems;

/// A plan of that long form.
fn plan(change: impl FnOnce(&mut CacheConfig)) -> Plan {
    let mut config = CacheConfig::default();
    change(&mut config);
    let mut problems = Problems::new();
    let plan = Plan::compile(&config, Meaning { api: "shop", route: "/a", upstream: "u" }, &mut problems);
    assert!(problems.is_empty());
    plan
}
