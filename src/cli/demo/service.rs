//! A very small HTTP/1.1 service: enough for the demo, kept off the gateway's own code.

use std::convert::Infallible;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The largest body it reads.
const LARGEST: usize = 1 << 20;

/// A request as the services see it.
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, without query.
    pub path: String,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer: status and JSON.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: serde_json::Value,
}

/// Serves on a loopback port until the runtime ends.
///
/// # Errors
/// The port cannot be had.
pub async fn serve(port: u16, answer: impl Fn(&Request) -> Answer + Clone + Send + Sync + 'static) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let answer = answer.clone();
            tokio::spawn(async move {
                // A client that leaves or misbehaves ends its connection and nothing else.
                let _ = converse(stream, answer).await;
            });
        }
    });
    Ok(())
}

async fn converse(stream: TcpStream, answer: impl Fn(&Request) -> Answer) -> io::Result<Infallible> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        let answer = answer(&request);
        let body = format!("{:#}\n", answer.body);
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.status,
            http::StatusCode::from_u16(answer.status).ok().and_then(|status| status.canonical_reason()).unwrap_or(""),
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).await?;
        stream.flush().await?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut words = line.split_ascii_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or("/");
    let path = target.split('?').next().unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut field = String::new();
        if stream.read_line(&mut field).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if field.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = field.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; Ord::min(length, LARGEST)];
    stream.read_exact(&mut body).await?;
    Ok(Request { method, path, body })
}
