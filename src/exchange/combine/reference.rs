//! `{name}` in a text: what it means, and texts that hold it.

use crate::value::json::Pointer;
use std::fmt;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The answer of a part, by its number, or something within it.
    Part(usize, Pointer),
    /// The item that a part is being asked about, or something within it.
    Item(Pointer),
    /// What the route's path captured, by the number and the name of the capture.
    Capture(usize, Box<str>),
    /// The first value of a parameter of the query, decoded.
    Query(Box<str>),
    /// The first value of a field of the request.
    Header(http::HeaderName),
    /// The client's body as JSON, or something within it.
    Body(Pointer),
    /// The caller's name; of nobody, nothing.
    Consumer,
    /// A claim of the caller's.
    Claim(Pointer),
    /// The client's address.
    Client,
    /// The name of this request in all logs.
    RequestId,
}

/// The names that stand for something in a text.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The parts, in order.
    pub parts: &'a [&'a str],
    /// What the route's path captures, in order.
    pub captures: &'a [Box<str>],
    /// Whether `{item}` means something here.
    pub item: bool,
}

/// Names that no part may have.
pub const RESERVED: [&str; 9] =
    ["item", "query", "header", "body", "consumer", "claim", "client", "request_id", "partial"];

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadText {
    /// Where, in bytes from its beginning.
    pub offset: usize,
    /// What.
    pub message: String,
    /// A name that may have been meant, or what to write.
    pub hint: String,
}

impl Reference {
    /// What stands between the braces.
    fn parse(text: &str, scope: Scope<'_>) -> Result<Self, (String, String)> {
        let end = text.find(['.', '/']).unwrap_or(text.len());
        let (name, rest) = (text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
        let pointer = || match rest.strip_prefix('.') {
            Some(dotted) => Pointer::dotted(dotted),
            None => Pointer::parse(rest),
        };
        let within =
            || pointer().map_err(|why| (format!("`{{{text}}}`: {why}"), "write `{order.id}` or `{order/id}`".into()));
        let named = |what: &str| match rest.strip_prefix('.').filter(|name| !name.is_empty()) {
            Some(name) => Ok(name),
            None => Err((format!("`{{{name}}}` names no {what}"), format!("write `{{{name}.x}}` for the {what} `x`"))),
        };
        let alone = |reference| match rest {
            "" => Ok(reference),
            _ => Err((format!("nothing stands within `{{{name}}}`"), format!("write `{{{name}}}`"))),
        };
        if let Some(at) = scope.parts.iter().position(|part| *part == name) {
            return Ok(Self::Part(at, within()?));
        }
        if let Some(at) = scope.captures.iter().position(|capture| **capture == *name) {
            return alone(Self::Capture(at, name.into()));
        }
        match name {
            "item" if scope.item => Ok(Self::Item(within()?)),
            "item" => Err((
                "`{item}` means something only where the part has `each`".into(),
                "write `each: \"{part.list}\"`".into(),
            )),
            "query" => named("parameter").map(|name| Self::Query(name.into())),
            "header" => {
                let name = named("field")?;
                let parsed = http::HeaderName::from_bytes(name.as_bytes());
                parsed.map(Self::Header).map_err(|_| (format!("`{name}` is not the name of a header"), String::new()))
            }
            "body" => Ok(Self::Body(within()?)),
            "consumer" => alone(Self::Consumer),
            "claim" => named("claim").map(|_| ()).and_then(|()| Ok(Self::Claim(within()?))),
            "client" => alone(Self::Client),
            "request_id" => alone(Self::RequestId),
            _ => Err(Self::unknown(name, scope)),
        }
    }

    fn unknown(name: &str, scope: Scope<'_>) -> (String, String) {
        let known = scope.parts.iter().copied().chain(scope.captures.iter().map(|name| &**name));
        let known: Vec<&str> = known.chain(RESERVED.into_iter().filter(|name| *name != "partial")).collect();
        let hint = match crate::value::suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => {
                format!("there are {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            }
        };
        (format!("nothing is called `{name}` here"), hint)
    }
}

/// A text with references in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Its pieces, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Characters that stand for themselves.
    Plain(Box<str>),
    /// A value.
    Value(Reference),
}

impl Text {
    /// Reads a text; `{{` and `}}` are single braces.
    ///
    /// # Errors
    /// A brace without its partner, and a name that means nothing.
    pub fn parse(text: &str, scope: Scope<'_>) -> Result<Self, BadText> {
        let (mut pieces, mut plain, mut at) = (Vec::new(), String::new(), 0);
        while let Some(found) = text.get(at..).and_then(|rest| rest.find(['{', '}'])) {
            let brace = at + found;
            plain.push_str(text.get(at..brace).unwrap_or_default());
            let rest = text.get(brace..).unwrap_or_default();
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.extend(rest.chars().next());
                at = brace + 2;
                continue;
            }
            let bad = |message: &str, hint: &str| BadText { offset: brace, message: message.into(), hint: hint.into() };
            if rest.starts_with('}') {
                return Err(bad("`}` without `{`", "write `}}` for a brace"));
            }
            let Some(end) = rest.find('}') else { return Err(bad("`{` without `}`", "write `{{` for a brace")) };
            let reference = Reference::parse(rest.get(1..end).unwrap_or_default(), scope)
                .map_err(|(message, hint)| BadText { offset: brace + 1, message, hint })?;
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain).into()));
            }
            pieces.push(Piece::Value(reference));
            at = brace + end + 1;
        }
        plain.push_str(text.get(at..).unwrap_or_default());
        if !plain.is_empty() {
            pieces.push(Piece::Plain(plain.into()));
        }
        Ok(Self { pieces })
    }

    /// The references in it.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(reference) => Some(reference),
            Piece::Plain(_) => None,
        })
    }

    /// The reference that it is, where it is nothing else.
    pub fn only(&self) -> Option<&Reference> {
        match self.pieces.as_slice() {
            [Piece::Value(reference)] => Some(reference),
            _ => None,
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(at, pointer) => write!(f, "part {at}{pointer}"),
            Self::Item(pointer) => write!(f, "item{pointer}"),
            Self::Capture(_, name) => f.write_str(name),
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Body(pointer) => write!(f, "body{pointer}"),
            Self::Consumer => f.write_str("consumer"),
            Self::Claim(pointer) => write!(f, "claim{pointer}"),
            Self::Client => f.write_str("client"),
            Self::RequestId => f.write_str("request_id"),
        }
    }
}
