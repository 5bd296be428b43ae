//! What patterns are read, refused and how they are ordered.

use super::*;

fn parse(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn captures(text: &str) -> Vec<String> {
    parse(text).captures().iter().map(|name| name.to_string()).collect()
}

#[test]
fn reads_every_kind_of_segment() {
    let Shape::Segments { segments, rest } = parse("/a/*/{b}/{c:[0-9]{2}}/**").shape else { panic!("segments") };
    assert!(rest);
    assert_eq!(
        *segments,
        [
            Segment::Literal("a".into()),
            Segment::Star,
            Segment::Capture,
            Segment::Constrained(Expression::parse("[0-9]{2}").unwrap()),
        ]
    );
    assert_eq!(captures("/a/*/{b}/{c:[0-9]{2}}/**"), ["b", "c", "**"]);
}

#[test]
fn an_expression_may_hold_slashes_braces_and_colons() {
    for text in ["/{a:[^/]+}", r"/{a:\{x\}}", r"/{a:x\}}", "/{a:(?:x|y){1,2}}/b", "/{a-b_c:x:y}", r"/{a:\\}"] {
        assert_eq!(parse(text).captures().len(), 1, "{text}");
    }
    assert_eq!(captures("~/(?<a>x)/(y)/(?P<b>[0-9]+)"), ["a", "b"]);
}

#[test]
fn a_trailing_slash_is_a_segment_of_its_own() {
    assert_ne!(parse("/a").shape, parse("/a/").shape);
    assert_eq!(parse("/").segment_count(), Some(1));
    assert_eq!(parse("/**").segment_count(), Some(0));
    assert_eq!(parse("/a/").segment_count(), Some(2));
    assert_eq!(parse("~/a").segment_count(), None);
}

#[test]
fn literals_are_compared_with_reserved_characters_decoded() {
    assert_eq!(parse("/@me").shape, parse("/%40me").shape);
    assert_eq!(parse("/a:b;c").shape, parse("/a%3Ab%3Bc").shape);
    assert_ne!(parse("/a%2Fb").shape, parse("/a/b").shape);
    assert_ne!(parse("/%2540").shape, parse("/%40").shape);
}

#[test]
fn refuses_patterns_at_the_place_to_blame() {
    for (text, offset, said) in [
        ("", 0, "begins with `/`"),
        ("a", 0, "write `/a`"),
        ("/a//b", 3, "write one `/`"),
        ("//", 1, "write one `/`"),
        ("/a/./b", 3, "without"),
        ("/a/../b", 3, "without"),
        ("/a/%2e", 3, "without"),
        ("/%61", 1, "write `a`"),
        ("/x/%c3", 3, "write `%C3`"),
        ("/café", 1, "write `caf%C3%A9`"),
        ("/a b", 1, "write `a%20b`"),
        ("/a\\b", 1, "write `a%5Cb`"),
        ("/a|b", 1, "write `a%7Cb`"),
        ("/a%", 2, "write `%25`"),
        ("/a%2", 2, "write `%25`"),
        ("/a%00", 1, "NUL"),
        ("/..;x", 1, "refused"),
        ("/a/;x", 3, "refused"),
        ("/**/a", 1, "stands last"),
        ("/a**", 2, "whole segment"),
        ("/***", 1, "whole segment"),
        ("/a*", 2, "%2A"),
        ("/v{x}.json", 2, "whole segment"),
        ("/{x}y", 1, "whole segment"),
        ("/{a}{b}", 1, "whole segment"),
        ("/{a", 1, "without `}`"),
        ("/a}", 2, "without `{`"),
        ("/{}", 2, "needs a name"),
        ("/{:x}", 2, "needs a name"),
        ("/{*x}", 2, "write `**`"),
        ("/{a b}", 3, "letters"),
        ("/{1}", 2, "begins with a letter"),
        ("/{a:}", 3, "missing"),
        ("/{a:(}", 4, "not a regular expression"),
        ("/{a}/{a}", 6, "twice"),
        ("/:id", 1, "write `{id}`"),
        ("/a?b", 2, "match: query"),
        ("/a#b", 2, "path only"),
        ("~(", 1, "not a regular expression"),
        ("~(?<a>x)(?<a>y)", 1, "duplicate"),
    ] {
        let error = PathPattern::parse(text).expect_err(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
        assert!(error.to_string().contains(said), "{text}: {error}");
    }
    let deep = "/a".repeat(65);
    assert_eq!(PathPattern::parse(&deep).map_err(|error| error.offset), Err(129));
    assert!(PathPattern::parse(&deep[2..]).is_ok());
}

#[test]
fn a_pattern_stands_below_a_base() {
    let below = |text: &str, base: &str| parse(text).below(&parse(base)).map(|joined| joined.to_string());
    assert_eq!(below("/products", "/v1").unwrap(), "/v1/products");
    assert_eq!(below("/**", "/v1").unwrap(), "/v1/**");
    assert_eq!(below("/{id}", "/{tenant}").unwrap(), "/{tenant}/{id}");
    assert_eq!(below("/{a}", "/{a}").unwrap_err().message, "the route captures `a` too");
    for (text, base) in [("/a", "/"), ("/a", "/v1/"), ("/a", "/v1/**"), ("/a", "~/v1"), ("~/a", "/v1")] {
        assert!(below(text, base).is_err(), "{text} below {base}");
    }
}

#[test]
fn orders_patterns_segment_by_segment_from_the_left() {
    let order = [
        "/a/b/{x}",
        "/a/b/**",
        "/a/{x:b+}/c",
        "/a/{x:b}/c",
        "/a/{x}/c",
        "/a/{x}/**",
        "/a/*/c",
        "/a/*",
        "/a/**",
        "/{x}/b",
        "/*/b",
        "/**",
        "~/a/.*",
        "~/a/b",
        "~/a/c",
    ];
    for (at, one) in order.iter().enumerate() {
        for (beside, two) in order.iter().enumerate() {
            assert_eq!(parse(one).precedence(&parse(two)), at.cmp(&beside), "{one} / {two}");
        }
    }
}
