//! The body of an answer, read while it still arrives.

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Notify;

/// A body up to this length is put into one piece of its own size when it is complete.
const ONE_PIECE: usize = 64 * 1024;
/// A reader waits this long for the next piece; the one who fetches it has a deadline of its own, which is shorter.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// A body.
#[derive(Debug, Default)]
pub struct Body {
    /// All pieces, once it is complete: readers share them.
    whole: OnceLock<Box<[Bytes]>>,
    arriving: Mutex<Arriving>,
    changed: Notify,
    length: AtomicU64,
    /// Whether it lies in a file, and not here.
    elsewhere: bool,
    /// The same in codings, by what they are: made when first asked for.
    coded: RwLock<SmallVec<[(CodedAs, Bytes); 1]>>,
}

/// A coding and how hard it tries.
pub type CodedAs = (&'static str, u8);
/// Forms of one body that are kept; a route has as many codings at most.
const FORMS: usize = 4;

#[derive(Debug, Default)]
struct Arriving {
    pieces: VecDeque<Bytes>,
    /// Pieces given up because the body is too long to be kept.
    dropped: usize,
    /// Whether pieces are given up once the first reader has them.
    passing: bool,
    /// The first piece the first reader has not had.
    first_reader: usize,
    end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Complete,
    Broken,
}

/// Why a body cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its arrival ended before its end.
    CutOff,
    /// Nothing came for too long.
    Silent,
    /// It is too long to be kept, and this reader was too slow.
    Outrun,
}

/// Which reader asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The one for whom it is fetched: what is not kept waits for this one.
    First,
    /// Any other.
    Other,
}

impl Body {
    /// A body of that length which is not here.
    pub fn elsewhere(length: u64) -> Self {
        let arriving = Mutex::new(Arriving { end: End::Broken, ..Arriving::default() });
        Self { arriving, length: AtomicU64::new(length), elsewhere: true, ..Self::default() }
    }

    /// A body that is there as a whole.
    pub fn of(bytes: Bytes) -> Self {
        let body = Self::default();
        body.push(bytes);
        body.finish();
        body
    }

    /// Whether it is here, or arrives.
    pub fn is_here(&self) -> bool {
        !self.elsewhere
    }

    /// Whether all of it has arrived.
    pub fn is_complete(&self) -> bool {
        self.elsewhere || self.whole.get().is_some()
    }

    /// Adds a piece; answers with the length so far.
    pub fn push(&self, piece: Bytes) -> u64 {
        let length = piece.len() as u64;
        {
            let mut arriving = self.arriving.lock();
            if length > 0 {
                arriving.pieces.push_back(piece);
            }
            arriving.give_up();
        }
        self.changed.notify_waiters();
        self.length.fetch_add(length, Relaxed) + length
    }

    /// From now on pieces are given up once the first reader has them.
    pub fn pass_through(&self) {
        let mut arriving = self.arriving.lock();
        arriving.passing = true;
        arriving.give_up();
    }

    /// How many bytes the first reader has not had yet.
    pub fn unread(&self) -> usize {
        let arriving = self.arriving.lock();
        let had = arriving.first_reader.saturating_sub(arriving.dropped);
        arriving.pieces.iter().skip(had).map(Bytes::len).sum()
    }

    /// No more comes.
    pub fn finish(&self) {
        {
            let mut arriving = self.arriving.lock();
            arriving.end = End::Complete;
            if !arriving.passing {
                let pieces = std::mem::take(&mut arriving.pieces);
                let _ = self.whole.set(compact(pieces.into()));
            }
        }
        self.changed.notify_waiters();
    }

    /// More should have come, and does not.
    pub fn break_off(&self) {
        {
            let mut arriving = self.arriving.lock();
            if arriving.end == End::Open {
                arriving.end = End::Broken;
            }
        }
        self.changed.notify_waiters();
    }

    /// Its length, so far.
    pub fn length(&self) -> u64 {
        self.length.load(Relaxed)
    }

    /// The body in that coding, where it has been kept.
    pub fn coded(&self, wanted: CodedAs) -> Option<Bytes> {
        self.coded.read().iter().find(|(kept, _)| *kept == wanted).map(|(_, bytes)| bytes.clone())
    }

    /// Keeps the body in that coding.
    pub fn keep_coded(&self, coding: CodedAs, bytes: Bytes) {
        let mut coded = self.coded.write();
        if coded.len() < FORMS && coded.iter().all(|(kept, _)| *kept != coding) {
            coded.push((coding, bytes));
        }
    }

    /// What the body takes of memory, in all its forms.
    pub fn weight(&self) -> u64 {
        let coded: u64 = self.coded.read().iter().map(|(_, bytes)| bytes.len() as u64).sum();
        if self.elsewhere { coded } else { coded + self.length() }
    }

    /// The pieces of a complete body.
    pub fn whole(&self) -> Option<&[Bytes]> {
        self.whole.get().map(|pieces| &**pieces)
    }

