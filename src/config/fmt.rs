//! A configuration in its canonical spelling.

use super::yaml::{Kind, Node, Scalar};
use super::{Config, Loaded};
use serde_yaml::{Mapping, Value};

/// A file, spelled canonically.
pub struct Formatted {
    /// The text.
    pub text: String,
    /// Whether the original has comments, which are lost.
    pub loses_comments: bool,
}

/// The main file as it is written, with indentation and quotes made uniform.
///
/// # Errors
/// What cannot be written as YAML; nothing that was read as such.
pub fn fmt(loaded: &Loaded, text: &str) -> Result<Formatted, serde_yaml::Error> {
    let formatted = serde_yaml::to_string(&value(&loaded.tree))?;
    Ok(Formatted { text: formatted, loses_comments: has_comment(text) })
}

/// Every short form and every included file spelled out.
///
/// # Errors
/// See [`fmt`].
pub fn fmt_long(config: &Config) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(config)
}

fn value(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar(_, Scalar::Bool(value)) => Value::Bool(*value),
        Kind::Scalar(text, Scalar::Number) => match serde_yaml::from_str::<Value>(text) {
            // `1.10` would come back as 1.1: such spellings are kept as text.
            Ok(number) if number.is_number() && serde_yaml::to_string(&number).is_ok_and(|out| out.trim() == text) => {
                number
            }
            _ => Value::String(text.clone()),
        },
        Kind::Scalar(text, Scalar::Text) => Value::String(text.clone()),
        Kind::Seq(elements) => Value::Sequence(elements.iter().map(value).collect()),
        Kind::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| (Value::String(key.text.clone()), value(node)));
            Value::Mapping(entries.collect::<Mapping>())
        }
    }
}

/// A line with `#` at its beginning or after a space, outside of quotes as far as one line can tell.
fn has_comment(text: &str) -> bool {
    text.lines().any(|line| {
        let mut quote = None;
        let mut before = ' ';
        for character in line.chars() {
            match (quote, character) {
                (None, '#') if before.is_whitespace() => return true,
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), close) if open == close => quote = None,
                _ => {}
            }
            before = character;
        }
        false
    })
}
