//! What an expression reads, and that of a request bound to its variables: what is not named costs nothing.

use crate::policy::allow::Facts;
use crate::request::{Caller, Headers};
use cel::Context;
use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use http::HeaderName;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;

/// The variables.
pub const VARIABLES: [&str; 4] = ["request", "caller", "claims", "now"];
/// What `request` has.
pub const REQUEST: [&str; 7] = ["method", "scheme", "host", "path", "query", "headers", "client"];
/// What `caller` has.
pub const CALLER: [&str; 6] = ["id", "consumer", "groups", "scopes", "provider", "anonymous"];

/// A bound value.
type Bound<'v> = Box<dyn Val + 'v>;
/// The entries of a map.
type Entries<'v> = HashMap<CelMapKey<'v>, Bound<'v>>;

/// What an expression reads.
#[derive(Debug, Default)]
pub struct Uses {
    /// Fields of `request`.
    pub request: Names,
    /// Fields, in lower case.
    pub headers: Names,
    /// Names in the query.
    pub query: Names,
    /// Fields of `caller`.
    pub caller: Names,
    /// Claims.
    pub claims: Names,
    /// The time.
    pub now: bool,
}

/// Which entries of a map are read.
#[derive(Debug, Default)]
pub enum Names {
    /// None.
    #[default]
    None,
    /// These.
    Some(Vec<Box<str>>),
    /// All, or which is not known before.
    All,
}

impl Names {
    /// One more name is read; `None`: the map as a whole.
    pub fn add(&mut self, name: Option<&str>) {
        match (&mut *self, name) {
            (Self::All, _) => {}
            (_, None) => *self = Self::All,
            (Self::Some(names), Some(name)) => names.push(name.into()),
            (Self::None, Some(name)) => *self = Self::Some(vec![name.into()]),
        }
    }

    /// Whether any is read.
    pub fn any(&self) -> bool {
        !matches!(self, Self::None)
    }

    fn includes(&self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Some(names) => names.iter().any(|known| **known == *name),
            Self::All => true,
        }
    }
}

impl Uses {
    /// Binds what is read.
    ///
    /// # Errors
    /// Why it has no one value.
    pub fn bind<'v>(&self, facts: &Facts<'v>, context: &mut Context<'_, 'v>) -> Result<(), Cow<'static, str>> {
        if self.request.any() {
            context.add_variable_as_val("request", self.request(facts)?);
        }
        if self.caller.any() {
            context.add_variable_as_val("caller", self.caller(facts.cx.caller()));
        }
        if self.claims.any() {
            let claims = facts.cx.caller().and_then(|caller| caller.claims.as_object());
            let read = claims.into_iter().flatten().filter(|(name, _)| self.claims.includes(name));
            context.add_variable_as_val("claims", map(read.map(|(name, value)| (key(name), json(value))).collect()));
        }
        if self.now {
            let seconds = i64::try_from(facts.cx.time.unix_seconds()).unwrap_or(i64::MAX);
            context.add_variable_as_val("now", Box::new(CelInt::from(seconds)));
        }
        Ok(())
    }

    fn request<'v>(&self, facts: &Facts<'v>) -> Result<Bound<'v>, Cow<'static, str>> {
        let mut entries = Entries::new();
        for field in REQUEST.into_iter().filter(|field| self.request.includes(field)) {
            let value = match field {
                "method" => text(facts.method),
                "scheme" => text(facts.cx.scheme.as_str()),
                "host" => text(facts.host),
                "path" => text(facts.path),
                "query" => self.query(facts.query.unwrap_or_default())?,
                "headers" => self.headers(facts.headers),
                _ => text(facts.cx.client.address.to_string()),
            };
            entries.insert(key(field), value);
        }
        Ok(map(entries))
    }

    fn caller<'v>(&self, caller: Option<&'v Caller>) -> Bound<'v> {
        let mut entries = Entries::new();
        for field in CALLER.into_iter().filter(|field| self.caller.includes(field)) {
            let value = match field {
                "id" => text(caller.map_or("", |caller| &*caller.id)),
                "consumer" => {
                    text(caller.and_then(|caller| caller.consumer.as_ref()).map_or("", |consumer| &*consumer.id))
                }
                "provider" => text(caller.map_or("", |caller| &*caller.provider)),
                "groups" => list(caller.map(|caller| &*caller.groups)),
                "scopes" => list(caller.map(|caller| &*caller.scopes)),
                _ => Box::new(CelBool::from(caller.is_none())),
            };
            entries.insert(key(field), value);
        }
        map(entries)
    }

    /// Field lines of one name are one value (RFC 9110 §5.3).
    fn headers<'v>(&self, headers: &dyn Headers) -> Bound<'v> {
        let mut all: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: &[u8]| match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, joined)) => {
                joined.push_str(", ");
                joined.push_str(&latin1(value));
            }
            None => all.push((name.to_owned(), latin1(value).into_owned())),
        };
        match &self.headers {
            Names::None => {}
            Names::Some(names) => {
                for (position, name) in names.iter().enumerate() {
                    if names.iter().position(|known| known == name) == Some(position)
                        && let Ok(field) = HeaderName::from_bytes(name.as_bytes())
                    {
                        headers.each(&field, &mut |value| add(name, value));
                    }
                }
            }
            Names::All => headers.all(&mut |name, value| add(name.as_str(), value)),
        }
        map(all.into_iter().map(|(name, value)| (CelMapKey::from(name), text(value))).collect())
    }

    /// A name that stands twice has no one value: services disagree on which of them counts.
    fn query<'v>(&self, query: &'v str) -> Result<Bound<'v>, Cow<'static, str>> {
        let mut entries = Entries::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if self.query.includes(&name) && entries.insert(CelMapKey::from(name.into_owned()), text(value)).is_some() {
                return Err("a name it reads stands twice in the query".into());
            }
        }
        Ok(map(entries))
    }
}

/// Names as a list.
fn list<'v>(names: Option<&'v [Box<str>]>) -> Bound<'v> {
    Box::new(CelList::from(names.unwrap_or_default().iter().map(|name| text(&**name)).collect::<Vec<_>>()))
}

fn json(value: &Value) -> Bound<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(value) => Box::new(CelBool::from(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => Box::new(CelInt::from(int)),
            (None, Some(uint)) => Box::new(CelUInt::from(uint)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(value) => text(value.as_str()),
        Value::Array(list) => Box::new(CelList::from(list.iter().map(json).collect::<Vec<_>>())),
        Value::Object(object) => map(object.iter().map(|(name, value)| (key(name), json(value))).collect()),
    }
}

/// Bytes of a field as text: UTF-8, or else what each byte stands for in Latin-1, so that nothing is lost.
fn latin1(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => value.iter().map(|byte| char::from(*byte)).collect(),
    }
}

fn map<'v>(entries: Entries<'v>) -> Bound<'v> {
    Box::new(CelMap::from(entries))
}

fn key(name: &str) -> CelMapKey<'_> {
    CelMapKey::from(name)
}

fn text<'v>(text: impl Into<Cow<'v, str>>) -> Bound<'v> {
    Box::new(CelString::from(text.into()))
}
