//! What the canonical spelling keeps, and what it makes uniform.

use super::*;
use crate::config::{load_str, yaml};
use crate::value::{Problems, SourceId};

fn format(text: &str) -> String {
    let mut problems = Problems::new();
    let document = yaml::parse(SourceId(0), text, &mut problems).unwrap_or_else(|| panic!("{text}: {problems:?}"));
    format_tree(&document.root)
}

#[test]
fn keeps_what_is_written_and_makes_its_spelling_uniform() {
    let text = "\
listen:   ':8080'
apis:
      shop: {host:   'a.example',   base: /v1}
routes:
   GET /a:
       to:   [ http://10.0.0.1:8080,
          http://10.0.0.2:8080 ]
       match: {header: {X-Beta: \"true\"}}
   /b: {respond: {status: 200, json: {price: 1.50, code: 007}}}
   /c:
      respond:
         body: |
            two
            lines
      rewrite:
list:
- a
-   b: 1
    c: []
-
  - x
";
    let canonical = "\
listen: \":8080\"
apis:
  shop: { host: \"a.example\", base: /v1 }
routes:
  GET /a:
    to: [http://10.0.0.1:8080, http://10.0.0.2:8080]
    match: { header: { X-Beta: \"true\" } }
  /b: { respond: { status: 200, json: { price: 1.50, code: 007 } } }
  /c:
    respond:
      body: |
        two
        lines
    rewrite: null
list:
  - a
  - b: 1
    c: []
  - - x
";
    assert_eq!(format(text), canonical);
    assert_eq!(format(canonical), canonical);
}

#[test]
fn spells_aliases_out_wherever_they_stand() {
    let text = "a: &a\n  GET,POST /x: y\nb: { c: *a }\nd: [*a]\n";
    let canonical = "a:\n  GET,POST /x: y\nb: { c: { \"GET,POST /x\": y } }\nd: [{ \"GET,POST /x\": y }]\n";
    assert_eq!(format(text), canonical);
    assert_eq!(format(canonical), canonical);
}

#[test]
fn quotes_what_needs_it() {
    for text in
        ["a: \"x\\ty\\u0007 \\\"\\\\ \"\n", "a: \" x\\ny\"\n", "\"a: b\": 1\n", "a: \"\"\n", "a: |-\n  x\n\n  y\n"]
    {
        assert_eq!(format(text), text);
    }
}

#[test]
fn breaks_what_is_too_wide() {
    let urls: Vec<String> = (0..9).map(|n| format!("http://10.0.0.{n}:8080")).collect();
    let lines: String = urls.iter().map(|url| format!("  - {url}\n")).collect();
    assert_eq!(format(&format!("to: [{}]\n", urls.join(", "))), format!("to:\n{lines}"));
}

#[test]
fn says_whether_comments_are_lost() {
    assert!(fmt(&load_str("x", "# a\nlisten: :80\n").unwrap()).loses_comments);
    assert!(!fmt(&load_str("x", "listen: \":80\"\n").unwrap()).loses_comments);
}
