//! A configuration in its canonical spelling.

use super::yaml::{Entry, Kind, Node, Style};
use super::{Config, Loaded};
use serde::ser::Error as _;
use std::fmt::Write;

/// Lists and maps in brackets are kept so up to this width, in characters.
const WIDTH: usize = 100;

/// A file, spelled canonically.
pub struct Formatted {
    /// The text.
    pub text: String,
    /// Whether the original has comments, which are lost.
    pub loses_comments: bool,
}

/// The main file as it is written, with indentation and quotes made uniform; aliases are spelled out.
pub fn fmt(loaded: &Loaded) -> Formatted {
    Formatted { text: format_tree(&loaded.document.root), loses_comments: loaded.document.has_comments }
}

/// Every short form and every included file spelled out. Secrets that stand in the file are replaced by `***`.
///
/// # Errors
/// What cannot be written as YAML; nothing that was read as such.
pub fn fmt_long(config: &Config) -> Result<String, serde_yaml::Error> {
    // By way of JSON, where a choice is a map of its name: serde_yaml by itself would write a tag.
    let json = serde_json::to_value(config).map_err(serde_yaml::Error::custom)?;
    serde_yaml::to_string(&json)
}

/// The tree as YAML.
pub(super) fn format_tree(root: &Node) -> String {
    let mut out = String::new();
    match &root.kind {
        Kind::Null => {}
        Kind::Map(entries, _) if !entries.is_empty() => block_map(entries, 0, &mut out),
        Kind::List(elements, _) if !elements.is_empty() => block_list(elements, 0, &mut out),
        _ => {
            inline(root, &mut out);
            out.push('\n');
        }
    }
    out
}

fn block_map(entries: &[Entry], indent: usize, out: &mut String) {
    for (number, Entry { key, value }) in entries.iter().enumerate() {
        // The first entry of a map in a list follows the dash.
        if number > 0 || out.is_empty() || out.ends_with('\n') {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        scalar(&key.text, key.style, Context::Block, out);
        out.push(':');
        after_key(value, indent, out);
    }
}

fn after_key(value: &Node, indent: usize, out: &mut String) {
    if let Some(text) = one_line(value, indent) {
        let _ = writeln!(out, " {text}");
        return;
    }
    match &value.kind {
        Kind::Map(entries, _) => {
            out.push('\n');
            block_map(entries, indent + 2, out);
        }
        Kind::List(elements, _) => {
            out.push('\n');
            block_list(elements, indent + 2, out);
        }
        Kind::Scalar(text, _) => lines(text, indent + 2, out),
        Kind::Null => out.push('\n'),
    }
}

fn block_list(elements: &[Node], indent: usize, out: &mut String) {
    for (number, element) in elements.iter().enumerate() {
        if number > 0 || out.is_empty() || out.ends_with('\n') {
            out.extend(std::iter::repeat_n(' ', indent));
        }
        out.push('-');
        if let Some(text) = one_line(element, indent) {
            let _ = writeln!(out, " {text}");
            continue;
        }
        match &element.kind {
            Kind::Map(entries, _) => {
                out.push(' ');
                block_map(entries, indent + 2, out);
            }
            Kind::List(elements, _) => {
                out.push(' ');
                block_list(elements, indent + 2, out);
            }
            Kind::Scalar(text, _) => lines(text, indent + 2, out),
            Kind::Null => out.push('\n'),
        }
    }
}

/// The node on one line: scalars without line ends, and what was written in brackets, is empty, and fits.
fn one_line(node: &Node, indent: usize) -> Option<String> {
    let mut text = String::new();
    match &node.kind {
        Kind::Null => text.push_str("null"),
        Kind::Scalar(value, style) if !is_lines(value, *style) => scalar(value, *style, Context::Block, &mut text),
        Kind::Scalar(..) => return None,
        Kind::List(elements, style) if *style != Style::Flow && !elements.is_empty() => return None,
        Kind::Map(entries, style) if *style != Style::Flow && !entries.is_empty() => return None,
        Kind::List(..) | Kind::Map(..) => {
            inline(node, &mut text);
            if indent + text.chars().count() > WIDTH {
                return None;
            }
        }
    }
    Some(text)
}

/// The node in brackets.
fn inline(node: &Node, out: &mut String) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Scalar(text, style) => scalar(text, *style, Context::Flow, out),
        Kind::List(elements, _) => {
            out.push('[');
            for (number, element) in elements.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                inline(element, out);
            }
            out.push(']');
        }
        Kind::Map(entries, _) if entries.is_empty() => out.push_str("{}"),
        Kind::Map(entries, _) => {
            out.push_str("{ ");
            for (number, Entry { key, value }) in entries.iter().enumerate() {
                out.push_str(if number > 0 { ", " } else { "" });
                scalar(&key.text, key.style, Context::Flow, out);
                out.push_str(": ");
                inline(value, out);
            }
            out.push_str(" }");
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Block,
    Flow,
}

/// A scalar on one line: plain where it was and may be, in double quotes otherwise.
fn scalar(text: &str, style: Style, context: Context, out: &mut String) {
    let brackets = context == Context::Flow && text.contains([',', '[', ']', '{', '}']);
    if style == Style::Plain && !brackets && !text.contains('\n') {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether the text is best written as a block of lines: it has several, and nothing that a block cannot hold.
fn is_lines(text: &str, style: Style) -> bool {
    let odd = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{2028}' | '\u{2029}');
    style == Style::Quoted
        && text.contains('\n')
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with("\n\n")
        && !text.contains(odd)
}

/// A block of lines (`|`), each indented.
fn lines(text: &str, indent: usize, out: &mut String) {
    let (body, header) = match text.strip_suffix('\n') {
        Some(body) => (body, " |"),
        None => (text, " |-"),
    };
    out.push_str(header);
    for line in body.split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', indent));
            out.push_str(line);
        }
    }
    out.push('\n');
}

#[cfg(test)]
#[path = "fmt_tests.rs"]
mod tests;
