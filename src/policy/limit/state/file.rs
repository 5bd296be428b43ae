//! The file that counts of quotas are kept in: what stands in it, and how it is written so that it is whole or not there.
//!
//! ```text
//! magic 8 · version 4 · reserved 4 · secret 32 · count 8 · count × (fingerprint 8, state 8) · SHA-256 of all before 32
//! ```
//! Numbers are little-endian. The secret keys the fingerprints: whose counts they are cannot be told from them without it,
//! and the file is readable to the gateway's user alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MAGIC: &[u8; 8] = b"TOLLGATE";
/// 2: fingerprints are of SipHash-2-4.
const VERSION: u32 = 2;
const HEAD: usize = 8 + 4 + 4 + 32 + 8;
const ENTRY: usize = 16;
const DIGEST: usize = 32;

/// What is kept of quotas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Keys the fingerprints.
    pub secret: [u8; 32],
    /// Fingerprints and states as the table of quotas has them.
    pub entries: Vec<(u64, u64)>,
}

impl Saved {
    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.entries.len() * ENTRY + DIGEST);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.secret);
        bytes.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        for (print, state) in &self.entries {
            bytes.extend_from_slice(&print.to_le_bytes());
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        let digest = digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// What was written.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, &'static str> {
        let (content, sum) = bytes.split_last_chunk::<DIGEST>().ok_or("it is too short")?;
        let mut rest = content;
        let magic = take::<8>(&mut rest)?;
        let version = u32::from_le_bytes(take(&mut rest)?);
        if magic != *MAGIC {
            return Err("it is not a file of quotas");
        }
        if version != VERSION {
            return Err("it is of another version");
        }
        if *sum != digest(content) {
            return Err("its checksum is wrong");
        }
        let _reserved = take::<4>(&mut rest)?;
        let secret = take(&mut rest)?;
        let count = u64::from_le_bytes(take(&mut rest)?);
        let (entries, more) = rest.as_chunks::<ENTRY>();
        if entries.len() as u64 != count || !more.is_empty() {
            return Err("it holds more or less than it says");
        }
        let entries = entries.iter().filter_map(|entry| {
            let (print, state) = (entry.first_chunk()?, entry.last_chunk()?);
            Some((u64::from_le_bytes(*print), u64::from_le_bytes(*state)))
        });
        Ok(Self { secret, entries: entries.collect() })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or("it is too short")?;
    *rest = after;
    Ok(*taken)
}

fn digest(bytes: &[u8]) -> [u8; DIGEST] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().first_chunk().copied().unwrap_or([0; DIGEST])
}

/// Puts a file into place whole: it is written beside, forced to the disk, and renamed.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        Saved { secret: [7; 32], entries: vec![(1, 2), (u64::MAX, 1 << 40)] }
    }

    #[test]
    fn reads_what_was_written() {
        assert_eq!(Saved::from_bytes(&saved().to_bytes()), Ok(saved()));
        let none = Saved { secret: [0; 32], entries: Vec::new() };
        assert_eq!(Saved::from_bytes(&none.to_bytes()), Ok(none));
    }

    #[test]
    fn whatever_is_changed_or_missing_is_noticed() {
        let bytes = saved().to_bytes();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Saved::from_bytes(&damaged).is_err(), "{at}");
            assert!(Saved::from_bytes(&bytes[..at]).is_err(), "the first {at} bytes");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_is_nobody_elses() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("quotas");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
