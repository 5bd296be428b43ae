//! The listening sockets of the process: bound once, shared by the workers, handed to a successor.
//!
//! Each worker has a socket of its own for each address (SO_REUSEPORT), so that workers share nothing. A hand-over
//! carries at most 32 sockets, and closing one loses what waits in its queue; so there are never more than that, and
//! inherited ones are all kept: where the numbers do not match, workers share or hold several.

use pingora_core::server::Fds;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Most sockets that one hand-over can carry (`MAX_FDS` in Pingora's `transfer_fd`).
const MOST_HANDED_OVER: usize = 32;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 65_535;

/// The sockets of all addresses.
#[derive(Debug, Default)]
pub struct Sockets {
    by_address: BTreeMap<SocketAddr, Vec<OwnedFd>>,
    /// What became of port 0, by owner.
    chosen: BTreeMap<String, SocketAddr>,
}

/// How many sockets each of so many addresses gets for so many workers.
pub fn sockets_per_address(workers: usize, addresses: usize) -> usize {
    workers.min(MOST_HANDED_OVER / addresses.max(1)).max(1)
}

impl Sockets {
    /// Takes over what a predecessor handed on.
    pub fn inherit(fds: &Fds) -> Self {
        let mut sockets = Self::default();
        let (keys, raw) = fds.serialize();
        let mut pairs: Vec<(String, RawFd)> = keys.into_iter().zip(raw).collect();
        pairs.sort();
        for (key, fd) in pairs {
            // SAFETY: the descriptor was just received over the upgrade socket, and nothing else in this process owns it.
            let fd = unsafe { OwnedFd::from_raw_fd(fd) };
            if let Some(address) = key.split('#').next().and_then(|text| text.parse().ok()) {
                sockets.by_address.entry(address).or_default().push(fd);
            }
        }
        sockets
    }

    /// Binds an address for an owner with so many sockets, unless it is bound already; gives back the address, with the port the
    /// system chose where 0 was asked for.
    ///
    /// # Errors
    /// The address is in use, not of this machine, or not permitted.
    pub fn bind(&mut self, owner: &str, address: SocketAddr, count: usize) -> io::Result<SocketAddr> {
        if let Some((known, _)) = self.by_address.get_key_value(&self.actual(owner, address)) {
            return Ok(*known);
        }
        refuse_if_taken(address)?;
        let first = bind_one(address)?;
        let actual = first.local_addr()?.as_socket().unwrap_or(address);
        let mut all = vec![OwnedFd::from(first)];
        for _ in 1..count {
            all.push(OwnedFd::from(bind_one(actual)?));
        }
        self.by_address.insert(actual, all);
        if actual != address {
            self.chosen.insert(owner.to_owned(), actual);
        }
        Ok(actual)
    }

    /// The address that was bound for the owner's port 0; any other is itself.
    pub fn actual(&self, owner: &str, address: SocketAddr) -> SocketAddr {
        if address.port() != 0 {
            return address;
        }
        self.chosen.get(owner).copied().unwrap_or(address)
    }

    /// Copies of the descriptors of an address for one of so many workers.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn for_worker(&self, address: SocketAddr, worker: usize, workers: usize) -> io::Result<Vec<OwnedFd>> {
        let all = self.by_address.get(&address).map(Vec::as_slice).unwrap_or_default();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        if all.len() <= workers {
            return all.iter().cycle().nth(worker).into_iter().map(OwnedFd::try_clone).collect();
        }
        all.iter().skip(worker).step_by(workers.max(1)).map(OwnedFd::try_clone).collect()
    }

    /// Closes what is not among these addresses.
    pub fn retain(&mut self, addresses: &[SocketAddr]) {
        self.by_address.retain(|address, _| addresses.contains(address));
    }

    /// Copies of all descriptors, under the keys a successor reads them by.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn export(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let mut table = Vec::new();
        for (address, all) in &self.by_address {
            for (index, fd) in all.iter().enumerate() {
                table.push((format!("{address}#{index}"), fd.try_clone()?));
            }
        }
        Ok(table)
    }
}

/// With SO_REUSEPORT two gateways of one user could both bind an address and share its connections at random, so the
/// first socket is tried without it.
fn refuse_if_taken(address: SocketAddr) -> io::Result<()> {
    let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    probe.set_reuse_address(true)?;
    probe.bind(&address.into())
}

fn bind_one(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn an_address_in_use_is_refused_though_reuse_of_ports_would_allow_it() {
        let mut mine = Sockets::default();
        let address = mine.bind("a", "127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let error = Sockets::default().bind("b", address, 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn every_inherited_socket_has_a_worker_and_every_worker_a_socket() {
        for (sockets, workers) in [(1, 4), (4, 4), (4, 2), (3, 2), (2, 3)] {
            let mut bound = Sockets::default();
            let address = bound.bind("a", "127.0.0.1:0".parse().unwrap(), sockets).unwrap();
            let shares: Vec<usize> =
                (0..workers).map(|worker| bound.for_worker(address, worker, workers).unwrap().len()).collect();
            assert!(shares.iter().all(|share| *share > 0), "{sockets} sockets, {workers} workers: {shares:?}");
            assert!(shares.iter().sum::<usize>() >= sockets, "{sockets} sockets, {workers} workers: {shares:?}");
        }
    }

    #[test]
    fn a_hand_over_is_read_back() {
        let mut bound = Sockets::default();
        let address = bound.bind("a", "127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let mut fds = Fds::new();
        for (key, fd) in bound.export().unwrap() {
            fds.add(key, fd.into_raw_fd());
        }
        let inherited = Sockets::inherit(&fds);
        assert_eq!(inherited.for_worker(address, 0, 1).unwrap().len(), 2);
    }
}
