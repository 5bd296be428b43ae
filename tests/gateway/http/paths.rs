//! The target on its way to the upstream: normalised path, untouched query, bases and rewrites.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

#[test]
fn the_upstream_gets_the_normal_form_of_the_path() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let cases = [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a//b", "/a/b"),
        ("/%61%7E/%2d", "/a~/-"),
        ("/a%20b/%c3%a9", "/a%20b/%C3%A9"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/", "/a/"),
        ("/", "/"),
    ];
    let mut client = gateway.connect();
    for (sent, seen) in cases {
        assert_eq!(client.send(&Request::get(sent)).json()["target"], seen, "{sent}");
    }
}

#[test]
fn the_query_is_left_alone() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for query in ["?", "?a=%61&b=//../%2F", "?a?b=c", "?q=%zz&&=", "?a=1&a=2;b"] {
        let target = format!("/x{query}");
        assert_eq!(client.send(&Request::get(&target)).json()["target"], target);
        let odd = format!("//x/.{query}");
        assert_eq!(client.send(&Request::get(&odd)).json()["target"], format!("/x/{query}"));
    }
}

#[test]
fn an_absolute_target_reaches_the_upstream_in_origin_form() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let request = Request::get("http://shop.example/a/../b?c").header("Host", "shop.example");
    assert_eq!(gateway.send(&request).json()["target"], "/b?c");
}

#[test]
fn the_base_of_an_api_is_stripped_and_named() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "apis:\n  shop:\n    base: /v1\n    routes:\n      /p/**: {{ to: {url} }}\n      /kept/**: {{ to: {url}, strip: false }}\n",
        url = origin.url()
    ));
    gateway.get("/v1/p/7?x=1");
    gateway.get("/v1/kept/7");
    let requests = origin.requests();
    assert_eq!(requests[0].target, "/p/7?x=1");
    assert_eq!(requests[0].header("x-forwarded-prefix"), Some("/v1"));
    assert_eq!(requests[1].target, "/v1/kept/7");
    assert_eq!(requests[1].header("x-forwarded-prefix"), None);
    assert_eq!(gateway.get("/p/7").status, 404);
}

#[test]
fn a_rewrite_places_captures() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  /users/{{id}}: {{ to: {url}, rewrite: \"/v2/{{id}}\" }}\n  /files/**: {{ to: {url}, rewrite: \"/store/{{**}}\" }}\n",
        url = origin.url()
    ));
    for (sent, seen) in [
        ("/users/7?a=b", "/v2/7?a=b"),
        ("/users/a%20b", "/v2/a%20b"),
        ("/files/x/y", "/store/x/y"),
        ("/files/x/../y", "/store/y"),
    ] {
        assert_eq!(gateway.get(sent).json()["target"], seen, "{sent}");
    }
}

#[test]
fn an_encoded_slash_passes_only_where_the_route_keeps_it() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  /strict/**: {{ to: {url} }}\n  /kept/**: {{ to: {url}, encoded_slash: keep }}\n",
        url = origin.url()
    ));
    for target in ["/strict/a%2Fb", "/strict/a%2fb", "/strict/a%5Cb", "/strict/a%5cb"] {
        let reply = gateway.get(target);
        assert_eq!((reply.status, &reply.json()["type"]), (400, &"urn:tollgate:problem:bad-path".into()), "{target}");
    }
    assert!(origin.requests().is_empty());
    assert_eq!(gateway.get("/kept/a%2Fb").json()["target"], "/kept/a%2Fb");
}
