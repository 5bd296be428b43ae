//! Frames: their heads are read, and the few that the gateway sends itself are made (RFC 6455 §5).

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

/// The longest payload of a control frame (RFC 6455 §5.5).
const LONGEST_CONTROL: usize = 125;
/// The longest control frame, masked.
pub const LARGEST_CONTROL: usize = 2 + 4 + LONGEST_CONTROL;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message under way.
    Continuation,
    /// A message of text, or its beginning.
    Text,
    /// A message of bytes, or its beginning.
    Binary,
    /// The sender sends nothing after this.
    Close,
    /// Asks for a pong.
    Ping,
    /// Answers a ping, or tells that the sender lives.
    Pong,
}

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether it may stand between the frames of a message.
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether it is the last of its message.
    pub fin: bool,
    /// The reserved bits; 4 is RSV1.
    pub reserved: u8,
    /// What it is.
    pub opcode: Opcode,
    /// What its payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Bytes of the payload.
    pub length: u64,
    /// Bytes of the head itself.
    pub size: usize,
}

/// Reads the head of the frame that begins there; `None` while it is not whole.
///
/// # Errors
/// What no frame begins with, in words.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, &'static str> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let opcode = Opcode::read(first & 0x0F).ok_or("a reserved opcode")?;
    let (fin, short) = (first & FIN != 0, second & !MASKED);
    if opcode.is_control() && !fin {
        return Err("a control frame in pieces");
    }
    if opcode.is_control() && usize::from(short) > LONGEST_CONTROL {
        return Err("a control frame that is too long");
    }
    let (length, wide, least) = match short {
        126 => (rest.first_chunk::<2>().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), 2, 126),
        127 => (rest.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)), 8, 1 << 16),
        short => (Some(u64::from(short)), 0, 0),
    };
    let Some(length) = length else { return Ok(None) };
    if length < least || length > i64::MAX.unsigned_abs() {
        return Err("a length that is not written as it must be");
    }
    let mask = match second & MASKED != 0 {
        false => None,
        true => match rest.get(wide..).and_then(|rest| rest.first_chunk::<4>()) {
            None => return Ok(None),
            some => some.copied(),
        },
    };
    let size = 2 + wide + if mask.is_some() { 4 } else { 0 };
    Ok(Some(Header { fin, reserved: first >> 4 & 0x7, opcode, mask, length, size }))
}

/// A short frame of the gateway's own.
pub type Frame = SmallVec<[u8; 64]>;

/// Writes the head of a whole message in one frame.
pub fn head(opcode: Opcode, length: u64, mask: Option<[u8; 4]>, out: &mut BytesMut) {
    let flag = if mask.is_some() { MASKED } else { 0 };
    out.put_u8(FIN | opcode.bits());
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.put_u8(flag | short),
        (_, Ok(medium)) => {
            out.put_u8(flag | 126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(flag | 127);
            out.put_u64(length);
        }
    }
    out.extend(mask.into_iter().flatten());
}

/// A control frame; what is too long for one is cut.
pub fn control(opcode: Opcode, payload: &[u8], mask: Option<[u8; 4]>) -> Frame {
    let payload = payload.get(..LONGEST_CONTROL).unwrap_or(payload);
    let mut frame = Frame::new();
    let length = u8::try_from(payload.len()).unwrap_or_default();
    frame.push(FIN | opcode.bits());
    frame.push(length | if mask.is_some() { MASKED } else { 0 });
    frame.extend(mask.into_iter().flatten());
    let key = mask.unwrap_or_default().into_iter().cycle();
    frame.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
    frame
}

/// A Close (RFC 6455 §5.5.1).
pub fn close(code: u16, text: &str, mask: Option<[u8; 4]>) -> Frame {
    let mut payload = SmallVec::<[u8; 64]>::from_slice(&code.to_be_bytes());
    payload.extend_from_slice(text.as_bytes());
    control(Opcode::Close, &payload, mask)
}

/// The payload of a whole frame as its sender meant it.
pub fn unmasked(frame: &[u8], header: &Header) -> SmallVec<[u8; 128]> {
    let key = header.mask.unwrap_or_default().into_iter().cycle();
    let payload = frame.get(header.size..).unwrap_or_default();
    payload.iter().zip(key).map(|(byte, key)| byte ^ key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_the_standard_writes_them() {
        // RFC 6455 §5.7.
        let hello = read(b"\x81\x05Hello").unwrap().unwrap();
        assert_eq!((hello.fin, hello.opcode, hello.length, hello.size), (true, Opcode::Text, 5, 2));
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let header = read(masked).unwrap().unwrap();
        assert_eq!(header.mask, Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(unmasked(masked, &header).as_slice(), b"Hello");
        let longer = read(b"\x82\x7E\x01\x00").unwrap().unwrap();
        assert_eq!((longer.length, longer.size), (256, 4));
        let long = read(b"\x82\x7F\0\0\0\0\0\x01\0\0").unwrap().unwrap();
        assert_eq!((long.length, long.size), (65_536, 10));
        assert_eq!(read(b"\xC1\0").unwrap().unwrap().reserved, 4);
    }

    #[test]
    fn a_head_that_is_not_whole_is_waited_for() {
        let whole = b"\x82\xFF\0\0\0\0\0\x01\0\0\x01\x02\x03\x04";
        for cut in 0..whole.len() {
            assert_eq!(read(&whole[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(read(whole).unwrap().unwrap().size, 14);
    }

    #[test]
    fn what_no_frame_begins_with_is_refused() {
        for wrong in [
            &b"\x83\0"[..],                  // a reserved opcode
            b"\x8B\0",                       // a reserved control opcode
            b"\x09\0",                       // a ping in pieces
            b"\x89\x7E\0\x7E",               // a ping of 126 bytes
            b"\x82\x7E\0\x7D",               // 125 in two bytes
            b"\x82\x7F\0\0\0\0\0\0\xFF\xFF", // 65,535 in eight
            b"\x82\x7F\x80\0\0\0\0\0\0\0",   // more than 2^63
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn own_frames_can_be_read_again() {
        for mask in [None, Some([1, 2, 3, 4])] {
            let frame = close(1008, "why", mask);
            let header = read(&frame).unwrap().unwrap();
            assert_eq!((header.opcode, header.length, header.mask), (Opcode::Close, 5, mask));
            assert_eq!(unmasked(&frame, &header).as_slice(), b"\x03\xF0why");
        }
        let cut = control(Opcode::Ping, &[7; 300], None);
        assert_eq!(read(&cut).unwrap().unwrap().length, 125);
        assert!(control(Opcode::Ping, &[7; 300], Some([0; 4])).len() == LARGEST_CONTROL);
    }
}
