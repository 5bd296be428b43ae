//! The request has passed all policies: is it one for the cache, and what is there for it?

use super::Gate;
use super::ctx::ProxyCtx;
use super::early_request_filter::set_path;
use super::fields::edit_request;
use crate::cache::{Asked, Authority, Bypass, Client, Found, Look, Outcome, Place, Plan, Told};
use crate::policy::forget_content;
use crate::request::{may_look_alike, remove_lookalikes};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora_cache::{CacheOptionOverrides, CachePhase};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::sync::Arc;
use std::time::SystemTime;

/// A request that waits for another does so at most this often: each that fetches may fail, or turn out to fetch another
/// variant.
const TURNS: usize = 16;

/// Fields by which some services choose another answer than the request line asks for: no key names them, so on a route
/// that caches they do not reach the upstream (RFC 9111 §7.1, cache poisoning). What a trusted proxy says of the host, the
/// scheme and the path is passed on, and is part of the key.
static SELECTING: [HeaderName; 11] = [
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-original-uri"),
    HeaderName::from_static("x-rewrite-url"),
    HeaderName::from_static("x-override-url"),
    HeaderName::from_static("x-original-host"),
    HeaderName::from_static("x-host"),
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-forwarded-scheme"),
    HeaderName::from_static("x-forwarded-path"),
    HeaderName::from_static("x-forwarded-uri"),
    HeaderName::from_static("x-http-host-override"),
];
/// What a trusted proxy says of where a request came from and services may answer by.
static OF_PROXIES: [HeaderName; 4] = [
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-prefix"),
    header::FORWARDED,
];

/// What the cache has to do with a request.
pub struct CacheState {
    /// The policy of its route.
    pub plan: Arc<Plan>,
    /// What it did.
    pub outcome: Outcome,
    /// What the request asks of it; `None` where it goes past.
    pub asked: Option<Arc<Asked>>,
    /// What tells it from others at its key, where answers for others are there.
    pub variant: u128,
    /// What became of the upstream's answer.
    pub told: Told,
    /// The fields of a 304 by which the upstream confirmed what is kept.
    pub confirmed: Option<http::HeaderMap>,
    /// Whether the request has credentials.
    pub authenticated: bool,
}

impl CacheState {
    fn new(plan: Arc<Plan>, outcome: Outcome, asked: Option<Arc<Asked>>) -> Self {
        let told = Told::NotStored("");
        Self { plan, outcome, asked, variant: 0, told, confirmed: None, authenticated: false }
    }

    /// What the cache did in the end; Pingora's phase tells how far it came.
    pub fn outcome(&self, phase: CachePhase) -> Outcome {
        match (phase, self.outcome) {
            (CachePhase::Miss, Outcome::VaryMiss(_)) => Outcome::VaryMiss(self.told),
            (CachePhase::Miss, _) => Outcome::Miss(self.told),
            (CachePhase::Expired, _) => Outcome::Expired(self.told),
            (CachePhase::Revalidated | CachePhase::RevalidatedNoCache(_), _) => Outcome::Revalidated,
            (CachePhase::Disabled(_), Outcome::Hit(_)) if self.asked.is_some() => Outcome::Expired(self.told),
            (CachePhase::Disabled(_), Outcome::Miss(_)) => Outcome::Miss(self.told),
            (CachePhase::Disabled(_), Outcome::VaryMiss(_)) => Outcome::VaryMiss(self.told),
            (_, outcome) => outcome,
        }
    }
}

/// Runs the moment.
pub fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) {
    let Some(caching) = ctx.route().and_then(|route| route.cache.as_ref()) else { return };
    let plan = Arc::clone(&caching.plan);
    let state = match look(gate, session, ctx, &plan) {
        Ok(state) => state,
        Err(bypass) => CacheState::new(plan, Outcome::Bypass(bypass), None),
    };
    if state.asked.is_some() {
        let (storage, lock) = gate.shared.cache.for_pingora();
        let mut overrides = CacheOptionOverrides::default();
        overrides.wait_timeout = Some(state.plan.wait);
        overrides.max_lock_retries = Some(TURNS);
        session.cache.enable(storage, None, None, Some(lock), Some(overrides));
    }
    ctx.cache = Some(Box::new(state));
}

