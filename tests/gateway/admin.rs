//! The admin API, asked over its own socket.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

const PAGES: [&str; 6] = ["/health", "/ready", "/metrics", "/config", "/upstreams", "/explain?url=/"];

#[test]
fn every_page_is_there_and_takes_only_its_method() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for page in PAGES {
        assert_eq!(gateway.page(page).status, 200, "{page}");
        assert_eq!(gateway.admin(Request::new("DELETE", page)).status, 405, "{page}");
    }
    assert_eq!(gateway.page("/reload").status, 405);
    assert_eq!(gateway.page("/nowhere").status, 404);
}

#[test]
fn without_its_token_only_the_probes_answer() {
    let gateway = Gateway::start(
        "admin: { address: \"127.0.0.1:0\", token: { value: s3cret-admin, insecure_inline: true } }\nroutes: { /: { respond: { body: a } } }",
    );
    for page in ["/health", "/ready"] {
        assert_eq!(gateway.page(page).status, 200, "{page}");
    }
    for page in ["/metrics", "/config", "/upstreams", "/explain?url=/", "/nowhere"] {
        let refused = gateway.page(page);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{page}");
        for wrong in
            ["Bearer", "Bearer ", "Bearer s3cret", "Bearer s3cret-admin2", "Basic s3cret-admin", "s3cret-admin"]
        {
            let request = Request::get(page).header("Authorization", wrong);
            assert_eq!(gateway.admin(request).status, 401, "{page} {wrong}");
        }
        let allowed = gateway.admin(Request::get(page).header("Authorization", "Bearer s3cret-admin"));
        assert_ne!(allowed.status, 401, "{page}");
        assert!(!allowed.text().contains("s3cret-admin"), "{page} tells the token");
    }
    assert_eq!(gateway.admin(Request::new("POST", "/reload")).status, 401);
}

#[test]
fn the_configuration_is_shown_in_its_long_form() {
    let gateway = Gateway::start("defaults: { timeout: 7s }\nroutes: { /x: { respond: { body: a } } }");
    let config = gateway.page("/config").json();
    assert_eq!(config["defaults"]["timeout"], "7s");
    assert!(config["routes"]["/x"].is_object() || config["routes"]["/x"].is_array(), "{config}");
}

#[test]
fn endpoints_are_shown_with_what_they_did() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "upstreams: {{ users: {{ endpoints: [{}] }} }}\nroutes: {{ /x: {{ to: users }} }}",
        origin.url()
    ));
    gateway.get("/x");
    let shown = gateway.page("/upstreams").json();
    assert_eq!((&shown[0]["name"], &shown[0]["panic"]), (&"users".into(), &false.into()));
    assert_eq!(shown[0]["endpoints"][0]["endpoint"], origin.url());
    assert_eq!(shown[0]["endpoints"][0]["attempts"], 1);
}

#[test]
fn metrics_count_by_route_and_never_by_path() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ \"/x/{{id}}\": {{ to: {} }} }}", origin.url()));
    for n in 0..5 {
        gateway.get(&format!("/x/secret-{n}"));
        gateway.get(&format!("/nowhere-{n}"));
    }
    gateway.await_metric("tollgate_requests_total", &["route=\"/x/{id}\"", "status=\"200\""], 5.0);
    gateway.await_metric("tollgate_refusals_total", &["no-route"], 5.0);
    gateway.await_metric("tollgate_upstream_attempts_total", &[], 5.0);
    let page = gateway.page("/metrics").text().to_owned();
    assert!(!page.contains("secret-") && !page.contains("nowhere-"), "{page}");
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn explain_names_the_winner() {
    let gateway = Gateway::start("routes:\n  GET /a: { respond: { body: a } }\n  /**: { respond: { body: b } }\n");
    let told = gateway.page("/explain?method=GET&url=/a").text().to_owned();
    assert!(told.contains("GET /a"), "{told}");
    let told = gateway.page("/explain?method=POST&url=/a").text().to_owned();
    assert!(told.contains("/**"), "{told}");
}

#[test]
fn a_reload_by_the_api_says_what_came_of_it() {
    let gateway = Gateway::start("routes: { /one: { respond: { body: a } } }");
    gateway.rewrite("routes: { /two: { respond: { body: a } } }");
    let taken = gateway.admin(Request::new("POST", "/reload"));
    assert_eq!((taken.status, &taken.json()["revision"]), (200, &2.into()));
    assert_eq!(gateway.get("/two").status, 200);
    gateway.rewrite("routes: { /three: 3 }");
    let refused = gateway.admin(Request::new("POST", "/reload"));
    assert_eq!((refused.status, &refused.json()["loaded"]), (422, &false.into()));
    assert_eq!(gateway.get("/two").status, 200);
}
