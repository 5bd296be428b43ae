//! `forward:` over real sockets, with a service that behaves and with one that does not.

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;

fn configuration(url: &str, extra: &str, upstream: &Origin) -> String {
    format!(
        "auth:\n  gate:\n    forward: {{ url: {url}/check?x=1, insecure: true{extra} }}\n\
         consumers: {{ acme: {{ jwt_subject: u7, groups: [partners] }} }}\n\
         routes:\n  /a/**: {{ auth: gate, to: {0} }}\n  /open: {{ auth: {{ any: gate, anonymous: true }}, to: {0} }}\n",
        upstream.url()
    )
}

fn told(answer: &Response, name: &str) -> Vec<String> {
    let echo = answer.json();
    let fields = echo["headers"].as_array().unwrap().iter();
    fields
        .filter(|field| field[0].as_str().unwrap().eq_ignore_ascii_case(name))
        .map(|field| field[1].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_the_service_lets_pass_passes_and_the_upstream_is_told() {
    let service = Origin::start(|_| {
        let answer = Answer::status(204).header("X-User", "acme").header("X-Groups", "a, b,,");
        answer.header("X-Tier", "gold").header("X-Tier", "old").header("X-Internal", "1")
    });
    let upstream = Origin::echo();
    let extra = ", consumer: X-User, groups: X-Groups, copy_headers: [X-Tier], send_headers: [Authorization, X-Lang]";
    let gateway = Gateway::start(&configuration(&service.url(), extra, &upstream));
    let request = Request::post("/a/./b?c=d", "the body")
        .header("Authorization", "Custom abc")
        .header("X-Lang", "de")
        .header("X-Tier", "platinum")
        .header("X-Forwarded-Uri", "/public")
        .header("X-Request-Id", "forged")
        .header("Cookie", "s=1");
    let answer = gateway.send(&request);
    assert_eq!(answer.status, 200);
    assert_eq!(told(&answer, "x-consumer-id"), ["acme"]);
    assert_eq!(told(&answer, "x-consumer-groups"), ["partners,a,b"]);
    assert_eq!(told(&answer, "x-tier"), ["gold", "old"]);
    assert!(told(&answer, "x-internal").is_empty() && told(&answer, "Authorization").is_empty());
    assert_eq!(answer.json()["body"], "the body");
    let asked = service.only_request();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), asked.body.len()), ("GET", "/check?x=1", 0));
    for (name, value) in [
        ("authorization", "Custom abc"),
        ("x-lang", "de"),
        ("x-forwarded-method", "POST"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-uri", "/a/b?c=d"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", &gateway.address().to_string()),
        ("x-request-id", answer.header("x-request-id").unwrap()),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert_eq!((asked.header("cookie"), asked.header("x-tier")), (None, None));
}

