//! The written form.

use super::key::Algorithm;
use crate::value::{Duration, Named, OneOrMany, SecretConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Signatures over messages (RFC 9421).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignatureConfig {
    /// The keys that are known, by the `keyid` of the signature.
    pub keys: Named<Spanned<SignatureKeyConfig>>,
    /// What a signature must cover at least. `@query` is asked for only where the request has a query, and
    /// `content-digest` only where it has a body; `@target-uri` and `@request-target` stand for what is in them. Default
    /// @method, @authority, @path, @query and content-digest.
    pub require: OneOrMany<Spanned<String>>,
    /// How old a signature may be by its `created`. Default 5m.
    pub max_age: Duration,
    /// How far clocks may be apart. Default 5s.
    pub leeway: Duration,
    /// Whether each signature must bring a `nonce`. One that is brought is good once. Default optional.
    pub nonce: Nonce,
    /// The `tag` a signature must have, where it is for one application only. Default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the challenge of a 401 calls this place. Default tollgate.
    pub realm: String,
}

/// Whether signatures must be told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nonce {
    /// One that brings none may be sent again until it is too old.
    #[default]
    Optional,
    /// Every signature is good once.
    Required,
}

/// A key: a shared `secret`, or a `public_key`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SignatureKeyConfig {
    /// The shared secret, for hmac-sha256; at least 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretConfig>,
    /// How the secret is written. Default text.
    pub encoding: Encoding,
    /// A PEM file with the public key ("BEGIN PUBLIC KEY").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<Spanned<String>>,
    /// The algorithm. Default: what the kind of key is for; rsa-v1_5-sha256 for RSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Spanned<Algorithm>>,
    /// Whose key it is. Default: the key's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Spanned<String>>,
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Its bytes are the text's.
    #[default]
    Text,
    /// Its bytes are base64.
    Base64,
}

impl Default for SignatureConfig {
    fn default() -> Self {
        let require = ["@method", "@authority", "@path", "@query", "content-digest"];
        Self {
            keys: Named::default(),
            require: OneOrMany(require.iter().map(|name| Spanned::nowhere((*name).to_owned())).collect()),
            max_age: Duration::from_secs(300),
            leeway: Duration::from_secs(5),
            nonce: Nonce::default(),
            tag: None,
            realm: "tollgate".into(),
        }
    }
}
