//! Hostile bytes made harmless, for both forms of line.

use crate::value::digits::hex;

/// How a byte string may be written into a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// As the inside of a JSON string (RFC 8259 §7): bytes that are not UTF-8 become U+FFFD.
    Json,
    /// As the inside of a quoted field of the combined format: everything but printable ASCII becomes `\xHH`, as nginx
    /// and Apache write it.
    Text,
}

const CUT: &str = "…";

impl Escape {
    /// Appends `value`, cut after `bound` bytes.
    pub(super) fn push(self, value: &[u8], bound: usize, out: &mut Vec<u8>) {
        match value.get(..bound) {
            Some(kept) if kept.len() < value.len() => {
                self.push_whole(whole_characters(kept), out);
                self.push_whole(CUT.as_bytes(), out);
            }
            _ => self.push_whole(value, out),
        }
    }

    /// Appends `value`.
    pub(super) fn push_whole(self, value: &[u8], out: &mut Vec<u8>) {
        // Without an early exit, so that it is done sixteen bytes at a time.
        let special = value.iter().fold(false, |special, &byte| special | !is_plain(byte));
        match (special, self) {
            (false, _) => out.extend_from_slice(value),
            (true, Self::Json) => push_json(value, out),
            (true, Self::Text) => push_text(value, out),
        }
    }
}

/// Printable ASCII that needs no escape in either form.
const fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte < 0x7f && byte != b'"' && byte != b'\\'
}

/// `bytes` without a character that was cut in two at its end.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    const LONGEST_TAIL: usize = 3;
    let tail = bytes.iter().rev().take(LONGEST_TAIL + 1).position(|&byte| byte & 0xc0 != 0x80).map_or(0, |at| at + 1);
    let (before, last) = bytes.split_at_checked(bytes.len() - tail).unwrap_or((bytes, &[]));
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => before,
        _ => bytes,
    }
}

fn push_json(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                // C1 controls are legal in JSON, but terminals obey some of them.
                control if control.is_control() => {
                    let [high, low] = hex(control as u8);
                    out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                }
                other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn push_text(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if is_plain(byte) {
            out.push(byte);
        } else {
            let [high, low] = hex(byte);
            out.extend_from_slice(&[b'\\', b'x', high, low]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &[u8]) -> String {
        let mut out = Vec::new();
        Escape::Json.push_whole(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn cut(value: &str, bound: usize) -> String {
        let mut out = Vec::new();
        Escape::Json.push(value.as_bytes(), bound, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_comes_back_from_json() {
        let all: String = (0..0x3000).chain(0x1F600..0x1F610).filter_map(char::from_u32).collect();
        let line = format!("\"{}\"", json(all.as_bytes()));
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), all);
        assert!(!line.chars().any(char::is_control));
    }

    #[test]
    fn bytes_that_are_not_utf_8_become_the_replacement_character() {
        assert_eq!(json(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
        assert_eq!(json(b"\xed\xa0\x80"), "\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn text_is_printable_ascii_whatever_goes_in() {
        let all: Vec<u8> = (0..=255).collect();
        let mut out = Vec::new();
        Escape::Text.push_whole(&all, &mut out);
        assert!(out.iter().all(|byte| (b' '..0x7f).contains(byte)));
        assert!(!out.contains(&b'"'));
        assert!(out.starts_with(b"\\x00\\x01"));
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcde…");
        assert_eq!(cut("abcdé", 5), "abcd…");
        assert_eq!(cut("ab\u{1F600}x", 6), "ab\u{1F600}…");
        assert_eq!(cut("ab\u{1F600}x", 5), "ab…");
        assert_eq!(cut("ab", 0), "…");
    }

    #[test]
    fn bytes_that_were_never_utf_8_are_cut_anywhere() {
        let mut out = Vec::new();
        Escape::Json.push(&[0x80; 100], 10, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}…", "\u{fffd}".repeat(10)));
    }
}
