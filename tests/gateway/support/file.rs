//! Files that are exchanged while a gateway watches them.

use std::path::Path;

/// Puts another file in place of one, whole, as operators are told to: written beside it, then renamed.
///
/// # Panics
/// When it cannot be written.
#[track_caller]
pub fn exchange(path: &Path, text: impl AsRef<[u8]>) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a file beside it");
    std::fs::rename(&beside, path).expect("a file in its place");
}
