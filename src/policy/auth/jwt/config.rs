//! What operators write under `jwt:`.

use crate::policy::auth::jwks::Algorithm;
use crate::value::written::{Head, NODE, Node, ReadNode, Shape, read_node};
use crate::value::{Duration, Named, OneOrMany, OrOff, SecretConfig, Spanned, WebUrl};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// A signed token (RFC 7519).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtConfig {
    /// Who makes the tokens: their `iss`, letter for letter. Without `jwks` and `key` its keys are found by OpenID
    /// Connect discovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Spanned<WebUrl>>,
    /// The keys: a URL, a file (read again when it changes), or a map with `keys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Spanned<JwksConfig>>,
    /// One key: a public key in PEM, or a shared secret of at least 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<SecretConfig>,
    /// The algorithms that are accepted, either with public keys or with secrets. Default: those the keys are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<OneOrMany<Spanned<Algorithm>>>,
    /// Whom the tokens are for: one of these must be in their `aud`. Without it a token that has an `aud` is refused;
    /// `off` accepts tokens for anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<OrOff<OneOrMany<Spanned<String>>>>,
    /// How far the clocks of issuer and gateway may be apart, at most `10m`. Default `0s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Spanned<Duration>>,
    /// Claims a token must have beside `exp`: a list of names, or a map of names and the values they must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_claims: Option<RequiredClaims>,
    /// The claim that names the caller; a dot leads into an object. Default `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Spanned<String>>,
    /// The claim with the caller's groups. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Spanned<String>>,
    /// The claim with the token's scopes, a list or text between spaces. Default `scope`, or `scp` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Spanned<String>>,
    /// Header fields that tell the upstream claims: `X-Email: email`. The same fields from clients are dropped.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub headers: Named<Spanned<String>>,
    /// Where the token stands. Default: `header: Authorization`, after `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Spanned<FromConfig>>,
    /// What a 401 names as the realm. Default `tollgate`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// How many verified tokens are remembered; `0` for none. Default `10000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<u32>,
    /// Fetches keys in clear text too: for tests on one machine. Default false.
    pub insecure: bool,
}

/// Where a token stands; where several are given it must stand in exactly one.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FromConfig {
    /// A header field. In `Authorization` the token stands after `Bearer`, in others it may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Spanned<String>>,
    /// A cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Spanned<String>>,
    /// A parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Spanned<String>>,
}

/// Keys elsewhere or in the configuration itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JwksConfig {
    /// A URL.
    Url(WebUrl),
    /// A file.
    File(String),
    /// The keys themselves.
    Inline(JwkSetConfig),
}

/// A JWK Set (RFC 7517 §5).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JwkSetConfig {
    /// The keys.
    pub keys: Vec<Spanned<JwkConfig>>,
}

/// A JWK: a public key as issuers publish it, or a secret by reference.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwkConfig {
    /// Its kind: `RSA`, `EC`, `OKP`, `oct`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kty: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What it is for: `sig`.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What it is for: `verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// Its algorithm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// RSA: the modulus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA: the exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// EC, OKP: the curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// EC, OKP: a coordinate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// EC: the other coordinate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// oct: the secret, by reference, as it is (not in base64).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<SecretConfig>,
    /// Certificates; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5c: Option<Vec<String>>,
    /// A certificate's digest; not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x5t: Option<String>,
    /// A certificate's digest; not looked at.
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    pub x5t_s256: Option<String>,
}

impl<'de> Deserialize<'de> for JwksConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = JwksConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<JwksConfig, N::Error> {
                if head.shape == Shape::Map {
                    return node.value().map(JwksConfig::Inline);
                }
                let text: String = node.value()?;
                match text.contains("://") {
                    true => node.value().map(JwksConfig::Url),
                    false => Ok(JwksConfig::File(text)),
                }
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

impl JsonSchema for JwksConfig {
    fn schema_name() -> Cow<'static, str> {
        "Jwks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inline = generator.subschema_for::<JwkSetConfig>();
        json_schema!({ "description": "A URL, a file, or a map with `keys`.", "anyOf": [{ "type": "string" }, inline] })
    }
}

/// Claims a token must have.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RequiredClaims {
    /// These, whatever they say.
    Names(OneOrMany<Spanned<String>>),
    /// These, saying this; of a list one.
    Values(Named<serde_json::Value>),
}

impl<'de> Deserialize<'de> for RequiredClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = RequiredClaims;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<RequiredClaims, N::Error> {
                match head.shape {
                    Shape::Map => node.value().map(RequiredClaims::Values),
                    _ => node.value().map(RequiredClaims::Names),
                }
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

impl JsonSchema for RequiredClaims {
    fn schema_name() -> Cow<'static, str> {
        "RequiredClaims".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names = generator.subschema_for::<OneOrMany<String>>();
        json_schema!({ "description": "Names of claims, or a map of claims and values.", "anyOf": [names, { "type": "object" }] })
    }
}
