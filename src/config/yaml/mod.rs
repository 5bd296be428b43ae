//! The reader: text to a tree with places, the tree to written types, and all problems of both.

mod error;
mod key;
mod node;
mod read;

pub use node::{Kind, Node, Scalar, parse};
pub use read::read;
