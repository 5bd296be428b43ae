//! RFC 9111 over real sockets; each name begins with the section. Answers that must be out of date arrive so (`Age` above
//! `max-age`): no test waits for time to pass.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};

/// A gateway that caches everything below `/` in front of an upstream that answers as `script` says.
fn cached(
    options: &str,
    script: impl Fn(&crate::support::origin::Request) -> Answer + Send + Sync + 'static,
) -> (Gateway, Origin) {
    let origin = Origin::start(script);
    let gateway = Gateway::start(&format!("routes:\n  /**: {{ to: {}, cache: {options} }}\n", origin.url()));
    (gateway, origin)
}

/// An upstream that says how it was asked: the count of requests so far is in the body.
fn numbered(fields: Fields) -> impl Fn(&crate::support::origin::Request) -> Answer {
    let count = std::sync::atomic::AtomicUsize::new(0);
    move |_| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let answer = Answer::ok(format!("answer {number}"));
        fields.iter().fold(answer, |answer, (name, value)| answer.header(name, value))
    }
}

#[track_caller]
fn status_of(response: &Response) -> &str {
    response.header("cache-status").expect("Cache-Status")
}

/// Fields of an answer.
type Fields = &'static [(&'static str, &'static str)];

/// Asks twice and says how often the upstream was asked.
fn asked_of_two(options: &str, fields: Fields) -> usize {
    let (gateway, origin) = cached(options, numbered(fields));
    assert_eq!(gateway.get("/a").status, 200);
    assert_eq!(gateway.get("/a").status, 200);
    origin.requests().len()
}

