//! Listeners as they are written.

use crate::value::{Address, ByteSize, Duration, Rate, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An address to accept on.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// `:8443` for every address of this machine, or `127.0.0.1:8443`.
    pub address: Spanned<Address>,
    /// What it speaks. Default: h1, and h2 with TLS; h2c (HTTP/2 in clear text) only where it is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<Spanned<ListenerProtocol>>>,
    /// TLS; plain without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Bounds of its connections, replacing those of the gateway one by one.
    #[serde(default)]
    pub limits: ConnectionLimits,
}

/// A protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// HTTP/1.1 and 1.0.
    H1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 in clear text, by prior knowledge.
    H2c,
}

/// TLS of a listener.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificates, chosen by the name the client asks for; the first serves all other names. They are read anew when
    /// their files change.
    pub certificates: Vec<CertificateConfig>,
    /// The oldest version spoken. Default "1.2".
    #[serde(default)]
    pub min_version: TlsVersion,
    /// The CA (PEM) that signs clients' certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<Spanned<String>>,
    /// Whether clients must show a certificate, or may. Default require, where client_ca is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<Spanned<ClientAuth>>,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateConfig {
    /// The certificate, then its chain, PEM.
    pub cert: Spanned<String>,
    /// Its private key, PEM.
    pub key: Spanned<String>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2 and above.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 and above.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// The handshake fails without one.
    Require,
    /// One that is shown is verified.
    Request,
}

/// Bounds of connections.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionLimits {
    /// From the first byte of a request's head to its last. Default 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_timeout: Option<Duration>,
    /// Bytes of a request's head. Default 32KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_bytes: Option<ByteSize>,
    /// Header fields of a request, 250 at most. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_count: Option<Spanned<u16>>,
    /// Bytes of a request's target. Default 8KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_bytes: Option<ByteSize>,
    /// Between two pieces of a request's body. Default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_timeout: Option<Duration>,
    /// One write to the client. Default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Duration>,
    /// Without a request. Default 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// Requests over one HTTP/1 connection. Default 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_connection: Option<Spanned<u32>>,
    /// Connections of one listener. Default 20000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<u32>,
    /// Connections of one client to one listener: of an IPv4 address, or of a /64 of IPv6. Trusted proxies are not counted.
    /// Default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<u32>,
    /// How fast one client may open connections: `50/s`. Trusted proxies are not counted. Default: as fast as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_rate_per_client: Option<Rate>,
    /// How fast one client may send requests, whatever they ask for and whoever sends them: `1000/s`. Default: as fast as
    /// it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_rate_per_client: Option<Rate>,
    /// HTTP/2 streams at once over one connection. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_streams: Option<u32>,
    /// HTTP/2 streams that may wait, reset by the client, before the connection is closed. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_resets: Option<u32>,
}

impl ConnectionLimits {
    /// These, and where they say nothing `outer`.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        Self {
            header_timeout: self.header_timeout.or(outer.header_timeout),
            header_bytes: self.header_bytes.or(outer.header_bytes),
            header_count: self.header_count.or(outer.header_count),
            uri_bytes: self.uri_bytes.or(outer.uri_bytes),
            body_timeout: self.body_timeout.or(outer.body_timeout),
            write_timeout: self.write_timeout.or(outer.write_timeout),
            idle_timeout: self.idle_timeout.or(outer.idle_timeout),
            requests_per_connection: self.requests_per_connection.or(outer.requests_per_connection),
            connections: self.connections.or(outer.connections),
            connections_per_client: self.connections_per_client.or(outer.connections_per_client),
            connection_rate_per_client: self.connection_rate_per_client.or(outer.connection_rate_per_client),
            request_rate_per_client: self.request_rate_per_client.or(outer.request_rate_per_client),
            h2_streams: self.h2_streams.or(outer.h2_streams),
            h2_resets: self.h2_resets.or(outer.h2_resets),
        }
    }
}
