//! Known callers as they are written.

use crate::value::{OneOrMany, SecretConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A known caller and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// Its API keys, by reference.
    pub keys: OneOrMany<SecretConfig>,
    /// The subjects of its client certificates; its name names it too.
    pub subject: OneOrMany<Spanned<String>>,
    /// The subjects of its tokens; its name names it too.
    pub jwt_subject: OneOrMany<Spanned<String>>,
    /// The plan it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Spanned<String>>,
    /// The groups it is in.
    pub groups: OneOrMany<Spanned<String>>,
}
