//! What one side sends, as a stream of frames: followed byte by byte, held to the standard and to the route's bounds.
//!
//! Nothing is kept of a message. What has not been judged is not passed on: the head of a frame waits until it is whole,
//! a Close or an answer to a ping of the gateway until all of it is there; so a frame that must not pass has not begun to,
//! and one of the gateway's own can stand in its place.

use super::ending::{Ending, Side};
use super::frame::{self, Header, Opcode};
use super::rules::{Bucket, LaneRules, Pace};
use std::time::Instant;

/// The reserved bit that says of a message's first frame that the message is compressed (RFC 7692 §6).
const COMPRESSED: u8 = 0x4;
/// No status was sent (RFC 6455 §7.1.5).
const NO_CODE: u16 = 1005;

/// What becomes of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many pass.
    Pass(usize),
    /// More must come before anything can be said of them.
    Wait,
    /// So many are taken out.
    Drop(usize),
    /// They must not pass, and the connection ends. Where the head of a frame is given, what follows it can still be told
    /// apart: see [`Lane::skip`].
    End(Ending, Option<Header>),
}

/// What was agreed on beside the standard (RFC 6455 §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extensions {
    /// Nothing.
    #[default]
    None,
    /// Messages may be compressed.
    Deflate,
    /// Something else: what reserved bits mean is not known here.
    Unknown,
}

impl Extensions {
    /// What an answer to a handshake says.
    pub fn of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let names = values.flat_map(|line| line.split(|byte| *byte == b','));
        let names = names.map(|offer| offer.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii());
        names.filter(|name| !name.is_empty()).fold(Self::None, |known, name| match known {
            Self::None if name.eq_ignore_ascii_case(b"permessage-deflate") => Self::Deflate,
            _ => Self::Unknown,
        })
    }

    fn allows(self, reserved: u8, opcode: Opcode) -> bool {
        match self {
            Self::Unknown => true,
            Self::Deflate if matches!(opcode, Opcode::Text | Opcode::Binary) => reserved & !COMPRESSED == 0,
            Self::Deflate | Self::None => reserved == 0,
        }
    }
}

/// What has passed since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Messages that have begun.
    pub messages: u64,
    /// Bytes of their payload.
    pub bytes: u64,
}

/// What one side sends.
#[derive(Debug)]
pub struct Lane {
    from: Side,
    extensions: Extensions,
    frame: u64,
    message: u64,
    messages: Option<Bucket>,
    bytes: Option<Bucket>,
    /// Payload of the frame under way that is still to come.
    left: u64,
    /// The length so far of the message under way, between its frames.
    under_way: Option<u64>,
    /// The code of its Close.
    closed: Option<u16>,
    /// What a pong to the gateway's own ping must say.
    pinged: Option<[u8; 8]>,
    passed: Passed,
}

impl Lane {
    /// What that side sends, under those rules.
    pub fn new(from: Side, rules: &LaneRules, extensions: Extensions, now: Instant) -> Self {
        let bucket = |pace: Option<Pace>| pace.map(|pace| Bucket::new(pace, now));
        Self {
            from,
            extensions,
            frame: rules.frame,
            message: rules.message,
            messages: bucket(rules.messages),
            bytes: bucket(rules.bytes),
            left: 0,
            under_way: None,
            closed: None,
            pinged: None,
            passed: Passed::default(),
        }
    }

    /// Whether what has passed ends with a frame.
    pub fn is_between_frames(&self) -> bool {
        self.left == 0
    }

    /// Whether what has passed ends with a message.
    pub fn is_between_messages(&self) -> bool {
        self.left == 0 && self.under_way.is_none()
    }

    /// The code of its Close, once that has come.
    pub fn closed(&self) -> Option<u16> {
        self.closed
    }

    /// Expects a pong that says that.
    pub fn expect(&mut self, ping: [u8; 8]) {
        self.pinged = Some(ping);
    }

    /// What has passed since the last time.
    pub fn take_passed(&mut self) -> Passed {
        std::mem::take(&mut self.passed)
    }

