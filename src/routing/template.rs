//! Paths and URLs with captures in them: `rewrite: /v2/{id}`, `redirect: { to: "/new/{**}" }`.
//!
//! What is expanded comes from the client, so it can never change the shape of what it is put into:
//!
//! * in the path, a value is put in as it stands in the normalised request path, so it holds no `?`, `#`, control or raw
//!   non-ASCII character; then the whole path is normalised again, so neither dot segments nor `//` (which browsers take
//!   for another host) come out, whatever a regular expression cut out of the request path;
//! * in the query, all but unreserved characters and escapes is escaped, so a value never adds a parameter;
//! * in the scheme or host, captures are refused.

use std::fmt;

use super::path::{is_unreserved, push_escape};
use super::{BadPath, Captures, PathPattern, PatternError, REST, normalise};

/// A path, or a URL, with captures of one pattern in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// As it was written.
    text: Box<str>,
    /// Scheme and authority, or nothing.
    origin: Box<str>,
    path: Box<[Part]>,
    /// With its `?`; empty where there is none.
    query: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    /// The capture with this index.
    Capture(usize),
    /// The rest of the path, and the slash before it: where `/a/**` matched just `/a`, there is neither.
    SlashAndRest(usize),
    /// Something else, which whoever expands it knows by this number.
    Other(usize),
}

/// What stands for names that the pattern does not capture.
pub type Others<'a> = &'a mut dyn FnMut(&str, usize) -> Option<usize>;

impl Template {
    /// Reads a path or an `http`, `https` URL in which `{name}` and `{**}` stand for captures of `pattern`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the place in `text`: a capture that the pattern has not, or what no URL may hold.
    pub fn parse(text: &str, pattern: &PathPattern) -> Result<Self, PatternError> {
        Self::parse_with(text, pattern, &mut |_, _| None)
    }

    /// The same, in which `others` gives a number to names that are no captures, each told with its place in `text`.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`], for names that have no number.
    pub fn parse_with(text: &str, pattern: &PathPattern, others: Others<'_>) -> Result<Self, PatternError> {
        let start = path_start(text)?;
        let (origin, local) = text.split_at_checked(start).unwrap_or(("", text));
        if let Some(brace) = origin.find(['{', '}']) {
            return Err(PatternError::new(brace, "a capture must not choose the scheme or the host"));
        }
        let end = local.find('?').unwrap_or(local.len());
        let (path, query) = local.split_at_checked(end).unwrap_or((local, ""));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            text: text.into(),
            origin: origin.into(),
            path: parts(path, pattern, &mut |name, at| others(name, start + at))
                .map_err(|error| error.shifted(start))?,
            query: parts(query, pattern, &mut |name, at| others(name, start + end + at))
                .map_err(|error| error.shifted(start + end))?,
        })
    }

    /// Whether it brings a query of its own.
    pub fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    /// Appends the template to `out`, with the captures that a look-up of `path` found.
    ///
    /// # Errors
    ///
    /// [`BadPath`] when the parts do not make a legal path. Only captures of a regular expression over the whole path,
    /// or parts put together within a segment, can come to that; the request is then answered 400.
    pub fn expand(&self, path: &str, captures: &Captures, out: &mut String) -> Result<(), BadPath> {
        self.expand_with(path, captures, &mut |_| None, out)
    }

    /// The same, with the texts of other names by their numbers. One that is not there is refused in the path, and empty
    /// in the query.
    ///
    /// # Errors
    ///
    /// As [`Self::expand`], and where such a text would make dot segments or an empty segment in the path.
    pub fn expand_with(
        &self,
        path: &str,
        captures: &Captures,
        others: &mut dyn FnMut(usize) -> Option<String>,
        out: &mut String,
    ) -> Result<(), BadPath> {
        out.push_str(&self.origin);
        let (start, mut foreign) = (out.len(), false);
        for part in &self.path {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Capture(index) => out.push_str(captures.get(path, *index).unwrap_or_default()),
                Part::SlashAndRest(index) => append_rest(path, captures, *index, out),
                Part::Other(number) => {
                    foreign = true;
                    let text = others(*number).filter(|text| !text.is_empty()).ok_or(BadPath::Character)?;
                    append_encoded(&text, out);
                }
            }
        }
        if out.len() == start {
            out.push('/');
        }
        let normal = match normalise(out.get(start..).unwrap_or_default())?.into_text() {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(normal) => Some(normal),
        };
        if normal.is_some() && foreign {
            return Err(BadPath::HiddenDots);
        }
        if let Some(normal) = normal {
            out.truncate(start);
            out.push_str(&normal);
        }
        for part in &self.query {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Capture(index) => append_escaped(captures.get(path, *index).unwrap_or_default(), out),
                Part::SlashAndRest(index) => {
                    out.push('/');
                    append_escaped(captures.get(path, *index).unwrap_or_default(), out);
                }
                Part::Other(number) => append_encoded(&others(*number).unwrap_or_default(), out),
            }
        }
        Ok(())
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn append_rest(path: &str, captures: &Captures, index: usize, out: &mut String) {
    let rest = captures.get(path, index).unwrap_or_default();
    if !rest.is_empty() || path.ends_with('/') {
        out.push('/');
        out.push_str(rest);
    }
}

