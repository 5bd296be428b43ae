//! Free ports, for what must be told its port before it can bind it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// An address of the loopback that nothing listens on. Another process may take it before the caller does: where the
/// caller can bind port 0 itself, it should.
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("the address of a bound socket")
}
