//! `message:`, a face of plain HTTP for a service that speaks WebSocket.
//!
//! A request with a body is one message, and its answer the reply: the next message, or the one that has the same value at
//! a place in its JSON. A GET waits for the next message; one that asks for events gets each message as one. Connections
//! are kept between the requests of one caller, see `pool`, save for those of events, which end with their client.

mod pool;
mod socket;

use self::pool::{Lease, Owner, Pool};
use self::socket::{Opened, Socket};
use super::call::{Call, CallAnswer, Callee, Flow, Retries};
use super::{Answer, Answering, Exchange, Frame, Frames, Incoming};
use crate::reply::{Fixed, Reason, Reply};
use crate::websocket::message::Message;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{self, SEC_WEBSOCKET_PROTOCOL};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fields of the client's request that go with the handshake, beside those that tell who it is.
const FORWARDED: [header::HeaderName; 2] = [header::ACCEPT_LANGUAGE, header::USER_AGENT];
/// So long before the deadline a GET that has waited in vain is answered.
const MARGIN: Duration = Duration::from_millis(200);

/// Which message is the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Correlation {
    /// The next one.
    Next,
    /// The one that has the same value there, a JSON Pointer (RFC 6901).
    Same(Box<str>),
}

/// What is written of a `message:`.
#[derive(Clone)]
pub struct MessagePlan {
    /// Who is talked to.
    pub to: Callee,
    /// When a handshake is tried anew.
    pub retries: Arc<Retries>,
    /// Which message is the reply.
    pub reply: Correlation,
    /// The path of the handshake; `None` for that of the request.
    pub path: Option<PathAndQuery>,
    /// The subprotocol that is asked for.
    pub protocol: Option<HeaderValue>,
    /// Bytes of a message at most, either way.
    pub most: usize,
    /// Connections at most, and how long one waits for its caller's next request.
    pub connections: (usize, Duration),
    /// How long a GET waits.
    pub wait: Duration,
}

/// The compiled `message:` of a route.
pub struct Talk {
    plan: MessagePlan,
    pool: Arc<Pool>,
}

impl Talk {
    /// What answers by that plan.
    pub fn new(plan: MessagePlan) -> Self {
        let (most, idle) = plan.connections;
        Self { plan, pool: Pool::new(most, idle) }
    }

    async fn answered(&self, mut request: Incoming) -> Result<Answer, Box<Reply>> {
        let target = self.target(&request);
        let waits = matches!(request.method, Method::GET | Method::HEAD);
        if waits && asks_for_events(&request.headers) {
            return match self.open(&request, target, Flow::Streaming).await? {
                Opened::Socket(socket) => Ok(events(*socket)),
                Opened::Answer(answer) => Ok(passed_on(*answer)),
            };
        }
        let sent = if waits { None } else { Some(self.message(&mut request).await?) };
        let owner = Owner::of(&request.origin, target.as_str());
        let mut lease = self.lease(owner, sent.is_some())?;
        if lease.socket.is_none() {
            match self.open(&request, target, Flow::Bounded).await? {
                Opened::Socket(socket) => lease.socket = Some(*socket),
                Opened::Answer(answer) => return Ok(passed_on(*answer)),
            }
        }
        let Some(socket) = &mut lease.socket else { return Err(Box::new(Reason::Internal.into())) };
        let reply = match &sent {
            Some((message, key)) => {
                socket.send(message).await?;
                self.reply(socket, key.as_ref()).await?
            }
            None => {
                let left = request.origin.deadline.map(|at| at.saturating_duration_since(Instant::now()));
                let wait = left.map_or(self.plan.wait, |left| left.saturating_sub(MARGIN).min(self.plan.wait));
                match tokio::time::timeout(wait, socket.next()).await {
                    Ok(message) => message?.ok_or_else(closed)?,
                    Err(_) => {
                        lease.keep();
                        return Ok(Answer::Whole(nothing()));
                    }
                }
            }
        };
        lease.keep();
        Ok(Answer::Whole(told(reply)))
    }

    /// A connection that waits and lives, or a place for a new one. Where a message is sent, what has come before it is no
    /// reply to it.
    fn lease(&self, owner: Owner, sends: bool) -> Result<Lease, Box<Reply>> {
        loop {
            let Some(mut lease) = self.pool.lease(owner.clone()) else {
                let detail = "As many connections to the service behind this route are open as may be.";
                return Err(Box::new(Reply::new(Reason::UpstreamBusy).detail(detail)));
            };
            if !sends || lease.socket.as_mut().is_none_or(Socket::is_alive) {
                return Ok(lease);
            }
        }
    }