fn look(gate: &Gate, session: &mut Session, ctx: &ProxyCtx, plan: &Arc<Plan>) -> Result<CacheState, Bypass> {
    let store = gate.shared.cache.store();
    let request = session.req_header();
    if !plan.takes(&request.method) {
        return Err(Bypass::Method);
    }
    if ctx.exchange.flow == super::ctx::Flow::Streaming {
        return Err(Bypass::Because("stream"));
    }
    if let Some(why) = plan.bypass(&ctx.cx, &request.headers, request.uri.query()) {
        return Err(Bypass::Because(why));
    }
    if plan.honour_client && Client::of(&request.headers).no_store {
        return Err(Bypass::Request);
    }
    let epoch = store.epoch();
    let text = key_text(gate, plan, ctx, request);
    let key = store.key(text);
    let look = store.get(&key, &request.headers);
    let now = ctx.cx.time.wall;
    if matches!(look, Look::Nothing) && store.shunned.has(key.hash64(), ctx.cx.time.unix_seconds()) {
        return Err(Bypass::Because("uncacheable"));
    }
    let authenticated = ctx.cx.caller().is_some() || request.headers.contains_key(header::AUTHORIZATION);
    let (object, outcome, variant) = match look {
        Look::Found(object) => {
            let (ttl, variant) = (object.ttl(now), object.facts().variance.0);
            (Some(object), Outcome::Hit(ttl), variant)
        }
        Look::OtherVariant(variant) => (None, Outcome::VaryMiss(Told::NotStored("")), variant),
        Look::Nothing => (None, Outcome::Miss(Told::NotStored("")), 0),
    };
    let found = Found { object, request: &request.headers, epoch };
    let asked = Arc::new(Asked::new(Arc::clone(plan), key, now, found));
    reduce(session, plan);
    Ok(CacheState { variant, authenticated, ..CacheState::new(Arc::clone(plan), outcome, Some(asked)) })
}

/// Takes from a request what is not in its key and could make another answer of it.
fn reduce(session: &mut Session, plan: &Plan) {
    let request = session.downstream_session.req_header_mut();
    let canonical = plan.canonical(request.uri.query()).filter(|canonical| !canonical.is_empty());
    let same = canonical.as_deref() == request.uri.query();
    let mut names = request.headers.keys();
    let selecting =
        names.any(|name| name.as_str().starts_with('x') && (SELECTING.contains(name) || may_look_alike(name)));
    if same && !selecting {
        return;
    }
    let path = request.uri.path();
    let text = canonical.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    edit_request(request, |parts| {
        SELECTING.iter().for_each(|name| drop(parts.headers.remove(name)));
        remove_lookalikes(&mut parts.headers, &SELECTING);
        remove_lookalikes(&mut parts.headers, &OF_PROXIES);
        // What was a path and a query a moment ago still is one.
        let _ = set_path(parts, &text);
    });
}

fn key_text(gate: &Gate, plan: &Plan, ctx: &ProxyCtx, request: &RequestHeader) -> Vec<u8> {
    let named = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = named.or_else(|| request.uri.authority().map(|authority| authority.as_str()));
    let query = plan.canonical(request.uri.query());
    let place = Place {
        scheme: ctx.cx.scheme,
        authority: Authority(authority.unwrap_or_default()),
        path: request.uri.path(),
        query: query.as_deref(),
    };
    let mut text = plan.key(&place, &ctx.cx, &request.headers);
    text.extend_from_slice(gate.listener.port_text.as_bytes());
    if ctx.cx.client.via_trusted {
        said_by_proxy(&request.headers, &mut text);
    }
    text
}

fn said_by_proxy(headers: &HeaderMap, text: &mut Vec<u8>) {
    for name in &OF_PROXIES {
        for value in headers.get_all(name) {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
            text.extend_from_slice(value.as_bytes());
        }
    }
}

/// Tells the client what the cache did. The names the answer is purged by are for this cache alone.
pub fn tell(state: &mut CacheState, session: &Session, parts: &mut Parts) {
    let phase = session.cache.phase();
    state.outcome = state.outcome(phase);
    let headers = &mut parts.headers;
    headers.remove(state.plan.tags_field());
    let cut = matches!(parts.status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE);
    if cut && session.cache.maybe_cache_meta().is_some() {
        forget_content(headers);
    }
    if let Some(meta) = session.cache.maybe_cache_meta().filter(|_| session.cache.upstream_used()) {
        // Pingora tells the age of what comes from memory alone; an upstream's own cache had it for a while too.
        let age = SystemTime::now().duration_since(meta.updated()).unwrap_or_default().as_secs();
        if age > 0 {
            headers.insert(header::AGE, HeaderValue::from(age));
        }
    }
    for (name, value) in state.outcome.fields(state.plan.x_cache) {
        headers.append(name, value);
    }
}
