//! A file that holds one answer: how it is laid out, written whole, and read so that nothing damaged comes out of it.
//!
//! ```text
//! magic 8 · length of the head 4 · length of the body 8 · a sum for each 64 KiB of the body 16 · head ·
//! sum of all before 16 · body
//! ```
//! Numbers are little-endian; sums are the first half of SHA-256. The head's sum covers the sums of the body, so that it
//! names the whole file.

use super::Unreadable;
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

const MAGIC: &[u8; 8] = b"TGCACHE1";
const FIXED: usize = 8 + 4 + 8;
/// A body is summed in pieces of this length, and each is checked before it goes anywhere.
pub(super) const BLOCK: u64 = 64 * 1024;
/// A longer head is nobody's.
const LONGEST_HEAD: usize = 4 << 20;

/// The first half of SHA-256.
pub(in crate::cache) type Sum = [u8; 16];

#[derive(Clone, Copy)]
struct Layout {
    head: u64,
    body: u64,
}

impl Layout {
    fn table(self) -> u64 {
        self.body.div_ceil(BLOCK) * size_of::<Sum>() as u64
    }

    fn body_at(self) -> u64 {
        FIXED as u64 + self.table() + self.head + size_of::<Sum>() as u64
    }

    fn total(self) -> u64 {
        self.body_at() + self.body
    }
}

/// How long the file is of an answer with such a head and body.
pub(super) fn length(head: &[u8], body: u64) -> u64 {
    Layout { head: head.len() as u64, body }.total()
}

fn sum_of(context: Context) -> Sum {
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

fn sum(bytes: &[u8]) -> Sum {
    let mut context = Context::new(&SHA256);
    context.update(bytes);
    sum_of(context)
}

/// The sums of a body that comes in pieces.
fn table(pieces: &[Bytes]) -> Vec<u8> {
    let (mut table, mut context, mut filled) = (Vec::new(), Context::new(&SHA256), 0);
    for piece in pieces {
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(BLOCK as usize - filled));
            context.update(now);
            filled += now.len();
            rest = later;
            if filled == BLOCK as usize {
                table.extend(sum_of(std::mem::replace(&mut context, Context::new(&SHA256))));
                filled = 0;
            }
        }
    }
    if filled > 0 {
        table.extend(sum_of(context));
    }
    table
}

/// Writes an answer; gives back the sum that names it.
///
/// # Errors
/// What the system says.
pub(super) fn write(file: &mut File, head: &[u8], pieces: &[Bytes]) -> io::Result<Sum> {
    let body: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut front = Vec::with_capacity(length(head, 0) as usize + pieces.len() * 16);
    front.extend_from_slice(MAGIC);
    front.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
    front.extend_from_slice(&body.to_le_bytes());
    front.extend_from_slice(&table(pieces));
    front.extend_from_slice(head);
    let sum = sum(&front);
    front.extend_from_slice(&sum);
    file.write_all(&front)?;
    pieces.iter().try_for_each(|piece| file.write_all(piece))?;
    Ok(sum)
}

/// A file whose head is sound.
pub(super) struct Opened {
    file: File,
    table: Vec<u8>,
    body_at: u64,
    /// The length of its body.
    pub body: u64,
    /// The length of the whole.
    pub length: u64,
    /// Its head.
    pub head: Vec<u8>,
    /// What names it.
    pub sum: Sum,
}

fn damaged(error: io::Error) -> Unreadable {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Unreadable::Damaged,
        io::ErrorKind::NotFound => Unreadable::Missing,
        _ => Unreadable::System(error),
    }
}

