//! Known callers as they are written.

use crate::value::written::{Head, NODE, Node, ReadNode, SECRET_NODE, Shape, read_node};
use crate::value::{Date, OneOrMany, Place, Secret, SecretConfig, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A known caller and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// Its API keys, by reference or by their digests; several at once, so that one can take another's place.
    pub keys: OneOrMany<KeyConfig>,
    /// Its password, by reference: an argon2id or bcrypt hash, or the password itself. A hash may stand here too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<ProofConfig>,
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

/// An API key.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeyConfig {
    /// The key by reference, or `sha256:` and its digest in hexadecimal digits.
    pub key: ProofConfig,
    /// When it ends. Default never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
    /// What upstreams and logs call it. Default: the beginning of its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Spanned<String>>,
}

/// The long form of [`KeyConfig`].
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LongForm {
    /// The key by reference, or `sha256:` and its digest in hexadecimal digits.
    key: ProofConfig,
    /// When it ends: `2027-01-31` (at its beginning, UTC), or a moment. Default never.
    #[serde(default)]
    expires: Option<Date>,
    /// What upstreams and logs call it. Default: the beginning of its digest.
    #[serde(default)]
    id: Option<Spanned<String>>,
}

impl<'de> Deserialize<'de> for KeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = KeyConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<KeyConfig, N::Error> {
                if head.shape == Shape::Map {
                    let LongForm { key, expires, id } = node.value()?;
                    return Ok(KeyConfig { key, expires, id });
                }
                Ok(KeyConfig { key: node.value()?, expires: None, id: None })
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

impl JsonSchema for KeyConfig {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<ProofConfig>(), generator.subschema_for::<LongForm>());
        json_schema!({ "description": "An API key: a reference or a digest, or a map.", "anyOf": [short, long] })
    }
}

/// What proves a consumer: by reference, or as a digest or hash from which it cannot be had.
#[derive(Clone, Debug, PartialEq)]
pub enum ProofConfig {
    /// By reference.
    Secret(SecretConfig),
    /// As it stands there: a digest or a hash, of whatever kind; what it is used for decides which may be.
    Hash(Spanned<Secret>),
}

impl ProofConfig {
    /// Where it is written.
    pub fn place(&self) -> Place {
        match self {
            Self::Secret(secret) => secret.place,
            Self::Hash(hash) => hash.place,
        }
    }
}

/// What digests and hashes begin with. What begins otherwise might be the secret itself.
const HASHES: [&str; 6] = ["sha256:", "$argon2", "$2", "$apr1$", "{SHA}", "{SSHA}"];

impl<'de> Deserialize<'de> for ProofConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = ProofConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<ProofConfig, N::Error> {
                if head.shape == Shape::Scalar {
                    let text: String = node.value()?;
                    if HASHES.iter().any(|start| text.starts_with(start)) {
                        return Ok(ProofConfig::Hash(Spanned::new(Secret::new(text), head.place)));
                    }
                }
                node.value().map(ProofConfig::Secret)
            }
        }
        read_node(deserializer, SECRET_NODE, Forms)
    }
}

impl Serialize for ProofConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Secret(secret) => secret.serialize(serializer),
            Self::Hash(hash) => hash.serialize(serializer),
        }
    }
}

impl JsonSchema for ProofConfig {
    fn schema_name() -> Cow<'static, str> {
        "Proof".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<SecretConfig>();
        json_schema!({ "description": "A secret by reference, or its digest or hash.", "anyOf": [
            secret,
            { "type": "string", "pattern": r"^(sha256:[0-9a-fA-F]{64}|\$argon2id\$.+|\$2[aby]\$.+)$" },
        ] })
    }
}
