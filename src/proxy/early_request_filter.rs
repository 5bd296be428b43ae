//! The head has arrived: normalise it, name it, find its client and its route. Nothing can be answered yet; a refusal is
//! kept for `request_filter`.

use super::answer::is_short;
use super::ctx::{ProxyCtx, Purpose};
use super::fields::{TRACEPARENT, TRACESTATE, X_REQUEST_ID, edit_request};
use super::mirror::{self, Mirroring};
use super::{Gate, Random, renewal};
use crate::exchange::mirror::X_TOLLGATE_MIRROR;
use crate::listener::TlsName;
use crate::observe::{RequestId, Sampling, TraceContext, is_tracestate};
use crate::reply::{Reason, Reply};
use crate::request::{
    Body, CERTIFICATE_FIELDS, Client, ClientCertificate, IDENTITY_FIELDS, METHOD_FIELDS, ORIGIN_FIELDS, Scheme,
    is_certificate_field, may_look_alike, remove_inbound, remove_lookalikes, remove_nominations,
};
use crate::routing::{Found, Reading, Target, normalise, normalise_host, split_target};
use crate::snapshot::EncodedSlash;
use crate::value::json::Json;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri, Version, header, request::Parts};
use pingora_proxy::Session;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A kept request id is at most this long; a longer one is replaced.
const LONGEST_REQUEST_ID: usize = 128;

/// Runs the moment.
pub fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) {
    if session.subrequest_ctx.is_some() && renewal::take_over(session, ctx) {
        return;
    }
    let bounds = &gate.listener.bounds;
    session.set_read_timeout(Some(bounds.body));
    session.set_write_timeout(Some(bounds.write));
    session.set_total_drain_timeout(Some(bounds.body));
    // A client of HTTP/1.0 knows no interim answers (RFC 9110 §15.2).
    session.downstream_session.set_ignore_info_resp(session.req_header().version == Version::HTTP_10);
    let peer = peer_address(session);
    let body_is_empty = session.is_body_empty();
    if gate.listener.tls.is_some() {
        ctx.cx.identity.certificate = client_certificate(session);
    }
    // Pingora keeps a target that is not in origin form beside the URI it makes of it; the change below forgets it.
    let raw = session.req_header().raw_path();
    let raw_target = (!raw.starts_with(b"/")).then(|| raw.to_vec());
    let header = session.downstream_session.req_header_mut();
    let refusal = edit_request(header, |parts| {
        ctx.cx.client = Client::find(peer, &parts.headers, &ctx.snapshot.trusted);
        ctx.cx.scheme = if gate.listener.tls.is_some() { Scheme::Https } else { Scheme::Http };
        ctx.cx.body = body_of(parts, body_is_empty);
        name_request(parts, ctx);
        match read_target(parts, raw_target.as_deref(), ctx) {
            Err(reply) => Some(reply),
            Ok(slash) => {
                let body = if ctx.cx.body == Body::None { Reading::Read(&Json::Null) } else { Reading::Unread };
                find_route(parts, ctx, slash, body).err()
            }
        }
    });
    let too_fast = gate.guards.requests.as_ref().and_then(|guard| {
        let wait = guard.admit(&gate.shared.limits, ctx.cx.client.address, &ctx.cx.time).err()?;
        Some(Reply::new(Reason::RateLimited).retry_after(wait))
    });
    ctx.matched.refusal = too_fast.or(refusal).map(Box::new);
    // Pingora would close after every answer that comes before the body has been read, even after a mere 100.
    session.set_close_on_response_before_downstream_finish(!is_short(ctx.cx.body));
}

fn peer_address(session: &Session) -> IpAddr {
    session
        .client_addr()
        .and_then(|address| address.as_inet())
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), std::net::SocketAddr::ip)
}

/// The certificate the connection was made with.
fn client_certificate(session: &Session) -> Option<Arc<ClientCertificate>> {
    let digest = session.digest()?.ssl_digest.as_ref()?;
    digest.extension.get::<TlsName>()?.client.clone()
}

fn body_of(parts: &Parts, is_empty: bool) -> Body {
    if is_empty {
        return Body::None;
    }
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    declared.and_then(|text| text.parse().ok()).map_or(Body::Unknown, Body::Length)
}

