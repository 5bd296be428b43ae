//! Is this head HTTP/1, to the letter? A scan without allocation over bytes that end in an empty line.

use super::target::check_target;
use crate::reply::Reason;
use bytes::BytesMut;
use std::ops::Range;

/// Bounds of a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Longest head in bytes, request line and empty line included.
    pub bytes: usize,
    /// Most field lines.
    pub count: usize,
    /// Longest request target in bytes.
    pub uri: usize,
}

/// Where the request ends, as its head says (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// After so many bytes; zero where nothing is said.
    Bytes(u64),
    /// After the last chunk.
    Chunked,
}

/// What was learnt of a sound head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where the request ends.
    pub body: BodyLength,
    /// Where the target names the host in another spelling than the Host field does, and where the field does.
    pub respelled: Option<Respelled>,
}

/// Two spellings of one host, by their places in the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respelled {
    authority: Range<usize>,
    host: Range<usize>,
}

impl Respelled {
    /// The request with the Host field's spelling in its target, for readers that compare bytes.
    pub fn unify(&self, request: &[u8]) -> BytesMut {
        let part = |range: Range<usize>| request.get(range).unwrap_or_default();
        let parts = [part(0..self.authority.start), part(self.host.clone()), part(self.authority.end..request.len())];
        parts.concat().as_slice().into()
    }
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadError {
    /// The reason, with its status.
    pub reason: Reason,
    /// What is wrong, for the client.
    pub detail: &'static str,
}

pub(super) const fn bad(detail: &'static str) -> HeadError {
    HeadError { reason: Reason::BadRequest, detail }
}

const fn ambiguous(detail: &'static str) -> HeadError {
    HeadError { reason: Reason::AmbiguousFraming, detail }
}

/// What the fields of a head say about framing and host.
#[derive(Default)]
struct Seen<'a> {
    hosts: usize,
    host: &'a [u8],
    length: Option<u64>,
    chunked: Option<Chunked>,
}

enum Chunked {
    Yes,
}

/// Checks a whole head, `\r\n\r\n` included.
///
/// # Errors
/// The first breach found: RFC 9112 §2.2 (bare CR or LF), §3 (request line), §3.2 (Host), §5 (fields, obs-fold), §6
/// (framing), or a limit. What passes is never refused by Pingora's own parser, whose answers are not the gateway's.
pub fn check(head: &[u8], limits: &HeadLimits) -> Result<Head, HeadError> {
    let mut lines = Lines { rest: head };
    let request_line = lines.next().ok_or(bad("The request line is incomplete."))??;
    let RequestLine { version, authority, default_port } = check_request_line(request_line, limits)?;
    let mut seen = Seen::default();
    let mut count = 0;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        count += 1;
        if count > limits.count {
            return Err(HeadError { reason: Reason::HeadersTooLarge, detail: "There are too many header fields." });
        }
        check_field(line, &mut seen)?;
    }
    match (version, seen.hosts) {
        (Version::Http10, 0) | (_, 1) => {}
        (Version::Http11, 0) => return Err(bad("A request needs a Host field.")),
        _ => return Err(bad("A request has exactly one Host field.")),
    }
    let mut respelled = None;
    if let Some(authority) = authority.filter(|authority| seen.hosts > 0 && *authority != seen.host) {
        if !is_same_host(authority, seen.host, default_port) {
            return Err(bad("Host and the request target name different hosts."));
        }
        respelled = Some(Respelled { authority: place(head, authority), host: place(head, seen.host) });
    }
    let body = match (seen.chunked, seen.length) {
        (Some(_), Some(_)) => return Err(ambiguous("Content-Length and Transfer-Encoding stand together.")),
        (Some(_), None) if version == Version::Http10 => {
            return Err(ambiguous("Transfer-Encoding does not exist in HTTP/1.0."));
        }
        (Some(Chunked::Yes), None) => BodyLength::Chunked,
        (None, length) => BodyLength::Bytes(length.unwrap_or(0)),
    };
    Ok(Head { body, respelled })
}

/// Where a part of the head stands in it.
fn place(head: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(head.as_ptr().addr());
    start..start.saturating_add(part.len())
}

