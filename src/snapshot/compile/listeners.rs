//! Listeners, with their certificates read.

use super::Compiling;
use crate::config::{ClientAuth, ConnectionLimits, ListenerConfig, ListenerProtocol, TlsConfig, TlsVersion};
use crate::listener::head::HeadLimits;
use crate::listener::{
    Bounds, Certificate, Certificates, ClientCertificates, ListenerSpec, ListenerTls, MinVersion, PairFile, Protocols,
};
use crate::value::{Duration, Place, Spanned};
use arc_swap::ArcSwap;
use http::HeaderValue;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

impl Compiling<'_> {
    /// All listeners, short and long.
    pub(super) fn listeners(&mut self) -> Vec<Arc<ListenerSpec>> {
        let config = &self.loaded.config;
        let mut all = Vec::new();
        let mut addresses: BTreeMap<SocketAddr, Place> = BTreeMap::new();
        for (number, address) in config.listen.iter().enumerate() {
            let name = if number == 0 { "main".to_owned() } else { format!("main-{}", number + 1) };
            let protocols = Protocols { h1: true, ..Protocols::default() };
            self.claim(&mut addresses, **address.value_ref(), address.place);
            all.push(Arc::new(spec(name, **address.value_ref(), protocols, (None, &config.limits))));
        }
        for (name, listener) in config.listeners.iter() {
            if config.listen.iter().next().is_some() && name.value == "main" {
                self.problems
                    .error(name.place, "`main` is the name of what `listen:` makes")
                    .hint("choose another name");
            }
            let address = **listener.address.value_ref();
            self.claim(&mut addresses, address, listener.address.place);
            let tls = match &listener.tls {
                None => None,
                Some(written) => match self.listener_tls(written) {
                    Some(tls) => Some(Arc::new(tls)),
                    None => continue,
                },
            };
            let limits = listener.limits.within(&config.limits);
            all.push(Arc::new(spec(name.value.clone(), address, protocols(listener), (tls, &limits))));
        }
        if all.is_empty() && !self.is_fatal() {
            self.problems
                .error(None, "the gateway listens nowhere")
                .hint("write `listen: :8080` at the top of the file");
        }
        all
    }

    fn claim(&mut self, taken: &mut BTreeMap<SocketAddr, Place>, address: SocketAddr, place: Place) {
        if address.port() == 0 {
            return;
        }
        if let Some(first) = taken.insert(address, place) {
            self.problems.error(place, format!("{address} is listened on twice")).related(first, "first here");
        }
    }

    fn listener_tls(&mut self, written: &TlsConfig) -> Option<ListenerTls> {
        let mut read = Vec::new();
        let mut files = Vec::new();
        for pair in &written.certificates {
            let cert = self.sources().resolve(pair.cert.place, &pair.cert.value);
            let key = self.sources().resolve(pair.key.place, &pair.key.value);
            match Certificate::read(&cert, &key) {
                Ok(certificate) => read.push(certificate),
                Err(error) => {
                    let place = match error.file {
                        PairFile::Certificate => pair.cert.place,
                        PairFile::Key => pair.key.place,
                    };
                    self.problems.error(place, error.message);
                }
            }
            files.push((cert, key));
        }
        let clients = self.client_certificates(written)?;
        if read.len() < written.certificates.len() || read.is_empty() {
            return None;
        }
        Some(ListenerTls {
            certificates: ArcSwap::from_pointee(Certificates::new(read)),
            files,
            min_version: match written.min_version {
                TlsVersion::Tls12 => MinVersion::Tls12,
                TlsVersion::Tls13 => MinVersion::Tls13,
            },
            clients,
        })
    }

    fn client_certificates(&mut self, written: &TlsConfig) -> Option<ClientCertificates> {
        let Some(path) = &written.client_ca else { return Some(ClientCertificates::Ignore) };
        let pem = self.read_file(path)?;
        if crate::listener::count_certificates(&pem) == 0 {
            self.problems.error(path.place, format!("{} holds no certificate in PEM form", path.value));
            return None;
        }
        Some(match written.client_auth.map(|auth| auth.value) {
            None | Some(ClientAuth::Require) => ClientCertificates::Require(pem),
            Some(ClientAuth::Request) => ClientCertificates::Request(pem),
        })
    }
}

fn spec(
    name: String,
    address: SocketAddr,
    protocols: Protocols,
    (tls, limits): (Option<Arc<ListenerTls>>, &ConnectionLimits),
) -> ListenerSpec {
    let port_text = HeaderValue::from(address.port());
    ListenerSpec { name, address, port_text, protocols, tls, bounds: bounds(limits) }
}

/// Borrows the value under a place, whatever `Deref` would do.
trait ValueRef<T> {
    fn value_ref(&self) -> &T;
}

impl<T> ValueRef<T> for Spanned<T> {
    fn value_ref(&self) -> &T {
        &self.value
    }
}

fn protocols(listener: &ListenerConfig) -> Protocols {
    let Some(named) = &listener.protocols else {
        return Protocols { h1: true, h2: listener.tls.is_some(), h2c: false };
    };
    let has = |protocol| named.iter().any(|named| named.value == protocol);
    Protocols { h1: has(ListenerProtocol::H1), h2: has(ListenerProtocol::H2), h2c: has(ListenerProtocol::H2c) }
}

fn bounds(limits: &ConnectionLimits) -> Bounds {
    let seconds =
        |given: Option<Duration>, default: u64| given.map_or(std::time::Duration::from_secs(default), Duration::get);
    let count = |given: Option<u32>, default: u32| usize::try_from(given.unwrap_or(default)).unwrap_or(usize::MAX);
    Bounds {
        head: HeadLimits {
            bytes: limits.header_bytes.map_or(32 * 1024, |bytes| bytes.as_usize()),
            count: limits.header_count.map_or(100, |count| usize::from(count.value)),
            uri: limits.uri_bytes.map_or(8 * 1024, |bytes| bytes.as_usize()),
        },
        header: seconds(limits.header_timeout, 10),
        body: seconds(limits.body_timeout, 30),
        write: seconds(limits.write_timeout, 30),
        idle: seconds(limits.idle_timeout, 60),
        requests: limits.requests_per_connection.map_or(10_000, |requests| requests.value),
        connections: count(limits.connections, 20_000),
        connections_per_client: count(limits.connections_per_client, 1_000),
        connection_rate: limits.connection_rate_per_client,
        request_rate: limits.request_rate_per_client,
        h2_streams: limits.h2_streams.unwrap_or(100),
        h2_resets: count(limits.h2_resets, 20),
    }
}
