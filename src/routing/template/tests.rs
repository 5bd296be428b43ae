//! What templates are read and refused, and that a value never changes the shape of what it is put into.

use proptest::prelude::*;

use super::*;
use crate::routing::support::{Request, rule};
use crate::routing::{Found, Router};

fn expand(pattern: &str, template: &str, path: &str) -> Result<String, BadPath> {
    let rule = rule("", pattern, &[]);
    let template = Template::parse(template, &rule.path).unwrap_or_else(|error| panic!("{template}: {error}"));
    let router = Router::build(vec![rule]).unwrap();
    let request = Request::new(&format!("GET h{path}"), &[]);
    let mut captures = Captures::new();
    assert_eq!(router.find(&request.target(), &mut captures), Found::Route(0), "{pattern} on {path}");
    let mut out = String::new();
    template.expand(path, &captures, &mut out).map(|()| out)
}

#[test]
fn puts_captures_into_paths_and_urls() {
    for (pattern, template, path, expected) in [
        ("/v1/{id}", "/v2/{id}", "/v1/7", "/v2/7"),
        ("/a/{x}/{y}", "/{y}/{x}/{y}", "/a/1/2", "/2/1/2"),
        ("/a/{x}", "/fixed", "/a/1", "/fixed"),
        ("/a/{x}", "/v{x}.json", "/a/1", "/v1.json"),
        ("/old/**", "/new/{**}", "/old/a/b/", "/new/a/b/"),
        ("/old/**", "/new/{**}", "/old/", "/new/"),
        ("/old/**", "/new/{**}", "/old", "/new"),
        ("/old/**", "/{**}", "/old", "/"),
        ("/**", "/new/{**}", "/", "/new/"),
        ("/**", "/new/{**}", "/a", "/new/a"),
        ("/old/**", "https://new.example/{**}", "/old/a", "https://new.example/a"),
        ("/old/**", "https://new.example", "/old/a", "https://new.example/"),
        ("/a/{x}", "/b?x={x}&y=1", "/a/q", "/b?x=q&y=1"),
        ("/a/{x}", "/b/{x}", "/a/%C3%A9%20", "/b/%C3%A9%20"),
        ("~/(?<a>[a-z]+)-(?<b>[0-9]+)", "/{b}/{a}", "/x-7", "/7/x"),
    ] {
        assert_eq!(expand(pattern, template, path).as_deref(), Ok(expected), "{pattern} → {template} on {path}");
    }
}

#[test]
fn a_value_in_the_query_adds_no_parameter() {
    assert_eq!(expand("/a/{x}", "/b?x={x}", "/a/1&admin=1;+%26").unwrap(), "/b?x=1%26admin%3D1%3B%2B%26");
    assert_eq!(expand("/a/**", "/b?x={**}", "/a/1/2=").unwrap(), "/b?x=1%2F2%3D");
}

#[test]
fn what_a_regular_expression_cuts_out_makes_no_other_host_and_no_dot_segment() {
    assert_eq!(expand("~/go(?<x>.*)", "/{x}", "/go/evil.example").unwrap(), "/evil.example");
    assert_eq!(expand("~/a(?<x>.*)", "/b/{x}", "/a./c").unwrap(), "/b/c");
    assert_eq!(expand("~/a(?<x>.*)", "/b/{x}", "/a../c").unwrap(), "/c");
    assert_eq!(expand("~/a(?<x>.*)", "/{x}", "/a../c"), Err(BadPath::AboveRoot));
    assert_eq!(expand("~/a(?<x>.*)", "/.{x}", "/a;/c"), Err(BadPath::HiddenDots));
}

