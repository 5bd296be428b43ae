//! A scripted HTTP/2 upstream, over TLS or by prior knowledge (h2c), on a thread with a runtime of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::tls::ssl::{Ssl, SslAcceptor};
use pingora::tls::tokio_ssl::SslStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::Request;
use crate::support::wire::Fields;

/// What to answer a stream.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status; 0 stands for 200.
    pub status: u16,
    /// The fields.
    pub fields: Fields,
    /// The body, one DATA frame.
    pub body: Vec<u8>,
    /// The trailers; no frame for them where there are none.
    pub trailers: Fields,
    /// Resets the stream with that code instead, before any answer.
    pub reset: Option<h2::Reason>,
}

type Script = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running upstream; it ends when dropped.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    tls: Option<SslAcceptor>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<usize>,
}

impl Origin {
    /// Answers by prior knowledge (h2c).
    pub fn start(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Box::new(script))
    }

    /// Answers over TLS.
    pub fn start_tls(tls: SslAcceptor, script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(Some(tls), Box::new(script))
    }

    fn listen(tls: Option<SslAcceptor>, script: Box<Script>) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a bound socket");
        listener.set_nonblocking(true).expect("a non-blocking socket");
        let shared = Arc::new(Shared { script, tls, requests: Mutex::default(), connections: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async {
                    tokio::select! {
                        () = shared.accept(listener) => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_background();
            }
        });
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a path: `h2c://…` or `https://…`.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "h2c" };
        format!("{scheme}://{}", self.address)
    }

    /// The requests received so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("requests").clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("connections")
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    async fn accept(self: &Arc<Self>, listener: std::net::TcpListener) {
        let listener = TcpListener::from_std(listener).expect("a listener of the runtime");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let connection = {
                let mut connections = self.connections.lock().expect("connections");
                *connections += 1;
                *connections - 1
            };
            tokio::spawn(Arc::clone(self).connection(stream, connection));
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, connection: usize) {
        let Some(tls) = &self.tls else { return self.streams(stream, connection).await };
        let ssl = Ssl::new(tls.context()).expect("a TLS session");
        let mut stream = SslStream::new(ssl, stream).expect("a TLS stream");
        if Pin::new(&mut stream).accept().await.is_ok() {
            self.streams(stream, connection).await;
        }
    }

    async fn streams(self: &Arc<Self>, io: impl AsyncRead + AsyncWrite + Unpin, connection: usize) {
        let Ok(mut accepted) = h2::server::handshake(io).await else { return };
        while let Some(Ok((request, respond))) = accepted.accept().await {
            let shared = Arc::clone(self);
            // A stream that fails is the client's to report.
            tokio::spawn(async move { shared.stream(request, respond, connection).await });
        }
    }

    async fn stream(
        &self,
        request: http::Request<h2::RecvStream>,
        mut respond: SendResponse<Bytes>,
        connection: usize,
    ) -> Result<(), h2::Error> {
        let request = received(request, connection).await?;
        let answer = (self.script)(&request);
        self.requests.lock().expect("requests").push(request);
        if let Some(reason) = answer.reset {
            respond.send_reset(reason);
            return Ok(());
        }
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(answer.status.max(200)).expect("a status");
        *response.headers_mut() = header_map(&answer.fields);
        let bodiless = answer.body.is_empty() && answer.trailers.is_empty();
        let mut stream = respond.send_response(response, bodiless)?;
        if bodiless {
            return Ok(());
        }
        stream.send_data(answer.body.into(), answer.trailers.is_empty())?;
        if !answer.trailers.is_empty() {
            stream.send_trailers(header_map(&answer.trailers))?;
        }
        Ok(())
    }
}

async fn received(request: http::Request<h2::RecvStream>, connection: usize) -> Result<Request, h2::Error> {
    let (parts, mut stream) = request.into_parts();
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string);
    let (body, trailers) = read_body(&mut stream).await?;
    let mut fields = fields_of(&parts.headers);
    fields.insert(0, (":authority".into(), parts.uri.authority().map(ToString::to_string).unwrap_or_default()));
    let (method, version) = (parts.method.to_string(), "HTTP/2.0".into());
    Ok(Request { method, target, version, fields, body, trailers, connection })
}

/// A whole body and its trailers.
pub async fn read_body(stream: &mut h2::RecvStream) -> Result<(Vec<u8>, Fields), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        stream.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    Ok((body, stream.trailers().await?.map(|map| fields_of(&map)).unwrap_or_default()))
}

/// The fields of a map, octets above 127 one to one as Latin-1.
pub fn fields_of(map: &HeaderMap) -> Fields {
    let text = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    map.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// A map of fields.
///
/// # Panics
/// When one of them is illegal.
pub fn header_map(fields: &Fields) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).expect("a field name");
        (name, HeaderValue::from_str(value).expect("a field value"))
    };
    fields.iter().map(pair).collect()
}
