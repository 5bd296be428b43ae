//! What two answers to one request differ in: statuses, names of fields, places in JSON. Never a value.

use crate::exchange::content::{is_json, media_type, unpacked};
use crate::request::{X_REQUEST_ID, remove_hop_by_hop};
use crate::value::json::{Json, JsonBounds, Pointer};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use std::collections::HashMap;

/// Fields that say nothing of what was answered: when, over which connection, to whom.
static OF_ONE_ANSWER: [HeaderName; 9] = [
    header::DATE,
    header::AGE,
    header::EXPIRES,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::SET_COOKIE,
    X_REQUEST_ID,
    HeaderName::from_static("server-timing"),
    HeaderName::from_static("traceparent"),
];
/// Differences of one kind that are named.
const MOST_NAMED: usize = 8;
/// Characters of a place in JSON that are shown.
const LONGEST_PLACE: usize = 96;

/// What is compared.
#[derive(Clone, Debug, Default)]
pub struct Compare {
    /// Statuses.
    pub status: bool,
    /// Header fields.
    pub headers: bool,
    /// Bodies, as JSON.
    pub json: bool,
    /// Fields that may differ.
    pub ignored_fields: Box<[HeaderName]>,
    /// Places in JSON that may differ; `*` is any name or number.
    pub ignored_places: Box<[Pointer]>,
}

impl Compare {
    /// Whether anything is compared.
    pub fn is_on(&self) -> bool {
        self.status || self.headers || self.json
    }
}

/// An answer, as far as it is compared.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body; `None` where it is too long or was not read.
    pub body: Option<Bytes>,
}

impl Told {
    /// An answer by its head.
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let mut headers = headers.clone();
        remove_hop_by_hop(&mut headers);
        Self { status, headers, body: None }
    }
}

/// What two answers differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Both statuses.
    pub status: Option<(u16, u16)>,
    /// Names of fields.
    pub headers: Vec<HeaderName>,
    /// Places in JSON, as pointers; one is empty where a body as a whole is no JSON.
    pub json: Vec<String>,
}

impl Differences {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.headers.is_empty() && self.json.is_empty()
    }
}

impl Compare {
    /// What the second answer has otherwise than the first. `most`: bytes of a body when it is unpacked.
    pub fn differences(&self, first: &Told, second: &Told, most: usize) -> Differences {
        let status =
            (self.status && first.status != second.status).then(|| (first.status.as_u16(), second.status.as_u16()));
        let headers = if self.headers { self.fields(&first.headers, &second.headers) } else { Vec::new() };
        let json = if self.json { self.bodies(first, second, most) } else { Vec::new() };
        Differences { status, headers, json }
    }

    fn fields(&self, first: &HeaderMap, second: &HeaderMap) -> Vec<HeaderName> {
        let same = |name: &HeaderName| first.get_all(name).iter().eq(second.get_all(name).iter());
        let names = first.keys().chain(second.keys().filter(|name| !first.contains_key(*name)));
        let counted = names.filter(|name| !OF_ONE_ANSWER.contains(name) && !self.ignored_fields.contains(name));
        counted.filter(|name| !same(name)).take(MOST_NAMED).cloned().collect()
    }

    fn bodies(&self, first: &Told, second: &Told, most: usize) -> Vec<String> {
        let (Some(one), Some(other)) = (&first.body, &second.body) else { return Vec::new() };
        if one == other || ![first, second].iter().any(|answer| is_json(&media_type(&answer.headers))) {
            return Vec::new();
        }
        let read = |body: &Bytes, headers| unpacked(body.clone(), headers, most).ok().and_then(|body| parse(&body));
        let (Some(one), Some(other)) = (read(one, &first.headers), read(other, &second.headers)) else {
            return vec![String::new()];
        };
        let mut walk = Walk { compare: self, place: Vec::new(), found: Vec::new() };
        walk.value(&one, &other);
        walk.found
    }
}

fn parse(body: &[u8]) -> Option<Json> {
    if body.is_empty() { Some(Json::Null) } else { Json::parse(body, JsonBounds::default()).ok() }
}

