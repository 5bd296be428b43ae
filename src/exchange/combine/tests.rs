//! What references mean and are refused, circles, what is taken of answers, and the fields made of several.

use super::fields::united;
use super::*;
use crate::value::json::{Json, JsonBounds, Pointer};
use http::{HeaderMap, header};

fn scope(item: bool) -> Scope<'static> {
    use std::sync::LazyLock;
    static CAPTURES: LazyLock<[Box<str>; 1]> = LazyLock::new(|| ["id".into()]);
    Scope { parts: &["order", "items"], captures: &*CAPTURES, item }
}

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes(), JsonBounds::default()).unwrap()
}

#[test]
fn names_in_braces_mean_parts_captures_and_the_request() {
    let one = |text: &str| Text::parse(text, scope(true)).unwrap().only().unwrap().clone();
    let at = |text: &str| Pointer::parse(text).unwrap();
    assert_eq!(one("{order}"), Reference::Part(0, at("")));
    assert_eq!(one("{order.customer.0}"), Reference::Part(0, at("/customer/0")));
    assert_eq!(one("{items/a~1b}"), Reference::Part(1, at("/a~1b")));
    assert_eq!(one("{id}"), Reference::Capture(0, "id".into()));
    assert_eq!(one("{item.id}"), Reference::Item(at("/id")));
    assert_eq!(one("{query.page}"), Reference::Query("page".into()));
    assert_eq!(one("{header.X-A}"), Reference::Header(http::HeaderName::from_static("x-a")));
    assert_eq!(one("{body}"), Reference::Body(at("")));
    assert_eq!(one("{claim.sub}"), Reference::Claim(at("/sub")));
    assert_eq!(one("{consumer}"), Reference::Consumer);
    let mixed = Text::parse("/a{{b}}/{id}/c", scope(false)).unwrap();
    assert_eq!(mixed.pieces.len(), 3);
    assert_eq!(mixed.pieces.first(), Some(&Piece::Plain("/a{b}/".into())));
}

#[test]
fn refuses_names_that_mean_nothing_at_their_place() {
    for (text, offset, message, hint) in [
        ("/x/{oder.id}", 4, "nothing is called `oder`", "`{order}`"),
        ("{item}", 1, "only where the part has `each`", "each"),
        ("{query}", 1, "names no parameter", "{query.x}"),
        ("{header.a b}", 1, "not the name of a header", ""),
        ("{id.x}", 1, "nothing stands within", "{id}"),
        ("{order..x}", 1, "empty", "{order.id}"),
        ("a{b", 1, "without `}`", "{{"),
        ("a}b", 1, "without `{`", "}}"),
        ("{}", 1, "nothing is called ``", ""),
    ] {
        let bad = Text::parse(text, scope(false)).expect_err(text);
        assert_eq!(bad.offset, offset, "{text}: {bad:?}");
        assert!(bad.message.contains(message) && bad.hint.contains(hint), "{text}: {bad:?}");
    }
}

#[test]
fn a_circle_is_found_and_told_in_order() {
    let part = |at| Reference::Part(at, Pointer::default());
    let graph = |needs: &[&[usize]]| {
        let owned: Vec<Vec<Reference>> = needs.iter().map(|needs| needs.iter().copied().map(part).collect()).collect();
        Graph::build(owned.iter().map(|needs| needs.iter().collect::<Vec<_>>()))
    };
    assert_eq!(graph(&[&[1], &[2], &[0]]), Err(vec![0, 1, 2]));
    assert_eq!(graph(&[&[], &[1]]), Err(vec![1]));
    assert_eq!(graph(&[&[2], &[2], &[3], &[2]]), Err(vec![2, 3]));
    let diamond = graph(&[&[1, 2, 1], &[3], &[3], &[]]).unwrap();
    assert_eq!(diamond.needs(0), [1, 2]);
    assert_eq!((diamond.depth(0), diamond.depth(3)), (2, 0));
}

#[test]
fn takes_of_an_answer_what_is_written() {
    let taking = Taking {
        flatten: false,
        from: Pointer::parse("/data").unwrap(),
        pick: vec!["id".into(), "name".into(), "price".into()],
        drop: vec!["price".into()],
        rename: vec![("name".into(), "title".into()), ("id".into(), "title".into())],
    };
    let taken = taking.take(json(r#"{"data":[{"name":"a","id":1,"price":2.50,"x":0},7],"more":1}"#)).unwrap();
    assert_eq!(taken, json(r#"[{"title":"a","id":1},7]"#));
    assert!(taking.take(json("{}")).is_err());
}

fn fields(parts: &[&[(&str, &str)]], partial: bool) -> Vec<(String, String)> {
    let parts: Vec<HeaderMap> = parts
        .iter()
        .map(|part| {
            part.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
        })
        .collect();
    let made = united(parts.iter(), partial);
    made.into_iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[test]
fn the_answer_is_kept_as_the_least_cacheable_part() {
    let caching = |parts: &[&[(&str, &str)]]| {
        let made = fields(parts, false);
        made.into_iter().find(|(name, _)| name == header::CACHE_CONTROL.as_str()).map(|(_, value)| value)
    };
    let of = |value: &'static str| [("cache-control", value)];
    for (one, two, expected) in [
        ("max-age=60", "public, max-age=30", Some("max-age=30")),
        ("max-age=60", "private, max-age=90", Some("private, max-age=60")),
        ("max-age=60", "no-cache", Some("no-cache")),
        ("no-cache", "no-store, max-age=9", Some("no-store")),
        ("private", "max-age=5", Some("private, max-age=0")),
        ("max-age=60", "s-maxage=9", None),
        ("private, max-age=5", "public", Some("private")),
    ] {
        assert_eq!(caching(&[&of(one), &of(two)]).as_deref(), expected, "{one} with {two}");
    }
    assert_eq!(caching(&[&[("cache-control", "max-age=60"), ("age", "50")]]).as_deref(), Some("max-age=10"));
    assert_eq!(caching(&[]), None);
    assert!(fields(&[&of("max-age=60")], true).contains(&("cache-control".into(), "no-store".into())));
}

#[test]
fn cookies_are_kept_and_vary_is_united() {
    let made = fields(
        &[
            &[("set-cookie", "a=1"), ("vary", "Accept-Language, Accept-Encoding")],
            &[("set-cookie", "b=2"), ("vary", "X-A")],
        ],
        false,
    );
    let expected = [("set-cookie", "a=1"), ("set-cookie", "b=2"), ("vary", "accept-language, x-a")];
    assert_eq!(made, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(fields(&[&[("vary", "a")], &[("vary", "*")]], false), [("vary".to_owned(), "*".to_owned())]);
}
