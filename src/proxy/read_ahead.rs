//! Reads a body before its route is known, where routes are told apart by what is in it.
//!
//! Pingora sends what was read early once more, up to 64 KiB. A body that says that it is longer is not looked at, and one
//! that turns out to be is read no further: it goes on from there. Pieces come as large as 64 KiB over HTTP/1 and 16 KiB
//! over HTTP/2, so that of a body without a length only what cannot go beyond the room is read, or, where a piece did, the
//! gateway itself puts what it has read before the rest.

use super::Gate;
use super::ctx::ProxyCtx;
use super::early_request_filter::find_route;
use crate::reply::{Reason, Reply};
use crate::request::Body;
use crate::routing::{MOST_READ, Reading, content};
use bytes::{Bytes, BytesMut};
use pingora_core::{Error, Result};
use pingora_proxy::Session;

/// The largest piece of a body over HTTP/2 (RFC 9113 §6.5.2: SETTINGS_MAX_FRAME_SIZE, which is left as it is).
const PIECE: usize = 16 * 1024;

/// What was read of a body before its route was known.
#[derive(Default)]
pub struct Ahead {
    bytes: Bytes,
    /// Whether nobody else sends it once more.
    lost: bool,
    /// Whether it has gone to the upstream of this attempt.
    sent: bool,
}

impl Ahead {
    /// Another attempt begins.
    pub fn again(&mut self) {
        self.sent = false;
    }

    /// Whoever reads the rest of the body is to have it first.
    pub fn hand_over(&mut self) {
        self.lost = true;
    }

    /// Puts it before the first piece that comes.
    pub fn put_before(&mut self, piece: &mut Option<Bytes>) {
        if !self.lost || std::mem::replace(&mut self.sent, true) {
            return;
        }
        let whole = match piece.take() {
            None => self.bytes.clone(),
            Some(piece) => [&*self.bytes, &*piece].concat().into(),
        };
        *piece = Some(whole).filter(|whole| !whole.is_empty());
    }
}

/// Finds the route of a request that could not be found without its body.
///
/// # Errors
/// The client has left.
pub async fn decide(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<()> {
    let Some(slash) = ctx.matched.undecided.take() else { return Ok(()) };
    let reading = read(session, ctx);
    let Ok(body) = pingora_timeout::timeout(gate.listener.bounds.body, reading).await else {
        ctx.matched.refusal = Some(Box::new(Reason::SlowRequest.into()));
        return Ok(());
    };
    let said = body?.and_then(|body| content(&session.req_header().headers, &body));
    let reading = said.as_ref().map_or(Reading::Unfit, Reading::Read);
    let found = find_route(session.req_header(), ctx, slash, reading);
    let refusal = match found {
        // Nobody asks about the body of a request that only asks what it may do.
        Ok(()) if ctx.matched.undecided.take().is_some() => Some(Reply::from(Reason::NoRoute)),
        found => found.err(),
    };
    ctx.matched.refusal = refusal.map(Box::new);
    Ok(())
}

/// The whole body; `None` where it is too long.
async fn read(session: &mut Session, ctx: &mut ProxyCtx) -> Result<Option<Bytes>> {
    let most = match ctx.cx.body {
        Body::None => return Ok(Some(Bytes::new())),
        Body::Length(length) if length > MOST_READ as u64 => return Ok(None),
        Body::Length(_) => MOST_READ,
        Body::Unknown => MOST_READ - PIECE,
    };
    if super::answer::waits_for_leave(session) {
        session.as_mut().write_continue_response().await?;
    }
    session.as_mut().enable_retry_buffering();
    let mut read = BytesMut::new();
    let whole = loop {
        if session.as_mut().is_body_done() {
            break true;
        }
        if read.len() > most {
            break false;
        }
        match session.as_mut().read_body_or_idle(false).await.map_err(Error::into_down)? {
            Some(piece) => read.extend_from_slice(&piece),
            None => break true,
        }
    };
    let bytes = read.freeze();
    let lost = session.as_ref().retry_buffer_truncated();
    ctx.exchange.ahead = Some(Box::new(Ahead { bytes: bytes.clone(), lost, sent: false }));
    Ok(Some(bytes).filter(|bytes| whole && bytes.len() <= MOST_READ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_goes_before_the_first_piece_of_each_attempt_once() {
        let ahead = |lost| Ahead { bytes: Bytes::from_static(b"ab"), lost, sent: false };
        let put = |ahead: &mut Ahead, piece: Option<&'static str>| {
            let mut piece = piece.map(Bytes::from);
            ahead.put_before(&mut piece);
            piece
        };
        let mut kept = ahead(false);
        assert_eq!(put(&mut kept, Some("c")).as_deref(), Some(&b"c"[..]));
        kept.hand_over();
        assert_eq!(put(&mut kept, None).as_deref(), Some(&b"ab"[..]));
        assert_eq!(put(&mut kept, None), None);
        let mut lost = ahead(true);
        for _ in 0..2 {
            assert_eq!(put(&mut lost, Some("c")).as_deref(), Some(&b"abc"[..]));
            assert_eq!(put(&mut lost, Some("d")).as_deref(), Some(&b"d"[..]));
            lost.again();
        }
    }
}
