//! `grpc:`, a JSON face to services that speak gRPC.

use crate::value::{ByteSize, Named, OneOrMany, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How requests become gRPC calls of the upstream in `to`, and their answers JSON. Exactly one of `method` and `rules`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcConfig {
    /// Files that say which messages and methods there are: `.proto`, which are compiled here, or descriptor sets
    /// (`.binpb`, `.pb`, as `protoc --descriptor_set_out --include_imports` writes them).
    pub proto: OneOrMany<Spanned<String>>,
    /// Folders that imports are looked for in, in this order, before the folder of the file itself. The files of
    /// `google/protobuf`, `google/api` and `google/rpc` that most services import are built in.
    pub include: OneOrMany<Spanned<String>>,
    /// The method that is called: `greet.Greeter/SayHello`. Captures of the route's path and the query go to fields of their
    /// names; the body is the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Spanned<String>>,
    /// Whether routes are made of the `google.api.http` rules of the methods, below this route's path, which ends in `**`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Spanned<bool>>,
    /// What clients speak: `json`, and the upstream gRPC; or `grpc`, and the upstream HTTP and JSON, by the same `rules`. Default
    /// `json`.
    pub clients: GrpcClientsConfig,
    /// Services whose rules make routes. Default: all in the files of `proto`.
    pub service: OneOrMany<Spanned<String>>,
    /// With `method`: a template of `google.api.http` for the path of the route, which says what of it goes to which field:
    /// `/v1/{name=shelves/*}`. Default: captures go to fields of their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// With `method`: the field that the body is, `*` for the whole message, or `none`. Default: `*`, and `none` for GET,
    /// HEAD and DELETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<String>>,
    /// With `method`: the field of the answer that is the body of the answer. Default: the whole message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Spanned<String>>,
    /// How JSON is read and written.
    pub json: GrpcJsonConfig,
    /// Header fields that become metadata of the call, and under which name: `{ X-Tenant: tenant }`; names that end in `-bin`
    /// hold base64. Default: all but those that are about the HTTP message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_metadata: Option<Named<Spanned<String>>>,
    /// Metadata of the answer, first or last, that becomes header fields, and under which name: `{ cost: X-Cost }`. Default:
    /// what comes before the message, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_metadata: Option<Named<Spanned<String>>>,
    /// The longest message, either way, unpacked. Default 4MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<Spanned<ByteSize>>,
}

/// What clients of a `grpc` route speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GrpcClientsConfig {
    /// HTTP and JSON, to a service that speaks gRPC.
    #[default]
    Json,
    /// gRPC, to a service that speaks HTTP and JSON.
    Grpc,
}

/// How JSON is read and written; by default as the JSON mapping of proto3 says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcJsonConfig {
    /// Whether fields with their default value are written too. Default false.
    pub defaults: bool,
    /// Whether fields have the names they have in the `.proto`, `user_id`, rather than `userId`. Both are read. Default
    /// false.
    pub proto_names: bool,
    /// Whether enums are written as numbers. Both are read. Default false.
    pub enum_numbers: bool,
    /// Whether 64-bit integers are written as numbers rather than strings. Both are read. Default false.
    pub int64_numbers: bool,
    /// What becomes of fields, enum values and query parameters that the message does not have. Default `refuse`.
    pub unknown_fields: UnknownFieldsConfig,
}

/// What becomes of what a message does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownFieldsConfig {
    /// The request is refused with 400.
    #[default]
    Refuse,
    /// They are passed over.
    Ignore,
}
