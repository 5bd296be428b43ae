//! Values with variables in them: `"{consumer}/{header.X-Tenant|none}"`.
//!
//! What is put in comes from clients, so it is always written for where it stands: it can neither end a line of a head,
//! nor a segment of a path, nor a parameter, nor a cookie.

use super::body::escaped;
use super::variable::{Facts, NAMES, Variable, decoded};
use crate::policy::Setup;
use crate::value::{Spanned, suggest};
use http::HeaderName;
use std::fmt;
use std::fmt::Write as _;

/// Where a value stands, and so how what is put in is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a field: visible ASCII and spaces; the rest is percent-encoded (RFC 9110 §5.5).
    Field,
    /// In a segment of a path (RFC 3986 §3.3).
    Segment,
    /// In a parameter of a query (RFC 3986 §3.4).
    Parameter,
    /// In the value of a cookie (RFC 6265 §4.1.1).
    Cookie,
    /// In text, as it is.
    Text,
    /// Within a string of JSON (RFC 8259 §7).
    Json,
    /// In the text or an attribute of HTML or XML.
    Markup,
}

impl Place {
    fn takes(self, c: char) -> bool {
        match self {
            Self::Field => c.is_ascii_graphic() || c == ' ',
            Self::Segment => c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c),
            Self::Parameter => c.is_ascii_alphanumeric() || "-._~".contains(c),
            Self::Text | Self::Json | Self::Markup => true,
            Self::Cookie => c.is_ascii_graphic() && !"\",;\\%".contains(c),
        }
    }

    /// Appends what comes from a request.
    pub fn put(self, text: &str, out: &mut String) {
        let mut bytes = [0; 4];
        match self {
            Self::Text => return out.push_str(text),
            Self::Json => return out.push_str(&escaped(text)),
            _ => {}
        }
        for c in text.chars() {
            if self == Self::Markup {
                put_in_markup(c, out);
            } else if self.takes(c) {
                out.push(c);
            } else {
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| {
                    let _ = write!(out, "%{byte:02X}");
                });
            }
        }
    }
}

/// What is not a character of XML 1.0 (§2.2) is left out: no reference may stand for it either.
fn put_in_markup(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\t' | '\n' | '\r' => out.push(c),
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
        other => out.push(other),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    /// A variable, and what stands in its place where there is none.
    Variable(Variable, Option<Box<str>>),
    /// The rest of the path, whose slashes stay.
    Rest(usize),
}

/// A compiled value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    written: Box<str>,
    parts: Box<[Part]>,
}

/// What names in values may refer to beside the request.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The names of the route's captures, by their numbers.
    pub captures: &'a [Box<str>],
    /// The route's key.
    pub route: &'a str,
    /// Its api; empty for none.
    pub api: &'a str,
    /// The environment variables that values may name.
    pub env: &'a [Spanned<String>],
    /// Whether there is an answer, with a status.
    pub answered: bool,
}

/// What is wrong with a value.
struct Wrong {
    offset: usize,
    message: String,
    hint: String,
}

impl Value {
    /// Compiles a value; a problem is recorded where it is none.
    pub fn compile(written: &Spanned<String>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Self> {
        Self::read(written, Braces::Doubled, scope, setup)
    }

    /// Compiles the text of a whole body, in which braces that enclose no name are text: JSON and style sheets need no
    /// doubled ones.
    pub fn compile_body(written: &Spanned<String>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Self> {
        Self::read(written, Braces::OfNames, scope, setup)
    }

    fn read(written: &Spanned<String>, braces: Braces, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Self> {
        match parts(&written.value, braces, scope) {
            Ok(parts) => Some(Self { written: written.value.as_str().into(), parts: parts.into() }),
            Err(wrong) => {
                setup.problems.error(written.within(wrong.offset), wrong.message).hint(wrong.hint);
                None
            }
        }
    }

    /// The text of a value without variables.
    pub fn constant(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The literal texts in it, for checks of what may stand there.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) | Part::Variable(_, Some(text)) => Some(&**text),
            Part::Variable(_, None) | Part::Rest(_) => None,
        })
    }

