//! The bounds of a file, far beyond what people write and far below what hurts.

/// The largest file, in bytes.
pub const LARGEST_FILE: u64 = 16 * 1024 * 1024;
/// The deepest nesting of lists and maps.
pub(super) const DEEPEST: usize = 64;
/// The most keys and values in a file.
pub(super) const MOST_NODES: usize = 2_000_000;
/// The most keys and values that aliases may repeat.
pub(super) const MOST_REPEATED: usize = 200_000;
/// The most problems that are reported.
pub(super) const MOST_PROBLEMS: usize = 200;
