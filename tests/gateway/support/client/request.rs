//! A request as a test writes it.

use crate::support::wire::Fields;

/// A request under construction; `Host` is added unless it is given or left out on purpose.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) fields: Fields,
    pub(super) body: Body,
    host: Host,
    pub(super) identified: Identified,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    Length(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Host {
    Added,
    LeftOut,
}

/// Whether the response must carry a request id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Identified {
    /// It must: every response of a gateway does.
    Required,
    /// It need not: the peer is no gateway, or the request never became one.
    NotRequired,
}

impl Request {
    /// A request of any method.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.into(),
            target: target.into(),
            fields: Fields::new(),
            body: Body::None,
            host: Host::Added,
            identified: Identified::Required,
        }
    }

    /// A GET.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST with a body of known length.
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// Adds a field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Sets a body of known length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Length(body.into());
        self
    }

    /// Sets a chunked body.
    pub fn chunks(mut self, chunks: &[&str]) -> Self {
        self.body = Body::Chunks(chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect());
        self
    }

    /// Leaves `Host` out.
    pub fn without_host(mut self) -> Self {
        self.host = Host::LeftOut;
        self
    }

    /// Does not ask for a request id in the response.
    pub fn unidentified(mut self) -> Self {
        self.identified = Identified::NotRequired;
        self
    }

    /// The bytes to send to `host`.
    pub fn bytes(&self, host: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        let named = self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"));
        if self.host == Host::Added && !named {
            head.push_str(&format!("Host: {host}\r\n"));
        }
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = match &self.body {
            Body::None => Vec::new(),
            Body::Length(body) => {
                head.push_str(&format!("Content-Length: {}\r\n", body.len()));
                body.clone()
            }
            Body::Chunks(chunks) => {
                head.push_str("Transfer-Encoding: chunked\r\n");
                chunked(chunks)
            }
        };
        [head.as_bytes(), b"\r\n", &body].concat()
    }
}

fn chunked(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        body.extend(format!("{:x}\r\n", chunk.len()).bytes());
        body.extend(chunk);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    body
}
