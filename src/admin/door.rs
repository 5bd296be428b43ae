//! How many may ask the admin API at once, and how long one request may take: Pingora bounds neither, and connections held
//! open here would use up the descriptors that requests need.

use async_trait::async_trait;
use pingora_core::apps::{HttpServerApp, ServerApp};
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Connections at once; those beyond are closed unheard.
const CONNECTIONS: usize = 256;
/// From the wait for a request to the end of its answer.
const LONGEST: Duration = Duration::from_secs(90);
/// Without a byte of a request, in seconds.
const IDLE: u64 = 30;

/// Stands before the admin API.
pub struct Door<A> {
    app: Arc<A>,
    room: Semaphore,
}

impl<A> Door<A> {
    /// A door before that.
    pub fn new(app: A) -> Self {
        Self { app: Arc::new(app), room: Semaphore::new(CONNECTIONS) }
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Door<A> {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        let _inside = self.room.try_acquire().ok()?;
        loop {
            let mut session = ServerSession::new_http1(stream);
            session.set_keepalive((!*shutdown.borrow()).then_some(IDLE));
            let served = pingora_timeout::timeout(LONGEST, self.app.process_new_http(session, shutdown)).await;
            stream = served.ok().flatten()?.consume().0;
        }
    }

    async fn cleanup(&self) {
        self.app.http_cleanup().await;
    }
}
