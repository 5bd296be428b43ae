//! Places, bounds and refusals of texts that are no configuration, and of those that are meant to hurt.

use super::*;
use std::time::{Duration, Instant};

fn tree(text: &str) -> Node {
    let mut problems = Problems::new();
    let document = parse(SourceId(0), text, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    assert!(problems.is_empty(), "{problems:?}");
    document.root
}

fn refusal(text: &str) -> String {
    let mut problems = Problems::new();
    assert!(parse(SourceId(0), text, &mut problems).is_none(), "{text:.80}");
    let problem = problems.into_vec().remove(0);
    let (line, column) = problem.place.map_or((0, 0), |place| (place.line, place.column));
    format!("{line}:{column} {}", problem.message)
}

fn entry<'n>(node: &'n Node, key: &str) -> &'n Entry {
    let Kind::Map(entries, _) = &node.kind else { panic!("no map") };
    entries.iter().find(|entry| entry.key.text == key).unwrap()
}

fn text(node: &Node) -> &str {
    match &node.kind {
        Kind::Scalar(text, _) => text,
        _ => panic!("no scalar"),
    }
}

#[test]
fn keeps_the_place_of_keys_and_values() {
    let root = tree("a: 1\nüber:\n  - { b: \"x y\" }\n");
    let über = entry(&root, "über");
    assert_eq!((über.key.place.line, über.key.place.column, über.key.place.len, über.key.place.offset), (2, 1, 4, 5));
    let Kind::List(elements, _) = &über.value.kind else { panic!("no list") };
    let b = &entry(&elements[0], "b").value;
    assert_eq!((b.place.line, b.place.column, b.place.len), (3, 10, 5));
    assert_eq!(text(b), "x y");
    assert_eq!(b.owner.column, 7);
}

#[test]
fn keeps_text_as_it_is_written() {
    let root = tree("version: 1.20\nkey: 007\n8080: yes\n'true': \"\"\nnone: ~\n");
    assert_eq!(text(&entry(&root, "version").value), "1.20");
    assert_eq!(text(&entry(&root, "key").value), "007");
    assert_eq!(text(&entry(&root, "8080").value), "yes");
    assert_eq!(text(&entry(&root, "true").value), "");
    assert!(matches!(entry(&root, "none").value.kind, Kind::Null));
}

#[test]
fn reads_bom_crlf_and_an_empty_file() {
    assert_eq!(text(&entry(&tree("\u{feff}a: 1\r\nb: 2\r\n"), "b").value), "2");
    for empty in ["", "\n", "# nothing\n", "---\n", "\u{feff}"] {
        assert!(matches!(tree(empty).kind, Kind::Null), "{empty:?}");
    }
}

#[test]
fn repeats_what_aliases_name_and_merges_maps() {
    let root = tree("a: &a { x: 1, y: 2 }\nb: *a\nc: { <<: *a, y: 3 }\nd: { y: 4, <<: [*a, { z: 5 }] }\n");
    assert_eq!(text(&entry(&entry(&root, "b").value, "x").value), "1");
    let c = &entry(&root, "c").value;
    assert_eq!((text(&entry(c, "x").value), text(&entry(c, "y").value)), ("1", "3"));
    let d = &entry(&root, "d").value;
    assert_eq!((text(&entry(d, "y").value), text(&entry(d, "z").value)), ("4", "5"));
}

#[test]
fn names_both_places_of_a_duplicate_key() {
    let mut problems = Problems::new();
    parse(SourceId(0), "a: 1\nb: 2\na: 3\n", &mut problems).unwrap();
    let problem = problems.into_vec().remove(0);
    assert_eq!(problem.message, "duplicate key `a`");
    assert_eq!((problem.place.unwrap().line, problem.related[0].0.line), (3, 1));
}

#[test]
fn sees_whether_there_are_comments() {
    let has_comments = |text| parse(SourceId(0), text, &mut Problems::new()).unwrap().has_comments;
    for text in ["# a\na: 1", "a: 1 # b", "a: 1\n# c", "a:\n  # d\n  - 1", "a: [1, # e\n2]", "a: | # f\n  x\n", "#"] {
        assert!(has_comments(text), "{text}");
    }
    for text in ["a: b#c", "a: '# x'", "a: \"x # y\"", "a: |\n  # x\n  y\n", "a: &x#y 1", "a: 1\n", "'#': 1"] {
        assert!(!has_comments(text), "{text}");
    }
}

#[test]
fn says_where_a_text_is_not_yaml() {
    let mut wrong = Vec::new();
    for (text, message) in [
        ("a: b: c\n", "1:5 not YAML: mapping values are not allowed in this context"),
        ("a: [1, 2\nb: 3\n", "2:2 not YAML: illegal placement of ':' indicator"),
        ("a: 'x\n", "1:4 not YAML: unclosed quote"),
        ("a: *x\n", "1:4 not YAML: while parsing node, found unknown anchor"),
        ("a: &x [*x]\n", "1:8 an alias cannot stand within what it names"),
        ("a: !env X\n", "1:9 the tag `!env` has no meaning here"),
        ("a: 1\n---\nb: 2\n", "2:1 a second document begins here; a file holds one"),
        ("? [a, b]\n: 1\n", "1:3 a key must be text"),
        ("a: 1\n~: 2\n", "2:1 a key must be text"),
        ("a: x\0y\n", "1:5 the file holds the control character U+0000"),
        ("ä: \u{1b}[2J\n", "1:4 the file holds the control character U+001B"),
    ] {
        if refusal(text) != message {
            wrong.push((text, refusal(text)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn refuses_hostile_texts_quickly() {
    let start = Instant::now();
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..12).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "))))
        .collect();
    assert!(refusal(&bomb).ends_with("aliases repeat more than 200000 keys and values"));
    refusal(&"[".repeat(100_000));
    refusal(&"{a: ".repeat(100_000));
    refusal(&"- ".repeat(100_000));
    refusal(&(0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>());
    let huge = format!("a: {}\n", "x".repeat(4_000_000));
    assert_eq!(text(&entry(&tree(&huge), "a").value).len(), 4_000_000);
    let long_key = format!("{}: 1\n", "x".repeat(100_000));
    refusal(&long_key);
    // Unoptimised and on a busy machine; each of these takes milliseconds otherwise.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
