//! The trailers of an answer from an HTTP/2 upstream are about to go to the client.

use super::bodies::Down;
use super::ctx::ProxyCtx;
use bytes::Bytes;
use http::HeaderMap;

/// Runs the moment; bytes are written at the end of the body in place of the trailers.
pub fn run(trailers: &HeaderMap, ctx: &mut ProxyCtx) -> Option<Bytes> {
    match &mut ctx.exchange.bodies.down {
        Down::Untouched => {}
        // The end of a body that is changed piece by piece comes in their place: trailers may be dropped (RFC 9110 §6.5.1).
        Down::Streaming(streams) => return Some(streams.piece(Bytes::new(), true).unwrap_or_default()),
        Down::Held(held) => {
            held.complete = true;
            return Some(Bytes::new());
        }
    }
    let frame = ctx.exchange.grpc_web.trailers(trailers)?;
    ctx.outcome.bytes_out += frame.len() as u64;
    Some(frame)
}
