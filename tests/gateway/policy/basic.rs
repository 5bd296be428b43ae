//! `basic:` over real sockets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::client::{Request, Response};
use crate::support::file::exchange;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::until;

/// The cheapest hash there is: tests are about the way, not the cost.
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

fn yaml(origin: &Origin, consumers: &str, more: &str) -> String {
    format!(
        "auth: {{ people: {{ basic: {{ realm: shop{more} }} }} }}\nconsumers: {consumers}\n\
         routes: {{ /**: {{ to: {}, auth: people }} }}\n",
        origin.url()
    )
}

fn as_user(user: &str, password: &str) -> Request {
    Request::get("/").header("Authorization", &format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

fn reason(response: &Response) -> String {
    let problem = response.json();
    problem["type"].as_str().expect("a type").trim_start_matches("urn:tollgate:problem:").to_owned()
}

#[test]
fn a_user_passes_with_the_password_and_the_upstream_is_told_who_but_not_it() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let consumers = format!("{{ ann: {{ password: {}, groups: [staff] }} }}", hash("pässword"));
    let gateway = Gateway::start(&yaml(&origin, &consumers, ""));
    for _ in 0..2 {
        assert_eq!(gateway.send(&as_user("ann", "pässword")).status, 200);
    }
    let seen = origin.requests();
    assert_eq!(seen.len(), 2);
    for request in seen {
        let told =
            (request.header("x-consumer-id"), request.header("x-consumer-groups"), request.header("authorization"));
        assert_eq!(told, (Some("ann"), Some("staff"), None));
    }
}

#[test]
fn what_proves_nobody_is_refused_with_the_way_in() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let consumers = format!("{{ ann: {{ password: {} }}, keyed: {{}} }}", hash("secret-of-ann"));
    let gateway = Gateway::start(&yaml(&origin, &consumers, ""));
    let raw = |value: &str| Request::get("/").header("Authorization", value);
    let encoded = |bytes: &[u8]| raw(&format!("Basic {}", STANDARD.encode(bytes)));
    let huge = format!("Basic {}", "QUFB".repeat(1_000));
    for (request, status, expected) in [
        (Request::get("/"), 401, "no-credentials"),
        (raw("Bearer abc"), 401, "no-credentials"),
        (as_user("ann", "Secret-of-ann"), 401, "bad-credentials"),
        (as_user("Ann", "secret-of-ann"), 401, "bad-credentials"),
        (as_user("ann", ""), 401, "bad-credentials"),
        (as_user("keyed", ""), 401, "bad-credentials"),
        (as_user("bob", "secret-of-ann"), 401, "bad-credentials"),
        (as_user("", "secret-of-ann"), 401, "bad-credentials"),
        (raw("Basic"), 401, "bad-credentials"),
        (raw("Basic %%%"), 401, "bad-credentials"),
        (raw("Basic YW5u"), 401, "bad-credentials"),
        (encoded(b"ann\0:secret-of-ann"), 401, "bad-credentials"),
        (encoded(b"ann:secret-of-ann\r\n"), 401, "bad-credentials"),
        (encoded(b"ann:\xff"), 401, "bad-credentials"),
        (raw(&huge), 401, "bad-credentials"),
        (as_user("ann", "secret-of-ann").header("Authorization", "Basic QQ=="), 400, "ambiguous-credentials"),
    ] {
        let refused = gateway.send(&request);
        assert_eq!((refused.status, reason(&refused)), (status, expected.to_owned()), "{request:?}");
        if status == 401 {
            assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"shop\", charset=\"UTF-8\""));
        }
        assert!(!refused.text().contains("secret-of-ann"), "{}", refused.text());
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_reload_ends_the_old_password_and_keeps_who_has_not_changed() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let (kept, old, new) = (hash("kept"), hash("old"), hash("new"));
    let with = |ann: &str, group: &str| {
        format!("{{ ann: {{ password: {ann} }}, bob: {{ password: {kept}, groups: [{group}] }} }}")
    };
    let gateway = Gateway::start(&yaml(&origin, &with(&old, "one"), ""));
    assert_eq!(gateway.send(&as_user("ann", "old")).status, 200);
    assert_eq!(gateway.send(&as_user("bob", "kept")).status, 200);
    gateway.change(&yaml(&origin, &with(&new, "two"), ""));
    assert_eq!(gateway.send(&as_user("ann", "old")).status, 401);
    assert_eq!(gateway.send(&as_user("ann", "new")).status, 200);
    assert_eq!(gateway.send(&as_user("bob", "kept")).status, 200);
    assert_eq!(origin.requests()[3].header("x-consumer-groups"), Some("two"));
}

#[test]
fn a_file_of_users_is_read_again_when_it_changes_and_a_bad_one_is_not() {
    let origin = Origin::start(|_| Answer::ok("in"));
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("users");
    std::fs::write(&path, format!("ann:{}\n", hash("one"))).expect("a file");
    let gateway = Gateway::start_in(folder, &yaml(&origin, "{}", ", file: users"));
    assert_eq!(gateway.send(&as_user("ann", "one")).status, 200);
    std::fs::write(&path, format!("ann:{}\nbob:{}\n", hash("two"), hash("three"))).expect("a file");
    until("the new password passes", || gateway.send(&as_user("ann", "two")).status == 200);
    assert_eq!(gateway.send(&as_user("ann", "one")).status, 401);
    assert_eq!(gateway.send(&as_user("bob", "three")).status, 200);
    // A file that cannot be used: who stood in the last good one still passes, and a better one is taken again.
    std::fs::write(&path, "ann:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").expect("a file");
    let last = format!("bob:{}\n", hash("three"));
    assert_eq!(gateway.send(&as_user("ann", "two")).status, 200);
    exchange(&path, last);
    until("ann is gone", || gateway.send(&as_user("ann", "two")).status == 401);
    assert_eq!(gateway.send(&as_user("bob", "three")).status, 200);
}

#[test]
fn more_guesses_than_can_be_checked_are_503_and_who_was_checked_still_passes() {
    let origin = Origin::start(|_| Answer::ok("in"));
    // Dear enough that guesses pile up.
    let dear = bcrypt::hash("secret", 9).expect("a hash");
    let gateway = Gateway::start(&yaml(&origin, &format!("{{ ann: {{ password: {dear} }} }}"), ""));
    assert_eq!(gateway.send(&as_user("ann", "secret")).status, 200);
    let at_once = 17 * std::thread::available_parallelism().map_or(1, usize::from) + 40;
    let mut clients: Vec<_> = (0..at_once).map(|_| gateway.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send_raw(&as_user("ann", &format!("guess {number}")).bytes("a"));
    }
    assert_eq!(gateway.send(&as_user("ann", "secret")).status, 200, "remembered, and not behind the guesses");
    let answers: Vec<Response> = clients.iter_mut().map(|client| client.read()).collect();
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(count(401) + count(503), at_once);
    assert!(count(503) > 0 && count(401) >= 17, "{} refused, {} not checked", count(401), count(503));
    assert_eq!(origin.requests().len(), 2);
}
