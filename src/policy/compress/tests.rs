//! Which answers are compressed, and what becomes of their heads.

use super::*;
use crate::policy::tests::{messages, try_written, with_setup, written};
use crate::request::{Answered, Maker};
use http::HeaderMap;
use std::path::Path;

fn compiled(yaml: &str) -> (Compress, Vec<String>) {
    let config: CompressConfig = written(yaml);
    let (compress, problems, _) = with_setup(Path::new("."), |setup| config.compile(setup));
    (compress, messages(&problems))
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

/// The answer's fields afterwards, and whether its body is changed.
fn answer(accept: &'static str, status: u16, answer: &[(&'static str, &'static str)]) -> (HeaderMap, bool) {
    let (compress, _) = compiled("true");
    let (asked, mut headers) = (fields(&[("accept-encoding", accept)]), fields(answer));
    let request = Answered { method: "GET", headers: &asked };
    let mut view = ResponseView { request, status, maker: Maker::Upstream, headers: &mut headers };
    let work = compress.on_response_body(&mut RequestCx::at(0), &mut view).unwrap();
    (headers, !matches!(work, BodyWork::Leave))
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn the_head_says_what_became_of_the_body() {
    let (headers, changed) = answer("gzip", 200, &[JSON, ("content-length", "5000"), ("etag", "\"v\"")]);
    assert!(changed);
    assert_eq!(headers.get("content-encoding").unwrap(), "gzip");
    assert_eq!(headers.get("vary").unwrap(), "Accept-Encoding");
    assert_eq!(headers.get("etag").unwrap(), "W/\"v\"");
    assert!(!headers.contains_key("content-length"));
}

#[test]
fn what_is_left_alone_says_nothing_of_it() {
    for (status, headers) in [
        (204, &[JSON][..]),
        (200, &[JSON, ("content-encoding", "br")]),
        (200, &[JSON, ("content-encoding", "gzip, br")]),
        (200, &[JSON, ("cache-control", "public, No-Transform")]),
        (200, &[JSON, ("content-length", "0")]),
        (200, &[("content-type", "image/png")]),
        (200, &[("content-type", "application/grpc+proto")]),
        (200, &[("content-type", "text/event-stream")]),
        (200, &[]),
    ] {
        assert_eq!(answer("gzip", status, headers), (fields(headers), false), "{status} {headers:?}");
    }
}

#[test]
fn a_part_is_left_as_it_is_and_says_that_the_whole_depends_on_the_client() {
    let (headers, changed) = answer("gzip", 206, &[JSON, ("content-range", "bytes 0-9/10"), ("etag", "\"v\"")]);
    assert!(!changed && !headers.contains_key("content-encoding"));
    assert_eq!(headers.get("vary").unwrap(), "Accept-Encoding");
    assert_eq!(headers.get("etag").unwrap(), "\"v\"");
}

#[test]
fn caches_learn_that_it_depends_on_the_client_even_where_it_was_not_changed() {
    for (accept, length) in [("identity", "5000"), ("gzip", "100"), ("gzip;q=0", "5000")] {
        let (headers, changed) = answer(accept, 200, &[JSON, ("content-length", length), ("etag", "\"v\"")]);
        assert!(!changed, "{accept}");
        assert_eq!(headers.get("vary").unwrap(), "Accept-Encoding");
        assert_eq!(headers.get("etag").unwrap(), "\"v\"");
    }
    for known in ["*", "Origin, accept-encoding"] {
        let (headers, _) = answer("gzip", 200, &[JSON, ("vary", known)]);
        assert_eq!(headers.get_all("vary").iter().collect::<Vec<_>>(), [known]);
    }
}

#[test]
fn who_cannot_take_it_plain_gets_even_short_bodies_compressed() {
    let (headers, changed) = answer("gzip, identity;q=0", 200, &[JSON, ("content-length", "10")]);
    assert!(changed);
    assert_eq!(headers.get("content-encoding").unwrap(), "gzip");
}

#[test]
fn not_modified_has_the_tag_of_what_is_not_sent() {
    let (headers, changed) = answer("gzip", 304, &[("etag", "\"v\"")]);
    assert!(!changed);
    assert_eq!(headers.get("etag").unwrap(), "W/\"v\"");
    assert!(!headers.contains_key("content-encoding"));
}

#[test]
fn everything_that_is_wrong_is_said() {
    let (_, problems) =
        compiled("{ codings: [gzip, gzip], types: [json], level: { gzip: 0, br: 12, zstd: 20 }, min_size: 1KiB }");
    assert_eq!(
        problems,
        [
            "`gzip` stands twice",
            "a level of gzip is from 1 to 9",
            "a level of br is from 0 to 11",
            "a level of zstd is from 1 to 19",
            "`json` is no media type\nwrite one such as `application/json`, `text/*` or `*+json`",
        ]
    );
    assert!(try_written::<CompressConfig>("yes").is_err());
    assert!(try_written::<CompressConfig>("{ codings: [deflate] }").is_err());
    assert!(try_written::<CompressConfig>("{ speed: 1 }").is_err());
}
