//! From the text of a pattern to its segments.

use super::{REST, Segment, Shape};
use crate::routing::path::{BadPath, literal_key, normalise};
use crate::routing::{Expression, PatternError};

/// The most segments a pattern may have; it bounds the depth of the tree, and so of every look-up.
const MOST_SEGMENTS: usize = 64;

type Parsed = (Shape, Vec<Box<str>>);

/// Reads what follows the `~`.
pub(super) fn expression(text: &str) -> Result<Parsed, PatternError> {
    let expression = Expression::parse(text)?;
    let names = expression.names().map(|(_, name)| name.into()).collect();
    Ok((Shape::Expression(expression), names))
}

/// Reads a pattern made of segments.
pub(super) fn segments(text: &str) -> Result<Parsed, PatternError> {
    let Some(first) = text.strip_prefix('/') else {
        let error = PatternError::new(0, "a path pattern begins with `/` (or `~` for a regular expression)");
        return Err(if text.is_empty() { error } else { error.hint(format!("write `/{text}`")) });
    };
    let mut reading = Reading { segments: Vec::new(), names: Vec::new() };
    let mut rest = first;
    loop {
        let offset = text.len() - rest.len();
        let end = segment_end(rest).map_err(|error| error.shifted(offset))?;
        let (segment, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let tail = tail.strip_prefix('/');
        if segment == REST {
            if tail.is_some() {
                return Err(PatternError::new(offset, "`**` matches all that follows, so it stands last")
                    .hint("write `*` for one segment"));
            }
            reading.names.push(REST.into());
            return Ok((Shape::Segments { segments: reading.segments.into(), rest: true }, reading.names));
        }
        if segment.is_empty() && tail.is_some() {
            return Err(
                PatternError::new(offset, "repeated slashes are merged before a path is matched").hint("write one `/`")
            );
        }
        reading.segment(segment).map_err(|error| error.shifted(offset))?;
        if reading.segments.len() > MOST_SEGMENTS {
            return Err(PatternError::new(offset, format!("a pattern has at most {MOST_SEGMENTS} segments")));
        }
        let Some(tail) = tail else {
            return Ok((Shape::Segments { segments: reading.segments.into(), rest: false }, reading.names));
        };
        rest = tail;
    }
}

/// Where the segment at the head of `text` ends: at a slash outside of braces.
fn segment_end(text: &str) -> Result<usize, PatternError> {
    let mut open: Vec<usize> = Vec::new();
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'/' if open.is_empty() => return Ok(at),
            b'{' => open.push(at),
            b'}' if open.pop().is_none() => {
                return Err(PatternError::new(at, "`}` without `{`").hint("write `%7D` for the character itself"));
            }
            // Within an expression a backslash takes the next character's meaning away.
            b'\\' if !open.is_empty() => {
                bytes.next();
            }
            _ => {}
        }
    }
    match open.first() {
        Some(at) => Err(PatternError::new(*at, "`{` without `}`").hint("write `%7B` for the character itself")),
        None => Ok(text.len()),
    }
}

struct Reading {
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

impl Reading {
    fn segment(&mut self, text: &str) -> Result<(), PatternError> {
        let segment = match text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) if is_one_pair(text) => self.capture(inner).map_err(|error| error.shifted(1))?,
            _ if text == "*" => Segment::Star,
            _ => literal(text)?,
        };
        self.segments.push(segment);
        Ok(())
    }

    fn capture(&mut self, inner: &str) -> Result<Segment, PatternError> {
        let (name, constraint) = match inner.split_once(':') {
            Some((name, constraint)) => (name, Some(constraint)),
            None => (inner, None),
        };
        if let Some(error) = refuse_name(name) {
            return Err(error);
        }
        if self.names.iter().any(|known| **known == *name) {
            return Err(
                PatternError::new(0, format!("`{name}` is captured twice")).hint("give each capture its own name")
            );
        }
        self.names.push(name.into());
        match constraint {
            None => Ok(Segment::Capture),
            Some("") => Err(PatternError::new(name.len(), "a regular expression is missing after `:`")
                .hint(format!("write `{{{name}}}`"))),
            Some(text) => {
                Expression::parse(text).map(Segment::Constrained).map_err(|error| error.shifted(name.len() + 1))
            }
        }
    }
}

/// Whether a text is one pair of braces and what is within, unlike `{a}{b}`.
fn is_one_pair(text: &str) -> bool {
    // The brace that closes the first one would be the last byte: without it, the first stays open to the end.
    text.strip_suffix('}').is_some_and(|open| segment_end(open).is_err_and(|error| error.offset == 0))
}

fn refuse_name(name: &str) -> Option<PatternError> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let bad = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
    match bad {
        _ if name.is_empty() => {
            Some(PatternError::new(0, "a capture needs a name").hint("write `*` where none is needed"))
        }
        Some(0) if name.starts_with('*') => {
            Some(PatternError::new(0, "a capture matches one segment").hint("write `**` for the rest of the path"))
        }
        Some(at) => Some(
            PatternError::new(at, "the name of a capture is made of letters, digits, `_` and `-`")
                .hint("a regular expression follows the name after `:`"),
        ),
        None if !starts_well => Some(PatternError::new(0, "the name of a capture begins with a letter or `_`")),
        None => None,
    }
}

/// Reads a literal segment, which must be spelled as a normalised request spells it.
fn literal(text: &str) -> Result<Segment, PatternError> {
    if let Some(at) = text.find(['{', '}']) {
        return Err(PatternError::new(at, "a capture is a whole segment")
            .hint(r"constrain the whole segment, such as `{file:v[0-9]+\.json}`"));
    }
    if let Some(at) = text.find('*') {
        return Err(PatternError::new(at, "a `*` is a whole segment").hint("write `%2A` for the character itself"));
    }
    if let Some(name) = text.strip_prefix(':').filter(|name| refuse_name(name).is_none()) {
        return Err(PatternError::new(0, "a capture is written in braces")
            .hint(format!("write `{{{name}}}`, or `%3A{name}` for the text itself")));
    }
    if let Some(at) = text.find(['?', '#']) {
        return Err(
            PatternError::new(at, "a pattern matches the path only").hint("match parameters with `match: query`")
        );
    }
    let path = format!("/{}", encode_raw(text));
    let normal = normalise(&path).map_err(|bad| refuse_literal(text, bad))?;
    match normal.as_str().trim_start_matches('/') {
        normal if normal == text => Ok(Segment::Literal(literal_key(normal).into())),
        "" => Err(refuse_literal(text, BadPath::AboveRoot)),
        normal => Err(PatternError::new(0, "this segment is not in normal form, so no request could match it")
            .hint(format!("write `{normal}`"))),
    }
}

/// Escapes what may not stand raw in a path, so that the hint can say how to write it.
fn encode_raw(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'\\' => encoded.push(char::from(byte)),
            _ => crate::routing::path::push_escape(byte, &mut encoded),
        }
    }
    encoded
}

fn refuse_literal(text: &str, bad: BadPath) -> PatternError {
    match bad {
        BadPath::Escape => {
            let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
            let at = text.match_indices('%').map(|(at, _)| at).find(|at| !is_hex(at + 1) || !is_hex(at + 2));
            PatternError::new(at.unwrap_or(0), bad.to_string()).hint("write `%25` for the character itself")
        }
        BadPath::AboveRoot => {
            PatternError::new(0, "dot segments are removed before a path is matched").hint("write the path without")
        }
        _ => PatternError::new(0, format!("requests for such a segment are refused: {bad}")),
    }
}
