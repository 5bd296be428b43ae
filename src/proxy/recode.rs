//! A kept answer that is only to be coded: that is done once, and kept beside it.

use super::bodies::Down;
use super::ctx::ProxyCtx;
use super::fields::edit_response;
use crate::cache::Hit;
use crate::reply::Reply;
use http::{HeaderValue, header};
use pingora_cache::CachePhase;
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// Gives the coded body in place of coding it, where the answer is a kept one that is whole in memory.
///
/// # Errors
/// The refusal that takes the place of the answer: it cannot be coded.
pub fn run(session: &mut Session, response: &mut ResponseHeader, ctx: &mut ProxyCtx) -> Result<(), Box<Reply>> {
    let Down::Streaming(streams) = &mut ctx.exchange.bodies.down else { return Ok(()) };
    if !matches!(session.cache.phase(), CachePhase::Hit | CachePhase::Stale | CachePhase::StaleUpdating) {
        return Ok(());
    }
    let Some(kept_as) = streams.kept_as() else { return Ok(()) };
    let Some(hit) = session.cache.hit_handler().as_any_mut().downcast_mut::<Hit>() else { return Ok(()) };
    let Some(length) = hit.recode(kept_as, |whole| streams.piece(whole, true))? else { return Ok(()) };
    ctx.exchange.bodies.down = Down::Untouched;
    edit_response(response, |parts| {
        parts.headers.remove(header::TRANSFER_ENCODING);
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    });
    Ok(())
}
