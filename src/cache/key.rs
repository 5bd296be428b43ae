//! The key of an answer: everything it may depend on, in one text.

use crate::request::Scheme;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

/// What names an answer, its `Vary` apart.
///
/// The text holds each part with its length before it, so that no two requests have the same one. It is compared whole:
/// hashes only find it.
#[derive(Debug)]
pub struct Key {
    hash: u64,
    second: u64,
    text: Box<[u8]>,
}

impl Key {
    pub(super) fn new(text: Vec<u8>, hashes: [u64; 2]) -> Self {
        let [hash, second] = hashes;
        Self { hash, second, text: text.into() }
    }

    /// Finds it.
    pub fn hash64(&self) -> u64 {
        self.hash
    }

    /// Tells it from others where its text is not at hand; both halves are keyed by this process.
    pub fn hash128(&self) -> u128 {
        u128::from(self.hash) << 64 | u128::from(self.second)
    }

    /// The whole text.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// What it is purged by.
    pub fn url(&self) -> UrlText {
        let mut parts = Parts(&self.text).skip(1);
        let mut next = || parts.next().map(|part| String::from_utf8_lossy(part)).unwrap_or_default();
        let (authority, path, query) = (next(), next(), next());
        UrlText::new(host_of(&authority), &path, Some(&*query).filter(|query| !query.is_empty()))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// The host and port a client named, in lower case: what a service is told of them may show in its answer.
#[derive(Clone, Copy, Debug)]
pub struct Authority<'a>(pub &'a str);

/// Where an answer stands: the first parts of its key.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The client's scheme.
    pub scheme: Scheme,
    /// The host and port it named.
    pub authority: Authority<'a>,
    /// The normalised path.
    pub path: &'a str,
    /// The query in canonical form.
    pub query: Option<&'a str>,
}

impl Place<'_> {
    /// Begins the text of a key.
    pub(super) fn begin(&self, capacity: usize) -> Vec<u8> {
        let query = self.query.unwrap_or_default();
        let length = 16 + self.authority.0.len() + self.path.len() + query.len();
        let mut text = Vec::with_capacity(length + capacity);
        push(&mut text, self.scheme.as_str().as_bytes());
        push(&mut text, self.authority.0.as_bytes());
        if let Some(host) = text.get_mut(4 + self.scheme.as_str().len() + 4..) {
            host.make_ascii_lowercase();
        }
        push(&mut text, self.path.as_bytes());
        push(&mut text, query.as_bytes());
        text
    }
}

/// Adds a part to the text of a key.
pub(super) fn push(text: &mut Vec<u8>, part: &[u8]) {
    text.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    text.extend_from_slice(part);
}

/// The parts of a text.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>()?;
        let (part, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.0 = rest;
        Some(part)
    }
}

fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
    .trim_end_matches('.')
}

/// A URL without scheme and port, as purges name it: `host/path?query`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UrlText(pub Box<str>);

impl UrlText {
    /// The text of these; the query in canonical form.
    pub fn new(host: &str, path: &str, query: Option<&str>) -> Self {
        let mut text = String::with_capacity(host.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        text.push_str(host);
        text.push_str(path);
        if let Some(query) = query {
            let _ = write!(text, "?{query}");
        }
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(authority: &str, path: &str, query: Option<&str>) -> Vec<u8> {
        Place { scheme: Scheme::Http, authority: Authority(authority), path, query }.begin(0)
    }

    #[test]
    fn no_part_can_pass_for_another() {
        let all = [
            text("a", "/b", None),
            text("a", "/", Some("b")),
            text("a/", "b", None),
            text("a", "/b?c", None),
            text("a", "/b", Some("c")),
            text("a:8080", "/b", None),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one));
        }
        assert_eq!(text("Example.COM", "/", None), text("example.com", "/", None));
    }

    #[test]
    fn a_key_says_the_url_it_is_purged_by() {
        for (authority, query, url) in [
            ("shop.example:8443", Some("a=1"), "shop.example/p/q?a=1"),
            ("shop.example.", None, "shop.example/p/q"),
            ("[::1]:80", None, "[::1]/p/q"),
            ("[::1]", None, "[::1]/p/q"),
        ] {
            assert_eq!(&*Key::new(text(authority, "/p/q", query), [0, 0]).url().0, url);
        }
    }
}