#[test]
fn s3_what_may_be_kept_is_and_what_may_not_is_not() {
    let cases: &[(&str, Fields, usize)] = &[
        ("{}", &[("Cache-Control", "max-age=60")], 1),
        ("{}", &[("Cache-Control", "public, max-age=60")], 1),
        ("{}", &[("Cache-Control", "s-maxage=60, max-age=0")], 1),
        ("{}", &[("Cache-Control", "s-maxage=0, max-age=60")], 2),
        ("{}", &[("Cache-Control", "no-store, max-age=60")], 2),
        ("{}", &[("Cache-Control", "private, max-age=60")], 2),
        ("{}", &[("Cache-Control", "private=\"set-cookie\", max-age=60")], 2),
        ("{}", &[("Cache-Control", "no-store, must-understand, max-age=60")], 1),
        ("{}", &[("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], 2),
        ("{ store: { set_cookie: true } }", &[("Cache-Control", "max-age=60"), ("Set-Cookie", "a=b")], 1),
        ("{}", &[("Cache-Control", "max-age=60"), ("Vary", "*")], 2),
        ("{}", &[], 2),
        ("30s", &[], 1),
        ("30s", &[("Cache-Control", "no-store")], 2),
        ("{ ttl: 30s, respect: false }", &[("Cache-Control", "no-store")], 1),
        ("{ ttl: 30s, respect: false }", &[("Set-Cookie", "a=b")], 2),
        ("{}", &[("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], 1),
        ("30s", &[("Expires", "0")], 2),
        ("30s", &[("Expires", "Thu, 01 Jan 2099 00:00:00 GMT"), ("Expires", "Thu, 01 Jan 2099 00:00:00 GMT")], 2),
        ("{}", &[("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")], 1),
        ("{}", &[("Cache-Control", "max-age=soon"), ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")], 2),
        ("{ ttl: 30s, store: { types: [application/json] } }", &[("Content-Type", "text/plain")], 2),
        ("{ ttl: 30s, store: { types: ['application/*'] } }", &[("Content-Type", "application/json; a=b")], 1),
        ("{ ttl: 30s, max_object: 3B }", &[], 2),
    ];
    for (options, fields, times) in cases {
        assert_eq!(asked_of_two(options, fields), *times, "{options} {fields:?}");
    }
}

#[test]
fn s3_answers_of_other_statuses_need_a_word_of_their_own() {
    for (options, status, times) in
        [("30s", 404, 2), ("{ statuses: { 404: 5s } }", 404, 1), ("30s", 301, 1), ("30s", 500, 2)]
            .into_iter()
            .chain([("{ statuses: { 500-599: 5s } }", 503, 1)])
    {
        let (gateway, origin) = cached(options, move |_| Answer::status(status).header("Location", "/"));
        assert_eq!((gateway.get("/a").status, gateway.get("/a").status), (status, status));
        assert_eq!(origin.requests().len(), times, "{options} {status}");
    }
}

#[test]
fn s3_5_answers_to_credentials_are_shared_only_where_they_say_so() {
    for (control, times) in
        [("max-age=60", 2), ("public, max-age=60", 1), ("s-maxage=60", 1), ("must-revalidate, max-age=60", 2)]
    {
        let (gateway, origin) = cached("{}", move |_| Answer::ok("secret").header("Cache-Control", control));
        let request = Request::get("/a").header("Authorization", "Bearer x");
        gateway.send(&request);
        gateway.get("/a");
        assert_eq!(origin.requests().len(), times, "{control}");
    }
}

#[test]
fn s4_a_hit_is_what_the_upstream_sent_with_its_age() {
    let (gateway, origin) =
        cached("{}", numbered(&[("Cache-Control", "max-age=60"), ("ETag", "\"1\""), ("X-Own", "1"), ("Age", "12")]));
    let first = gateway.get("/a?b=2&a=1");
    assert_eq!((first.text(), status_of(&first)), ("answer 1", "tollgate; fwd=uri-miss; stored"));
    let second = gateway.get("/a?a=1&b=2");
    assert_eq!((second.text(), second.header("x-own")), ("answer 1", Some("1")));
    let age: u64 = second.header("age").expect("Age").parse().expect("a number");
    assert!((12..15).contains(&age), "{age}");
    assert!(status_of(&second).starts_with("tollgate; hit; ttl=4"), "{}", status_of(&second));
    assert_eq!(origin.only_request().target, "/a?a=1&b=2", "the upstream sees what the key says");
    assert_eq!(gateway.get("/b").text(), "answer 2");
}

#[test]
fn s4_head_is_answered_from_get_and_fetches_it() {
    let (gateway, origin) = cached("30s", numbered(&[]));
    let head = gateway.send(&Request::new("HEAD", "/a"));
    assert_eq!((head.status, head.header("content-length")), (200, Some("8")));
    assert_eq!(gateway.get("/a").text(), "answer 1");
    assert_eq!(origin.only_request().method, "GET");
}

#[test]
fn s4_1_variants_are_kept_apart() {
    let (gateway, origin) = cached("30s", |request| {
        let language = request.header("accept-language").unwrap_or("none").to_owned();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    let ask = |language| gateway.send(&Request::get("/a").header("Accept-Language", language));
    for _ in 0..2 {
        assert_eq!((ask("de").text(), ask("en").text(), gateway.get("/a").text()), ("de", "en", "none"));
    }
    assert_eq!(origin.requests().len(), 3);
    assert!(status_of(&ask("fr")).contains("fwd=vary-miss"), "{}", status_of(&ask("it")));
}

#[test]
fn s4_2_4_what_must_be_asked_after_is_never_given_out_of_date() {
    for (control, served) in [
        ("max-age=1", 200),
        ("max-age=1, must-revalidate", 503),
        ("max-age=1, proxy-revalidate", 503),
        ("s-maxage=1", 503),
        ("no-cache", 503),
    ] {
        let count = std::sync::atomic::AtomicUsize::new(0);
        let (gateway, _origin) =
            cached("{ stale_if_error: 1h }", move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Answer::ok("old").header("Cache-Control", control).header("Age", "5").header("ETag", "\"1\""),
                _ => Answer::status(503),
            });
        assert_eq!(gateway.get("/a").status, 200);
        assert_eq!(gateway.get("/a").status, served, "{control}");
    }
}

#[test]
fn s4_3_what_is_out_of_date_is_confirmed_by_the_upstream() {
    let (gateway, origin) = cached("{}", |request| match request.header("if-none-match") {
        Some("\"1\"") => Answer::status(304).header("Cache-Control", "max-age=60").header("X-News", "2"),
        _ => Answer::ok("kept")
            .header("Cache-Control", "max-age=1")
            .header("Age", "10")
            .header("ETag", "\"1\"")
            .header("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT"),
    });
    gateway.get("/a");
    let confirmed = gateway.get("/a");
    assert_eq!((confirmed.text(), confirmed.header("x-news")), ("kept", Some("2")), "s3.2: fields are updated");
    assert!(status_of(&confirmed).contains("fwd=stale; fwd-status=304"), "{}", status_of(&confirmed));
    let hit = gateway.get("/a");
    assert_eq!((hit.text(), hit.header("x-news")), ("kept", Some("2")));
    assert!(status_of(&hit).contains("hit"), "{}", status_of(&hit));
    let requests = origin.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].header("if-modified-since"), Some("Thu, 01 Jan 2015 00:00:00 GMT"));
}

#[test]
fn s4_3_2_conditions_of_clients_are_answered_from_memory() {
    let (gateway, origin) =
        cached("30s", numbered(&[("ETag", "\"1\""), ("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")]));
    gateway.get("/a");
    let same = gateway.send(&Request::get("/a").header("If-None-Match", "W/\"1\""));
    assert_eq!((same.status, same.header("etag")), (304, Some("\"1\"")));
    let since = gateway.send(&Request::get("/a").header("If-Modified-Since", "Thu, 01 Jan 2015 00:00:00 GMT"));
    assert_eq!(since.status, 304);
    assert_eq!(gateway.send(&Request::get("/a").header("If-None-Match", "\"2\"")).status, 200);
    assert_eq!(origin.requests().len(), 1);
    let cold = gateway.send(&Request::get("/b").header("If-None-Match", "\"2\""));
    assert_eq!((cold.status, cold.text()), (200, "answer 2"));
    assert_eq!(origin.requests()[1].header("if-none-match"), None, "the whole is fetched");
}

#[test]
fn s4_ranges_are_cut_from_the_whole() {
    let (gateway, origin) = cached("30s", |_| {
        let answer = Answer::ok("0123456789").header("ETag", "\"1\"");
        answer.header("Content-Digest", "sha-256=:AAAA:").header("Repr-Digest", "sha-256=:AAAA:")
    });
    let digests = |response: &Response| ["content-digest", "repr-digest"].map(|name| response.header(name).is_some());
    let cold = gateway.send(&Request::get("/a").header("Range", "bytes=2-4"));
    assert_eq!(digests(&cold), [false, true], "RFC 9530: one is of the part, the other of the whole");
    assert_eq!((cold.status, cold.text(), cold.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    let tail = gateway.send(&Request::get("/a").header("Range", "bytes=-3"));
    assert_eq!((tail.status, tail.text(), digests(&tail)), (206, "789", [false, true]));
    let beyond = gateway.send(&Request::get("/a").header("Range", "bytes=20-"));
    assert_eq!((beyond.status, digests(&beyond)[0]), (416, false));
    let if_range = gateway.send(&Request::get("/a").header("Range", "bytes=0-1").header("If-Range", "\"2\""));
    assert_eq!((if_range.status, if_range.text(), digests(&if_range)), (200, "0123456789", [true, true]));
    assert_eq!(origin.only_request().header("range"), None);
}

#[test]
fn s4_4_a_change_takes_out_what_it_changed() {
    let (gateway, origin) = cached("30s", |request| match &*request.method {
        "GET" => Answer::ok(request.target.clone()),
        "DELETE" => Answer::status(404),
        _ => Answer::status(201).header("Location", "/b").header("Content-Location", "http://elsewhere.example/c"),
    });
    for path in ["/a", "/b", "/c"] {
        gateway.get(path);
    }
    gateway.send(&Request::new("DELETE", "/a"));
    origin.forget();
    gateway.get("/a");
    assert_eq!(origin.requests().len(), 0, "what failed has changed nothing");
    gateway.send(&Request::post("/a", "x"));
    origin.forget();
    for path in ["/a", "/b", "/c"] {
        gateway.get(path);
    }
    let asked: Vec<String> = origin.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked, ["/a", "/b"], "not what stands on another host");
}

#[test]
fn s5_2_1_clients_may_ask_for_newer_answers_where_they_are_honoured() {
    let (gateway, origin) = cached("{ honour_client: true }", |_| {
        Answer::ok("kept").header("Cache-Control", "max-age=60").header("Age", "10").header("ETag", "\"1\"")
    });
    let ask = |control: &str| {
        origin.forget();
        let response = gateway.send(&Request::get("/a").header("Cache-Control", control));
        (response.status, origin.requests().len())
    };
    assert_eq!(ask("only-if-cached"), (504, 0));
    assert_eq!(ask("max-age=100"), (200, 1));
    assert_eq!(ask("only-if-cached"), (200, 0));
    assert_eq!(ask("max-age=100"), (200, 0));
    assert_eq!(ask("max-age=5"), (200, 1));
    assert_eq!(ask("min-fresh=20"), (200, 0));
    assert_eq!(ask("min-fresh=55"), (200, 1));
    assert_eq!(ask("no-cache"), (200, 1));
    assert_eq!(ask("no-store"), (200, 1));
    origin.forget();
    gateway.send(&Request::get("/a").header("Pragma", "no-cache"));
    assert_eq!(origin.requests().len(), 1, "s5.4");
}

#[test]
fn s5_2_1_clients_are_not_honoured_unless_told() {
    let (gateway, origin) = cached("30s", numbered(&[]));
    gateway.get("/a");
    for control in ["no-cache", "max-age=0", "no-store"] {
        gateway.send(&Request::get("/a").header("Cache-Control", control));
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn s5_2_1_2_a_client_may_take_what_is_out_of_date() {
    let (gateway, origin) = cached("{ honour_client: true }", |_| {
        Answer::ok("kept").header("Cache-Control", "max-age=60").header("Age", "70").header("ETag", "\"1\"")
    });
    gateway.get("/a");
    origin.forget();
    let ask = |control| gateway.send(&Request::get("/a").header("Cache-Control", control));
    assert!(status_of(&ask("max-stale=30")).contains("hit; ttl=-1"));
    assert!(status_of(&ask("max-stale")).contains("hit"));
    assert_eq!(origin.requests().len(), 0);
    ask("max-stale=5");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn rfc9213_directives_for_shared_caches_come_first() {
    let cases: &[(Fields, usize)] = &[
        (&[("CDN-Cache-Control", "max-age=60"), ("Cache-Control", "no-store")], 1),
        (&[("CDN-Cache-Control", "no-store"), ("Cache-Control", "max-age=60")], 2),
        (&[("CDN-Cache-Control", "max-age=\"60\", ="), ("Cache-Control", "max-age=60")], 1),
        (&[("CDN-Cache-Control", ""), ("Cache-Control", "no-store")], 2),
    ];
    for (fields, times) in cases {
        assert_eq!(asked_of_two("{}", fields), *times, "{fields:?}");
    }
}

#[test]
fn rfc5861_s3_what_is_out_of_date_is_given_while_it_is_renewed() {
    let (gateway, origin) = cached("{}", |request| match request.header("if-none-match") {
        Some(_) => Answer::status(304).header("Cache-Control", "max-age=60"),
        None => Answer::ok("kept")
            .header("Cache-Control", "max-age=1, stale-while-revalidate=600")
            .header("Age", "10")
            .header("ETag", "\"1\""),
    });
    gateway.get("/a");
    let late = gateway.get("/a");
    assert_eq!(late.text(), "kept");
    assert!(status_of(&late).starts_with("tollgate; hit; ttl=-"), "{}", status_of(&late));
    origin.await_requests(2);
    crate::support::wait::until("it is renewed", || status_of(&gateway.get("/a")).starts_with("tollgate; hit; ttl=5"));
    assert_eq!(origin.requests().len(), 2);
    gateway.await_metric("tollgate_cache_requests_total", &["status=\"stale\""], 1.0);
}

#[test]
fn rfc5861_s4_what_is_out_of_date_is_given_while_the_upstream_is_out() {
    let origin = Origin::start(|_| {
        Answer::ok("kept").header("Cache-Control", "max-age=1, stale-if-error=600").header("Age", "10")
    });
    let gateway = Gateway::start(&format!("routes:\n  /**: {{ to: {}, cache: {{}} }}\n", origin.url()));
    assert_eq!(gateway.get("/a").status, 200);
    drop(origin);
    let stale = gateway.get("/a");
    assert_eq!((stale.status, stale.text()), (200, "kept"));
    assert!(status_of(&stale).contains("hit; ttl=-"), "{}", status_of(&stale));
    assert_eq!(gateway.get("/b").status, 502);
}

#[test]
fn s3_3_what_is_cut_short_is_not_kept() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let (gateway, origin) = cached("1h", move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Answer::ok("0123456789".repeat(1_000)).cut_after(5_000, Ending::Close),
        _ => Answer::ok("0123456789"),
    });
    let mut client = gateway.connect();
    client.send_raw(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!client.try_read("GET").is_ok_and(|answer| answer.status == 200));
    let ask = || gateway.send(&Request::get("/a").header("Host", "x"));
    assert_eq!((ask().text(), ask().text(), origin.requests().len()), ("0123456789", "0123456789", 2));
}

#[test]
fn s4_what_is_kept_is_for_its_own_method_and_url_alone() {
    let (gateway, origin) = cached("1h", |request| Answer::ok(format!("{} {}", request.method, request.target)));
    gateway.get("/a");
    for (method, target) in [("POST", "/b"), ("OPTIONS", "/a"), ("GET", "/a/"), ("GET", "/A"), ("GET", "/a?")] {
        origin.forget();
        let answer = gateway.send(&Request::new(method, target));
        if target != "/a?" {
            assert_eq!((answer.text(), origin.requests().len()), (&*format!("{method} {target}"), 1));
        }
    }
}

#[test]
fn s4_1_of_several_fields_each_counts() {
    let (gateway, origin) = cached("1h", |request| {
        let said = |name| request.header(name).unwrap_or("-").to_owned();
        Answer::ok(format!("{} {}", said("accept-language"), said("x-kind"))).header("Vary", "Accept-Language, X-Kind")
    });
    let ask = |language, kind| {
        let request = Request::get("/a").header("Accept-Language", language).header("X-Kind", kind);
        gateway.send(&request).text().to_owned()
    };
    for _ in 0..2 {
        for (language, kind) in [("de", "1"), ("de", "2"), ("en", "1")] {
            assert_eq!(ask(language, kind), format!("{language} {kind}"));
        }
    }
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn s4_3_3_a_full_answer_takes_the_place_of_what_was_kept() {
    let (gateway, origin) = cached("{}", numbered(&[("Cache-Control", "max-age=1"), ("Age", "5"), ("ETag", "\"1\"")]));
    for number in 1..4 {
        let answer = gateway.get("/a");
        assert_eq!(answer.text(), format!("answer {number}"));
        let told = if number == 1 { "tollgate; fwd=uri-miss; stored" } else { "tollgate; fwd=stale; stored" };
        assert_eq!(status_of(&answer), told);
    }
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(gateway.metric("tollgate_cache_objects", &[]), 1.0);
}

#[test]
fn s4_3_4_a_304_that_is_about_something_else_does_not_freshen() {
    let (gateway, origin) = cached("{}", |request| match request.header("if-none-match") {
        Some(_) => Answer::status(304).header("Cache-Control", "max-age=60").header("ETag", "\"2\""),
        None => Answer::ok("kept").header("Cache-Control", "max-age=1").header("Age", "9").header("ETag", "\"1\""),
    });
    gateway.get("/a");
    gateway.get("/a");
    origin.forget();
    let third = gateway.get("/a");
    assert_eq!((third.text(), origin.requests().len()), ("kept", 1), "it was not made fresh: {}", status_of(&third));
}

#[test]
fn rfc9211_what_is_answered_before_the_cache_was_asked_says_nothing_of_it() {
    let origin = Origin::start(|_| Answer::none(Ending::Close));
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{}} }} }}\nconsumers: {{ ann: {{ keys: [{{ key: {{ value: the-key-of-ann-1, insecure_inline: true }} }}] }} }}\n\
         routes:\n  /own: {{ to: {0}, auth: keys, cache: 1h }}\n  /limited: {{ to: {0}, limit: 1/h, cache: {{ ttl: 1h, honour_client: true }} }}\n  \
         GET /broken: {{ to: {0}, cache: 1h }}\n",
        origin.url()
    ));
    let only = Request::get("/limited").header("Cache-Control", "only-if-cached");
    for (request, status) in [
        (Request::get("/own"), 401),
        (only, 504),
        (Request::get("/limited"), 429),
        (Request::get("/broken"), 502),
        (Request::post("/broken", ""), 405),
        (Request::get("/nowhere"), 404),
    ] {
        let answer = gateway.send(&request);
        let told = match status {
            504 => Some("tollgate; fwd=uri-miss; detail=only-if-cached"),
            502 => Some("tollgate; fwd=uri-miss"),
            _ => None,
        };
        assert_eq!((answer.status, answer.header("cache-status")), (status, told), "{request:?}");
    }
}
