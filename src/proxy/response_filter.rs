//! The head of an answer is about to go to the client, in this gateway's own version of HTTP.

use super::Gate;
use super::affinity::renewed;
use super::answer::{answered, waits_for_leave};
use super::answer_body;
use super::bodies::{Down, Streams};
use super::ctx::{ProxyCtx, Purpose};
use super::fields::{X_REQUEST_ID, edit_response};
use super::invalidation::invalidate;
use super::recode;
use super::request_cache_filter::tell;
use super::socket;
use crate::policy::BodyWork;
use crate::reply::Reply;
use crate::request::{Body, Maker, ResponseView, remove_hop_by_hop};
use http::{HeaderValue, Method, StatusCode, Version, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

/// Runs the moment: hop-by-hop fields go (RFC 9110 §7.6.1), the request id comes, gRPC becomes gRPC-Web again.
pub fn run(gate: &Gate, session: &mut Session, response: &mut ResponseHeader, ctx: &mut ProxyCtx) -> Result<()> {
    if ctx.matched.purpose == Purpose::Renewal {
        return Ok(()); // nobody sees it
    }
    let interim = response.status.is_informational();
    let upgraded = response.status == StatusCode::SWITCHING_PROTOCOLS;
    if !interim && ctx.cx.body != Body::None && waits_for_leave(session) {
        session.set_close_on_response_before_downstream_finish(true);
    }
    if !interim && ctx.snapshot.caches {
        invalidate(gate, session, response, ctx);
    }
    if upgraded {
        edit_response(response, |parts| socket::open(gate, session, &mut parts.headers, ctx));
    }
    let comes_back = if interim { None } else { renewed(gate, session, ctx) };
    let ProxyCtx { snapshot, cx, ids, matched, exchange, cache, .. } = &mut *ctx;
    let chain = matched.route.and_then(|number| snapshot.routes.get(number)).map(|route| &route.chain);
    let begun = edit_response(response, |parts| {
        parts.version = Version::HTTP_11; // RFC 9110 §2.5: the version is the sender's own, not the upstream's
        if parts.status == StatusCode::NO_CONTENT {
            parts.headers.remove(header::CONTENT_LENGTH); // RFC 9110 §8.6
        }
        if !upgraded {
            remove_hop_by_hop(&mut parts.headers);
        }
        parts.headers.insert(X_REQUEST_ID, ids.request.clone());
        if interim {
            return Ok(());
        }
        exchange.grpc_web.response_head(&mut parts.headers);
        if let Some(state) = cache {
            tell(state, session, parts);
        }
        let (request, status) = (answered(session), parts.status.as_u16());
        let mut view = ResponseView { request, status, maker: Maker::Upstream, headers: &mut parts.headers };
        let hook = chain.and_then(|chain| chain.on_upstream_answer()).filter(|_| !upgraded);
        if let Some(hook) = hook
            && let BodyWork::Whole(whole) = hook.on_upstream_answer(cx, &mut view)?
        {
            exchange.bodies.down = answer_body::held(whole, Streams::default(), usize::MAX);
            return Ok(());
        }
        if let Some(chain) = chain.filter(|chain| chain.changes_responses()) {
            chain.on_response(matched.progress, cx, &mut view);
        }
        for (name, value) in cx.changes.response.drain(..) {
            parts.headers.append(name, value);
        }
        if let Some(field) = comes_back {
            parts.headers.append(header::SET_COOKIE, field);
        }
        if has_no_body(session, parts.status) {
            cx.changes.ledger.held.clear(); // this is the last of the answer
        }
        let Some(chain) = chain.filter(|chain| chain.changes_response_bodies()) else { return Ok(()) };
        answer_body::begin((chain, matched.progress), session, cx, parts, &mut exchange.bodies)?;
        if matches!(exchange.bodies.down, Down::Streaming(_)) && !parts.headers.contains_key(header::CONTENT_LENGTH) {
            parts.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        Ok(())
    });
    let begun = if interim { begun } else { begun.and_then(|()| recode::run(session, response, ctx)) };
    if let Err(reply) = begun {
        return Err(refuse(ctx, reply));
    }
    if !matches!(ctx.exchange.bodies.down, Down::Untouched)
        && let Some(asked) = ctx.cache.as_ref().and_then(|state| state.asked.as_ref())
    {
        asked.ask_for_end();
    }
    if let Down::Held(held) = &mut ctx.exchange.bodies.down
        && !interim
    {
        hold(session, response, &mut held.head);
    }
    Ok(())
}

/// An answer that cannot pass: `fail_to_proxy` writes the refusal.
pub fn refuse(ctx: &mut ProxyCtx, reply: Box<Reply>) -> Box<Error> {
    let status = reply.reason.status().as_u16();
    ctx.matched.refusal = Some(reply);
    Error::new_in(ErrorType::HTTPStatus(status))
}

/// Keeps the head back: Pingora gets an interim one in its place, which the session is told to swallow.
fn hold(session: &mut Session, response: &mut ResponseHeader, kept: &mut ResponseHeader) {
    let (mut interim, ()) = http::Response::new(()).into_parts();
    interim.status = StatusCode::EARLY_HINTS;
    *kept = std::mem::replace(response, ResponseHeader::from(interim));
    session.downstream_session.set_ignore_info_resp(true);
}

fn has_no_body(session: &Session, status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) || session.req_header().method == Method::HEAD
}
