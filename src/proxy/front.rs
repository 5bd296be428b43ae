//! What happens to a connection from its first byte: counted, its protocol told, each HTTP/1 head checked before Pingora
//! sees it.
//!
//! A second, faster lane would take simple requests here and hand the others over, as this does with all of them.

use super::answer::WORTH_DRAINING;
use super::fence::{After, Fence, Line, Returned};
use super::h2_connection::H2Connection;
use super::inside::Inside;
use super::{Gate, Random, log_refused_head, refusal_bytes, unix_millis};
use crate::listener::head::{Arrival, HeadError, check};
use crate::listener::{Connections, ListenerSpec, TooMany};
use crate::observe::RequestId;
use crate::observe::metrics::{ConnectionRefusal, ListenerMetrics, OpenConnection, Protocol};
use crate::reply::{Reason, Reply};
use crate::request::Moment;
use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use http::HeaderValue;
use pingora_core::apps::{HttpServerApp, ReusedHttpStream, ServerApp};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// The first line of HTTP/2's connection preface, which reads like a head of HTTP/1 (RFC 9113 §3.4).
const PREFACE_HEAD: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// The length of the whole preface.
const PREFACE: usize = 24;
/// When the listener closes, an idle connection may send one more request within this time, so that a request already
/// on its way is answered, with `Connection: close`, rather than lost.
const LAST_CALL: Duration = Duration::from_secs(1);
/// After a refusal the client's remaining bytes are read this long, or TCP would reset the connection before the client
/// has seen the answer.
const LINGER: Duration = Duration::from_secs(1);
/// And so many of them.
const LINGER_BYTES: usize = 256 * 1024;

/// Receives the connections of one listener on one worker.
pub struct Front {
    /// Pingora's proxy behind it.
    pub proxy: Arc<HttpProxy<Gate>>,
    /// The same gate the proxy holds.
    pub gate: Gate,
    /// Counts over all workers.
    pub connections: Arc<Connections>,
    /// The listener's counters.
    pub metrics: Arc<ListenerMetrics>,
}

#[async_trait]
impl ServerApp for Front {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        self.metrics.accepted();
        let client = client_of(&stream);
        let counted_client =
            client.filter(|address| !self.gate.shared.store.peek().trusted.contains(address.to_canonical()));
        if let Err(wait) = self.comes_too_fast(counted_client) {
            self.metrics.refused(ConnectionRefusal::TooFastFromClient);
            self.refuse(stream, client, Reply::new(Reason::Overloaded).retry_after(wait)).await;
            return None;
        }
        let _counted = match self.connections.admit(counted_client, &self.listener().bounds) {
            Ok(counted) => counted,
            Err(why) => {
                self.metrics.refused(match why {
                    TooMany::OfListener => ConnectionRefusal::TooMany,
                    TooMany::OfClient => ConnectionRefusal::TooManyFromClient,
                });
                self.refuse(stream, client, Reason::Overloaded.into()).await;
                return None;
            }
        };
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            let _open = self.metrics.open(Protocol::Http2);
            H2Connection::serve(&self.proxy, self.listener().bounds, stream, shutdown).await;
        } else {
            let open = self.metrics.open(Protocol::Http1);
            self.serve_h1(stream, client, shutdown, Some(open)).await;
        }
        None
    }

    async fn cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

impl Front {
    /// Whether the client opens connections faster than it may, and how long it should wait.
    fn comes_too_fast(&self, client: Option<IpAddr>) -> Result<(), u32> {
        let (Some(guard), Some(client)) = (&self.gate.guards.connections, client) else { return Ok(()) };
        let now = Moment { started: Instant::now(), wall: SystemTime::now() };
        guard.admit(&self.gate.shared.limits, client, &now)
    }

    fn listener(&self) -> &ListenerSpec {
        &self.gate.listener
    }

    /// Serves a connection that the gateway has made to itself for a client. It is none of the listener's: the client's own
    /// has been counted.
    pub async fn serve_inside(self: &Arc<Self>, stream: Inside) {
        let stream: Stream = Box::new(stream);
        let client = client_of(&stream);
        let (_open, shutdown) = watch::channel(false);
        self.serve_h1(stream, client, &shutdown, None).await;
    }

