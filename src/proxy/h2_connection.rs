//! One HTTP/2 connection, handed to Pingora with bounds of its own.

use super::Gate;
use crate::listener::Bounds;
use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes a client may send on a stream before the gateway has to say that it has read some (RFC 9113 §6.9): enough for
/// uploads over long distances, Pingora's 64 KiB is not.
const STREAM_WINDOW: u32 = 1 << 20;
/// The same for the whole connection.
const CONNECTION_WINDOW: u32 = 4 << 20;

/// One HTTP/2 connection.
pub struct H2Connection {
    proxy: Arc<HttpProxy<Gate>>,
    options: HttpServerOptions,
    bounds: Bounds,
    used: AtomicBool,
}

impl H2Connection {
    /// Serves the connection to its end. One on which no request comes within the idle time is closed.
    pub async fn serve(proxy: &Arc<HttpProxy<Gate>>, bounds: Bounds, stream: Stream, shutdown: &ShutdownWatch) {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(bounds.idle);
        let app = Arc::new(Self { proxy: Arc::clone(proxy), options, bounds, used: AtomicBool::new(false) });
        let mut serving = std::pin::pin!(app.process_new(stream, shutdown));
        let first = pingora_timeout::timeout(bounds.idle, &mut serving).await;
        if first.is_err() && app.used.load(Relaxed) {
            serving.await;
        }
    }
}

#[async_trait]
impl HttpServerApp for H2Connection {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.used.store(true, Relaxed);
        self.proxy.process_new_http(session, shutdown).await
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        let header_list = u32::try_from(self.bounds.head.bytes).unwrap_or(u32::MAX);
        options
            .max_header_list_size(header_list)
            .max_concurrent_streams(self.bounds.h2_streams)
            .max_pending_accept_reset_streams(self.bounds.h2_resets)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
