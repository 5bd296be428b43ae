//! A WebSocket whose other end is the gateway itself: shakes hands with the client, puts its messages together, and passes
//! them to whom the route talks with.

use super::Gate;
use super::ctx::ProxyCtx;
use super::{response_body_filter, response_filter};
use crate::exchange::Conversation;
use crate::websocket::Side;
use crate::websocket::frame::{self, Opcode};
use crate::websocket::message::{Messages, Said, TOO_LARGE, sent};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_core::protocols::http::HttpTask;
use pingora_core::{Error, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// The codes a conversation ends with (RFC 6455 §7.4.1): as it should, because nothing more can be asked, and for what the
/// client has sent.
const ENDED: u16 = 1000;
const FAILED: u16 = 1011;
const NONSENSE: u16 = 1002;
const LONG: u16 = 1009;

/// Runs a conversation to its end.
pub async fn run(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    (fields, most, mut talk): (HeaderMap, usize, Box<dyn Conversation>),
) -> Result<()> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::SWITCHING_PROTOCOLS;
    parts.headers = fields;
    parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    parts.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let mut head = ResponseHeader::from(parts);
    response_filter::run(gate, session, &mut head, ctx)?;
    ctx.outcome.answered = true;
    session.write_response_tasks(vec![HttpTask::Header(Box::new(head), false)]).await?;
    let mut messages = Messages::new(Side::Client, most);
    let code = loop {
        tokio::select! {
            biased;
            said = talk.next() => match said {
                Ok(Some(message)) => write(session, ctx, sent(&message, None)).await?,
                Ok(None) => break ENDED,
                Err(reply) => {
                    ctx.outcome.reason = Some(reply.reason);
                    break FAILED;
                }
            },
            piece = session.downstream_session.read_body_or_idle(false), if talk.takes_more() => {
                let Some(piece) = piece.map_err(Error::into_down)? else { return end(session).await };
                ctx.cx.body_bytes += piece.len() as u64;
                messages.feed(&piece);
                if let Some(code) = take_in(&mut messages, talk.as_mut(), session, ctx).await? {
                    break code;
                }
            }
        }
    };
    write(session, ctx, frame::close(code, "", None).into_vec().into()).await?;
    end(session).await
}

/// Takes in what is whole of what the client has said; the code to close with, if that was the end.
async fn take_in(
    messages: &mut Messages,
    talk: &mut dyn Conversation,
    session: &mut Session,
    ctx: &mut ProxyCtx,
) -> Result<Option<u16>> {
    loop {
        match messages.said() {
            Ok(Some(Said::Message(message))) => talk.take(message),
            Ok(Some(Said::Ping(payload))) => {
                let pong = frame::control(Opcode::Pong, &payload, None);
                write(session, ctx, pong.into_vec().into()).await?;
            }
            Ok(Some(Said::Close(code))) => return Ok(Some(if code == 1005 { ENDED } else { code })),
            Ok(None) => return Ok(None),
            Err(TOO_LARGE) => return Ok(Some(LONG)),
            Err(_) => return Ok(Some(NONSENSE)),
        }
    }
}

async fn write(session: &mut Session, ctx: &mut ProxyCtx, bytes: Bytes) -> Result<()> {
    let mut piece = Some(bytes);
    response_body_filter::run(&mut piece, false, ctx)?;
    session.write_response_tasks(vec![HttpTask::UpgradedBody(piece, false)]).await?;
    Ok(())
}

async fn end(session: &mut Session) -> Result<()> {
    session.write_response_tasks(vec![HttpTask::Done]).await?;
    Ok(())
}
