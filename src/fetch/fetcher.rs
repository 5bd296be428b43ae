//! Makes calls over one connector.

use super::{Answer, Call, FetchError};
use crate::value::{Host, Scheme, Url};
use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::connectors::http::Connector;
use pingora_core::protocols::http::client::HttpSession;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// Informational responses (1xx) before the real one that are put up with.
const MOST_INFORMATIONAL: usize = 8;
/// How long a connection is kept for the next call.
const IDLE: Duration = Duration::from_secs(30);

/// Makes the gateway's own calls. One for a process: connections are kept between calls.
#[derive(Default)]
pub struct Fetcher {
    /// Made at the first call: it loads the system's trust store, which `check` never needs.
    connector: OnceLock<Connector>,
}

impl Fetcher {
    /// A fetcher that has called nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a call.
    ///
    /// # Errors
    /// No answer, in time and of the allowed length. Any status is an answer.
    pub async fn call(&self, call: &Call) -> Result<Answer, FetchError> {
        tokio::time::timeout(call.timeout, self.call_unbounded(call)).await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn call_unbounded(&self, call: &Call) -> Result<Answer, FetchError> {
        let address = resolve(&call.url).await?;
        let peer = peer(&call.url, address, call.timeout);
        let request = request(call)?;
        let connector = self.connector.get_or_init(|| Connector::new(None));
        let (mut session, _) = connector.get_http_session(&peer).await.map_err(|error| connection(&error))?;
        let answer = exchange(&mut session, request, call).await?;
        connector.release_http_session(session, &peer, Some(IDLE)).await;
        Ok(answer)
    }
}

/// The first address of the host.
async fn resolve(url: &Url) -> Result<SocketAddr, FetchError> {
    match &url.host {
        Host::Ip(address) => Ok(SocketAddr::new(*address, url.port)),
        Host::Name(name) => {
            let found = tokio::net::lookup_host((name.as_str(), url.port)).await;
            let mut addresses = found.map_err(|error| FetchError::Name(error.to_string()))?;
            addresses.next().ok_or_else(|| FetchError::Name("no address".into()))
        }
    }
}

fn peer(url: &Url, address: SocketAddr, timeout: Duration) -> HttpPeer {
    let mut peer = HttpPeer::new(address, url.scheme.is_tls(), url.host.to_string());
    peer.options.connection_timeout = Some(timeout);
    peer.options.total_connection_timeout = Some(timeout);
    peer.options.read_timeout = Some(timeout);
    peer.options.write_timeout = Some(timeout);
    peer.options.idle_timeout = Some(IDLE);
    peer
}

fn request(call: &Call) -> Result<RequestHeader, FetchError> {
    let bad = |error: Box<pingora_core::Error>| FetchError::BadCall(error.to_string());
    if matches!(call.url.scheme, Scheme::H2c | Scheme::H2) || !call.target.starts_with('/') {
        return Err(FetchError::BadCall("not an http or https URL".into()));
    }
    let mut request = RequestHeader::build(call.method.clone(), call.target.as_bytes(), Some(8)).map_err(bad)?;
    request.insert_header(header::HOST, call.url.authority()).map_err(bad)?;
    request.insert_header(header::USER_AGENT, "tollgate").map_err(bad)?;
    for (name, value) in &call.fields {
        request.append_header(name.clone(), value.clone()).map_err(bad)?;
    }
    if !call.body.is_empty() || call.method == http::Method::POST {
        request.insert_header(header::CONTENT_LENGTH, call.body.len()).map_err(bad)?;
    }
    Ok(request)
}

async fn exchange(session: &mut HttpSession, request: RequestHeader, call: &Call) -> Result<Answer, FetchError> {
    let connection = |error: Box<pingora_core::Error>| connection(&error);
    session.write_request_header(Box::new(request)).await.map_err(connection)?;
    if !call.body.is_empty() {
        session.write_request_body(call.body.clone(), true).await.map_err(connection)?;
    }
    session.finish_request_body().await.map_err(connection)?;
    let mut seen = 0;
    let (status, headers) = loop {
        session.read_response_header().await.map_err(connection)?;
        let head = session.response_header().ok_or_else(|| FetchError::Connection("no answer".into()))?;
        if !head.status.is_informational() {
            break (head.status, head.headers.clone());
        }
        seen += 1;
        if seen > MOST_INFORMATIONAL {
            return Err(FetchError::Connection("nothing but interim answers".into()));
        }
    };
    Ok(Answer { status, headers, body: body(session, call.most).await? })
}

async fn body(session: &mut HttpSession, most: usize) -> Result<Bytes, FetchError> {
    let mut whole = BytesMut::new();
    while let Some(piece) = session.read_response_body().await.map_err(|error| connection(&error))? {
        if whole.len() + piece.len() > most {
            return Err(FetchError::TooLong);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// What went wrong, without addresses.
fn connection(error: &pingora_core::Error) -> FetchError {
    FetchError::Connection(error.etype().as_str().to_owned())
}
