//! Changes to header fields.

use super::value::{Place, Scope, Value};
use super::variable::Facts;
use crate::policy::Setup;
use crate::request::{HeadersMut, IDENTITY_FIELDS};
use crate::value::{Named, OneOrMany, Spanned};
use http::{HeaderName, HeaderValue};
use std::fmt;

/// Fields that are the gateway's own both ways: the framing, and what is for one connection.
const FRAMING: [&str; 12] = [
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "via",
    "x-request-id",
];
/// Fields by which an upstream learns where a request comes from.
const ORIGIN: [&str; 9] = [
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "traceparent",
    "tracestate",
];

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request, to an upstream.
    Up,
    /// An answer, to a client.
    Down,
}

/// What is written, for one kind of thing.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// New names, by the old ones.
    pub rename: &'a Named<Spanned<String>>,
    /// What goes.
    pub remove: &'a OneOrMany<Spanned<String>>,
    /// What takes the place of all of its name.
    pub set: &'a Named<Spanned<String>>,
    /// What is added where there is none.
    pub add: &'a Named<Spanned<String>>,
    /// What is added.
    pub append: &'a Named<Spanned<String>>,
}

/// Takes the five kinds of changes out of a written form.
macro_rules! written {
    ($from:expr) => {
        $crate::policy::transform::headers::Written {
            rename: &$from.rename,
            remove: &$from.remove,
            set: &$from.set,
            add: &$from.add,
            append: &$from.append,
        }
    };
}
pub(super) use written;

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Fixed(HeaderValue),
    Made(Value),
}

impl Content {
    fn make(&self, facts: &Facts<'_>) -> Option<HeaderValue> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            Self::Made(value) => HeaderValue::try_from(value.expand(facts, Place::Field)?).ok(),
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => f.write_str(value.to_str().unwrap_or_default()),
            Self::Made(value) => value.fmt(f),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Rename(HeaderName, HeaderName),
    Remove(HeaderName),
    /// All whose names begin so, save for the gateway's own.
    RemoveFamily(Box<str>),
    Set(HeaderName, Content),
    Add(HeaderName, Content),
    Append(HeaderName, Content),
}

/// Compiled changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderChanges(Box<[Change]>);

impl HeaderChanges {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: Written<'_>, way: Way, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let mut changes = Vec::new();
        for (from, to) in written.rename.iter() {
            if let (Some(from), Some(to)) = (name(from, way, setup), name(to, way, setup)) {
                changes.push(Change::Rename(from, to));
            }
        }
        for gone in written.remove {
            match gone.value.strip_suffix('*') {
                Some(family) if HeaderName::from_bytes(family.as_bytes()).is_ok() => {
                    changes.push(Change::RemoveFamily(family.to_ascii_lowercase().into()));
                }
                _ => changes.extend(name(gone, way, setup).map(Change::Remove)),
            }
        }
        type Make = fn(HeaderName, Content) -> Change;
        let kinds: [(&Named<Spanned<String>>, Make); 3] =
            [(written.set, Change::Set), (written.add, Change::Add), (written.append, Change::Append)];
        for (named, make) in kinds {
            for (field, value) in named.iter() {
                if let (Some(name), Some(content)) = (name(field, way, setup), content(value, scope, setup)) {
                    changes.push(make(name, content));
                }
            }
        }
        Self(changes.into())
    }

