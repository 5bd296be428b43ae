//! The client's connection once a WebSocket is spoken on it, of routes with `websocket`: carries bytes between Pingora and
//! the socket as [`Tunnel`] says, and puts the gateway's own frames between those that pass.
//!
//! Pingora gives no way to send anything of one's own over an upgraded session, nor to end it: its body filters see pieces
//! only as they come, and may not wait. The [`Fence`](super::fence::Fence) around the client's connection sees every byte
//! of both ways: what Pingora reads from it goes to the upstream, what Pingora writes to it comes from there. So a frame
//! for the upstream is *read*, one for the client is written beside Pingora, and the end of what is read ends the session
//! as if the client had left. One trap remains: while the upstream takes nothing, Pingora does not read either, so a time
//! that has passed is seen with the next byte either way; and Pingora ends a session in which none moves (ten minutes).

use super::fence::Line;
use crate::listener::head::Alarm;
use crate::observe::metrics::SocketEnd;
use crate::websocket::frame::LARGEST_CONTROL;
use crate::websocket::{Counts, Membership, Step, Tunnel};
use smallvec::SmallVec;
use std::io::{ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncWrite, ReadBuf};

/// What the head of an answer ends with.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// Bytes of a frame that wait for the rest of it.
type Waiting = SmallVec<[u8; LARGEST_CONTROL]>;

/// A tunnel and the bytes on their way through it.
pub struct Carrier {
    tunnel: Tunnel,
    membership: Membership,
    alarm: Alarm,
    /// Has come from the client and waits for more.
    from_client: Waiting,
    /// Has come from the upstream and waits for more.
    from_upstream: Waiting,
    /// Goes to the client before anything else.
    out: Waiting,
    /// Whether something of the gateway's own has been written and may still lie in a buffer.
    unflushed: bool,
    /// So many of the bytes that Pingora writes next have been judged and pass.
    approved: usize,
    /// So many after these are left out.
    left_out: usize,
    /// How much of the end of the answer's head has been written.
    head: usize,
}

impl Carrier {
    /// Carries what passes through that tunnel, once the head of the answer has been written.
    pub fn new(tunnel: Tunnel, membership: Membership) -> Self {
        Self {
            tunnel,
            membership,
            alarm: Alarm::default(),
            from_client: Waiting::new(),
            from_upstream: Waiting::new(),
            out: Waiting::new(),
            unflushed: false,
            approved: 0,
            left_out: 0,
            head: 0,
        }
    }

    /// What has passed and how it has ended.
    pub fn outcome(&self) -> (Counts, SocketEnd, u16) {
        self.tunnel.outcome()
    }

    /// Whether the gateway has told the client to close, and it should be given time to read that.
    pub fn has_told_client(&self) -> bool {
        self.tunnel.is_closed_to_client()
    }

    /// What Pingora is to read from the client, which goes to the upstream.
    pub fn poll_read(
        &mut self,
        line: &mut Line,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if buffer.remaining() <= LARGEST_CONTROL {
            return Poll::Ready(Err(ErrorKind::InvalidInput.into())); // Pingora reads 64 KiB at a time
        }
        loop {
            let now = self.tick(context);
            self.speak(line, context, now)?;
            if self.out.is_empty()
                && let Some(frame) = self.tunnel.to_upstream(now)
            {
                buffer.put_slice(&frame);
                return Poll::Ready(Ok(()));
            }
            if self.tunnel.is_over(now) {
                return Poll::Ready(Ok(()));
            }
            match self.take_in(line, context, buffer, now) {
                Poll::Ready(Ok(false)) => continue,
                Poll::Ready(read) => return Poll::Ready(read.map(drop)),
                Poll::Pending => {}
            }
            let Some(deadline) = self.tunnel.deadline() else { return Poll::Pending };
            ready!(self.alarm.poll(deadline.into(), context));
        }
    }

    /// Reads from the client; `true` where that is something for the upstream, be it the end.
    fn take_in(
        &mut self,
        line: &mut Line,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        now: Instant,
    ) -> Poll<Result<bool>> {
        let before = buffer.filled().len();
        buffer.put_slice(&self.from_client);
        let waited = buffer.filled().len();
        let read = line.poll_tunnel(context, buffer);
        let new = buffer.filled().len() - waited;
        if new == 0 {
            buffer.set_filled(before);
            let ended = matches!(read, Poll::Ready(_));
            if ended {
                self.tunnel.client_ended();
            }
            return read.map_ok(|()| true);
        }
        let bytes = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        let sifted = self.tunnel.from_client(bytes, now);
        let waits = bytes.len().saturating_sub(sifted.waits);
        self.from_client = SmallVec::from_slice(bytes.get(waits..).unwrap_or_default());
        buffer.set_filled(before + sifted.passes);
        Poll::Ready(Ok(sifted.passes > 0))
    }

