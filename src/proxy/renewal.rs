//! Fetches a new answer in the background while what is out of date is given (RFC 5861 §3).
//!
//! The fetch is a request of its own to Pingora, but not to the policies: the one it is fetched for has passed them, with
//! what they made of it.

use super::ctx::{ProxyCtx, Purpose};
use crate::policy::Progress;
use crate::request::{Changes, RequestCx};
use crate::routing::Captures;
use crate::snapshot::Snapshot;
use http::Method;
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use pingora_proxy::subrequest::Ctx;
use std::sync::Arc;

/// What a request hands on to the one that renews its answer.
struct Renewal {
    snapshot: Arc<Snapshot>,
    header: RequestHeader,
    cx: RequestCx,
    route: Option<usize>,
    captures: Captures,
    host: Box<str>,
    id: http::HeaderValue,
}

/// Begins it.
pub fn begin(session: &Session, ctx: &ProxyCtx) {
    let Some(spawner) = &session.subrequest_spawner else { return };
    let mut header = session.req_header().clone();
    header.set_method(Method::GET);
    let renewal = Renewal {
        snapshot: Arc::clone(&ctx.snapshot),
        header,
        cx: of_its_own(&ctx.cx),
        route: ctx.matched.route,
        captures: ctx.matched.captures.clone(),
        host: ctx.matched.host.clone(),
        id: ctx.ids.request.clone(),
    };
    let handed_on = Ctx::builder().user_ctx(Box::new(Some(renewal))).build();
    // It ends by itself: its upstream has a deadline.
    drop(spawner.spawn_background_subrequest(session.as_ref(), handed_on));
}

/// What policies have made of the request, without what they have counted for it.
fn of_its_own(cx: &RequestCx) -> RequestCx {
    let Changes { held, asked, .. } = &cx.changes;
    RequestCx {
        client: cx.client,
        scheme: cx.scheme,
        identity: cx.identity.clone(),
        changes: Changes { held: *held, asked: asked.clone(), ..Changes::default() },
        ..RequestCx::new(cx.time)
    }
}

/// Takes over what was handed on. False for a request of a client.
pub fn take_over(session: &mut Session, ctx: &mut ProxyCtx) -> bool {
    let handed_on = session.subrequest_ctx.as_mut().and_then(|parent| parent.user_ctx_mut());
    let renewal = handed_on.and_then(|any| any.downcast_mut::<Option<Renewal>>()).and_then(Option::take);
    let Some(renewal) = renewal else { return false };
    *session.downstream_session.req_header_mut() = renewal.header;
    let time = ctx.cx.time;
    ctx.snapshot = renewal.snapshot;
    ctx.cx = RequestCx { time, ..renewal.cx };
    ctx.matched.route = renewal.route;
    ctx.matched.captures = renewal.captures;
    ctx.matched.host = renewal.host;
    ctx.matched.progress = Progress::DONE;
    ctx.matched.purpose = Purpose::Renewal;
    ctx.ids.request = renewal.id;
    true
}
