//! Changes to the parameters of a query and to cookies: pairs of a name and a value, kept as they are where nothing is
//! changed about them.

use super::headers::Written;
use super::value::{Place, Scope, Value};
use super::variable::Facts;
use crate::policy::Setup;
use crate::request::HeadersMut;
use crate::value::{Named, Spanned};
use http::{HeaderValue, header};

#[derive(Clone, Debug, PartialEq)]
enum Change {
    Rename(Box<str>, Box<str>),
    Remove(Box<str>),
    Set(Box<str>, Value),
    Add(Box<str>, Value),
    Append(Box<str>, Value),
}

/// What the pairs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Parameters of a query.
    Query,
    /// Cookies of a request (`Cookie`).
    Cookies,
    /// Cookies of an answer (`Set-Cookie`).
    SetCookies,
}

impl Kind {
    fn place(self) -> Place {
        if self == Self::Query { Place::Parameter } else { Place::Cookie }
    }

    /// The name of a pair as it is meant.
    fn name(self, pair: &str) -> String {
        let written = pair.split('=').next().unwrap_or_default();
        match self {
            Self::Query => form_urlencoded::parse(written.as_bytes())
                .next()
                .map_or_else(String::new, |(name, _)| name.into_owned()),
            Self::Cookies | Self::SetCookies => written.trim().to_owned(),
        }
    }

    /// A name as it is written.
    fn spell(self, name: &str) -> String {
        let mut out = String::new();
        match self {
            Self::Query => Place::Parameter.put(name, &mut out),
            Self::Cookies | Self::SetCookies => out.push_str(name),
        }
        out
    }
}

/// Compiled changes to pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct PairChanges {
    kind: Kind,
    changes: Box<[Change]>,
}

impl PairChanges {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: Written<'_>, kind: Kind, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let mut changes = Vec::new();
        for (from, to) in written.rename.iter() {
            if let (Some(from), Some(to)) = (name(from, kind, setup), name(to, kind, setup)) {
                changes.push(Change::Rename(from, to));
            }
        }
        for gone in written.remove {
            changes.extend(name(gone, kind, setup).map(Change::Remove));
        }
        type Make = fn(Box<str>, Value) -> Change;
        let kinds: [(&Named<Spanned<String>>, Make); 3] =
            [(written.set, Change::Set), (written.add, Change::Add), (written.append, Change::Append)];
        for (named, make) in kinds {
            for (field, value) in named.iter() {
                if let (Some(name), Some(content)) = (name(field, kind, setup), content(value, kind, scope, setup)) {
                    changes.push(make(name, content));
                }
            }
        }
        Self { kind, changes: changes.into() }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the changes. What is set to what a request has not is not there afterwards.
    fn make(&self, facts: &Facts<'_>, pairs: &mut Vec<String>) {
        let named = |pair: &String, name: &str| self.kind.name(pair) == name;
        let made = |name: &str, value: &Value| {
            value.expand(facts, self.kind.place()).map(|text| format!("{}={text}", self.kind.spell(name)))
        };
        for change in &self.changes {
            match change {
                Change::Rename(from, to) => {
                    for pair in pairs.iter_mut().filter(|pair| named(pair, from)) {
                        let rest = pair.find('=').and_then(|at| pair.get(at..)).unwrap_or_default();
                        *pair = format!("{}{rest}", self.kind.spell(to));
                    }
                }
                Change::Remove(name) => pairs.retain(|pair| !named(pair, name)),
                Change::Set(name, value) => {
                    let at = pairs.iter().position(|pair| named(pair, name)).unwrap_or(pairs.len());
                    pairs.retain(|pair| !named(pair, name));
                    if let Some(pair) = made(name, value) {
                        pairs.insert(at.min(pairs.len()), pair);
                    }
                }
                Change::Add(name, value) => {
                    if !pairs.iter().any(|pair| named(pair, name)) {
                        pairs.extend(made(name, value));
                    }
                }
                Change::Append(name, value) => pairs.extend(made(name, value)),
            }
        }
    }

    /// The query after the changes; `None` for none.
    pub fn of_query(&self, facts: &Facts<'_>, query: Option<&str>) -> Option<String> {
        let mut pairs: Vec<String> =
            query.map(|query| query.split('&').map(str::to_owned).collect()).unwrap_or_default();
        self.make(facts, &mut pairs);
        Some(pairs.join("&")).filter(|query| !query.is_empty())
    }

    /// Changes the cookies a request brings.
    pub fn of_request(&self, facts: &Facts<'_>, headers: &mut dyn HeadersMut) {
        let mut pairs = Vec::new();
        headers.each(&header::COOKIE, &mut |line| {
            let line = String::from_utf8_lossy(line);
            pairs.extend(line.split(';').map(|pair| pair.trim().to_owned()).filter(|pair| !pair.is_empty()));
        });
        let before = pairs.clone();
        self.make(facts, &mut pairs);
        if pairs == before {
            return;
        }
        match HeaderValue::try_from(pairs.join("; ")) {
            Ok(value) if !pairs.is_empty() => headers.set(&header::COOKIE, value),
            _ => headers.remove(&header::COOKIE),
        }
    }

    /// Changes the cookies an answer sets.
    pub fn of_answer(&self, facts: &Facts<'_>, headers: &mut dyn HeadersMut) {
        let mut lines = Vec::new();
        headers.each(&header::SET_COOKIE, &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        let before = lines.clone();
        self.make(facts, &mut lines);
        if lines == before {
            return;
        }
        headers.remove(&header::SET_COOKIE);
        for value in lines.into_iter().filter_map(|line| HeaderValue::try_from(line).ok()) {
            headers.append(&header::SET_COOKIE, value);
        }
    }

    /// The changes in a few words each.
    pub fn describe(&self) -> Vec<String> {
        let what = if self.kind == Kind::Query { "parameter" } else { "cookie" };
        let word = |change: &Change| match change {
            Change::Rename(from, to) => format!("rename {what} {from} to {to}"),
            Change::Remove(name) => format!("remove {what} {name}"),
            Change::Set(name, value) => format!("set {what} {name}={value}"),
            Change::Add(name, value) => format!("add {what} {name}={value}"),
            Change::Append(name, value) => format!("append {what} {name}={value}"),
        };
        self.changes.iter().map(word).collect()
    }
}

/// The name of a pair; cookies have tokens for names (RFC 6265 §4.1.1).
fn name(written: &Spanned<String>, kind: Kind, setup: &mut Setup<'_>) -> Option<Box<str>> {
    let token = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let sound = if kind == Kind::Query { !written.value.is_empty() } else { token(&written.value) };
    if !sound {
        setup.problems.error(
            written.place,
            format!(
                "`{}` is not the name of a {}",
                written.value,
                if kind == Kind::Query { "parameter" } else { "cookie" }
            ),
        );
    }
    sound.then(|| written.value.as_str().into())
}

fn content(written: &Spanned<String>, kind: Kind, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Value> {
    let value = Value::compile(written, scope, setup)?;
    let takes = |c: char| match kind {
        // What is written is put into the query as it is.
        Kind::Query => c.is_ascii_alphanumeric() || "-._~!$'()*,;:@/?%+".contains(c),
        Kind::Cookies => c.is_ascii_graphic() && !"\",;\\".contains(c),
        Kind::SetCookies => c.is_ascii_graphic() || c == ' ',
    };
    if let Some(bad) = value.texts().flat_map(str::chars).find(|c| !takes(*c)) {
        setup
            .problems
            .error(written.place, format!("`{bad}` may not stand here as it is"))
            .hint("write it percent-encoded");
        return None;
    }
    Some(value)
}
