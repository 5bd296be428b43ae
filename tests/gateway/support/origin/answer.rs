//! What an upstream is told to answer: an honest response, or one of the many ways to get it wrong.

use super::Request;
use crate::support::gate::Gate;
use crate::support::wire::Fields;

/// An answer under construction. The default is kept alive and framed by its length.
pub struct Answer {
    early: Vec<(u16, Fields)>,
    status: u16,
    fields: Fields,
    body: Vec<Part>,
    framing: Framing,
    trailers: Fields,
    limit: usize,
    ending: Ending,
}

enum Part {
    Bytes(Vec<u8>),
    Wait(Gate),
}

#[derive(Clone, Copy, PartialEq)]
enum Framing {
    Length,
    Chunked,
    UntilClose,
    /// The body is all there is, head and framing included.
    Raw,
}

/// What happens to the connection after the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// It takes the next request.
    KeepAlive,
    /// It is closed properly.
    Close,
    /// It is reset (RST).
    Reset,
    /// Nothing more comes, and it stays open until the peer closes.
    Stall,
}

/// One thing to do.
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Gate),
    End(Ending),
}

impl Answer {
    /// An answer with that status and no body.
    pub fn status(status: u16) -> Self {
        Self {
            early: Vec::new(),
            status,
            fields: Fields::new(),
            body: Vec::new(),
            framing: Framing::Length,
            trailers: Fields::new(),
            limit: usize::MAX,
            ending: Ending::KeepAlive,
        }
    }

    /// 200 with that body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// 200 with the request as JSON (see [`Request::to_json`]).
    pub fn echo(request: &Request) -> Self {
        Self::ok(request.to_json().to_string()).header("Content-Type", "application/json")
    }

    /// Bytes in place of a response, whatever they are; the connection is closed after them.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { framing: Framing::Raw, ending: Ending::Close, ..Self::status(0) }.body(bytes)
    }

    /// No answer at all, only an end.
    pub fn none(ending: Ending) -> Self {
        Self { ending, ..Self::raw("") }
    }

    /// Adds a field. A `Content-Length` given here is sent as it is, right or wrong.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds to the body; one chunk where it is chunked.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.body.push(Part::Bytes(bytes.into()));
        self
    }

    /// Holds the rest of the body until the gate is open; before any body, the head is sent and the body held.
    pub fn then_wait(mut self, gate: &Gate) -> Self {
        self.body.push(Part::Wait(gate.clone()));
        self
    }

    /// Frames the body by chunks, one for each non-empty call of [`Self::body`].
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Adds a trailer, which makes the body chunked.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self.chunked()
    }

    /// Frames the body by the end of the connection.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::UntilClose;
        self.ending(Ending::Close)
    }

    /// Sends an interim response (1xx) first.
    pub fn early(mut self, status: u16, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter().map(|(name, value)| (String::from(*name), String::from(*value))).collect();
        self.early.push((status, fields));
        self
    }

    /// Says what happens to the connection afterwards.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Sends only the first `length` bytes of the whole answer, head included, and ends so.
    pub fn cut_after(mut self, length: usize, ending: Ending) -> Self {
        self.limit = length;
        self.ending(ending)
    }

    /// What to do, in order, to answer a request of that method.
    pub(super) fn steps(self, method: &str) -> Vec<Step> {
        let (mut limit, ending) = (self.limit, self.ending);
        let mut steps: Vec<Step> = self.whole(method);
        for step in &mut steps {
            if let Step::Send(bytes) = step {
                bytes.truncate(limit);
                limit -= bytes.len();
            }
        }
        steps.push(Step::End(ending));
        steps
    }

    fn whole(self, method: &str) -> Vec<Step> {
        if self.framing == Framing::Raw {
            return self.body.into_iter().map(|part| part.step(Framing::Raw)).collect();
        }
        let early = self.early.iter().map(|(status, fields)| Step::Send(head(*status, fields)));
        let mut steps: Vec<Step> = early.collect();
        steps.push(Step::Send(head(self.status, &self.framed())));
        if method == "HEAD" {
            return steps;
        }
        let framing = self.framing;
        steps.extend(self.body.into_iter().map(|part| part.step(framing)));
        if framing == Framing::Chunked {
            let trailers: String = self.trailers.iter().map(line).collect();
            steps.push(Step::Send(format!("0\r\n{trailers}\r\n").into_bytes()));
        }
        steps
    }

    /// The fields with those that frame the body.
    fn framed(&self) -> Fields {
        let mut fields = self.fields.clone();
        match self.framing {
            Framing::Length if !matches!(self.status, 100..200 | 204 | 304) && !self.has("content-length") => {
                fields.push(("Content-Length".into(), self.length().to_string()));
            }
            Framing::Chunked => fields.push(("Transfer-Encoding".into(), "chunked".into())),
            _ => {}
        }
        // A cut is an end that nothing announces.
        if self.ending == Ending::Close && self.limit == usize::MAX {
            fields.push(("Connection".into(), "close".into()));
        }
        fields
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    fn length(&self) -> usize {
        let length = |part: &Part| if let Part::Bytes(bytes) = part { bytes.len() } else { 0 };
        self.body.iter().map(length).sum()
    }
}

impl Part {
    fn step(self, framing: Framing) -> Step {
        match self {
            Self::Bytes(bytes) if framing == Framing::Chunked && !bytes.is_empty() => {
                let size = format!("{:x}\r\n", bytes.len());
                Step::Send([size.as_bytes(), &bytes, b"\r\n"].concat())
            }
            Self::Bytes(bytes) => Step::Send(bytes),
            Self::Wait(gate) => Step::Wait(gate),
        }
    }
}

fn head(status: u16, fields: &Fields) -> Vec<u8> {
    let fields: String = fields.iter().map(line).collect();
    format!("HTTP/1.1 {status} Test\r\n{fields}\r\n").into_bytes()
}

fn line((name, value): &(String, String)) -> String {
    format!("{name}: {value}\r\n")
}
