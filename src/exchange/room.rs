//! How much memory the bodies take that answers are made of, over all requests of the gateway.
//!
//! Counted are bytes as they arrive, then what the values take that are read from them, then the answer that is made of
//! these until it has been written. Reading and writing values takes no turn of others: so each worker may have one answer
//! more in hand than is counted. Who finds no room is refused at once; those who waited for it would hold what others wait
//! for.

use crate::reply::{Reason, Reply};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes in all where the configuration says nothing.
pub const ROOM: usize = 256 << 20;

/// What there is, and what is taken of it.
#[derive(Debug)]
pub struct Room {
    used: AtomicUsize,
    most: AtomicUsize,
}

impl Default for Room {
    fn default() -> Self {
        Self { used: AtomicUsize::new(0), most: AtomicUsize::new(ROOM) }
    }
}

/// There is no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl From<Full> for Reply {
    fn from(_: Full) -> Self {
        let detail = "The gateway has no room for the answers that this one is made of; try again later.";
        Self::new(Reason::Overloaded).detail(detail)
    }
}

impl Room {
    /// Changes how much there is, in bytes. What is held stays held.
    pub fn set(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// Bytes taken now.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// A place in it, with nothing in it yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { room: Arc::clone(self), bytes: 0 }
    }
}

/// What one holder has taken; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    room: Arc<Room>,
    bytes: usize,
}

impl Held {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// There is no room for them; what was held is still.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let most = self.room.most.load(Relaxed);
        let fits = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= most);
        self.room.used.fetch_update(Relaxed, Relaxed, fits).map_err(|_| Full)?;
        self.bytes += bytes;
        Ok(())
    }

    /// Holds so many bytes in all, more or fewer than before.
    ///
    /// # Errors
    /// As for [`Self::grow`].
    pub fn resize(&mut self, bytes: usize) -> Result<(), Full> {
        if let Some(more) = bytes.checked_sub(self.bytes) {
            return self.grow(more);
        }
        self.room.used.fetch_sub(self.bytes - bytes, Relaxed);
        self.bytes = bytes;
        Ok(())
    }

    /// Takes over what another holds.
    pub fn join(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Bytes that hold their room as long as anybody has them.
    ///
    /// # Errors
    /// As for [`Self::grow`].
    pub fn around(mut self, bytes: Vec<u8>) -> Result<Bytes, Full> {
        self.resize(bytes.len())?;
        Ok(Bytes::from_owner(Owned { bytes, _held: self }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.used.fetch_sub(self.bytes, Relaxed);
    }
}

struct Owned {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_taken_than_there_is_and_all_comes_back() {
        let room = Arc::new(Room::default());
        room.set(100);
        let (mut one, mut other) = (room.hold(), room.hold());
        assert_eq!(
            (one.grow(60), other.grow(41), other.grow(40), other.grow(1)),
            (Ok(()), Err(Full), Ok(()), Err(Full))
        );
        assert_eq!((one.resize(10), room.used(), one.resize(61)), (Ok(()), 50, Err(Full)));
        one.join(other);
        assert_eq!(room.used(), 50);
        let bytes = one.around(vec![1; 30]).unwrap();
        let shared = bytes.clone();
        drop(bytes);
        assert_eq!((room.used(), shared.len()), (30, 30));
        drop(shared);
        assert_eq!(room.used(), 0);
    }
}
