//! Where a stream of events stands (HTML, "Interpreting an event stream"): lines end with CR, LF or both, an empty one
//! ends an event.

/// Follows a stream.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Whether the line under way has no byte yet.
    empty: bool,
    /// Whether it is a comment.
    comment: bool,
    /// Whether an LF would belong to the end of the line before.
    after_cr: bool,
    /// Whether the event under way has a line.
    begun: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self { empty: true, comment: false, after_cr: false, begun: false }
    }
}

impl Lines {
    /// Takes a piece in; how many events end in it.
    pub fn take_in(&mut self, mut piece: &[u8]) -> u64 {
        let mut events = 0;
        while let Some(first) = piece.first() {
            let after_cr = std::mem::take(&mut self.after_cr);
            if after_cr && *first == b'\n' {
                piece = piece.get(1..).unwrap_or_default();
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', piece);
            let text = end.unwrap_or(piece.len());
            if self.empty && text > 0 {
                (self.empty, self.comment) = (false, *first == b':');
            }
            let Some(end) = end else { break };
            if self.empty {
                events += u64::from(std::mem::take(&mut self.begun));
            } else {
                self.begun |= !self.comment;
            }
            self.empty = true;
            self.after_cr = piece.get(end) == Some(&b'\r');
            piece = piece.get(end + 1..).unwrap_or_default();
        }
        events
    }

    /// Whether what has passed ends with an event, so that something else may follow.
    pub fn is_between_events(&self) -> bool {
        self.empty && !self.begun && !self.after_cr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_end_with_an_empty_line_however_lines_end_and_wherever_they_are_cut() {
        for (text, events, between) in [
            ("", 0, true),
            ("data: a\n\n", 1, true),
            ("data: a\r\n\r\n", 1, true),
            ("data: a\r\rdata: b\r\r", 2, false), // an LF might follow, and belong to the end
            ("data: a\n\ndata: b\n", 1, false),
            ("data: a\ndata: b\n\n\n\n", 1, true),
            (": a comment\n\nid: 1\ndata\n\n", 1, true),
            (": a comment", 0, false),
            (": a comment\n", 0, true),
            ("event: x\n: within\n\n", 1, true),
        ] {
            for piece in [1, 2, 3, 100] {
                let mut lines = Lines::default();
                let counted: u64 = text.as_bytes().chunks(piece).map(|piece| lines.take_in(piece)).sum();
                assert_eq!((counted, lines.is_between_events()), (events, between), "{text:?} in pieces of {piece}");
            }
        }
    }
}
