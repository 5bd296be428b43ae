//! What is read out of a batch, and how answers are told.

use super::asked::{Asked, read};
use super::part::Answered;
use super::told;
use crate::exchange::Room;
use crate::value::json::Json;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;

fn one(written: &str) -> Asked {
    read(format!("{{\"requests\":[{written}]}}").as_bytes(), 1).unwrap().remove(0)
}

#[test]
fn a_request_is_read_with_its_body_in_three_ways() {
    for (written, kind, body) in [
        (r#""body":{"a":1.50}"#, "application/json", r#"{"a":1.50}"#),
        (
            r#""text":"a=1","headers":{"Content-Type":"application/x-www-form-urlencoded"}"#,
            "application/x-www-form-urlencoded",
            "a=1",
        ),
        (r#""base64":"AAE=""#, "application/octet-stream", "\0\u{1}"),
    ] {
        let asked = one(&format!(r#"{{"id":"x","method":"PUT","path":"/a?b=c",{written}}}"#));
        let request = asked.request.unwrap();
        assert_eq!(asked.id, Some(Json::text("x")));
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/a?b=c"));
        assert_eq!(request.fields.get(header::CONTENT_TYPE).unwrap(), kind);
        assert_eq!(request.body.unwrap(), body.as_bytes());
    }
    let bare = one(r#"{"path":"/"}"#).request.unwrap();
    assert_eq!((bare.method.as_str(), bare.body, bare.fields.len()), ("GET", None, 0));
}

#[test]
fn what_is_wrong_with_one_request_is_told_for_that_one() {
    for (written, why) in [
        ("1", "it is no object"),
        ("{}", "it has no `path`"),
        (r#"{"path":"orders"}"#, "`path` is no path"),
        (r#"{"path":"http://elsewhere/"}"#, "`path` is no path"),
        (r#"{"path":"/a#b"}"#, "`path` is no path"),
        (r#"{"path":"/a b"}"#, "`path` is no path"),
        (r#"{"path":"/ HTTP/1.1\r\nX: y"}"#, "`path` is no path"),
        (r#"{"path":1}"#, "`path` is a string"),
        (r#"{"path":"/","method":"G T"}"#, "`method` is none"),
        (r#"{"path":"/","method":"CONNECT"}"#, "`method` is none"),
        (r#"{"path":"/","headers":{"X":"a\r\nY: b"}}"#, "`X` is no header field"),
        (r#"{"path":"/","headers":{"X Y":"a"}}"#, "`X Y` is no header field"),
        (r#"{"path":"/","headers":{"X":{}}}"#, "`X` is no header field"),
        (r#"{"path":"/","headers":[]}"#, "`headers` is an object"),
        (r#"{"path":"/","body":1,"text":"x"}"#, "more than one"),
        (r#"{"path":"/","base64":"!"}"#, "`base64` is none"),
        (r#"{"path":"/","id":[]}"#, "`id` is a string or a number"),
        (r#"{"path":"/","url":"/x"}"#, "`url` is no member"),
    ] {
        let refused = one(written).request.unwrap_err();
        assert!(refused.detail.contains(why), "{written}: {}", refused.detail);
    }
}

#[test]
fn what_tells_of_origin_or_frames_a_request_is_not_its_own_to_say() {
    let fields = r#"{"Host":"a","Content-Length":"9","Transfer-Encoding":"chunked","Connection":"X-Hop","X-Hop":"1",
        "X-Forwarded-For":"1.2.3.4","X_Forwarded_For":"1.2.3.4","Forwarded":"for=1.2.3.4","X-Real-IP":"1.2.3.4",
        "Client-Cert":":AA=:","X-Request-Id":"mine","traceparent":"00-1","Origin":"https://a","Sec-Fetch-Site":"same-origin",
        "Accept-Encoding":"gzip","Upgrade":"websocket","TE":"trailers","Expect":"100-continue","X-Mine":["a","b"]}"#;
    let request = one(&format!(r#"{{"path":"/","headers":{fields}}}"#)).request.unwrap();
    let left: Vec<&str> = request.fields.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(left, ["x-mine"]);
    assert_eq!(request.fields.get_all("x-mine").iter().count(), 2);
}

#[test]
fn what_is_no_batch_is_refused_whole() {
    for written in
        ["", "[]", "{}", r#"{"requests":{}}"#, r#"{"requests":[],"more":1}"#, r#"{"requests":[],"requests":[]}"#]
    {
        assert_eq!(read(written.as_bytes(), 1).err().unwrap().reason.slug(), "bad-body", "{written}");
    }
    let two = br#"{"requests":[{"path":"/"},{"path":"/"}]}"#;
    assert_eq!(read(two, 1).err().unwrap().reason.slug(), "body-too-large");
    assert_eq!(read(two, 2).unwrap().len(), 2);
}

#[test]
fn bodies_are_told_as_what_they_are() {
    let answered = |kind: &'static str, body: &'static [u8]| {
        let mut fields = HeaderMap::new();
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        let held = Arc::new(Room::default()).hold();
        Answered { status: StatusCode::OK, fields, body: Bytes::from_static(body), _held: held }
    };
    let mut out = told::begin();
    told::write(
        &mut out,
        Some(&Json::Number("7".into())),
        &answered("application/json", b" {\"big\":18446744073709551616} \n"),
    );
    told::write(&mut out, None, &answered("application/json", b"{\"a\":1,\"a\":2}"));
    told::write(&mut out, None, &answered("image/png", b"\xff\0"));
    let mut twice = answered("text/plain", b"");
    twice.fields.append(header::SET_COOKIE, HeaderValue::from_static("a=1"));
    twice.fields.append(header::SET_COOKIE, HeaderValue::from_static("b=2"));
    told::write(&mut out, None, &twice);
    let expected = concat!(
        r#"{"responses":[{"id":7,"status":200,"headers":{"content-type":"application/json"},"body":{"big":18446744073709551616}},"#,
        r#"{"status":200,"headers":{"content-type":"application/json"},"text":"{\"a\":1,\"a\":2}"},"#,
        r#"{"status":200,"headers":{"content-type":"image/png"},"base64":"/wA="},"#,
        r#"{"status":200,"headers":{"content-type":"text/plain","set-cookie":["a=1","b=2"]}}]}"#
    );
    assert_eq!(String::from_utf8(told::end(out)).unwrap(), expected);
}
