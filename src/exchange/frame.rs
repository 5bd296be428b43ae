//! The frame of routes whose answer the gateway makes itself out of calls to upstreams: aggregation, transcoding, hedging.
//!
//! After its policies a request of such a route is handed to the route's [`Exchange`] instead of to an upstream. The
//! exchange reads the client's body as it needs it, makes its calls, and answers whole or as a stream; the proxy writes
//! that to the client, through the same policies on answers, the same counters and the same access log as any answer. When
//! the client leaves, or the deadline passes, the work is dropped where it stands, and its calls with it.

use super::call::{Calls, Origin, Pieces};
use crate::reply::{Fixed, Reason, Reply};
use crate::websocket::message::Message;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What answers in place of an upstream.
pub trait Exchange: Send + Sync {
    /// Answers one request. The future is dropped when the client leaves or the deadline passes.
    ///
    /// An error is answered as that refusal.
    fn answer(self: Arc<Self>, request: Incoming) -> Answering;

    /// What it does, in lines of the plan that `explain` prints; the first says it in short. Never a secret.
    fn describe(&self) -> Vec<String>;

    /// What is shown of it beside that, where there is something to show.
    fn show(&self, _what: Show<'_>) -> Option<String> {
        None
    }
}

/// What is shown of an exchange.
#[derive(Clone, Copy, Debug)]
pub enum Show<'a> {
    /// A drawing of it as a Mermaid flow chart.
    Chart,
    /// What becomes of that request, in lines.
    Request(&'a Shown<'a>),
}

/// A request that `explain` is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, normalised.
    pub path: &'a str,
    /// The query, without the question mark.
    pub query: Option<&'a str>,
    /// What the route's path captured.
    pub captures: &'a [Box<str>],
    /// The header fields, as policies have left them.
    pub fields: &'a HeaderMap,
    /// The body; none where it is empty.
    pub body: &'a [u8],
}

/// An answer in the making.
pub type Answering = BoxFuture<'static, Result<Answer, Box<Reply>>>;

/// A request that has passed its route's policies.
pub struct Incoming {
    /// The method.
    pub method: Method,
    /// The host it was matched by: lower-case, without port.
    pub host: Box<str>,
    /// The path it was matched by, normalised.
    pub path: Box<str>,
    /// The query, without the question mark.
    pub query: Option<Box<str>>,
    /// The header fields, as policies have left them: credentials are gone, the caller's identity is told.
    pub headers: HeaderMap,
    /// What the route's path captured, by the numbers of its captures.
    pub captures: Box<[Box<str>]>,
    /// The body.
    pub body: ClientBody,
    /// What calls need to know of it: pass it to [`Calls::send`]. Deadline and caller stand there too.
    pub origin: Arc<Origin>,
    /// Makes calls.
    pub calls: Arc<Calls>,
}

/// What an exchange answers.
pub enum Answer {
    /// A whole answer.
    Whole(Fixed),
    /// An answer as it comes.
    Stream {
        /// Its status.
        status: StatusCode,
        /// Its fields; a `Content-Length` must be right. Those of one connection are left out.
        headers: HeaderMap,
        /// Its body. An error breaks the answer off so that it cannot be taken for a whole one.
        body: Box<dyn Frames>,
    },
    /// A WebSocket whose other end is the gateway.
    Upgrade {
        /// The fields that answer the handshake.
        fields: HeaderMap,
        /// Bytes of a message of the client at most.
        most: usize,
        /// Who it talks with.
        talk: Box<dyn Conversation>,
    },
}

/// Whom a client talks with over a WebSocket.
#[async_trait]
pub trait Conversation: Send {
    /// Takes a message of the client.
    fn take(&mut self, message: Message);

    /// Whether it takes another one now; its sender is held back while it does not.
    fn takes_more(&self) -> bool;

    /// The next message for the client; `None` at the end. It may be dropped while it waits, and asked again.
    ///
    /// # Errors
    /// Why there are no more.
    async fn next(&mut self) -> Result<Option<Message>, Box<Reply>>;
}

/// A part of a body as it comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes; never none.
    Data(Bytes),
    /// Trailers, after all data (RFC 9110 §6.5). Clients over HTTP/1 do not get them.
    Trailers(HeaderMap),
}

/// A body as it comes.
#[async_trait]
pub trait Frames: Send {
    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// Why the body breaks off.
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>>;

    /// Whether it lasts as long as it lasts, rather than until the deadline.
    fn is_endless(&self) -> bool {
        false
    }
}

/// Asks for a piece of the client's body; answered with `None` at its end.
pub type Want = oneshot::Sender<Option<Bytes>>;

/// The client's body. Nothing of it is read before it is asked for, so that its sender is held back; and a client that
/// waits for leave to send (RFC 9110 §10.1.1) is given it with the first question. Policies on bodies, the route's
/// `body_limit` among them, see each piece before the exchange does; their refusal ends the exchange.
pub struct ClientBody {
    wants: mpsc::UnboundedSender<Want>,
    ended: bool,
}

impl ClientBody {
    /// A body, and the questions for it.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Want>) {
        let (wants, asked) = mpsc::unbounded_channel();
        (Self { wants, ended: false }, asked)
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The request is over: the client has left, or has been answered.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Box<Reply>> {
        if self.ended {
            return Ok(None);
        }
        let (want, piece) = oneshot::channel();
        let gone = || Box::new(Reply::from(Reason::ClientClosed));
        self.wants.send(want).map_err(|_| gone())?;
        let piece = piece.await.map_err(|_| gone())?;
        self.ended = piece.is_none();
        Ok(piece)
    }

    /// All of it, at most so many bytes. The route's `body_limit` holds as well, and is usually the smaller.
    ///
    /// # Errors
    /// [`Reason::BodyTooLarge`], and as for [`Self::next`].
    pub async fn whole(&mut self, most: usize) -> Result<Bytes, Box<Reply>> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::new();
        let mut piece = first;
        loop {
            if whole.len() + piece.len() > most {
                return Err(Box::new(Reason::BodyTooLarge.into()));
            }
            match self.next().await? {
                None if whole.is_empty() => return Ok(piece),
                next => {
                    whole.extend_from_slice(&piece);
                    match next {
                        Some(next) => piece = next,
                        None => return Ok(whole.freeze()),
                    }
                }
            }
        }
    }
}

#[async_trait]
impl Pieces for ClientBody {
    async fn next(&mut self) -> Result<Option<Bytes>, Box<Reply>> {
        ClientBody::next(self).await
    }
}
