//! The store does what a map would that had all the room in the world, save for what it gives up for want of room.

use crate::cache::body::Body;
use crate::cache::index::Labels;
use crate::cache::key::Key;
use crate::cache::object::{Facts, Object};
use crate::cache::store::Placed;
use crate::cache::vary::{Variance, Vary};
use crate::cache::{Authority, Look, Place, Purge, Store};
use crate::request::Scheme;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora_cache::CacheMeta;
use pingora_http::ResponseHeader;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LANGUAGE: HeaderName = HeaderName::from_static("accept-language");
const APIS: [&str; 2] = ["shop", "blog"];

#[derive(Clone, Debug)]
enum Act {
    /// Puts an answer at a path, for a language where it varies, with a tag.
    Put {
        path: usize,
        language: Option<u8>,
        tag: u8,
        value: u8,
    },
    Get {
        path: usize,
        language: u8,
    },
    PurgeUrl(usize),
    PurgePrefix(usize),
    PurgeTag(u8),
    PurgeApi(usize),
    PurgeAll,
}

/// Some begin as others do.
const PATHS: [&str; 6] = ["/a", "/a/b", "/a/c", "/ab", "/b", "/a/b/c"];

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let path = 0..PATHS.len();
    let act = prop_oneof![
        8 => (path.clone(), prop::option::of(0..3_u8), 0..3_u8, any::<u8>())
            .prop_map(|(path, language, tag, value)| Act::Put { path, language, tag, value }),
        8 => (path.clone(), 0..3_u8).prop_map(|(path, language)| Act::Get { path, language }),
        1 => path.clone().prop_map(Act::PurgeUrl),
        1 => path.prop_map(Act::PurgePrefix),
        1 => (0..3_u8).prop_map(Act::PurgeTag),
        1 => (0..APIS.len()).prop_map(Act::PurgeApi),
        1 => Just(Act::PurgeAll),
    ];
    prop::collection::vec(act, 1..120)
}

/// What the model holds at a path: the tags of all that came there since it was empty, and the answers by language.
#[derive(Default)]
struct Slot {
    varies: bool,
    tags: Vec<u8>,
    answers: BTreeMap<Option<u8>, u8>,
}

fn language(number: u8) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(LANGUAGE, HeaderValue::from(u16::from(number)));
    headers
}

fn key(store: &Store, path: &str) -> Arc<Key> {
    let place = Place { scheme: Scheme::Http, authority: Authority("h"), path, query: None };
    Arc::new(store.key(place.begin(0)))
}

fn object(store: &Store, request: &HeaderMap, varies: bool, (tag, body): (&str, Bytes)) -> Arc<Object> {
    let mut header = ResponseHeader::build(200, None).unwrap();
    if varies {
        header.insert_header("vary", "accept-language").unwrap();
    }
    let vary = Vary::of(&header.headers).unwrap();
    let variance: Variance = vary.variance(request, store.hashers());
    let said = vary.said(request);
    let facts = Arc::new(Facts { vary, variance, said, tags: [tag.into()].into(), strict: false });
    let now = SystemTime::now();
    let meta = CacheMeta::new(now + Duration::from_secs(60), now, 0, 0, header);
    let content = Arc::new(Body::default());
    content.push(body);
    content.finish();
    Arc::new(Object::of(&meta, facts, content))
}

fn api_of(path: usize) -> &'static str {
    APIS[path % APIS.len()]
}

fn put(store: &Store, path: usize, object: &Arc<Object>) -> Placed {
    let key = key(store, PATHS[path]);
    let labels = Labels { url: key.url(), api: api_of(path).into(), tags: object.facts.tags.to_vec() };
    if store.place(&key, object, labels, store.epoch()) == Placed::No {
        return Placed::No;
    }
    store.settle(&key, object)
}

