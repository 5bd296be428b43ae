//! The mapping of messages to JSON and back, case by case, and the documented examples of the rules for HTTP.

mod http_rules;
mod json;

use super::{Loading, Schema};
use tempfile::TempDir;

/// The schema of a text.
fn schema(text: &str) -> Schema {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("test.proto");
    std::fs::write(&path, text).unwrap();
    let Loading { schema, .. } = Schema::load(&[path], &[]);
    schema.unwrap_or_else(|faults| panic!("{faults:?}"))
}
