//! The request is about to leave: path, Host, origin, ids.

use super::Gate;
use super::answer::answered;
use super::bodies::{Bodies, Step};
use super::ctx::{Flow, ProxyCtx};
use super::deadline::{Told, tell};
use super::early_request_filter::set_path;
use super::fields::edit_request;
use super::mirror;
use crate::exchange::grpc_web::Translation;
use crate::policy::Chain;
use crate::reply::{Reason, Reply};
use crate::request::{Body, Forwarding, Marks, OutgoingView, RequestCx, mark, set_host};
use crate::routing::{Captures, after_segments, normalise};
use crate::snapshot::{Forward, HostField, Rewrite};
use crate::upstream::{Endpoint, Protocol};
use http::request::Parts;
use http::{HeaderValue, header};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::time::Instant;

/// Fields that are added to most requests: made room for at once, the map of them grows once at most.
const ADDED: usize = 8;

/// Runs the moment.
pub fn run(gate: &Gate, session: &Session, request: &mut RequestHeader, ctx: &mut ProxyCtx) -> Result<()> {
    let now = Instant::now();
    let left = match ctx.exchange.flow {
        Flow::Bounded => ctx.remaining(now),
        Flow::Streaming => ctx.exchange.hurry.map(|hurry| hurry.saturating_sub(now - ctx.cx.time.started)),
    };
    let ProxyCtx { snapshot, cx, ids, matched, exchange, .. } = &mut *ctx;
    let Some(route) = matched.route.and_then(|number| snapshot.routes.get(number)) else {
        return Err(Error::new(ErrorType::InternalError));
    };
    let picked = exchange.picked.as_deref();
    let speaks_h2 = picked.is_some_and(|endpoint| endpoint.protocol() == Protocol::Http2);
    let client_host = named_host(session.req_header());
    let rewritten = edit_request(request, |parts| {
        // Over the map's own bound nothing is made room for, and what is added then is left out.
        let _ = parts.headers.try_reserve(ADDED);
        let prefix =
            rewrite_path(parts, &route.forward, &matched.captures).map_err(|reason| Box::new(reason.into()))?;
        if let Some(host) = host(route.forward.host, picked, client_host.as_ref()) {
            set_host(parts, host);
        }
        let forwarding = Forwarding {
            client: cx.client,
            scheme: cx.scheme,
            host: client_host.as_ref(),
            port: &gate.listener.port_text,
            prefix,
            rfc7239: route.forward.rfc7239,
        };
        let marks = Marks { forwarding, request_id: &ids.request, trace: ids.trace.as_ref() };
        mark(&mut parts.headers, &marks);
        tell(&mut parts.headers, route, Told { left, flow: exchange.flow, began: cx.time.started, now });
        if speaks_h2 && wants_trailers(session.req_header()) {
            parts.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        exchange.bodies = Bodies::default();
        if let Some(ahead) = &mut exchange.ahead {
            ahead.again();
        }
        if route.chain.changes_upstream_requests() {
            exchange.bodies.up = change(&route.chain, session, parts, cx)?;
            exchange.bodies.method = Some(parts.method.clone());
        }
        Ok(match exchange.flow {
            Flow::Streaming if speaks_h2 => Translation::begin(&mut parts.headers),
            Flow::Streaming | Flow::Bounded => Translation::Off,
        })
    });
    let translation = rewritten.map_err(|reply: Box<Reply>| {
        let status = reply.reason.status().as_u16();
        matched.refusal = Some(reply);
        Error::new_down(ErrorType::HTTPStatus(status))
    })?;
    exchange.grpc_web = translation;
    mirror::begin(gate, session, request, ctx);
    Ok(())
}

/// What the route's policies make of the request; their work on its body comes back.
fn change(
    chain: &Chain,
    session: &Session,
    parts: &mut Parts,
    cx: &mut RequestCx,
) -> std::result::Result<Vec<Step>, Box<Reply>> {
    let uri = parts.uri.clone();
    let mut view = OutgoingView {
        request: answered(session),
        method: parts.method.clone(),
        path: uri.path().into(),
        query: uri.query().map(Into::into),
        headers: &mut parts.headers,
    };
    let works = chain.on_upstream_request(cx, &mut view)?;
    let OutgoingView { method, path, query, .. } = view;
    if path != uri.path() || query.as_deref() != uri.query() {
        // What came from the request must not climb out of its segment, nor hide a path of its own.
        if path != uri.path() && !normalise(&path).is_ok_and(|normal| normal.as_str() == path) {
            return Err(Box::new(Reason::BadPath.into()));
        }
        let text = match query {
            Some(query) => format!("{path}?{query}"),
            None => path.into_owned(),
        };
        set_path(parts, &text).map_err(|()| Box::new(Reason::BadPath.into()))?;
    }
    parts.method = method;
    let steps: Vec<Step> =
        if cx.body == Body::None { Vec::new() } else { works.into_iter().filter_map(Step::new).collect() };
    if !steps.is_empty() {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(steps)
}

/// Whether the client takes trailers (RFC 9110 §10.1.4). Pingora has removed the field, which is for one hop, from what
/// is about to leave.
fn wants_trailers(request: &RequestHeader) -> bool {
    let te = request.headers.get(header::TE);
    te.is_some_and(|te| memchr::memmem::find(te.as_bytes(), b"trailers").is_some())
}

/// The Host the client named: the field over HTTP/1, `:authority` over HTTP/2.
pub fn named_host(request: &RequestHeader) -> Option<HeaderValue> {
    let field = request.headers.get(header::HOST).cloned();
    field.or_else(|| request.uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()))
}

/// Puts the route's path into place; gives back the prefix that was stripped.
fn rewrite_path<'r>(
    parts: &mut Parts,
    forward: &'r Forward,
    captures: &Captures,
) -> std::result::Result<Option<&'r HeaderValue>, Reason> {
    let (path, query, prefix) = match &forward.rewrite {
        Rewrite::Keep => return Ok(None),
        Rewrite::Strip { segments, prefix } => {
            (after_segments(parts.uri.path(), *segments).to_owned(), parts.uri.query(), Some(&**prefix))
        }
        Rewrite::Template(template) => {
            let mut path = String::with_capacity(64);
            template.expand(parts.uri.path(), captures, &mut path).map_err(|_| Reason::BadPath)?;
            (path, parts.uri.query().filter(|_| !template.has_query()), None)
        }
    };
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    set_path(parts, &text).map_err(|()| Reason::BadPath)?;
    Ok(prefix)
}

/// The Host the upstream sees.
fn host<'a>(
    written: HostField,
    endpoint: Option<&'a Endpoint>,
    client_host: Option<&'a HeaderValue>,
) -> Option<&'a HeaderValue> {
    let own = endpoint.map(Endpoint::host_header);
    match written {
        HostField::Endpoint => own,
        HostField::Client => client_host.filter(|host| !host.is_empty()).or(own),
    }
}
