//! Regular expressions that must match a whole text, compiled within a bound and compared by what is written.

use std::cmp::Ordering;
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use super::PatternError;

/// The most a compiled expression may weigh, in bytes.
const HEAVIEST: usize = 256 * 1024;

/// A regular expression over a whole text. Cloning shares the compiled program.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    regex: Regex,
}

impl Expression {
    /// Compiles an expression in the syntax of the `regex` crate: linear time, no look-around, no back references.
    ///
    /// # Errors
    ///
    /// [`PatternError`] at offset 0 of `text` when it is malformed or compiles to more than 256 KiB.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        // Alone first: `a)(b` would be well formed between the anchors.
        let compile = |text: &str| RegexBuilder::new(text).size_limit(HEAVIEST).build();
        let anchored = compile(text).and_then(|_| compile(&Self::anchored(text)));
        match anchored {
            Ok(regex) => Ok(Self { text: text.into(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(PatternError::new(0, "the regular expression is too large")
                    .hint("repeat less, or match less exactly"))
            }
            Err(error) => Err(PatternError::new(0, reason(&error))),
        }
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it matches the whole of `text`.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// The compiled expression, with its anchors.
    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The names of its named groups, each with the group's number.
    pub(super) fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        self.regex.capture_names().enumerate().filter_map(|(group, name)| Some((group, name?)))
    }

    fn anchored(text: &str) -> String {
        format!(r"\A(?:{text})\z")
    }
}

/// The longer text first, then by its bytes: which of two expressions is the more specific cannot be known in general,
/// so the order is one that readers can see and that no reordering of the file changes.
impl Ord for Expression {
    fn cmp(&self, other: &Self) -> Ordering {
        other.text.len().cmp(&self.text.len()).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Expression {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The last line of the crate's message: what is wrong, without the drawing of where.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    format!("not a regular expression: {}", last.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_only_the_whole_text() {
        let expression = Expression::parse("[0-9]+|x").unwrap();
        assert!(expression.matches(b"12") && expression.matches(b"x"));
        for text in ["", "12a", "a12", "x12", "12\n"] {
            assert!(!expression.matches(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_would_escape_its_anchors() {
        for text in ["a)|(b", "(", "(?x) a # b", "a{2", "(?=a)", r"(a)\1", "[z-a]"] {
            if let Ok(expression) = Expression::parse(text) {
                panic!("{text} became {:?}", expression.regex());
            }
        }
    }

    #[test]
    fn refuses_an_expression_that_compiles_to_too_much() {
        let error = Expression::parse(r"(\w{100}){100}").unwrap_err();
        assert_eq!(error.message, "the regular expression is too large");
    }
}
