//! Real programs against the scripted upstream.

use std::panic::catch_unwind;

use crate::support::origin::{Answer, Origin};
use crate::support::run::{run, run_with_input};

#[test]
fn curl_reads_what_the_upstream_sends() {
    let origin = Origin::start(|_| Answer::ok("a").body("b").chunked());
    assert_eq!(run("curl", &["-sS", "--max-time", "5", &origin.url()]).success(), "ab");
    assert_eq!(origin.only_request().header("user-agent").map(|agent| agent.starts_with("curl/")), Some(true));
}

#[test]
fn input_and_failure_of_a_program_are_seen() {
    assert_eq!(run_with_input("cat", &[] as &[&str], b"in").success(), "in");
    let failed = run("sh", &["-c", "echo why >&2; exit 3"]);
    assert_eq!((failed.status.code(), failed.stderr.as_str()), (Some(3), "why\n"));
}

#[test]
fn a_missing_program_is_named() {
    let failure = catch_unwind(|| run("no-such-program", &[] as &[&str])).expect_err("a failure");
    assert!(failure.downcast::<String>().expect("a message").contains("no-such-program is not installed"));
}
