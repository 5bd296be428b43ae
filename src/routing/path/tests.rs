//! The normal form of paths: what is rewritten, what is refused, and that no spelling gets past it.

use proptest::prelude::*;

use super::*;

fn normal(raw: &str) -> Result<String, BadPath> {
    normalise(raw).map(|path| path.as_str().to_owned())
}

#[test]
fn brings_paths_into_one_spelling() {
    for (raw, expected) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/%61%2D%2e%5F%7e", "/a-._~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a/./b", "/a/b"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/b/../c", "/a/c"),
        ("/a/%2e%2E/c", "/c"),
        ("/a/.%2e/c", "/c"),
        ("/a/%2e/c", "/a/c"),
        ("//", "/"),
        ("//a///b//", "/a/b/"),
        ("/a//../b", "/b"),
        ("/./", "/"),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/a..b/.c", "/a..b/.c"),
        ("/%252e%252ea/%2561", "/%252e%252ea/%2561"),
        ("/a;v=1/b;", "/a;v=1/b;"),
        ("/a%3bb", "/a%3Bb"),
        ("/a|b\"c", "/a%7Cb%22c"),
        ("/{id}[0]^`<>", "/%7Bid%7D%5B0%5D%5E%60%3C%3E"),
        ("/!$&'()*+,=:@", "/!$&'()*+,=:@"),
        ("/%40%3a", "/%40%3A"),
        ("/a%20b", "/a%20b"),
        ("/%e0%a4%85", "/%E0%A4%85"),
    ] {
        assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn refuses_what_has_no_normal_form() {
    for (raw, reason) in [
        ("", BadPath::NotAbsolute),
        ("a", BadPath::NotAbsolute),
        ("*", BadPath::NotAbsolute),
        ("%2Fa", BadPath::NotAbsolute),
        ("/..", BadPath::AboveRoot),
        ("/a/../..", BadPath::AboveRoot),
        ("/%2e%2e/a", BadPath::AboveRoot),
        ("//..", BadPath::AboveRoot),
        ("/%", BadPath::Escape),
        ("/%4", BadPath::Escape),
        ("/%zz", BadPath::Escape),
        ("/%u002e", BadPath::Escape),
        ("/%+1", BadPath::Escape),
        ("/% 1", BadPath::Escape),
        ("/%%32e", BadPath::Escape),
        ("/%2/", BadPath::Escape),
        ("/%00", BadPath::Nul),
        ("/a%00.json", BadPath::Nul),
        ("/a\0", BadPath::Character),
        ("/a b", BadPath::Character),
        ("/a\tb", BadPath::Character),
        ("/a\r\nb", BadPath::Character),
        ("/a\u{7f}", BadPath::Character),
        ("/a\\b", BadPath::Character),
        ("/é", BadPath::Character),
        ("/a?b", BadPath::Character),
        ("/a#b", BadPath::Character),
        ("/a/..;/b", BadPath::HiddenDots),
        ("/a/.;x/b", BadPath::HiddenDots),
        ("/a/..%3b/b", BadPath::HiddenDots),
        ("/a/%2e%2e;x=1/b", BadPath::HiddenDots),
        ("/a/..%2fb", BadPath::HiddenDots),
        ("/a/b%2f..", BadPath::HiddenDots),
        ("/a/b%5c..%5cc", BadPath::HiddenDots),
        ("/a/b%2f.;x%2fc", BadPath::HiddenDots),
        ("/a/;x/b", BadPath::HiddenDots),
        ("/a/%252e%252E/b", BadPath::HiddenDots),
        ("/a/%25252e/b", BadPath::HiddenDots),
        ("/a/.%252e/b", BadPath::HiddenDots),
        ("/a/%25%32%65/b", BadPath::HiddenDots),
        ("/a/b%252f..%252Fc", BadPath::HiddenDots),
        ("/a/..%253bx/b", BadPath::HiddenDots),
        ("/a/b%255c%252e%252e%255cc", BadPath::HiddenDots),
        ("/;", BadPath::HiddenDots),
        ("/%c0%ae%c0%ae/a", BadPath::Overlong),
        ("/%C0%AF", BadPath::Overlong),
        ("/%e0%80%ae", BadPath::Overlong),
        ("/%f0%80%80%ae", BadPath::Overlong),
    ] {
        assert_eq!(normal(raw), Err(reason), "{raw:?}");
    }
}

#[test]
fn tells_an_escaped_slash_or_backslash() {
    for (raw, encoded) in [("/a%2fb", true), ("/a%2Fb", true), ("/a%5cb", true), ("/a%252Fb", false), ("/a/b", false)] {
        assert_eq!(normalise(raw).unwrap().has_encoded_slash(), encoded, "{raw}");
    }
}

#[test]
fn borrows_what_is_in_normal_form_already() {
    for raw in ["/a/b.c/", "/.well-known/x", "/%C3%A9", "/a%2Fb", "/a;b", "/%E0%A4%85", "/..."] {
        assert!(matches!(normalise(raw).unwrap().into_text(), Cow::Borrowed(_)), "{raw}");
    }
}

/// Spellings of `/admin/keys` and of ways into it that servers have fallen for.
const SPELLINGS: [&str; 78] = [
    "/admin/keys",
    "//admin/keys",
    "/admin//keys",
    "///admin///keys",
    "/./admin/keys",
    "/admin/./keys",
    "/.//admin/keys",
    "/x/../admin/keys",
    "/x/y/../../admin/keys",
    "/admin/x/../keys",
    "/x//../admin/keys",
    "/%61dmin/keys",
    "/adm%69n/keys",
    "/%61%64%6D%69%6E/%6b%65%79%73",
    "/%2e/admin/keys",
    "/x/%2e%2e/admin/keys",
    "/x/%2E%2E/admin/keys",
    "/x/.%2e/admin/keys",
    "/x/%2e./admin/keys",
    "/admin/%2e/keys",
    "/admin/x/%2e%2e/keys",
    "/admin%/keys",
    "/admin%2/keys",
    "/%u0061dmin/keys",
    "/admin%00/keys",
    "/admin/keys%00",
    "/admin/keys%00.png",
    "\\admin\\keys",
    "/admin\\keys",
    "/x\\..\\admin\\keys",
    "/\\admin/keys",
    "/../admin/keys",
    "/../../admin/keys",
    "/%2e%2e/admin/keys",
    "/..;/admin/keys",
    "/x/..;/admin/keys",
    "/x/..;a=b/admin/keys",
    "/x/..%3b/admin/keys",
    "/x/%2e%2e;/admin/keys",
    "/x/%2e%2e%3B/admin/keys",
    "/.;/admin/keys",
    "/.;x/admin/keys",
    "/;/admin/keys",
    "/;x=1/admin/keys",
    "/%3B/admin/keys",
    "/admin/;/keys",
    "/admin/.;/keys",
    "/x/..%2fadmin/keys",
    "/x/..%2Fadmin%2Fkeys",
    "/x%2f..%2fadmin/keys",
    "/x%2F%2e%2e%2Fadmin/keys",
    "/x/..%5cadmin/keys",
    "/x%5C..%5Cadmin%5Ckeys",
    "/x/%2e%2e%2fadmin/keys",
    "/x/..%2f..;/admin/keys",
    "/%2e%2fadmin/keys",
    "/.%2fadmin/keys",
    "/.%5cadmin/keys",
    "/x/%c0%ae%c0%ae/admin/keys",
    "/x/%c0%2e/../admin\u{2215}keys",
    "/%c0%afadmin/keys",
    "/admin%c0%afkeys",
    "/admin%e0%80%afkeys",
    "/admin%f0%80%80%afkeys",
    "/%c1%a1dmin/keys",
    "/admin\tkeys",
    "/admin /keys",
    "/ admin/keys",
    "/admin/keys ",
    "/admin/\u{1}keys",
    "/admin\u{7f}/keys",
    "/\u{ff41}dmin/keys",
    "/\u{ff0e}\u{ff0e}/admin/keys",
    "/admin/keys#x",
    "/x#/../admin/keys",
    "admin/keys",
    "http://h/admin/keys",
    "./admin/keys",
];

#[test]
fn every_spelling_of_a_protected_path_is_that_path_or_refused() {
    let mut refused = 0;
    for spelling in SPELLINGS {
        match normal(spelling) {
            Ok(path) => assert_eq!(path, "/admin/keys", "{spelling:?}"),
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused, 57, "as many as are not well-formed spellings of the path");
}

#[test]
fn what_is_encoded_twice_is_decoded_once_at_most() {
    for raw in ["/%252e%252ex/admin", "/%25%32%65x", "/admin%252Fkeys", "/%2561dmin", "/%255c"] {
        let once = normal(raw).unwrap();
        assert!(once.contains("%25"), "{raw} became {once}");
        assert_eq!(normal(&once).as_deref(), Ok(&*once));
    }
}

#[test]
fn a_literal_key_decodes_what_may_stand_raw_in_a_segment() {
    assert_eq!(literal_key("%40me"), "@me");
    assert_eq!(literal_key("a%3Bb%3A%21"), "a;b:!");
    assert_eq!(literal_key("%2F%5C%25%20%C3%A9%7B"), "%2F%5C%25%20%C3%A9%7B");
    assert_eq!(literal_key("%2540"), "%2540");
    assert!(matches!(literal_key("abc"), Cow::Borrowed(_)));
}

#[test]
fn a_lenient_key_is_what_the_most_forgiving_service_reads() {
    for (segment, key) in [
        ("secret;x=1", "secret"),
        ("secret;", "secret"),
        ("%2573ecret", "secret"),
        ("%25252573ecret", "secret"),
        ("secret%253bx", "secret"),
        ("secret%3Bx", "secret"),
        ("a%252Fb", "a%2Fb"),
        ("%25", "%"),
        (";x", ""),
    ] {
        assert_eq!(lenient_key(&literal_key(segment)).as_deref(), Some(key), "{segment}");
    }
    for segment in ["secret", "%2Fa", "", "%40"] {
        assert_eq!(lenient_key(&literal_key(segment)), None, "{segment}");
    }
}

#[test]
fn takes_off_leading_segments() {
    assert_eq!(after_segments("/v1/a/b", 1), "/a/b");
    assert_eq!(after_segments("/v1/a/b", 0), "/v1/a/b");
    assert_eq!(after_segments("/v1/", 1), "/");
    assert_eq!(after_segments("/v1", 1), "/");
    assert_eq!(after_segments("/v1", 7), "/");
}

/// Paths made of what makes trouble.
fn paths() -> impl Strategy<Value = String> {
    let pieces = [
        "/", "//", ".", "..", "%2e", "%2E", "%2f", "%5C", ";", "%3b", "a", "B", "~", "%61", "%7e", "%25", "%252e",
        "%c3%a9", "%C0%AE", "%e0", "%80", "|", "{", "%00", "%", "%4", "@", "%40", "\\", " ", "é", "?", "*",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_normal_form_of_a_normal_form_is_itself(raw in prop_oneof![paths(), "/\\PC{0,20}", ".{0,20}"]) {
        if let Ok(path) = normalise(&raw) {
            let again = normalise(path.as_str()).map(|path| (path.as_str().to_owned(), path.has_encoded_slash()));
            prop_assert_eq!(again, Ok((path.as_str().to_owned(), path.has_encoded_slash())));
        }
    }

    #[test]
    fn a_normal_form_holds_nothing_that_two_servers_read_differently(raw in paths()) {
        if let Ok(path) = normalise(&raw) {
            let text = path.as_str();
            prop_assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
            let allowed = |byte| matches!(class(byte), Class::Plain | Class::Dot | Class::Slash) || byte == b'%';
            prop_assert!(text.bytes().all(allowed), "{} holds an illegal character", text);
            for part in text.split('/').flat_map(|part| part.split("%2F")).flat_map(|part| part.split("%5C")) {
                let name = part.replace("%3B", ";").split(';').next().map(str::to_owned);
                prop_assert!(!matches!(name.as_deref(), Some("." | "..")), "{} holds a dot segment", text);
            }
        }
    }

    #[test]
    fn the_quick_look_agrees_with_the_thorough_one(raw in paths()) {
        if is_simple(raw.as_bytes()) || is_plainly_normal(raw.as_bytes()) {
            prop_assert_eq!(rewrite(&raw), Ok(raw));
        }
    }
}
