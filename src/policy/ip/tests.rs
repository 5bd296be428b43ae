//! Decisions by address, and what a configuration may say.

use super::*;
use crate::policy::tests::{with_setup, written};
use crate::value::Problems;
use http::HeaderMap;
use std::path::Path;

fn config(yaml: &str) -> Spanned<IpConfig> {
    written(yaml)
}

/// Compiles policies one after another, in a folder that may hold lists.
fn compile(folder: &Path, policies: &[&Spanned<IpConfig>]) -> (Vec<Option<Arc<Ip>>>, Problems, usize) {
    with_setup(folder, |setup| {
        let mut addresses = Addresses::default();
        for written in policies {
            addresses.attach(written, &mut ChainBuilder::default(), setup);
        }
        policies.iter().map(|written| addresses.policies[&std::ptr::from_ref(*written)].clone()).collect()
    })
}

fn one(yaml: &str) -> Arc<Ip> {
    let (mut compiled, problems, _) = compile(Path::new("/"), &[&config(yaml)]);
    assert!(!problems.is_fatal(), "{problems:?}");
    compiled.remove(0).unwrap()
}

fn passes(policy: &Ip, address: &str) -> bool {
    let mut cx = RequestCx::at(0);
    cx.client.address = address.parse::<IpAddr>().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", http::HeaderValue::from_static("10.0.0.1"));
    let mut view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
    match policy.on_request(&mut cx, &mut view) {
        Decision::Continue => true,
        Decision::Reply(reply) => {
            assert_eq!(reply.reason, Reason::IpDenied);
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn decides_by_address() {
    // Configuration, who passes, who does not.
    let table: [(&str, &[&str], &[&str]); 7] = [
        ("10.0.0.0/8", &["10.0.0.1", "10.255.255.255"], &["11.0.0.0", "192.0.2.1", "::1", "::a00:1"]),
        ("[192.0.2.7, \"2001:db8::/32\"]", &["192.0.2.7", "2001:db8::1"], &["192.0.2.8", "2001:db9::"]),
        ("{ deny: 10.0.0.0/8 }", &["192.0.2.1", "::1"], &["10.0.0.1"]),
        ("{ allow: 10.0.0.0/8, deny: 10.1.0.0/16 }", &["10.0.0.1", "10.2.0.0"], &["10.1.0.1", "192.0.2.1"]),
        // The denied network is the wider one: it still wins.
        ("{ allow: [10.1.0.0/16, 192.0.2.0/24], deny: 10.0.0.0/8 }", &["192.0.2.1"], &["10.1.0.1", "10.2.0.1"]),
        ("\"::ffff:203.0.113.0/120\"", &["203.0.113.9"], &["203.0.114.1", "::203.0.113.9"]),
        ("{ deny: \"::/0\" }", &["203.0.113.9"], &["2001:db8::1", "::1"]),
    ];
    for (yaml, passing, refused) in table {
        let policy = one(yaml);
        for address in passing {
            assert!(passes(&policy, address), "{yaml}: {address}");
        }
        for address in refused {
            assert!(!passes(&policy, address), "{yaml}: {address}");
        }
    }
}

#[test]
fn files_belong_to_what_names_them_and_are_read_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("office.txt"), "203.0.113.0/24\n").unwrap();
    std::fs::write(folder.path().join("bad.txt"), "203.0.113.66\n").unwrap();
    let both = config("{ allow: 10.0.0.0/8, allow_from: office.txt, deny_from: [bad.txt] }");
    let other = config("{ deny_from: bad.txt }");
    let (compiled, problems, tended) = compile(folder.path(), &[&both, &other, &both]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(tended, 2);
    let first = compiled[0].as_ref().unwrap();
    for (address, expected) in [("10.0.0.1", true), ("203.0.113.1", true), ("203.0.113.66", false), ("8.8.8.8", false)]
    {
        assert_eq!(passes(first, address), expected, "{address}");
    }
    assert!(Arc::ptr_eq(first, compiled[2].as_ref().unwrap()));
    assert_eq!(first.describe(), "ip allow 10.0.0.0/8, office.txt, deny bad.txt");
}

#[test]
fn a_list_that_is_none_refuses_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.txt"), "10.0.0.0/8\n10.0.0.300\n").unwrap();
    std::fs::write(folder.path().join("empty.txt"), "\n").unwrap();
    let cases = [("bad.txt", "bad.txt:2: "), ("missing.txt", "cannot be read"), ("empty.txt", "holds no network")];
    for (file, expected) in cases {
        let (compiled, problems, _) = compile(folder.path(), &[&config(&format!("{{ allow_from: {file} }}"))]);
        assert!(compiled[0].is_none() && problems.is_fatal());
        assert!(problems.iter().any(|problem| problem.message.contains(expected)), "{file}: {problems:?}");
    }
}

#[test]
fn nothing_at_all_is_a_problem_and_so_is_allowing_nobody() {
    for (yaml, expected) in [
        ("{}", Some("`ip` allows and denies nothing")),
        ("[]", Some("`allow` holds no network, so nobody could pass")),
        ("{ allow: [], deny: 10.0.0.0/8 }", Some("`allow` holds no network, so nobody could pass")),
        ("{ allow: [], allow_from: a.txt }", None),
        ("{ deny_from: a.txt }", None),
        ("10.0.0.0/8", None),
    ] {
        let missing = IpConfig::missing(&config(yaml)).map(|problem| problem.message);
        assert_eq!(missing.as_deref(), expected, "{yaml}");
    }
}

#[test]
fn an_allowed_network_that_is_denied_as_a_whole_is_said() {
    let (_, problems, _) = compile(Path::new("/"), &[&config("{ allow: 10.0.0.0/8, deny: 0.0.0.0/0 }")]);
    assert!(!problems.is_fatal());
    assert_eq!(problems.iter().next().unwrap().message, "`10.0.0.0/8` is denied as a whole");
}
