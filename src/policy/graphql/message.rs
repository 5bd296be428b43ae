//! The forms in which a GraphQL request comes over HTTP (GraphQL over HTTP, §5), read so that no other reader takes
//! anything else for it: no name twice, none that is spelled like a known one, none beside the known ones.

use super::refused::Refused;
use crate::value::json::{Json, JsonBounds};
use std::borrow::Cow;

const KNOWN: [&str; 4] = ["query", "variables", "operationName", "extensions"];

/// One request.
#[derive(Debug, Default)]
pub struct Message {
    /// The document; none where its hash stands for it.
    pub query: Option<Box<str>>,
    /// The operation that is asked for.
    pub operation: Option<Box<str>>,
    /// The variables: an object or `null`.
    pub variables: Json,
    /// The SHA-256 of the document, as clients say it.
    pub hash: Option<Box<str>>,
}

fn text(name: &str, value: &Json) -> Result<Option<Box<str>>, Refused> {
    match value {
        Json::Null => Ok(None),
        Json::Text(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(Refused::bad(format!("`{name}` is no string"))),
    }
}

impl Message {
    /// The request that a JSON value is.
    ///
    /// # Errors
    /// It is none.
    pub fn of_json(value: &Json) -> Result<Self, Refused> {
        let Json::Object(members) = value else { return Err(Refused::bad("the body is no JSON object")) };
        let mut message = Self::default();
        for (name, value) in members {
            match &**name {
                "query" => message.query = text(name, value)?,
                "operationName" => message.operation = text(name, value)?,
                "variables" => message.variables = object(name, value)?.clone(),
                "extensions" => message.hash = hash(value)?,
                _ => return Err(Refused::bad(format!("beside {} nothing may stand in it", KNOWN.join(", ")))),
            }
        }
        Ok(message)
    }

    /// The request that a body in JSON holds, with the value itself.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn json(body: &[u8]) -> Result<Json, Refused> {
        Json::parse(body, JsonBounds::default()).map_err(|error| Refused::bad(format!("it is no JSON: {error}")))
    }

    /// The request in the query of a URL (GraphQL over HTTP, §5.3).
    ///
    /// # Errors
    /// It is none, or a parameter stands twice.
    pub fn of_url(query: &str) -> Result<Self, Refused> {
        let mut members: Vec<(Box<str>, Json)> = Vec::new();
        for (name, value) in parameters(query)? {
            if !KNOWN.contains(&&*name) {
                continue;
            }
            if members.iter().any(|(own, _)| **own == *name) {
                return Err(Refused::bad(format!("the parameter `{name}` stands there twice")));
            }
            let value = match &*name {
                "query" | "operationName" => Json::text(&*value),
                _ if value.is_empty() => Json::Null,
                _ => Self::json(value.as_bytes())?,
            };
            members.push((name.into(), value));
        }
        Self::of_json(&Json::Object(members))
    }
}

fn object<'j>(name: &str, value: &'j Json) -> Result<&'j Json, Refused> {
    match value {
        Json::Object(_) | Json::Null => Ok(value),
        _ => Err(Refused::bad(format!("`{name}` is no object"))),
    }
}

/// What stands for the document (Apollo, "automatic persisted queries").
fn hash(extensions: &Json) -> Result<Option<Box<str>>, Refused> {
    let Some(persisted) = object("extensions", extensions)?.member("persistedQuery") else { return Ok(None) };
    match object("persistedQuery", persisted)?.member("sha256Hash") {
        Some(value) => text("sha256Hash", value),
        None => Ok(None),
    }
}

/// A name and what it says.
type Parameter<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The parameters of a URL. One whose name others may take for a known one is refused: `Query`, `query[]`, `query.a`.
fn parameters(query: &str) -> Result<Vec<Parameter<'_>>, Refused> {
    if query.contains(';') {
        return Err(Refused::bad("the query of the URL holds a semicolon, which some take for an ampersand"));
    }
    let parameters: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    for (name, value) in &parameters {
        let begins = name.trim().split(['[', '.', '\0']).next().unwrap_or_default().trim();
        let alike = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(begins));
        if alike && !KNOWN.contains(&&**name) {
            return Err(Refused::bad("a parameter of the URL is spelled almost as a known one"));
        }
        if alike && value.contains('\u{fffd}') {
            return Err(Refused::bad("a parameter of the URL is no UTF-8"));
        }
    }
    Ok(parameters)
}

/// Whether the query of a URL says something that could be taken for a part of the request in the body.
pub fn says_anything(query: &str) -> bool {
    let known = |name: &str| KNOWN.contains(&name);
    parameters(query).map_or(true, |all| all.iter().any(|(name, _)| known(name)))
}
