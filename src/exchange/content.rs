//! What the body of an answer to a call says: its coding taken off, its type.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{HeaderMap, header};
use std::io::Read;

/// Why a body cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// It has a coding other than gzip.
    Otherwise,
    /// It is not the gzip it says.
    Damaged,
    /// It is longer than is taken.
    TooLong,
}

/// A body without its `Content-Encoding` (RFC 9110 §8.4), of at most so many bytes.
///
/// # Errors
/// Why it cannot be had.
pub(super) fn unpacked(body: Bytes, headers: &HeaderMap, most: usize) -> Result<Bytes, Packed> {
    let Some(coding) = headers.get(header::CONTENT_ENCODING) else { return Ok(body) };
    match coding.as_bytes().to_ascii_lowercase().as_slice() {
        b"identity" | b"" => return Ok(body),
        b"gzip" | b"x-gzip" => {}
        _ => return Err(Packed::Otherwise),
    }
    gunzip(&body, most)
}

/// What gzip holds, at most so many bytes of it: nothing beyond is unpacked.
///
/// # Errors
/// It is damaged, or longer.
pub(super) fn gunzip(packed: &[u8], most: usize) -> Result<Bytes, Packed> {
    let mut out = Vec::new();
    let bound = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed).take(bound).read_to_end(&mut out) {
        Err(_) => Err(Packed::Damaged),
        Ok(_) if out.len() > most => Err(Packed::TooLong),
        Ok(_) => Ok(out.into()),
    }
}

/// The media type without its parameters, in lower case; empty where there is none.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a media type is that of JSON (RFC 8259 §11, RFC 6839 §3.1).
pub(super) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}
