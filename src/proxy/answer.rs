//! Writes what the gateway answers itself.

use super::Gate;
use super::answer_body::{change_whole, may_have_body};
use super::ctx::ProxyCtx;
use super::fence::Fence;
use super::fields::{X_REQUEST_ID, edit_response};
use crate::exchange::grpc_web::WebType;
use crate::reply::{Fixed, Form, Keep, Reason, Rendered, Reply, Templates, render};
use crate::request::{Answered, Body, Maker, ResponseView};
use crate::routing::{Reading, Target};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::sync::Arc;

/// An unread body up to this length is read and thrown away so that the connection can be kept.
pub const WORTH_DRAINING: usize = 64 * 1024;

/// Writes a refusal in the form the client asks for.
pub async fn write_refusal(session: &mut Session, ctx: &mut ProxyCtx, reply: &Reply) -> Result<()> {
    ctx.outcome.reason = Some(reply.reason);
    if reply.reason.costs_nothing() && ctx.exchange.attempts == 0 {
        give_back(ctx);
    }
    let header = session.req_header();
    let accept = header.headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    let content_type = header.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let web = content_type.and_then(WebType::parse);
    let form = match (reply.reason, web) {
        // Over HTTP/1 there is no gRPC to speak: the refusal itself says so, plainly. Nor is a request malformed below
        // gRPC-Web a call that could have a status.
        (Reason::UnsupportedProtocol, _) | (Reason::BadRequest, Some(_)) => Form::choose(accept, None),
        // A status in the head is an answer in gRPC-Web as in gRPC ("trailers-only responses: no change").
        (_, Some(_)) => Form::Grpc,
        (_, None) => Form::choose(accept, content_type),
    };
    let templates = ctx.route().map_or_else(|| unrouted(session, ctx), |route| &route.replies);
    let rendered = render(reply, form, templates, ctx.request_id());
    let Rendered { status, mut fields, body, keep } = rendered;
    if form == Form::Grpc
        && let Some(own) = web.and_then(WebType::to_value)
    {
        fields.iter_mut().filter(|(name, _)| name == header::CONTENT_TYPE).for_each(|(_, value)| *value = own.clone());
    }
    if keep == Keep::Close {
        session.set_keepalive(None);
    }
    write(session, ctx, Fixed { status, fields: fields.into_vec(), body }).await
}

/// Gives back what the request has cost of limits: nobody has worked for it.
fn give_back(ctx: &mut ProxyCtx) {
    let ProxyCtx { snapshot, cx, matched, .. } = &mut *ctx;
    if let Some(route) = matched.route.and_then(|number| snapshot.routes.get(number)) {
        route.chain.on_refusal(cx);
    }
}

/// The templates of the api around a request that has no route.
fn unrouted<'c>(session: &Session, ctx: &'c ProxyCtx) -> &'c Arc<Templates> {
    let header = session.req_header();
    let target = Target {
        host: &ctx.matched.host,
        path: header.uri.path(),
        method: header.method.as_str(),
        query: header.uri.query(),
        headers: &header.headers,
        body: Reading::Unfit,
    };
    ctx.snapshot.areas.find(&target).unwrap_or(&ctx.snapshot.replies)
}

/// Writes a whole answer, with its length and the request id.
pub async fn write(session: &mut Session, ctx: &mut ProxyCtx, answer: Fixed) -> Result<()> {
    let Fixed { status, fields, body } = answer;
    ctx.cx.changes.ledger.held.clear(); // nothing is under way any more
    if !is_worth_draining(session, ctx) {
        session.set_keepalive(None);
    }
    let head_only = session.req_header().method == Method::HEAD || !may_have_body(status);
    let mut header = head(status, fields, body.len(), &ctx.ids.request);
    unwind(session, &mut header, ctx);
    let body = if may_have_body(status) && !body.is_empty() && changes_bodies(ctx) {
        match Box::pin(change_whole(session, ctx, (&mut header, body.clone()), (0, Maker::Gateway))).await {
            Ok(changed) => changed,
            // A refusal in place of a refusal would help nobody: it goes out as it is, in a head that says so.
            Err(_) => return write_plain(session, ctx, (status, body)).await,
        }
    } else {
        body
    };
    if head_only || body.is_empty() {
        write_head(session, header).await?;
        ctx.outcome.answered = true;
        return Ok(());
    }
    session.write_response_header(Box::new(header), false).await?;
    ctx.outcome.answered = true;
    ctx.outcome.bytes_out += body.len() as u64;
    session.write_response_body(Some(body), true).await
}

fn changes_bodies(ctx: &ProxyCtx) -> bool {
    ctx.route().is_some_and(|route| route.chain.changes_response_bodies())
}

