//! `Vary`: by which fields of the request the answers at one URL differ (RFC 9111 §4.1).

use http::{HeaderMap, HeaderName, header};
use std::hash::{BuildHasher, Hasher};

/// The names of an answer's `Vary`, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vary(Box<[HeaderName]>);

/// What a request says in the fields that count, as a keyed hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variance(pub u128);

impl Vary {
    /// What an answer varies by; `None` where no other request can be given it (`*`, or a name that is none).
    ///
    /// An encoded answer counts as varying by `Accept-Encoding` whether or not it says so: many services forget to.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut names = Vec::new();
        for value in headers.get_all(header::VARY) {
            for name in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                match name {
                    b"" => {}
                    b"*" => return None,
                    name => names.push(HeaderName::from_bytes(name).ok()?),
                }
            }
        }
        if headers.contains_key(header::CONTENT_ENCODING) {
            names.push(header::ACCEPT_ENCODING);
        }
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Some(Self(names.into()))
    }

    /// Whether all requests get the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names.
    pub fn names(&self) -> &[HeaderName] {
        &self.0
    }

    /// These names, as they were kept.
    pub(super) fn of_names(mut names: Vec<HeaderName>) -> Self {
        names.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Self(names.into())
    }

    /// What a request says in these fields, as a keyed hash.
    pub fn variance(&self, request: &HeaderMap, hashers: &[ahash::RandomState; 2]) -> Variance {
        if self.is_empty() { Variance::default() } else { self.hash(&self.said(request), hashers) }
    }

    /// What a request says in these fields, as one text.
    pub(super) fn said(&self, request: &HeaderMap) -> Box<[u8]> {
        let mut text = Vec::new();
        for name in &self.0 {
            super::key::push(&mut text, name.as_str().as_bytes());
            super::key::push(&mut text, &normal(name, request));
        }
        text.into()
    }

    /// The hash of such a text.
    pub(super) fn hash(&self, text: &[u8], hashers: &[ahash::RandomState; 2]) -> Variance {
        if self.is_empty() {
            return Variance::default();
        }
        let [high, low] = hashers.each_ref().map(|state| {
            let mut hasher = state.build_hasher();
            hasher.write(text);
            hasher.finish()
        });
        Variance(u128::from(high) << 64 | u128::from(low))
    }
}

/// The values of a field in a form in which what means the same is the same: fields joined, white space around commas
/// gone; where order and case mean nothing, neither counts. A field that is there and empty is not one that is missing.
fn normal(name: &HeaderName, request: &HeaderMap) -> Vec<u8> {
    let mut members: Vec<Vec<u8>> = Vec::new();
    let mut found = false;
    for value in request.get_all(name) {
        found = true;
        if *name == header::COOKIE {
            members.push(value.as_bytes().trim_ascii().to_vec());
            continue;
        }
        let parts = value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        members.extend(parts.map(<[u8]>::to_vec));
    }
    if *name == header::ACCEPT_ENCODING {
        for member in &mut members {
            member.retain(|byte| *byte != b' ');
            member.make_ascii_lowercase();
        }
        members.sort();
    }
    let mut text = vec![u8::from(found)];
    text.extend(members.join(if *name == header::COOKIE { &b"; "[..] } else { &b","[..] }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn the_names_are_those_of_all_fields_and_of_the_encoding() {
        let of = |fields: &[_]| Vary::of(&headers(fields)).map(|vary| vary.0.iter().map(|n| n.to_string()).collect());
        let names = |list: &[&str]| Some(list.iter().map(ToString::to_string).collect::<Vec<String>>());
        assert_eq!(of(&[]), names(&[]));
        assert_eq!(of(&[("vary", "Accept, accept"), ("vary", "X-A")]), names(&["accept", "x-a"]));
        assert_eq!(of(&[("content-encoding", "gzip")]), names(&["accept-encoding"]));
        assert_eq!(of(&[("vary", "accept, *")]), None);
        assert_eq!(of(&[("vary", "no name")]), None);
    }

    #[test]
    fn what_means_the_same_is_the_same_variant() {
        let hashers = [ahash::RandomState::with_seed(1), ahash::RandomState::with_seed(2)];
        let vary = Vary::of(&headers(&[("vary", "accept-encoding, accept-language, x-a")])).unwrap();
        let of = |fields: &[_]| vary.variance(&headers(fields), &hashers);
        assert_eq!(of(&[("accept-encoding", "gzip, br")]), of(&[("accept-encoding", "BR,gzip")]));
        assert_eq!(of(&[("accept-language", "de,  en")]), of(&[("accept-language", "de"), ("accept-language", "en")]));
        assert_ne!(of(&[("accept-language", "de, en")]), of(&[("accept-language", "en, de")]));
        assert_ne!(of(&[("x-a", "")]), of(&[]), "empty is not missing");
        assert_ne!(of(&[("x-a", "1")]), of(&[("accept-language", "1")]));
    }
}
