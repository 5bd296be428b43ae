//! Secrets in queries: the values of listed parameters are replaced before a line is written.

use super::escape::Escape;
use crate::value::digits::unhex;

/// The query parameters whose values are not logged. Names are compared after percent-decoding, whatever their case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    names: Box<[Box<[u8]>]>,
}

/// What stands in place of a value.
const MASK: &[u8] = b"***";

impl Default for Redaction {
    /// Names that commonly carry a secret.
    fn default() -> Self {
        Self::new([
            "api_key",
            "apikey",
            "access_token",
            "token",
            "key",
            "password",
            "secret",
            "sig",
            "signature",
            "code",
        ])
    }
}

impl Redaction {
    /// Replaces the values of exactly these parameters.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { names: names.into_iter().map(|name| name.as_bytes().into()).collect() }
    }

    /// Replaces the values of these parameters too.
    #[must_use]
    pub fn and<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let more = names.into_iter().map(|name| Box::from(name.as_bytes()));
        Self { names: self.names.into_iter().chain(more).collect() }
    }

    /// Appends a query, cut after `bound` bytes. Cutting comes first, so nothing behind the cut can show.
    pub(super) fn push(&self, query: &[u8], bound: usize, escape: Escape, out: &mut Vec<u8>) {
        let kept = query.get(..bound).unwrap_or(query);
        // Some servers take `;` for `&`.
        for parameter in kept.split_inclusive(|byte| matches!(byte, b'&' | b';')) {
            let (body, separator) = match parameter.split_last() {
                Some((last @ (b'&' | b';'), body)) => (body, std::slice::from_ref(last)),
                _ => (parameter, [].as_slice()),
            };
            let name = body.split(|&byte| byte == b'=').next().unwrap_or_default();
            if name.len() < body.len() && self.lists(name) {
                escape.push_whole(name, out);
                out.push(b'=');
                out.extend_from_slice(MASK);
            } else {
                escape.push_whole(body, out);
            }
            out.extend_from_slice(separator);
        }
        if kept.len() < query.len() {
            escape.push_whole("…".as_bytes(), out);
        }
    }

    fn lists(&self, written: &[u8]) -> bool {
        self.names.iter().any(|name| {
            written.len() >= name.len()
                && decoded(written).map(|byte| byte.to_ascii_lowercase()).eq(name.iter().map(u8::to_ascii_lowercase))
        })
    }
}

/// The bytes of a parameter's name: `+` is a blank, `%41` is `A`, a broken escape is itself.
fn decoded(written: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = written;
    std::iter::from_fn(move || {
        let (byte, after) = match *rest {
            [b'%', high, low, ref after @ ..] => match (unhex(high), unhex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', rest.get(1..)?),
            },
            [b'+', ref after @ ..] => (b' ', after),
            [byte, ref after @ ..] => (byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(query: &str) -> String {
        let mut out = Vec::new();
        Redaction::default().push(query.as_bytes(), 100, Escape::Json, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn listed_values_are_replaced_and_others_kept() {
        assert_eq!(redacted("page=2&token=s3cret&q=a%20b"), "page=2&token=***&q=a%20b");
        assert_eq!(redacted("api_key=1&api_key=2"), "api_key=***&api_key=***");
        assert_eq!(redacted("token="), "token=***");
    }

    #[test]
    fn a_name_cannot_hide_behind_its_spelling() {
        for query in ["%74oken=x", "TOKEN=x", "%54%4f%4B%45%4e=x", "a=1;token=x", "&&token=x", "token=a=b"] {
            assert!(redacted(query).to_lowercase().ends_with("=***"), "{query}");
        }
    }

    #[test]
    fn names_that_only_resemble_a_listed_one_are_kept() {
        for query in ["tokens=1", "xtoken=1", "token", "q=token", "%7token=1", "tok%en=1", "=x", "", "&", "%"] {
            assert_eq!(redacted(query), query);
        }
    }

    #[test]
    fn nothing_of_a_secret_shows_at_the_cut() {
        let query = format!("{}&token={}", "x".repeat(90), "s".repeat(50));
        assert_eq!(redacted(&query), format!("{}&token=***…", "x".repeat(90)));
    }

    #[test]
    fn hostile_bytes_are_escaped() {
        assert_eq!(redacted("a=\"\n&token\u{1}=x"), "a=\\\"\\n&token\\u0001=x");
    }
}
