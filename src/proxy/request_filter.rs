//! Before any upstream work: answer what can be answered here, run the route's policies on the head, and make sure that
//! there is an endpoint to ask.

use super::answer::{answered, write, write_refusal};
use super::ctx::{Flow, Matched, ProxyCtx, Purpose};
use super::early_request_filter::set_path;
use super::fence::Fence;
use super::fields::{HeadFields, edit_request};
use super::invalidation::purge;
use super::{Gate, Random, batch, called, deadline, exchange, fallback, read_ahead, upstream_peer};
use crate::exchange::Redirect;
use crate::policy::transform::{Facts, Standing, Value};
use crate::policy::{Decision, Resume, Wait};
use crate::reply::{Fixed, Reason, Reply};
use crate::request::{Asked, RequestView};
use crate::routing::{BadPath, Router};
use crate::snapshot::{Action, Route};
use http::{HeaderMap, Uri, Version, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::Instant;

/// What every content type of gRPC and of gRPC-Web begins with.
const GRPC: &[u8] = b"application/grpc";

/// Runs the moment; `true` when the answer has been written. What waits or writes is boxed, or every request that goes on
/// would make room for it too.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<bool> {
    match ctx.matched.purpose {
        Purpose::Answer => {}
        Purpose::Renewal => return Ok(false),
        Purpose::Purge => {
            let done = purge(gate, session, ctx).await;
            Box::pin(write(session, ctx, done)).await?;
            return Ok(true);
        }
    }
    if ctx.matched.undecided.is_some() {
        Box::pin(read_ahead::decide(gate, session, ctx)).await?;
    }
    if let Some(reply) = ctx.matched.refusal.take() {
        Box::pin(write_refusal(session, ctx, &reply)).await?;
        return Ok(true);
    }
    if let Err(reply) = check(gate, session, ctx) {
        Box::pin(write_refusal(session, ctx, &reply)).await?;
        return Ok(true);
    }
    let decided = match step(session, ctx, None) {
        Decision::Wait(wait) => Box::pin(wait_for(wait, session, ctx)).await,
        decision => decision,
    };
    match decided {
        Decision::Continue => {}
        Decision::Reply(reply) => {
            Box::pin(write_refusal(session, ctx, &reply)).await?;
            return Ok(true);
        }
        Decision::Answer(fixed) => {
            Box::pin(write(session, ctx, *fixed)).await?;
            return Ok(true);
        }
        // `wait_for` has waited for all of them.
        Decision::Wait(_) => return Err(Error::new(ErrorType::InternalError)),
    }
    if ctx.route().is_some_and(|route| matches!(route.action, Action::Forward(_))) {
        if ctx.route().is_some_and(|route| route.cache.is_some()) {
            bound(session, ctx);
            return Ok(false); // an endpoint is chosen once memory has no answer
        }
        let calls = |route: &Route| route.traffic.as_ref().is_some_and(|traffic| traffic.may_call());
        if ctx.route().is_some_and(calls) && Box::pin(called::run(gate, session, ctx)).await? {
            return Ok(true);
        }
        let Err(reply) = upstream_peer::choose(gate, session, ctx) else {
            bound(session, ctx);
            return Ok(false);
        };
        Box::pin(fallback::refuse(gate, session, ctx, &reply)).await?;
        return Ok(true);
    }
    Box::pin(answer(gate, session, ctx)).await?;
    Ok(true)
}

/// The exchange that begins now is over by the deadline, however its waits add up.
fn bound(session: &Session, ctx: &ProxyCtx) {
    let timeout = ctx.timeout().filter(|_| ctx.exchange.flow == Flow::Bounded);
    if let Some(timeout) = timeout
        && let Some(fence) = Fence::of(&session.downstream_session)
    {
        fence.end_at(ctx.cx.time.started + timeout);
    }
}

