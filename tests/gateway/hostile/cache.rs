//! Cache poisoning: what one client sends never changes what another gets from memory.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{self, Answer, Origin};

const MARK: &str = "evil";

/// A service that believes everything: its answer shows the target, and all that carries the mark.
fn credulous(request: &origin::Request) -> Answer {
    let marked = request.fields.iter().filter(|(_, value)| value.contains(MARK));
    let fields: Vec<String> = marked.map(|(name, value)| format!("{name}={value}")).collect();
    let body = String::from_utf8_lossy(&request.body);
    Answer::ok(format!("{} {} {body}", request.target, fields.join(" ")))
}

fn before(origin: &Origin, options: &str) -> Gateway {
    Gateway::start(&format!("routes:\n  /**: {{ to: {}, cache: {options}, preserve_host: true }}\n", origin.url()))
}

fn victim(gateway: &Gateway, target: &str) -> Response {
    gateway.send(&Request::get(target).header("Host", "shop.example"))
}

#[test]
fn what_a_key_does_not_name_does_not_reach_the_upstream() {
    let origin = Origin::start(credulous);
    let gateway = before(&origin, "30s");
    let fields = [
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Server",
        "X-Forwarded-Path",
        "Forwarded",
        "X-Host",
        "X-Original-Host",
        "X-Original-URL",
        "X-Original-URI",
        "X-Rewrite-URL",
        "X-Override-URL",
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "X-HTTP-Host-Override",
        "X_Forwarded_Host",
        "X_Original_URL",
        "X-HTTP_Method.Override",
        "X-Consumer-Id",
    ];
    for (number, field) in fields.iter().enumerate() {
        let target = format!("/{number}");
        let attack = Request::get(&target).header("Host", "shop.example").header(field, MARK);
        gateway.send(&attack);
        let got = victim(&gateway, &target);
        assert!(!got.text().contains(MARK), "{field}: {}", got.text());
        assert!(got.header("cache-status").is_some_and(|status| status.contains("hit")), "{field} is part of no key");
    }
}

#[test]
fn the_whole_target_is_in_the_key() {
    let origin = Origin::start(credulous);
    let gateway = before(&origin, "30s");
    let attacks = [
        Request::get("/a").header("Host", "shop.example:1337"),
        Request::get("/a").header("Host", "evil.example"),
        Request::get("/a?x=evil").header("Host", "shop.example"),
        Request::get("/a?x=1&x=evil").header("Host", "shop.example"),
        Request::get("/a;x=evil").header("Host", "shop.example"),
        Request::get("/a%3Fx=evil").header("Host", "shop.example"),
        Request::get("http://shop.example/a?evil").header("Host", "shop.example"),
    ];
    for attack in attacks {
        gateway.send(&attack);
    }
    for target in ["/a", "/a?x=1", "/a?"] {
        let got = victim(&gateway, target);
        assert!(!got.text().contains(MARK) && !got.text().contains("1337"), "{target}: {}", got.text());
    }
}

#[test]
fn a_parameter_that_does_not_count_cannot_ride_along() {
    let origin = Origin::start(credulous);
    let gateway = before(&origin, "{ ttl: 30s, key: [page] }");
    for target in ["/a?page=1&utm=evil", "/a?utm=evil&page=1", "/a?page=1&%75tm=evil", "/a?page=1&page[]=evil"] {
        gateway.send(&Request::get(target).header("Host", "shop.example"));
    }
    gateway.send(&Request::get("/a?page=1;utm=evil").header("Host", "shop.example"));
    gateway.send(&Request::get("/a?page=1&page=evil").header("Host", "shop.example"));
    let got = victim(&gateway, "/a?page=1");
    assert_eq!(
        got.text().split(' ').next(),
        Some("/a?page=1"),
        "what `;` hides, and a second of that name, are in the key"
    );
}

