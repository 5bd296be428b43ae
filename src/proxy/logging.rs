//! All is over: one record in the metrics and one line in the access log, whatever the outcome.

use super::ctx::{ProxyCtx, Purpose, unix_millis};
use super::fence::Fence;
use super::{Gate, batch, mirror, upstream_peer};
use crate::exchange::call::PartTold;
use crate::observe::Worker;
use crate::observe::access_log::{AccessEntry, Answer, Ids, Matched, Outcome, Part, SocketOutcome, Timings, What, Who};
use crate::observe::metrics::{AttemptOutcome, FallbackKind, Finished, FinishedAttempt, Method, ReasonIndex};
use crate::reply::Reason;
use crate::upstream::{Endpoint, Upstream};
use crate::websocket::Counts;
use http::{HeaderValue, Version, header};
use pingora_core::Error;
use pingora_proxy::Session;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Runs the moment.
pub fn run(gate: &Gate, session: &Session, error: Option<&Error>, ctx: &mut ProxyCtx) {
    let outcome = if error.is_some() { AttemptOutcome::Abandoned } else { AttemptOutcome::Answered };
    let ended = Instant::now();
    ctx.finish_attempt_at(ended, gate.worker, outcome);
    mirror::close(ctx);
    if ctx.matched.purpose == Purpose::Renewal {
        return; // the client it is for has been counted
    }
    let cache = ctx.cache.as_ref().map(|state| state.outcome.label());
    if let (Some(cache), Some(caching)) = (cache, ctx.route().and_then(|route| route.cache.as_ref())) {
        caching.metrics.record(gate.worker, cache);
    }
    if let Some(origin) = &ctx.exchange.origin {
        ctx.exchange.attempts += origin.ledger.attempts();
        ctx.exchange.finished = ctx.exchange.attempts;
        ctx.exchange.spent += origin.ledger.spent(ended);
    }
    let total = ended.saturating_duration_since(ctx.cx.time.started);
    let written = session.response_written().map(|head| head.status.as_u16());
    let status = match ctx.outcome.reason {
        Some(Reason::ClientClosed) => 499,
        reason => written.or(reason.map(|reason| reason.status().as_u16())).unwrap_or(499),
    };
    let gateway = total.saturating_sub(ctx.exchange.spent);
    let metrics = ctx.route().map_or(&ctx.snapshot.unrouted, |route| &route.metrics);
    metrics.record(&Finished {
        worker: gate.worker,
        method: Method::of(session.req_header().method.as_str()),
        status,
        duration: total,
        gateway,
        bytes_in: ctx.cx.body_bytes,
        bytes_out: ctx.outcome.bytes_out,
        refusal: ctx.outcome.reason.and_then(|reason| u8::try_from(reason.index()).ok()).map(ReasonIndex),
    });
    let providers = ctx.route().map_or(&[][..], |route| route.chain.providers());
    for (provider, outcome) in providers.iter().zip(&ctx.cx.identity.said) {
        provider.record(gate.worker, *outcome);
    }
    let limits = ctx.route().map_or(&[][..], |route| route.chain.limits());
    for (place, decision) in &ctx.cx.changes.ledger.decided {
        if let Some(limit) = limits.get(usize::from(*place)) {
            limit.record(gate.worker, *decision);
        }
    }
    let timings = Timings { total, gateway, upstream: (ctx.exchange.attempts > 0).then_some(ctx.exchange.spent) };
    if gate.shared.access_log.is_on() {
        write_line(gate, session, ctx, status, timings);
    }
}

fn write_line(gate: &Gate, session: &Session, ctx: &ProxyCtx, status: u16, timings: Timings) {
    let request = session.req_header();
    let route = ctx.route();
    let called = ctx.exchange.origin.as_ref().and_then(|origin| origin.ledger.last());
    let told = ctx.exchange.origin.as_ref().map(|origin| origin.ledger.parts()).unwrap_or_default();
    let parts: SmallVec<[Part<'_>; 8]> = told.iter().map(part).collect();
    let entry = AccessEntry {
        time: ctx.cx.time.wall.into(),
        ids: Ids {
            request: ctx.ids.request.as_bytes(),
            trace: ctx.ids.trace.as_ref().map(|trace| trace.trace_id),
            batch: batch::within(session).map(HeaderValue::as_bytes),
        },
        who: Who {
            client: Some(ctx.cx.client.address),
            listener: &gate.listener.name,
            protocol: protocol(request.version, session.was_upgraded()),
            tls: session.digest().and_then(|digest| digest.ssl_digest.as_ref()).map(|tls| tls.version.as_ref()),
            consumer: ctx.cx.caller().map(|caller| &*caller.id),
            user_agent: request.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes),
        },
        what: What {
            method: request.method.as_str().as_bytes(),
            host: ctx.matched.host.as_bytes(),
            path: request.uri.path().as_bytes(),
            query: request.uri.query().map(str::as_bytes),
        },
        matched: Matched { api: route.and_then(|route| route.api.as_deref()), route: route.map(|route| &*route.key) },
        outcome: Outcome {
            status,
            reason: ctx.outcome.reason.map(Reason::slug),
            bytes_in: ctx.cx.body_bytes,
            bytes_out: ctx.outcome.bytes_out,
            cache: ctx.cache.as_ref().map(|state| state.outcome.label().label()),
            fallback: ctx.exchange.standin.kind.map(FallbackKind::label),
            socket: socket_of(session),
        },
        timings,
        upstream: answer_of(ctx, called.as_ref()),
        parts: &parts,
    };
    gate.shared.access_log.record(gate.worker, &entry);
}

