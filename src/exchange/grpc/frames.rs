//! Messages between services: a flag, a length in four bytes, the message, perhaps packed
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use crate::exchange::content::{Packed, gunzip};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;

/// Flag and length stand before every message.
const PREFIX: usize = 5;

/// A message with its prefix, not packed.
pub fn frame(message: &DynamicMessage) -> Bytes {
    let length = message.encoded_len();
    let mut out = BytesMut::with_capacity(PREFIX + length);
    out.put_u8(0);
    // What is longer than four gigabytes was refused long before.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A buffer that grows takes everything.
    let _ = message.encode(&mut out);
    out.freeze()
}

/// Why what a service sent is no sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFrames {
    /// A message is longer than may be, packed or not.
    TooLong,
    /// A flag that means nothing, or a message packed in a way that was not said.
    Malformed,
    /// The last message is cut off.
    CutOff,
}

/// Takes messages out of the pieces they come in. A whole message in one piece is not copied.
pub struct Deframer {
    /// What came last; looked at first where nothing is incomplete.
    ready: Bytes,
    /// A message that is not complete.
    partial: BytesMut,
    most: usize,
    gzip: bool,
}

impl Deframer {
    /// Takes messages of at most so many bytes; `gzip` where those that are packed are packed so.
    pub fn new(most: usize, gzip: bool) -> Self {
        Self { ready: Bytes::new(), partial: BytesMut::new(), most, gzip }
    }

    /// Takes up a piece, once [`Self::next`] has nothing more.
    pub fn push(&mut self, piece: Bytes) {
        if self.partial.is_empty() && self.ready.is_empty() {
            self.ready = piece;
        } else {
            self.partial.extend_from_slice(&self.ready);
            self.ready = Bytes::new();
            self.partial.extend_from_slice(&piece);
        }
    }

    /// The next message, without its prefix; `None` until more has come.
    ///
    /// # Errors
    /// There is none, nor will there be.
    pub fn next(&mut self) -> Result<Option<Bytes>, BadFrames> {
        let known = if self.partial.is_empty() { &*self.ready } else { &*self.partial };
        let Some((packed, length)) = prefix(known) else {
            self.keep(PREFIX);
            return Ok(None);
        };
        if length > self.most {
            return Err(BadFrames::TooLong);
        }
        if packed > 1 || (packed == 1 && !self.gzip) {
            return Err(BadFrames::Malformed);
        }
        if known.len() < PREFIX + length {
            self.keep(PREFIX + length);
            return Ok(None);
        }
        let mut whole = match self.partial.is_empty() {
            true => self.ready.split_to(PREFIX + length),
            false => self.partial.split_to(PREFIX + length).freeze(),
        };
        whole.advance(PREFIX);
        if packed == 0 {
            return Ok(Some(whole));
        }
        gunzip(&whole, self.most).map(Some).map_err(|why| match why {
            Packed::TooLong => BadFrames::TooLong,
            Packed::Damaged | Packed::Otherwise => BadFrames::Malformed,
        })
    }

    /// Whether no message is begun.
    ///
    /// # Errors
    /// One is.
    pub fn finish(&self) -> Result<(), BadFrames> {
        if self.ready.is_empty() && self.partial.is_empty() { Ok(()) } else { Err(BadFrames::CutOff) }
    }

    /// Makes room for a message of which not all is there.
    fn keep(&mut self, whole: usize) {
        if !self.ready.is_empty() {
            self.partial.reserve(whole);
            self.partial.extend_from_slice(&self.ready);
            self.ready = Bytes::new();
        } else if !self.partial.is_empty() {
            self.partial.reserve(whole.saturating_sub(self.partial.len()));
        }
    }
}

/// The flag and the length that a message begins with.
fn prefix(known: &[u8]) -> Option<(u8, usize)> {
    let (prefix, _) = known.split_first_chunk::<PREFIX>()?;
    let [flag, length @ ..] = *prefix;
    Some((flag, usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
        [&[flag], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
    }

    fn packed(message: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(message).unwrap();
        framed(1, &encoder.finish().unwrap())
    }

    fn all(deframer: &mut Deframer, pieces: &[&[u8]]) -> Result<Vec<Bytes>, BadFrames> {
        let mut messages = Vec::new();
        for piece in pieces {
            deframer.push(Bytes::copy_from_slice(piece));
            while let Some(message) = deframer.next()? {
                messages.push(message);
            }
        }
        deframer.finish().map(|()| messages)
    }

    #[test]
    fn a_length_beyond_the_bound_is_refused_at_its_prefix() {
        let mut deframer = Deframer::new(10, false);
        deframer.push(Bytes::from_static(&[0, 0xFF, 0xFF, 0xFF, 0xFF]));
        assert_eq!(deframer.next(), Err(BadFrames::TooLong));
        assert_eq!(all(&mut Deframer::new(10, false), &[&framed(0, &[0; 10])]).unwrap().len(), 1);
        assert_eq!(all(&mut Deframer::new(10, false), &[&framed(0, &[0; 11])]), Err(BadFrames::TooLong));
    }

    #[test]
    fn a_packed_message_is_unpacked_up_to_the_bound() {
        let message = [7; 10_000];
        assert_eq!(all(&mut Deframer::new(10_000, true), &[&packed(&message)]).unwrap(), [&message[..]]);
        assert_eq!(all(&mut Deframer::new(9_999, true), &[&packed(&message)]), Err(BadFrames::TooLong));
        let bomb = packed(&vec![0; 50 << 20]);
        assert_eq!(all(&mut Deframer::new(4 << 20, true), &[&bomb]), Err(BadFrames::TooLong));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert_eq!(all(&mut Deframer::new(10, true), &[&framed(2, b"x")]), Err(BadFrames::Malformed));
        assert_eq!(all(&mut Deframer::new(10, false), &[&framed(1, b"x")]), Err(BadFrames::Malformed));
        assert_eq!(all(&mut Deframer::new(10, true), &[&framed(1, b"xyz")]), Err(BadFrames::Malformed));
        assert_eq!(all(&mut Deframer::new(10, false), &[&framed(0, b"xyz")[..7]]), Err(BadFrames::CutOff));
        assert_eq!(all(&mut Deframer::new(10, false), &[&[0, 0]]), Err(BadFrames::CutOff));
    }

    proptest! {
        #[test]
        fn messages_are_the_same_however_they_are_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
            cut in 1_usize..80,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| framed(0, message)).collect();
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            prop_assert_eq!(all(&mut Deframer::new(60, false), &pieces).unwrap(), messages);
        }
    }
}
