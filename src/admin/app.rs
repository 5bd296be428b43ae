//! Who may ask, and which page answers.

use super::door::Door;
use super::{cache, pages};
use crate::snapshot::{AdminPlan, ReloadReport, Shared};
use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora_core::apps::http_app::{HttpServer, ServeHttp};
use pingora_core::listeners::{ListenerConfig, Listeners};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Whether load balancers in front should send requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No, and why.
    NotReady(&'static str),
}

/// What the admin API may do with the gateway it belongs to.
pub trait AdminPowers: Send + Sync {
    /// Whether the gateway serves.
    fn readiness(&self) -> Readiness;
    /// Reloads the configuration; `None` when the gateway is gone.
    fn reload(&self) -> Option<ReloadReport>;
    /// What came of the last reload.
    fn last_reload(&self) -> Option<ReloadReport>;
}

/// The admin API of one gateway.
pub struct Admin {
    plan: AdminPlan,
    shared: Arc<Shared>,
    powers: Arc<dyn AdminPowers>,
}

/// Seconds an idle connection is kept.
const KEEP_ALIVE: u64 = 30;

impl Admin {
    /// An API for these.
    pub fn new(plan: AdminPlan, shared: Arc<Shared>, powers: Arc<dyn AdminPowers>) -> Self {
        Self { plan, shared, powers }
    }

    /// Serves on that socket until told to stop.
    pub async fn serve(self, socket: OwnedFd, stop: ShutdownWatch) {
        let key = self.plan.address.to_string();
        let mut listeners = Listeners::new();
        listeners.add_listener(ListenerConfig::tcp(key.clone()));
        let mut fds = Fds::new();
        fds.add(key, socket.into_raw_fd());
        let mut service = Service::with_listeners("admin".into(), listeners, Door::new(HttpServer::new_app(self)));
        service.start_service(Some(Arc::new(parking_lot::Mutex::new(fds))), stop, 1).await;
    }

    fn is_allowed(&self, session: &ServerSession) -> bool {
        let Some(token) = &self.plan.token else { return true };
        let given = session.get_header_bytes(header::AUTHORIZATION);
        let Some(given) = given.strip_prefix(b"Bearer ") else { return false };
        bool::from(given.ct_eq(token.expose().as_bytes()))
    }
}

#[async_trait]
impl ServeHttp for Admin {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        session.set_keepalive(Some(KEEP_ALIVE));
        let request = session.req_header();
        let (method, path) = (request.method.clone(), request.uri.path().to_owned());
        // Liveness and readiness tell nothing that is worth a token, and probes have none.
        if !matches!(&*path, "/health" | "/ready") && !self.is_allowed(session) {
            let mut refusal = pages::text(StatusCode::UNAUTHORIZED, "a bearer token is required\n");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
            return refusal;
        }
        match (&method, &*path) {
            (&Method::GET | &Method::HEAD, "/health") => pages::text(StatusCode::OK, "alive\n"),
            (&Method::GET | &Method::HEAD, "/ready") => pages::ready(self.powers.as_ref()),
            (&Method::GET | &Method::HEAD, "/metrics") => pages::metrics(&self.shared),
            (&Method::GET, "/config") => pages::config(&self.shared),
            (&Method::GET, "/upstreams") => pages::upstreams(&self.shared),
            (&Method::GET, "/shared") => pages::shared(&self.shared),
            (&Method::GET, "/explain") => pages::explain(&self.shared, session.req_header().uri.query()),
            (&Method::GET, "/cache") => cache::levels(&self.shared),
            (&Method::POST, "/cache/purge") => {
                let query = session.req_header().uri.query().map(str::to_owned);
                cache::purge(&self.shared, query.as_deref()).await
            }
            (&Method::GET, "/usage") => pages::usage(&self.shared, session.req_header().uri.query()).await,
            (&Method::GET, path) if path.starts_with("/usage/") => pages::usage_of(&self.shared, path).await,
            (&Method::POST, "/reload") => {
                let powers = Arc::clone(&self.powers);
                let report = tokio::task::spawn_blocking(move || powers.reload()).await;
                pages::reload(report.ok().flatten())
            }
            (
                _,
                "/health" | "/ready" | "/metrics" | "/config" | "/upstreams" | "/shared" | "/explain" | "/usage"
                | "/reload" | "/cache" | "/cache/purge",
            ) => {
                let said = "wrong method; /reload and /cache/purge take POST, all others GET\n";
                pages::text(StatusCode::METHOD_NOT_ALLOWED, said)
            }
            _ => pages::text(
                StatusCode::NOT_FOUND,
                "GET /health /ready /metrics /config /upstreams /shared /usage /usage/{consumer} /cache \
                 /explain?method=GET&url=…; POST /reload /cache/purge?url=… (or prefix=, tag=, api=, everything)\n",
            ),
        }
    }
}
