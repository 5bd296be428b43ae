//! Keys in every place, well formed and hostile.

use super::*;
use crate::consumer::{Consumer, Key};
use crate::reply::Reason;
use crate::request::Headers;
use crate::value::{Problems, Sources};
use http::HeaderMap;

const NOW: u64 = 1_000;

fn provider(config: ApiKeyConfig) -> Result<Arc<ApiKey>, Vec<String>> {
    let (mut problems, mut tended, mut identity) = (Problems::new(), Vec::new(), Vec::new());
    let mut setup = Setup {
        problems: &mut problems,
        sources: &Sources::default(),
        fetcher: &Default::default(),
        limits: &Default::default(),
        tended: &mut tended,
        identity: &mut identity,
    };
    let built = ApiKey::compile("keys", &Spanned::nowhere(config), None, &mut setup);
    built.ok_or_else(|| problems.into_vec().into_iter().map(|problem| problem.message).collect())
}

fn names(names: &[&str]) -> OneOrMany<Spanned<String>> {
    OneOrMany(names.iter().map(|name| Spanned::nowhere((*name).to_owned())).collect())
}

fn everywhere() -> Arc<ApiKey> {
    provider(ApiKeyConfig {
        header: names(&["X-API-Key", "Authorization"]),
        query: names(&["api_key"]),
        cookie: names(&["key"]),
        ..ApiKeyConfig::default()
    })
    .unwrap()
}

fn consumers() -> Arc<Consumers> {
    let mut consumers = Consumers::default();
    let acme = Consumer { id: "acme".into(), groups: ["partners".into()].into(), plan: None };
    let acme = consumers.add(acme, &[]).unwrap();
    for (text, name, expires) in [
        ("good key+", None, None),
        ("new", Some("new".into()), None),
        ("old", None, Some(NOW)),
        ("last", None, Some(NOW + 1)),
    ] {
        consumers.add_key(acme, Key { digest: KeyDigest::of(text.as_bytes()), name, expires }).unwrap();
    }
    Arc::new(consumers)
}

/// Fields of a request, and its query.
type Sent<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);

fn with<T>((fields, query): Sent<'_>, run: impl FnOnce(&mut RequestCx, &mut RequestView<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
    }
    let mut view = RequestView { method: "GET", host: "h", path: "/", query, headers: &mut headers };
    run(&mut RequestCx::at(NOW), &mut view)
}

fn asked(sent: Sent<'_>) -> String {
    with(sent, |cx, view| match everywhere().authenticate(cx, view, &consumers()) {
        Verdict::Absent => "absent".into(),
        Verdict::Passed(caller) => format!("passes as {}", caller.credential.as_deref().unwrap()),
        Verdict::Refused(refusal) => refusal.reason.slug().into(),
        Verdict::Ambiguous(_) => "ambiguous".into(),
        other => format!("{other:?}"),
    })
}

#[test]
fn finds_the_key_wherever_it_may_stand() {
    let good = format!("passes as {}", KeyDigest::of(b"good key+").name());
    for (sent, said) in [
        ((&[("x-api-key", "good key+")][..], None), good.as_str()),
        ((&[("X-Api-KEY", "  good key+\t")], None), &good),
        ((&[("authorization", "ApiKey new")], None), "passes as new"),
        ((&[("authorization", "aPIkEY   new ")], None), "passes as new"),
        ((&[], Some("a=1&api_key=good+key%2B&b")), &good),
        ((&[], Some("%61pi%5Fkey=n%65w")), "passes as new"),
        ((&[("cookie", "a=1; key=new")], None), "passes as new"),
        ((&[("cookie", "a=1"), ("cookie", "b=2;key=\"new\";c=3")], None), "passes as new"),
        ((&[("x-api-key", "last")], None), &format!("passes as {}", KeyDigest::of(b"last").name())),
    ] {
        assert_eq!(asked(sent), said, "{sent:?}");
    }
}

#[test]
fn what_is_no_key_of_ours_is_absent() {
    for sent in [
        (&[][..], None),
        (&[("authorization", "Bearer new")], None),
        (&[("authorization", "ApiKeynew")], None),
        (&[("authorization", "ApiKeys new")], None),
        (&[("authorization", "new")], None),
        (&[("cookie", "keys=new; KEY=new; a=key=new; akey=new")], None),
        (&[], Some("API_KEY=new&apikey=new&x=api_key=new&a;api_key=new&%00api_key=new&api_key%00=new")),
        (&[], Some("")),
    ] {
        assert_eq!(asked(sent), "absent", "{sent:?}");
    }
}

