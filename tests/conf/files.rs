//! What the files of `conf/` do with traffic, each as its comments say.

use std::collections::BTreeSet;
use std::fs;

use crate::copy::{Copy, check, get, main_address, root};
use crate::support::client::{Request, Response, send};
use crate::support::tls::H1;
use tempfile::TempDir;

#[test]
fn every_file_is_clean() {
    let entries = fs::read_dir(root().join("conf")).expect("conf/");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name in UTF-8"))
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 11, "{names:?}");
    for name in names {
        let said = check(&Copy::of_file(&name).path);
        assert!(said.as_ref().is_ok_and(|routes| *routes > 0), "conf/{name}: {said:?}");
    }
}

#[test]
fn minimal_forwards_everything_and_says_when_nobody_is_there() {
    let gateway = Copy::of_file("minimal.yaml").start();
    let answer = get(&gateway, "/anything");
    // Nothing of this test listens on port 3000: whoever runs it may have something there.
    assert!(answer.status == 502 || answer.header("via").is_some(), "{answer:?}");
}

#[test]
fn routing_answers_as_its_comments_say() {
    let gateway = Copy::of_file("routing.yaml").start();
    assert_eq!(get(&gateway, "/v7/status").text(), "fine\n");
    let teapot = get(&gateway, "/teapot");
    assert_eq!((teapot.status, teapot.header("x-pot")), (418, Some("tea")));
    let old = get(&gateway, "/old/a/b?c=d");
    assert_eq!((old.status, old.header("location")), (308, Some("/files/a/b?c=d")));
    assert_eq!(get(&gateway, "/moved").header("location"), Some("https://shop.example/"));
    let wrong_method = get(&gateway, "/orders");
    assert_eq!((wrong_method.status, wrong_method.header("allow")), (405, Some("POST, PUT")));
    assert_eq!(get(&gateway, "/orders/a%2Fb").status, 400);
}

#[test]
fn limits_refuse_what_is_over_them() {
    let gateway = Copy::of_file("limits.yaml").start();
    let large = Request::post("/api/orders", vec![b'x'; 64 * 1024 + 1]);
    assert_eq!(send(main_address(&gateway), &large).status, 413);
    let long = format!("/api/{}", "a".repeat(8 * 1024));
    assert_eq!(send(main_address(&gateway), &Request::get(&long)).status, 414);
}

#[test]
fn rates_refuse_what_is_too_much() {
    let gateway = Copy::of_file("rates.yaml").start();
    let login = || send(main_address(&gateway), &Request::post("/login", "")).status;
    assert_eq!([login(), login(), login(), login(), login(), login()], [401, 401, 401, 401, 401, 429]);
    assert_eq!(get(&gateway, "/health").header("ratelimit"), None);
    assert_eq!(get(&gateway, "/search").status, 200);
}

/// How many limits an answer tells of.
fn told(answer: &Response) -> usize {
    answer.header("ratelimit-policy").map_or(0, |policies| policies.split(", ").count())
}

#[test]
fn shared_limits_without_their_store_are_each_gateway_s_own() {
    // The store of the example is not there: whatever listens on its port is nobody's business here.
    let text = fs::read_to_string(root().join("conf/shared-limits.yaml")).expect("an example");
    let gateway = Copy::of(&text.replace("redis://127.0.0.1:6379", "redis://127.0.0.1:1")).start();
    assert_eq!(get(&gateway, "/products/1").status, 200);
    assert_eq!(get(&gateway, "/reports/1").status, 200);
    assert_eq!(send(main_address(&gateway), &Request::post("/payments", "")).status, 503);
    assert_eq!(get(&gateway, "/health").status, 200);
    let bought = Request::get("/orders/1").header("X-API-Key", "test");
    let bought = send(main_address(&gateway), &bought);
    assert_eq!((bought.status, told(&bought)), (200, 2));
}

