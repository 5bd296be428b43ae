//! What is wrong with a pattern, where in its text, and what to write instead.

use std::borrow::Cow;
use std::fmt;

/// A refused pattern. Whoever knows the file turns it into a problem with line and column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Where in the pattern's text, in bytes.
    pub offset: usize,
    /// What is wrong, as a clause without a full stop.
    pub message: Cow<'static, str>,
    /// What to write instead, where that is known.
    pub hint: Option<Cow<'static, str>>,
}

impl PatternError {
    pub(super) fn new(offset: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { offset, message: message.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error in a longer text, in which this one begins at `by`.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        self.offset += by;
        self
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

impl std::error::Error for PatternError {}
