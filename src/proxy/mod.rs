//! The Pingora adapter: what each callback of [`ProxyHttp`] does stands in a file of that name.

mod affinity;
mod answer;
mod answer_body;
mod batch;
mod bodies;
mod cache_hit_filter;
mod cache_key_callback;
mod called;
mod ctx;
mod deadline;
mod early_request_filter;
mod exchange;
mod failure;
mod fallback;
mod fence;
mod fields;
mod front;
mod h2_connection;
mod inside;
mod invalidation;
mod logging;
mod mirror;
mod proxy_upstream_filter;
mod random;
mod read_ahead;
mod recode;
mod renewal;
mod request_body_filter;
mod request_cache_filter;
mod request_filter;
mod response_body_filter;
mod response_cache_filter;
mod response_filter;
mod response_trailer_filter;
mod retry;
mod socket;
mod tunnel;
mod upgrade;
mod upstream_peer;
mod upstream_request_filter;
mod upstream_response_filter;

use answer::refusal_bytes;
use ctx::{Purpose, unix_millis};

pub use ctx::ProxyCtx;
pub use front::Front;
pub use inside::Inward;
use logging::log_refused_head;
pub use random::Random;

use crate::listener::ListenerSpec;
use crate::observe::Worker;
use crate::policy::limit::{Guard, LimitStore};
use crate::snapshot::Shared;
use crate::value::Rate;
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora_cache::storage::HitHandler;
use pingora_cache::{CacheKey, CacheMeta, ForcedFreshness, RespCacheable};
use pingora_core::modules::http::HttpModules;
use pingora_core::protocols::Digest;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_core::{Error, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use std::sync::Arc;
use std::time::Duration;

/// The proxy of one listener on one worker.
#[derive(Clone)]
pub struct Gate {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// The listener it serves.
    pub listener: Arc<ListenerSpec>,
    /// The worker it runs on.
    pub worker: Worker,
    /// How fast a client may come.
    pub guards: Guards,
    /// The way back to its front.
    pub inward: Inward,
}

/// What bounds how fast one client comes, where the listener bounds it.
#[derive(Clone, Default)]
pub struct Guards {
    connections: Option<Arc<Guard>>,
    requests: Option<Arc<Guard>>,
}

impl Guards {
    /// Those of a listener; all its workers share them.
    pub fn of(listener: &ListenerSpec, store: &LimitStore) -> Self {
        let named =
            |kind: &str, rate: Option<Rate>| rate.map(|rate| store.guard(&format!("{} {kind}", listener.name), rate));
        Self {
            connections: named("connections", listener.bounds.connection_rate),
            requests: named("requests", listener.bounds.request_rate),
        }
    }
}

#[async_trait]
impl ProxyHttp for Gate {
    /// Boxed, since Pingora moves it from future to future, and it would make each of them larger.
    type CTX = Box<ProxyCtx>;

    fn new_ctx(&self) -> Box<ProxyCtx> {
        Box::new(ProxyCtx::new(&self.shared, self.worker))
    }

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>) -> Result<()> {
        early_request_filter::run(self, session, ctx);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>) -> Result<bool> {
        request_filter::run(self, session, ctx).await
    }

    /// What renews a kept answer in the background is a request below this one.
    fn allow_spawning_subrequest(&self, _session: &Session, ctx: &Box<ProxyCtx>) -> bool {
        ctx.matched.purpose != Purpose::Renewal && ctx.route().is_some_and(|route| route.cache.is_some())
    }

    fn request_cache_filter(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>) -> Result<()> {
        request_cache_filter::run(self, session, ctx);
        Ok(())
    }

    fn cache_key_callback(&self, _session: &Session, ctx: &mut Box<ProxyCtx>) -> Result<CacheKey> {
        cache_key_callback::run(ctx)
    }

    async fn cache_hit_filter(
        &self,
        session: &mut Session,
        _meta: &CacheMeta,
        hit: &mut HitHandler,
        _is_fresh: bool,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<Option<ForcedFreshness>> {
        Ok(cache_hit_filter::run(session, hit, ctx))
    }

    fn should_serve_stale(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>, error: Option<&Error>) -> bool {
        cache_hit_filter::should_serve_stale(self, session, ctx, error)
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>) -> Result<bool> {
        proxy_upstream_filter::run(self, session, ctx).await
    }

    fn response_cache_filter(
        &self,
        _session: &Session,
        response: &ResponseHeader,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<RespCacheable> {
        Ok(response_cache_filter::run(self, response, ctx))
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<()> {
        request_body_filter::run(session, body, end_of_stream, ctx).await
    }

    async fn upstream_peer(&self, session: &mut Session, ctx: &mut Box<ProxyCtx>) -> Result<Box<HttpPeer>> {
        upstream_peer::run(self, session, ctx).await
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        _fd: std::os::unix::io::RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<()> {
        ctx.exchange.connected(reused);
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<()> {
        upstream_request_filter::run(self, session, request, ctx)
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<()> {
        upstream_response_filter::run(self, session, response, ctx)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<()> {
        response_filter::run(self, session, response, ctx)
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<Option<Duration>> {
        response_body_filter::run(body, end_of_stream, ctx)
    }

    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut HeaderMap,
        ctx: &mut Box<ProxyCtx>,
    ) -> Result<Option<Bytes>> {
        Ok(response_trailer_filter::run(trailers, ctx))
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Box<ProxyCtx>,
        error: Box<Error>,
    ) -> Box<Error> {
        failure::fail_to_connect(self, session, ctx, error)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Box<ProxyCtx>,
        client_reused: bool,
    ) -> Box<Error> {
        failure::error_while_proxy(self, session, ctx, error, client_reused)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, ctx: &mut Box<ProxyCtx>) -> FailToProxy {
        failure::fail_to_proxy(self, session, error, ctx).await
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Box<ProxyCtx>) {
        if error.is_none() {
            answer_body::deliver(session, ctx).await;
        }
        logging::run(self, session, error, ctx);
    }

    /// One line in the access log says it all; Pingora's own line per failure would double it.
    fn suppress_error_log(&self, _session: &Session, _ctx: &Box<ProxyCtx>, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _ctx: &Box<ProxyCtx>,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
