//! A piece of the request's body on its way up.

use super::ctx::ProxyCtx;
use crate::policy::BodyDecision;
use crate::reply::{Reason, Reply};
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

/// Runs the moment; `end` with the last piece. A refusal ends the exchange; `fail_to_proxy` writes it.
pub fn run(session: &mut Session, body: &mut Option<Bytes>, end: bool, ctx: &mut ProxyCtx) -> Result<()> {
    if let Some(chunk) = body.as_ref() {
        decide(session, chunk.len(), ctx)?;
    }
    ctx.exchange.grpc_web.request_chunk(body, end).map_err(|_| {
        let detail = "The body is not the base64 that application/grpc-web-text stands for.";
        refuse(ctx, Box::new(Reply::new(Reason::BadRequest).detail(detail)))
    })
}

/// What the route's policies say to a piece of that many bytes.
fn decide(session: &Session, length: usize, ctx: &mut ProxyCtx) -> Result<()> {
    ctx.cx.body_bytes += length as u64;
    let ProxyCtx { snapshot, matched, cx, .. } = &mut *ctx;
    let Some(route) = matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(()) };
    if !route.chain.reads_request_body() || session.was_upgraded() {
        return Ok(());
    }
    match route.chain.on_request_body(cx, length) {
        BodyDecision::Continue => Ok(()),
        BodyDecision::Reply(reply) => Err(refuse(ctx, reply)),
    }
}

fn refuse(ctx: &mut ProxyCtx, reply: Box<Reply>) -> Box<Error> {
    let status = reply.reason.status().as_u16();
    ctx.matched.refusal = Some(reply);
    Error::new_down(ErrorType::HTTPStatus(status))
}
