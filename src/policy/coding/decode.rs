//! Reads codings, within bounds that hold before memory is taken.

use super::Coding;
use bytes::Bytes;
use std::fmt;
use std::io::{self, Write};

/// Below this a ratio means nothing: a page of zeros is no attack.
const FREE: u64 = 64 * 1024;
const BUFFER: usize = 16 * 1024;
/// The largest window of zstd as a power of two (RFC 9659 §3).
const WINDOW: u32 = 23;

/// How much may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In all.
    pub bytes: u64,
    /// For each byte that goes in, past the first 64 KiB.
    pub ratio: u32,
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It is not what it says.
    Malformed,
    /// More would come out than may.
    TooLarge,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "it is malformed or cut off",
            Self::TooLarge => "it becomes too large",
        })
    }
}

/// Takes what a decoder writes, up to the bound.
#[derive(Debug)]
struct Sink {
    out: Vec<u8>,
    left: u64,
    full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.left = left;
                self.out.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.full = true;
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Kind {
    Gzip(flate2::write::MultiGzDecoder<Sink>),
    Deflate(flate2::write::ZlibDecoder<Sink>),
    Brotli(Box<brotli::DecompressorWriter<Sink>>),
    Zstd(zstd::stream::zio::Writer<Sink, zstd::stream::raw::Decoder<'static>>),
}

/// A decoder for one body.
pub struct Decoder {
    kind: Kind,
    bound: Bound,
    came_in: u64,
    went_out: u64,
}

impl Decoder {
    /// Begins a body.
    ///
    /// # Errors
    /// No memory for it.
    pub fn new(coding: Coding, bound: Bound) -> io::Result<Self> {
        let sink = Sink { out: Vec::new(), left: 0, full: false };
        let kind = match coding {
            Coding::Gzip => Kind::Gzip(flate2::write::MultiGzDecoder::new(sink)),
            Coding::Deflate => Kind::Deflate(flate2::write::ZlibDecoder::new(sink)),
            Coding::Brotli => Kind::Brotli(Box::new(brotli::DecompressorWriter::new(sink, BUFFER))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(zstd::stream::raw::DParameter::WindowLogMax(WINDOW))?;
                Kind::Zstd(zstd::stream::zio::Writer::new(sink, decoder))
            }
        };
        Ok(Self { kind, bound, came_in: 0, went_out: 0 })
    }

    /// What the piece stands for; `last` with the end of the body, which must be an end of the coding too.
    ///
    /// # Errors
    /// The body is malformed, or becomes too large. Nothing may be asked of the decoder after that.
    pub fn piece(&mut self, bytes: &[u8], last: bool) -> Result<Bytes, DecodeError> {
        self.came_in += bytes.len() as u64;
        let by_ratio = FREE.max(self.came_in.saturating_mul(u64::from(self.bound.ratio)));
        let left = self.bound.bytes.min(by_ratio).saturating_sub(self.went_out);
        self.sink().left = left;
        let result = self.write(bytes, last);
        let sink = self.sink();
        if sink.full {
            return Err(DecodeError::TooLarge);
        }
        let out = std::mem::take(&mut sink.out);
        result.map_err(|_| DecodeError::Malformed)?;
        self.went_out += out.len() as u64;
        Ok(out.into())
    }

    fn write(&mut self, bytes: &[u8], last: bool) -> io::Result<()> {
        match &mut self.kind {
            Kind::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                if last { decoder.try_finish() } else { decoder.flush() }
            }
            Kind::Deflate(decoder) => {
                decoder.write_all(bytes)?;
                if last { decoder.try_finish() } else { decoder.flush() }
            }
            Kind::Brotli(decoder) => {
                decoder.write_all(bytes)?;
                if last { decoder.close() } else { decoder.flush() }
            }
            Kind::Zstd(decoder) => {
                decoder.write_all(bytes)?;
                if last { decoder.finish() } else { decoder.flush() }
            }
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match &mut self.kind {
            Kind::Gzip(decoder) => decoder.get_mut(),
            Kind::Deflate(decoder) => decoder.get_mut(),
            Kind::Brotli(decoder) => decoder.get_mut(),
            Kind::Zstd(decoder) => decoder.writer_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Encoder, Levels, Then};
    use super::*;

    const ALL: [Coding; 3] = [Coding::Gzip, Coding::Brotli, Coding::Zstd];

    fn coded(coding: Coding, body: &[u8]) -> Bytes {
        let levels = Levels { gzip: 9, brotli: 9, zstd: 19 };
        Encoder::new(coding, levels).unwrap().piece(body, Then::End).unwrap()
    }

    fn read(coding: Coding, bytes: &[u8], bound: Bound, pieces: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(coding, bound).unwrap();
        let mut out = Vec::new();
        for piece in bytes.chunks(bytes.len().div_ceil(pieces).max(1)) {
            out.extend(decoder.piece(piece, false)?);
        }
        out.extend(decoder.piece(b"", true)?);
        Ok(out)
    }

    #[test]
    fn reads_what_was_written_however_it_is_cut() {
        let body: Vec<u8> = (0..200_000u32).map(|n| (n.wrapping_mul(n) % 251) as u8).collect();
        for coding in ALL {
            for pieces in [1, 3, 1000] {
                let bound = Bound { bytes: 200_000, ratio: 1000 };
                assert!(read(coding, &coded(coding, &body), bound, pieces).unwrap() == body, "{coding:?} {pieces}");
            }
        }
    }

    #[test]
    fn a_bomb_ends_at_the_bound() {
        for coding in ALL {
            let bomb = coded(coding, &vec![0; 50_000_000]);
            assert!(bomb.len() < 60_000, "{}", bomb.len());
            let large = Bound { bytes: 1_000_000, ratio: u32::MAX };
            let steep = Bound { bytes: u64::MAX, ratio: 10 };
            for bound in [large, steep] {
                let mut decoder = Decoder::new(coding, bound).unwrap();
                assert_eq!(decoder.piece(&bomb, true), Err(DecodeError::TooLarge), "{coding:?}");
                assert!(decoder.sink().out.capacity() < 8_000_000, "{}", decoder.sink().out.capacity());
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_no_such_thing_is_malformed() {
        let bound = Bound { bytes: 1 << 20, ratio: 100 };
        for coding in ALL {
            let body = coded(coding, b"all of it must be there, or none of it is believed");
            for cut in [1, 5, body.len() / 2, body.len() - 1] {
                assert_eq!(read(coding, &body[..cut], bound, 1), Err(DecodeError::Malformed), "{coding:?} {cut}");
            }
            assert!(read(coding, b"plain text, no coding at all", bound, 1).is_err(), "{coding:?}");
            assert!(read(coding, &[&body[..], b"rubbish behind it"].concat(), bound, 1).is_err(), "{coding:?}");
        }
    }
}