/// An authority without its port, where that is none or the default.
fn without_port<'a>(authority: &'a [u8], default_port: &[u8]) -> &'a [u8] {
    let colon = memchr::memrchr(b':', authority);
    match colon.and_then(|at| authority.split_at_checked(at)) {
        Some((name, [b':'])) => name,
        Some((name, [b':', port @ ..])) if port == default_port => name,
        _ => authority, // without a port, with another, or an address of IPv6, which ends in a bracket
    }
}

/// Whether two authorities differ only in the case of the name or in a port that goes without saying (RFC 3986 §6.2.3).
fn is_same_host(one: &[u8], two: &[u8], default_port: &[u8]) -> bool {
    without_port(one, default_port).eq_ignore_ascii_case(without_port(two, default_port))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Http10,
    Http11,
}

/// What the request line says.
struct RequestLine<'a> {
    version: Version,
    /// Of a target in absolute form.
    authority: Option<&'a [u8]>,
    /// The port that goes without saying in it.
    default_port: &'static [u8],
}

/// `method SP request-target SP HTTP-version`, single spaces, nothing else (RFC 9112 §3).
fn check_request_line<'a>(line: &'a [u8], limits: &HeadLimits) -> Result<RequestLine<'a>, HeadError> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("The request line is not `METHOD target HTTP/1.1`."));
    };
    if method.is_empty() || !method.iter().all(|byte| TOKEN.has(*byte)) {
        return Err(bad("The method is not a token."));
    }
    if method == b"CONNECT" {
        return Err(bad("CONNECT is not served here: this gateway is no tunnel."));
    }
    if target.is_empty() || !all(target, |byte| byte.is_ascii_graphic()) {
        return Err(bad("The request target holds characters that must be percent-encoded."));
    }
    if target.len() > limits.uri {
        return Err(HeadError { reason: Reason::UriTooLong, detail: "The request target is too long." });
    }
    let version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        _ => return Err(bad("Only HTTP/1.1 and HTTP/1.0 are spoken here, and HTTP/2 where it is offered.")),
    };
    let secure = target.get(4).is_some_and(|byte| byte.eq_ignore_ascii_case(&b's'));
    let default_port = if secure { b"443".as_slice() } else { b"80" };
    Ok(RequestLine { version, authority: check_target(target)?, default_port })
}

/// One field line: `name ":" value` (RFC 9112 §5), and what it says about framing.
fn check_field<'a>(line: &'a [u8], seen: &mut Seen<'a>) -> Result<(), HeadError> {
    let colon = memchr::memchr(b':', line).ok_or(bad("A header line has no colon."))?;
    let (name, rest) = line.split_at(colon);
    if name.is_empty() || !name.iter().all(|byte| TOKEN.has(*byte)) {
        return Err(bad("A header name is not a token; a line may not begin with a space."));
    }
    let value = rest.get(1..).unwrap_or_default().trim_ascii();
    if !all(value, is_field_byte) {
        return Err(bad("A header value holds a control character."));
    }
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") => {
            if value.contains(&b'@') {
                return Err(bad("The Host is not a host name."));
            }
            seen.hosts += 1;
            seen.host = value;
        }
        14 if name.eq_ignore_ascii_case(b"content-length") => {
            if seen.length.is_some() {
                return Err(ambiguous("There are several Content-Length fields."));
            }
            seen.length = Some(parse_length(value)?);
        }
        17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
            if seen.chunked.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(ambiguous("The only Transfer-Encoding accepted is one `chunked`."));
            }
            seen.chunked = Some(Chunked::Yes);
        }
        _ => {}
    }
    Ok(())
}

/// Digits only (RFC 9112 §6.3): no sign, no list, no spaces inside; at most 18 digits, so that no parser overflows.
fn parse_length(value: &[u8]) -> Result<u64, HeadError> {
    let valid = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    if !valid {
        return Err(ambiguous("Content-Length is not one decimal number."));
    }
    Ok(value.iter().fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

/// A set of bytes as a table: one look for each byte of a head.
struct Bytes([bool; 256]);

impl Bytes {
    fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).is_some_and(|has| *has)
    }
}

/// The characters of a token (RFC 9110 §5.6.2).
static TOKEN: Bytes = Bytes(token_bytes());

