//! The first look at an HTTP/1 request: strict about its head before anything else reads it.
//!
//! Pingora's own reader accepts bare line feeds, Content-Length beside Transfer-Encoding, heads of 1 MiB, and bounds each
//! read but not the whole head. Here the head is gathered under one deadline and byte bound, checked against RFC 9112 to
//! the letter, and only then handed to Pingora, which parses the very same bytes.

mod check;
mod extent;
mod read;
mod target;

pub use check::{BodyLength, Head, HeadError, HeadLimits, Respelled, check};
pub use extent::{ChunkState, Extent};
pub use read::{Alarm, Arrival, HeadReader, ReadBounds};
