//! Counts a request's body off the bytes that arrive, so that its reader never sees a byte of what follows.

use super::BodyLength;

/// How much of a request's body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// So many bytes; with zero the request is whole.
    Left(u64),
    /// What the chunks say.
    Chunked(ChunkState),
    /// No telling where it ends: its chunks are none. All that follows belongs to it.
    Unknown,
}

/// Where in a chunked body the next byte stands (RFC 9112 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// In the size, of which so many digits have come.
    Size {
        /// The size as far as it is read.
        so_far: u64,
        /// Its digits.
        digits: u8,
    },
    /// Behind the size: spaces or extensions up to the end of the line.
    Extension(u64),
    /// Before the line feed of a size's line.
    SizeEnd(u64),
    /// In the data, of which so much is left, its CRLF not counted.
    Data(u64),
    /// Before the carriage return behind the data.
    DataCr,
    /// Before the line feed behind the data.
    DataLf,
    /// At the beginning of a line behind the last chunk.
    TrailerStart,
    /// In a trailer line.
    Trailer,
    /// Before the line feed of a trailer line.
    TrailerEnd,
    /// Before the very last line feed.
    LastLf,
}

/// More digits than this are no size of anything that can be sent.
const MOST_DIGITS: u8 = 15;

impl Extent {
    /// The body of a request whose head has just ended.
    pub fn new(body: BodyLength) -> Self {
        match body {
            BodyLength::Bytes(length) => Self::Left(length),
            BodyLength::Chunked => Self::Chunked(ChunkState::Size { so_far: 0, digits: 0 }),
        }
    }

    /// Whether the whole request has arrived.
    pub fn is_whole(self) -> bool {
        self == Self::Left(0)
    }

    /// How many of these bytes, the next to arrive, belong to the request. They are counted off.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Unknown => bytes.len(),
            Self::Left(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left = left.saturating_sub(taken as u64);
                taken
            }
            Self::Chunked(state) => {
                let (next, taken) = scan(*state, bytes);
                *self = next;
                taken
            }
        }
    }
}

/// Reads chunks up to the end of the body or of the bytes.
fn scan(mut state: ChunkState, bytes: &[u8]) -> (Extent, usize) {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if let ChunkState::Data(left) = state {
            let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
            at += here;
            let left = left.saturating_sub(here as u64);
            state = if left == 0 { ChunkState::DataCr } else { ChunkState::Data(left) };
            continue;
        }
        at += 1;
        if state == ChunkState::LastLf && *byte == b'\n' {
            return (Extent::Left(0), at);
        }
        let Some(next) = step(state, *byte) else { return (Extent::Unknown, bytes.len()) };
        state = next;
    }
    (Extent::Chunked(state), at)
}

/// One byte further; `None` where it may not stand. Line feeds need their carriage returns.
fn step(state: ChunkState, byte: u8) -> Option<ChunkState> {
    use ChunkState as S;
    Some(match (state, byte) {
        (S::Size { so_far, digits }, byte) if byte.is_ascii_hexdigit() && digits < MOST_DIGITS => {
            let digit = char::from(byte).to_digit(16)?;
            S::Size { so_far: so_far * 16 + u64::from(digit), digits: digits + 1 }
        }
        (S::Size { digits: 0, .. }, _) => return None,
        (S::Size { so_far, .. }, b';' | b' ' | b'\t') => S::Extension(so_far),
        (S::Size { so_far, .. } | S::Extension(so_far), b'\r') => S::SizeEnd(so_far),
        (S::SizeEnd(0), b'\n') | (S::TrailerEnd, b'\n') => S::TrailerStart,
        (S::SizeEnd(size), b'\n') => S::Data(size),
        (S::DataCr, b'\r') => S::DataLf,
        (S::DataLf, b'\n') => S::Size { so_far: 0, digits: 0 },
        (S::TrailerStart, b'\r') => S::LastLf,
        (S::Trailer, b'\r') => S::TrailerEnd,
        (S::Extension(size), byte) if byte != b'\n' => S::Extension(size),
        (S::TrailerStart | S::Trailer, byte) if byte != b'\n' => S::Trailer,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of the bytes when they come in pieces of that length.
    fn behind(body: BodyLength, bytes: &[u8], piece: usize) -> (Extent, &[u8]) {
        let mut extent = Extent::new(body);
        let mut taken = 0;
        for part in bytes.chunks(piece) {
            let here = extent.take(part);
            taken += here;
            if here < part.len() {
                break;
            }
        }
        (extent, bytes.get(taken..).unwrap_or_default())
    }

    #[test]
    fn what_follows_a_body_is_left_however_the_bytes_come() {
        let bodies: &[(BodyLength, &str)] = &[
            (BodyLength::Bytes(0), ""),
            (BodyLength::Bytes(5), "hello"),
            (BodyLength::Chunked, "0\r\n\r\n"),
            (BodyLength::Chunked, "5\r\nhello\r\n0\r\n\r\n"),
            (BodyLength::Chunked, "1A;a=\"b c\" ; d\r\nabcdefghijklmnopqrstuvwxyz\r\n000\r\nX: y\r\nZ: \r\n\r\n"),
            (BodyLength::Chunked, "2 \r\n\r\n\r\n1\t;x\r\n0\r\n0\r\n\r\n"),
        ];
        for (body, bytes) in bodies {
            let stream = format!("{bytes}GET / HTTP/1.1\r\n");
            for piece in 1..=stream.len() {
                let (extent, rest) = behind(*body, stream.as_bytes(), piece);
                assert!(extent.is_whole(), "{bytes:?} in pieces of {piece}: {extent:?}");
                assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{bytes:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_body_that_is_not_chunked_as_it_should_be_has_no_end() {
        let bodies = [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "0x1\r\n",
            ";a\r\n",
            " 1\r\na\r\n",
            "1\na\r\n",
            "1;\na\r\n",
            "1\r\rna",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "1\r\na\r0\r\n\r\n",
            "0\r\nX: y\n\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0000000000000001\r\na\r\n0\r\n\r\n",
            "ffffffffffffffff\r\n",
        ];
        for bytes in bodies {
            for piece in 1..=bytes.len() {
                let (extent, rest) = behind(BodyLength::Chunked, bytes.as_bytes(), piece);
                assert_eq!((extent, rest), (Extent::Unknown, &b""[..]), "{bytes:?} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_body_that_has_not_ended_takes_all_there_is() {
        for bytes in ["5\r\nhel", "5", "0\r\n", "0\r\nX: y\r\n", "3\r\nabc\r"] {
            let (extent, rest) = behind(BodyLength::Chunked, bytes.as_bytes(), 2);
            assert!(matches!(extent, Extent::Chunked(_)) && rest.is_empty(), "{bytes:?}");
        }
        assert_eq!(behind(BodyLength::Bytes(9), b"abc", 2), (Extent::Left(6), &b""[..]));
    }
}