#[test]
fn plans_bound_who_is_on_them() {
    let gateway = Copy::of_file("plans.yaml").start();
    let with = |key: &str, path: &str| send(main_address(&gateway), &Request::get(path).header("X-API-Key", key));
    let answer = with("test", "/orders/1");
    assert_eq!(answer.status, 502, "nobody listens behind it");
    assert_eq!(told(&answer), 2);
    let statuses: BTreeSet<u16> = (0..30).map(|_| with("test2", "/reports/7").status).collect();
    assert_eq!(statuses, BTreeSet::from([429, 502]));
    assert!(with("test2", "/status").headers("ratelimit").is_empty());
}

#[test]
fn combined_answers_say_which_part_is_missing() {
    let gateway = Copy::of_file("combine.yaml").start();
    let full = get(&gateway, "/orders/7/full");
    assert_eq!((full.status, &full.json()["part"]), (502, &"order".into()));
    let home = get(&gateway, "/home/7?limit=3");
    assert_eq!(home.status, 200);
    let (partial, expected) =
        (home.header("tollgate-partial"), "user;reason=upstream-refused, news;reason=upstream-refused");
    assert_eq!(partial, Some(expected));
    assert_eq!(home.text(), r#"{"hello":"Hello, guest!","news":null,"version":1,"partial":["user","news"]}"#);
    let checkout = send(main_address(&gateway), &Request::post("/checkout", "{}"));
    assert_eq!((checkout.status, &checkout.json()["part"]), (502, &"order".into()));
    let batch = Request::post("/batch", r#"{"requests":[{"path":"/home/7"},{"path":"/orders/7/full"}]}"#);
    let batch = send(main_address(&gateway), &batch.header("Content-Type", "application/json")).json();
    assert_eq!((&batch["responses"][0]["status"], &batch["responses"][1]["status"]), (&200.into(), &502.into()));
}

#[test]
fn rules_of_a_schema_make_routes() {
    let gateway = Copy::of_file("transcode.yaml").start();
    // Nobody listens behind it: what makes no message is found out before anybody is asked.
    for (target, status, reason) in [
        ("/library/v1/shelves/fiction/books/7", 502, "upstream-refused"),
        (
            "/library/v1/shelves/fiction/books?page_size=5&filter.author=Ann&filter.tags=a&filter.tags=b",
            502,
            "upstream-refused",
        ),
        ("/library/v1/shelves/fiction/books?page_size=many", 400, "invalid-message"),
        ("/library/v1/shelves/fiction:watch", 502, "upstream-refused"),
        ("/library/v1/shelves", 404, "no-route"),
        ("/search/ships?limit=5&unknown=1", 502, "upstream-refused"),
        ("/search/ships?limit=x", 400, "invalid-message"),
    ] {
        let answer = get(&gateway, target);
        assert_eq!((answer.status, answer.problem().as_str()), (status, reason), "{target}");
    }
    let lent = Request::post("/library/v1/shelves/fiction/books/7:lend", r#"{"until":"tomorrow"}"#);
    let lent = send(main_address(&gateway), &lent.header("Content-Type", "application/json"));
    assert_eq!((lent.status, lent.problem().as_str()), (400, "invalid-message"));
}

#[test]
fn compression_as_each_client_likes_it() {
    let gateway = Copy::of_file("compress.yaml").start();
    let coding = |target: &str, accept: &str| {
        let asked = Request::get(target).header("Accept-Encoding", accept);
        send(main_address(&gateway), &asked).header("content-encoding").map(str::to_owned)
    };
    assert_eq!(coding("/products", "gzip, br").as_deref(), Some("br"));
    assert_eq!(coding("/products", "gzip, br;q=0.5").as_deref(), Some("gzip"));
    assert_eq!(coding("/report", "gzip"), None, "shorter than 4 KiB");
    assert_eq!(coding("/events", "zstd").as_deref(), Some("zstd"));
    assert_eq!(coding("/account", "zstd"), None);
}

#[test]
fn changes_are_made_as_their_comments_say() {
    let gateway = Copy::of_file("transform.yaml").start();
    let hello = send(main_address(&gateway), &Request::post("/hello/ann", ""));
    let header = |name: &str| hello.header(name);
    assert_eq!(
        (header("x-greeted"), header("x-changed"), header("x-powered-by")),
        (Some("ann"), Some("yes"), Some("patience"))
    );
    assert_eq!((header("content-language"), header("set-cookie")), (Some("en"), Some("seen=ann; Path=/; HttpOnly")));
    assert_eq!(get(&gateway, "/hello/ann").header("x-changed"), None);
    let status = get(&gateway, "/status/cart?by=ann");
    assert_eq!(status.text(), "{\"service\":\"cart\",\"by\":\"ann\",\"state\":\"up\"}");
    let moved = get(&gateway, "/old-orders/7");
    let host = main_address(&gateway).ip().to_string();
    assert_eq!(moved.header("location"), Some(format!("/orders/7?from={host}&tenant=none").as_str()));
    let invoice = send(main_address(&gateway), &Request::get("/invoices/7").header("Accept", "application/xml"));
    assert_eq!(invoice.text(), "<invoice id=\"7\"/>");
}

#[test]
fn the_cache_says_what_it_did() {
    let gateway = Copy::of_file("cache.yaml").start();
    for path in ["/catalog/1", "/search?q=a&utm=b", "/news"] {
        let answer = get(&gateway, path);
        // Nothing of this test listens behind it.
        assert_eq!((answer.status, answer.header("cache-status")), (502, Some("tollgate; fwd=uri-miss")), "{path}");
    }
    let asked = Request::get("/news").header("Cache-Control", "only-if-cached");
    assert_eq!(send(main_address(&gateway), &asked).status, 504);
    let own = Request::get("/account/1").header("X-API-Key", "test");
    assert_eq!(send(main_address(&gateway), &own).header("cache-status"), Some("tollgate; fwd=uri-miss"));
    let preview = own.header("X-Preview", "1");
    let past = send(main_address(&gateway), &preview);
    assert_eq!(past.header("cache-status"), Some("tollgate; fwd=bypass; detail=configured"));
}

#[test]
fn a_browser_is_told_to_stay_at_its_version() {
    let gateway = Copy::of_file("rollout.yaml").start();
    let first = get(&gateway, "/checkout/1");
    let issued = first.header("set-cookie").expect("a cookie");
    assert!(issued.starts_with("checkout_version=") && issued.contains("Max-Age=2592000"), "{issued}");
    let pair = issued.split(';').next().unwrap_or_default();
    let again = Request::get("/checkout/1").header("Cookie", pair);
    assert_eq!(send(main_address(&gateway), &again).header("set-cookie"), None);
    // Nobody listens behind the mirror either, which is nobody's business.
    assert_eq!(get(&gateway, "/search?q=a").status, 502);
    assert_eq!(get(&gateway, "/prices/7").status, 502);
    let away = get(&gateway, "/catalog/7");
    assert_eq!((away.status, away.header("retry-after")), (503, Some("30")));
    assert_eq!(away.text(), r#"{"message":"The catalog is away, /catalog/7 too."}"#);
}

#[test]
fn maintenance_says_when_it_is_over() {
    let gateway = Copy::of_file("faults.yaml").start();
    let away = get(&gateway, "/reports/today");
    assert_eq!((away.status, away.header("retry-after")), (503, Some("3600")));
}

#[test]
fn replies_are_the_operators_own() {
    let gateway = Copy::of_file("replies.yaml").start();
    let missing = get(&gateway, "/nowhere");
    assert_eq!((missing.status, missing.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(missing.text().contains("Nothing here"), "{missing:?}");
    let large = send(main_address(&gateway), &Request::post("/shop/orders", vec![b'x'; 1025]));
    assert_eq!((large.status, large.text()), (400, "400 too much\n"));
    let bad = get(&gateway, "/shop/%2e%2e/%2e%2e/x");
    assert_eq!((bad.status, bad.json()["error"].as_str()), (400, Some("bad-path")));
}

#[test]
fn operations_guards_the_admin_api_and_answers() {
    let gateway = Copy::of_file("operations.yaml").start();
    assert_eq!(get(&gateway, "/").json()["client"], "welcome");
    let admin = gateway.admin_address().expect("an admin API");
    let ask = |request: Request| send(admin, &request.unidentified());
    assert_eq!(ask(Request::get("/ready")).status, 200);
    assert_eq!(ask(Request::get("/metrics")).status, 401);
    let metrics = ask(Request::get("/metrics").header("Authorization", "Bearer a-token-for-tests"));
    assert!(metrics.text().contains("tollgate_config_revision"), "{metrics:?}");
}

#[test]
fn tls_chooses_by_name_and_asks_partners_for_a_certificate() {
    let copy = Copy::of_file("tls.yaml");
    let gateway = copy.start();
    let public = gateway.address("public").expect("a listener");
    let partners = gateway.address("partners").expect("a listener");
    for name in ["shop.example", "eu.shop.example"] {
        let client = crate::support::client::Client::connect_tls(public, &copy.authority.connector(H1), name);
        let answer = client.expect("a handshake").send(&Request::get("/"));
        assert_eq!(answer.json()["hello"], "there", "{name}");
    }
    let partner = copy.authority.client("partner");
    let known = copy.authority.connector_as(H1, Some(&partner));
    let mut client =
        crate::support::client::Client::connect_tls(partners, &known, "shop.example").expect("a handshake");
    assert_eq!(client.send(&Request::get("/")).status, 200);
    // TLS 1.3 refuses a client without a certificate after its own end of the handshake.
    let stranger = crate::support::client::Client::connect_tls(partners, &copy.authority.connector(H1), "shop.example");
    if let Ok(mut stranger) = stranger {
        stranger.send_raw(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        assert!(stranger.read_to_close().is_empty());
    }
}

#[test]
fn upstreams_and_grpc_start_and_answer_for_missing_services() {
    let gateway = Copy::of_file("resilience.yaml").start();
    assert_eq!(get(&gateway, "/orders/7").status, 502);
    let gateway = Copy::of_file("upstreams.yaml").start();
    assert_eq!(get(&gateway, "/nowhere").status, 404);
    let gateway = Copy::of_file("grpc.yaml").start();
    let clear = gateway.address("clear").expect("a listener");
    assert_eq!(send(clear, &Request::get("/nowhere")).status, 404);
}

#[test]
fn the_unit_names_what_the_gateway_has() {
    let unit = fs::read_to_string(root().join("conf/tollgate.service")).expect("the unit");
    for line in ["Type=forking", "PIDFile=/run/tollgate/pid", "NoNewPrivileges=yes"] {
        assert!(unit.lines().any(|known| known == line), "{line}");
    }
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gateway.yaml");
    let server = unit.lines().find_map(|line| line.strip_prefix("#   server: ")).expect("the settings it asks for");
    fs::write(&path, format!("listen: 127.0.0.1:0\nserver: {server}\nroutes: {{ /: {{ respond: {{}} }} }}\n"))
        .expect("a file");
    assert_eq!(check(&path), Ok(1));
}

#[test]
fn events_are_asked_for_and_told_when_nobody_is_there() {
    let gateway = Copy::of_file("events.yaml").start();
    let asks = Request::get("/news").header("Accept", "text/event-stream");
    assert_eq!(send(main_address(&gateway), &asks).status, 502, "nobody listens behind it");
    let posted = Request::post("/v1/chat/completions", "{}").header("Accept", "text/event-stream");
    assert_eq!(send(main_address(&gateway), &posted).status, 502);
}