    /// `open` counts the connection, where it is a client's.
    async fn serve_h1(
        self: &Arc<Self>,
        stream: Stream,
        client: Option<IpAddr>,
        shutdown: &ShutdownWatch,
        mut open: Option<OpenConnection>,
    ) {
        let bounds = self.listener().bounds;
        let mut line = Line::new(stream);
        let returned = Arc::default();
        let mut stopping = shutdown.clone();
        // Made once, so that a connection does not join and leave the list of those who wait with every request.
        let stop = async { drop(stopping.wait_for(|stopping| *stopping).await) };
        let mut stop = pin!(stop.fuse());
        for remaining in (0..bounds.requests).rev() {
            let length = match self.next_head(&mut line, stop.as_mut()).await {
                Arrival::Head(length) => length,
                Arrival::Gone => return,
                Arrival::Refused(error) => return self.refuse_head(line.stream, client, error).await,
            };
            let head = line.reader.bytes().get(..length).unwrap_or_default();
            if self.listener().protocols.h2c
                && head == PREFACE_HEAD
                && let Some(open) = &mut open
            {
                open.becomes(Protocol::Http2Clear);
                return self.serve_h2c(line, shutdown).await;
            }
            let head = match check(head, &bounds.head) {
                Ok(head) if self.listener().protocols.h1 || open.is_none() => head,
                Ok(_) => {
                    let detail = "This address speaks HTTP/2 only.";
                    let error = HeadError { reason: Reason::BadRequest, detail };
                    return self.refuse_head(line.stream, client, error).await;
                }
                Err(error) => return self.refuse_head(line.stream, client, error).await,
            };
            let mut bytes = line.begin(length, head.body);
            if let Some(respelled) = head.respelled {
                bytes = respelled.unify(&bytes); // Pingora would refuse it with an answer of its own
            }
            let mut session = ServerSession::new_http1(Box::new(Fence::new(line, &returned)));
            session.set_pipelined_prefix(bytes);
            session.set_keepalive_reuses_remaining(Some(remaining));
            let reused = self.proxy.process_new_http(session, shutdown).await;
            match self.after(reused, &returned).await {
                Some(kept) => line = kept,
                None => return,
            }
        }
    }

    /// The connection as Pingora leaves it, where it takes another request.
    async fn after(&self, reused: Option<ReusedHttpStream>, returned: &Returned) -> Option<Line> {
        if let Some(reused) = reused {
            let line = reused.consume().0.into_any().downcast::<Fence>().ok()?.into_line()?;
            // Where Pingora has seen another end than the fence has, nobody knows where the next request begins.
            return line.is_whole().then_some(line);
        }
        let (mut line, after) = returned.take()?;
        match after {
            After::Keep => {
                let rest = pingora_timeout::timeout(self.listener().bounds.body, line.skip_rest(WORTH_DRAINING));
                rest.await.is_ok_and(|whole| whole).then_some(line)
            }
            After::Linger => {
                linger(&mut line.stream).await;
                None
            }
            After::Close | After::Tunnel => None,
        }
    }

    /// The next head, or one last request once the listener closes.
    async fn next_head<F>(&self, line: &mut Line, mut stop: Pin<&mut F>) -> Arrival
    where
        F: FusedFuture<Output = ()>,
    {
        let Line { reader, stream, .. } = line;
        let bounds = self.listener().bounds.read();
        if !stop.is_terminated() {
            tokio::select! {
                biased;
                arrival = reader.next(stream, &bounds) => return arrival,
                () = &mut stop => {}
            }
        }
        if !reader.bytes().is_empty() {
            return reader.next(stream, &bounds).await;
        }
        pingora_timeout::timeout(LAST_CALL, reader.next(stream, &bounds)).await.unwrap_or(Arrival::Gone)
    }

    async fn serve_h2c(&self, line: Line, shutdown: &ShutdownWatch) {
        let Line { mut reader, mut stream, .. } = line;
        let bounds = self.listener().bounds;
        if !reader.at_least(PREFACE, &mut stream, bounds.header).await {
            return;
        }
        // The bytes go back into the stream: Pingora reads the preface itself.
        let Ok(mut plain) = stream.into_any().downcast::<pingora_core::protocols::l4::stream::Stream>() else { return };
        plain.rewind(reader.bytes());
        H2Connection::serve(&self.proxy, bounds, plain, shutdown).await;
    }

    async fn refuse_head(&self, stream: Stream, client: Option<IpAddr>, error: HeadError) {
        self.refuse(stream, client, Reply::new(error.reason).detail(error.detail)).await;
    }

    /// Answers a connection on which no request could be read, and closes it.
    async fn refuse(&self, mut stream: Stream, client: Option<IpAddr>, reply: Reply) {
        let [low, high] = Random::bits();
        let id = RequestId::new(unix_millis(), [low, high]);
        let id = HeaderValue::from_str(id.as_str()).unwrap_or_else(|_| HeaderValue::from_static("-"));
        log_refused_head(&self.gate, client, &id, reply.reason);
        let bytes = refusal_bytes(&self.gate, &reply, &id);
        let answer = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        // Whether a client that sent garbage sees the answer is its own affair.
        if pingora_timeout::timeout(LINGER, answer).await.is_ok() {
            linger(&mut stream).await;
        }
    }
}

/// Closes after an answer: the client is told that no more comes, and what it was still sending is read for a while.
async fn linger(stream: &mut Stream) {
    let rest = async {
        AsyncWriteExt::shutdown(stream).await?;
        let mut rest = [0_u8; 4096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        std::io::Result::Ok(())
    };
    // However it ends, the connection is closed.
    let _ = pingora_timeout::timeout(LINGER, rest).await;
}

fn client_of(stream: &Stream) -> Option<IpAddr> {
    let digest = stream.get_socket_digest()?;
    digest.peer_addr()?.as_inet().map(std::net::SocketAddr::ip)
}
