//! Messages of the other end of a WebSocket whose one end is the gateway itself: put together from their frames, within a
//! bound.

use super::Side;
use super::frame::{self, Header, Opcode};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes, BytesMut};

/// What is said of a message that is longer than it may be.
pub const TOO_LARGE: &str = "a message is too large";
/// What a key is hashed with (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What the other end says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A message.
    Message(Message),
    /// It asks for a pong with that.
    Ping(Bytes),
    /// It says nothing more; with that code, 1005 for none.
    Close(u16),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, which is UTF-8.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// Puts messages together. Nothing was agreed on beside the standard, so no reserved bit may be set.
#[derive(Debug)]
pub struct Messages {
    from: Side,
    most: usize,
    buffer: BytesMut,
    /// What has come of the message under way, and whether it is text.
    under_way: Option<(bool, BytesMut)>,
}

impl Messages {
    /// Messages of that side, of at most so many bytes.
    pub fn new(from: Side, most: usize) -> Self {
        Self { from, most, buffer: BytesMut::new(), under_way: None }
    }

    /// Takes in what has come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next thing that was said; `None` while it is not whole.
    ///
    /// # Errors
    /// It breaks the protocol (RFC 6455), or is too long.
    pub fn said(&mut self) -> Result<Option<Said>, &'static str> {
        while let Some(header) = frame::read(&self.buffer)? {
            if header.mask.is_some() != (self.from == Side::Client) {
                return Err("a frame that is masked, or not, as it must not be");
            }
            if header.reserved != 0 {
                return Err("a reserved bit");
            }
            let length = usize::try_from(header.length).map_err(|_| TOO_LARGE)?;
            let before = self.under_way.as_ref().map_or(0, |(_, bytes)| bytes.len());
            if length.saturating_add(before) > self.most && !header.opcode.is_control() {
                return Err(TOO_LARGE);
            }
            if self.buffer.len() < header.size.saturating_add(length) {
                return Ok(None);
            }
            self.buffer.advance(header.size);
            let mut payload = self.buffer.split_to(length);
            if let Some(mask) = header.mask {
                payload.iter_mut().zip(mask.into_iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            }
            if let Some(said) = self.take_in(&header, payload.freeze())? {
                return Ok(Some(said));
            }
        }
        Ok(None)
    }

    fn take_in(&mut self, header: &Header, payload: Bytes) -> Result<Option<Said>, &'static str> {
        match (header.opcode, self.under_way.is_some()) {
            (Opcode::Ping, _) => return Ok(Some(Said::Ping(payload))),
            (Opcode::Pong, _) => return Ok(None),
            (Opcode::Close, _) => {
                let code = payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
                return Ok(Some(Said::Close(code)));
            }
            (Opcode::Continuation, false) => return Err("a continuation of nothing"),
            (Opcode::Text | Opcode::Binary, true) => return Err("a message within another"),
            (Opcode::Text | Opcode::Binary, false) if header.fin => {
                return message(header.opcode == Opcode::Text, payload).map(Some);
            }
            (opcode, _) => {
                let (_, bytes) = self.under_way.get_or_insert_with(|| (opcode == Opcode::Text, BytesMut::new()));
                bytes.extend_from_slice(&payload);
            }
        }
        match self.under_way.take_if(|_| header.fin) {
            Some((text, bytes)) => message(text, bytes.freeze()).map(Some),
            None => Ok(None),
        }
    }
}

fn message(text: bool, bytes: Bytes) -> Result<Said, &'static str> {
    if !text {
        return Ok(Said::Message(Message::Binary(bytes)));
    }
    let text = String::from_utf8(bytes.into()).map_err(|_| "a text that is not UTF-8")?;
    Ok(Said::Message(Message::Text(text)))
}

/// A message in one frame, masked where a client sends it.
pub fn sent(message: &Message, mask: Option<[u8; 4]>) -> Bytes {
    let (opcode, payload) = match message {
        Message::Text(text) => (Opcode::Text, text.as_bytes()),
        Message::Binary(bytes) => (Opcode::Binary, &**bytes),
    };
    let mut out = BytesMut::with_capacity(payload.len() + 14);
    frame::head(opcode, payload.len() as u64, mask, &mut out);
    let key = mask.unwrap_or_default().into_iter().cycle();
    out.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
    out.freeze()
}

/// What proves that the handshake with that key was understood (RFC 6455 §4.2.2).
pub fn accept(key: &str) -> String {
    let hashed = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID].concat());
    STANDARD.encode(hashed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(bytes: &[u8], most: usize) -> Result<Vec<Said>, &'static str> {
        let (mut messages, mut all) = (Messages::new(Side::Upstream, most), Vec::new());
        for byte in bytes {
            messages.feed(&[*byte]);
            while let Some(said) = messages.said()? {
                all.push(said);
            }
        }
        Ok(all)
    }

    #[test]
    fn a_handshake_is_proven_as_the_standard_says() {
        // RFC 6455 §1.3.
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn messages_are_put_together_around_pings() {
        let bytes = b"\x81\x02hi\x01\x03hel\x89\x01p\x80\x02lo\x82\x01\xFF\x88\x02\x03\xE8";
        let text = |text: &str| Said::Message(Message::Text(text.into()));
        let binary = Said::Message(Message::Binary(Bytes::from_static(b"\xFF")));
        let ping = Said::Ping(Bytes::from_static(b"p"));
        assert_eq!(said(bytes, 10), Ok(vec![text("hi"), ping, text("hello"), binary, Said::Close(1000)]));
    }

    #[test]
    fn what_is_no_message_or_too_long_is_refused() {
        for wrong in [
            &b"\x81\x0Btoo long it"[..],
            b"\x01\x08too long\x80\x03 it",
            b"\x81\x81masked",
            b"\xC1\x01x",
            b"\x80\x01x",
            b"\x01\x01x\x81\x01x",
            b"\x81\x01\xFF",
        ] {
            assert!(said(wrong, 10).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_sent_can_be_read_as_a_clients_frame() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = Bytes::from(vec![7; length]);
            let bytes = sent(&Message::Binary(payload.clone()), Some([1, 2, 3, 4]));
            let header = frame::read(&bytes).unwrap().unwrap();
            assert_eq!((header.fin, header.opcode, header.length), (true, Opcode::Binary, length as u64));
            assert_eq!(frame::unmasked(&bytes, &header).as_slice(), &*payload);
            let mut messages = Messages::new(Side::Client, 100_000);
            messages.feed(&bytes);
            assert_eq!(messages.said(), Ok(Some(Said::Message(Message::Binary(payload)))));
        }
    }
}
