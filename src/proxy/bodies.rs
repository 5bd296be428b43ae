//! The work of policies on the bodies of one exchange, between Pingora's callbacks.
//!
//! A body that is changed piece by piece streams. A body that must be changed as a whole is gathered: on the way up in
//! place, the pieces being swallowed until the last; on the way down together with its head, which is *held* until the
//! change has come off, so that a failure still is a proper 502 and a success has its proper length.

use crate::policy::{BodyStream, BodyWork, KeptAs, WholeBody};
use crate::reply::Reply;
use bytes::{Bytes, BytesMut};
use pingora_http::ResponseHeader;

/// Room made for a gathered body before its length is believed.
const FIRST_ROOM: usize = 64 * 1024;

/// The work on the bodies of one exchange.
#[derive(Default)]
pub struct Bodies {
    /// On the request's, at this attempt.
    pub up: Vec<Step>,
    /// The method of the attempt, where a policy may have changed it.
    pub method: Option<http::Method>,
    /// On the answer's.
    pub down: Down,
}

/// The work on the body of an answer.
#[derive(Default)]
pub enum Down {
    /// None.
    #[default]
    Untouched,
    /// Pieces pass as they arrive.
    Streaming(Streams),
    /// Head and body are kept until the body is whole.
    Held(Box<Held>),
}

/// Work on one body, and what it has gathered.
pub enum Step {
    /// Changes each piece.
    Stream(Box<dyn BodyStream>),
    /// Gathers the whole.
    Whole(Gathering, Option<Box<dyn WholeBody>>),
}

/// A body that is being gathered, within a bound.
pub struct Gathering {
    bytes: BytesMut,
    bound: u64,
}

impl Gathering {
    /// Gathers at most that many bytes.
    pub fn new(bound: u64) -> Self {
        Self { bytes: BytesMut::new(), bound }
    }

    /// Adds a piece; `false` where the bound would be passed.
    #[must_use]
    pub fn add(&mut self, piece: &[u8]) -> bool {
        if (self.bytes.len() + piece.len()) as u64 > self.bound {
            return false;
        }
        if self.bytes.is_empty() {
            self.bytes.reserve(piece.len().max(usize::try_from(self.bound).unwrap_or(FIRST_ROOM).min(FIRST_ROOM)));
        }
        self.bytes.extend_from_slice(piece);
        true
    }

    /// What has been gathered.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes).freeze()
    }
}

impl Step {
    /// A step of that work; `None` where there is nothing to do.
    pub fn new(work: BodyWork) -> Option<Self> {
        match work {
            BodyWork::Leave => None,
            BodyWork::Stream(stream) => Some(Self::Stream(stream)),
            BodyWork::Whole(whole) => Some(Self::Whole(Gathering::new(whole.bound()), Some(whole))),
        }
    }

    /// What goes on to the next step in place of the piece.
    async fn piece(&mut self, piece: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
        match self {
            Self::Stream(stream) => stream.piece(piece, last),
            Self::Whole(gathered, work) => {
                let Some(whole) = work else { return Ok(Bytes::new()) };
                if !gathered.add(&piece) {
                    return Err(whole.too_large());
                }
                match work.take_if(|_| last) {
                    Some(whole) => whole.change(gathered.take()).await,
                    None => Ok(Bytes::new()),
                }
            }
        }
    }
}

/// Passes a piece through all steps.
///
/// # Errors
/// The refusal of the first that cannot let it pass.
pub async fn through(steps: &mut [Step], mut piece: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
    for step in steps {
        piece = step.piece(piece, last).await?;
    }
    Ok(piece)
}

/// Work on pieces alone. What comes after the last piece is dropped: the end may be told twice.
#[derive(Default)]
pub struct Streams {
    streams: Vec<Box<dyn BodyStream>>,
    ended: bool,
}

impl Streams {
    /// Adds work after what is there.
    pub fn push(&mut self, stream: Box<dyn BodyStream>) {
        self.streams.push(stream);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Names what becomes of a body, where a cache may keep that: where all that is done is to code it.
    pub fn kept_as(&self) -> Option<KeptAs> {
        match &*self.streams {
            [only] => only.kept_as(),
            _ => None,
        }
    }

    /// What goes on in place of the piece.
    ///
    /// # Errors
    /// The refusal of the first that cannot let it pass.
    pub fn piece(&mut self, mut piece: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
        if self.ended {
            return Ok(Bytes::new());
        }
        self.ended = last;
        for stream in &mut self.streams {
            piece = stream.piece(piece, last)?;
        }
        Ok(piece)
    }
}

/// An answer that is kept until its body is whole.
pub struct Held {
    /// Its head, as it would have gone out.
    pub head: ResponseHeader,
    /// Its body so far.
    pub gathered: Gathering,
    /// What its pieces go through before they are gathered.
    pub before: Streams,
    /// What is done to the whole.
    pub whole: Box<dyn WholeBody>,
    /// The hook on bodies that is asked next.
    pub next: usize,
    /// Whether all of the body has come.
    pub complete: bool,
}

impl Held {
    /// Keeps a piece.
    ///
    /// # Errors
    /// The refusal of a body that is too large, or that cannot pass.
    pub fn piece(&mut self, piece: Bytes, last: bool) -> Result<(), Box<Reply>> {
        let piece = if self.before.is_empty() { piece } else { self.before.piece(piece, last)? };
        self.complete |= last;
        if self.gathered.add(&piece) { Ok(()) } else { Err(self.whole.too_large()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_up_to_its_bound_and_not_a_byte_more() {
        let mut gathered = Gathering::new(4);
        assert!(gathered.add(b"abc") && gathered.add(b"") && gathered.add(b"d"));
        assert!(!gathered.add(b"e"));
        assert_eq!(gathered.take(), "abcd");
    }
}
