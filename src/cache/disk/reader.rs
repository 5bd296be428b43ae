//! Reading a body on behalf of a request, a part at a time, on threads that are no worker's.

use super::file::{self, BLOCK, Opened};
use super::{Disk, Stored, Unreadable};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Blocks that are read at a time: 256 KiB.
const PART: u64 = 4;
/// How long a request waits for the disk.
const LONGEST: Duration = Duration::from_secs(5);

/// A body that is read from a file.
pub(in crate::cache) struct Reading {
    disk: Arc<Disk>,
    opened: Arc<Opened>,
    /// The part that was read to see whether the file is sound.
    first: Bytes,
    /// The next byte that is wanted.
    at: u64,
}

impl Reading {
    /// The whole body, where it has come at once.
    pub fn whole(&self) -> Option<&Bytes> {
        Some(&self.first).filter(|first| first.len() as u64 == self.opened.body)
    }

    /// The next byte that is wanted is that one.
    pub fn seek(&mut self, to: u64) {
        self.at = to;
    }

    /// What comes next; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if self.at >= self.opened.body {
            return Ok(None);
        }
        let part = self.at / (PART * BLOCK);
        let begins = part * PART * BLOCK;
        let bytes = match part {
            0 => self.first.clone(),
            _ => {
                let opened = Arc::clone(&self.opened);
                self.disk.read(move || opened.read(part * PART, PART)).await?
            }
        };
        let skip = usize::try_from(self.at - begins).unwrap_or(usize::MAX).min(bytes.len());
        self.at = begins + bytes.len() as u64;
        Ok(Some(bytes.slice(skip..)).filter(|bytes| !bytes.is_empty()))
    }
}

impl Disk {
    /// Opens a file and reads the first part of its body.
    ///
    /// # Errors
    /// It is not there, or not as it was written: it is not to be used.
    pub(in crate::cache) async fn open(self: &Arc<Self>, stored: &Arc<Stored>) -> Result<Reading, Unreadable> {
        let path = self.tier.folder.get().ok_or(Unreadable::Missing)?.file(stored.name);
        let stored = Arc::clone(stored);
        let (opened, first) = self
            .read(move || {
                let opened = file::open(&path)?;
                // A sound file that is another one is none of this cache's.
                if opened.sum != stored.sum {
                    return Err(Unreadable::Damaged);
                }
                let first = opened.read(0, PART)?;
                Ok((opened, first))
            })
            .await?;
        self.tier.counts.read.fetch_add(1, Relaxed);
        Ok(Reading { disk: Arc::clone(self), opened: Arc::new(opened), first, at: 0 })
    }

    /// Does something with the disk where it may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T, Unreadable> {
        let bounded = async {
            let permit = Arc::clone(&self.tier.reading).acquire_owned().await.map_err(|_| Unreadable::Busy)?;
            // The permit goes along: a disk that hangs holds the thread, whether somebody still waits for it or not.
            let read = move || {
                let _permit = permit;
                read()
            };
            tokio::task::spawn_blocking(read).await.map_err(|_| Unreadable::Busy)?
        };
        let done = pingora_timeout::timeout(LONGEST, bounded).await.unwrap_or(Err(Unreadable::Busy));
        match &done {
            Err(Unreadable::Damaged) => {
                self.tier.counts.damaged.fetch_add(1, Relaxed);
                log::warn!("cache: a file in {} is not as it was written, and is dropped", self.tier.path.display());
            }
            Err(Unreadable::System(error)) => self.tier.troubled("a file cannot be read", error),
            Err(Unreadable::Missing | Unreadable::Busy) | Ok(_) => {}
        }
        done
    }
}
