//! A piece of the request's body on its way up.

use super::bodies::through;
use super::ctx::ProxyCtx;
use super::mirror;
use crate::policy::{BodyDecision, BodyPiece};
use crate::reply::{Reason, Reply};
use crate::request::Body;
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

/// Runs the moment; `end` with the last piece. A refusal ends the exchange; `fail_to_proxy` writes it.
pub async fn run(session: &mut Session, body: &mut Option<Bytes>, end: bool, ctx: &mut ProxyCtx) -> Result<()> {
    if let Some(ahead) = &mut ctx.exchange.ahead {
        ahead.put_before(body);
    }
    let bytes = body.as_deref().unwrap_or_default();
    if end || !bytes.is_empty() {
        decide(session, BodyPiece { bytes, last: end }, ctx)?;
    }
    ctx.exchange.grpc_web.request_chunk(body, end).map_err(|_| {
        let detail = "The body is not the base64 that application/grpc-web-text stands for.";
        refuse(ctx, Box::new(Reply::new(Reason::BadRequest).detail(detail)))
    })?;
    if !ctx.exchange.bodies.up.is_empty() && !session.was_upgraded() {
        Box::pin(change(body, end, ctx)).await?;
    }
    mirror::piece(body, end, ctx);
    Ok(())
}

/// What the route's policies make of a piece. Until the end an empty piece stands for one that was swallowed: none at all
/// would end the body.
async fn change(body: &mut Option<Bytes>, end: bool, ctx: &mut ProxyCtx) -> Result<()> {
    let piece = body.take().unwrap_or_default();
    match through(&mut ctx.exchange.bodies.up, piece, end).await {
        Ok(piece) => {
            *body = Some(piece).filter(|piece| !end || !piece.is_empty());
            Ok(())
        }
        Err(reply) => Err(refuse(ctx, reply)),
    }
}

/// What the route's policies say to a piece. A body of declared length has ended with its last byte: the upstream would
/// take it for whole, whether or not an end is told apart from it.
fn decide(session: &Session, mut piece: BodyPiece<'_>, ctx: &mut ProxyCtx) -> Result<()> {
    ctx.cx.body_bytes += piece.bytes.len() as u64;
    piece.last |= ctx.cx.body == Body::Length(ctx.cx.body_bytes);
    let ProxyCtx { snapshot, matched, cx, .. } = &mut *ctx;
    let Some(route) = matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(()) };
    if !route.chain.reads_request_body() || session.was_upgraded() {
        return Ok(());
    }
    match route.chain.on_request_body(cx, piece) {
        BodyDecision::Continue => Ok(()),
        BodyDecision::Reply(reply) => Err(refuse(ctx, reply)),
    }
}

fn refuse(ctx: &mut ProxyCtx, reply: Box<Reply>) -> Box<Error> {
    let status = reply.reason.status().as_u16();
    ctx.matched.refusal = Some(reply);
    Error::new_down(ErrorType::HTTPStatus(status))
}