    /// Whether each variable stands within a string of the JSON that this is the text of.
    pub fn is_within_strings(&self) -> bool {
        let (mut within, mut escaped) = (false, false);
        self.parts.iter().all(|part| match part {
            Part::Text(text) => {
                for byte in text.bytes() {
                    within ^= byte == b'"' && !escaped;
                    escaped = byte == b'\\' && !escaped;
                }
                true
            }
            Part::Variable(..) | Part::Rest(_) => within,
        })
    }

    /// Its text for a request, in which variables that have none are left out.
    pub fn fill(&self, facts: &Facts<'_>, place: Place) -> String {
        let mut out = String::with_capacity(256);
        for part in &self.parts {
            let _ = part.put(facts, place, &mut out);
        }
        out
    }

    /// Its text for a request; `None` where a variable has none.
    pub fn expand(&self, facts: &Facts<'_>, place: Place) -> Option<String> {
        let mut out = String::with_capacity(64);
        self.parts.iter().try_for_each(|part| part.put(facts, place, &mut out))?;
        Some(out)
    }
}

impl Part {
    /// Appends its text for a request; `None` where it has none.
    fn put(&self, facts: &Facts<'_>, place: Place, out: &mut String) -> Option<()> {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Variable(variable, default) => match (variable.text(facts), default) {
                (Some(text), _) => place.put(&text, out),
                (None, Some(default)) => place.put(default, out),
                (None, None) => return None,
            },
            Self::Rest(index) => {
                // Split before it is decoded: an encoded slash is none.
                for (number, segment) in Variable::raw(*index, facts)?.split('/').enumerate() {
                    out.push_str(if number > 0 { "/" } else { "" });
                    place.put(&decoded(segment), out);
                }
            }
        }
        Some(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// The name by which the rest of a path (`**`) is captured.
const REST: &str = "**";

/// What braces in a text mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Braces {
    /// Each begins a variable; two stand for one.
    Doubled,
    /// Those around what looks like a name do.
    OfNames,
}

/// Whether a text begins with a name in braces.
fn begins_with_name(text: &str) -> bool {
    let name = text.strip_prefix('{').and_then(|open| open.split_once('}')).map_or("", |(name, _)| name);
    let name = name.split('|').next().unwrap_or_default();
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-*".contains(&byte))
}

