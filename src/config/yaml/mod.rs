//! Text to tree, and tree to written types.
//!
//! [`parse()`] makes a [`Node`] of a YAML document, every key and value with its place, within bounds that no file can
//! exceed. [`read`] makes a written type of a node and records everything that is wrong with it: what is wrong is set
//! aside and the rest is read again. All that is used of `serde-saphyr`, its event parser, is in `parse.rs`.

mod access;
mod attempts;
mod bounds;
mod deserialize;
mod error;
mod keys;
mod parse;
mod reading;
mod tree;

pub use bounds::LARGEST_FILE;
pub use parse::{Document, parse, place_of};
pub use reading::{read, spoiled};
pub use tree::{Entry, Key, Kind, Node, Style};
