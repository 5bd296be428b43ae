//! A request as an upstream received it.

use serde_json::{Value, json};

use crate::support::wire::{Fields, Head, Wire, members, values};

/// What came, in the order it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The target as written in the request line, or `:path`.
    pub target: String,
    /// The protocol version as written, or `HTTP/2.0`.
    pub version: String,
    /// The fields in order.
    pub fields: Fields,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Fields,
    /// Which connection of the upstream it came on, from 0.
    pub connection: usize,
}

impl Request {
    /// The next request of an HTTP/1.1 connection; none where it ended. Answers an expectation to continue.
    pub fn read(wire: &mut Wire, connection: usize) -> Result<Option<Self>, String> {
        let Some(head) = wire.head()? else { return Ok(None) };
        let mut request = Self::from_head(head, connection)?;
        let lengths = values(&request.fields, "content-length");
        let chunked = members(&request.fields, "transfer-encoding") == ["chunked"];
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|error| error.to_string())?;
        }
        match (chunked, lengths.as_slice()) {
            (true, []) => (request.body, request.trailers) = wire.chunked()?,
            (false, []) => {}
            (false, [length]) => {
                request.body = wire.exactly(length.parse().map_err(|_| format!("Content-Length {length:?}"))?)?;
            }
            _ => return Err(format!("ambiguous framing: {:?}", request.fields)),
        }
        Ok(Some(request))
    }

    fn from_head(head: Head, connection: usize) -> Result<Self, String> {
        let mut parts = head.first.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(format!("not a request line: {:?}", head.first));
        };
        Ok(Self {
            method: method.into(),
            target: target.into(),
            version: version.into(),
            fields: head.fields,
            body: Vec::new(),
            trailers: Fields::new(),
            connection,
        })
    }

    /// The only value of that field. None where it is missing or stands more than once.
    pub fn header(&self, name: &str) -> Option<&str> {
        match values(&self.fields, name).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }

    /// All values of that field.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The request as JSON: method, target, version, headers as pairs in order, body as text, its length, trailers.
    pub fn to_json(&self) -> Value {
        json!({
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "headers": self.fields,
            "length": self.body.len(),
            "body": String::from_utf8_lossy(&self.body),
            "trailers": self.trailers,
            "connection": self.connection,
        })
    }
}