#[test]
fn more_than_one_is_ambiguous_even_if_it_is_the_same() {
    for sent in [
        (&[("x-api-key", "new"), ("x-api-key", "new")][..], None),
        (&[("x-api-key", "new"), ("authorization", "ApiKey new")], None),
        (&[("x-api-key", "new")], Some("api_key=new")),
        (&[("x-api-key", "")], Some("api_key=new")),
        (&[], Some("api_key=new&api%5Fkey=new")),
        (&[], Some("api_key&api_key=new")),
        (&[("cookie", "key=new; key=new")], None),
        (&[("cookie", "key=new"), ("cookie", "key=old")], None),
        (&[("cookie", "key=new"), ("x-api-key", "new")], None),
    ] {
        assert_eq!(asked(sent), "ambiguous", "{sent:?}");
    }
}

#[test]
fn a_key_that_is_not_good_is_refused() {
    let huge = "k".repeat(LONGEST + 1);
    for (key, said) in [
        ("", "bad-credentials"),
        ("NEW", "bad-credentials"),
        ("new ne", "bad-credentials"),
        ("good+key+", "bad-credentials"),
        (huge.as_str(), "bad-credentials"),
        ("old", "expired-token"),
    ] {
        assert_eq!(asked((&[("x-api-key", key)], None)), said, "{}", key.len());
    }
    for query in ["api_key=new%00", "api_key=%00", "api_key", "api_key=%6", "api_key=new%20"] {
        assert_eq!(asked((&[], Some(query))), "bad-credentials", "{query}");
    }
}

#[test]
fn takes_the_key_out_and_nothing_else() {
    let fields = [
        ("x-api-key", "new"),
        ("authorization", "ApiKey new"),
        ("cookie", "a=1; key=new; b=\"2\""),
        ("cookie", "key=new"),
        ("x-other", "new"),
    ];
    let query = "a=%20&api_key=new&b=1&%61pi_key=x&&c";
    let (headers, query) = with((&fields, Some(query)), |cx, view| {
        everywhere().strip(cx, view);
        let mut all = Vec::new();
        Headers::all(view.headers, &mut |name, value| all.push(format!("{name}: {}", String::from_utf8_lossy(value))));
        (all, cx.changes.query.clone())
    });
    assert_eq!(headers, ["cookie: a=1; b=\"2\"", "x-other: new"]);
    assert_eq!(query.as_deref(), Some("a=%20&b=1&&c"));
}

#[test]
fn another_scheme_and_another_query_are_left_as_they_are() {
    let sent = (&[("authorization", "Bearer t"), ("cookie", "a=1;  b=2")][..], Some("a=%20"));
    let (headers, query) = with(sent, |cx, view| {
        everywhere().strip(cx, view);
        let mut all = Vec::new();
        Headers::all(view.headers, &mut |name, value| all.push(format!("{name}: {}", String::from_utf8_lossy(value))));
        (all, cx.changes.query.clone())
    });
    assert_eq!(headers, ["authorization: Bearer t", "cookie: a=1;  b=2"]);
    assert_eq!(query, None);
}

#[test]
fn the_caller_is_made_once_until_the_consumers_change() {
    let (provider, consumers) = (everywhere(), consumers());
    let pass = |consumers: &Arc<Consumers>| {
        with((&[("x-api-key", "new")], None), |cx, view| match provider.authenticate(cx, view, consumers) {
            Verdict::Passed(caller) => caller,
            other => panic!("{other:?}"),
        })
    };
    assert!(Arc::ptr_eq(&pass(&consumers), &pass(&consumers)));
    let caller = pass(&consumers);
    assert_eq!((&*caller.id, &*caller.groups[0], &*caller.provider), ("acme", "partners", "keys"));
    assert!(!Arc::ptr_eq(&pass(&consumers), &pass(&self::consumers())));
}

#[test]
fn asks_for_a_key_by_name_of_its_area() {
    let provider = provider(ApiKeyConfig { realm: "shop".into(), ..ApiKeyConfig::default() }).unwrap();
    assert_eq!(provider.challenge(None).unwrap(), "ApiKey realm=\"shop\"");
    assert_eq!(Reason::NoCredentials.status(), 401);
}

#[test]
fn refuses_places_that_are_none() {
    let wrong = ApiKeyConfig {
        header: names(&["X Key", "Cookie", "X-Key", "x-key"]),
        query: names(&[""]),
        cookie: names(&["a b"]),
        ..ApiKeyConfig::default()
    };
    let said = provider(wrong).err().unwrap();
    assert_eq!(said.len(), 5, "{said:#?}");
    let lonely = ApiKeyConfig {
        query: names(&["k"]),
        prefix: Some(Spanned::nowhere("ApiKey".into())),
        ..ApiKeyConfig::default()
    };
    assert_eq!(provider(lonely).err().unwrap(), ["`prefix` is one word before a key in a header field"]);
}