    /// The piece that begins at that byte or holds it, without what stands before; `None` at the end. Waits for what has
    /// not arrived.
    pub async fn read(&self, position: &mut Position, reader: Reader) -> Result<Option<Bytes>, Broken> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            if self.whole.get().is_none() {
                changed.as_mut().enable(); // from here on no change is missed
            }
            match self.look(position, reader)? {
                Look::Piece(piece) => return Ok(Some(piece)),
                Look::End => return Ok(None),
                Look::Wait => {}
            }
            if pingora_timeout::timeout(LONGEST_SILENCE, changed).await.is_err() {
                return Err(Broken::Silent);
            }
        }
    }

    fn look(&self, position: &mut Position, reader: Reader) -> Result<Look, Broken> {
        if let Some(pieces) = self.whole.get() {
            return Ok(position.take_of_whole(pieces).map_or(Look::End, Look::Piece));
        }
        let mut arriving = self.arriving.lock();
        if position.begins < arriving.dropped {
            return Err(Broken::Outrun);
        }
        let dropped = arriving.dropped;
        let piece = position.take(arriving.pieces.iter(), dropped);
        if reader == Reader::First {
            arriving.first_reader = position.begins;
            arriving.give_up();
        }
        match (piece, arriving.end) {
            (Some(piece), _) => Ok(Look::Piece(piece)),
            // The pieces moved between the two looks.
            (None, End::Complete) => {
                let piece = self.whole.get().and_then(|pieces| position.take_of_whole(pieces));
                Ok(piece.map_or(Look::End, Look::Piece))
            }
            (None, End::Broken) => Err(Broken::CutOff),
            (None, End::Open) => Ok(Look::Wait),
        }
    }
}

impl Arriving {
    fn give_up(&mut self) {
        while self.passing && self.dropped < self.first_reader && self.pieces.pop_front().is_some() {
            self.dropped += 1;
        }
    }
}

enum Look {
    Piece(Bytes),
    End,
    Wait,
}

/// Where a reader stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// The next piece.
    begins: usize,
    /// The byte at which that piece begins.
    at: u64,
    /// The next byte that is wanted.
    want: u64,
    /// Whether the pieces are those of the whole, which may be others than those that arrived.
    in_whole: bool,
}

impl Position {
    /// At that byte of the body.
    pub fn at(byte: u64) -> Self {
        Self { want: byte, ..Self::default() }
    }

    fn take_of_whole(&mut self, pieces: &[Bytes]) -> Option<Bytes> {
        if !self.in_whole {
            *self = Self { want: self.want, in_whole: true, ..Self::default() };
        }
        self.take(pieces.iter(), 0)
    }

    /// The next wanted piece of those that are there; `skipped` come before them and are gone.
    fn take<'p>(&mut self, pieces: impl Iterator<Item = &'p Bytes>, skipped: usize) -> Option<Bytes> {
        for piece in pieces.skip(self.begins.saturating_sub(skipped)) {
            let (began, length) = (self.at, piece.len() as u64);
            self.begins += 1;
            self.at += length;
            if self.want < self.at {
                let skip = usize::try_from(self.want.saturating_sub(began)).unwrap_or(usize::MAX);
                self.want = self.at;
                return Some(piece.slice(skip.min(piece.len())..));
            }
        }
        None
    }
}

/// Puts a short body into one piece of its own size: pieces that were cut from larger buffers would keep those alive.
fn compact(pieces: Vec<Bytes>) -> Box<[Bytes]> {
    let length: usize = pieces.iter().map(Bytes::len).sum();
    if pieces.len() < 2 || length > ONE_PIECE {
        return pieces.into();
    }
    let mut one = BytesMut::with_capacity(length);
    pieces.iter().for_each(|piece| one.extend_from_slice(piece));
    [one.freeze()].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rest(body: &Body, mut position: Position, reader: Reader) -> Result<String, Broken> {
        let mut text = String::new();
        while let Some(piece) = body.read(&mut position, reader).await? {
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        Ok(text)
    }

    #[tokio::test]
    async fn a_follower_reads_what_arrives_and_goes_on_over_the_end() {
        let body = Body::default();
        body.push(Bytes::from_static(b"one "));
        let mut position = Position::default();
        assert_eq!(body.read(&mut position, Reader::Other).await, Ok(Some(Bytes::from_static(b"one "))));
        body.push(Bytes::from_static(b"two "));
        body.push(Bytes::from_static(b"three"));
        body.finish();
        assert_eq!(body.whole().unwrap().len(), 1, "a short body is one piece");
        assert_eq!(rest(&body, position, Reader::Other).await.as_deref(), Ok("two three"));
        assert_eq!(rest(&body, Position::at(5), Reader::Other).await.as_deref(), Ok("wo three"));
        assert_eq!((body.length(), rest(&body, Position::at(99), Reader::Other).await.as_deref()), (13, Ok("")));
    }

    #[tokio::test]
    async fn a_waiting_follower_learns_of_the_next_piece_and_of_a_break() {
        let body = std::sync::Arc::new(Body::default());
        let (reading, waits) = (std::sync::Arc::clone(&body), tokio::sync::oneshot::channel());
        let (tell, told) = waits;
        let follower = tokio::spawn(async move {
            let mut position = Position::default();
            let first = reading.read(&mut position, Reader::Other).await;
            let _ = tell.send(());
            (first, reading.read(&mut position, Reader::Other).await)
        });
        tokio::task::yield_now().await;
        body.push(Bytes::from_static(b"a"));
        told.await.unwrap();
        body.break_off();
        assert_eq!(follower.await.unwrap(), (Ok(Some(Bytes::from_static(b"a"))), Err(Broken::CutOff)));
    }

    #[tokio::test]
    async fn what_is_too_long_passes_through_and_outruns_slow_followers() {
        let body = Body::default();
        body.push(Bytes::from_static(b"12"));
        let (mut first, mut slow) = (Position::default(), Position::default());
        body.pass_through();
        assert_eq!(body.read(&mut first, Reader::First).await, Ok(Some(Bytes::from_static(b"12"))));
        body.push(Bytes::from_static(b"34"));
        assert_eq!(body.unread(), 2);
        assert_eq!(body.read(&mut slow, Reader::Other).await, Err(Broken::Outrun));
        assert_eq!(body.read(&mut first, Reader::First).await, Ok(Some(Bytes::from_static(b"34"))));
        body.finish();
        assert_eq!(body.read(&mut first, Reader::First).await, Ok(None));
        assert!(body.whole().is_none());
    }
}
