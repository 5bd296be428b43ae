//! The events of an upstream (HTML, "Interpreting an event stream") as messages.

use crate::exchange::call::AnswerBody;
use crate::exchange::{Conversation, Frame};
use crate::reply::{Reason, Reply};
use crate::websocket::message::Message;
use async_trait::async_trait;
use bytes::{Buf, BytesMut};

/// The data of events, each a message.
pub struct Events {
    body: AnswerBody,
    reading: Reading,
}

impl Events {
    /// Those of that stream, each of at most so many bytes.
    pub fn new(body: AnswerBody, most: usize) -> Self {
        Self { body, reading: Reading { most, ..Reading::default() } }
    }
}

#[async_trait]
impl Conversation for Events {
    /// Nobody asks for what the client says.
    fn take(&mut self, _message: Message) {}

    fn takes_more(&self) -> bool {
        true
    }

    async fn next(&mut self) -> Result<Option<Message>, Box<Reply>> {
        loop {
            if let Some(data) = self.reading.next()? {
                return Ok(Some(Message::Text(data)));
            }
            match self.body.next().await? {
                Some(Frame::Data(piece)) => self.reading.buffer.extend_from_slice(&piece),
                Some(Frame::Trailers(_)) => {}
                None => return Ok(None),
            }
        }
    }
}

/// What has come and is no whole event yet.
#[derive(Default)]
struct Reading {
    most: usize,
    buffer: BytesMut,
    /// The data of the event under way; `None` while it has none.
    data: Option<String>,
    /// Whether an LF would belong to the end of the line before.
    after_cr: bool,
    begun: bool,
}

impl Reading {
    /// The data of the next event.
    fn next(&mut self) -> Result<Option<String>, Box<Reply>> {
        loop {
            if self.after_cr && self.buffer.first() == Some(&b'\n') {
                self.buffer.advance(1);
            }
            self.after_cr &= self.buffer.is_empty();
            let Some(end) = memchr::memchr2(b'\n', b'\r', &self.buffer) else { break };
            let line = self.buffer.split_to(end);
            self.after_cr = self.buffer.first() == Some(&b'\r');
            self.buffer.advance(1);
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Ok(Some(data));
                }
                continue;
            }
            self.line(&line);
            if self.data.as_ref().is_some_and(|data| data.len() > self.most) {
                return Err(too_long());
            }
        }
        if self.buffer.len() > self.most.saturating_add(64) { Err(too_long()) } else { Ok(None) }
    }

    fn line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut line = &*line;
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name != "data" {
            return;
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
    }
}

fn too_long() -> Box<Reply> {
    let detail = "The service behind this route sent an event that is too long.";
    Box::new(Reply::new(Reason::UpstreamBody).detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_each_event_is_a_message() {
        let text = "\u{feff}data: one\n\n: a comment\nevent: x\ndata:two\r\ndata\r\n\r\nid: 3\n\ndata:  three\rdata: more\r\rdata: unended\n";
        for piece in [1, 2, 3, 1_000] {
            let mut reading = Reading { most: 100, ..Reading::default() };
            let mut all = Vec::new();
            for piece in text.as_bytes().chunks(piece) {
                reading.buffer.extend_from_slice(piece);
                while let Some(data) = reading.next().unwrap() {
                    all.push(data);
                }
            }
            assert_eq!(all, ["one", "two\n", " three\nmore"], "in pieces of {piece}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_no_message() {
        for text in ["data: 0123456789\ndata: 0123456789\n\n".to_owned(), "x".repeat(200)] {
            let mut reading = Reading { most: 15, ..Reading::default() };
            reading.buffer.extend_from_slice(text.as_bytes());
            assert!(reading.next().is_err(), "{text}");
        }
    }
}
