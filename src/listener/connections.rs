//! How many connections a listener has, and how many of them one client.

use super::Bounds;
use pingora_limits::inflight::{Guard, Inflight};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the open connections of a listener, over all workers.
pub struct Connections {
    open: AtomicUsize,
    /// An estimator of fixed size: it may count a client too high, never too low, so the bound holds under any flood.
    by_client: Inflight,
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooMany {
    /// The listener has as many as it may.
    OfListener,
    /// The client has as many as it may.
    OfClient,
}

/// Counts one connection while it lives.
pub struct Counted {
    connections: Arc<Connections>,
    _client: Option<Guard>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { open: AtomicUsize::new(0), by_client: Inflight::new() }
    }
}

impl Connections {
    /// Open connections now.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Admits a connection. `client` is `None` for trusted proxies, which stand for many clients.
    ///
    /// # Errors
    /// The bound that is reached.
    pub fn admit(self: &Arc<Self>, client: Option<IpAddr>, bounds: &Bounds) -> Result<Counted, TooMany> {
        let guard = match client.map(|address| self.by_client.incr(address, 1)) {
            Some((_, count)) if usize::try_from(count).is_ok_and(|count| count > bounds.connections_per_client) => {
                return Err(TooMany::OfClient);
            }
            counted => counted.map(|(guard, _)| guard),
        };
        let counted = Counted { connections: Arc::clone(self), _client: guard };
        if self.open.fetch_add(1, Relaxed) >= bounds.connections {
            return Err(TooMany::OfListener); // `counted` takes this one off again
        }
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::head::HeadLimits;
    use std::time::Duration;

    fn bounds() -> Bounds {
        let second = Duration::from_secs(1);
        Bounds {
            head: HeadLimits { bytes: 1, count: 1, uri: 1 },
            header: second,
            body: second,
            write: second,
            idle: second,
            requests: 1,
            connections: 3,
            connections_per_client: 2,
            h2_streams: 1,
            h2_resets: 1,
        }
    }

    #[test]
    fn a_client_is_stopped_at_its_bound_and_admitted_again_after_leaving() {
        let connections = Arc::new(Connections::default());
        let client = Some("198.51.100.7".parse().unwrap());
        let first = connections.admit(client, &bounds()).ok();
        let _second = connections.admit(client, &bounds()).ok();
        assert_eq!(connections.admit(client, &bounds()).err(), Some(TooMany::OfClient));
        assert_eq!(connections.open(), 2);
        drop(first);
        assert!(connections.admit(client, &bounds()).is_ok());
    }

    #[test]
    fn a_listener_is_full_for_everyone() {
        let connections = Arc::new(Connections::default());
        let _kept: Vec<_> = (0..3).map(|_| connections.admit(None, &bounds()).ok()).collect();
        assert_eq!(connections.admit(None, &bounds()).err(), Some(TooMany::OfListener));
        assert_eq!(connections.open(), 3);
    }
}