#[test]
fn its_refusals_and_redirects_go_to_the_client() {
    let service = Origin::start(|asked| {
        let status = asked.header("x-forwarded-uri").unwrap().rsplit('/').next().unwrap().parse().unwrap();
        Answer::status(status)
            .header("Location", "https://login.example/?back=1")
            .header("WWW-Authenticate", "Custom realm=\"x\"")
            .header("Set-Cookie", "a=1")
            .header("Set-Cookie", "b=2")
            .header("Content-Type", "text/plain")
            .header("X-Internal", "secret")
            .body("because")
    });
    let upstream = Origin::echo();
    let gateway = Gateway::start(&configuration(&service.url(), "", &upstream));
    for status in [301, 302, 303, 307, 308, 401, 403] {
        let answer = gateway.get(&format!("/a/{status}"));
        assert_eq!((answer.status, answer.text()), (status, "because"));
        assert_eq!(answer.header("location"), Some("https://login.example/?back=1"));
        assert_eq!(answer.header("www-authenticate"), Some("Custom realm=\"x\""));
        assert_eq!(answer.headers("set-cookie"), ["a=1", "b=2"]);
        assert_eq!((answer.header("content-type"), answer.header("x-internal")), (Some("text/plain"), None));
        assert!(answer.keeps_alive());
    }
    for status in [300, 304, 400, 404, 429, 500, 502] {
        assert_eq!(gateway.get(&format!("/a/{status}")).status, 503, "{status}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_service_that_does_not_decide_is_503() {
    let upstream = Origin::echo();
    let answering = |script: fn() -> Answer, extra: &str| {
        let service = Origin::start(move |_| script());
        Gateway::start(&configuration(&service.url(), extra, &upstream)).get("/a/b").status
    };
    assert_eq!(answering(|| Answer::none(Ending::Stall), ", timeout: 50ms"), 503);
    assert_eq!(answering(|| Answer::none(Ending::Reset), ""), 503);
    assert_eq!(answering(|| Answer::raw("200 OK"), ""), 503);
    assert_eq!(answering(|| Answer::status(401).body("x".repeat(70_000)), ""), 503);
    assert_eq!(answering(|| Answer::ok("hello"), ", consumer: X-User"), 503);
    assert_eq!(answering(|| Answer::ok("hello").header("X-User", " "), ", consumer: X-User"), 503);
    let gone = format!("http://{}", ports::free());
    assert_eq!(Gateway::start(&configuration(&gone, "", &upstream)).get("/a/b").status, 503);
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(answering(|| Answer::ok("hello"), ""), 200);
}

#[test]
fn without_a_cache_it_is_asked_each_time_and_with_one_by_what_counts() {
    let upstream = Origin::echo();
    let asked = |extra: &str| {
        let service = Origin::start(|_| Answer::ok(""));
        let gateway = Gateway::start(&configuration(&service.url(), extra, &upstream));
        for (path, authorization) in
            [("/a/1", "A x"), ("/a/1", "A x"), ("/a/2", "A x"), ("/a/1?q", "A x"), ("/a/1", "A y"), ("/a/1", "A x")]
        {
            assert_eq!(gateway.send(&Request::get(path).header("Authorization", authorization)).status, 200);
        }
        service.requests().len()
    };
    assert_eq!(asked(""), 6);
    assert_eq!(asked(", cache: 1h"), 4);
    assert_eq!(asked(", cache: 1h, per: caller"), 2);
}

#[test]
fn refusals_are_never_kept() {
    let service = Origin::start(|_| Answer::status(403));
    let upstream = Origin::echo();
    let gateway = Gateway::start(&configuration(&service.url(), ", cache: 1h", &upstream));
    assert_eq!([(); 3].map(|()| gateway.get("/a/b").status), [403, 403, 403]);
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn several_providers_mean_either() {
    let service = Origin::start(|asked| match asked.header("authorization") {
        Some("Custom good") => Answer::ok(""),
        Some("Custom denied") => Answer::status(403).body("denied"),
        _ => Answer::status(401).header("WWW-Authenticate", "Custom"),
    });
    let provider = Origin::start(|asked| {
        let good = asked.body == b"token=good";
        Answer::ok(format!("{{\"active\":{good},\"sub\":\"u7\"}}"))
    });
    let upstream = Origin::echo();
    let text = configuration(&service.url(), "", &upstream).replace("auth: gate", "auth: [gate, token]").replace(
        "consumers:",
        &format!("  token: {{ introspection: {{ url: {}, insecure: true }} }}\nconsumers:", provider.url()),
    );
    let gateway = Gateway::start(&text);
    let with = |value: &str| gateway.send(&Request::get("/a/b").header("Authorization", value));
    assert_eq!(with("Custom good").status, 200);
    assert_eq!(with("Bearer good").status, 200);
    assert_eq!((with("Custom denied").status, with("Custom denied").text().to_owned()), (403, "denied".to_owned()));
    let neither = with("Bearer bad");
    assert_eq!((neither.status, neither.json()["detail"].as_str()), (401, Some("The token is not active.")));
    // Nothing brought and 401 is an invitation; where nothing may pass, it passes.
    assert_eq!((gateway.get("/open").status, gateway.get("/a/b").header("www-authenticate")), (200, Some("Custom")));
    let brought = gateway.send(&Request::get("/open").header("Authorization", "Custom bad"));
    assert_eq!(brought.status, 401);
}

#[test]
fn what_was_answered_survives_a_reload_that_leaves_the_provider_as_it_is() {
    let service = Origin::start(|_| Answer::ok("").header("X-User", "acme"));
    let upstream = Origin::echo();
    let before = configuration(&service.url(), ", cache: 1h, consumer: X-User", &upstream);
    let gateway = Gateway::start(&before);
    assert_eq!(gateway.get("/a/b").status, 200);
    gateway.change(&before.replace("/check?x=1", "/check?x=2"));
    assert_eq!((gateway.get("/a/b").status, service.requests().len()), (200, 2));
    assert_eq!((gateway.get("/a/b").status, service.requests().len()), (200, 2));
}
