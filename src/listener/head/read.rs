//! Gathers one request head from a connection, under one deadline and one byte bound.

use super::{HeadError, HeadLimits};
use crate::reply::Reason;
use bytes::BytesMut;
use memchr::memmem::Finder;
use pingora_core::protocols::Stream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long and how much a connection may take for a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadBounds {
    /// From the first byte of the head to its last.
    pub header: Duration,
    /// Without any byte, between requests.
    pub idle: Duration,
    /// Bounds of the head itself.
    pub limits: HeadLimits,
}

/// What came of waiting for a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A whole head of so many bytes stands at the beginning of the buffer.
    Head(usize),
    /// The connection ended, failed or stayed idle; there is nobody to answer.
    Gone,
    /// The bytes so far are not, or not in time, a head.
    Refused(HeadError),
}

/// The bytes of one connection that no request has taken yet.
#[derive(Default)]
pub struct HeadReader {
    buffer: BytesMut,
    alarm: Alarm,
}

/// Ends a wait that recurs on a connection.
///
/// One timer for the whole connection: it is left as it is while requests come, and set anew only when it goes off
/// early. A timer for each wait costs more than reading the head does.
#[derive(Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once the deadline has passed; until then the task is woken when it has. Deadlines asked for later are
    /// usually later ones; an earlier one sets the timer anew.
    pub fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

thread_local! {
    /// Where a read lands before its length is known: an idle connection holds no buffer of its own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; 16 * 1024].into());
}

impl HeadReader {
    /// The bytes gathered so far.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes everything gathered.
    pub fn take_all(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Takes the first `count` bytes and keeps the rest for the next request.
    pub fn take(&mut self, count: usize) -> BytesMut {
        if count >= self.buffer.len() { self.take_all() } else { self.buffer.split_to(count) }
    }

    /// Adds bytes that were read beyond the end of a request.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// One read, appended to the bytes gathered; 0 at the end of the stream.
    pub fn poll_fill(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
        poll_fill(stream, &mut self.buffer, context)
    }

    /// Waits for a whole head. Empty lines before it are skipped (RFC 9112 §2.2).
    pub async fn next(&mut self, stream: &mut Stream, bounds: &ReadBounds) -> Arrival {
        if self.buffer.is_empty() {
            let deadline = Instant::now() + bounds.idle;
            let first = poll_fn(|context| match poll_fill(stream, &mut self.buffer, context) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => self.alarm.poll(deadline, context).map(|()| None),
            });
            if !matches!(first.await, Some(Ok(count)) if count > 0) {
                return Arrival::Gone;
            }
        }
        if let Some(arrival) = self.judge(&bounds.limits) {
            return arrival;
        }
        match pingora_timeout::timeout(bounds.header, self.gather(stream, &bounds.limits)).await {
            Ok(arrival) => arrival,
            Err(_) => Arrival::Refused(HeadError {
                reason: Reason::SlowRequest,
                detail: "The head of the request did not arrive in time.",
            }),
        }
    }

    /// Gathers bytes until there are at least so many; `false` when they do not come in time.
    pub async fn at_least(&mut self, count: usize, stream: &mut Stream, within: Duration) -> bool {
        let gathering = async {
            while self.buffer.len() < count {
                match fill(stream, &mut self.buffer).await {
                    Ok(more) if more > 0 => {}
                    _ => return false,
                }
            }
            true
        };
        pingora_timeout::timeout(within, gathering).await.unwrap_or(false)
    }

    async fn gather(&mut self, stream: &mut Stream, limits: &HeadLimits) -> Arrival {
        loop {
            match fill(stream, &mut self.buffer).await {
                Ok(count) if count > 0 => {}
                _ => return Arrival::Gone,
            }
            if let Some(arrival) = self.judge(limits) {
                return arrival;
            }
        }
    }

