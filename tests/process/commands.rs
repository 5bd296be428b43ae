//! The verbs that serve nothing: what they print and the code they end with.

use serde_json::Value;

use crate::program::{PROGRAM, Site, tollgate};
use crate::support::run::run;

const GOOD: &str = "listen: 127.0.0.1:0
upstreams:
  shop: { endpoints: [http://127.0.0.1:9] }
routes:
  GET /products/{id}: { to: shop, timeout: 3s }
  /old/**: { redirect: { to: \"/new/{**}\", status: 308 } }
";

const BAD: &str = "listen: 127.0.0.1:0
routes:
  /a: { to: nowhere }
  /b: { respnd: { status: 200 } }
  /c: { to: http://127.0.0.1:9, timeout: soon }
";

const WARNED: &str = "listen: 127.0.0.1:0
upstreams:
  unused: { endpoints: [http://127.0.0.1:9] }
routes:
  /: { respond: { status: 204 } }
";

fn site(text: &str) -> Site {
    let site = Site::new();
    site.write(text);
    site
}

#[test]
fn check_of_a_good_file_ends_with_0() {
    let output = tollgate(&["check", &site(GOOD).file()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.contains("no problems"), "{output:?}");
}

#[test]
fn check_lists_every_problem_with_its_place_and_ends_with_1() {
    let site = site(BAD);
    let output = tollgate(&["check", &site.file()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stdout, "");
    for place in [":3:", ":4:", ":5:"] {
        assert!(output.stderr.contains(&format!("gateway.yaml{place}")), "{place} is missing in\n{}", output.stderr);
    }
    assert!(output.stderr.contains("respond"), "no suggestion in\n{}", output.stderr);
}

#[test]
fn check_prints_problems_as_json() {
    let output = tollgate(&["check", "--format", "json", &site(BAD).file()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let problems: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert!(problems.as_array().is_some_and(|all| all.len() >= 3), "{problems:#}");
}

#[test]
fn check_prints_no_problems_as_an_empty_list_of_json() {
    let output = tollgate(&["check", "--format", "json", &site(GOOD).file()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(serde_json::from_str::<Value>(&output.stdout).expect("JSON"), serde_json::json!([]));
}

#[test]
fn check_takes_warnings_for_problems_only_when_strict() {
    let site = site(WARNED);
    let lenient = tollgate(&["check", &site.file()]);
    assert_eq!(lenient.status.code(), Some(0), "{lenient:?}");
    assert!(lenient.stderr.contains("unused"), "{lenient:?}");
    let strict = tollgate(&["check", "--strict", &site.file()]);
    assert_eq!(strict.status.code(), Some(1), "{strict:?}");
}

#[test]
fn a_missing_file_ends_every_verb_with_1_and_is_named() {
    for arguments in [vec!["check"], vec!["explain"], vec!["fmt"], vec!["run", "-c"]] {
        let output = tollgate(&[&arguments[..], &["/nowhere/gateway.yaml"]].concat());
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert!(output.stderr.contains("/nowhere/gateway.yaml"), "{arguments:?}: {output:?}");
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    let file = site(GOOD).file();
    let wrong: [&[&str]; 6] = [
        &[],
        &["serve"],
        &["check"],
        &["check", "--format", "xml", &file],
        &["explain", &file, "GET"],
        &["run", "--confg", &file],
    ];
    for arguments in wrong {
        let output = tollgate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_names_every_verb_and_ends_with_0() {
    let help = tollgate(&["--help"]).success();
    for verb in ["run", "check", "explain", "fmt", "schema", "completions", "demo"] {
        assert!(help.contains(verb), "{verb} is missing in\n{help}");
    }
}

#[test]
fn explain_shows_the_plan_without_a_network() {
    let plan = tollgate(&["explain", &site(GOOD).file()]).success();
    for part in ["/products/{id}", "shop", "/old/**"] {
        assert!(plan.contains(part), "{part} is missing in\n{plan}");
    }
}

#[test]
fn explain_follows_one_request() {
    let site = site(GOOD);
    let found = tollgate(&["explain", &site.file(), "GET", "/products/7", "-H", "X-Beta: true"]).success();
    assert!(found.contains("GET /products/{id}") && found.contains("shop"), "{found}");
    let wrong_method = tollgate(&["explain", &site.file(), "DELETE", "/products/7"]).success();
    assert!(wrong_method.contains("405"), "{wrong_method}");
    let unknown = tollgate(&["explain", &site.file(), "GET", "/nothing"]).success();
    assert!(unknown.contains("404"), "{unknown}");
}

#[test]
fn explain_of_a_header_without_a_colon_is_wrong_usage() {
    let output = tollgate(&["explain", &site(GOOD).file(), "GET", "/", "-H", "X-Beta"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn formatting_twice_changes_nothing_more() {
    let once = tollgate(&["fmt", &site(GOOD).file()]).success();
    let twice = tollgate(&["fmt", &site(&once).file()]).success();
    assert_eq!(once, twice);
}

#[test]
fn the_long_form_is_accepted_and_means_the_same() {
    let short = site(GOOD);
    let text = tollgate(&["fmt", "--long", &short.file()]).success();
    let long = site(&text);
    tollgate(&["check", &long.file()]).success();
    assert_eq!(tollgate(&["fmt", "--long", &long.file()]).success(), text);
    for request in [&[][..], &["GET", "/products/7"], &["GET", "/old/a/b"], &["POST", "/products/7"]] {
        let explain = |file: &str| tollgate(&[&["explain", file], request].concat()).success();
        assert_eq!(unplaced(&explain(&short.file())), unplaced(&explain(&long.file())), "{request:?}");
    }
}

/// An explanation without the places in the file, in which the two forms differ.
fn unplaced(text: &str) -> String {
    let words = text.lines().map(|line| {
        let kept = line.split(' ').filter(|word| !word.contains("gateway.yaml:"));
        kept.collect::<Vec<_>>().join(" ")
    });
    words.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_file_with_comments_is_not_formatted_in_place() {
    let site = site(&format!("# precious\n{GOOD}"));
    let output = tollgate(&["fmt", "--write", &site.file()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(std::fs::read_to_string(site.file()).expect("the file").starts_with("# precious"));
}

#[test]
fn the_schema_is_json_and_knows_routes() {
    let schema: Value = serde_json::from_str(&tollgate(&["schema"]).success()).expect("JSON");
    assert!(schema["properties"]["routes"].is_object(), "{schema:#}");
}

#[test]
fn completions_for_bash_know_the_verbs() {
    let script = tollgate(&["completions", "bash"]).success();
    assert!(script.contains("complete -F") && script.contains("explain"), "{script}");
}

/// Expressions of a configuration are parsed by a library that has been seen to take gigabytes for short texts dense with
/// brackets: here under a bound of memory that such a text would break.
#[test]
fn hostile_expressions_cost_neither_memory_nor_time() {
    const KIBIBYTES: usize = 1_500_000;
    let site = Site::new();
    let cut = |mut text: String| {
        text.truncate(2_048);
        text
    };
    let texts = [
        "(".repeat(24),
        "[".repeat(2_048),
        "([{".repeat(600),
        "{1:[".repeat(12),
        format!("{}1{}", "[".repeat(24), "]".repeat(24)),
        format!("{}1{}", "{1:".repeat(24), "}".repeat(24)),
        format!("{}1{}", "f(".repeat(24), ")".repeat(24)),
        "[]".repeat(80),
        "}])".repeat(53),
        cut("a.".repeat(2_048)),
        cut("a?b:".repeat(2_048)),
        cut("a||".repeat(2_048)),
        cut("!".repeat(2_048)),
        cut("now-".repeat(2_048)),
        cut("a in ".repeat(2_048)),
        "(".repeat(100_000),
    ];
    let routes: String = texts
        .iter()
        .enumerate()
        .map(|(n, text)| format!("  /{n}: {{ allow: {{ when: \"{text}\" }}, respond: {{}} }}\n"))
        .collect();
    site.write(&format!("listen: 127.0.0.1:0\nroutes:\n{routes}"));
    let command = format!("ulimit -v {KIBIBYTES}; exec \"$0\" check \"$1\"");
    let output = run("sh", &["-c", &command, PROGRAM, &site.file()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let printed = output.stdout + &output.stderr;
    for n in 0..texts.len() {
        assert!(printed.contains(&format!(":{}:", n + 3)), "route {n} is accepted:\n{printed}");
    }
}

#[test]
fn import_writes_routes_of_a_schema_that_check_accepts() {
    let site = Site::new();
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/protos/library.proto");
    let output = tollgate(&["import", "proto", library, "--to", "grpc://127.0.0.1:9"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let book = "  \"GET /v1/shelves/{segment_2}/books/{segment_4}\":";
    assert!(output.stdout.contains(book), "{}", output.stdout);
    site.write(&format!("listen: 127.0.0.1:0\n{}", output.stdout));
    let checked = tollgate(&["check", &site.file()]);
    assert!(checked.stdout.contains("6 routes, no problems"), "{checked:?}\n{}", output.stdout);
    let explained = tollgate(&["explain", &site.file(), "POST", "/v1/shelves/a/books", "-d", "{\"pages\": 7}"]);
    let sent = "sends library.v1.Library/CreateBook {\"parent\":\"shelves/a\",\"book\":{\"pages\":\"7\"}}";
    assert!(explained.stdout.contains(sent), "{explained:?}");
}

#[test]
fn import_of_a_broken_schema_says_where_and_ends_with_1() {
    let site = Site::new();
    let file = site.path("broken.proto");
    std::fs::write(&file, "syntax = \"proto3\";\nmessage { }\n").expect("a file");
    let output = tollgate(&["import", "proto", &file.to_string_lossy()]);
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.contains("broken.proto:2:9: error: expected an identifier"), "{output:?}");
}