fn parts(text: &str, braces: Braces, scope: &Scope<'_>) -> Result<Vec<Part>, Wrong> {
    let (mut parts, mut literal, mut at) = (Vec::new(), String::new(), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let next = rest.find(['{', '}']).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at_checked(next).unwrap_or((rest, ""));
        literal.push_str(plain);
        at += next;
        if braces == Braces::OfNames && !begins_with_name(tail) {
            // A name in two braces is itself, in one.
            let inner = tail.get(1..).filter(|inner| begins_with_name(inner)).and_then(|inner| inner.split_once("}}"));
            let (text, taken) = match inner {
                Some((inner, _)) => (format!("{inner}}}"), inner.len() + 3),
                None => (tail.chars().take(1).collect(), 1.min(tail.len())),
            };
            literal.push_str(&text);
            at += taken;
        } else if tail.starts_with("{{") || tail.starts_with("}}") {
            literal.push_str(if tail.starts_with('{') { "{" } else { "}" });
            at += 2;
        } else if let Some(open) = tail.strip_prefix('{') {
            let Some((name, _)) = open.split_once('}') else {
                return Err(wrong(at, "`{` without `}`", "write `{{` for the character itself"));
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(part(name, at + 1, scope)?);
            at += name.len() + 2;
        } else if !tail.is_empty() {
            return Err(wrong(at, "`}` without `{`", "write `}}` for the character itself"));
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Text(literal.into()));
    }
    Ok(parts)
}

fn wrong(offset: usize, message: impl Into<String>, hint: impl Into<String>) -> Wrong {
    Wrong { offset, message: message.into(), hint: hint.into() }
}

fn part(written: &str, offset: usize, scope: &Scope<'_>) -> Result<Part, Wrong> {
    let (name, default) = match written.split_once('|') {
        Some((name, default)) => (name, Some(default.into())),
        None => (written, None),
    };
    if let Some(index) = scope.captures.iter().position(|known| **known == *name) {
        return Ok(if name == REST { Part::Rest(index) } else { Part::Variable(Variable::Capture(index), default) });
    }
    variable(name, offset, scope).map(|variable| Part::Variable(variable, default))
}

fn variable(name: &str, offset: usize, scope: &Scope<'_>) -> Result<Variable, Wrong> {
    Ok(match name {
        "method" => Variable::Method,
        "host" => Variable::Host,
        "path" => Variable::Path,
        "scheme" => Variable::Scheme,
        "client" => Variable::Client,
        "request_id" => Variable::RequestId,
        "status" if scope.answered => Variable::Status,
        "status" => return Err(wrong(offset, "a request has no status yet", "`{status}` is for `response:`")),
        "route" => Variable::Fixed(scope.route.into()),
        "api" => Variable::Fixed(scope.api.into()),
        "consumer" => Variable::Consumer,
        "consumer.group" => Variable::Groups,
        "consumer.plan" => Variable::Plan,
        _ => return dotted(name, offset, scope),
    })
}

fn dotted(name: &str, offset: usize, scope: &Scope<'_>) -> Result<Variable, Wrong> {
    match name.split_once('.').filter(|(_, rest)| !rest.is_empty()) {
        Some(("claim", path)) => Ok(Variable::Claim(path.into())),
        Some(("query", name)) => Ok(Variable::Query(name.into())),
        Some(("cookie", name)) => Ok(Variable::Cookie(name.into())),
        Some(("header", name)) => match HeaderName::from_bytes(name.as_bytes()) {
            Ok(name) => Ok(Variable::Header(name)),
            Err(_) => Err(wrong(offset, format!("`{name}` is not the name of a header"), "write `{header.X-Tenant}`")),
        },
        Some(("env", name)) => environment(name, offset, scope),
        _ => Err(unknown(name, offset, scope)),
    }
}

/// Environment variables hold secrets: only those that the file lists may be named.
fn environment(name: &str, offset: usize, scope: &Scope<'_>) -> Result<Variable, Wrong> {
    if !scope.env.iter().any(|known| known.value == name) {
        let hint = format!("list it at the top of the file: `env: [{name}]`");
        return Err(wrong(offset, format!("values may not name the environment variable `{name}`"), hint));
    }
    match std::env::var(name) {
        Ok(text) => Ok(Variable::Fixed(text.into())),
        Err(_) => Err(wrong(offset, format!("the environment has no `{name}`"), "set it before the gateway starts")),
    }
}

fn unknown(name: &str, offset: usize, scope: &Scope<'_>) -> Wrong {
    let (before, rest) = name.split_once('.').map_or((name, ""), |(before, rest)| (before, rest));
    let captures = scope.captures.iter().map(|name| &**name);
    let dotted = NAMES.iter().filter_map(|name| name.strip_suffix('.'));
    let near = if rest.is_empty() {
        suggest(name, NAMES.iter().copied().filter(|name| !name.ends_with('.')).chain(captures)).map(str::to_owned)
    } else {
        let whole = suggest(name, NAMES.iter().copied()).map(str::to_owned);
        whole.or_else(|| suggest(before, dotted).map(|near| format!("{near}.{rest}")))
    };
    let hint = match near {
        Some(near) => format!("did you mean `{{{near}}}`? `{{{{` stands for the character itself"),
        None => format!("known are {}, env. and what the route's path captures", NAMES.join(", ")),
    };
    wrong(offset, format!("there is no variable `{name}`"), hint)
}
