//! What an upstream is made from: plain settings with every default already filled in. `snapshot/` translates the
//! written form into these.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::affinity::AffinitySpec;
use super::breaker::BreakerSpec;
use super::labels::Labels;
use super::overload::OverloadSpec;
use http::HeaderName;

/// All settings of one upstream.
#[derive(Clone, Debug)]
pub struct UpstreamSpec {
    /// Its name in the configuration, in logs and in metric labels.
    pub name: String,
    /// Where requests may go; at least one.
    pub endpoints: Vec<EndpointSpec>,
    /// Labels of endpoints that some requests are for; requests name them by their place here.
    pub subsets: Vec<Labels>,
    /// How one endpoint is chosen among several.
    pub balance: Balance,
    /// How clients are brought back to the endpoint that has served them.
    pub affinity: Option<AffinitySpec>,
    /// Active checks; without them only ejection takes an endpoint out.
    pub health: Option<HealthSpec>,
    /// Passive ejection by the outcome of real requests.
    pub ejection: Option<EjectionSpec>,
    /// Share of endpoints, 0 to 1, that must be available. Below it all of them are used as if they were: overloading
    /// the few that are left helps nobody, and a faulty check must not take everything down. 0 never does so.
    pub panic_threshold: f64,
    /// When nothing is sent because too much fails.
    pub breaker: Option<BreakerSpec>,
    /// When nothing is sent to an endpoint because too much fails there.
    pub endpoint_breaker: Option<BreakerSpec>,
    /// How long an endpoint that is new, or back again, has less than its share.
    pub slow_start: Option<Duration>,
    /// The preferred zone.
    pub zone: Option<ZoneSpec>,
    /// The most attempts under way at once.
    pub max_in_flight: Option<u32>,
    /// When requests are turned away because answers take longer and longer.
    pub overload: Option<OverloadSpec>,
    /// How TLS endpoints are verified and what they are shown.
    pub tls: TlsSpec,
    /// Limits on connecting, reading, writing and idling.
    pub timeouts: Timeouts,
    /// Requests in flight on one HTTP/2 connection before another is opened; 0 counts as 1.
    pub h2_streams: usize,
    /// How often endpoints given by name are resolved again.
    pub dns_interval: Duration,
    /// Which addresses of a name are used.
    pub family: Family,
}

/// One endpoint as it is written; a name may stand for several addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSpec {
    /// Address or DNS name.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// HTTP version spoken.
    pub protocol: Protocol,
    /// Plain text or TLS.
    pub transport: Transport,
    /// Share of requests relative to its neighbours.
    pub weight: NonZeroU32,
    /// The URL as written: what people recognise it by in the admin API and in metrics.
    pub label: String,
    /// The zone it is in.
    pub zone: Option<Box<str>>,
    /// What tells it from its neighbours.
    pub labels: Labels,
}

/// Which endpoints are preferred, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneSpec {
    /// The zone.
    pub own: Box<str>,
    /// Share of its endpoints, 0 to 1, that must be available; below it the others take part.
    pub spill_below: f64,
}

/// An address, or a name to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A literal address; never resolved.
    Ip(IpAddr),
    /// A DNS name, resolved in the background.
    Name(String),
}

/// The HTTP version spoken to an endpoint. There is no "whichever": the endpoint's URL decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2: by ALPN over TLS, by prior knowledge (h2c, RFC 9113 §3.3) without.
    Http2,
}

/// What carries the HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP in plain text.
    Plain,
    /// TLS over TCP.
    Tls,
}

/// Which addresses are used when a name has both IPv4 and IPv6 ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 if there is any, else IPv6. The default: on a host without IPv6, or for `localhost` served on 127.0.0.1
    /// only, half of the requests would otherwise first meet a refused connection.
    #[default]
    PreferV4,
    /// IPv6 if there is any, else IPv4.
    PreferV6,
    /// Both.
    Any,
}

/// How one endpoint is chosen among several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// In turn, weights interleaved smoothly.
    RoundRobin,
    /// At random, by weight.
    Random,
    /// The less busy, relative to its weight, of two drawn at random.
    LeastRequests,
    /// The faster of two drawn at random, by a moving average that jumps up at once and comes down slowly.
    PeakEwma,
    /// The same endpoint for the same key, as long as it is available.
    Hash(HashOn),
}

/// What a request is hashed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The client's address.
    Client,
    /// The path.
    Path,
    /// The first value of a header.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(String),
}

/// Active checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthSpec {
    /// What is asked.
    pub kind: CheckKind,
    /// Asked on this port instead of the endpoint's own.
    pub port: Option<u16>,
    /// From the end of one round to the start of the next, ± 10 %.
    pub interval: Duration,
    /// One check, from connecting to the response head.
    pub timeout: Duration,
    /// Consecutive passes that make an unhealthy endpoint healthy; 0 counts as 1.
    pub healthy_after: u32,
    /// Consecutive failures that make an endpoint unhealthy; 0 counts as 1.
    pub unhealthy_after: u32,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// `GET path`, in the endpoint's own protocol and with its TLS settings; passes on an expected status.
    Http {
        /// Path and query, beginning with `/`.
        path: String,
        /// Host header; the endpoint's own when absent.
        host: Option<String>,
        /// Statuses that pass.
        statuses: Vec<RangeInclusive<u16>>,
    },
    /// The health service of gRPC (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>); passes on SERVING.
    Grpc {
        /// The service that is asked about; empty for the server as a whole.
        service: String,
    },
    /// Passes when the port accepts a connection. TLS is not spoken.
    Tcp,
}

/// Passive ejection.
#[derive(Clone, Debug, PartialEq)]
pub struct EjectionSpec {
    /// Consecutive failures that eject; 0 counts as 1.
    pub after: u32,
    /// Length of the first ejection; the second in a row is twice as long, the third three times.
    pub base: Duration,
    /// No ejection is longer.
    pub longest: Duration,
    /// Share of the endpoints, 0 to 1, that may be ejected at once. Of two or more, one always may, unless this is 0;
    /// a single endpoint never is.
    pub at_most: f64,
}

impl EjectionSpec {
    /// In force where nothing is written.
    pub const USUAL: Self =
        Self { after: 5, base: Duration::from_secs(30), longest: Duration::from_secs(300), at_most: 0.5 };
}

/// How TLS endpoints are verified and what they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSpec {
    /// Certificates (PEM) that may sign an endpoint's certificate; the system's own when absent.
    pub ca: Option<Vec<u8>>,
    /// What this gateway shows when asked for a certificate.
    pub client: Option<ClientIdentity>,
    /// Server name to ask for and to verify, instead of the endpoint's own name.
    pub sni: Option<String>,
    /// What is verified.
    pub verify: Verify,
}

/// A client certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// Certificate chain, PEM, the leaf first.
    pub chain: Vec<u8>,
    /// Private key, PEM.
    pub key: Vec<u8>,
}

impl fmt::Debug for ClientIdentity {
    /// The key is a secret: neither part is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientIdentity(..)")
    }
}

/// What is verified of an endpoint's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verify {
    /// The chain and the name.
    #[default]
    Full,
    /// The chain only.
    Chain,
    /// Nothing.
    Off,
}

/// Limits on one connection. Pingora's own are all absent (waiting for ever), so each is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP handshake, and again the TLS handshake.
    pub connect: Duration,
    /// Both handshakes together.
    pub total_connect: Duration,
    /// Between two reads (HTTP/1), or until the next frame (HTTP/2).
    pub read: Duration,
    /// One write.
    pub write: Duration,
    /// An unused connection is kept this long.
    pub idle: Duration,
}