/// Reads the head of a file.
pub(super) fn open(path: &std::path::Path) -> Result<Opened, Unreadable> {
    let file = File::open(path).map_err(damaged)?;
    let length = file.metadata().map_err(damaged)?.len();
    let mut fixed = [0; FIXED];
    file.read_exact_at(&mut fixed, 0).map_err(damaged)?;
    let rest = fixed.strip_prefix(MAGIC).ok_or(Unreadable::Damaged)?;
    let (head, rest) = rest.split_first_chunk().ok_or(Unreadable::Damaged)?;
    let body = rest.first_chunk().ok_or(Unreadable::Damaged)?;
    let layout = Layout { head: u32::from_le_bytes(*head).into(), body: u64::from_le_bytes(*body) };
    // Before any memory is taken for it.
    if layout.head > LONGEST_HEAD as u64 || layout.body > length || layout.total() != length {
        return Err(Unreadable::Damaged);
    }
    let mut front = vec![0; layout.body_at() as usize];
    file.read_exact_at(&mut front, 0).map_err(damaged)?;
    let (content, told) = front.split_last_chunk().ok_or(Unreadable::Damaged)?;
    if sum(content) != *told {
        return Err(Unreadable::Damaged);
    }
    let (table, head) = content
        .get(FIXED..)
        .and_then(|rest| rest.split_at_checked(layout.table() as usize))
        .ok_or(Unreadable::Damaged)?;
    let (table, head, sum) = (table.to_vec(), head.to_vec(), *told);
    Ok(Opened { file, table, body_at: layout.body_at(), body: layout.body, length, head, sum })
}

impl Opened {
    /// The part of the body that begins with that block, of at most so many blocks; empty at the end.
    pub fn read(&self, block: u64, most: u64) -> Result<Bytes, Unreadable> {
        let from = (block * BLOCK).min(self.body);
        let to = ((block + most) * BLOCK).min(self.body);
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        self.file.read_exact_at(&mut bytes, self.body_at + from).map_err(damaged)?;
        let sums = self.table.as_chunks::<16>().0.iter().skip(usize::try_from(block).unwrap_or(usize::MAX));
        let sound = bytes.chunks(BLOCK as usize).zip(sums).all(|(bytes, told)| sum(bytes) == *told);
        if sound { Ok(bytes.into()) } else { Err(Unreadable::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(head: &[u8], pieces: &[Bytes]) -> (tempfile::NamedTempFile, Sum) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let sum = write(file.as_file_mut(), head, pieces).unwrap();
        (file, sum)
    }

    fn all(opened: &Opened) -> Result<Vec<u8>, Unreadable> {
        let mut body = Vec::new();
        for block in 0.. {
            let part = opened.read(block, 1)?;
            if part.is_empty() {
                break;
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn reads_what_was_written_however_it_came(cuts in prop::collection::vec(0..90_000_usize, 0..5)) {
            let pieces: Vec<Bytes> = cuts.iter().map(|length| vec![*length as u8; *length].into()).collect();
            let (file, sum) = written(b"the head", &pieces);
            let opened = open(file.path()).unwrap();
            prop_assert_eq!((&opened.head[..], opened.sum), (&b"the head"[..], sum));
            prop_assert_eq!(opened.length, length(b"the head", opened.body));
            prop_assert_eq!(all(&opened).unwrap(), pieces.concat());
        }
    }

    #[test]
    fn whatever_is_changed_or_missing_is_noticed() {
        let body = Bytes::from(vec![7; 70_000]);
        let (file, _) = written(b"head", &[body]);
        let sound = std::fs::read(file.path()).unwrap();
        let changes = (0..200).chain((200..sound.len()).step_by(997));
        for at in changes {
            let mut bytes = sound.clone();
            bytes[at] ^= 4;
            std::fs::write(file.path(), &bytes).unwrap();
            assert!(open(file.path()).and_then(|opened| all(&opened)).is_err(), "byte {at}");
            std::fs::write(file.path(), &sound[..at]).unwrap();
            assert!(open(file.path()).is_err(), "the first {at} bytes");
        }
        std::fs::write(file.path(), [&sound[..], b"more"].concat()).unwrap();
        assert!(open(file.path()).is_err());
    }
}
