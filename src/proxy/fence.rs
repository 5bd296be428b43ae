//! Lets Pingora see one request of a connection at a time, and gives the connection back after it.
//!
//! Pingora reads as much as comes. A second request that arrives while the first is still being answered breaks the first
//! off ("Sent data after end of body"), or is thrown away; and after every failed exchange Pingora drops the connection,
//! though its answer was whole. Behind the fence it reads the current request to its last byte and no further, by the
//! very head that was checked, and what it drops comes back to whoever reads the next head.

use super::inside::Inside;
use super::tunnel::Carrier;
use crate::listener::head::{Alarm, BodyLength, Extent, HeadReader};
use async_trait::async_trait;
use bytes::BytesMut;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::{SslDigest, TlsRef};
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use std::fmt;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// So much of the following requests is taken off the socket while one is being answered; the rest waits in the kernel.
const HELD: usize = 16 * 1024;

/// A connection between two requests.
pub struct Line {
    /// The client.
    pub stream: Stream,
    /// What has arrived and belongs to no request yet.
    pub reader: HeadReader,
    /// How much of the request under way is still to come.
    extent: Extent,
    alarm: Alarm,
    /// Deadlines are counted from here.
    began: Instant,
}

impl Line {
    /// A connection on which nothing has been read.
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            reader: HeadReader::default(),
            extent: Extent::Left(0),
            alarm: Alarm::default(),
            began: Instant::now(),
        }
    }

    /// Takes a request whose head, of `head` bytes, has arrived: as much of it as is there already.
    pub fn begin(&mut self, head: usize, body: BodyLength) -> BytesMut {
        self.extent = Extent::new(body);
        let here = self.extent.take(self.reader.bytes().get(head..).unwrap_or_default());
        self.reader.take(head.saturating_add(here))
    }

    /// Whether the request has arrived to its last byte, so that the next to arrive belong to another.
    pub fn is_whole(&self) -> bool {
        self.extent.is_whole()
    }

    /// Reads what is left of the request and throws it away, at most so many bytes. Whether its end was found.
    pub async fn skip_rest(&mut self, most: usize) -> bool {
        let mut left = most;
        let mut room = [0_u8; 4096];
        while !self.is_whole() {
            let mut buffer = ReadBuf::new(&mut room);
            let read = poll_fn(|context| self.poll_body(context, &mut buffer)).await;
            let count = buffer.filled().len();
            if read.is_err() || count == 0 || count > left {
                return false;
            }
            left -= count;
        }
        true
    }

    /// Reads of the request's body, and keeps what was read beyond it.
    fn poll_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        let taken = self.extent.take(new);
        self.reader.keep(new.get(taken..).unwrap_or_default());
        buffer.set_filled(before + taken);
        Poll::Ready(Ok(()))
    }

    /// The request is whole: its reader only wants to know whether the client is still there.
    ///
    /// What a client sends meanwhile is held back. One that has sent more and then closed its side is not reported gone
    /// before it has had its answers.
    fn poll_presence(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while self.reader.bytes().len() < HELD {
            let count = ready!(self.reader.poll_fill(&mut self.stream, context))?;
            if count == 0 {
                return if self.reader.bytes().is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
        Poll::Pending
    }

    /// Reads on, whatever it is that comes.
    pub fn poll_tunnel(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let early = self.reader.bytes().len().min(buffer.remaining());
        if early > 0 {
            buffer.put_slice(&self.reader.take(early));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// What is to become of a connection that Pingora lets go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum After {
    /// It is closed.
    Close,
    /// It is closed too, but the answer was whole: the client is given time to read it.
    Linger,
    /// It takes the next request.
    Keep,
    /// Another protocol is spoken on it until its end.
    Tunnel,
}

impl After {
    fn read(from: &AtomicU8) -> Self {
        let all = [Self::Close, Self::Linger, Self::Keep, Self::Tunnel];
        all.get(usize::from(from.load(Ordering::Relaxed))).copied().unwrap_or(Self::Close)
    }
}

/// Where a connection lies that Pingora has let go of.
#[derive(Default)]
pub struct Returned(Mutex<Option<(Line, After)>>);

impl Returned {
    /// Takes the connection and what is to become of it.
    pub fn take(&self) -> Option<(Line, After)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A connection in Pingora's hands.
pub struct Fence {
    line: Option<Line>,
    after: AtomicU8,
    /// When the exchange is to be over, in nanoseconds from the beginning of the connection; zero where it may last.
    deadline: AtomicU64,
    returned: Arc<Returned>,
    /// What looks at the frames of a WebSocket, where something does.
    carrier: OnceLock<Box<Carrier>>,
}

impl Fence {
    /// Hands out a connection whose request has begun. Dropped, it comes back to `returned`.
    pub fn new(line: Line, returned: &Arc<Returned>) -> Self {
        Self {
            line: Some(line),
            after: AtomicU8::new(After::Close as u8),
            deadline: AtomicU64::new(0),
            returned: Arc::clone(returned),
            carrier: OnceLock::new(),
        }
    }

    /// The fence around the connection of a session; `None` over HTTP/2.
    pub fn of(session: &ServerSession) -> Option<&Self> {
        session.as_http1()?.stream().as_any().downcast_ref()
    }

    /// What it is part of, where the gateway has made the connection to itself.
    pub fn inside(&self) -> Option<&Inside> {
        self.stream()?.as_any().downcast_ref()
    }

    /// Says what is to become of the connection should Pingora let go of it. [`After::Tunnel`] opens the fence: what was
    /// held back and all that follows belongs to the protocol agreed on (RFC 9110 §7.8).
    pub fn then(&self, after: After) {
        self.after.store(after as u8, Ordering::Relaxed);
    }

    /// Opens the fence as [`After::Tunnel`] does, for a WebSocket that is looked at.
    pub fn carry(&self, carrier: Carrier) {
        self.then(After::Tunnel);
        let _ = self.carrier.set(Box::new(carrier)); // a connection is upgraded once
    }

    /// What looks at the frames of the WebSocket, where something does.
    pub fn carrier(&self) -> Option<&Carrier> {
        self.carrier.get().map(|carrier| &**carrier)
    }

    /// Ends the exchange at that time, whatever it then waits for: reads and writes that would wait longer fail, once.
    /// Pingora itself bounds each wait and not all of them together.
    pub fn end_at(&self, deadline: std::time::Instant) {
        let Some(line) = &self.line else { return };
        let left = Instant::from_std(deadline).saturating_duration_since(line.began);
        self.deadline.store(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// Whether the request has been read off the connection to its last byte.
    pub fn is_whole(&self) -> bool {
        self.line.as_ref().is_some_and(Line::is_whole)
    }

    /// Takes the connection back from a session that has ended well.
    pub fn into_line(mut self) -> Option<Line> {
        self.line.take()
    }

    fn stream(&self) -> Option<&Stream> {
        self.line.as_ref().map(|line| &line.stream)
    }

    /// What to say to who would wait: nothing yet, or that the time is over.
    fn wait<T>(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        let deadline = *self.deadline.get_mut();
        let Some(line) = self.line.as_mut().filter(|_| deadline > 0) else { return Poll::Pending };
        ready!(line.alarm.poll(line.began + Duration::from_nanos(deadline), context));
        *self.deadline.get_mut() = 0;
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Who carries what is read and written, and over which connection.
    fn carried(&mut self) -> Option<(&mut Carrier, &mut Line)> {
        Some((self.carrier.get_mut()?, self.line.as_mut()?))
    }

    fn stream_mut(&mut self) -> Result<Pin<&mut Stream>> {
        let line = self.line.as_mut().ok_or_else(|| std::io::Error::from(ErrorKind::NotConnected))?;
        Ok(Pin::new(&mut line.stream))
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        let after = match self.carrier() {
            Some(carrier) if carrier.has_told_client() => After::Linger,
            _ => After::read(&self.after),
        };
        if let Some(line) = self.line.take()
            && matches!(after, After::Keep | After::Linger)
        {
            *self.returned.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((line, after));
        }
    }
}

impl AsyncRead for Fence {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if let Some((carrier, line)) = self.carried() {
            return carrier.poll_read(line, context, buffer);
        }
        let tunnel = After::read(&self.after) == After::Tunnel;
        let read = match &mut self.line {
            None => Poll::Ready(Ok(())),
            Some(line) if tunnel => line.poll_tunnel(context, buffer),
            Some(line) if line.is_whole() => line.poll_presence(context),
            Some(line) => line.poll_body(context, buffer),
        };
        if read.is_pending() { self.wait(context) } else { read }
    }
}

impl AsyncWrite for Fence {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if let Some((carrier, line)) = self.carried() {
            return carrier.poll_write(line, context, bytes);
        }
        let written = self.stream_mut()?.poll_write(context, bytes);
        if written.is_pending() { self.wait(context) } else { written }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if let Some((carrier, line)) = self.carried() {
            return carrier.poll_flush(line, context);
        }
        let flushed = self.stream_mut()?.poll_flush(context);
        if flushed.is_pending() { self.wait(context) } else { flushed }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.stream_mut()?.poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if let Some((carrier, line)) = self.carried() {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return carrier.poll_write(line, context, first.map_or(&[], |slice| slice));
        }
        let written = self.stream_mut()?.poll_write_vectored(context, slices);
        if written.is_pending() { self.wait(context) } else { written }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_some_and(AsyncWrite::is_write_vectored)
    }
}

#[async_trait]
impl Shutdown for Fence {
    /// Pingora closes after a whole answer. Bytes of the request may still be on their way, and would turn the close into a
    /// reset that takes the answer with it.
    async fn shutdown(&mut self) {
        if !self.is_whole() && After::read(&self.after) == After::Close {
            self.then(After::Linger);
        }
        if let Some(line) = &mut self.line {
            line.stream.shutdown().await;
        }
    }
}

impl UniqueID for Fence {
    fn id(&self) -> UniqueIDType {
        self.stream().map_or(-1, |stream| stream.id())
    }
}

impl Ssl for Fence {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.stream()?.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.stream()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.stream()?.selected_alpn_proto()
    }
}

impl GetTimingDigest for Fence {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream().map(|stream| stream.get_timing_digest()).unwrap_or_default()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.stream().map(|stream| stream.get_read_pending_time()).unwrap_or_default()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.stream().map(|stream| stream.get_write_pending_time()).unwrap_or_default()
    }
}

impl GetProxyDigest for Fence {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream()?.get_proxy_digest()
    }
}

impl GetSocketDigest for Fence {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream()?.get_socket_digest()
    }
}

impl Peek for Fence {}

impl fmt::Debug for Fence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Fence").field(&self.stream()).finish()
    }
}