/// Writes an answer whose body could not be changed: 500, and nothing of it.
async fn write_plain(session: &mut Session, ctx: &mut ProxyCtx, (status, body): (StatusCode, Bytes)) -> Result<()> {
    log::error!(
        "an answer of the gateway's own ({status}, {} bytes) could not be changed as its route asks",
        body.len()
    );
    ctx.outcome.reason.get_or_insert(Reason::Internal);
    let header = head(StatusCode::INTERNAL_SERVER_ERROR, Vec::new(), 0, &ctx.ids.request);
    ctx.outcome.answered = true;
    write_head(session, header).await
}

/// Runs the response hooks of the policies the request has passed over an answer of the gateway's own.
fn unwind(session: &Session, header: &mut ResponseHeader, ctx: &mut ProxyCtx) {
    let ProxyCtx { snapshot, cx, matched, cache, .. } = &mut *ctx;
    let chain = matched.route.and_then(|number| snapshot.routes.get(number)).map(|route| &route.chain);
    if chain.is_none_or(|chain| !chain.changes_responses()) && cx.changes.response.is_empty() && cache.is_none() {
        return;
    }
    edit_response(header, |parts| {
        if let Some(chain) = chain {
            let mut view = ResponseView {
                request: answered(session),
                status: parts.status.as_u16(),
                maker: Maker::Gateway,
                headers: &mut parts.headers,
            };
            chain.on_response(matched.progress, cx, &mut view);
        }
        for (name, value) in cx.changes.response.drain(..) {
            parts.headers.append(name, value);
        }
        for (name, value) in cache.iter().flat_map(|state| state.outcome.fields(state.plan.x_cache)) {
            parts.headers.append(name, value);
        }
    });
}

/// The request that is being answered, as policies see it then.
pub fn answered(session: &Session) -> Answered<'_> {
    let header = session.req_header();
    Answered { method: header.method.as_str(), headers: &header.headers }
}

/// Writes an answer that is only a head.
///
/// Over HTTP/2 the head itself ends the stream: there alone gRPC clients take a status in it for the last word. Pingora's
/// session would leave the stream open, and cut it off where the exchange has failed.
async fn write_head(session: &mut Session, header: ResponseHeader) -> Result<()> {
    match session.downstream_session.as_mut() {
        ServerSession::H2(stream) => stream.write_response_header(Box::new(header), true),
        _ => session.write_response_header(Box::new(header), true).await,
    }
}

/// Whether the request is read to its end, or is worth it, for the sake of the connection.
fn is_worth_draining(session: &Session, ctx: &ProxyCtx) -> bool {
    let whole = Fence::of(&session.downstream_session).is_some_and(Fence::is_whole);
    whole || (is_short(ctx.cx.body) && !waits_for_leave(session))
}

/// Whether the length of the body is known, and short enough to be read for nothing.
pub fn is_short(body: Body) -> bool {
    match body {
        Body::None => true,
        Body::Length(length) => length <= WORTH_DRAINING as u64,
        Body::Unknown => false,
    }
}

/// Whether the client sends its body only once it is told to (RFC 9110 §10.1.1): after a final answer nobody can tell
/// whether the next bytes are that body or another request.
pub fn waits_for_leave(session: &Session) -> bool {
    session.req_header().headers.contains_key(header::EXPECT)
}

fn head(
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    length: usize,
    request_id: &HeaderValue,
) -> ResponseHeader {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = status;
    for (name, value) in fields {
        parts.headers.append(name, value);
    }
    if may_have_body(status) {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !request_id.is_empty() {
        parts.headers.insert(X_REQUEST_ID, request_id.clone());
    }
    ResponseHeader::from(parts)
}

/// A refusal as bytes, for a connection on which no request could be read: problem details, then the end.
pub fn refusal_bytes(gate: &Gate, reply: &Reply, request_id: &HeaderValue) -> Bytes {
    let snapshot = gate.shared.store.peek();
    let rendered = render(reply, Form::Problem, &snapshot.replies, request_id.to_str().unwrap_or_default());
    to_h1_bytes(&rendered, request_id)
}

fn to_h1_bytes(rendered: &Rendered, request_id: &HeaderValue) -> Bytes {
    use std::io::Write as _;
    let mut out: Vec<u8> = Vec::with_capacity(512);
    let reason = rendered.status.canonical_reason().unwrap_or_default();
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", rendered.status.as_str());
    for (name, value) in &rendered.fields {
        push_line(&mut out, name.as_str(), value.as_bytes());
    }
    push_line(&mut out, "content-length", rendered.body.len().to_string().as_bytes());
    push_line(&mut out, "x-request-id", request_id.as_bytes());
    push_line(&mut out, "connection", b"close");
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&rendered.body);
    Bytes::from(out)
}

fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
