//! The origin: a very cheap HTTP/1.1 server for every proxy of `scripts/bench` to stand before.
//!
//! One thread, keep-alive, answers made once at start. `/…100k…` is answered with 100,000 bytes, `/…json…` with 20 KB of JSON,
//! a request with a body with the length of that body, `/origin/stats` with what was counted, anything else with 1,024 bytes. It reads only
//! what its clients (proxies of the bench) send: a head of at most 16 KiB, a body announced by `Content-Length`, or in
//! chunks where head and body have at most 16 KiB together.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes read at once, and the longest request head that is understood.
const BUFFER: usize = 16 * 1024;

/// A cheap upstream for benchmarks.
#[derive(Parser)]
struct Arguments {
    /// Address to accept connections on.
    #[arg(long)]
    listen: SocketAddr,
}

/// What is answered, and how often it was asked for.
struct Origin {
    small: Vec<u8>,
    large: Vec<u8>,
    json: Vec<u8>,
    connections: Cell<u64>,
    requests: Cell<u64>,
}

/// The end of one request in the bytes read so far, and how it is to be answered.
struct Request {
    head: usize,
    /// Bytes of the body on the wire.
    body: usize,
    answer: Answer,
}

enum Answer {
    Small,
    Large,
    Json,
    Length(usize),
    Stats,
}

impl Origin {
    fn new() -> Self {
        Self {
            small: response("text/plain", &[b'x'; 1_024]),
            large: response("text/plain", &[b'x'; 100_000]),
            json: response("application/json", json().as_bytes()),
            connections: Cell::new(0),
            requests: Cell::new(0),
        }
    }

    /// Serves one connection until its client closes it or sends what cannot be understood.
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(BUFFER);
        loop {
            let Some(request) = parse(&buffer) else {
                if buffer.len() >= BUFFER || stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
                continue;
            };
            let end = request.head.saturating_add(request.body);
            if buffer.len() < end {
                let missing = u64::try_from(end - buffer.len()).unwrap_or(u64::MAX);
                buffer.truncate(request.head);
                discard(&mut stream, missing).await?;
                buffer.clear();
            } else {
                buffer.drain(..end);
            }
            self.answer(&request, &mut stream).await?;
        }
    }

    async fn answer(&self, request: &Request, stream: &mut TcpStream) -> io::Result<()> {
        if !matches!(request.answer, Answer::Stats) {
            self.requests.set(self.requests.get() + 1);
        }
        match request.answer {
            Answer::Small => stream.write_all(&self.small).await,
            Answer::Large => stream.write_all(&self.large).await,
            Answer::Json => stream.write_all(&self.json).await,
            Answer::Length(length) => {
                let body = format!("{{\"length\":{length}}}");
                stream.write_all(&response("application/json", body.as_bytes())).await
            }
            Answer::Stats => {
                let (connections, requests) = (self.connections.get(), self.requests.get());
                let body = format!("{{\"connections\":{connections},\"requests\":{requests}}}");
                stream.write_all(&response("application/json", body.as_bytes())).await
            }
        }
    }
}

/// A list of orders: 20 KB that shrink as such lists do.
fn json() -> String {
    let (mut text, mut number) = (String::from("["), 7_u32);
    while text.len() < 20_000 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, cents, day) = (number >> 8, number >> 16, number >> 27);
        let and = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!(
            "{and}{{\"id\":{id},\"state\":\"shipped\",\"total\":{{\"currency\":\"EUR\",\"cents\":{cents}}},\"placed\":\"2026-10-{day:02}\"}}"
        ));
    }
    text + "]"
}

fn response(media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The first request of `bytes` if its head is there whole, and its body where it comes in chunks.
fn parse(bytes: &[u8]) -> Option<Request> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let mut lines = bytes.get(..head)?.split(|byte| *byte == b'\n');
    let line = lines.next()?;
    if line.starts_with(b"GET ") {
        return Some(Request { head, body: 0, answer: answer_to(line) });
    }
    let (body, length) = match lines.find_map(content_length) {
        Some(length) => (length, length),
        None => chunks(bytes.get(head..)?)?,
    };
    Some(Request { head, body, answer: Answer::Length(length) })
}

/// The bytes on the wire and the length of a body in chunks (RFC 9112 §7.1, without trailers) that is there whole.
fn chunks(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut at, mut length) = (0, 0);
    loop {
        let rest = bytes.get(at..)?;
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(rest.get(..line)?).ok()?, 16).ok()?;
        at += line + 2 + size + 2;
        length += size;
        if size == 0 {
            return (at <= bytes.len()).then_some((at, length));
        }
    }
}

fn answer_to(line: &[u8]) -> Answer {
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if target.windows(4).any(|window| window == b"100k") {
        Answer::Large
    } else if target.windows(4).any(|window| window == b"json") {
        Answer::Json
    } else if target == b"/origin/stats" {
        Answer::Stats
    } else {
        Answer::Small
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    let (name, value) = line.split_at_checked("content-length:".len())?;
    let value = std::str::from_utf8(value).ok()?;
    name.eq_ignore_ascii_case(b"content-length:").then(|| value.trim().parse().ok())?
}

/// Reads and forgets `missing` bytes.
async fn discard(stream: &mut TcpStream, missing: u64) -> io::Result<()> {
    let read = tokio::io::copy(&mut stream.take(missing), &mut tokio::io::sink()).await?;
    if read < missing { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

async fn accept(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let origin = Rc::new(Origin::new());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        origin.connections.set(origin.connections.get() + 1);
        let origin = Rc::clone(&origin);
        tokio::task::spawn_local(async move { origin.serve(stream).await });
    }
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, accept(arguments.listen))
}
