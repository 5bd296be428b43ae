//! From an endpoint's settings to the Pingora peer that reaches it. Built once per endpoint; requests clone it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::HttpPeer;

use super::error::UpstreamError;
use super::spec::{EndpointSpec, Host, Protocol, Transport, UpstreamSpec, Verify};
use super::tls::{TlsPolicy, is_dns_name};

/// The peer of one address of an endpoint.
///
/// The server name is `sni`, else the endpoint's own name. It is never empty with TLS: Pingora verifies nothing when it
/// is. An address with full verification and no `sni` is refused by [`check_server_name`], because OpenSSL's host
/// check, the one Pingora uses, knows DNS names only and would fail on every connection.
pub(super) fn build(address: SocketAddr, written: &EndpointSpec, spec: &UpstreamSpec, tls: &TlsPolicy) -> HttpPeer {
    let secure = written.transport == Transport::Tls;
    let name = if secure { own_name(written, tls) } else { String::new() };
    // A `SocketAddr` resolves to itself: this neither blocks nor fails, as a name would.
    let mut peer = HttpPeer::new(address, secure, name);
    let options = &mut peer.options;
    options.connection_timeout = Some(spec.timeouts.connect);
    options.total_connection_timeout = Some(spec.timeouts.total_connect);
    options.read_timeout = Some(spec.timeouts.read);
    options.write_timeout = Some(spec.timeouts.write);
    options.idle_timeout = Some(spec.timeouts.idle);
    options.max_h2_streams = spec.h2_streams.max(1);
    options.alpn = match written.protocol {
        Protocol::Http1 => ALPN::H1,
        Protocol::Http2 => ALPN::H2,
    };
    let mut group = DefaultHasher::new();
    written.protocol.hash(&mut group);
    if secure {
        options.ca.clone_from(&tls.ca);
        options.verify_cert = tls.verify != Verify::Off;
        options.verify_hostname = tls.verify == Verify::Full;
        peer.client_cert_key.clone_from(&tls.client);
        tls.digest.hash(&mut group);
    }
    // Pingora's reuse key leaves ALPN and CA out.
    peer.group_key = group.finish();
    peer
}

/// Refuses endpoints that have no name to verify a certificate by.
pub(super) fn check_server_name(written: &EndpointSpec, tls: &TlsPolicy) -> Result<(), UpstreamError> {
    let verified = written.transport == Transport::Tls && tls.verify == Verify::Full;
    match written.host {
        Host::Ip(_) if verified && tls.sni.is_none() => {
            Err(UpstreamError::NameNeeded { endpoint: written.label.clone() })
        }
        Host::Ip(_) | Host::Name(_) => Ok(()),
    }
}

/// The server name: `sni`, else the endpoint's own. An address given as name is not sent (RFC 6066 §3), but keeps chain
/// verification on.
fn own_name(written: &EndpointSpec, tls: &TlsPolicy) -> String {
    match (&tls.sni, &written.host) {
        (Some(name), _) => name.clone(),
        (None, Host::Name(name)) => name.strip_suffix('.').unwrap_or(name).to_owned(),
        (None, Host::Ip(address)) => address.to_string(),
    }
}

/// The endpoint's Host header: host and port, the port left out where it is the scheme's own (RFC 9110 §7.2).
pub(super) fn host_header(written: &EndpointSpec) -> Result<HeaderValue, UpstreamError> {
    let bad = || UpstreamError::BadHost { endpoint: written.label.clone() };
    let host = match &written.host {
        Host::Ip(IpAddr::V4(address)) => address.to_string(),
        Host::Ip(IpAddr::V6(address)) => format!("[{address}]"),
        Host::Name(name) if is_dns_name(name.strip_suffix('.').unwrap_or(name)) => name.clone(),
        Host::Name(_) => return Err(bad()),
    };
    let host = match (written.transport, written.port) {
        (Transport::Plain, 80) | (Transport::Tls, 443) => host,
        (_, port) => format!("{host}:{port}"),
    };
    HeaderValue::try_from(host).map_err(|_| bad())
}