fn part(told: &PartTold) -> Part<'_> {
    Part {
        name: &told.name,
        upstream: told.upstream.name(),
        status: told.status,
        duration: told.duration,
        outcome: &told.outcome,
        calls: told.calls,
        span: told.span,
    }
}

/// What came of the WebSocket, where it was looked at.
fn socket_of(session: &Session) -> Option<SocketOutcome> {
    let (counts, end, code) = Fence::of(&session.downstream_session)?.carrier()?.outcome();
    let Counts { messages_in, messages_out } = counts;
    Some(SocketOutcome { messages_in, messages_out, code, ended: end.label() })
}

/// Who answered, or was to: of a route that makes its answer out of calls, who was asked last.
fn answer_of<'a>(ctx: &'a ProxyCtx, called: Option<&'a (Arc<Upstream>, Arc<Endpoint>)>) -> Option<Answer<'a>> {
    let attempts = ctx.exchange.attempts;
    if let Some((upstream, endpoint)) = called {
        return Some(Answer { upstream: upstream.name(), endpoint: Some(endpoint.label()), attempts });
    }
    let chosen = upstream_peer::chosen(ctx)?;
    let endpoint = ctx.exchange.picked.as_ref().map(|picked| picked.label());
    Some(Answer { upstream: chosen.upstream.name(), endpoint, attempts })
}

fn protocol(version: Version, upgraded: bool) -> &'static str {
    match version {
        _ if upgraded => "websocket",
        Version::HTTP_2 => "h2",
        Version::HTTP_10 => "http/1.0",
        _ => "http/1.1",
    }
}

impl ProxyCtx {
    /// Closes the attempt under way, if there is one: its time and what came of it.
    pub fn finish_attempt(&mut self, worker: Worker, outcome: AttemptOutcome) {
        self.finish_attempt_at(Instant::now(), worker, outcome);
    }

    fn finish_attempt_at(&mut self, ended: Instant, worker: Worker, outcome: AttemptOutcome) {
        if self.exchange.attempts == self.exchange.finished {
            return;
        }
        self.exchange.finished = self.exchange.attempts;
        let duration = ended.saturating_duration_since(self.exchange.attempt_began);
        self.exchange.spent += duration;
        let connection = self.exchange.connection;
        if let Some(chosen) = upstream_peer::chosen(self) {
            chosen.metrics.record(&FinishedAttempt { worker, outcome, connection, duration });
        }
    }
}

/// Records a connection whose request could not be read.
pub fn log_refused_head(gate: &Gate, client: Option<IpAddr>, request_id: &HeaderValue, reason: Reason) {
    let status = reason.status().as_u16();
    let snapshot = gate.shared.store.peek();
    snapshot.unrouted.record(&Finished {
        worker: gate.worker,
        method: Method::Other,
        status,
        duration: Duration::ZERO,
        gateway: Duration::ZERO,
        bytes_in: 0,
        bytes_out: 0,
        refusal: u8::try_from(reason.index()).ok().map(ReasonIndex),
    });
    let entry = AccessEntry {
        time: unix_millis(),
        ids: Ids { request: request_id.as_bytes(), trace: None, batch: None },
        who: Who {
            client,
            listener: &gate.listener.name,
            protocol: "http/1.1",
            tls: None,
            consumer: None,
            user_agent: None,
        },
        what: What { method: b"-", host: b"-", path: b"-", query: None },
        matched: Matched::default(),
        outcome: Outcome {
            status,
            reason: Some(reason.slug()),
            bytes_in: 0,
            bytes_out: 0,
            cache: None,
            fallback: None,
            socket: None,
        },
        timings: Timings { total: Duration::ZERO, gateway: Duration::ZERO, upstream: None },
        upstream: None,
        parts: &[],
    };
    gate.shared.access_log.record(gate.worker, &entry);
}