    fn target(&self, request: &Incoming) -> PathAndQuery {
        let asked = || match &request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.to_string(),
        };
        let own = self.plan.path.clone();
        own.or_else(|| asked().parse().ok()).unwrap_or_else(|| PathAndQuery::from_static("/"))
    }

    async fn open(&self, request: &Incoming, target: PathAndQuery, flow: Flow) -> Result<Opened, Box<Reply>> {
        let mut fields = HeaderMap::new();
        for name in &FORWARDED {
            if let Some(value) = request.headers.get(name) {
                fields.insert(name, value.clone());
            }
        }
        if let Some(protocol) = &self.plan.protocol {
            fields.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        let mut call = Call::new(self.plan.to.clone(), Method::GET, target, fields);
        call.retries = Arc::clone(&self.plan.retries);
        call.flow = Some(flow);
        Socket::open(call, self.plan.most, &request.calls, &request.origin).await
    }

    /// The message a body is, and what its reply is known by.
    async fn message(&self, request: &mut Incoming) -> Result<(Message, Option<Value>), Box<Reply>> {
        let body = request.body.whole(self.plan.most).await?;
        let key = match &self.plan.reply {
            Correlation::Next => None,
            Correlation::Same(pointer) => Some(key(&body, pointer).ok_or_else(|| {
                let detail = format!("The body must be JSON with a value at `{pointer}`, by which the reply is known.");
                Box::new(Reply::new(Reason::BadBody).detail(detail))
            })?),
        };
        let message = match String::from_utf8(body.into()) {
            Ok(text) => Message::Text(text),
            Err(bytes) => Message::Binary(bytes.into_bytes().into()),
        };
        Ok((message, key))
    }

    /// The reply; messages that are none of it are left out.
    async fn reply(&self, socket: &mut Socket, known_by: Option<&Value>) -> Result<Message, Box<Reply>> {
        loop {
            let message = socket.next().await?.ok_or_else(closed)?;
            let (Correlation::Same(pointer), Some(known_by)) = (&self.plan.reply, known_by) else { return Ok(message) };
            let bytes = match &message {
                Message::Text(text) => text.as_bytes(),
                Message::Binary(bytes) => bytes,
            };
            if key(bytes, pointer).as_ref() == Some(known_by) {
                return Ok(message);
            }
        }
    }
}

/// The value at that place, if it is one that tells messages apart.
fn key(body: &[u8], pointer: &str) -> Option<Value> {
    let value: Value = serde_json::from_slice(body).ok()?;
    value.pointer(pointer).filter(|value| !value.is_null()).cloned()
}

fn closed() -> Box<Reply> {
    let detail = "The service behind this route closed the connection before it had replied.";
    Box::new(Reply::new(Reason::UpstreamReset).detail(detail))
}

fn asks_for_events(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
    memchr::memmem::find(accept, b"text/event-stream").is_some()
}

/// An upstream that does not switch has said why.
fn passed_on(answer: CallAnswer) -> Answer {
    Answer::Stream { status: answer.status, headers: answer.headers, body: Box::new(answer.body) }
}

fn nothing() -> Fixed {
    Fixed { status: StatusCode::NO_CONTENT, fields: Vec::new(), body: Bytes::new() }
}

fn told(message: Message) -> Fixed {
    let (kind, body) = match message {
        Message::Text(text) if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok() => {
            ("application/json", Bytes::from(text))
        }
        Message::Text(text) => ("text/plain; charset=utf-8", Bytes::from(text)),
        Message::Binary(bytes) => ("application/octet-stream", bytes),
    };
    Fixed { status: StatusCode::OK, fields: vec![(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body }
}

fn events(socket: Socket) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Answer::Stream { status: StatusCode::OK, headers, body: Box::new(Told(socket)) }
}

/// Messages as events (HTML, "server-sent events"): text as it is, bytes in base64 as events `binary`.
struct Told(Socket);

#[async_trait]
impl Frames for Told {
    async fn next(&mut self) -> Result<Option<Frame>, Box<Reply>> {
        Ok(self.0.next().await?.map(|message| Frame::Data(event(&message).into())))
    }

    fn is_endless(&self) -> bool {
        true
    }
}

fn event(message: &Message) -> String {
    use base64::Engine as _;
    let (mut event, data) = match message {
        Message::Text(text) => (String::new(), std::borrow::Cow::Borrowed(text.as_str())),
        Message::Binary(bytes) => {
            ("event: binary\n".to_owned(), base64::engine::general_purpose::STANDARD.encode(bytes).into())
        }
    };
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event
}

impl Exchange for Talk {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(async move { self.answered(request).await })
    }

    fn describe(&self) -> Vec<String> {
        let MessagePlan { to, reply, path, most, connections: (open, idle), wait, .. } = &self.plan;
        let reply = match reply {
            Correlation::Next => "the next message".to_owned(),
            Correlation::Same(pointer) => format!("the message with the same `{pointer}`"),
        };
        let path = path.as_ref().map(|path| format!(" at {path}")).unwrap_or_default();
        vec![
            format!("messages to {}{path}", to.upstream.name()),
            format!("replies with {reply}, of up to {most} bytes; a GET waits {wait:?} for one, or gets all as events"),
            format!("up to {open} connections, each of one caller, kept for {idle:?}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_event_whatever_stands_in_it() {
        let text = |text: &str| event(&Message::Text(text.into()));
        assert_eq!(text("a"), "data: a\n\n");
        assert_eq!(text("a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
        assert_eq!(text(""), "data: \n\n");
        assert_eq!(event(&Message::Binary(Bytes::from_static(b"\xFF\x00"))), "event: binary\ndata: /wA=\n\n");
    }

    #[test]
    fn a_reply_is_known_by_a_value_that_is_there() {
        assert_eq!(key(br#"{"a":{"id":7}}"#, "/a/id"), Some(7.into()));
        assert_eq!(key(br#"{"id":null}"#, "/id"), None);
        assert_eq!(key(b"no JSON", "/id"), None);
    }
}