/// What the route answers by itself.
async fn answer(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<()> {
    let snapshot = ctx.snapshot.clone();
    let action = ctx.matched.route.and_then(|number| snapshot.routes.get(number)).map(|route| &route.action);
    match action {
        None | Some(Action::Forward(_) | Action::Policies) => {
            write_refusal(session, ctx, &Reason::NoRoute.into()).await
        }
        Some(Action::Batch(own)) => batch::run(gate, session, ctx, Arc::clone(own)).await,
        Some(Action::Exchange(own)) => exchange::run(gate, session, ctx, Arc::clone(own)).await,
        Some(Action::Respond(answers)) => {
            if let Some(delay) = answers.delay {
                let left = ctx.remaining(Instant::now()).unwrap_or(delay);
                tokio::time::sleep(delay.min(left)).await;
                if left < delay {
                    return write_refusal(session, ctx, &Reason::Deadline.into()).await;
                }
            }
            if answers.asks() {
                ask(session, ctx);
            }
            let fixed = answers.answer(&facts(session, ctx));
            write(session, ctx, fixed).await
        }
        Some(Action::Redirect(redirect, values)) => {
            if !values.is_empty() {
                ask(session, ctx);
            }
            match redirected(redirect, values, session, ctx) {
                Ok(fixed) => write(session, ctx, fixed).await,
                Err(_) => write_refusal(session, ctx, &Reason::BadPath.into()).await,
            }
        }
    }
}

fn redirected(
    redirect: &Redirect,
    values: &[Value],
    session: &Session,
    ctx: &ProxyCtx,
) -> std::result::Result<Fixed, BadPath> {
    let (uri, facts) = (&session.req_header().uri, facts(session, ctx));
    let mut others = |number: usize| values.get(number)?.expand(&facts, Standing::Text);
    redirect.answer(uri.path(), uri.query(), &ctx.matched.captures, &mut others)
}

/// Keeps what was asked for, where nothing has yet.
pub fn ask(session: &Session, ctx: &mut ProxyCtx) {
    if ctx.cx.changes.asked.is_none() {
        ctx.cx.changes.asked = Some(Box::new(asked(&ctx.snapshot.router, &ctx.matched, &session.req_header().uri)));
    }
    if ctx.cx.identity.request_id.is_none() {
        ctx.cx.identity.request_id = Some(ctx.ids.request.clone());
    }
}

/// What answers of the gateway's own are made of.
pub fn facts<'f>(session: &'f Session, ctx: &'f ProxyCtx) -> Facts<'f> {
    Facts { cx: &ctx.cx, request: answered(session), status: None }
}

/// What the frame checks of every request.
fn check(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> std::result::Result<(), Box<Reply>> {
    let priority = ctx.route().map(|route| route.priority).unwrap_or_default();
    if gate.shared.pressure.get(gate.worker.0).is_some_and(|worker| !worker.admits(priority, Random::next)) {
        return Err(Box::new(Reason::Overloaded.into()));
    }
    let header = session.req_header();
    if header.version < Version::HTTP_2 && is_grpc(&header.headers) {
        let detail = "gRPC needs HTTP/2 from end to end; connect with HTTP/2, or use gRPC-Web.";
        return Err(Box::new(Reply::new(Reason::UnsupportedProtocol).detail(detail)));
    }
    if is_misdirected(gate, session, &ctx.matched.host) {
        return Err(Box::new(Reason::WrongHost.into()));
    }
    ctx.exchange.flow = flow_of(session);
    ctx.exchange.hurry = deadline::told(&session.req_header().headers, ctx);
    Ok(())
}

/// Waits for what a policy has asked for and goes on with the policies, until none of them has anything to wait for.
async fn wait_for(mut wait: Wait, session: &mut Session, ctx: &mut ProxyCtx) -> Decision {
    loop {
        let answer = wait.into_future();
        let resumed = match ctx.remaining(Instant::now()) {
            Some(remaining) => pingora_timeout::timeout(remaining, answer).await,
            None => Ok(answer.await),
        };
        let Ok(resume) = resumed else { return Decision::reply(Reason::Deadline) };
        match step(session, ctx, Some(resume)) {
            Decision::Wait(next) => wait = next,
            decision => return decision,
        }
    }
}

/// Runs the policies until one does not let the request pass at once; what a wait has brought decides first.
fn step(session: &mut Session, ctx: &mut ProxyCtx, resume: Option<Resume>) -> Decision {
    let ProxyCtx { snapshot, matched, cx, ids, .. } = &mut *ctx;
    let Some(route) = matched.route.and_then(|number| snapshot.routes.get(number)) else { return Decision::Continue };
    if cx.identity.request_id.is_none() {
        cx.identity.request_id = Some(ids.request.clone());
    }
    let request = session.downstream_session.req_header_mut();
    // Copies of two reference counts: the fields alone may be changed while these are read.
    let (method, uri) = (request.method.clone(), request.uri.clone());
    if route.chain.remembers_what_was_asked() && cx.changes.asked.is_none() {
        cx.changes.asked = Some(Box::new(asked(&snapshot.router, matched, &uri)));
    }
    let mut view = RequestView {
        method: method.as_str(),
        host: &matched.host,
        path: uri.path(),
        query: uri.query(),
        headers: &mut HeadFields(request),
    };
    let decision = match resume.map(|resume| resume(cx, &mut view)) {
        None | Some(Decision::Continue) => route.chain.on_request(&mut matched.progress, cx, &mut view),
        Some(decision) => decision,
    };
    if let Some(query) = cx.changes.query.take() {
        let text = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
        let request = session.downstream_session.req_header_mut();
        if edit_request(request, |parts| set_path(parts, &text)).is_err() {
            return Decision::reply(Reason::BadPath);
        }
    }
    decision
}

/// What is kept of a request for policies that act after it has gone on.
fn asked(router: &Router, matched: &Matched, uri: &Uri) -> Asked {
    let rule = matched.route.and_then(|number| router.rules().get(number));
    let count = rule.map_or(0, |rule| rule.path.captures().len());
    let captured = |index| matched.captures.get(uri.path(), index).unwrap_or_default().into();
    Asked {
        host: matched.host.clone(),
        path: uri.path().into(),
        query: uri.query().map(Into::into),
        captures: (0..count).map(captured).collect(),
    }
}

/// Whether the certificate this connection was made with is not the one the Host would have been given
/// (RFC 9110 §7.4): another site's client certificate rules would otherwise be passed by.
fn is_misdirected(gate: &Gate, session: &Session, host: &str) -> bool {
    let Some(tls) = &gate.listener.tls else { return false };
    let Some(digest) = session.digest().and_then(|digest| digest.ssl_digest.as_ref()) else { return false };
    let Some(name) = digest.extension.get::<crate::listener::TlsName>() else { return false };
    !tls.same_certificate(name.sni.as_deref(), host)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value.starts_with(b"application/grpc") && !value.starts_with(b"application/grpc-web")
    })
}

/// Streams are told from other requests by what their clients must send: an upgrade, `Accept: text/event-stream`
/// (HTML, "server-sent events"), or a content type of gRPC or gRPC-Web.
fn flow_of(session: &Session) -> Flow {
    let headers = &session.req_header().headers;
    let events = headers
        .get(header::ACCEPT)
        .is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), b"text/event-stream").is_some());
    let grpc = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().get(..GRPC.len()))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(GRPC));
    if events || grpc || session.is_upgrade_req() { Flow::Streaming } else { Flow::Bounded }
}
