//! A piece of the request's body on its way up.

use super::ctx::ProxyCtx;
use crate::policy::Decision;
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;

/// Runs the moment. A refusal ends the exchange; `fail_to_proxy` writes it.
pub fn run(session: &mut Session, body: &mut Option<Bytes>, ctx: &mut ProxyCtx) -> Result<()> {
    let Some(chunk) = body.as_ref() else { return Ok(()) };
    ctx.cx.body_bytes += chunk.len() as u64;
    let snapshot = ctx.snapshot.clone();
    let Some(route) = ctx.matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(()) };
    if !route.chain.reads_request_body() || session.was_upgraded() {
        return Ok(());
    }
    match route.chain.on_request_body(&mut ctx.cx, chunk.len()) {
        Decision::Continue => Ok(()),
        Decision::Reply(reply) => {
            let status = reply.reason.status().as_u16();
            ctx.matched.refusal = Some(reply);
            Err(Error::new_down(ErrorType::HTTPStatus(status)))
        }
    }
}
