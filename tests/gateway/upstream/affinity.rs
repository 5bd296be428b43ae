//! `affinity:`: a client comes back to the endpoint that has served it, by a cookie that nobody else can make.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::support::client::{Client, Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::tls::{Authority, H1};
use crate::support::wait;

/// Endpoints that answer with their number.
fn origins(count: usize) -> Vec<Origin> {
    (0..count).map(|number| Origin::start(move |_| Answer::ok(number.to_string()))).collect()
}

fn yaml(origins: &[Origin], affinity: &str, more: &str) -> String {
    let urls: Vec<String> = origins.iter().map(Origin::url).collect();
    format!(
        "server: {{ threads: 1 }}\nupstreams:\n  up: {{ endpoints: [{}], affinity: {affinity}{more} }}\nroutes: {{ /**: {{ to: up }} }}\n",
        urls.join(", ")
    )
}

fn secret(text: &str) -> String {
    format!("{{ value: {text}-0123456789-0123456789-0123456789, insecure_inline: true }}")
}

/// The value of the cookie that an answer hands out, and its attributes.
fn handed(response: &Response) -> Option<(String, String)> {
    let field = response.header("set-cookie")?;
    let (pair, attributes) = field.split_once("; ").expect("attributes");
    Some((pair.split_once('=').expect("a pair").1.to_owned(), attributes.to_owned()))
}

fn with_cookie(value: &str) -> Request {
    Request::get("/").header("Cookie", &format!("theme=dark; stay={value}"))
}

/// Gets a cookie; whose it is comes first.
fn first(gateway: &Gateway) -> (String, String) {
    let response = gateway.get("/");
    (response.text().to_owned(), handed(&response).expect("a cookie").0)
}

#[test]
fn a_client_comes_back_to_its_endpoint_and_is_told_so_once() {
    let origins = origins(3);
    let gateway = Gateway::start(&yaml(&origins, "stay", ""));
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let (endpoint, cookie) = first(&gateway);
        for _ in 0..5 {
            let response = gateway.send(&with_cookie(&cookie));
            assert_eq!((response.text(), response.header("set-cookie")), (endpoint.as_str(), None));
        }
        seen.insert(endpoint);
    }
    assert_eq!(seen.len(), 3, "new clients are spread");
    let count = |outcome: &str| {
        gateway.metric("tollgate_upstream_affinity_total", &["upstream=\"up\"", &format!("outcome=\"{outcome}\"")])
    };
    assert_eq!((count("first"), count("kept"), count("moved")), (6.0, 30.0, 0.0));
}

#[test]
fn the_cookie_names_nothing_and_has_the_attributes_that_keep_it() {
    let (origins, authority) = (origins(1), Authority::new());
    let identity = authority.server("shop", &["shop.example"]);
    let listeners = |affinity: &str| {
        let certificate = format!("{{ cert: {}, key: {} }}", identity.certificate.display(), identity.key.display());
        format!(
            "listeners: {{ secure: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{certificate}] }} }} }}\n{}",
            yaml(&origins, affinity, "")
        )
    };
    let gateway = Gateway::start(&listeners("{ cookie: stay, path: /shop, same_site: strict, max_age: 1h }"));
    let (value, attributes) = handed(&gateway.get("/")).expect("a cookie");
    assert_eq!(attributes, "Path=/shop; HttpOnly; SameSite=Strict; Max-Age=3600");
    assert!(value.len() == 22 && !value.contains("127"), "{value}");
    let secure = |gateway: &Gateway| {
        let client = Client::connect_tls(gateway.listener("secure"), &authority.connector(H1), "shop.example");
        handed(&client.expect("TLS").send(&Request::get("/"))).expect("a cookie").1
    };
    assert_eq!(secure(&gateway), "Path=/shop; HttpOnly; SameSite=Strict; Max-Age=3600; Secure");
    gateway.change(&listeners("{ cookie: stay, same_site: none }"));
    assert_eq!(handed(&gateway.get("/")).expect("a cookie").1, "Path=/; HttpOnly; SameSite=None; Secure");
    assert_eq!(secure(&gateway), "Path=/; HttpOnly; SameSite=None; Secure");
}

#[test]
fn what_the_gateway_has_not_made_counts_as_none_and_is_replaced() {
    let origins = origins(2);
    let gateway = Gateway::start(&yaml(&origins, &format!("{{ cookie: stay, secret: {} }}", secret("a")), ""));
    let (_, good) = first(&gateway);
    let stranger = Gateway::start(&yaml(&origins, &format!("{{ cookie: stay, secret: {} }}", secret("b")), ""));
    let (_, of_another_key) = first(&stranger);
    let flipped = format!("{}{}", &good[..21], if good.ends_with('A') { 'B' } else { 'A' });
    let (long, url) = ("A".repeat(4_000), origins[0].url());
    for forged in
        ["", "AAAAAAAAAAAAAAAAAAAAAA", &flipped, &good[..21], &format!("{good}A"), &of_another_key, &long, &url, "0"]
    {
        let mut served = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let response = gateway.send(&with_cookie(forged));
            assert_eq!(response.status, 200, "{forged}");
            assert!(handed(&response).is_some(), "{forged} was taken for a good one");
            served.insert(response.text().to_owned());
        }
        assert_eq!(served.len(), 2, "{forged} chose an endpoint");
    }
}

