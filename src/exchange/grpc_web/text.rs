//! Base64 as gRPC-Web streams it: any number of padded pieces one after another, cut anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use smallvec::SmallVec;

/// Four characters stand for three bytes (RFC 4648 §4).
const QUAD: usize = 4;

/// A body that is not base64, or ends within four characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidBase64;

/// Decodes a stream of base64. Padding may stand anywhere four characters end, because clients and servers encode piece
/// by piece.
#[derive(Clone, Debug, Default)]
pub struct TextDecoder {
    /// Up to three characters whose fourth has not come yet.
    carry: SmallVec<[u8; QUAD]>,
}

impl TextDecoder {
    /// The bytes that a further piece of text completes; possibly none.
    ///
    /// # Errors
    /// The text is not base64.
    pub fn decode(&mut self, text: &[u8]) -> Result<Bytes, InvalidBase64> {
        let mut out = Vec::with_capacity((self.carry.len() + text.len()) / QUAD * 3);
        let mut rest = text;
        if !self.carry.is_empty() {
            let missing = QUAD.saturating_sub(self.carry.len());
            let (first, tail) = text.split_at_checked(missing).unwrap_or((text, b""));
            self.carry.extend_from_slice(first);
            if self.carry.len() < QUAD {
                return Ok(Bytes::new());
            }
            decode_quads(&self.carry, &mut out)?;
            self.carry.clear();
            rest = tail;
        }
        let (quads, tail) = rest.split_at(rest.len() - rest.len() % QUAD);
        decode_quads(quads, &mut out)?;
        self.carry.extend_from_slice(tail);
        Ok(out.into())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// It ends within four characters.
    pub fn finish(&self) -> Result<(), InvalidBase64> {
        if self.carry.is_empty() { Ok(()) } else { Err(InvalidBase64) }
    }
}

/// Decodes whole quads, one padded piece after another.
fn decode_quads(mut quads: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidBase64> {
    while !quads.is_empty() {
        let end = memchr::memchr(b'=', quads).map_or(quads.len(), |padding| padding - padding % QUAD + QUAD);
        let (piece, rest) = quads.split_at_checked(end).unwrap_or((quads, b""));
        STANDARD.decode_vec(piece, out).map_err(|_| InvalidBase64)?;
        quads = rest;
    }
    Ok(())
}

/// A piece in base64, padded: it can be sent at once, whatever follows.
pub fn encode(piece: &[u8]) -> Bytes {
    STANDARD.encode(piece).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_pieces<'t>(pieces: impl IntoIterator<Item = &'t [u8]>) -> Result<Vec<u8>, InvalidBase64> {
        let mut decoder = TextDecoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend_from_slice(&decoder.decode(piece)?);
        }
        decoder.finish().map(|()| out)
    }

    #[test]
    fn a_stream_split_at_every_boundary_is_the_same() {
        let text = b"AAECAwQ=BQ==BgcI";
        let whole = decode_pieces([text.as_slice()]).unwrap();
        assert_eq!(whole, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(decode_pieces(pieces).unwrap(), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn refuses_what_is_not_base64() {
        for text in ["A", "AA", "AAA", "AA=A", "=AAA", "A===", "====", "AA==A", "AB==", "AA\r\n", "AA--", "\0\0\0\0"] {
            assert_eq!(decode_pieces([text.as_bytes()]), Err(InvalidBase64), "{text:?}");
            assert_eq!(decode_pieces(text.as_bytes().chunks(1)), Err(InvalidBase64), "{text:?} byte by byte");
        }
    }

    #[test]
    fn an_empty_stream_is_empty() {
        assert_eq!(decode_pieces([]), Ok(vec![]));
        assert_eq!(decode_pieces([b"".as_slice(), b""]), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn pieces_encoded_apart_decode_to_the_whole_however_they_are_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in 1_usize..50,
        ) {
            let text: Vec<u8> = pieces.iter().flat_map(|piece| encode(piece)).collect();
            prop_assert_eq!(decode_pieces(text.chunks(cut)), Ok(pieces.concat()));
        }

        #[test]
        fn a_verdict_does_not_depend_on_the_cuts(text in "[A-D=+/ ]{0,24}", cut in 1_usize..12) {
            prop_assert_eq!(decode_pieces(text.as_bytes().chunks(cut)), decode_pieces([text.as_bytes()]));
        }
    }
}