    /// Makes the changes. A field whose value names what a request has not is not there afterwards: what a client may have
    /// sent in its stead must not pass for it.
    pub fn make(&self, facts: &Facts<'_>, headers: &mut dyn HeadersMut) {
        for change in &self.0 {
            match change {
                Change::Rename(from, to) => rename(from, to, headers),
                Change::Remove(name) => headers.remove(name),
                Change::RemoveFamily(family) => {
                    let mut found = Vec::new();
                    headers.all(&mut |name, _| {
                        if name.as_str().starts_with(&**family) && !is_own(name.as_str()) {
                            found.push(name.clone());
                        }
                    });
                    found.iter().for_each(|name| headers.remove(name));
                }
                Change::Set(name, content) => match content.make(facts) {
                    Some(value) => headers.set(name, value),
                    None => headers.remove(name),
                },
                Change::Add(name, content) => {
                    if headers.first(name).is_none()
                        && let Some(value) = content.make(facts)
                    {
                        headers.set(name, value);
                    }
                }
                Change::Append(name, content) => {
                    if let Some(value) = content.make(facts) {
                        headers.append(name, value);
                    }
                }
            }
        }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes them at once where each sets a value that depends on no request; whether it did.
    pub fn set_constants(&self, headers: &mut http::HeaderMap) -> bool {
        let constant = |change: &Change| match change {
            Change::Set(name, Content::Fixed(value)) => Some((name.clone(), value.clone())),
            _ => None,
        };
        let all: Option<Vec<_>> = self.0.iter().map(constant).collect();
        let made = all.is_some();
        all.into_iter().flatten().for_each(|(name, value)| drop(headers.insert(name, value)));
        made
    }

    /// Adds others behind them.
    pub fn extend(&mut self, others: Self) {
        self.0 = std::mem::take(&mut self.0).into_iter().chain(others.0).collect();
    }

    /// Whether one of them sets that field to something made of a request.
    pub fn makes(&self, field: &HeaderName) -> bool {
        self.0.iter().any(|change| matches!(change, Change::Set(name, Content::Made(_)) if name == field))
    }

    /// The changes in a few words each.
    pub fn describe(&self) -> Vec<String> {
        let word = |change: &Change| match change {
            Change::Rename(from, to) => format!("rename {from} to {to}"),
            Change::Remove(name) => format!("remove {name}"),
            Change::RemoveFamily(family) => format!("remove {family}*"),
            Change::Set(name, content) => format!("set {name}: {content}"),
            Change::Add(name, content) => format!("add {name}: {content}"),
            Change::Append(name, content) => format!("append {name}: {content}"),
        };
        self.0.iter().map(word).collect()
    }
}

/// All fields of one name under another one, behind those that are there already.
fn rename(from: &HeaderName, to: &HeaderName, headers: &mut dyn HeadersMut) {
    let mut values = Vec::new();
    headers.each(from, &mut |value| values.extend(HeaderValue::from_bytes(value)));
    headers.remove(from);
    values.into_iter().for_each(|value| headers.append(to, value));
}

fn is_own(name: &str) -> bool {
    FRAMING.contains(&name) || ORIGIN.contains(&name)
}

/// The name of a field that may be changed.
fn name(written: &Spanned<String>, way: Way, setup: &mut Setup<'_>) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(written.as_bytes()) else {
        setup.problems.error(written.place, "this is not the name of a header");
        return None;
    };
    // Some services take underscores for hyphens.
    let folded = name.as_str().replace(['_', '.'], "-");
    let identity = setup.identity.iter().chain(&IDENTITY_FIELDS).any(|known| *known.as_str() == *folded);
    let why = match way {
        _ if FRAMING.contains(&&*folded) => "the gateway writes it",
        Way::Up if identity => "it tells upstreams who the caller is",
        Way::Up if folded == "host" => "the gateway writes it; `preserve_host` chooses between two",
        Way::Up if ORIGIN.contains(&&*folded) => "it tells upstreams where a request comes from",
        Way::Up | Way::Down => return Some(name),
    };
    setup.problems.error(written.place, format!("`{name}` may not be changed: {why}"));
    None
}

fn content(written: &Spanned<String>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Content> {
    let value = Value::compile(written, scope, setup)?;
    let fixed = value.constant().map(HeaderValue::from_str);
    let sound = value.texts().all(|text| text.chars().all(|c| c.is_ascii_graphic() || matches!(c, ' ' | '\t')));
    match fixed {
        Some(Ok(fixed)) if sound => Some(Content::Fixed(fixed)),
        None if sound => Some(Content::Made(value)),
        _ => {
            setup
                .problems
                .error(written.place, "this is not the value of a header")
                .hint("a value is one line of visible ASCII characters, spaces and tabs");
            None
        }
    }
}
