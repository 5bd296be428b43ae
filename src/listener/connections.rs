//! How many connections a listener has, and how many of them one client.

use super::Bounds;
use ahash::{AHashMap, RandomState};
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Clients are spread over so many tables, so that workers seldom wait for one another.
const TABLES: usize = 16;

/// The part of an IPv6 address that a site is given (RFC 4291 §2.5.4): whoever has one has 2^64 addresses.
const SITE: u128 = !0 << 64;

/// Counts the open connections of a listener, over all workers.
pub struct Connections {
    open: AtomicUsize,
    /// Exact, and never more entries than there are connections: a client's entry goes with its last one.
    by_client: [Mutex<AHashMap<IpAddr, usize>>; TABLES],
    hasher: RandomState,
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
    client: Option<IpAddr>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { open: AtomicUsize::new(0), by_client: Default::default(), hasher: RandomState::new() }
    }
}

/// Whom a connection is counted for: an IPv4 address, mapped into IPv6 or not, or the /64 of an IPv6 one.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & SITE).into(),
        v4 => v4,
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
        let client = client.map(counted_as);
        if let Some(client) = client {
            self.count(client, bounds.connections_per_client)?;
        }
        let counted = Counted { connections: Arc::clone(self), client };
        if self.open.fetch_add(1, Relaxed) >= bounds.connections {
            return Err(TooMany::OfListener); // `counted` takes this one off again
        }
        Ok(counted)
    }

    fn count(&self, client: IpAddr, most: usize) -> Result<(), TooMany> {
        let Some(table) = self.table(client) else { return Ok(()) };
        let mut table = table.lock();
        match table.get_mut(&client) {
            Some(count) if *count >= most => return Err(TooMany::OfClient),
            Some(count) => *count += 1,
            None if most == 0 => return Err(TooMany::OfClient),
            None => drop(table.insert(client, 1)),
        }
        Ok(())
    }

    fn release(&self, client: IpAddr) {
        let Some(table) = self.table(client) else { return };
        let mut table = table.lock();
        match table.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(table.remove(&client)),
        }
    }

    /// The table a client is counted in; there always is one.
    fn table(&self, client: IpAddr) -> Option<&Mutex<AHashMap<IpAddr, usize>>> {
        let number = usize::try_from(self.hasher.hash_one(client)).unwrap_or_default() % TABLES;
        self.by_client.get(number)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            self.connections.release(client);
        }
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
            connection_rate: None,
            request_rate: None,
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
    fn a_client_is_an_ipv4_address_or_a_64_of_ipv6() {
        for (one, two, same) in [
            ("198.51.100.7", "::ffff:198.51.100.7", true),
            ("198.51.100.7", "198.51.100.8", false),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let connections = Arc::new(Connections::default());
            let bounds = Bounds { connections_per_client: 1, ..bounds() };
            let _kept = connections.admit(one.parse().ok(), &bounds).ok();
            assert_eq!(connections.admit(two.parse().ok(), &bounds).is_err(), same, "{one} {two}");
        }
    }

    #[test]
    fn many_clients_are_counted_exactly_and_forgotten_with_their_last_connection() {
        let connections = Arc::new(Connections::default());
        let bounds = Bounds { connections: 100_000, connections_per_client: 1, ..bounds() };
        let client = |n: u32| Some(IpAddr::V4(n.into()));
        let kept: Vec<_> = (0..50_000).map(|n| connections.admit(client(n), &bounds).ok().unwrap()).collect();
        assert!((0..50_000).all(|n| connections.admit(client(n), &bounds).is_err()));
        assert_eq!(connections.open(), 50_000);
        drop(kept);
        assert!(connections.by_client.iter().all(|table| table.lock().is_empty()));
        assert!(connections.admit(client(7), &bounds).is_ok());
    }

    #[test]
    fn a_listener_that_is_full_counts_nobody_it_turns_away() {
        let connections = Arc::new(Connections::default());
        let bounds = Bounds { connections: 1, connections_per_client: 1, ..bounds() };
        let first = connections.admit("192.0.2.1".parse().ok(), &bounds).ok();
        assert_eq!(connections.admit("192.0.2.2".parse().ok(), &bounds).err(), Some(TooMany::OfListener));
        drop(first);
        assert!(connections.admit("192.0.2.2".parse().ok(), &bounds).is_ok());
    }

    #[test]
    fn a_listener_is_full_for_everyone() {
        let connections = Arc::new(Connections::default());
        let _kept: Vec<_> = (0..3).map(|_| connections.admit(None, &bounds()).ok()).collect();
        assert_eq!(connections.admit(None, &bounds()).err(), Some(TooMany::OfListener));
        assert_eq!(connections.open(), 3);
    }
}