#[test]
fn refuses_templates_at_the_place_to_blame() {
    for (template, offset, said) in [
        ("", 0, "belongs here"),
        ("new", 0, "belongs here"),
        ("//evil/{id}", 1, "another host"),
        ("ftp://h/", 0, "neither"),
        ("https://{id}.example/", 8, "host"),
        ("https:///a", 8, "empty"),
        ("https://u@h/a", 8, "user information"),
        ("/{ident}", 2, "it has `{id}`, `{**}`"),
        ("/a/{id", 3, "without `}`"),
        ("/a}", 2, "without `{`"),
        ("/a b", 2, "percent-encoded"),
        ("/é", 1, "percent-encoded"),
        ("/a\\b", 2, "percent-encoded"),
        ("/a%zz", 2, "write `%25`"),
        ("/{id}/%4", 6, "write `%25`"),
        ("/a#b", 2, "fragment"),
        ("/a\r\nX: y", 2, "percent-encoded"),
        ("/a?x={no}", 6, "captures no `no`"),
        ("https://h/a?x={no}", 15, "captures no `no`"),
    ] {
        let pattern = PathPattern::parse("/a/{id}/**").unwrap();
        let error = Template::parse(template, &pattern).expect_err(template);
        assert_eq!(error.offset, offset, "{template}: {error}");
        assert!(error.to_string().contains(said), "{template}: {error}");
    }
    let bare = PathPattern::parse("/a/*").unwrap();
    let error = Template::parse("/{x}", &bare).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("`/a/*` has no captures"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_changes_the_shape_of_a_url(
        raw in "/a/([a.;&=+:@%/]|%2[eEfF]|%5c|%0[aAdD]|%3[fF]|%23|%C3%A9|//|\\.\\.){0,12}",
        pattern in prop::sample::select(vec!["/a/**", "/a/{x}/**", "/a/{x}/{y}", "~/a(?<x>.*)", "~/a/?(?<x>.)(?<y>.*)"]),
        template in prop::sample::select(vec!["/n/{1}", "/{1}", "/.{1}", "/n/{1}{2}", "https://h/{2}/{1}", "/n?a={1}&b=2"]),
    ) {
        let rule = rule("", pattern, &[]);
        let name = |at: usize| format!("{{{}}}", rule.path.captures().get(at).or(rule.path.captures().first()).unwrap());
        let template = template.replace("{1}", &name(0)).replace("{2}", &name(1));
        let template = Template::parse(&template, &rule.path).unwrap();
        let Ok(path) = normalise(&raw) else { return Ok(()) };
        let router = Router::build(vec![rule]).unwrap();
        let request = Request::new(&format!("GET h{}", path.as_str()), &[]);
        let mut captures = Captures::new();
        if router.find(&request.target(), &mut captures) != Found::Route(0) {
            return Ok(());
        }
        let mut out = String::new();
        if template.expand(path.as_str(), &captures, &mut out).is_ok() {
            let local = out.strip_prefix("https://h").unwrap_or(&out);
            let (local, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
            prop_assert_eq!(normalise(local).map(|path| path.as_str().to_owned()), Ok(local.to_owned()));
            prop_assert_eq!(query.is_some(), template.has_query());
            prop_assert!(query.is_none_or(|query| query.matches(['&', '=', ';', '+']).count() == 3));
            prop_assert!(out.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#'));
        }
    }
}

#[test]
fn other_names_are_encoded_for_where_they_stand() {
    let pattern = PathPattern::parse("/a/{id}").unwrap();
    let mut names = Vec::new();
    let parsed = Template::parse_with("https://b.example/x/{one}/{id}?q={two}&r={one}", &pattern, &mut |name, at| {
        names.push((name.to_owned(), at));
        Some(names.len() - 1)
    });
    assert_eq!(names, [("one".to_owned(), 21), ("two".to_owned(), 34), ("one".to_owned(), 42)]);
    let template = parsed.unwrap();
    let expand = |one: Option<&str>, two: Option<&str>| {
        let (mut captures, mut out) = (Captures::new(), String::new());
        captures.push(3, 4);
        let mut others = |number| if number == 1 { two } else { one }.map(str::to_owned);
        template.expand_with("/a/7", &captures, &mut others, &mut out).map(|()| out)
    };
    assert_eq!(
        expand(Some("a/b?c#d%25 e\r\né"), Some("1&x=2")).as_deref(),
        Ok("https://b.example/x/a%2Fb%3Fc%23d%2525%20e%0D%0A%C3%A9/7?q=1%26x%3D2&r=a%2Fb%3Fc%23d%2525%20e%0D%0A%C3%A9")
    );
    assert_eq!(expand(Some("x"), None).as_deref(), Ok("https://b.example/x/x/7?q=&r=x"));
    for bad in [None, Some(""), Some(".."), Some("."), Some("%2e%2e")] {
        assert!(expand(bad, None).is_err(), "{bad:?}");
    }
}
