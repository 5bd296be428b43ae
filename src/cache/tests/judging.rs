//! Whether answers are kept and on what terms, by the clock that is handed in.

use super::plan;
use crate::cache::{Answer, Plan, Refused, Terms, judge, merge, stored_head, tags_of};
use crate::value::Duration as Written;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::{Duration, SystemTime};

/// Tue, 24 Nov 2026 12:00:00 GMT.
const NOON: u64 = 1_795_521_600;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    map
}

fn terms(plan: &Plan, fields: &[(&str, &str)]) -> Result<Terms, Refused> {
    let arrived = SystemTime::UNIX_EPOCH + Duration::from_secs(NOON);
    let (headers, status) = (headers(fields), StatusCode::OK);
    let answer = Answer {
        status,
        headers: &headers,
        arrived,
        delay: Duration::ZERO,
        authenticated: false,
        keyed_by_caller: false,
    };
    judge(plan, &answer)
}

/// Lifetime and age in seconds.
fn times(plan: &Plan, fields: &[(&str, &str)]) -> Option<(u64, u64)> {
    terms(plan, fields).ok().map(|terms| (terms.lifetime.as_secs(), terms.age.as_secs()))
}

#[test]
fn s4_2_1_the_lifetime_is_the_first_that_is_told() {
    let plan = plan(|config| config.ttl = Some(Written::from_secs(30)));
    let date = ("date", "Tue, 24 Nov 2026 12:00:00 GMT");
    for (fields, seconds) in [
        (&[("cache-control", "s-maxage=5, max-age=9"), date][..], 5),
        (&[("cache-control", "max-age=9"), ("expires", "Tue, 24 Nov 2026 12:01:00 GMT"), date], 9),
        (&[("expires", "Tue, 24 Nov 2026 12:01:00 GMT"), date], 60),
        (&[date], 30),
        (&[("last-modified", "Tue, 24 Nov 2026 11:00:00 GMT"), date], 30),
        (&[("cache-control", "max-age=99999999999999"), date], (1 << 31) - 1),
    ] {
        assert_eq!(times(&plan, fields), Some((seconds, 0)), "{fields:?}");
    }
}

#[test]
fn s4_2_2_the_lifetime_is_guessed_where_nobody_tells() {
    let plan = plan(|_| {});
    let of = |modified| times(&plan, &[("last-modified", modified)]);
    assert_eq!(of("Tue, 24 Nov 2026 11:00:00 GMT"), Some((360, 0)));
    assert_eq!(of("Thu, 01 Jan 2015 00:00:00 GMT"), Some((24 * 3_600, 0)), "but not for longer than a day");
    assert_eq!(of("Wed, 25 Nov 2026 00:00:00 GMT"), None, "from the future");
    assert_eq!(terms(&plan, &[]), Err(Refused::Lifetime));
}

#[test]
fn s4_2_3_the_age_is_what_was_told_or_what_has_passed() {
    let plan = plan(|config| config.ttl = Some(Written::from_secs(100)));
    for (fields, age) in [
        (&[("age", "7")][..], 7),
        (&[("age", "7, 9")], 7),
        (&[("age", "-7")], 0),
        (&[("age", "soon")], 0),
        (&[("date", "Tue, 24 Nov 2026 11:59:20 GMT")], 40),
        (&[("date", "Tue, 24 Nov 2026 11:59:20 GMT"), ("age", "50")], 50),
        (&[("date", "Tue, 24 Nov 2026 12:59:20 GMT")], 0),
    ] {
        assert_eq!(times(&plan, fields), Some((100, age)), "{fields:?}");
    }
}

#[test]
fn rfc5861_how_long_an_answer_may_be_late() {
    let plan = plan(|config| {
        config.ttl = Some(Written::from_secs(30));
        config.stale_while_revalidate = Written::from_secs(3);
        config.stale_if_error = Written::from_secs(4);
    });
    let late = |control: &str| {
        let terms = terms(&plan, &[("cache-control", control), ("etag", "\"1\"")]).unwrap();
        (terms.while_revalidating.as_secs(), terms.if_error.as_secs())
    };
    assert_eq!(late("max-age=1"), (3, 4));
    assert_eq!(late("max-age=1, stale-while-revalidate=7, stale-if-error=8"), (7, 8));
    assert_eq!(late("max-age=1, must-revalidate, stale-while-revalidate=7"), (0, 0));
    assert_eq!(late("no-cache"), (0, 0));
    assert_eq!(late("s-maxage=1"), (0, 0), "RFC 9111, 5.2.2.10: as proxy-revalidate");
    assert_eq!(late("s-maxage=1, stale-while-revalidate=7"), (7, 0), "unless it says so itself");
}

#[test]
fn s3_1_what_is_for_one_connection_is_not_kept() {
    let plan = plan(|config| config.tags = crate::value::OneOrMany(vec![crate::value::Spanned::nowhere("own".into())]));
    let mut kept = headers(&[
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("age", "3"),
        ("surrogate-key", "a b  a"),
        ("surrogate-key", "c"),
        ("content-length", "3"),
        ("etag", "\"1\""),
    ]);
    let tags: Vec<String> = tags_of(&plan, &kept).iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["a", "b", "c", "own"]);
    stored_head(&plan, &mut kept);
    let names: Vec<&str> = kept.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["content-length", "etag"]);
}

#[test]
fn s3_2_a_304_renews_all_fields_but_those_of_the_body() {
    let mut kept =
        headers(&[("content-length", "3"), ("x-a", "1"), ("x-a", "2"), ("x-b", "1"), ("content-type", "a/b")]);
    merge(&mut kept, &headers(&[("content-length", "0"), ("x-a", "3"), ("x-c", "4"), ("content-type", "c/d")]));
    let all: Vec<(&str, &str)> = kept.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [("content-length", "3"), ("content-type", "a/b"), ("x-a", "3"), ("x-b", "1"), ("x-c", "4")]);
}
