//! Writes codings, piece by piece.

use super::Coding;
use bytes::Bytes;
use std::io::{self, Write};

/// How hard each coding tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// 1 to 9.
    pub gzip: u8,
    /// 0 to 11.
    pub brotli: u8,
    /// 1 to 19.
    pub zstd: u8,
}

impl Levels {
    /// How hard one coding tries.
    pub fn of(self, coding: Coding) -> u8 {
        match coding {
            Coding::Gzip | Coding::Deflate => self.gzip,
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
        }
    }
}

/// The window of brotli and zstd as a power of two: 512 KiB. Larger ones cost memory for each answer under way, and
/// gain nothing with bodies of an API's size.
const WINDOW: u8 = 19;
const BUFFER: usize = 16 * 1024;

/// What follows a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// More, soon: what the encoder holds back may wait for it, which costs less and makes fewer bytes.
    More,
    /// Nobody knows when: all that has come is to be readable on the other side at once.
    Flush,
    /// The body's end.
    End,
}

/// An encoder for one body.
pub enum Encoder {
    /// RFC 1952.
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    /// RFC 7932.
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    /// RFC 8878.
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// The body has ended.
    Ended,
}

impl Encoder {
    /// Begins a body; deflate is not written.
    ///
    /// # Errors
    /// No memory for it.
    pub fn new(coding: Coding, levels: Levels) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => {
                let level = flate2::Compression::new(u32::from(levels.gzip));
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), level))
            }
            Coding::Brotli => {
                let (quality, window) = (u32::from(levels.brotli), u32::from(WINDOW));
                Self::Brotli(Box::new(brotli::CompressorWriter::new(Vec::new(), BUFFER, quality, window)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), i32::from(levels.zstd))?;
                encoder.window_log(u32::from(WINDOW))?;
                Self::Zstd(encoder)
            }
            Coding::Deflate => return Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// What the piece becomes.
    ///
    /// # Errors
    /// A failure of the encoder, which does not depend on what is encoded.
    pub fn piece(&mut self, bytes: &[u8], then: Then) -> io::Result<Bytes> {
        if then == Then::End {
            let whole = match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(Bytes::new()),
                Self::Gzip(mut encoder) => {
                    encoder.write_all(bytes)?;
                    encoder.finish()?
                }
                Self::Brotli(mut encoder) => {
                    encoder.write_all(bytes)?;
                    encoder.into_inner()
                }
                Self::Zstd(mut encoder) => {
                    encoder.write_all(bytes)?;
                    encoder.finish()?
                }
            };
            return Ok(whole.into());
        }
        if bytes.is_empty() {
            return Ok(Bytes::new());
        }
        let written = match self {
            Self::Ended => return Ok(Bytes::new()),
            Self::Gzip(encoder) => through(encoder, bytes, then)?.get_mut(),
            Self::Brotli(encoder) => through(&mut **encoder, bytes, then)?.get_mut(),
            Self::Zstd(encoder) => through(encoder, bytes, then)?.get_mut(),
        };
        Ok(std::mem::take(written).into())
    }
}

/// The encoder, once all of that has gone into it.
fn through<'a, W: Write>(encoder: &'a mut W, bytes: &[u8], then: Then) -> io::Result<&'a mut W> {
    encoder.write_all(bytes)?;
    if then == Then::Flush {
        encoder.flush()?;
    }
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::super::{Bound, Decoder};
    use super::*;

    const LEVELS: Levels = Levels { gzip: 6, brotli: 4, zstd: 3 };
    const BOUND: Bound = Bound { bytes: 1 << 20, ratio: 1000 };

    #[test]
    fn each_piece_that_is_flushed_can_be_read_as_soon_as_it_is_written() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut encoder = Encoder::new(coding, LEVELS).unwrap();
            let mut decoder = Decoder::new(coding, BOUND).unwrap();
            for (piece, then) in
                [("data: 1\n\n", Then::Flush), ("", Then::Flush), ("data: 2\n\n", Then::Flush), ("end", Then::End)]
            {
                let coded = encoder.piece(piece.as_bytes(), then).unwrap();
                assert_eq!(decoder.piece(&coded, then == Then::End).unwrap(), piece, "{coding:?}");
            }
            assert_eq!(encoder.piece(b"", Then::End).unwrap(), "", "an end that is told twice");
        }
    }

    #[test]
    fn pieces_that_wait_for_more_become_fewer_bytes_and_the_same_body() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let lengths = [Then::Flush, Then::More].map(|then| {
                let (mut encoder, mut coded) = (Encoder::new(coding, LEVELS).unwrap(), Vec::new());
                for number in 0..40 {
                    coded.extend_from_slice(&encoder.piece(format!("order {number}\n").as_bytes(), then).unwrap());
                }
                coded.extend_from_slice(&encoder.piece(b"", Then::End).unwrap());
                let text = Decoder::new(coding, BOUND).unwrap().piece(&coded, true).unwrap();
                assert!(text.starts_with(b"order 0\norder 1\n") && text.ends_with(b"order 39\n"), "{coding:?}");
                coded.len()
            });
            assert!(lengths[1] * 2 < lengths[0], "{coding:?}: {lengths:?}");
        }
    }
}
