//! Path patterns: which paths a route is for.
//!
//! | written | matches |
//! |---|---|
//! | `/orders/full` | these segments; `/orders` and `/orders/` are different paths |
//! | `*` | one segment that is not empty |
//! | `{id}` | the same, kept as a capture |
//! | `{id:[0-9]+}` | the same, where the whole segment matches the regular expression |
//! | `**`, last only | every number of segments, none too: `/a/**` matches `/a`, `/a/`, `/a/b/c`; kept as the capture `**` |
//! | `~^/v[0-9]+/.*` | a path that matches the regular expression as a whole; named groups are captures |
//!
//! Literals are compared with normalised paths (see [`super::normalise`]), so they must be written in normal form.
//! A literal also matches the escapes of characters that need none in a segment: `/@me` matches `/%40me`.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::{Expression, PatternError};

/// The name of what `**` matched.
pub const REST: &str = "**";

/// A path pattern, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    pub(super) shape: Shape,
    captures: Arc<[Box<str>]>,
}

/// What a pattern is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Segments {
        segments: Box<[Segment]>,
        /// Whether `**` stands at the end.
        rest: bool,
    },
    Expression(Expression),
}

/// One segment of a pattern; the names of captures are kept apart, as they make no difference to what is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// As [`super::path::literal_key`] writes it; empty only as the last, for a path that ends with a slash.
    Literal(Box<str>),
    Constrained(Expression),
    Capture,
    Star,
}

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with the place in `text` and what to write instead.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let (shape, captures) = match text.strip_prefix('~') {
            Some(expression) => parse::expression(expression).map_err(|error| error.shifted(1))?,
            None => parse::segments(text)?,
        };
        Ok(Self { text: text.into(), shape, captures: captures.into() })
    }

    /// This pattern below another: `/products` below `/v1` is `/v1/products`, `/**` below it is `/v1/**`.
    ///
    /// # Errors
    ///
    /// [`PatternError`] with a place in the text of `base` when a pattern cannot stand below it, or both name the same
    /// capture.
    pub fn below(&self, base: &Self) -> Result<Self, PatternError> {
        let Shape::Segments { segments, rest: false } = &base.shape else {
            return Err(PatternError::new(0, "a base is a plain path, without `**` or a regular expression"));
        };
        if segments.last() == Some(&Segment::Literal("".into())) {
            return Err(PatternError::new(base.text.len() - 1, "a base does not end with a slash"));
        }
        if let Some(name) = base.captures().iter().find(|name| self.capture_index(name).is_some()) {
            return Err(PatternError::new(0, format!("the route captures `{name}` too")));
        }
        match self.text.strip_prefix('~') {
            Some(_) => Err(PatternError::new(0, "a regular expression matches the whole path, so it has no base")
                .hint("write the base into the expression, outside of the api")),
            None => Self::parse(&format!("{}{}", base.text, self.text)),
        }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its captures, in order of appearance; the rest of a path is called `**`.
    pub fn captures(&self) -> &[Box<str>] {
        &self.captures
    }

    /// The place of a capture in [`super::Captures`].
    pub fn capture_index(&self, name: &str) -> Option<usize> {
        self.captures.iter().position(|known| **known == *name)
    }

    /// Whether both match the same paths, whatever their captures are called.
    pub fn is_like(&self, other: &Self) -> bool {
        self.precedence(other).is_eq()
    }

    /// The number of segments before `**`; `None` for a regular expression.
    pub fn segment_count(&self) -> Option<usize> {
        match &self.shape {
            Shape::Segments { segments, .. } => Some(segments.len()),
            Shape::Expression(_) => None,
        }
    }

    /// The order in which two patterns are tried, the lesser first. Patterns that no path matches both are ordered too,
    /// by their text where nothing else tells them apart.
    pub(super) fn precedence(&self, other: &Self) -> Ordering {
        match (&self.shape, &other.shape) {
            (Shape::Segments { .. }, Shape::Expression(_)) => Ordering::Less,
            (Shape::Expression(_), Shape::Segments { .. }) => Ordering::Greater,
            (Shape::Expression(one), Shape::Expression(two)) => one.cmp(two),
            (Shape::Segments { segments: one, rest: one_rest }, Shape::Segments { segments: two, rest: two_rest }) => {
                let differ = one.iter().zip(two).map(|(one, two)| one.precedence(two)).find(|order| order.is_ne());
                differ.unwrap_or_else(|| match one.len().cmp(&two.len()) {
                    Ordering::Equal => one_rest.cmp(two_rest),
                    // The shorter is `**` here, or matches other paths than the longer.
                    order => order.reverse(),
                })
            }
        }
    }
}

impl Segment {
    fn precedence(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Literal(one), Self::Literal(two)) => one.cmp(two),
            (Self::Constrained(one), Self::Constrained(two)) => one.cmp(two),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Constrained(_) => 1,
            Self::Capture => 2,
            Self::Star => 3,
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
