//! Users of files and of consumers, known and not, right and wrong.

use super::*;
use crate::consumer::Consumer;
use crate::value::{Problems, Sources};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

fn hash(password: &str) -> PasswordHash {
    PasswordHash::parse(&bcrypt::hash(password, 4).unwrap()).unwrap()
}

fn provider(file: Option<&std::path::Path>, previous: Option<&Basic>) -> Arc<Basic> {
    let (mut problems, mut tended, mut identity) = (Problems::new(), Vec::new(), Vec::new());
    let mut setup = Setup {
        problems: &mut problems,
        sources: &Sources::default(),
        fetcher: &Default::default(),
        limits: &Default::default(),
        shared: None,
        tended: &mut tended,
        identity: &mut identity,
        redacted: &mut Vec::new(),
        metrics: &crate::policy::tests::metrics(),
    };
    let file = file.map(|path| Spanned::nowhere(path.display().to_string()));
    let written = Spanned::nowhere(BasicConfig { realm: "shop".into(), file });
    Basic::compile("people", &written, previous, &mut setup).unwrap()
}

/// Consumers with a password each.
fn consumers(users: &[(&str, &PasswordHash, &str)]) -> Arc<Consumers> {
    let mut consumers = Consumers::default();
    for (id, hash, group) in users {
        let consumer = Consumer { id: (*id).into(), groups: [(*group).into()].into(), plan: None };
        let holder = consumers.add(consumer, &[]).unwrap();
        consumers.set_password(holder, Arc::new((*hash).clone()));
    }
    Arc::new(consumers)
}

fn ask(provider: &Basic, consumers: &Arc<Consumers>, user: &str, password: &str) -> (Verdict, &'static str) {
    let field = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, field.parse().unwrap());
    let view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
    match provider.authenticate(&mut RequestCx::at(0), &view, consumers) {
        Verdict::Wait(pending) => {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            (runtime.block_on(pending), "checked")
        }
        verdict => (verdict, "remembered"),
    }
}

fn said(asked: (Verdict, &'static str)) -> String {
    match asked {
        (Verdict::Passed(caller), how) => format!("{how}: {} in {}", caller.id, caller.groups.join(",")),
        (Verdict::Refused(refusal), how) => format!("{how}: {}", refusal.reason.slug()),
        (other, how) => format!("{how}: {other:?}"),
    }
}

#[test]
fn a_password_is_checked_once_and_remembered_right_or_wrong() {
    let (provider, hash) = (provider(None, None), hash("secret"));
    let consumers = consumers(&[("ann", &hash, "staff")]);
    assert_eq!(said(ask(&provider, &consumers, "ann", "secret")), "checked: ann in staff");
    assert_eq!(said(ask(&provider, &consumers, "ann", "secret")), "remembered: ann in staff");
    assert_eq!(said(ask(&provider, &consumers, "ann", "Secret")), "checked: bad-credentials");
    assert_eq!(said(ask(&provider, &consumers, "ann", "Secret")), "remembered: bad-credentials");
    assert_eq!(said(ask(&provider, &consumers, "ann", "")), "checked: bad-credentials");
}

#[test]
fn nobody_is_checked_as_everybody_is_and_never_passes() {
    let (provider, hash) = (provider(None, None), hash("secret"));
    let some = consumers(&[("ann", &hash, "staff")]);
    for password in ["secret", "other"] {
        assert_eq!(said(ask(&provider, &some, "bob", password)), "checked: bad-credentials", "{password}");
    }
    let none = Arc::new(Consumers::default());
    assert_eq!(said(ask(&provider, &none, "ann", "secret")), "checked: bad-credentials");
    assert!(provider.stored("ann", &none).0.as_str().starts_with("$argon2id$"));
}

#[test]
fn what_is_remembered_ends_with_the_password_and_follows_the_groups() {
    let (first, hash_one) = (provider(None, None), hash("secret"));
    let before = consumers(&[("ann", &hash_one, "staff")]);
    ask(&first, &before, "ann", "secret");
    let reloaded = provider(None, Some(&first));
    let moved = consumers(&[("ann", &hash_one, "guests")]);
    assert_eq!(said(ask(&reloaded, &moved, "ann", "secret")), "remembered: ann in guests");
    let changed = consumers(&[("ann", &hash("other"), "staff")]);
    assert_eq!(said(ask(&reloaded, &changed, "ann", "secret")), "checked: bad-credentials");
    assert_eq!(said(ask(&reloaded, &changed, "ann", "other")), "checked: ann in staff");
    let renamed = consumers(&[("carol", &hash_one, "staff")]);
    assert_eq!(said(ask(&reloaded, &renamed, "ann", "secret")), "checked: bad-credentials");
    let gone = Arc::new(Consumers::default());
    assert_eq!(said(ask(&reloaded, &gone, "ann", "secret")), "checked: bad-credentials");
}

#[test]
fn a_user_of_the_file_is_judged_by_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, format!("ann:{}\n", hash("of the file").as_str())).unwrap();
    let provider = provider(Some(&path), None);
    let consumers = consumers(&[("ann", &hash("of the consumer"), "staff"), ("bob", &hash("secret"), "guests")]);
    assert_eq!(said(ask(&provider, &consumers, "ann", "of the consumer")), "checked: bad-credentials");
    assert_eq!(said(ask(&provider, &consumers, "ann", "of the file")), "checked: ann in staff");
    assert_eq!(said(ask(&provider, &consumers, "bob", "secret")), "checked: bob in guests");
}

#[test]
fn an_explanation_waits_for_its_verdict() {
    let (provider, hash) = (provider(None, None), hash("secret"));
    let consumers = consumers(&[("ann", &hash, "staff")]);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode("ann:secret")).parse().unwrap());
    let mut view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
    let mut cx = RequestCx { notes: Some(Box::default()), ..RequestCx::at(0) };
    assert!(matches!(provider.authenticate(&mut cx, &view, &consumers), Verdict::Passed(_)));
    provider.strip(&mut cx, &mut view);
    assert!(view.header(&header::AUTHORIZATION).is_none());
    assert_eq!(provider.challenge(None).unwrap(), "Basic realm=\"shop\", charset=\"UTF-8\"");
}
