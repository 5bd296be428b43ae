//! Both ends of a WebSocket, frame by frame and byte by byte: what a test sends need not be what RFC 6455 allows.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::wait::DEADLINE;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One end of a connection.
pub struct Socket {
    stream: TcpStream,
    ahead: Vec<u8>,
    /// Whether its own frames are masked: it is the client's end.
    masks: bool,
    /// The head of the other side's part of the handshake.
    pub head: String,
}

/// A frame as it came, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its first byte: FIN, the reserved bits, the opcode.
    pub first: u8,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a Close.
    pub fn code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
        code.filter(|_| self.first == 0x88)
    }
}

/// A frame with any first byte.
pub fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let flag = if masked { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(flag | length as u8),
        length @ 126..65_536 => {
            bytes.push(flag | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(flag | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    let key = if masked { KEY } else { [0; 4] };
    if masked {
        bytes.extend(KEY);
    }
    bytes.extend(payload.iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

impl Socket {
    fn over(stream: TcpStream, masks: bool) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, ahead: Vec::new(), masks, head: String::new() }
    }

    /// Opens a connection at that path with these fields.
    ///
    /// # Panics
    /// When the answer is not 101.
    #[track_caller]
    pub fn connect(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Self {
        let socket = Self::ask(address, path, fields);
        assert!(socket.head.starts_with("HTTP/1.1 101 "), "{}", socket.head);
        socket
    }

    /// Asks for one, whatever the answer is.
    #[track_caller]
    pub fn ask(address: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Self {
        let mut socket = Self::over(TcpStream::connect(address).expect("a connection"), true);
        let mut head = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        socket.send_raw(format!("{head}\r\n").as_bytes());
        socket.head = socket.read_head();
        socket
    }

    fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head in ASCII");
            }
            assert!(self.more(), "the connection ended within a head: {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    /// Sends bytes as they are. That the other side has closed meanwhile is no failure.
    pub fn send_raw(&mut self, bytes: &[u8]) {
        // A test that needs to know looks at what comes back.
        let _ = self.stream.write_all(bytes);
    }

    /// Sends a frame as this side must.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        let bytes = frame(first, payload, self.masks);
        self.send_raw(&bytes);
    }

    /// Exactly so many bytes.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            assert!(self.more(), "the connection ended {} bytes short", count - self.ahead.len());
        }
        self.ahead.drain(..count).collect()
    }

    /// The next frame; none at the end of the connection.
    #[track_caller]
    pub fn frame(&mut self) -> Option<Frame> {
        if self.ahead.is_empty() && !self.more() {
            return None;
        }
        let head = self.exactly(2);
        assert_eq!(head[1] & 0x80 != 0, !self.masks, "masked as the sender must");
        let length = match head[1] & 0x7F {
            126 => usize::from(u16::from_be_bytes(self.exactly(2).try_into().expect("two"))),
            127 => usize::try_from(u64::from_be_bytes(self.exactly(8).try_into().expect("eight"))).expect("a length"),
            short => usize::from(short),
        };
        let key = if self.masks { vec![0; 4] } else { self.exactly(4) };
        let payload = self.exactly(length);
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        Some(Frame { first: head[0], payload })
    }

    /// The next text message of one frame.
    #[track_caller]
    pub fn text(&mut self) -> String {
        let frame = self.frame().expect("a message");
        assert_eq!(frame.first, 0x81, "{frame:?}");
        String::from_utf8(frame.payload).expect("text")
    }

    /// The code of the Close that comes next; none where the connection just ends.
    #[track_caller]
    pub fn close_code(&mut self) -> Option<u16> {
        let frame = self.frame()?;
        assert_eq!(frame.first, 0x88, "{frame:?}");
        Some(frame.code().unwrap_or(1005))
    }

    /// Whether the connection ends without another byte.
    pub fn ends(&mut self) -> bool {
        self.ahead.is_empty() && !self.more()
    }

    fn more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.ahead.extend_from_slice(&buffer[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}"),
        }
    }
}

/// An upstream that accepts every handshake and hands the connections out.
pub struct Upstream {
    address: SocketAddr,
    accepted: Receiver<Socket>,
}

impl Upstream {
    /// Accepts with these further lines of the answer's head.
    pub fn start(lines: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (sender, accepted) = channel();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let mut socket = Socket::over(stream, false);
                socket.head = socket.read_head();
                let key = socket.head.lines().find_map(|line| {
                    line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
                });
                let accept = derive_accept_key(key.map_or("", |(_, key)| key).as_bytes());
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n{lines}\r\n"
                );
                socket.send_raw(answer.as_bytes());
                if sender.send(socket).is_err() {
                    return;
                }
            }
        });
        Self { address, accepted }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// The next connection.
    #[track_caller]
    pub fn next(&self) -> Socket {
        self.accepted.recv_timeout(DEADLINE).expect("a connection of the gateway")
    }

    /// Whether another connection has come.
    pub fn has_another(&self) -> bool {
        self.accepted.try_recv().is_ok()
    }
}
