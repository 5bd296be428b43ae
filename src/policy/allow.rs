//! `allow:` — not built yet; refused by `check`. Stage: Authorize.

use super::{ChainBuilder, Setup};
use crate::value::Place;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The written form.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowConfig {}

impl AllowConfig {
    /// Compiles what is written and adds the policy's hooks to a route.
    pub fn attach(&self, _chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        setup.problems.error(Place::NOWHERE, "`allow` is not built yet");
    }
}