#[test]
fn an_endpoint_that_is_sick_or_gone_is_replaced_and_the_cookie_with_it() {
    let sick = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&sick);
    let shaky = Origin::start(move |_| if said.load(SeqCst) { Answer::status(503) } else { Answer::ok("0") });
    let origins = [shaky, Origin::start(|_| Answer::ok("1")), Origin::start(|_| Answer::ok("2"))];
    let health = ", panic: 0%, health: { path: /, interval: 20ms, unhealthy_after: 1, healthy_after: 1 }";
    let gateway = Gateway::start(&yaml(&origins, "stay", health));
    let on = |number: &str| loop {
        let (endpoint, cookie) = first(&gateway);
        if endpoint == number {
            return cookie;
        }
    };
    let (zero, one) = (on("0"), on("1"));
    sick.store(true, SeqCst);
    wait::until("it is found sick", || gateway.metric("tollgate_endpoint_healthy", &[]) == 2.0);
    let moved = gateway.send(&with_cookie(&zero));
    let (renewed, _) = handed(&moved).expect("another cookie");
    let to = moved.text().to_owned();
    assert_ne!(to, "0");
    assert_eq!(gateway.send(&with_cookie(&renewed)).text(), to);
    sick.store(false, SeqCst);
    wait::until("it is well again", || gateway.metric("tollgate_endpoint_healthy", &[]) == 3.0);
    assert_eq!(gateway.send(&with_cookie(&renewed)).text(), to, "nobody is moved twice");
    gateway.change(&yaml(&origins[..1], "stay", health));
    let gone = gateway.send(&with_cookie(&one));
    assert_eq!((gone.text(), handed(&gone).is_some()), ("0", true));
    assert_eq!(gateway.send(&with_cookie(&zero)).header("set-cookie"), None, "it holds over the reload");
}

#[test]
fn a_retry_elsewhere_moves_the_client() {
    let broken = Arc::new(AtomicBool::new(false));
    let said = Arc::clone(&broken);
    let shaky = Origin::start(move |_| if said.load(SeqCst) { Answer::status(503) } else { Answer::ok("0") });
    let origins = [shaky, Origin::start(|_| Answer::ok("1"))];
    let yaml = yaml(&origins, "stay", ", ejection: off")
        .replace("to: up }", "to: up, retries: { max: 1, on: [503], backoff: off } }");
    let gateway = Gateway::start(&yaml);
    let cookie = loop {
        let (endpoint, cookie) = first(&gateway);
        if endpoint == "0" {
            break cookie;
        }
    };
    broken.store(true, SeqCst);
    let response = gateway.send(&with_cookie(&cookie));
    let (renewed, _) = handed(&response).expect("another cookie");
    assert_eq!((response.status, response.text()), (200, "1"));
    assert_ne!(renewed, cookie);
}

#[test]
fn gateways_with_the_same_secret_take_each_other_s_clients_and_secrets_are_rotated() {
    let origins = origins(3);
    let with = |secrets: &str| Gateway::start(&yaml(&origins, &format!("{{ cookie: stay, secret: {secrets} }}"), ""));
    let (one, other) = (with(&secret("a")), with(&secret("a")));
    let (endpoint, cookie) = first(&one);
    let response = other.send(&with_cookie(&cookie));
    assert_eq!((response.text(), response.header("set-cookie")), (endpoint.as_str(), None));
    let rotated = with(&format!("[{}, {}]", secret("b"), secret("a")));
    let response = rotated.send(&with_cookie(&cookie));
    assert_eq!(response.text(), endpoint);
    let (renewed, _) = handed(&response).expect("one of the new secret");
    assert_eq!(rotated.send(&with_cookie(&renewed)).text(), endpoint);
    let without = with(&secret("b"));
    assert!(handed(&without.send(&with_cookie(&cookie))).is_some(), "the old secret is forgotten");
    assert_eq!(without.send(&with_cookie(&renewed)).text(), endpoint);
}

#[test]
fn an_answer_from_memory_hands_out_no_cookie_and_keeps_none() {
    let origin = Origin::start(|_| Answer::ok("kept").header("Cache-Control", "max-age=60"));
    let origins = [origin];
    let yaml = yaml(&origins, "stay", "").replace("to: up }", "to: up, cache: 60s }");
    let gateway = Gateway::start(&yaml);
    assert!(handed(&gateway.get("/")).is_some());
    let again = gateway.get("/");
    assert!(again.header("cache-status").is_some_and(|told| told.starts_with("tollgate; hit")), "{again:?}");
    assert_eq!(again.header("set-cookie"), None);
}