/// Request id and trace: kept from trusted peers, else made here. What an untrusted peer says of itself is dropped.
fn name_request(parts: &mut Parts, ctx: &mut ProxyCtx) {
    let headers = &mut parts.headers;
    let trusted = ctx.cx.client.via_trusted;
    let told = Told::by(headers);
    // Operators may have chosen names that begin otherwise.
    let all_begin_with_x = ctx.snapshot.identity.len() == IDENTITY_FIELDS.len();
    if told.lookalikes {
        remove_lookalikes(headers, &ctx.snapshot.identity);
        remove_lookalikes(headers, &METHOD_FIELDS);
        if !trusted {
            remove_lookalikes(headers, &CERTIFICATE_FIELDS);
            remove_lookalikes(headers, &ORIGIN_FIELDS);
            remove_lookalikes(headers, &[X_TOLLGATE_MIRROR]);
        }
    }
    if told.method {
        METHOD_FIELDS.iter().for_each(|name| drop(headers.remove(name)));
    }
    if told.connection {
        remove_nominations(headers, &ctx.snapshot.identity);
    }
    if told.extensions || !all_begin_with_x {
        if mirror::is_copy(headers) {
            ctx.exchange.mirror = Mirroring::Over;
        }
        if !trusted {
            headers.remove(X_REQUEST_ID);
            headers.remove(X_TOLLGATE_MIRROR);
        }
        for name in &*ctx.snapshot.identity {
            headers.remove(name);
        }
    }
    if !trusted && (told.extensions || told.forwarded) {
        remove_inbound(headers);
    }
    let [time_low, time_high, span, trace_low, trace_high] = Random::bits();
    let inbound = if told.extensions { headers.get(X_REQUEST_ID) } else { None };
    let kept = inbound.filter(|id| is_sound_id(id)).cloned();
    ctx.ids.request = kept.unwrap_or_else(|| {
        let id = RequestId::new(ctx.cx.time.wall.into(), [time_low, time_high]);
        HeaderValue::from_bytes(id.as_bytes()).unwrap_or_else(|_| HeaderValue::from_static(""))
    });
    // The trace is continued whoever began it: it names no one and decides nothing.
    let inbound = if told.trace { inbound_trace(headers) } else { None };
    ctx.ids.trace = Some(match inbound {
        Some(parent) => parent.child(span),
        None => TraceContext::new([trace_high, trace_low, span], Sampling::NotSampled),
    });
}

/// What a head tells of the request's origin, by the kinds of its names: most tell nothing, and one look at the names
/// saves a look-up for each field.
#[derive(Default)]
struct Told {
    /// Names that begin with `x-`.
    extensions: bool,
    /// `Forwarded` (RFC 7239), `Client-Cert` (RFC 9440) and its like.
    forwarded: bool,
    /// Names that some services take for others.
    lookalikes: bool,
    /// Names by which some services are told another method.
    method: bool,
    /// `Connection`, which may nominate fields to be removed.
    connection: bool,
    /// `traceparent` and `tracestate`.
    trace: bool,
}

impl Told {
    fn by(headers: &HeaderMap) -> Self {
        let mut told = Self::default();
        for name in headers.keys() {
            if name.as_str().starts_with("x-") {
                told.extensions = true;
                told.method |= METHOD_FIELDS.contains(name);
            }
            told.trace |= name.as_str().starts_with("trace");
            told.forwarded |= *name == header::FORWARDED || is_certificate_field(name);
            told.lookalikes |= may_look_alike(name);
            told.connection |= *name == header::CONNECTION;
        }
        told
    }
}

/// The trace the client is part of. A `tracestate` without one, or that is not well-formed, is removed.
fn inbound_trace(headers: &mut HeaderMap) -> Option<TraceContext> {
    let inbound = headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value.as_bytes()));
    if inbound.is_none() || !headers.get(TRACESTATE).is_none_or(|state| is_tracestate(state.as_bytes())) {
        headers.remove(TRACESTATE);
    }
    inbound
}

fn is_sound_id(id: &HeaderValue) -> bool {
    !id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// Whether an encoded slash stands in the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slash {
    /// It does not.
    Absent,
    /// It does.
    Encoded,
}

