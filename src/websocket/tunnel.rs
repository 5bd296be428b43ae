//! A connection between a client and an upstream: both lanes, the clock, and how it ends.
//!
//! It does no input or output: it is told what has come and what time it is, and says what passes, what the gateway itself
//! has to say to either side, and when it next wants to know the time.

use super::ending::{Ending, Side};
use super::frame::{self, Frame, Opcode};
use super::lane::{Extensions, Lane, Step};
use super::rules::{Opening, Rules};
use crate::observe::Worker;
use crate::observe::metrics::{OpenSocket, SocketEnd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long a side has to answer a Close, and to end the frame that stands before one.
const CLOSING: Duration = Duration::from_secs(5);
/// So long a message that is under way may take to its end when the gateway goes away.
const POLITENESS: Duration = Duration::from_secs(1);

/// A connection between a client and an upstream.
#[derive(Debug)]
pub struct Tunnel {
    rules: Arc<Rules>,
    open: OpenSocket,
    /// What the client sends.
    up: Lane,
    /// What the upstream sends.
    down: Lane,
    began: Instant,
    expires: Option<Instant>,
    /// When the last message passed, either way.
    last: Instant,
    client: Pulse,
    upstream: Pulse,
    /// When it was asked to leave.
    asked: Option<Instant>,
    /// How the gateway ends it.
    ending: Option<Under>,
    /// When the first Close of the two sides passed.
    closing: Option<(Instant, Side)>,
    /// Whether the client has ended its side without one.
    client_left: bool,
    counts: Counts,
    random: u64,
}

/// What has passed in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages from the client.
    pub messages_in: u64,
    /// Messages from the upstream.
    pub messages_out: u64,
}

/// An ending by the gateway, under way.
#[derive(Clone, Copy, Debug)]
struct Under {
    ending: Ending,
    since: Instant,
    told_client: bool,
    told_upstream: bool,
    /// Whether what the upstream has been sent ends with a frame, so that a Close may follow.
    fits_upstream: bool,
}

/// Whether a side lives.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    heard: Instant,
    /// When it was sent the ping that it has not answered.
    pinged: Option<Instant>,
    /// Whether it is to be sent one.
    due: bool,
}

impl Pulse {
    fn hears(&mut self, now: Instant) {
        (self.heard, self.pinged, self.due) = (now, None, false);
    }
}

impl Tunnel {
    /// A connection that begins now. `random`: what its pings and masks are made of.
    pub fn new(opening: Opening, extensions: Extensions, worker: Worker, (now, random): (Instant, u64)) -> Self {
        let Opening { rules, metrics, expires, .. } = opening;
        let pulse = Pulse { heard: now, pinged: None, due: false };
        Self {
            up: Lane::new(Side::Client, &rules.client, extensions, now),
            down: Lane::new(Side::Upstream, &rules.upstream, extensions, now),
            open: metrics.open(worker),
            rules,
            began: now,
            expires,
            last: now,
            client: pulse,
            upstream: pulse,
            asked: None,
            ending: None,
            closing: None,
            client_left: false,
            counts: Counts::default(),
            random,
        }
    }

    /// Takes in what time it is; `asked`: whether it is to leave.
    pub fn tick(&mut self, now: Instant, asked: bool) {
        if asked && self.asked.is_none() {
            self.asked = Some(now);
        }
        if self.ending.is_some() || self.closing.is_some() {
            return;
        }
        if let Some(ending) = self.due(now) {
            return self.end(ending, now);
        }
        if let Some(ping) = self.rules.ping {
            for pulse in [&mut self.client, &mut self.upstream] {
                pulse.due |= pulse.pinged.is_none() && now >= pulse.heard + ping.every;
            }
        }
    }

    /// Why it ends now, if it does.
    fn due(&self, now: Instant) -> Option<Ending> {
        let past = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        let quiet = self.up.is_between_messages() && self.down.is_between_messages();
        if self.asked.is_some_and(|asked| quiet || now >= asked + POLITENESS) {
            return Some(Ending::DRAINED);
        }
        let ends = [
            (self.expires, Ending::EXPIRED),
            (self.rules.life.and_then(|life| self.began.checked_add(life)), Ending::LIFE),
            (self.pong_by(), Ending::SILENT),
            (self.rules.idle.and_then(|idle| self.last.checked_add(idle)), Ending::IDLE),
        ];
        ends.into_iter().find(|(at, _)| past(*at)).map(|(_, ending)| ending)
    }