    /// What becomes of the bytes that come next; the same bytes are shown again with more after them for [`Step::Wait`].
    pub fn step(&mut self, bytes: &[u8], now: Instant) -> Step {
        if self.left > 0 {
            let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= taken as u64;
            return Step::Pass(taken);
        }
        if self.closed.is_some() {
            return Step::Drop(bytes.len()); // RFC 6455 §5.5.1: nothing may follow
        }
        let header = match frame::read(bytes) {
            Ok(Some(header)) => header,
            Ok(None) => return Step::Wait,
            Err(text) => return self.broken(text),
        };
        if header.mask.is_some() != (self.from == Side::Client) {
            return self.broken(if header.mask.is_some() { "a masked frame" } else { "a frame that is not masked" });
        }
        if !self.extensions.allows(header.reserved, header.opcode) {
            return self.broken("a reserved bit");
        }
        match header.opcode {
            Opcode::Close => self.close(bytes, &header),
            Opcode::Ping | Opcode::Pong => self.control(bytes, &header, now),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => self.data(&header, now),
        }
    }

    fn broken(&self, text: &'static str) -> Step {
        Step::End(Ending::protocol(self.from, text), None)
    }

    /// Leaves a frame out that must not pass, so that a Close is found after it; gives back the length of its head.
    pub fn skip(&mut self, header: &Header) -> usize {
        if !header.opcode.is_control() {
            self.under_way = (!header.fin).then_some(0);
        }
        self.left = header.length;
        header.size
    }

    fn data(&mut self, header: &Header, now: Instant) -> Step {
        let first = header.opcode != Opcode::Continuation;
        let before = match (first, self.under_way) {
            (true, Some(_)) => return self.broken("a message within another"),
            (false, None) => return self.broken("a continuation of nothing"),
            (_, under_way) => under_way.unwrap_or(0),
        };
        let whole = before.saturating_add(header.length);
        if header.length > self.frame {
            return Step::End(Ending::too_large(self.from, "a frame is too large"), Some(*header));
        }
        if whole > self.message {
            return Step::End(Ending::too_large(self.from, "a message is too large"), Some(*header));
        }
        if let Some(ending) = self.too_fast(header, first, now) {
            return Step::End(ending, Some(*header));
        }
        self.passed.messages += u64::from(first);
        self.passed.bytes = self.passed.bytes.saturating_add(header.length);
        self.under_way = (!header.fin).then_some(whole);
        self.left = header.length;
        Step::Pass(header.size)
    }

    fn control(&mut self, bytes: &[u8], header: &Header, now: Instant) -> Step {
        let Some(whole) = whole(bytes, header) else { return Step::Wait };
        if header.opcode == Opcode::Pong
            && self.pinged.is_some_and(|ping| frame::unmasked(whole, header).as_slice() == ping)
        {
            self.pinged = None;
            return Step::Drop(whole.len());
        }
        match self.too_fast(header, true, now) {
            Some(ending) => Step::End(ending, Some(*header)),
            None => Step::Pass(whole.len()),
        }
    }

    fn close(&mut self, bytes: &[u8], header: &Header) -> Step {
        let Some(whole) = whole(bytes, header) else { return Step::Wait };
        let payload = frame::unmasked(whole, header);
        let code = match payload.first_chunk::<2>() {
            Some(code) => u16::from_be_bytes(*code),
            None if payload.is_empty() => NO_CODE,
            None => return self.broken("a Close with half a code"),
        };
        if code != NO_CODE && !may_be_sent(code) || code == NO_CODE && !payload.is_empty() {
            return self.broken("a Close with a code that none may have");
        }
        self.closed = Some(code);
        Step::Pass(whole.len())
    }

    /// Whether that is more than may come by now.
    fn too_fast(&mut self, header: &Header, begins: bool, now: Instant) -> Option<Ending> {
        if begins && self.messages.as_mut().is_some_and(|bucket| !bucket.take(1.0, now)) {
            return Some(Ending::too_fast(self.from, "too many messages"));
        }
        let amount = header.length.saturating_add(header.size as u64);
        if self.bytes.as_mut().is_some_and(|bucket| !bucket.take(amount as f64, now)) {
            return Some(Ending::too_fast(self.from, "too many bytes"));
        }
        None
    }
}

/// A control frame, once all of it is there.
fn whole<'b>(bytes: &'b [u8], header: &Header) -> Option<&'b [u8]> {
    bytes.get(..header.size.saturating_add(usize::try_from(header.length).ok()?))
}

/// Whether a Close may carry that code (RFC 6455 §7.4.2, and those registered since).
fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
