//! The written forms: named providers under `auth:`, and what a route asks for.

use super::api_key::ApiKeyConfig;
use super::basic::BasicConfig;
use super::forward::ForwardConfig;
use super::introspection::IntrospectionConfig;
use super::jwt::JwtConfig;
use super::mtls::MtlsConfig;
use super::oidc::OidcConfig;
use super::signature::SignatureConfig;
use crate::value::written::{Head, NODE, Node, ReadNode, Shape, read_node};
use crate::value::{OneOrMany, Place, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// A way to establish the caller: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// A key the consumer was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Spanned<ApiKeyConfig>>,
    /// User and password (RFC 7617).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<Spanned<BasicConfig>>,
    /// A signed token (RFC 7519).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Spanned<JwtConfig>>,
    /// A login of browsers at an OpenID provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Spanned<OidcConfig>>,
    /// A token that its issuer is asked about (RFC 7662).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Spanned<IntrospectionConfig>>,
    /// The client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Spanned<MtlsConfig>>,
    /// A signature over the message (RFC 9421).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<Spanned<SignatureConfig>>,
    /// A service of your own that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Spanned<ForwardConfig>>,
}

impl AuthConfig {
    /// Where each kind that is given stands.
    pub fn given(&self) -> Vec<Place> {
        let all = [
            self.api_key.as_ref().map(|kind| kind.place),
            self.basic.as_ref().map(|kind| kind.place),
            self.jwt.as_ref().map(|kind| kind.place),
            self.oidc.as_ref().map(|kind| kind.place),
            self.introspection.as_ref().map(|kind| kind.place),
            self.mtls.as_ref().map(|kind| kind.place),
            self.signature.as_ref().map(|kind| kind.place),
            self.forward.as_ref().map(|kind| kind.place),
        ];
        all.into_iter().flatten().collect()
    }
}

/// What a route asks of callers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RouteAuthConfig {
    /// The providers, in the order they are asked; one that knows the caller is enough.
    pub any: OneOrMany<AuthEntry>,
    /// Whether a request without credentials passes too, without a caller. Default false.
    pub anonymous: bool,
    /// Whether the upstream sees the credentials. Default false.
    pub forward_credentials: bool,
    /// Where it stands.
    #[serde(skip)]
    pub place: Spanned<()>,
}

/// Declares the map of a route's `auth:` with the kinds of providers beside its own keys, so that the one provider of a route
/// can stand there without a list around it.
macro_rules! written_map {
    ($($(#[$doc:meta])* $kind:ident: $config:ty,)*) => {
        /// The map of a route's `auth:`: `any`, or one provider of the route's own.
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = "RouteAuthMap")]
        struct WrittenMap {
            /// The providers, in the order they are asked; one that knows the caller is enough.
            #[serde(default)]
            any: Option<OneOrMany<AuthEntry>>,
            /// Whether a request without credentials passes too, without a caller. Default false.
            #[serde(default)]
            anonymous: bool,
            /// Whether the upstream sees the credentials. Default false.
            #[serde(default)]
            forward_credentials: bool,
            $($(#[$doc])* #[serde(default)] $kind: Option<Spanned<$config>>,)*
        }

        impl WrittenMap {
            /// What is written, whose map stands at that place; an error in words where it is neither form.
            fn into_route(self, place: Place) -> Result<RouteAuthConfig, &'static str> {
                let own = AuthConfig { $($kind: self.$kind,)* };
                let any = match (self.any, own.given().is_empty()) {
                    (Some(any), true) => any,
                    (None, false) => OneOrMany(vec![AuthEntry::Inline(Box::new(Spanned::new(own, place)))]),
                    (Some(_), false) => return Err("providers stand in `any` and beside it\nlist them all: `any: [idp, { api_key: {} }]`"),
                    // That nobody is named is said once everything is read: a misspelt provider has been set aside.
                    (None, true) => OneOrMany::default(),
                };
                let Self { anonymous, forward_credentials, .. } = self;
                Ok(RouteAuthConfig { any, anonymous, forward_credentials, place: Spanned::new((), place) })
            }
        }
    };
}

written_map! {
    /// A key the consumer was given.
    api_key: ApiKeyConfig,
    /// User and password (RFC 7617).
    basic: BasicConfig,
    /// A signed token (RFC 7519).
    jwt: JwtConfig,
    /// A login of browsers: it has paths of its own, and so must have a name under `auth:`.
    oidc: OidcConfig,
    /// A token that its issuer is asked about (RFC 7662).
    introspection: IntrospectionConfig,
    /// The client's certificate.
    mtls: MtlsConfig,
    /// A signature over the message (RFC 9421).
    signature: SignatureConfig,
    /// A service of your own that is asked.
    forward: ForwardConfig,
}

impl<'de> Deserialize<'de> for RouteAuthConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = RouteAuthConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<RouteAuthConfig, N::Error> {
                if head.shape == Shape::Map {
                    return node.value::<WrittenMap>()?.into_route(head.place).map_err(N::Error::custom);
                }
                let place = Spanned::new((), head.place);
                Ok(RouteAuthConfig { any: node.value()?, place, ..RouteAuthConfig::default() })
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

impl JsonSchema for RouteAuthConfig {
    fn schema_name() -> Cow<'static, str> {
        "RouteAuth".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let short = generator.subschema_for::<OneOrMany<AuthEntry>>();
        let map = generator.subschema_for::<WrittenMap>();
        json_schema!({
            "description": "Who may call: a provider's name, a list of them, a provider of the route's own, or a map.",
            "anyOf": [short, map],
        })
    }
}

/// One of a route's providers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum AuthEntry {
    /// The name of one under `auth:`.
    Name(Spanned<String>),
    /// One of the route's own.
    Inline(Box<Spanned<AuthConfig>>),
}

impl<'de> Deserialize<'de> for AuthEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = AuthEntry;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<AuthEntry, N::Error> {
                match head.shape {
                    Shape::Map => Ok(AuthEntry::Inline(Box::new(Spanned::new(node.value()?, head.place)))),
                    _ => Ok(AuthEntry::Name(Spanned::new(node.value()?, head.place))),
                }
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}