    /// By when a side must have been heard that was sent a ping.
    fn pong_by(&self) -> Option<Instant> {
        let pong = self.rules.ping?.pong;
        [self.client.pinged, self.upstream.pinged].into_iter().flatten().min().map(|pinged| pinged + pong)
    }

    /// When it next wants to know the time.
    pub fn deadline(&self) -> Option<Instant> {
        if let Some(since) = self.ends_since() {
            return Some(since + CLOSING);
        }
        let ping = self.rules.ping.map(|ping| {
            let silent = [self.client, self.upstream].into_iter().filter(|pulse| pulse.pinged.is_none() && !pulse.due);
            silent.map(|pulse| pulse.heard + ping.every).min()
        });
        let all = [
            self.expires,
            self.rules.life.and_then(|life| self.began.checked_add(life)),
            self.rules.idle.and_then(|idle| self.last.checked_add(idle)),
            self.pong_by(),
            ping.flatten(),
            self.asked.map(|asked| asked + POLITENESS),
        ];
        all.into_iter().flatten().min()
    }

    fn ends_since(&self) -> Option<Instant> {
        self.ending.map(|under| under.since).or(self.closing.map(|(since, _)| since))
    }

    fn end(&mut self, ending: Ending, now: Instant) {
        let fits_upstream = self.up.is_between_frames() && self.up.closed().is_none();
        let under = Under { ending, since: now, told_client: false, told_upstream: false, fits_upstream };
        self.ending.get_or_insert(under);
    }

    /// Whether there is nothing left to wait for.
    pub fn is_over(&self, now: Instant) -> bool {
        match (&self.ending, self.closing) {
            (Some(under), _) => {
                let told = under.told_client && under.told_upstream;
                told && (self.up.closed().is_some() || self.client_left) || now >= under.since + CLOSING
            }
            (None, Some((since, _))) => now >= since + CLOSING,
            (None, None) => false,
        }
    }

    /// Whether nothing of what the upstream still sends passes.
    pub fn is_closed_to_client(&self) -> bool {
        self.ending.is_some_and(|under| under.told_client)
    }

    /// Whether what has been judged of the upstream's bytes ends with a frame.
    pub fn is_between_frames_to_client(&self) -> bool {
        self.down.is_between_frames()
    }

    /// Whether the gateway has something to say to the client.
    pub fn has_word_for_client(&self) -> bool {
        self.client.due || self.ending.is_some_and(|under| !under.told_client)
    }

    /// What the gateway has to say to the client. Asked only where what has been written ends with a frame.
    pub fn to_client(&mut self, now: Instant) -> Option<Frame> {
        if !self.down.is_between_frames() || self.down.closed().is_some() {
            // After the upstream's own Close nothing may follow.
            if let Some(under) = self.ending.as_mut().filter(|_| self.down.closed().is_some()) {
                under.told_client = true;
            }
            return None;
        }
        if let Some(under) = self.ending.as_mut() {
            if std::mem::replace(&mut under.told_client, true) {
                return None;
            }
            let (code, text) = under.ending.told(Side::Client);
            return Some(frame::close(code, text, None));
        }
        if !std::mem::take(&mut self.client.due) {
            return None;
        }
        let ping = self.next_random().to_be_bytes();
        self.up.expect(ping);
        self.client.pinged = Some(now);
        Some(frame::control(Opcode::Ping, &ping, None))
    }

