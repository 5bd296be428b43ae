//! An HTTP/2 client, over TLS or by prior knowledge (h2c), for tests that block.

use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::SendRequest;
use pingora::tls::ssl::SslConnector;
use pingora::tls::tokio_ssl::SslStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::request::{Body, Request};
use super::response::Response;
use crate::support::origin::h2::{fields_of, header_map, read_body};
use crate::support::wait::DEADLINE;

/// One connection with many streams.
pub struct Client {
    runtime: Runtime,
    sender: SendRequest<Bytes>,
    scheme: &'static str,
    authority: String,
}

impl Client {
    /// Connects without TLS and speaks HTTP/2 at once.
    ///
    /// # Panics
    /// When nothing accepts the connection.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let runtime = runtime();
        let sender = runtime.block_on(async { handshake(tcp(address).await).await }).expect("an HTTP/2 server");
        Self { runtime, sender, scheme: "http", authority: address.to_string() }
    }

    /// Connects with TLS, asking for and verifying `name`; the reason where the handshake or its ALPN fails.
    pub fn connect_tls(address: SocketAddr, tls: &SslConnector, name: &str) -> Result<Self, String> {
        let runtime = runtime();
        let ssl = tls.configure().and_then(|tls| tls.into_ssl(name)).map_err(|error| error.to_string())?;
        let sender = runtime.block_on(async {
            let mut stream = SslStream::new(ssl, tcp(address).await).map_err(|error| error.to_string())?;
            Pin::new(&mut stream).connect().await.map_err(|error| error.to_string())?;
            match stream.ssl().selected_alpn_protocol() {
                Some(b"h2") => handshake(stream).await,
                other => Err(format!("ALPN chose {other:?}")),
            }
        })?;
        Ok(Self { runtime, sender, scheme: "https", authority: name.into() })
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// When the stream fails or the response breaks a rule that [`Response`] holds.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        self.try_send(request).expect("a response")
    }

    /// As [`Self::send`]; the reason where the stream fails.
    ///
    /// # Panics
    /// When the response breaks a rule.
    #[track_caller]
    pub fn try_send(&mut self, request: &Request) -> Result<Response, String> {
        self.send_all(std::slice::from_ref(request)).remove(0)
    }

    /// Sends requests on streams of their own at the same time; what came of each, in order.
    ///
    /// # Panics
    /// When a response breaks a rule.
    #[track_caller]
    pub fn send_all(&mut self, requests: &[Request]) -> Vec<Result<Response, String>> {
        let exchanges = requests.iter().map(|request| self.exchange(request));
        let results = self.runtime.block_on(join_all(exchanges));
        for (result, request) in results.iter().zip(requests) {
            let faults = result.as_ref().map(|response| response.faults(request.identified, &[])).unwrap_or_default();
            assert!(faults.is_empty(), "{faults:#?} in {result:#?}");
        }
        results
    }

    async fn exchange(&self, request: &Request) -> Result<Response, String> {
        let exchange = async {
            let body = body_of(request);
            let mut sender = self.sender.clone().ready().await?;
            let (response, mut stream) = sender.send_request(self.head(request), body.is_none())?;
            if let Some(body) = body {
                stream.send_data(body.into(), true)?;
            }
            let (parts, mut stream) = response.await?.into_parts();
            let (body, trailers) = read_body(&mut stream).await?;
            let (status, fields) = (parts.status.as_u16(), fields_of(&parts.headers));
            Ok(Response { status, fields, body, trailers, early: Vec::new() })
        };
        match tokio::time::timeout(DEADLINE, exchange).await {
            Ok(result) => result.map_err(|error: h2::Error| error.to_string()),
            Err(_) => Err("no response in time".into()),
        }
    }

    fn head(&self, request: &Request) -> http::Request<()> {
        let uri = format!("{}://{}{}", self.scheme, self.authority, request.target);
        let builder = http::Request::builder().method(request.method.as_str()).uri(uri).version(http::Version::HTTP_2);
        let mut head = builder.body(()).expect("a request");
        *head.headers_mut() = header_map(&request.fields);
        head
    }
}

fn body_of(request: &Request) -> Option<Vec<u8>> {
    match &request.body {
        Body::None => None,
        Body::Length(body) => Some(body.clone()),
        Body::Chunks(chunks) => Some(chunks.concat()),
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a server that accepts");
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream
}

/// Begins HTTP/2; the connection is driven whenever the client waits for something.
async fn handshake<T>(io: T) -> Result<SendRequest<Bytes>, String>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = h2::client::handshake(io).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}
