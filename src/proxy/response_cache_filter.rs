//! The head of the upstream's answer, or of a kept one that it has just confirmed: is it kept, and on what terms?

use super::Gate;
use super::ctx::ProxyCtx;
use super::fields::edit_response;
use crate::cache::{Answer, Asked, Refused, Terms, Told, judge, merge};
use http::{HeaderMap, HeaderValue, header};
use pingora_cache::{NoCacheReason, RespCacheable};
use pingora_http::ResponseHeader;
use std::sync::Arc;
use std::time::SystemTime;

/// Runs the moment.
pub fn run(gate: &Gate, response: &ResponseHeader, ctx: &mut ProxyCtx) -> RespCacheable {
    let refused = RespCacheable::Uncacheable(NoCacheReason::OriginNotCache);
    let delay = ctx.exchange.attempt_began.elapsed();
    let keyed_by_caller = ctx.cache.as_ref().is_some_and(|state| state.plan.is_keyed_by(&ctx.cx));
    let Some(state) = &mut ctx.cache else { return refused };
    let Some(asked) = state.asked.clone() else { return refused };
    let mut header = response.clone();
    let confirmed = state.confirmed.take();
    if let Some(news) = &confirmed {
        edit_response(&mut header, |parts| merge(&mut parts.headers, news));
    }
    let answer = Answer {
        status: header.status,
        headers: &header.headers,
        arrived: SystemTime::now(),
        delay,
        authenticated: state.authenticated,
        keyed_by_caller,
    };
    let terms = judge(&state.plan, &answer);
    let terms = terms.and_then(|terms| match confirmed.is_some() && !is_the_same(gate, &asked, &header.headers) {
        true => Err(Refused::Vary),
        false => Ok(terms),
    });
    match terms {
        Ok(terms) => {
            state.told = Told::Stored;
            keep(gate, &asked, header, terms)
        }
        Err(why) => {
            state.told = Told::NotStored(why.word());
            if !header.status.is_server_error() {
                gate.shared.cache.forget(&asked);
            }
            if confirmed.is_none() {
                gate.shared.cache.store().shunned.add(asked.key.hash64(), ctx.cx.time.unix_seconds());
            }
            refused
        }
    }
}

/// Whether a 304 is about what is kept: it names the same strong validator, if it names one (RFC 9111 §4.3.4), and the
/// answer still varies by the same.
fn is_the_same(gate: &Gate, asked: &Asked, merged: &HeaderMap) -> bool {
    let Some(kept) = gate.shared.cache.kept(asked) else { return true };
    let strong = |headers: &HeaderMap| headers.get(header::ETAG).filter(|tag| !is_weak(tag)).cloned();
    let (old, new) = (strong(kept.headers()), strong(merged));
    let same_tag = old.is_none() || new.is_none() || old == new;
    let same_fields = gate.shared.cache.vary(merged, asked).is_some_and(|facts| facts.vary == kept.facts().vary);
    same_tag && same_fields
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"W/")
}

fn keep(gate: &Gate, asked: &Arc<Asked>, header: ResponseHeader, terms: Terms) -> RespCacheable {
    match gate.shared.cache.meta(asked, header.into(), terms) {
        Some(meta) => RespCacheable::Cacheable(meta),
        None => RespCacheable::Uncacheable(NoCacheReason::OriginNotCache),
    }
}
