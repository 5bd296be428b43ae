//! `consumers:` and `consumers_from:` over real sockets: keys by digest, files that change, keys that take turns.

use tempfile::TempDir;

use crate::support::client::Request;
use crate::support::file::exchange;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::until;

/// The digests of `test` and `test2`, as `sha256sum` prints them.
const TEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const TEST2: &str = "sha256:60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";

fn yaml(origin: &Origin, more: &str) -> String {
    format!(
        "auth: {{ keys: {{ api_key: {{ query: k, header: X-API-Key }} }} }}\n{more}\n\
         routes: {{ /**: {{ to: {}, auth: keys }} }}\n",
        origin.url()
    )
}

fn with(key: &str) -> Request {
    Request::get("/").header("X-API-Key", key)
}

#[test]
fn a_key_rotates_without_a_gap() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let states = [
        format!("{{ acme: {{ keys: {TEST} }} }}"),
        format!("{{ acme: {{ keys: [{TEST}, {{ key: {TEST2}, id: second }}] }} }}"),
        format!("{{ acme: {{ keys: [{{ key: {TEST2}, id: second }}] }} }}"),
    ];
    let gateway = Gateway::start(&yaml(&origin, &format!("consumers: {}", states[0])));
    let mut seen = Vec::new();
    for (number, state) in states.iter().enumerate() {
        if number > 0 {
            gateway.change(&yaml(&origin, &format!("consumers: {state}")));
        }
        seen.push(["test", "test2"].map(|key| gateway.send(&with(key)).status));
    }
    assert_eq!(seen, [[200, 401], [200, 200], [401, 200]]);
    let names: Vec<String> =
        origin.requests().iter().map(|it| it.header("x-credential-id").unwrap_or_default().to_owned()).collect();
    assert_eq!(names, ["9f86d081884c", "9f86d081884c", "second", "second"]);
}

#[test]
fn files_are_exchanged_whole_without_a_reload_and_bad_ones_are_not() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let folder = TempDir::new().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let (map, lines) = (file("people.yaml"), file("keys.csv"));
    std::fs::write(&map, format!("acme: {{ keys: {TEST}, groups: [one] }}\n")).expect("a file");
    std::fs::write(&lines, "# none yet\n").expect("a file");
    let gateway = Gateway::start_in(folder, &yaml(&origin, "consumers_from: [people.yaml, keys.csv]"));
    let mut client = gateway.connect();
    assert_eq!(["test", "test2"].map(|key| client.send(&with(key)).status), [200, 401]);
    std::fs::write(&lines, format!("other,{TEST2},two three\n")).expect("a file");
    until("the key of the second file passes", || client.send(&with("test2")).status == 200);
    let told = origin.requests().last().cloned().expect("a request");
    assert_eq!((told.header("x-consumer-id"), told.header("x-consumer-groups")), (Some("other"), Some("two,three")));
    // A key of two consumers: neither file is taken.
    std::fs::write(&lines, format!("other,{TEST}\n")).expect("a file");
    std::fs::write(&map, format!("acme: {{ keys: {TEST}, groups: [four] }}\n")).expect("a file");
    assert_eq!(["test", "test2"].map(|key| client.send(&with(key)).status), [200, 200]);
    exchange(&lines, "# none any more\n");
    until("the second file is empty", || client.send(&with("test2")).status == 401);
    assert_eq!(client.send(&with("test")).status, 200);
    let told = origin.requests().last().cloned().expect("a request");
    assert_eq!(told.header("x-consumer-groups"), Some("four"));
    assert_eq!(gateway.metric("tollgate_config_revision", &[]), 1.0, "no reload took place");
}

#[test]
fn a_key_that_stands_in_a_url_is_not_logged_whatever_became_of_the_request() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("access.log");
    let more =
        format!("access_log: {{ to: {}, redact_query: [] }}\nconsumers: {{ acme: {{ keys: {TEST} }} }}", log.display());
    let gateway = Gateway::start_in(folder, &yaml(&origin, &more));
    assert_eq!(gateway.get("/?k=test&page=1").status, 200);
    assert_eq!(gateway.get("/?page=2&%6B=an-unknown-key").status, 401);
    assert_eq!(gateway.get("/?k=test&page=3&k=test").status, 400);
    until("three lines are written", || std::fs::read_to_string(&log).is_ok_and(|text| text.lines().count() >= 3));
    let text = std::fs::read_to_string(&log).expect("the log");
    assert!(
        text.contains("page=1") && text.contains("page=2") && text.contains("page=3") && text.contains("k=***"),
        "{text}"
    );
    assert!(!text.contains("=test") && !text.contains("an-unknown-key"), "{text}");
}
