//! What a file says of its answer beside the body: all that is needed to give it to those it is for, and to purge it.

use crate::cache::body::Body;
use crate::cache::index::Labels;
use crate::cache::key::{Key, Parts, push};
use crate::cache::object::{Facts, Object, Times};
use crate::cache::store::Store;
use crate::cache::vary::Vary;
use http::{HeaderName, HeaderValue};
use pingora_http::ResponseHeader;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// An answer as a file tells of it.
pub(in crate::cache) struct Record {
    pub key: Arc<Key>,
    pub labels: Labels,
    /// The answer; its body is elsewhere.
    pub object: Object,
    /// When the file was written, in milliseconds since the epoch.
    pub written: u64,
}

/// Milliseconds since the epoch.
pub(super) fn millis(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn at(millis: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// The head of the file of an answer.
pub(super) fn encode(key: &Key, api: &str, object: &Object, written: u64) -> Vec<u8> {
    let facts = &*object.facts;
    let mut bytes = Vec::with_capacity(1024);
    let mut part = |part: &[u8]| push(&mut bytes, part);
    part(key.text());
    part(api.as_bytes());
    part(&facts.said);
    let Times { made, fresh_until, while_revalidating, if_error } = object.times;
    part(&written.to_le_bytes());
    part(&millis(made).to_le_bytes());
    part(&millis(fresh_until).to_le_bytes());
    part(&while_revalidating.to_le_bytes());
    part(&if_error.to_le_bytes());
    part(&[u8::from(facts.strict)]);
    part(&object.header.status.as_u16().to_le_bytes());
    part(&(facts.tags.len() as u64).to_le_bytes());
    facts.tags.iter().for_each(|tag| part(tag.as_bytes()));
    part(&(facts.vary.names().len() as u64).to_le_bytes());
    facts.vary.names().iter().for_each(|name| part(name.as_str().as_bytes()));
    for (name, value) in &object.header.headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    bytes
}

/// What such a head says, for a body of that length; `None` where it is no such head.
pub(super) fn decode(head: &[u8], body: u64, store: &Store) -> Option<Record> {
    let mut parts = Parts(head);
    let key = Arc::new(store.key(parts.next()?.to_vec()));
    let api = Arc::from(std::str::from_utf8(parts.next()?).ok()?);
    let said: Box<[u8]> = parts.next()?.into();
    let mut number = || Some(u64::from_le_bytes(parts.next()?.try_into().ok()?));
    let (written, made, fresh_until) = (number()?, at(number()?)?, at(number()?)?);
    let mut short = || Some(u32::from_le_bytes(parts.next()?.try_into().ok()?));
    let times = Times { made, fresh_until, while_revalidating: short()?, if_error: short()? };
    let strict = parts.next()? != [0];
    let status = u16::from_le_bytes(parts.next()?.try_into().ok()?);
    let tags = texts(&mut parts)?.map(|tag| Some(Arc::from(std::str::from_utf8(tag?).ok()?))).collect::<Option<_>>()?;
    let names = texts(&mut parts)?.map(|name| HeaderName::from_bytes(name?).ok()).collect::<Option<_>>()?;
    let mut header = ResponseHeader::build(status, None).ok()?;
    while let Some(name) = parts.next() {
        let name = HeaderName::from_bytes(name).ok()?;
        header.append_header(name, HeaderValue::from_bytes(parts.next()?).ok()?).ok()?;
    }
    let vary = Vary::of_names(names);
    let variance = vary.hash(&said, store.hashers());
    let facts = Arc::new(Facts { vary, variance, said, tags, strict });
    let labels = Labels { url: key.url(), api, tags: facts.tags.to_vec() };
    let object = Object::new(header, times, facts, Arc::new(Body::elsewhere(body)));
    Some(Record { key, labels, object, written })
}

/// As many parts as the next one says.
fn texts<'p, 'b: 'p>(parts: &'p mut Parts<'b>) -> Option<impl Iterator<Item = Option<&'b [u8]>> + 'p> {
    let count = u64::from_le_bytes(parts.next()?.try_into().ok()?);
    Some((0..count.min(10_000)).map(move |_| parts.next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::disk::Stored;
    use crate::cache::purge::Purge;
    use crate::cache::store::{Look, Placed};
    use crate::cache::tests::stored;
    use crate::cache::{Authority, Place};
    use crate::request::Scheme;
    use http::HeaderMap;

    fn german() -> HeaderMap {
        let mut request = HeaderMap::new();
        request.insert("accept-language", HeaderValue::from_static("de"));
        request
    }

    /// The head of a file of an answer in German.
    fn head(written: u64) -> Vec<u8> {
        let mut header = ResponseHeader::build(203, None).unwrap();
        for (name, value) in [("vary", "Accept-Language"), ("x-a", "1"), ("x-a", "2"), ("etag", "\"1\"")] {
            header.append_header(name, value).unwrap();
        }
        let (store, now) = (Store::default(), SystemTime::now());
        let vary = Vary::of(&header.headers).unwrap();
        let said = vary.said(&german());
        let facts =
            Facts { variance: vary.hash(&said, store.hashers()), vary, said, tags: ["t".into()].into(), strict: true };
        let until = now + Duration::from_secs(60);
        let times = Times { made: now, fresh_until: until, while_revalidating: 7, if_error: 8 };
        let object = Object::new(header, times, Arc::new(facts), Arc::new(Body::default()));
        let place = Place { scheme: Scheme::Http, authority: Authority("shop.example"), path: "/a", query: None };
        encode(&store.key(place.begin(0)), "shop", &object, written)
    }

    fn adopt(store: &Store, written: u64, epoch: u64) -> (Placed, Arc<Stored>) {
        let record = decode(&head(written), 10, store).unwrap();
        let file = Arc::new(stored(written));
        (store.adopt(record, &file, epoch), file)
    }

    #[test]
    fn another_process_finds_the_answer_for_the_same_requests() {
        let store = Store::new(1 << 20);
        assert_eq!(adopt(&store, 1, store.epoch()).0, Placed::Yes);
        let Record { key, object, labels, .. } = decode(&head(1), 10, &store).unwrap();
        let Look::Found(found) = store.get(&key, &german()) else { panic!("not found") };
        assert!(matches!(store.get(&key, &HeaderMap::new()), Look::OtherVariant(_)));
        assert_eq!((found.header.status.as_u16(), found.body.length(), found.facts.strict), (203, 10, true));
        assert_eq!(found.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(
            (found.times.while_revalidating, found.times.if_error, object.is_over(SystemTime::now())),
            (7, 8, false)
        );
        assert_eq!((&*labels.url.0, &*labels.api, labels.tags.len()), ("shop.example/a", "shop", 1));
        for purge in [Purge::Tag("t".into()), Purge::Url("shop.example/a".into()), Purge::Api("shop".into())] {
            let epoch = store.epoch();
            adopt(&store, 2, epoch);
            assert_eq!((store.purge(&purge), store.files()), (1, (0, 0)));
            assert_eq!(adopt(&store, 2, epoch).0, Placed::No, "purged since files began to be read in");
        }
    }

    #[test]
    fn of_two_files_the_later_one_counts() {
        let store = Store::new(1 << 20);
        let (_, second) = adopt(&store, 2, 0);
        assert_eq!(adopt(&store, 1, 0).0, Placed::No);
        let (placed, third) = adopt(&store, 3, 0);
        assert_eq!((placed, store.files()), (Placed::Yes, (1, third.length)));
        let gone = |file: &Stored| file.gone.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!((gone(&second), gone(&third)), (true, false));
    }

    #[test]
    fn what_is_no_such_head_is_nothing() {
        let (store, sound) = (Store::default(), head(1));
        for length in 0..sound.len() {
            // Some begin as a whole one does, with fewer fields; none may panic.
            let _ = decode(&sound[..length], 10, &store);
        }
        assert!(decode(b"", 0, &store).is_none() && decode(&sound[..40], 10, &store).is_none());
    }
}
