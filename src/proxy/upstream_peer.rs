//! Which endpoint to ask, at each attempt.

use super::answer::is_short;
use super::ctx::{Flow, ProxyCtx};
use super::{Gate, Random, fallback};
use crate::exchange::call::{Callee, LONGEST_SILENCE, hash, no_endpoint, shown};
use crate::reply::{Reason, Reply};
use crate::routing::{Reading, Target as Asked};
use crate::snapshot::{Action, Draw};
use crate::upstream::Ask;
use http::header;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::Instant;

/// Runs the moment: the endpoint chosen in `request_filter`, or on a retry another one.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<Box<HttpPeer>> {
    let pause = std::mem::take(&mut ctx.exchange.pause);
    if !pause.is_zero() {
        Box::pin(pingora_timeout::sleep(pause)).await;
    }
    attempt(gate, session, ctx)
}

fn attempt(gate: &Gate, session: &Session, ctx: &mut ProxyCtx) -> Result<Box<HttpPeer>> {
    if ctx.exchange.picked.is_none()
        && let Err(reply) = choose(gate, session, ctx)
    {
        let status = reply.reason.status().as_u16();
        ctx.matched.refusal = Some(Box::new(reply));
        return Err(Error::new_up(ErrorType::HTTPStatus(status)));
    }
    let began = ctx.exchange.attempt_began; // set as the endpoint was chosen, a moment ago
    let remaining = ctx.remaining(began);
    if remaining.is_some_and(|left| left.is_zero()) {
        ctx.matched.refusal = Some(Box::new(Reason::Deadline.into()));
        return Err(Error::new_up(ErrorType::HTTPStatus(504)));
    }
    ctx.exchange.attempts += 1;
    ctx.cx.body_bytes = 0; // a replayed body is counted anew
    if let Some(digest) = &mut ctx.cx.identity.body {
        digest.restart();
    }
    ctx.exchange.connection = None;
    let Some(picked) = &ctx.exchange.picked else { return Err(Error::new_up(ErrorType::InternalError)) };
    let own = picked.prebuilt().options.read_timeout;
    let each = ctx.route().and_then(|route| route.retries.per_try).filter(|_| ctx.exchange.flow == Flow::Bounded);
    let read = match ctx.exchange.flow {
        Flow::Streaming => Some(own.map_or(LONGEST_SILENCE, |own| own.max(LONGEST_SILENCE))),
        Flow::Bounded => [remaining, own, each].into_iter().flatten().min(),
    };
    let mut peer = picked.peer(read);
    if let Some(left) = [remaining, each].into_iter().flatten().min() {
        let connect = &mut peer.options.total_connection_timeout;
        *connect = Some(connect.map_or(left, |own| own.min(left)));
    }
    Ok(peer)
}

/// The upstream that has been chosen for the request.
pub fn chosen(ctx: &ProxyCtx) -> Option<&Callee> {
    let route = ctx.route()?;
    if ctx.exchange.standin.turned {
        return route.traffic.as_ref()?.fallback.as_ref()?.to.as_ref();
    }
    let Action::Forward(target) = &route.action else { return None };
    Some(&target.choices().get(ctx.exchange.choice?)?.to)
}

/// Chooses an upstream, once, and an endpoint of it.
pub fn choose(gate: &Gate, session: &Session, ctx: &mut ProxyCtx) -> std::result::Result<(), Reply> {
    let [ticket, random] = Random::bits();
    if ctx.exchange.choice.is_none() {
        ctx.exchange.choice = split(session, ctx, ticket);
    }
    let Some(chosen) = chosen(ctx) else { return Err(Reason::Internal.into()) };
    let began = Instant::now();
    let now = gate.shared.clock.at(began);
    if ctx.exchange.attempts == ctx.exchange.standin.earlier {
        chosen.upstream.budget().count_request(now);
    }
    let (request, client) = (session.req_header(), ctx.cx.client.address);
    let spec = chosen.upstream.spec();
    let hash = hash(&spec.balance, client, request.uri.path(), &request.headers);
    let shown = shown(spec, &request.headers);
    let priority = ctx.route().map(|route| route.priority).unwrap_or_default();
    // How long a long body takes to come is the client's doing. Calls of gRPC never say how long theirs is.
    let untimed = ctx.exchange.flow == Flow::Bounded && !is_short(ctx.cx.body);
    let (tried, subset) = (&*ctx.exchange.tried, chosen.subset);
    let ask = Ask { hash, shown: shown.as_deref(), subset, tried, now, random, priority, untimed };
    let picked = match chosen.upstream.pick(&ask) {
        Ok(picked) => picked,
        Err(why) => {
            let reply = no_endpoint(why);
            let outage = fallback::outage(reply.reason);
            // Once at most: there is no other upstream to turn to after that.
            return match outage.is_some_and(|outage| fallback::turn(gate, session, ctx, outage)) {
                true => choose(gate, session, ctx),
                false => Err(reply),
            };
        }
    };
    ctx.exchange.picked = Some(picked);
    ctx.exchange.attempt_began = began;
    Ok(())
}

/// The upstream that the request is sent to: by what it says, else by the shares. Who is to be known again and is not yet
/// gets a cookie with the answer.
pub fn split(session: &Session, ctx: &mut ProxyCtx, ticket: u64) -> Option<usize> {
    let ProxyCtx { snapshot, matched, cx, .. } = &mut *ctx;
    let route = matched.route.and_then(|number| snapshot.routes.get(number))?;
    let Action::Forward(target) = &route.action else { return None };
    let request = session.req_header();
    let asked = Asked {
        host: &matched.host,
        path: request.uri.path(),
        method: request.method.as_str(),
        query: request.uri.query(),
        headers: &request.headers,
        body: Reading::Unfit,
    };
    if let Some(forced) = target.forced(&asked) {
        return Some(forced);
    }
    if let Some(key) = target.key(cx, &request.headers) {
        return target.by_share(Draw::Key(key));
    }
    let Some((key, field)) = target.issue(cx.scheme, ticket) else { return target.by_share(Draw::Random(ticket)) };
    cx.changes.response.push((header::SET_COOKIE, field));
    target.by_share(Draw::Key(key))
}
