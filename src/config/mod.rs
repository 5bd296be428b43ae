//! What operators write: plain serde types, defaults on the fields; nothing here runs.

pub mod yaml;
