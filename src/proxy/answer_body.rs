//! The body of an answer and its head: what policies do to them, whoever makes the answer.

use super::answer::{answered, write_refusal};
use super::bodies::{Bodies, Down, Gathering, Held, Streams};
use super::ctx::ProxyCtx;
use super::fields::edit_response;
use crate::policy::{BodyWork, Chain, Progress, WholeBody};
use crate::reply::{Reason, Reply};
use crate::request::{Maker, RequestCx, ResponseView};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use pingora_core::Result;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// Whether an answer may have a body at all (RFC 9110 §6.4.1).
pub fn may_have_body(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Asks the policies of a route what they do with the body of an upstream's answer; the head is changed to match.
///
/// Gives back whether the head must be held until the body is whole.
///
/// # Errors
/// The refusal that takes the place of the answer.
pub fn begin(
    (chain, progress): (&Chain, Progress),
    session: &Session,
    cx: &mut RequestCx,
    parts: &mut http::response::Parts,
    bodies: &mut Bodies,
) -> std::result::Result<(), Box<Reply>> {
    let head_only = session.req_header().method == Method::HEAD || !may_have_body(parts.status);
    let empty = parts.headers.get(header::CONTENT_LENGTH).is_some_and(|length| length == "0");
    if empty || parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let (mut next, mut streams) = (0, Streams::default());
    bodies.down = Down::Untouched;
    loop {
        let work = ask(chain, (&mut next, progress), session, (cx, parts), Maker::Upstream)?;
        match work {
            BodyWork::Leave => break,
            _ if head_only => {}
            BodyWork::Stream(stream) => streams.push(stream),
            BodyWork::Whole(whole) => {
                if declared(&parts.headers).is_some_and(|length| length > whole.bound()) {
                    return Err(whole.too_large());
                }
                bodies.down = held(whole, streams, next);
                return Ok(());
            }
        }
    }
    if !streams.is_empty() {
        bodies.down = Down::Streaming(streams);
    }
    Ok(())
}

/// An answer that is kept until that has been done to its body, as it is after `before`; the hook at `next` goes on.
pub fn held(whole: Box<dyn WholeBody>, before: Streams, next: usize) -> Down {
    let gathered = Gathering::new(whole.bound());
    let head = ResponseHeader::from(http::Response::new(()).into_parts().0);
    Down::Held(Box::new(Held { head, gathered, before, whole, next, complete: false }))
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn ask(
    chain: &Chain,
    (next, progress): (&mut usize, Progress),
    session: &Session,
    (cx, parts): (&mut RequestCx, &mut http::response::Parts),
    maker: Maker,
) -> std::result::Result<BodyWork, Box<Reply>> {
    let status = parts.status.as_u16();
    let mut view = ResponseView { request: answered(session), status, maker, headers: &mut parts.headers };
    chain.on_response_body((next, progress), cx, &mut view)
}

/// Runs the hooks from `next` over an answer whose body is there as a whole.
///
/// # Errors
/// The refusal that takes its place.
pub async fn change_whole(
    session: &Session,
    ctx: &mut ProxyCtx,
    (head, mut body): (&mut ResponseHeader, Bytes),
    (mut next, maker): (usize, Maker),
) -> std::result::Result<Bytes, Box<Reply>> {
    let snapshot = ctx.snapshot.clone();
    let Some(route) = ctx.matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(body) };
    let method_is_head = session.req_header().method == Method::HEAD;
    loop {
        let (progress, cx) = (ctx.matched.progress, &mut ctx.cx);
        let work = edit_response(head, |parts| ask(&route.chain, (&mut next, progress), session, (cx, parts), maker))?;
        body = match work {
            BodyWork::Leave => return Ok(body),
            _ if method_is_head => body,
            BodyWork::Stream(mut stream) => stream.piece(body, true)?,
            BodyWork::Whole(whole) if body.len() as u64 > whole.bound() => return Err(whole.too_large()),
            BodyWork::Whole(whole) => whole.change(body).await?,
        };
        edit_response(head, |parts| {
            if parts.headers.contains_key(header::CONTENT_LENGTH) || !method_is_head {
                parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
        });
    }
}

/// Writes an answer that was held, once its body is whole, or the refusal in its place.
pub async fn deliver(session: &mut Session, ctx: &mut ProxyCtx) {
    let Down::Held(held) = std::mem::take(&mut ctx.exchange.bodies.down) else { return };
    ctx.outcome.answered = false;
    let result = match made(session, ctx, *held).await {
        Ok((head, body)) => write(session, ctx, head, body).await,
        Err(reply) => write_refusal(session, ctx, &reply).await,
    };
    if result.is_err() {
        ctx.outcome.reason = Some(Reason::ClientClosed);
        session.set_keepalive(None);
    }
}

async fn made(
    session: &Session,
    ctx: &mut ProxyCtx,
    mut held: Held,
) -> std::result::Result<(ResponseHeader, Bytes), Box<Reply>> {
    let body = held.whole.change(held.gathered.take()).await?;
    edit_response(&mut held.head, |parts| {
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    });
    let body = change_whole(session, ctx, (&mut held.head, body), (held.next, Maker::Upstream)).await?;
    Ok((held.head, body))
}

async fn write(session: &mut Session, ctx: &mut ProxyCtx, head: ResponseHeader, body: Bytes) -> Result<()> {
    ctx.outcome.answered = true;
    ctx.outcome.bytes_out += body.len() as u64;
    session.write_response_header(Box::new(head), false).await?;
    session.write_response_body(Some(body), true).await
}
