//! `socket:`, a face of WebSocket for a service that speaks plain HTTP.
//!
//! Each message of a client is a request, and the body of its answer the message that comes back, one after the other, in
//! order; or the upstream is asked once for a stream of events, and the data of each event is a message.

mod events;

use self::events::Events;
use super::call::{Call, CallBody, Callee, Calls, Flow, Origin, Retries};
use super::{Answer, Answering, Conversation, Exchange, Incoming};
use crate::reply::{Reason, Reply};
use crate::websocket::message::{Message, accept};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use http::header::{self, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Fields of the handshake that go with each request, beside those that tell who it is.
const FORWARDED: [header::HeaderName; 2] = [header::ACCEPT_LANGUAGE, header::USER_AGENT];
/// So many messages wait for their turn; the client is held back beyond that.
const WAITING: usize = 16;

/// What is made of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// Each message is a request of its own.
    Request,
    /// Messages of the client are left out; those for it are the events of one stream.
    Events,
}

/// What is written of a `socket:`.
#[derive(Clone)]
pub struct SocketPlan {
    /// Who is asked.
    pub to: Callee,
    /// When a request is tried anew.
    pub retries: Arc<Retries>,
    /// What is made of messages.
    pub each: Each,
    /// The method of a request.
    pub method: Method,
    /// Its path; `None` for that of the handshake.
    pub path: Option<PathAndQuery>,
    /// The type of the body that a text is.
    pub content_type: HeaderValue,
    /// Bytes of a message at most, either way.
    pub most: usize,
    /// How long a request may take.
    pub timeout: Option<Duration>,
}

/// The compiled `socket:` of a route.
pub struct Face(SocketPlan);

impl Face {
    /// What answers by that plan.
    pub fn new(plan: SocketPlan) -> Self {
        Self(plan)
    }

    async fn answered(self: Arc<Self>, request: Incoming) -> Result<Answer, Box<Reply>> {
        let fields = handshake(&request)?;
        let target = self.target(&request);
        let mut own = HeaderMap::new();
        for name in &FORWARDED {
            if let Some(value) = request.headers.get(name) {
                own.insert(name, value.clone());
            }
        }
        let asker = Asker {
            plan: self.0.clone(),
            target,
            fields: own,
            calls: request.calls,
            origin: request.origin,
            timeout: self.0.timeout,
        };
        let talk: Box<dyn Conversation> = match self.0.each {
            Each::Request => Box::new(Requests { asker: Arc::new(asker), waiting: VecDeque::new(), under_way: None }),
            Each::Events => Box::new(Events::new(asker.stream().await?, self.0.most)),
        };
        Ok(Answer::Upgrade { fields, most: self.0.most, talk })
    }

    fn target(&self, request: &Incoming) -> PathAndQuery {
        let asked = || match &request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.to_string(),
        };
        let own = self.0.path.clone();
        own.or_else(|| asked().parse().ok()).unwrap_or_else(|| PathAndQuery::from_static("/"))
    }
}

/// The fields that answer a handshake (RFC 6455 §4.2).
fn handshake(request: &Incoming) -> Result<HeaderMap, Box<Reply>> {
    let is = |name: header::HeaderName, wanted: &[u8]| {
        let value = request.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    let key = request.headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok());
    let asked =
        request.method == Method::GET && is(header::UPGRADE, b"websocket") && is(header::CONNECTION, b"upgrade");
    let (true, true, Some(key)) = (asked, is(SEC_WEBSOCKET_VERSION, b"13"), key) else {
        let reply = Reply::new(Reason::UnsupportedProtocol).status(StatusCode::UPGRADE_REQUIRED);
        let reply = reply.title("Upgrade required").detail("This route speaks WebSocket, version 13, over HTTP/1.1.");
        let reply = reply.field(header::UPGRADE, HeaderValue::from_static("websocket"));
        return Err(Box::new(reply.field(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))));
    };
    let mut fields = HeaderMap::new();
    let accept = HeaderValue::from_str(&accept(key)).map_err(|_| Box::new(Reply::from(Reason::Internal)))?;
    fields.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(fields)
}

