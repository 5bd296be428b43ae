//! HTTP/1.1 as read from a socket by both ends of the tests, strictly: what is not exactly RFC 9112 is an error.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// Header or trailer fields in the order they came.
pub type Fields = Vec<(String, String)>;

/// A byte stream, plain or TLS.
pub trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// A TCP stream that others may hold too, to reset it or shut it down.
#[derive(Clone, Debug)]
pub struct Socket(pub Arc<TcpStream>);

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

/// The start line and the fields of a message.
#[derive(Debug)]
pub struct Head {
    /// The request line or the status line.
    pub first: String,
    /// Its fields.
    pub fields: Fields,
}

/// A connection with what was read ahead.
pub struct Wire {
    stream: Box<dyn Duplex>,
    ahead: Vec<u8>,
    received: Vec<u8>,
}

impl Wire {
    /// Speaks over `stream`, which must have a read time-out.
    pub fn new(stream: impl Duplex + 'static) -> Self {
        Self { stream: Box::new(stream), ahead: Vec::new(), received: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// All that came since the last call, for the message of a failed test.
    pub fn take_received(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned()
    }

    /// The next head; none where the peer closed the connection before its first byte.
    pub fn head(&mut self) -> Result<Option<Head>, String> {
        if self.ahead.is_empty() && !self.more()? {
            return Ok(None);
        }
        let first = self.line()?;
        Ok(Some(Head { first, fields: self.fields()? }))
    }

    /// Exactly `length` bytes.
    pub fn exactly(&mut self, length: usize) -> Result<Vec<u8>, String> {
        while self.ahead.len() < length {
            if !self.more()? {
                return Err(format!("the connection ended {} bytes short", length - self.ahead.len()));
            }
        }
        Ok(self.ahead.drain(..length).collect())
    }

    /// A chunked body (RFC 9112 §7.1) and its trailers.
    pub fn chunked(&mut self) -> Result<(Vec<u8>, Fields), String> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).map_err(|_| format!("chunk size {line:?}"))?;
            if size == 0 {
                return Ok((body, self.fields()?));
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err("no CRLF after a chunk".into());
            }
        }
    }

    /// All bytes until the peer closes.
    pub fn rest(&mut self) -> Result<Vec<u8>, String> {
        while self.more()? {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// Bytes that came already, and those of one more read if there were none; empty at the end of the stream.
    pub fn some(&mut self) -> Result<Vec<u8>, String> {
        if self.ahead.is_empty() {
            self.more()?;
        }
        Ok(std::mem::take(&mut self.ahead))
    }

    fn fields(&mut self) -> Result<Fields, String> {
        let mut fields = Fields::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push(field(&line)?);
        }
    }

    /// A line without its CRLF; a CR, LF or NUL within is an error.
    fn line(&mut self) -> Result<String, String> {
        let end = loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            if !self.more()? {
                return Err("the connection ended within a line".into());
            }
        };
        let line: Vec<u8> = self.ahead.drain(..=end).collect();
        let line = line.strip_suffix(b"\r\n").ok_or("a line that ends with a bare LF")?;
        if line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')) {
            return Err("a CR or NUL within a line".into());
        }
        // Octets above 127 (obs-text) are kept one to one, as Latin-1.
        Ok(line.iter().map(|byte| char::from(*byte)).collect())
    }

    /// Reads once more. False at the end of the stream.
    fn more(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 16 * 1024];
        let read = match self.stream.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err("nothing more came in time".into()),
            Err(error) => return Err(error.to_string()),
        };
        self.ahead.extend_from_slice(&buffer[..read]);
        self.received.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }
}

/// A field line (RFC 9112 §5): a token, a colon, a value without control characters.
fn field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("a field without a colon: {line:?}"))?;
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Err(format!("not a field name: {name:?}"));
    }
    let value = value.trim_matches([' ', '\t']);
    if value.chars().any(|c| c != '\t' && c.is_ascii_control()) {
        return Err(format!("a control character in {name}: {value:?}"));
    }
    Ok((name.into(), value.into()))
}

/// The values of all fields of that name.
pub fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
}

/// The members of a comma-separated field, in lower case, all its lines together.
pub fn members(fields: &Fields, name: &str) -> Vec<String> {
    let lines = values(fields, name).into_iter();
    lines.flat_map(|line| line.split(',')).map(|member| member.trim().to_ascii_lowercase()).collect()
}