    /// What the gateway has to say to the upstream: not before the client has been told.
    pub fn to_upstream(&mut self, now: Instant) -> Option<Frame> {
        if let Some(under) = self.ending.as_mut() {
            if !under.told_client || std::mem::replace(&mut under.told_upstream, true) || !under.fits_upstream {
                return None;
            }
            let under = *under;
            let (code, text) = under.ending.told(Side::Upstream);
            let mask = self.next_mask();
            return Some(frame::close(code, text, Some(mask)));
        }
        let fits = self.up.is_between_frames() && self.up.closed().is_none() && self.closing.is_none();
        if !fits || !std::mem::take(&mut self.upstream.due) {
            return None;
        }
        let (ping, mask) = (self.next_random().to_be_bytes(), self.next_mask());
        self.down.expect(ping);
        self.upstream.pinged = Some(now);
        Some(frame::control(Opcode::Ping, &ping, Some(mask)))
    }

    /// Takes in what has come from the client, and moves what of it passes to the front.
    pub fn from_client(&mut self, bytes: &mut [u8], now: Instant) -> Sifted {
        self.client.hears(now);
        let was_ending = self.ending.is_some();
        let (mut read, mut kept) = (0, 0);
        let mut passes = was_ending.then_some(0);
        while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
            match self.up.step(rest, now) {
                Step::Pass(count) => {
                    if read != kept {
                        bytes.copy_within(read..read + count, kept);
                    }
                    (read, kept) = (read + count, kept + count);
                }
                Step::Drop(count) => read += count,
                Step::Wait => break,
                Step::End(ending, Some(header)) => {
                    self.end(ending, now);
                    passes.get_or_insert(kept);
                    read += self.up.skip(&header);
                }
                Step::End(ending, None) => {
                    self.end(ending, now);
                    passes.get_or_insert(kept);
                    // Nothing that comes is looked at any more: there is no telling where frames begin.
                    (read, self.client_left) = (bytes.len(), true);
                }
            }
        }
        self.took_in(Side::Client, now);
        Sifted { passes: passes.unwrap_or(kept), waits: bytes.len() - read }
    }

    /// What becomes of the bytes that come next from the upstream.
    pub fn from_upstream(&mut self, bytes: &[u8], now: Instant) -> Step {
        self.upstream.hears(now);
        let step = self.down.step(bytes, now);
        if let Step::End(ending, _) = step {
            self.end(ending, now);
        }
        self.took_in(Side::Upstream, now);
        step
    }

    /// The client has ended its side.
    pub fn client_ended(&mut self) {
        self.client_left = true;
    }

    fn took_in(&mut self, from: Side, now: Instant) {
        let lane = match from {
            Side::Client => &mut self.up,
            Side::Upstream => &mut self.down,
        };
        let (passed, closed) = (lane.take_passed(), lane.closed());
        if closed.is_some() && self.closing.is_none() {
            self.closing = Some((now, from));
        }
        if passed.bytes == 0 && passed.messages == 0 {
            return;
        }
        self.last = now;
        match from {
            Side::Client => {
                self.counts.messages_in += passed.messages;
                self.open.passed_up(passed.messages, passed.bytes);
            }
            Side::Upstream => {
                self.counts.messages_out += passed.messages;
                self.open.passed_down(passed.messages, passed.bytes);
            }
        }
    }

    /// What has passed, and how it has ended: why, and with which code.
    pub fn outcome(&self) -> (Counts, SocketEnd, u16) {
        let (end, code) = match (&self.ending, self.closing) {
            (Some(under), _) => (under.ending.end, under.ending.told(Side::Client).0),
            (None, Some((_, Side::Client))) => (SocketEnd::Client, self.up.closed().unwrap_or_default()),
            (None, Some((_, Side::Upstream))) => (SocketEnd::Upstream, self.down.closed().unwrap_or_default()),
            (None, None) if self.client_left => (SocketEnd::ClientLost, LOST),
            (None, None) => (SocketEnd::UpstreamLost, LOST),
        };
        (self.counts, end, code)
    }

    fn next_random(&mut self) -> u64 {
        // Steele, Lea and Flood's SplitMix64.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn next_mask(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.next_random().to_be_bytes();
        [a, b, c, d]
    }
}

/// The connection ended without a Close (RFC 6455 §7.1.5).
const LOST: u16 = 1006;

/// What of the bytes that were taken in passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sifted {
    /// So many, now at the front.
    pub passes: usize,
    /// So many, at the end, are shown again with what comes after them.
    pub waits: usize,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let (_, end, _) = self.outcome();
        self.open.ended(end);
    }
}
