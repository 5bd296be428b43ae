//! Spellings of a path that must not get past a route meant to catch it.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

/// Spellings of `/admin/keys` and of paths below it, or attempts to reach it from elsewhere.
const SPELLINGS: &[&str] = &[
    "/admin/keys",
    "//admin/keys",
    "///admin//keys",
    "/admin//keys",
    "/./admin/keys",
    "/admin/./keys",
    "/admin/././keys",
    "/x/../admin/keys",
    "/x/y/../../admin/keys",
    "/x/.././admin/keys",
    "/public/../admin/keys",
    "/public/./../admin/keys",
    "/public//../admin/keys",
    "/public/%2e%2e/admin/keys",
    "/public/%2E%2E/admin/keys",
    "/public/.%2e/admin/keys",
    "/public/%2e./admin/keys",
    "/public/%2e/%2e%2e/admin/keys",
    "/%61dmin/keys",
    "/%61%64%6d%69%6e/keys",
    "/%61%64%6D%69%6E/%6beys",
    "/admin/%6Beys",
    "/admin/k%65ys",
    "/adm%69n/keys",
    "/admin/keys/.",
    "/admin/keys/x/..",
    "/admin/x/../keys",
    "/admin/%2e/keys",
    "/admin/keys?",
    "/admin/keys?x=1",
    "/admin/keys?/../../public",
    "/admin/keys/",
    "/admin/keys//",
    "/admin/keys/more",
    "http://a/admin/keys",
    "http://a//admin/keys",
    "http://a/public/../admin/keys",
    "/public/%2f../admin/keys",
    "/public/..%2fadmin/keys",
    "/public/..%2Fadmin/keys",
    "/public%2f..%2fadmin%2fkeys",
    "/public/..%5cadmin/keys",
    "/public/..\\admin\\keys",
    "/public\\..\\admin\\keys",
    "/public/%5c../admin/keys",
    "/public/%252e%252e/admin/keys",
    "/public/%c0%ae%c0%ae/admin/keys",
    "/public/%c0%af../admin/keys",
    "/public/%e0%80%af../admin/keys",
    "/public/%uff0e%uff0e/admin/keys",
    "/public/..;/admin/keys",
    "/public/;/../admin/keys",
    "/public/..%00/admin/keys",
    "/public/..%0d%0a/admin/keys",
    "/public/..%09/admin/keys",
    "/admin%00/keys",
    "/admin%20/keys",
    "/admin/keys%00",
    "/admin%2fkeys",
    "/admin%2Fkeys",
    "/admin%5ckeys",
    "/../admin/keys",
    "/../../admin/keys",
    "/public/../../admin/keys",
    "/%2e%2e/admin/keys",
];

/// The path as any service might understand it: decoded until nothing changes, backslashes turned, path parameters cut,
/// dot segments resolved.
fn understood(target: &str) -> String {
    let mut path = target.split('?').next().unwrap_or_default().to_owned();
    for _ in 0..3 {
        path = decoded_once(&path);
    }
    let mut segments: Vec<String> = Vec::new();
    for segment in path.replace('\\', "/").split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other.to_owned()),
        }
    }
    format!("/{}", segments.join("/"))
}

fn decoded_once(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let octet = rest.strip_prefix('%').and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        match octet.filter(u8::is_ascii) {
            Some(octet) => {
                out.push(octet.into());
                rest = &rest[3..];
            }
            None => {
                out.push(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }
    out
}

#[test]
fn no_spelling_of_a_path_gets_past_its_route() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  /admin/**: {{ respond: {{ status: 403, body: no }} }}\n  /**: {{ to: {} }}\n",
        origin.url()
    ));
    let mut reached = 0;
    for spelling in SPELLINGS {
        let reply = gateway.send(&Request::get(spelling).header("Host", "a"));
        assert!(matches!(reply.status, 200 | 400 | 403), "{spelling}: {}", reply.status);
        reached += usize::from(reply.status == 403);
    }
    for request in origin.requests() {
        // What is encoded twice or by path parameters is the service's own reading; one decoding must not lead there.
        let plain = !request.target.contains("%25") && !request.target.contains(';');
        assert!(!(plain && understood(&request.target).starts_with("/admin/")), "{} got through", request.target);
    }
    assert!(reached >= 30, "only {reached} spellings were taken for what they are");
}

#[test]
fn prefixes_match_whole_segments() {
    let gateway =
        Gateway::start("routes:\n  /products/**: { respond: { body: a } }\n  /exact: { respond: { body: b } }\n");
    for target in ["/products-for-sale", "/productsx", "/product", "/exact/", "/exact/x", "/Exact", "/PRODUCTS/x"] {
        assert_eq!(gateway.get(target).status, 404, "{target}");
    }
    for target in ["/products", "/products/", "/products/a/b"] {
        assert_eq!(gateway.get(target).status, 200, "{target}");
    }
}

#[test]
fn no_spelling_of_a_host_gets_past_its_route() {
    let gateway = Gateway::start(
        "apis:\n  inner: { host: inner.example, routes: { /**: { respond: { status: 403 } } } }\nroutes: { /**: { respond: { body: a } } }",
    );
    for host in ["inner.example", "INNER.example", "inner.example:80", "Inner.Example:8080", "inner.example."] {
        assert_eq!(gateway.send(&Request::get("/").header("Host", host)).status, 403, "{host}");
    }
    assert_eq!(gateway.send(&Request::get("http://INNER.example/").header("Host", "INNER.example")).status, 403);
}