#[test]
fn a_get_with_a_body_goes_past() {
    let origin = Origin::start(credulous);
    let gateway = before(&origin, "30s");
    let fat = Request::get("/a").header("Host", "shop.example").body("evil");
    let past = gateway.send(&fat);
    assert!(past.header("cache-status").is_some_and(|status| status.contains("fwd=bypass; detail=body")));
    gateway.send(&Request::get("/a").header("Host", "shop.example").chunks(&["ev", "il"]));
    assert!(!victim(&gateway, "/a").text().contains(MARK));
    gateway.send(&fat);
    assert!(!victim(&gateway, "/a").text().contains(MARK), "nor does it replace what is kept");
}

#[test]
fn an_error_that_a_client_provokes_is_not_kept() {
    let origin = Origin::start(|request| {
        let bad =
            request.fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("x-big") || value.contains('\u{7f}'));
        if bad { Answer::status(400).header("X", "1") } else { Answer::ok("well") }
    });
    let gateway = before(&origin, "30s");
    let big = "x".repeat(16 * 1024);
    for (name, value) in [("X-Big", big.as_str()), ("X-Big", "1")] {
        assert_ne!(gateway.send(&Request::get("/a").header("Host", "shop.example").header(name, value)).status, 200);
        assert_eq!(victim(&gateway, "/a").status, 200);
    }
}

const CALLERS: &str = "auth: { keys: { api_key: {} } }\nconsumers:\n  \
    ann: { keys: [{ key: { value: the-key-of-ann-1, insecure_inline: true } }] }\n  \
    bob: { keys: [{ key: { value: the-key-of-bob-1, insecure_inline: true } }] }\n";

#[test]
fn answers_to_one_caller_never_reach_another() {
    let origin = Origin::start(|request| {
        let caller = request.header("x-consumer-id").unwrap_or("nobody").to_owned();
        let shared = request.target.contains("public");
        Answer::ok(caller).header("Cache-Control", if shared { "public, max-age=60" } else { "max-age=60" })
    });
    let gateway = Gateway::start(&format!(
        "{CALLERS}routes:\n  /own/**: {{ to: {0}, auth: keys, cache: {{ vary: consumer }} }}\n  \
         /plain/**: {{ to: {0}, auth: keys, cache: {{}} }}\n  \
         /either/**: {{ to: {0}, auth: {{ any: [keys], anonymous: true }}, cache: {{ vary: consumer }} }}\n",
        origin.url()
    ));
    let ask = |target: &str, key: &str| gateway.send(&Request::get(target).header("X-API-Key", key)).text().to_owned();
    for path in ["/own/1", "/plain/1", "/either/1"] {
        for _ in 0..2 {
            assert_eq!(
                (ask(path, "the-key-of-ann-1"), ask(path, "the-key-of-bob-1")),
                ("ann".into(), "bob".into()),
                "{path}"
            );
        }
    }
    assert_eq!(gateway.get("/either/1").text(), "nobody");
    assert_eq!(gateway.get("/own/1").status, 401, "memory is no way around the door");
    origin.forget();
    assert_eq!((ask("/own/1", "the-key-of-ann-1"), origin.requests().len()), ("ann".into(), 0));
    ask("/plain/1", "the-key-of-ann-1");
    assert_eq!(origin.requests().len(), 1, "what is not keyed by its caller and not public is not kept");
    assert_eq!(ask("/plain/public", "the-key-of-ann-1"), ask("/plain/public", "the-key-of-bob-1"), "what is public is");
}

#[test]
fn a_trusted_proxy_has_answers_for_what_it_says() {
    let origin = Origin::start(|request| Answer::ok(request.header("x-forwarded-host").unwrap_or("none").to_owned()));
    let gateway = Gateway::start(&format!(
        "trusted_proxies: [127.0.0.0/8]\nroutes:\n  /**: {{ to: {}, cache: 30s }}\n",
        origin.url()
    ));
    let ask = |host: &str| gateway.send(&Request::get("/a").header("X-Forwarded-Host", host)).text().to_owned();
    assert_eq!(
        (ask("a.example"), ask("b.example"), ask("a.example")),
        ("a.example".into(), "b.example".into(), "a.example".into())
    );
    assert_eq!(origin.requests().len(), 2);
}
