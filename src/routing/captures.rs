//! What the captures of the found route matched.

use smallvec::SmallVec;

/// Where the captures of the found route lie in the path. Their order, and so their index, is that of
/// [`super::PathPattern::captures`]; reused from look-up to look-up, it allocates for more than eight captures only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    ranges: SmallVec<[(u32, u32); 8]>,
}

impl Captures {
    /// No captures.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text of a capture in the path it was found in, escapes as they are. Empty where a group of a regular
    /// expression took no part; `None` when there is no such capture.
    pub fn get<'p>(&self, path: &'p str, index: usize) -> Option<&'p str> {
        let (start, end) = *self.ranges.get(index)?;
        path.get(start as usize..end as usize)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }

    pub(super) fn push(&mut self, start: usize, end: usize) {
        // Paths are far below 4 GiB; a longer one would have its captures read as absent, never as others.
        let short = |at| u32::try_from(at).unwrap_or(u32::MAX);
        self.ranges.push((short(start), short(end)));
    }

    pub(super) fn pop(&mut self) {
        self.ranges.pop();
    }
}
