//! A piece of the answer's body on its way to the client: translated, counted, and cut off at the deadline.

use super::bodies::Down;
use super::ctx::{Flow, ProxyCtx};
use super::mirror;
use super::response_filter::refuse;
use crate::reply::Reason;
use bytes::Bytes;
use pingora_core::{Error, ErrorType, Result};
use std::time::{Duration, Instant};

/// Runs the moment.
///
/// Pingora bounds the silence between two pieces, not the whole: a body that keeps dripping past the deadline is cut at
/// its next piece.
pub fn run(body: &mut Option<Bytes>, end_of_stream: bool, ctx: &mut ProxyCtx) -> Result<Option<Duration>> {
    let end_of_stream = end_of_stream
        || ctx.cache.as_ref().and_then(|state| state.asked.as_ref()).is_some_and(|asked| asked.has_ended());
    mirror::answer_piece(body, end_of_stream, ctx);
    ctx.exchange.grpc_web.response_chunk(body);
    let worked = match &mut ctx.exchange.bodies.down {
        Down::Untouched => Ok(()),
        Down::Streaming(streams) => {
            streams.piece(body.take().unwrap_or_default(), end_of_stream).map(|piece| set(body, piece))
        }
        Down::Held(held) => held.piece(body.take().unwrap_or_default(), end_of_stream),
    };
    if let Err(reply) = worked {
        return Err(refuse(ctx, reply));
    }
    ctx.outcome.bytes_out += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
    if end_of_stream {
        // Before the client has the last of it: whoever waits for one answer before the next request has one under way.
        ctx.cx.changes.ledger.held.clear();
    }
    if end_of_stream || ctx.exchange.flow == Flow::Streaming {
        return Ok(None);
    }
    if ctx.remaining(Instant::now()).is_some_and(|left| left.is_zero()) {
        ctx.outcome.reason = Some(Reason::Deadline);
        return Err(Error::new_up(ErrorType::HTTPStatus(504)));
    }
    Ok(None)
}

/// A piece that is empty is none: over HTTP/1 it would stand for the end.
fn set(body: &mut Option<Bytes>, piece: Bytes) {
    *body = Some(piece).filter(|piece| !piece.is_empty());
}
