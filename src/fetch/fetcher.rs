//! Makes calls over one connector.

use super::exchange::{self, broken};
use super::{Answer, Call, FetchError};
use crate::value::{Host, Url};
use parking_lot::Mutex;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a connection is kept for the next call.
const IDLE: Duration = Duration::from_secs(30);
/// Calls under way to one host; more wait for their turn, within their time.
const MOST_AT_ONCE: usize = 256;
/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;

/// Makes the gateway's own calls. One for a process: connections are kept between calls.
#[derive(Default)]
pub struct Fetcher {
    /// Made at the first call: it loads the system's trust store, which `check` never needs.
    connector: OnceLock<Connector>,
    /// Turns, by host. The hosts are those of the configuration: few.
    turns: Mutex<HashMap<Url, Arc<Semaphore>>>,
    /// Numbers connections that must be new ones.
    fresh: AtomicU64,
}

/// Whether a kept connection will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Any,
    New,
}

impl Fetcher {
    /// A fetcher that has called nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a call.
    ///
    /// # Errors
    /// No answer, in time and of the allowed length. Any status is an answer.
    pub async fn call(&self, call: &Call) -> Result<Answer, FetchError> {
        let bounded = tokio::time::timeout(call.timeout, self.call_unbounded(call));
        bounded.await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn call_unbounded(&self, call: &Call) -> Result<Answer, FetchError> {
        if let Some(why) = super::unverifiable(&call.url) {
            return Err(FetchError::BadCall(why.into()));
        }
        let began = Instant::now();
        let turns = Arc::clone(self.turns.lock().entry(call.url.clone()).or_insert_with(turns));
        let _turn = turns.acquire().await.map_err(|_| FetchError::Timeout)?;
        let addresses = resolve(&call.url).await?;
        let mut connection = Connection::Any;
        loop {
            let left = call.timeout.saturating_sub(began.elapsed());
            let (mut session, peer, reused) = self.connect(call, (&addresses, connection), left).await?;
            match exchange::run(&mut session, exchange::request(call)?, call).await {
                Ok(answer) => {
                    self.connector().release_http_session(session, &peer, Some(IDLE)).await;
                    return Ok(answer);
                }
                // It was closed by the other side while it lay idle: that says nothing of the server as it is now.
                Err(failure) if reused && (failure.unanswered || call.is_repeatable(&failure.error)) => {
                    connection = Connection::New;
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// A connection to the first address that takes one; each is given its share of the time that is left.
    pub(super) async fn connect(
        &self,
        call: &Call,
        (addresses, connection): (&[SocketAddr], Connection),
        left: Duration,
    ) -> Result<(HttpSession, HttpPeer, bool), FetchError> {
        let share = left / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut failed = FetchError::Name("no address".into());
        for address in addresses {
            let peer = peer(call, *address, share);
            let mut asked = peer.clone();
            if connection == Connection::New {
                // No kept connection has this key.
                asked.group_key ^= self.fresh.fetch_add(1, Relaxed).wrapping_mul(2).wrapping_add(1) << 32;
            }
            match self.connector().get_http_session(&asked).await {
                Ok((session, reused)) => return Ok((session, peer, reused)),
                Err(error) => failed = broken(&error),
            }
        }
        Err(failed)
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| Connector::new(None))
    }
}

fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(MOST_AT_ONCE))
}

/// The addresses of the host, in the order the resolver prefers.
async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, FetchError> {
    match &url.host {
        Host::Ip(address) => Ok(vec![SocketAddr::new(*address, url.port)]),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), url.port)).await;
            Ok(found.map_err(|error| FetchError::Name(error.to_string()))?.take(MOST_ADDRESSES).collect())
        }
    }
}

fn peer(call: &Call, address: SocketAddr, share: Duration) -> HttpPeer {
    let name = call.url.host.to_string();
    let mut peer = HttpPeer::new(address, call.url.scheme.is_tls(), name);
    // Pingora's reuse key leaves the authorities out.
    peer.group_key = call.trust.key();
    peer.options.ca = call.trust.authorities();
    peer.options.alpn = ALPN::H1;
    peer.options.connection_timeout = Some(share);
    peer.options.total_connection_timeout = Some(share);
    peer.options.read_timeout = Some(call.timeout);
    peer.options.write_timeout = Some(call.timeout);
    peer.options.idle_timeout = Some(IDLE);
    peer
}
