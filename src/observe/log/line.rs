//! A record of the process log as a line, and nothing in it that could pass for another line.

use std::fmt::Write;

use log::kv::{Key, Value, VisitSource};
use log::{Level, Record};

use crate::observe::{TimeText, UnixMillis};

/// The form of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogShape {
    /// `2026-11-24T06:04:09.042Z WARN  tollgate::config: message key=value`; a message of several lines is indented.
    #[default]
    Text,
    /// One JSON object a line: `time`, `level`, `target`, `message`, then the record's own keys under `fields`.
    Json,
}

/// Appends a record, whose message is `message`, as a line (in text, as several if it has several).
pub(super) fn write(shape: LogShape, record: &Record<'_>, message: &str, clock: &mut Clock<'_>, out: &mut Vec<u8>) {
    match shape {
        LogShape::Text => write_text(record, message, clock, out),
        LogShape::Json => write_json(record, message, clock, out),
    }
}

/// The time of a record and what writes it.
pub(super) struct Clock<'a> {
    pub(super) now: UnixMillis,
    pub(super) text: &'a mut TimeText,
}

fn write_text(record: &Record<'_>, message: &str, clock: &mut Clock<'_>, out: &mut Vec<u8>) {
    clock.text.push(clock.now, out);
    let mut rest = format!(" {:<5} ", record.level());
    push_plain(record.target(), &mut rest);
    rest.push_str(": ");
    push_plain(message.trim_end(), &mut rest);
    for (key, value) in fields(record) {
        rest.push(' ');
        push_plain(&key, &mut rest);
        rest.push('=');
        if value.contains([' ', '"', '=', '\n']) {
            let _ = write!(rest, "{value:?}");
        } else {
            push_plain(&value, &mut rest);
        }
    }
    rest.push('\n');
    out.extend_from_slice(rest.as_bytes());
}

/// Appends text for people: line feeds stay, with an indent that no record begins with; other controls are escaped.
fn push_plain(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\n    "),
            control if control.is_control() => {
                let _ = write!(out, "{}", control.escape_unicode());
            }
            other => out.push(other),
        }
    }
}

fn write_json(record: &Record<'_>, message: &str, clock: &mut Clock<'_>, out: &mut Vec<u8>) {
    let mut time = Vec::new();
    clock.text.push(clock.now, &mut time);
    let mut line = serde_json::Map::new();
    let mut put = |key: &str, value: &str| line.insert(key.to_owned(), value.into());
    put("time", &String::from_utf8_lossy(&time));
    put("level", level_name(record.level()));
    put("target", record.target());
    put("message", message);
    let fields = fields(record);
    if !fields.is_empty() {
        let fields = fields.into_iter().map(|(key, value)| (key, value.into())).collect();
        line.insert("fields".to_owned(), serde_json::Value::Object(fields));
    }
    out.extend_from_slice(serde_json::Value::Object(line).to_string().as_bytes());
    out.push(b'\n');
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    }
}

/// The record's own keys and values.
fn fields(record: &Record<'_>) -> Vec<(String, String)> {
    struct Gather(Vec<(String, String)>);

    impl<'kvs> VisitSource<'kvs> for Gather {
        fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
            self.0.push((key.as_str().to_owned(), value.to_string()));
            Ok(())
        }
    }

    let mut gather = Gather(Vec::new());
    // Gathering never fails.
    let _ = record.key_values().visit(&mut gather);
    gather.0
}