fn value_of(object: &Object) -> u8 {
    object.body.whole().unwrap()[0][0]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_holds_what_was_put_in_and_not_purged(acts in acts()) {
        let store = Store::new(1 << 30);
        let mut model: BTreeMap<usize, Slot> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Put { path, language: wanted, tag, value } => {
                    let request = wanted.map(language).unwrap_or_default();
                    let object = object(&store, &request, wanted.is_some(), (&format!("t{tag}"), Bytes::from(vec![value])));
                    prop_assert_eq!(put(&store, path, &object), Placed::Yes);
                    let slot = model.entry(path).or_default();
                    if slot.varies != wanted.is_some() {
                        *slot = Slot::default();
                    } else if slot.answers.len() == 1 && slot.answers.contains_key(&wanted) {
                        slot.tags.clear(); // the only one there is replaced
                    }
                    slot.varies = wanted.is_some();
                    slot.tags.push(tag);
                    slot.answers.insert(wanted, value);
                }
                Act::Get { path, language: wanted } => {
                    let found = store.get(&key(&store, PATHS[path]), &language(wanted));
                    let slot = model.get(&path);
                    let expected = slot.and_then(|slot| slot.answers.get(&slot.varies.then_some(wanted)).copied());
                    match found {
                        Look::Found(object) => prop_assert_eq!(Some(value_of(&object)), expected),
                        Look::OtherVariant(_) => prop_assert!(expected.is_none() && slot.is_some()),
                        Look::Nothing => prop_assert!(slot.is_none()),
                    }
                }
                Act::PurgeUrl(path) => {
                    let count = model.remove(&path).map_or(0, |slot| slot.answers.len());
                    prop_assert_eq!(store.purge(&Purge::Url(format!("h{}", PATHS[path]).into())), count as u64);
                }
                Act::PurgePrefix(path) => {
                    model.retain(|other, _| !PATHS[*other].starts_with(PATHS[path]));
                    store.purge(&Purge::Prefix(format!("h{}", PATHS[path]).into()));
                }
                Act::PurgeTag(tag) => {
                    model.retain(|_, slot| !slot.tags.contains(&tag));
                    store.purge(&Purge::Tag(format!("t{tag}").into()));
                }
                Act::PurgeApi(api) => {
                    model.retain(|path, _| api_of(*path) != APIS[api]);
                    store.purge(&Purge::Api(APIS[api].into()));
                }
                Act::PurgeAll => {
                    model.clear();
                    store.purge(&Purge::Everything);
                }
            }
            let count: usize = model.values().map(|slot| slot.answers.len()).sum();
            prop_assert_eq!(store.holdings().objects, count as u64);
        }
        store.purge(&Purge::Everything);
        prop_assert_eq!((store.holdings().bytes, store.holdings().objects), (0, 0));
    }
}

fn fill(store: &Store, path: &str, bytes: usize) -> Arc<Key> {
    let key = key(store, path);
    let object = object(store, &HeaderMap::new(), false, ("t", Bytes::from(vec![b'x'; bytes])));
    let labels = Labels { url: key.url(), api: "".into(), tags: Vec::new() };
    store.place(&key, &object, labels, store.epoch());
    store.settle(&key, &object);
    key
}

fn has(store: &Store, key: &Key) -> bool {
    matches!(store.get(key, &HeaderMap::new()), Look::Found(_))
}

#[test]
fn it_keeps_to_its_bound_and_a_scan_does_not_push_out_what_is_wanted() {
    let store = Store::new(1 << 20);
    let wanted: Vec<_> = (0..50).map(|number| fill(&store, &format!("/wanted/{number}"), 4_000)).collect();
    for _ in 0..5 {
        assert!(wanted.iter().all(|key| has(&store, key)));
    }
    for number in 0..5_000 {
        let scanned = format!("/scan/{number}");
        has(&store, &key(&store, &scanned));
        fill(&store, &scanned, 4_000);
        assert!(store.holdings().bytes <= 1 << 20);
    }
    let left = wanted.iter().filter(|key| has(&store, key)).count();
    assert!(left >= 45, "{left} of 50 are left");
    assert!(store.holdings().evicted >= 4_000);
    store.set_capacity(100_000);
    assert!(store.holdings().bytes <= 100_000);
}

#[test]
fn what_was_purged_while_it_was_fetched_does_not_come_in() {
    let store = Store::new(1 << 20);
    let began = store.epoch();
    let key = key(&store, "/a");
    let object = object(&store, &HeaderMap::new(), false, ("t", Bytes::from_static(b"old")));
    let labels = |tag: &str| Labels { url: key.url(), api: "shop".into(), tags: vec![tag.into()] };
    store.purge(&Purge::Tag("other".into()));
    assert_eq!(store.place(&key, &object, labels("t"), began), Placed::Yes);
    store.purge(&Purge::Tag("t".into()));
    assert_eq!(store.settle(&key, &object), Placed::No, "purged after its head had come");
    assert_eq!(store.place(&key, &object, labels("t"), began), Placed::No, "purged before");
    assert_eq!(store.place(&key, &object, labels("t"), store.epoch()), Placed::Yes);
    for _ in 0..2_000 {
        store.purge(&Purge::Tag("other".into()));
    }
    assert_eq!(store.place(&key, &object, labels("x"), began), Placed::No, "too many to tell");
}
