//! How the guard is written, and what it is compiled from.

use super::document::Document;
use super::{Guard, Limits, hash};
use crate::policy::Setup;
use crate::value::form::{short_form, with_short_form};
use crate::value::json::{Json, JsonBounds};
use crate::value::{ByteSize, Invalid, OneOrMany, Place, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::convert::Infallible;
use std::str::FromStr;

/// A guard in front of a GraphQL service: `true`, or a map.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "GraphqlConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`true`: as a map with nothing in it."))]
pub struct GraphqlConfig {
    /// How many fields may stand one beneath the other, fragments in their places. 1 to 100, default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<Spanned<u64>>,
    /// How many fields of a request may go by another name. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Spanned<u64>>,
    /// What a request may cost: each field 1, and it and all beneath it as often as its list may have entries. Default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spanned<u64>>,
    /// How many tokens a document may have. 1 to 20000, default 2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Spanned<u64>>,
    /// Arguments that say how many entries a list may have. Default: first, last and limit.
    pub list_arguments: OneOrMany<String>,
    /// What stands for a size of a list that the request does not tell by a number. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_size: Option<Spanned<u64>>,
    /// Whether `__schema` and `__type` may be asked for. Default false.
    pub introspection: bool,
    /// How many requests may come in one array, 1 to 100; their aliases and costs are added up. Default: no arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<Spanned<u64>>,
    /// The only queries that are let through: a file, or a map. Default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persisted: Option<Spanned<PersistedConfig>>,
    /// The largest body. Default 1MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
}

impl FromStr for GraphqlConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Err(Invalid::new(format!("`{text}` is neither on nor off")).hint("write `true`, `off`, or a map")),
        }
    }
}
short_form!(GraphqlConfig, "true, or a map with depth, aliases, cost, persisted or others");

/// The queries that are let through: a file, or a map.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "PersistedConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("A file, as `file`."))]
pub struct PersistedConfig {
    /// A JSON object from SHA-256 to query, as clients are built with, or a manifest of Apollo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// The queries themselves, to the last blank.
    pub queries: OneOrMany<Spanned<String>>,
}

impl FromStr for PersistedConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { file: Some(Spanned::new(text.to_owned(), Place::default())), queries: OneOrMany::default() })
    }
}
short_form!(PersistedConfig, "a file, or a map with `file` or `queries`", |persisted, place| {
    if let Some(file) = &mut persisted.file {
        file.place = place;
    }
});

/// What is written, if it is in the range; else a problem.
fn within(written: Option<Spanned<u64>>, name: &str, most: u64, usual: u64, setup: &mut Setup<'_>) -> u64 {
    let Some(written) = written else { return usual };
    if !(1..=most).contains(&written.value) {
        setup.problems.error(written.place, format!("`{name}` is from 1 to {most}"));
    }
    written.value
}

impl GraphqlConfig {
    /// Compiles what is written.
    pub(super) fn compile(&self, setup: &mut Setup<'_>) -> Guard {
        const MANY: u64 = 1_000_000_000;
        let tokens = within(self.tokens, "tokens", 20_000, 2_000, setup);
        let limits = Limits {
            depth: within(self.depth, "depth", 100, 10, setup),
            aliases: self.aliases.map_or(20, |aliases| aliases.value),
            cost: within(self.cost, "cost", MANY, 1_000, setup),
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            batch: self.batch.map(|batch| within(Some(batch), "batch", 100, 1, setup)),
            list_size: within(self.list_size, "list_size", MANY, 100, setup),
            introspection: self.introspection,
        };
        let mut list_arguments: Box<[Box<str>]> = self.list_arguments.iter().map(|name| name.as_str().into()).collect();
        if list_arguments.is_empty() {
            list_arguments = ["first", "last", "limit"].map(Into::into).into();
        }
        let persisted = self.persisted.as_ref().map(|written| compile_persisted(written, limits.tokens, setup));
        let max_body = self.max_body.map_or(1 << 20, |size| size.get());
        Guard { limits, list_arguments, persisted, max_body }
    }
}

/// The queries by their hashes.
fn compile_persisted(
    written: &Spanned<PersistedConfig>,
    tokens: u32,
    setup: &mut Setup<'_>,
) -> HashMap<Box<str>, Box<str>> {
    let mut known = HashMap::new();
    let mut add = |place: Place, id: Option<&str>, text: &str, setup: &mut Setup<'_>| {
        let own = hash(text);
        if id.is_some_and(|id| !id.eq_ignore_ascii_case(&own)) {
            let message = format!("the query of `{}` has another SHA-256: {own}", id.unwrap_or_default());
            setup.problems.error(place, message).hint("name each query by the SHA-256 of its text");
        } else if let Err(refused) = Document::parse(text, tokens) {
            setup.problems.error(place, format!("the query {own} would be refused: {}", refused.detail));
        } else {
            known.insert(own.into(), text.into());
        }
    };
    for query in &written.value.queries {
        add(query.place, None, &query.value, setup);
    }
    if let Some(file) = &written.value.file
        && let Some(content) = setup.read_file(file)
    {
        match listed(&content) {
            Ok(listed) => listed.iter().for_each(|(id, text)| add(file.place, Some(id), text, setup)),
            Err(what) => {
                let message = format!("{} lists no queries: {what}", setup.path(file).display());
                setup.problems.error(file.place, message).hint("write a JSON object from SHA-256 to query");
            }
        }
    }
    if known.is_empty() && !setup.problems.is_fatal() {
        setup.problems.error(written.place, "`persisted` lists no query, so that none would pass");
    }
    known
}

/// A query and the hash it is known by, first.
type Listed = (Box<str>, Box<str>);

/// The queries of a file: an object from hash to text, or a manifest whose `operations` have `id` and `body`.
fn listed(content: &[u8]) -> Result<Vec<Listed>, String> {
    let json = Json::parse(content, JsonBounds::default()).map_err(|error| error.to_string())?;
    if let Some(Json::Array(operations)) = json.member("operations") {
        let text = |operation: &Json, name| match operation.member(name) {
            Some(Json::Text(text)) => Ok(text.clone()),
            _ => Err(format!("an operation of the manifest has no `{name}`")),
        };
        return operations.iter().map(|operation| Ok((text(operation, "id")?, text(operation, "body")?))).collect();
    }
    let Json::Object(members) = json else { return Err("it is no object".to_owned()) };
    let text = |(id, value)| match value {
        Json::Text(text) => Ok((id, text)),
        _ => Err(format!("`{id}` is no text")),
    };
    members.into_iter().map(text).collect()
}