/// A walk through two trees at once.
struct Walk<'a> {
    compare: &'a Compare,
    place: Vec<String>,
    found: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, one: &Json, other: &Json) {
        if self.found.len() >= MOST_NAMED || self.is_ignored() {
            return;
        }
        match (one, other) {
            (Json::Object(one), Json::Object(other)) => self.members(one, other),
            (Json::Array(one), Json::Array(other)) => {
                for place in 0..one.len().max(other.len()) {
                    self.at(&place.to_string(), one.get(place), other.get(place));
                }
            }
            (Json::Number(one), Json::Number(other)) if same_number(one, other) => {}
            (one, other) if one == other => {}
            _ => self.differs(),
        }
    }

    fn members(&mut self, one: &[(Box<str>, Json)], other: &[(Box<str>, Json)]) {
        let known: HashMap<&str, &Json> = other.iter().map(|(name, value)| (&**name, value)).collect();
        for (name, value) in one {
            self.at(name, Some(value), known.get(&**name).copied());
        }
        let first: HashMap<&str, ()> = one.iter().map(|(name, _)| (&**name, ())).collect();
        for (name, value) in other.iter().filter(|(name, _)| !first.contains_key(&**name)) {
            self.at(name, None, Some(value));
        }
    }

    fn at(&mut self, name: &str, one: Option<&Json>, other: Option<&Json>) {
        if self.found.len() >= MOST_NAMED {
            return;
        }
        self.place.push(name.to_owned());
        match (one, other) {
            (Some(one), Some(other)) => self.value(one, other),
            _ if self.is_ignored() => {}
            _ => self.differs(),
        }
        self.place.pop();
    }

    fn is_ignored(&self) -> bool {
        self.compare.ignored_places.iter().any(|ignored| {
            let steps = ignored.steps();
            steps.len() == self.place.len()
                && steps.iter().zip(&self.place).all(|(token, name)| **token == *"*" || **token == **name)
        })
    }

    /// The place as a JSON Pointer (RFC 6901 §3), cut and without control characters: names are the services' own.
    fn differs(&mut self) {
        let tokens = self.place.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
        let pointer: String = tokens.collect::<String>().escape_debug().take(LONGEST_PLACE).collect();
        self.found.push(pointer);
    }
}

/// Whether two numbers are the same however they are written; long ones only where they are written alike.
fn same_number(one: &str, other: &str) -> bool {
    const EXACT: usize = 15;
    let value = |text: &str| text.parse::<f64>().ok().filter(|_| text.len() <= EXACT);
    one == other || value(one).is_some_and(|one| Some(one) == value(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, fields: &[(&'static str, &'static str)], body: &'static str) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, http::HeaderValue::from_static(value));
        }
        Told { body: Some(body.into()), ..Told::new(StatusCode::from_u16(status).unwrap(), &headers) }
    }

    fn json(one: &'static str, other: &'static str, ignored: &[&str]) -> Vec<String> {
        let places = ignored.iter().map(|place| Pointer::parse(place).unwrap());
        let compare = Compare { json: true, ignored_places: places.collect(), ..Compare::default() };
        let kind = [("content-type", "application/json; charset=utf-8")];
        compare.differences(&told(200, &kind, one), &told(200, &kind, other), 1_000).json
    }

    #[test]
    fn json_is_compared_by_what_it_says() {
        for (one, other, places) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b": [1.0, 2], "a": 1 }"#, &[][..]),
            (r#"{"a":1}"#, r#"{"a":2}"#, &["/a"]),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, &["/a"]),
            (r#"{"a":{"b/c":[1,2]}}"#, r#"{"a":{"b/c":[1,3,4]}}"#, &["/a/b~1c/1", "/a/b~1c/2"]),
            (r#"{"a":1}"#, r#"{"b":1}"#, &["/a", "/b"]),
            ("12345678901234567890", "12345678901234567891", &[""]),
            (r#"{"a":1}"#, "no json", &[""]),
            (r#"{"a":1}"#, "", &[""]),
            ("{\"a\\nb\":1}", "{}", &["/a\\nb"]),
        ] {
            assert_eq!(json(one, other, &[]), places, "{one} {other}");
        }
    }

    #[test]
    fn places_that_may_differ_are_passed_over() {
        let (one, other) = (r#"{"id":1,"items":[{"at":1,"n":1}]}"#, r#"{"id":2,"items":[{"at":2,"n":2}]}"#);
        assert_eq!(json(one, other, &["/id", "/items/*/at"]), ["/items/0/n"]);
        assert!(json(r#"{"a":1,"new":2}"#, r#"{"a":1}"#, &["/new"]).is_empty());
    }

    #[test]
    fn many_differences_are_cut() {
        let object = |value: u32| -> &'static str {
            let members: Vec<String> = (0..50).map(|n| format!("\"{n}\":{value}")).collect();
            Box::leak(format!("{{{}}}", members.join(",")).into_boxed_str())
        };
        assert_eq!(json(object(1), object(2), &[]).len(), MOST_NAMED);
    }

    #[test]
    fn fields_are_compared_but_for_those_of_one_answer() {
        let compare = Compare {
            headers: true,
            status: true,
            ignored_fields: [HeaderName::from_static("x-version")].into(),
            ..Compare::default()
        };
        let one =
            told(200, &[("date", "a"), ("set-cookie", "s=1"), ("x-version", "1"), ("etag", "x"), ("vary", "a")], "");
        let other =
            told(201, &[("date", "b"), ("connection", "close"), ("vary", "a"), ("vary", "b"), ("x-new", "1")], "");
        let found = compare.differences(&one, &other, 0);
        assert_eq!(found.status, Some((200, 201)));
        let names: Vec<&str> = found.headers.iter().map(HeaderName::as_str).collect();
        assert_eq!(names, ["etag", "vary", "x-new"]);
        assert!(compare.differences(&one, &one, 0).is_empty());
    }
}
