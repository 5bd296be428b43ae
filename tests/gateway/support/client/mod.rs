//! A strict HTTP/1.1 client: every response it returns has passed the invariants of [`Response`], and everything it
//! waits for has a deadline.

pub mod h2;
mod request;
mod response;

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use pingora::tls::ssl::SslConnector;

pub use request::{Identified, Request};
pub use response::Response;

use super::wait::DEADLINE;
use super::wire::{Fields, Head, Socket, Wire, members, values};

/// One connection.
pub struct Client {
    wire: Wire,
    socket: Arc<TcpStream>,
    host: String,
    secrets: Vec<String>,
}

/// Sends one request over a connection of its own.
///
/// # Panics
/// As [`Client::send`] does.
#[track_caller]
pub fn send(address: SocketAddr, request: &Request) -> Response {
    Client::connect(address).send(request)
}

impl Client {
    /// Connects without TLS.
    ///
    /// # Panics
    /// When nothing accepts the connection.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        let socket = connected(address);
        Self::over(Wire::new(Socket(Arc::clone(&socket))), socket, address.to_string())
    }

    /// Connects with TLS, asking for and verifying `name`; the reason where the handshake fails.
    ///
    /// # Panics
    /// When nothing accepts the connection.
    #[track_caller]
    pub fn connect_tls(address: SocketAddr, tls: &SslConnector, name: &str) -> Result<Self, String> {
        let socket = connected(address);
        let stream = tls.connect(name, Socket(Arc::clone(&socket))).map_err(|error| error.to_string())?;
        Ok(Self::over(Wire::new(stream), socket, name.into()))
    }

    fn over(wire: Wire, socket: Arc<TcpStream>, host: String) -> Self {
        Self { wire, socket, host, secrets: Vec::new() }
    }

    /// What no response may tell.
    pub fn keep_secret(mut self, secrets: &[&str]) -> Self {
        self.secrets = secrets.iter().map(|secret| String::from(*secret)).collect();
        self
    }

    /// Sends a request and reads its response.
    ///
    /// # Panics
    /// When the response breaks a rule or does not come; the message shows what came.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        self.send_raw(&request.bytes(&self.host));
        self.read_for(&request.method, request.identified)
    }

    /// Sends bytes as they are. A peer that has closed already is left for the read to find.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.wire.send(bytes);
    }

    /// Reads the response to a GET sent as raw bytes, a request id in it or not.
    ///
    /// # Panics
    /// As [`Self::send`] does.
    #[track_caller]
    pub fn read(&mut self) -> Response {
        self.read_for("GET", Identified::NotRequired)
    }

    /// Reads the response to a request of that method.
    ///
    /// # Panics
    /// As [`Self::send`] does.
    #[track_caller]
    pub fn read_for(&mut self, method: &str, identified: Identified) -> Response {
        match self.try_read(method) {
            Ok(response) => {
                let faults = response.faults(identified, &self.secrets);
                let received = self.wire.take_received();
                assert!(faults.is_empty(), "{faults:#?}\n--- received:\n{received}");
                response
            }
            Err(error) => panic!("{error}\n--- received:\n{}", self.wire.take_received()),
        }
    }

    /// Reads a response; the reason where it is cut short or not HTTP/1.1. No other rule is checked.
    pub fn try_read(&mut self, method: &str) -> Result<Response, String> {
        let mut early = Vec::new();
        loop {
            let Head { first, fields } = self.wire.head()?.ok_or("closed before a response")?;
            let status = status(&first)?;
            if (100..200).contains(&status) && status != 101 {
                early.push((status, fields));
                continue;
            }
            let (body, trailers) = self.body(method, status, &fields)?;
            return Ok(Response { status, fields, body, trailers, early });
        }
    }

    /// The body of a response, by RFC 9112 §6.3.
    fn body(&mut self, method: &str, status: u16, fields: &Fields) -> Result<(Vec<u8>, Fields), String> {
        let lengths = values(fields, "content-length");
        match (members(fields, "transfer-encoding").as_slice(), lengths.as_slice()) {
            _ if method == "HEAD" || matches!(status, 101 | 204 | 304) => Ok((Vec::new(), Fields::new())),
            ([coding], []) if coding == "chunked" => self.wire.chunked(),
            ([], [length]) => {
                let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                let length = digits.then(|| length.parse().ok()).flatten();
                let length = length.ok_or_else(|| format!("Content-Length {lengths:?}"))?;
                Ok((self.wire.exactly(length)?, Fields::new()))
            }
            ([], []) => Ok((self.wire.rest()?, Fields::new())),
            (codings, lengths) => Err(format!("framed by {codings:?} and {lengths:?}")),
        }
    }

    /// Reads bytes as they come, at least one unless the peer closes: for tunnels and streams.
    ///
    /// # Panics
    /// When nothing comes.
    #[track_caller]
    pub fn read_some(&mut self) -> Vec<u8> {
        self.wire.some().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads the head of a response and leaves its body to [`Self::read_some`]: for streams.
    ///
    /// # Panics
    /// When it does not come or is not HTTP/1.1.
    #[track_caller]
    pub fn read_head(&mut self) -> (u16, Fields) {
        match self.wire.head() {
            Ok(Some(head)) => (status(&head.first).expect("a status line"), head.fields),
            other => panic!("no head of a response: {other:?}"),
        }
    }

    /// Reads all bytes until the peer closes; a reset counts as an end.
    ///
    /// # Panics
    /// When the peer does not close.
    #[track_caller]
    pub fn read_to_close(&mut self) -> Vec<u8> {
        match self.wire.rest() {
            Err(error) if error.contains("in time") => panic!("not closed; received: {}", self.wire.take_received()),
            Err(_) => Vec::new(),
            Ok(bytes) => bytes,
        }
    }

    /// Closes the sending half: the server sees the end of the stream and can still answer.
    pub fn finish_sending(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

#[track_caller]
fn connected(address: SocketAddr) -> Arc<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, DEADLINE).expect("a server that accepts");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    socket.set_read_timeout(Some(DEADLINE)).expect("a read time-out");
    socket.set_write_timeout(Some(DEADLINE)).expect("a write time-out");
    Arc::new(socket)
}

/// The status of a status line (RFC 9112 §4): `HTTP/1.1 SP 3DIGIT SP [ reason ]`.
fn status(line: &str) -> Result<u16, String> {
    let fault = || format!("not a status line: {line:?}");
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(fault)?;
    let (digits, _reason) = rest.split_once(' ').ok_or_else(fault)?;
    let legal = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|status| legal && (100..600).contains(status)).ok_or_else(fault)
}