    /// Takes what Pingora writes to the client, which comes from the upstream.
    pub fn poll_write(&mut self, line: &mut Line, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = self.pass_on(line, context, bytes);
        if written.is_ready() {
            return written;
        }
        while let Some(deadline) = self.tunnel.deadline() {
            ready!(self.alarm.poll(deadline.into(), context));
            let now = self.tick(context);
            if self.tunnel.is_over(now) {
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
        }
        Poll::Pending
    }

    fn pass_on(&mut self, line: &mut Line, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if self.head < END_OF_HEAD.len() {
            return self.pass_head(line, context, bytes);
        }
        let now = self.tick(context);
        loop {
            self.speak(line, context, now)?;
            if !self.out.is_empty() {
                return Poll::Pending; // the socket takes no more, and has the task woken when it does
            }
            if self.approved > 0 {
                let approved = bytes.get(..self.approved).unwrap_or(bytes);
                let written = ready!(Pin::new(&mut line.stream).poll_write(context, approved))?;
                self.approved -= written;
                return Poll::Ready(Ok(written));
            }
            if self.left_out > 0 {
                let count = self.left_out.min(bytes.len());
                self.left_out -= count;
                return Poll::Ready(Ok(count));
            }
            if self.tunnel.is_closed_to_client() {
                return Poll::Ready(Ok(bytes.len()));
            }
            let taken = match self.from_upstream.is_empty() {
                true => self.judge(bytes, now),
                false => self.complete(bytes, now),
            };
            if taken > 0 {
                return Poll::Ready(Ok(taken));
            }
        }
    }

    /// Judges what comes from the upstream; what passes is written by whoever asks. Gives back how much was taken away.
    fn judge(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut passes = 0;
        while let Some(rest) = bytes.get(passes..).filter(|rest| !rest.is_empty()) {
            match self.tunnel.from_upstream(rest, now) {
                Step::Pass(count) => passes += count,
                Step::Drop(count) => {
                    self.left_out = count;
                    break;
                }
                Step::Wait if passes == 0 => {
                    self.from_upstream = SmallVec::from_slice(rest);
                    return rest.len();
                }
                Step::Wait | Step::End(..) => break,
            }
            if self.tunnel.has_word_for_client() && self.tunnel.is_between_frames_to_client() {
                break;
            }
        }
        self.approved = passes;
        0
    }

    /// Completes the frame that waits with the bytes that follow, and gives back how many of them that took.
    fn complete(&mut self, bytes: &[u8], now: Instant) -> usize {
        let waited = self.from_upstream.len();
        let more = bytes.get(..LARGEST_CONTROL).unwrap_or(bytes);
        let mut joined = std::mem::take(&mut self.from_upstream);
        joined.extend_from_slice(more);
        match self.tunnel.from_upstream(&joined, now) {
            Step::Pass(count) => {
                self.out.extend_from_slice(joined.get(..count).unwrap_or_default());
                count.saturating_sub(waited)
            }
            Step::Drop(count) => count.saturating_sub(waited),
            Step::Wait => {
                self.from_upstream = joined;
                more.len()
            }
            Step::End(..) => 0,
        }
    }

    /// Writes the head of the answer and nothing beyond it.
    fn pass_head(&mut self, line: &mut Line, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let mut head = self.head;
        let end = bytes.iter().position(|byte| {
            let goes_on = END_OF_HEAD.get(head) == Some(byte);
            head = if goes_on { head + 1 } else { usize::from(*byte == b'\r') };
            head == END_OF_HEAD.len()
        });
        let part = end.and_then(|end| bytes.get(..=end)).unwrap_or(bytes);
        let written = ready!(Pin::new(&mut line.stream).poll_write(context, part))?;
        for byte in part.get(..written).unwrap_or_default() {
            let goes_on = END_OF_HEAD.get(self.head) == Some(byte);
            self.head = if goes_on { self.head + 1 } else { usize::from(*byte == b'\r') };
        }
        Poll::Ready(Ok(written))
    }

    /// Writes what the gateway has to say to the client, as far as it may and the socket takes it.
    fn speak(&mut self, line: &mut Line, context: &mut Context<'_>, now: Instant) -> Result<()> {
        if self.head < END_OF_HEAD.len() || self.approved > 0 {
            return Ok(());
        }
        loop {
            while !self.out.is_empty() {
                let Poll::Ready(written) = Pin::new(&mut line.stream).poll_write(context, &self.out) else {
                    return Ok(());
                };
                let written = written?;
                if written == 0 {
                    return Err(ErrorKind::WriteZero.into());
                }
                self.out.drain(..written);
                self.unflushed = true;
            }
            match self.tunnel.to_client(now) {
                Some(frame) => self.out.extend_from_slice(&frame),
                None => break,
            }
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut line.stream).poll_flush(context)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Passes on what lies in buffers.
    pub fn poll_flush(&mut self, line: &mut Line, context: &mut Context<'_>) -> Poll<Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut line.stream).poll_write(context, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            self.out.drain(..written);
        }
        Pin::new(&mut line.stream).poll_flush(context)
    }

    fn tick(&mut self, context: &Context<'_>) -> Instant {
        let now = Instant::now();
        self.tunnel.tick(now, self.membership.is_asked(context.waker()));
        now
    }
}