/// Makes the requests of one connection.
struct Asker {
    plan: SocketPlan,
    target: PathAndQuery,
    fields: HeaderMap,
    calls: Arc<Calls>,
    origin: Arc<Origin>,
    /// How long each request may take.
    timeout: Option<Duration>,
}

impl Asker {
    /// What comes back for a message.
    async fn ask(&self, message: Message) -> Result<Message, Box<Reply>> {
        let mut fields = self.fields.clone();
        let (kind, body) = match message {
            Message::Text(text) => (self.plan.content_type.clone(), text.into()),
            Message::Binary(bytes) => (HeaderValue::from_static("application/octet-stream"), bytes),
        };
        fields.insert(header::CONTENT_TYPE, kind);
        let mut call = Call::new(self.plan.to.clone(), self.plan.method.clone(), self.target.clone(), fields);
        call.retries = Arc::clone(&self.plan.retries);
        call.body = CallBody::Whole(body);
        call.flow = Some(Flow::Bounded);
        // The deadline of the handshake means nothing to what comes after it.
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let origin = Arc::new(self.origin.again(deadline));
        let mut answer = self.calls.send(call, &origin).await?;
        let (body, _) = answer.body.collect(self.plan.most).await?;
        Ok(match String::from_utf8(body.into()) {
            Ok(text) => Message::Text(text),
            Err(bytes) => Message::Binary(bytes.into_bytes().into()),
        })
    }

    /// The stream of events.
    async fn stream(&self) -> Result<super::call::AnswerBody, Box<Reply>> {
        let mut fields = self.fields.clone();
        fields.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        let mut call = Call::new(self.plan.to.clone(), Method::GET, self.target.clone(), fields);
        call.retries = Arc::clone(&self.plan.retries);
        call.flow = Some(Flow::Streaming);
        let answer = self.calls.send(call, &self.origin).await?;
        let kind = answer.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        if answer.status != StatusCode::OK || !kind.starts_with(b"text/event-stream") {
            let detail = "The service behind this route has no stream of events here.";
            return Err(Box::new(Reply::new(Reason::UpstreamInvalid).detail(detail)));
        }
        Ok(answer.body)
    }
}

/// Messages that are requests, one after the other.
struct Requests {
    asker: Arc<Asker>,
    waiting: VecDeque<Message>,
    under_way: Option<BoxFuture<'static, Result<Message, Box<Reply>>>>,
}

#[async_trait]
impl Conversation for Requests {
    fn take(&mut self, message: Message) {
        self.waiting.push_back(message);
    }

    fn takes_more(&self) -> bool {
        self.waiting.len() < WAITING
    }

    async fn next(&mut self) -> Result<Option<Message>, Box<Reply>> {
        if self.under_way.is_none() {
            let Some(message) = self.waiting.pop_front() else { return std::future::pending().await };
            let asker = Arc::clone(&self.asker);
            self.under_way = Some(Box::pin(async move { asker.ask(message).await }));
        }
        let Some(asking) = &mut self.under_way else { return std::future::pending().await };
        let answer = asking.await;
        self.under_way = None;
        answer.map(Some)
    }
}

impl Exchange for Face {
    fn answer(self: Arc<Self>, request: Incoming) -> Answering {
        Box::pin(self.answered(request))
    }

    fn describe(&self) -> Vec<String> {
        let SocketPlan { to, each, method, path, most, .. } = &self.0;
        let path = path.as_ref().map(|path| format!(" {path}")).unwrap_or_default();
        let what = match each {
            Each::Request => format!("each message is a {method}{path}, its answer the message that comes back"),
            Each::Events => format!("the events of GET{path} are its messages"),
        };
        vec![format!("WebSocket for {}", to.upstream.name()), format!("{what}, of up to {most} bytes")]
    }
}
