//! The gateway over real sockets. `support` holds the other ends: upstreams, clients, certificates.

#[cfg(test)]
mod access_log;
#[cfg(test)]
mod admin;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod http;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod selftest;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upstream;
