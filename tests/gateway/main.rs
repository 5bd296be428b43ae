//! The gateway over real sockets. `support` holds the other ends: upstreams, clients, certificates.

#[cfg(test)]
mod protocols;
#[cfg(test)]
mod selftest;
#[cfg(test)]
mod support;
