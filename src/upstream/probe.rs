//! One active check of one endpoint.
//!
//! `pingora-load-balancing` has such checks too. Each of its check objects owns a connector, which is two TLS contexts
//! with the system's trust store for every upstream and every reload, and has one peer for all endpoints, where server
//! names and protocols differ here from endpoint to endpoint; over HTTP/2 it sends no authority, and nothing bounds the
//! time an endless body takes. So a check here is a request of its own over one connector for all, with the endpoint's
//! own peer.
//!
//! Every check opens a new connection: one that is kept may go on working while new ones are refused.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderValue, Uri, Version};
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::error::UpstreamError;
use super::spec::{CheckKind, HealthSpec};

/// Informational responses (1xx) before the real one that are put up with.
const MOST_INFORMATIONAL: usize = 8;

/// A check, ready to be made.
pub(super) struct Probe {
    kind: Kind,
    port: Option<u16>,
    timeout: Duration,
}

enum Kind {
    Tcp,
    Grpc { service: String },
    Http { path: String, host: Option<HeaderValue>, statuses: Vec<RangeInclusive<u16>> },
}

impl Probe {
    pub(super) fn new(spec: &HealthSpec) -> Result<Probe, UpstreamError> {
        let kind = match &spec.kind {
            CheckKind::Tcp => Kind::Tcp,
            CheckKind::Grpc { service } => Kind::Grpc { service: service.clone() },
            CheckKind::Http { path, host, statuses } => {
                if !path.starts_with('/') || path.parse::<http::uri::PathAndQuery>().is_err() {
                    return Err(UpstreamError::BadHealthRequest(format!("`{path}` is not a path")));
                }
                let host = host.as_deref().map(parse_host).transpose()?;
                Kind::Http { path: path.clone(), host, statuses: statuses.clone() }
            }
        };
        Ok(Probe { kind, port: spec.port, timeout: spec.timeout })
    }

    /// Makes the check. Both results say in a few words what was seen.
    pub(super) async fn check(&self, endpoint: &Endpoint, connector: &Connector) -> Result<String, String> {
        let seen = async {
            match &self.kind {
                Kind::Tcp => self.connect(endpoint).await,
                Kind::Grpc { service } => {
                    super::grpc_probe::check(connector, &self.peer(endpoint), endpoint.host_header(), service).await
                }
                Kind::Http { path, host, statuses } => {
                    let host = host.as_ref().unwrap_or_else(|| endpoint.host_header());
                    let status = status(connector, &self.peer(endpoint), path, host).await?;
                    let expected = statuses.iter().any(|range| range.contains(&status));
                    if expected { Ok(format!("status {status}")) } else { Err(format!("status {status}")) }
                }
            }
        };
        tokio::time::timeout(self.timeout, seen)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {:?}", self.timeout)))
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<String, String> {
        let mut address = endpoint.address();
        if let Some(port) = self.port {
            address.set_port(port);
        }
        match TcpStream::connect(address).await {
            Ok(_) => Ok("connected".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn peer(&self, endpoint: &Endpoint) -> HttpPeer {
        let mut peer = endpoint.prebuilt().clone();
        if let Some(port) = self.port {
            peer._address.set_port(port);
        }
        // With room for a second stream the connector would keep the connection for the next check.
        peer.options.max_h2_streams = 1;
        peer
    }
}

fn parse_host(host: &str) -> Result<HeaderValue, UpstreamError> {
    let bad = || UpstreamError::BadHealthRequest(format!("`{host}` is not a host"));
    host.parse::<http::uri::Authority>().map_err(|_| bad())?;
    HeaderValue::from_str(host).map_err(|_| bad())
}

/// Asks for a path and returns the status. The body is not read: dropping the session closes the connection.
async fn status(connector: &Connector, peer: &HttpPeer, path: &str, host: &HeaderValue) -> Result<u16, String> {
    let request = request(peer, path, host).map_err(|error| error.to_string())?;
    let exchange = async {
        let (mut session, _) = connector.get_http_session(peer).await?;
        session.write_request_header(Box::new(request)).await?;
        session.finish_request_body().await?;
        let mut status = 0;
        for _ in 0..=MOST_INFORMATIONAL {
            session.read_response_header().await?;
            status = session.response_header().map_or(0, |response| response.status.as_u16());
            if !(100..200).contains(&status) {
                break;
            }
        }
        Ok(status)
    };
    exchange.await.map_err(|error: Box<pingora_core::Error>| brief(&error))
}

fn request(peer: &HttpPeer, path: &str, host: &HeaderValue) -> pingora_core::Result<RequestHeader> {
    let mut request = RequestHeader::build("GET", path.as_bytes(), Some(4))?;
    request.insert_header(http::header::USER_AGENT, "tollgate-health")?;
    if peer.options.alpn == ALPN::H2 {
        let authority = host.to_str().unwrap_or_default();
        let scheme = if peer.is_tls() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
        request.set_version(Version::HTTP_2);
        uri.into_iter().for_each(|uri| request.set_uri(uri));
    } else {
        request.insert_header(http::header::HOST, host)?;
        request.insert_header(http::header::CONNECTION, "close")?;
    }
    Ok(request)
}

/// What went wrong in a few words: the kind of error and, where there is one, its cause.
pub(super) fn brief(error: &pingora_core::Error) -> String {
    let kind = error.etype().as_str();
    match &error.cause {
        Some(cause) => format!("{kind}: {cause}"),
        None => kind.to_owned(),
    }
}