/// Appends a value as part of a query parameter; whole escapes stay as they are.
fn append_escaped(value: &str, out: &mut String) {
    let mut rest = value.as_bytes();
    while let [byte, tail @ ..] = rest {
        match (byte, tail) {
            (b'%', [high, low, ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => out.push('%'),
            _ if is_unreserved(*byte) => out.push(char::from(*byte)),
            _ => push_escape(*byte, out),
        }
        rest = tail;
    }
}

/// Appends a text as a whole segment or parameter: all but unreserved characters is escaped.
fn append_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match is_unreserved(byte) {
            true => out.push(char::from(byte)),
            false => push_escape(byte, out),
        }
    }
}

/// Where scheme and authority end.
fn path_start(text: &str) -> Result<usize, PatternError> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) else {
        return match text.strip_prefix('/') {
            Some(tail) if tail.starts_with('/') => {
                Err(PatternError::new(1, "`//` at the front names another host")
                    .hint("write one `/`, or the whole URL"))
            }
            Some(_) => Ok(0),
            None => Err(PatternError::new(0, "a path or an `http://`, `https://` URL belongs here")),
        };
    };
    if !matches!(scheme, "http" | "https") {
        return Err(PatternError::new(0, "the scheme is neither `http` nor `https`"));
    }
    let start = scheme.len() + "://".len();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match super::normalise_host(authority) {
        _ if authority.contains(['{', '}']) => Ok(start + authority.len()),
        Ok(_) => Ok(start + authority.len()),
        Err(bad) => Err(PatternError::new(start, bad.to_string())),
    }
}

/// Cuts a text into literal parts and captures.
fn parts(text: &str, pattern: &PathPattern, others: Others<'_>) -> Result<Box<[Part]>, PatternError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        let (literal, name, tail) = match rest.split_once('{') {
            None => (rest, None, ""),
            Some((literal, open)) => {
                let brace = at + literal.len();
                let (name, tail) = open.split_once('}').ok_or_else(|| PatternError::new(brace, "`{` without `}`"))?;
                (literal, Some((name, brace)), tail)
            }
        };
        check_literal(literal).map_err(|error| error.shifted(at))?;
        let Some((name, brace)) = name else {
            parts.push(Part::Text(literal.into()));
            break;
        };
        let Some(index) = pattern.capture_index(name) else {
            let number = others(name, brace + 1).ok_or_else(|| unknown(name, brace, pattern))?;
            parts.extend((!literal.is_empty()).then(|| Part::Text(literal.into())));
            parts.push(Part::Other(number));
            rest = tail;
            continue;
        };
        let before = if name == REST { literal.strip_suffix('/') } else { None };
        match before.unwrap_or(literal) {
            "" => {}
            literal => parts.push(Part::Text(literal.into())),
        }
        parts.push(if before.is_some() { Part::SlashAndRest(index) } else { Part::Capture(index) });
        rest = tail;
    }
    Ok(parts.into())
}

fn unknown(name: &str, brace: usize, pattern: &PathPattern) -> PatternError {
    let error = PatternError::new(brace + 1, format!("the route captures no `{name}`"));
    match pattern.captures() {
        [] => error.hint(format!("`{pattern}` has no captures")),
        known => {
            let known: Vec<String> = known.iter().map(|name| format!("`{{{name}}}`")).collect();
            error.hint(format!("it has {}", known.join(", ")))
        }
    }
}

fn check_literal(text: &str) -> Result<(), PatternError> {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    for (at, c) in text.char_indices() {
        match c {
            '%' if !is_hex(at + 1) || !is_hex(at + 2) => {
                return Err(
                    PatternError::new(at, BadPath::Escape.to_string()).hint("write `%25` for the character itself")
                );
            }
            '}' => return Err(PatternError::new(at, "`}` without `{`")),
            '#' => return Err(PatternError::new(at, "a fragment has no place here")),
            '!'..='~' if c != '\\' => {}
            _ => return Err(PatternError::new(at, "this character must be percent-encoded")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