#[expect(clippy::indexing_slicing, reason = "runs in the compiler, where an index out of range is an error")]
const fn token_bytes() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        table[byte as usize] =
            !matches!(byte, b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']' | b'{' | b'}');
        byte += 1;
    }
    table
}

/// Whether it holds of every byte. Without an early exit, so that many are judged at a time.
pub(super) fn all(bytes: &[u8], holds: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |so_far, byte| so_far & holds(*byte))
}

/// RFC 9110 §5.5: visible characters, space, tab and obs-text.
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Lines that end in CRLF; a CR or LF by itself is an error (RFC 9112 §2.2).
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], HeadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr::memchr2(b'\r', b'\n', self.rest)?;
        let (line, after) = self.rest.split_at(end);
        let Some(next) = after.strip_prefix(b"\r\n") else {
            self.rest = &[];
            return Some(Err(bad("A line ends in a bare CR or LF.")));
        };
        self.rest = next;
        Some(Ok(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 32_768, count: 4, uri: 64 };

    fn reason(head: &str) -> Result<BodyLength, Reason> {
        check(head.as_bytes(), &LIMITS).map(|head| head.body).map_err(|error| error.reason)
    }

    #[test]
    fn accepts_plain_requests_and_reads_their_length() {
        assert_eq!(reason("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(BodyLength::Bytes(0)));
        assert_eq!(reason("GET / HTTP/1.0\r\n\r\n"), Ok(BodyLength::Bytes(0)));
        assert_eq!(reason("POST / HTTP/1.1\r\nhost:a\r\nContent-Length:  12 \r\n\r\n"), Ok(BodyLength::Bytes(12)));
        assert_eq!(reason("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n"), Ok(BodyLength::Chunked));
    }

    #[test]
    fn ambiguous_framing_is_refused() {
        let heads = [
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            "Content-Length: 1\r\nContent-Length: 1",
            "Content-Length: 1, 1",
            "Content-Length: +1",
            "Content-Length: 0x1",
            "Content-Length: ",
            "Content-Length: 9999999999999999999",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: xchunked",
        ];
        for fields in heads {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            assert_eq!(reason(&head), Err(Reason::AmbiguousFraming), "{fields}");
        }
        let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(reason(old), Err(Reason::AmbiguousFraming));
    }

    #[test]
    fn one_host_may_be_spelt_in_two_ways() {
        let heads = [
            ("http://A.example/x", "a.example"),
            ("http://a.example:80/x", "A.Example"),
            ("HTTPS://a.example?x", "a.example:443"),
            ("http://a.example:/", "a.example:80"),
            ("http://[::A]:80/", "[::a]"),
            ("http://a.example:8080/", "A.example:8080"),
        ];
        for (target, host) in heads {
            let head = format!("GET {target} HTTP/1.1\r\nX: y\r\nHost:  {host} \r\n\r\n");
            let respelled = check(head.as_bytes(), &LIMITS).expect(target).respelled.expect(target);
            let unified = respelled.unify(format!("{head}body").as_bytes());
            let again = check(&unified, &LIMITS).expect(target);
            assert_eq!((again.respelled, unified.ends_with(b"\r\n\r\nbody")), (None, true), "{target}");
        }
        for (target, host) in [
            ("http://a/", "b"),
            ("http://a/", "a:443"),
            ("https://a:80/", "a"),
            ("http://a:1/", "a:2"),
            ("http://[::1]/", "["),
        ] {
            assert_eq!(reason(&format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")), Err(Reason::BadRequest));
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        let heads = [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\t HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "GET / http/1.1\r\nHost: a\r\n\r\n",
            "GET /\r\nHost: a\r\n\r\n",
            "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        for head in heads {
            assert_eq!(reason(head), Err(Reason::BadRequest), "{head:?}");
        }
    }

    #[test]
    fn a_token_is_letters_digits_and_fifteen_marks() {
        for byte in 0..=u8::MAX {
            let wanted = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(TOKEN.has(byte), wanted, "{byte}");
        }
    }

    #[test]
    fn limits_have_reasons_of_their_own() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64));
        assert_eq!(reason(&long), Err(Reason::UriTooLong));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(4));
        assert_eq!(reason(&many), Err(Reason::HeadersTooLarge));
    }
}
