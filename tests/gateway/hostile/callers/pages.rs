//! Pages of other origins, and the preflights their browsers send.

use super::{KEY, keys};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

/// Whether a page of that origin could read the answer with the cookies of its user.
fn is_readable_with_cookies(response: &Response, origin: &str) -> bool {
    response.header("access-control-allow-origin") == Some(origin)
        && response.header("access-control-allow-credentials") == Some("true")
}

#[test]
fn no_page_that_is_not_listed_reads_an_answer_with_cookies() {
    let origin = Origin::start(|_| {
        Answer::ok("a").header("Access-Control-Allow-Origin", "null").header("Access-Control-Allow-Credentials", "true")
    });
    let gateway = Gateway::start(&format!(
        "{}routes: {{ /**: {{ auth: keys, to: {}, cors: {{ origins: [\"https://*.shop.example\", \"https://shop.example\"], credentials: true }} }} }}\n",
        keys("{}"),
        origin.url()
    ));
    let ask = |origin: &str, request: Request| gateway.send(&request.header("Origin", origin));
    let known = || Request::get("/").header("X-API-Key", KEY);
    let preflight = || Request::new("OPTIONS", "/").header("Access-Control-Request-Method", "GET");
    for listed in ["https://shop.example", "https://eu.shop.example", "https://a.b.shop.example"] {
        assert!(is_readable_with_cookies(&ask(listed, known()), listed), "{listed}");
        let refused = ask(listed, Request::get("/"));
        assert!(refused.status == 401 && is_readable_with_cookies(&refused, listed), "{listed}");
        let allowed = ask(listed, preflight());
        assert!(allowed.status == 204 && is_readable_with_cookies(&allowed, listed), "{listed}");
    }
    for evil in [
        "null",
        "",
        "*",
        "http://shop.example",
        "https://shop.example:8443",
        "https://shop.example.",
        "https://shop.example/",
        "https://shop.example.evil",
        "https://evilshop.example",
        "https://.shop.example",
        "https://evil.example/.shop.example",
        "https://evil.example#.shop.example",
        "https://evil.example?.shop.example",
        "https://evil.example\\.shop.example",
        "https://evil.example@eu.shop.example",
        "https://evil.example:443.shop.example",
        "https://evil%2f.shop.example",
        "https://evil_.example,https://shop.example",
        "https://shop.example https://evil.example",
        "HTTPS://SHOP.EXAMPLE",
        "file://",
    ] {
        for request in [known(), Request::get("/"), preflight()] {
            let answer = ask(evil, request);
            assert_eq!(answer.header("access-control-allow-origin"), None, "{evil}");
            assert_eq!(answer.header("access-control-allow-credentials"), None, "{evil}");
        }
    }
    let both = known().header("Origin", "https://evil.example");
    assert_eq!(ask("https://shop.example", both).header("access-control-allow-origin"), None);
}

#[test]
fn a_preflight_where_nobody_answers_one_is_a_request_like_any_other() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "{}routes:\n  /a: {{ auth: keys, to: {url} }}\n  OPTIONS /b: {{ auth: keys, to: {url}, cors: \"https://shop.example\" }}\n",
        keys("{}"),
        url = origin.url()
    ));
    for target in ["/a", "/b"] {
        let request = Request::new("OPTIONS", target).header("Origin", "https://shop.example");
        assert_eq!(gateway.send(&request.header("Access-Control-Request-Method", "OPTIONS")).status, 401, "{target}");
    }
    assert!(origin.requests().is_empty());
}
