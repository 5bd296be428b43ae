//! A WebSocket that the gateway has opened to an upstream (RFC 6455 §4.1).

use crate::exchange::call::{Call, CallAnswer, CallError, Calls, Origin, Upgraded};
use crate::reply::{Reason, Reply};
use crate::websocket::Side;
use crate::websocket::frame::{self, Opcode};
use crate::websocket::message::{Message, Messages, Said, accept, sent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// A WebSocket to an upstream.
pub struct Socket {
    wire: Upgraded,
    messages: Messages,
}

/// What came of asking for one.
pub enum Opened {
    /// It is open.
    Socket(Box<Socket>),
    /// The upstream has answered otherwise.
    Answer(Box<CallAnswer>),
}

impl Socket {
    /// Opens one by that call; messages of the upstream may have so many bytes.
    ///
    /// # Errors
    /// No endpoint answers, or it does not speak WebSocket.
    pub async fn open(mut call: Call, most: usize, calls: &Calls, origin: &Arc<Origin>) -> Result<Opened, Box<Reply>> {
        let key = STANDARD.encode(rand::random::<[u8; 16]>());
        let value = HeaderValue::from_str(&key).map_err(|_| Box::new(Reply::from(Reason::Internal)))?;
        call.fields.insert(SEC_WEBSOCKET_KEY, value);
        call.fields.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        call.upgrade = true;
        let answer = calls.send(call, origin).await?;
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Opened::Answer(Box::new(answer)));
        }
        let accepted = answer.headers.get(SEC_WEBSOCKET_ACCEPT).is_some_and(|value| *value == accept(&key));
        match answer.body.upgraded().filter(|_| accepted) {
            Some(wire) => Ok(Opened::Socket(Box::new(Self { wire, messages: Messages::new(Side::Upstream, most) }))),
            None => Err(broken("The service behind this route does not speak WebSocket.")),
        }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection breaks off.
    pub async fn send(&mut self, message: &Message) -> Result<(), CallError> {
        self.wire.write(sent(message, Some(rand::random()))).await
    }

    /// The next message; `None` once the upstream has closed. Pings are answered. It may be dropped while it waits.
    ///
    /// # Errors
    /// The connection breaks off, or what comes is no message.
    pub async fn next(&mut self) -> Result<Option<Message>, Box<Reply>> {
        loop {
            match self.messages.said().map_err(|_| broken(NONSENSE))? {
                Some(Said::Message(message)) => return Ok(Some(message)),
                Some(Said::Ping(payload)) => {
                    let pong = frame::control(Opcode::Pong, &payload, Some(rand::random()));
                    self.wire.write(Bytes::from_owner(pong.into_vec())).await?;
                }
                Some(Said::Close(code)) => {
                    // Whether the upstream still reads it is its own affair.
                    let code = if code == 1005 { 1000 } else { code };
                    let _ = self
                        .wire
                        .write(Bytes::from_owner(frame::close(code, "", Some(rand::random())).into_vec()))
                        .await;
                    return Ok(None);
                }
                None => match self.wire.read().await? {
                    Some(bytes) => self.messages.feed(&bytes),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Takes what has come unasked, as far as it is there; whether the connection still lives.
    pub fn is_alive(&mut self) -> bool {
        loop {
            match self.next().now_or_never() {
                None => return true,
                Some(Ok(Some(_))) => {}
                Some(Ok(None) | Err(_)) => return false,
            }
        }
    }
}

const NONSENSE: &str = "The service behind this route broke the WebSocket protocol.";

fn broken(detail: &'static str) -> Box<Reply> {
    Box::new(Reply::new(Reason::UpstreamInvalid).detail(detail))
}