    /// A verdict as soon as one can be had of what has arrived.
    fn judge(&mut self, limits: &HeadLimits) -> Option<Arrival> {
        while self.buffer.starts_with(b"\r\n") {
            let _ = self.buffer.split_to(2);
        }
        let end = find_end(&self.buffer);
        if end.unwrap_or(self.buffer.len()) > limits.bytes {
            let target_is_long = !self.buffer.iter().take(limits.bytes).any(|byte| *byte == b'\n');
            let (reason, detail) = if target_is_long {
                (Reason::UriTooLong, "The request target is too long.")
            } else {
                (Reason::HeadersTooLarge, "The header fields are too large.")
            };
            return Some(Arrival::Refused(HeadError { reason, detail }));
        }
        if end.is_none() && has_bare_line_end(&self.buffer) {
            let detail = "A line ends in a bare CR or LF.";
            return Some(Arrival::Refused(HeadError { reason: Reason::BadRequest, detail }));
        }
        end.map(Arrival::Head)
    }
}

/// Made once: making it costs more than most searches do.
static EMPTY_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));

/// The length of the head: up to and including the first empty line.
fn find_end(bytes: &[u8]) -> Option<usize> {
    EMPTY_LINE.find(bytes).map(|start| start + 4)
}

/// A line feed without its carriage return can end in no legal head: no need to wait for more bytes.
fn has_bare_line_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r'))
}

/// One read, appended to the buffer; 0 at the end of the stream.
async fn fill(stream: &mut Stream, buffer: &mut BytesMut) -> std::io::Result<usize> {
    poll_fn(|context| poll_fill(stream, buffer, context)).await
}

fn poll_fill(stream: &mut Stream, buffer: &mut BytesMut, context: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut read = ReadBuf::new(scratch);
        match Pin::new(stream).poll_read(context, &mut read) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) => {
                buffer.extend_from_slice(read.filled());
                Poll::Ready(Ok(read.filled().len()))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 64, count: 10, uri: 32 };

    fn judge(bytes: &[u8]) -> Option<Arrival> {
        let mut reader = HeadReader::default();
        reader.buffer.extend_from_slice(bytes);
        reader.judge(&LIMITS)
    }

    #[test]
    fn a_head_ends_at_the_first_empty_line() {
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nbody"), Some(Arrival::Head(27)));
        assert_eq!(judge(b"GET / HTTP/1.1\r\nHost: a\r\n"), None);
        assert_eq!(judge(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"), Some(Arrival::Head(18)));
    }

    #[test]
    fn an_endless_head_is_refused_at_the_bound() {
        let line = b"GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        assert!(matches!(judge(line), Some(Arrival::Refused(error)) if error.reason == Reason::HeadersTooLarge));
        assert!(matches!(judge(&[b'a'; 65]), Some(Arrival::Refused(error)) if error.reason == Reason::UriTooLong));
    }

    #[test]
    fn bare_line_feeds_are_refused_at_once() {
        assert!(matches!(judge(b"GET / HTTP/1.1\nHost"), Some(Arrival::Refused(_))));
    }

    #[tokio::test]
    async fn the_alarm_goes_off_at_the_last_deadline_asked_for() {
        let mut alarm = Alarm::default();
        let first = Instant::now() + Duration::from_millis(5);
        let last = first + Duration::from_millis(20);
        assert!(!poll_fn(|context| Poll::Ready(alarm.poll(first, context).is_ready())).await);
        poll_fn(|context| alarm.poll(last, context)).await;
        assert!(Instant::now() >= last);
    }

    #[tokio::test]
    async fn an_earlier_deadline_sets_the_alarm_anew() {
        let mut alarm = Alarm::default();
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(!poll_fn(|context| Poll::Ready(alarm.poll(soon + bound(), context).is_ready())).await);
        poll_fn(|context| alarm.poll(soon, context)).await;
        assert!(Instant::now() < soon + bound());
    }

    fn bound() -> Duration {
        Duration::from_secs(60)
    }

    #[test]
    fn bytes_behind_a_request_stay_for_the_next() {
        let mut reader = HeadReader::default();
        reader.buffer.extend_from_slice(b"onetwo");
        assert_eq!(&reader.take(3)[..], b"one");
        assert_eq!(reader.bytes(), b"two");
    }
}