/// Host and path in normal form; the head is rewritten so that everyone after sees what is matched.
fn read_target(parts: &mut Parts, raw_target: Option<&[u8]>, ctx: &mut ProxyCtx) -> Result<Slash, Reply> {
    let bad_request = |detail: &'static str| Reply::new(Reason::BadRequest).detail(detail);
    let raw = match raw_target {
        Some(raw) => std::str::from_utf8(raw).map_err(|_| Reply::from(Reason::BadPath))?,
        None => parts.uri.path_and_query().map_or("/", PathAndQuery::as_str),
    };
    let target = split_target(raw).map_err(|error| bad_path(&error))?;
    let authority = target.authority.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let host = match (authority, single_host(&parts.headers)?) {
        (Some(named), Some(host)) if !named.eq_ignore_ascii_case(host) => {
            return Err(bad_request("Host and the request target name different hosts."));
        }
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if parts.version == Version::HTTP_10 => "",
        (None, None) => return Err(bad_request("A request needs a Host.")),
    };
    if !host.is_empty() {
        let normal = normalise_host(host).map_err(|_| bad_request("The Host is not a host name."))?;
        ctx.matched.host = normal.into_text().into();
    }
    let path = normalise(target.path).map_err(|error| bad_path(&error))?;
    let slash = if path.has_encoded_slash() { Slash::Encoded } else { Slash::Absent };
    if path.as_str() != target.path || target.authority.is_some() {
        let text = match target.query {
            Some(query) => format!("{}?{query}", path.as_str()),
            None => path.as_str().to_owned(),
        };
        set_path(parts, &text).map_err(|()| Reply::from(Reason::BadPath))?;
    }
    Ok(slash)
}

fn bad_path(error: &dyn std::fmt::Display) -> Reply {
    Reply::new(Reason::BadPath).detail(format!("The path is refused: {error}."))
}

/// Puts a new path and query into the target; scheme and authority stay.
pub fn set_path(parts: &mut Parts, path_and_query: &str) -> Result<(), ()> {
    let mut uri = std::mem::take(&mut parts.uri).into_parts();
    uri.path_and_query = Some(PathAndQuery::try_from(path_and_query).map_err(|_| ())?);
    parts.uri = Uri::from_parts(uri).map_err(|_| ())?;
    Ok(())
}

fn single_host(headers: &HeaderMap) -> Result<Option<&str>, Reply> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(Reply::new(Reason::BadRequest).detail("A request has exactly one Host field."));
    }
    first
        .map(|host| host.to_str().map_err(|_| Reply::new(Reason::BadRequest).detail("The Host is not a host name.")))
        .transpose()
}

/// Finds the route that takes the request, so far as that can be told without its body.
///
/// # Errors
/// There is none, or it refuses the path.
pub fn find_route(parts: &Parts, ctx: &mut ProxyCtx, slash: Slash, body: Reading<'_>) -> Result<(), Reply> {
    let target = Target {
        host: &ctx.matched.host,
        path: parts.uri.path(),
        method: parts.method.as_str(),
        query: parts.uri.query(),
        headers: &parts.headers,
        body,
    };
    if target.method == "PURGE"
        && let Some(number) = ctx.snapshot.purgeable(&target, ctx.cx.client.address)
    {
        (ctx.matched.route, ctx.matched.purpose) = (Some(number), Purpose::Purge);
        return Ok(());
    }
    match ctx.snapshot.find(&target, &mut ctx.matched.captures)? {
        Found::NoRoute => Err(Reason::NoRoute.into()),
        Found::MethodNotAllowed(allowed) => {
            let methods: Vec<&str> = allowed.iter().collect();
            Err(Reply::new(Reason::MethodNotAllowed).allow(methods.join(", ")))
        }
        Found::Unread(_) if ctx.cx.body != Body::None => {
            ctx.matched.undecided = Some(slash);
            Ok(())
        }
        Found::Route(number) | Found::Unread(number) => {
            ctx.matched.route = Some(number);
            let refused = ctx.route().is_some_and(|route| route.encoded_slash == EncodedSlash::Refuse);
            if slash == Slash::Encoded && refused {
                return Err(Reply::new(Reason::BadPath).detail("This route refuses encoded slashes and backslashes."));
            }
            Ok(())
        }
    }
}
