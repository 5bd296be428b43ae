//! Known callers as they are written.

use crate::value::form::text_form;
use crate::value::written::{Head, NODE, Node, ReadNode, SECRET_NODE, Shape, read_node};
use crate::value::{Invalid, OneOrMany, Place, Secret, SecretConfig, Spanned};
use chrono::{DateTime, FixedOffset, NaiveDate, SecondsFormat};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// A known caller and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerConfig {
    /// Its API keys, by reference or by their digests; two at once let it change from one to the other.
    pub keys: OneOrMany<KeyConfig>,
    /// Its password: a reference to its argon2id or bcrypt hash or to the password itself, or the hash.
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct KeyConfig {
    /// The key by reference, or `sha256:` and its digest in hexadecimal digits.
    pub key: ProofConfig,
    /// Names it in logs and to upstreams. Default: the beginning of its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Spanned<String>>,
    /// When it expires: `2027-01-31`, or a moment as in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Moment>,
}

/// The long form of [`KeyConfig`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LongForm {
    key: ProofConfig,
    #[serde(default)]
    id: Option<Spanned<String>>,
    #[serde(default)]
    expires: Option<Moment>,
}

/// Which of two maps is meant is told by the presence of `key`: a secret in the file itself has `value`.
#[derive(Deserialize)]
struct HasKey {
    key: Option<serde::de::IgnoredAny>,
}

impl<'de> Deserialize<'de> for KeyConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = KeyConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<KeyConfig, N::Error> {
                if head.shape == Shape::Map && node.value::<HasKey>()?.key.is_some() {
                    let LongForm { key, id, expires } = node.value()?;
                    return Ok(KeyConfig { key, id, expires });
                }
                Ok(KeyConfig { key: node.value()?, id: None, expires: None })
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

/// What proves a consumer: by reference, or as a digest or hash from which it cannot be had.
#[derive(Clone, Debug, PartialEq)]
pub enum ProofConfig {
    /// By reference.
    Secret(SecretConfig),
    /// As it stands there: a digest or a hash of whatever kind; what it is used for decides which may be.
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
        let hash = r"^(sha256:[0-9a-fA-F]{64}|\$argon2id\$.+|\$2[aby]\$.+)$";
        json_schema!({
            "description": "A secret by reference, or its digest or hash.",
            "anyOf": [secret, { "type": "string", "pattern": hash }],
        })
    }
}

/// A moment of the calendar: a date, whose first second in UTC is meant, or date and time with an offset (RFC 3339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(DateTime<FixedOffset>);

impl Moment {
    /// Seconds since the epoch; 0 before it.
    pub fn unix_seconds(&self) -> u64 {
        u64::try_from(self.0.timestamp()).unwrap_or(0)
    }
}

impl FromStr for Moment {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|date| date.and_hms_opt(0, 0, 0));
        if let Some(date) = date {
            return Ok(Self(date.and_utc().fixed_offset()));
        }
        DateTime::parse_from_rfc3339(text).map(Self).map_err(|_| {
            Invalid::new(format!("`{text}` is not a moment")).hint("write `2027-01-31` or `2027-01-31T18:00:00Z`")
        })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

text_form!(Moment, "a date such as `2027-01-31`, or a moment as in RFC 3339", {
    "examples": ["2027-01-31", "2027-01-31T18:00:00Z"],
});
