//! Where in which file something is written.

/// Which of the [`Sources`](super::Sources) a place is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// A stretch of text in a source, small enough to be copied about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub source: SourceId,
    /// The line, counted from 1; 0 means the place is not known.
    pub line: u32,
    /// The column, counted from 1 in characters.
    pub column: u32,
    /// The length in characters; what goes beyond the line's end is not underlined.
    pub len: u32,
    /// The offset from the start of the file in bytes.
    pub offset: u32,
}

impl Place {
    /// The place of a value that was not read from a file.
    pub const NOWHERE: Place = Place { source: SourceId(0), line: 0, column: 0, len: 0, offset: 0 };

    /// Whether the value stands in a file at all.
    pub fn is_known(self) -> bool {
        self.line > 0
    }

    /// The part of this place that begins `skip` characters in, where the text is ASCII up to there.
    pub fn skip(self, skip: usize) -> Place {
        let skip = u32::try_from(skip).unwrap_or(u32::MAX).min(self.len.saturating_sub(1));
        Place {
            column: self.column.saturating_add(skip),
            offset: self.offset.saturating_add(skip),
            len: self.len.saturating_sub(skip),
            ..self
        }
    }

    /// The place as bytes, for the passage through serde; [`Place::from_bytes`] is the way back.
    pub(crate) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let parts = [self.source.0, self.line, self.column, self.len, self.offset];
        for (slot, part) in bytes.chunks_exact_mut(4).zip(parts) {
            slot.copy_from_slice(&part.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Place::to_bytes`] wrote; `None` when the length is another.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Place> {
        let mut parts = bytes.chunks_exact(4).map(|part| part.try_into().map_or(0, u32::from_le_bytes));
        let mut next = || parts.next();
        Some(Place { source: SourceId(next()?), line: next()?, column: next()?, len: next()?, offset: next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_passage_through_bytes() {
        let place = Place { source: SourceId(3), line: 12, column: 9, len: 7, offset: 4021 };
        assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place));
    }

    #[test]
    fn skips_within_the_token() {
        let place = Place { line: 1, column: 5, len: 6, offset: 4, ..Place::NOWHERE };
        let skipped = place.skip(4);
        assert_eq!((skipped.column, skipped.len, skipped.offset), (9, 2, 8));
        assert_eq!(place.skip(99).len, 1);
    }
}
