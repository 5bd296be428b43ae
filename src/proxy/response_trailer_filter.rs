//! The trailers of an answer from an HTTP/2 upstream are about to go to the client.

use super::ctx::ProxyCtx;
use bytes::Bytes;
use http::HeaderMap;

/// Runs the moment; bytes are written at the end of the body in place of the trailers.
pub fn run(trailers: &HeaderMap, ctx: &mut ProxyCtx) -> Option<Bytes> {
    let frame = ctx.exchange.grpc_web.trailers(trailers)?;
    ctx.outcome.bytes_out += frame.len() as u64;
    Some(frame)
}
