//! What the key of a caller's answers tells apart.

use super::plan;
use crate::cache::{Authority, Place};
use crate::request::{Caller, Moment, RequestCx, Scheme};
use crate::value::{OneOrMany, Spanned};
use http::HeaderMap;
use std::time::{Instant, SystemTime};

fn key_for(caller: Option<Caller>) -> Vec<u8> {
    let plan = plan(|config| config.vary = OneOrMany(vec![Spanned::nowhere("consumer".parse().unwrap())]));
    let mut cx = RequestCx::new(Moment { started: Instant::now(), wall: SystemTime::UNIX_EPOCH });
    cx.identity.caller = caller.map(Caller::told);
    let place = Place { scheme: Scheme::Http, authority: Authority("h"), path: "/", query: None };
    plan.key(&place, &cx, &HeaderMap::new())
}

fn ann() -> Caller {
    Caller { id: "ann".into(), provider: "idp".into(), credential: Some("jti-1".into()), ..Caller::default() }
}

#[test]
fn what_a_credential_brings_tells_answers_apart_and_its_name_does_not() {
    let scopes = |list: &[&str]| Caller { scopes: list.iter().map(|scope| (*scope).into()).collect(), ..ann() };
    let groups = |list: &[&str]| Caller { groups: list.iter().map(|group| (*group).into()).collect(), ..ann() };
    let told = |tenant: &'static str| {
        let field = (http::HeaderName::from_static("x-tenant"), http::HeaderValue::from_static(tenant));
        Caller { fields: vec![field], ..ann() }
    };
    let same = Caller { credential: Some("jti-2".into()), ..ann() };
    assert_eq!(key_for(Some(ann())), key_for(Some(same)), "a token is renewed, its answers stay");
    assert_eq!(key_for(Some(scopes(&["read", "write"]))), key_for(Some(scopes(&["write", "read"]))));
    let different = [
        None,
        Some(ann()),
        Some(Caller { id: "bob".into(), ..ann() }),
        Some(Caller { provider: "keys".into(), ..ann() }),
        Some(scopes(&["read"])),
        Some(scopes(&["read", "write"])),
        Some(groups(&["staff"])),
        Some(groups(&["staff", "admins"])),
        Some(told("t1")),
        Some(told("t2")),
    ];
    let keys: Vec<Vec<u8>> = different.into_iter().map(key_for).collect();
    for (at, key) in keys.iter().enumerate() {
        assert!(keys.iter().skip(at + 1).all(|other| other != key), "{at}");
    }
}
