//! `combine:` over real sockets: order, failure of every kind, bounds, and values that try to be more than values.

use crate::support::client::{Request, send};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::{ports, wait};
use serde_json::json;
use std::cell::Cell;

mod parts;

fn json_answer(value: &serde_json::Value) -> Answer {
    Answer::ok(value.to_string()).header("Content-Type", "application/json")
}

/// The services of a small shop.
fn shop() -> Origin {
    Origin::start(|request| match request.target.as_str() {
        "/orders/7" => json_answer(&json!({"id": 7, "customer_id": "c 1", "items": [{"sku": "b"}, {"sku": "a"}]})),
        "/customers/c%201" => json_answer(&json!({"name": "Ann", "internal": 1})),
        "/stock?sku=a" => json_answer(&json!({"sku": "a", "left": 3})),
        "/stock?sku=b" => json_answer(&json!({"sku": "b", "left": 0})),
        "/exact" => Answer::ok(r#"{"z":18446744073709551616,"a":1.50}"#).header("Content-Type", "application/json"),
        _ => Answer::status(404),
    })
}

fn gateway(origin: &Origin, combine: &str) -> Gateway {
    gateway_at(&origin.url(), combine)
}

fn gateway_at(url: &str, combine: &str) -> Gateway {
    Gateway::start(&format!(
        "upstreams: {{ shop: {{ endpoints: [{url}], ejection: \"off\" }} }}\nroutes:\n  /full/{{id}}:\n    timeout: 5s\n    combine: {combine}\n"
    ))
}

#[test]
fn parts_follow_their_references_and_lists_are_asked_item_by_item() {
    let shop = shop();
    let gateway = gateway(
        &shop,
        r#"{ order: { get: "shop:/orders/{id}" },
             customer: { get: "shop:/customers/{order.customer_id}", pick: [name] },
             stock: { get: "shop:/stock?sku={item.sku}", each: "{order.items}" } }"#,
    );
    let answer = gateway.get("/full/7");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let expected = r#"{"order":{"id":7,"customer_id":"c 1","items":[{"sku":"b"},{"sku":"a"}]},"customer":{"name":"Ann"},"stock":[{"sku":"b","left":0},{"sku":"a","left":3}]}"#;
    assert_eq!(answer.text(), expected);
    assert_eq!(answer.header("tollgate-partial"), None);
}

#[test]
fn the_shape_of_the_answer_is_written_and_numbers_stay_as_they_are() {
    let shop = shop();
    let gateway = gateway(
        &shop,
        r#"{ parts: { exact: { get: "shop:/exact" } }, shape: { big: "{exact.z}", price: "{exact.a}", said: "no {id}: {exact.a}", fixed: [1, "x"] } }"#,
    );
    let answer = gateway.get("/full/9");
    assert_eq!(answer.text(), r#"{"big":18446744073709551616,"price":1.50,"said":"no 9: 1.50","fixed":[1,"x"]}"#);
}

#[test]
fn parts_that_need_nothing_of_each_other_are_asked_side_by_side() {
    let gate = Gate::default();
    let inner = gate.clone();
    let slow = Origin::start(move |_| {
        // Answers only once both have come.
        inner.pass();
        json_answer(&json!(1))
    });
    let gateway = gateway(&slow, r#"{ a: { get: "shop:/a" }, b: { get: "shop:/b" } }"#);
    let asking = std::thread::spawn({
        let address = gateway.address();
        move || send(address, &Request::get("/full/1"))
    });
    gate.await_arrivals(2);
    gate.open();
    assert_eq!(asking.join().unwrap().text(), r#"{"a":1,"b":1}"#);
}

#[test]
fn every_failure_of_a_required_part_is_the_answer() {
    let json = |body: &str| Answer::ok(body).header("Content-Type", "application/json");
    let cases: [(&str, &dyn Fn() -> Answer, u16, &str); 9] = [
        ("reset", &|| Answer::none(Ending::Reset), 502, "upstream-reset"),
        ("no JSON", &|| json("{"), 502, "upstream-body"),
        ("long", &|| json(&" ".repeat(2000)), 502, "upstream-body"),
        ("no text", &|| Answer::ok("x").header("Content-Type", "image/png"), 502, "upstream-body"),
        ("no HTTP", &|| Answer::raw("garbage\r\n\r\n"), 502, "upstream-invalid"),
        ("404", &|| Answer::status(404), 404, "part-failed"),
        ("429", &|| Answer::status(429).header("Retry-After", "7"), 429, "part-failed"),
        ("500", &|| Answer::status(500), 502, "part-failed"),
        ("302", &|| Answer::status(302).header("Location", "http://elsewhere/"), 502, "part-failed"),
    ];
    let answers: Vec<Answer> = cases.iter().map(|(_, answer, ..)| answer()).collect();
    let answers = std::sync::Mutex::new(answers.into_iter());
    let origin = Origin::start(move |_| answers.lock().unwrap().next().unwrap());
    let part = r#"{ order: { get: "shop:/orders/{id}", most: 1000B } }"#;
    let working = gateway_at(&origin.url(), part);
    let check = |gateway: &Gateway, said: &str, status: u16, reason: &str| {
        let refused = gateway.get("/full/7");
        assert_eq!(refused.status, status, "{said}: {}", refused.text());
        let problem = refused.json();
        assert_eq!(problem["type"], format!("urn:tollgate:problem:{reason}"), "{said}");
        assert_eq!((&problem["part"], &problem["status"]), (&"order".into(), &status.into()), "{said}");
        assert!(!refused.text().contains("127.0.0.1"), "{}", refused.text());
        assert_eq!(refused.header("retry-after"), (status == 429).then_some("7"), "{said}");
    };
    for (said, _, status, reason) in cases {
        check(&working, said, status, reason);
    }
    let down = gateway_at(&format!("http://{}", ports::free()), part);
    check(&down, "refused", 502, "upstream-refused");
}

#[test]
fn an_optional_part_is_left_out_or_replaced_and_the_answer_says_so() {
    let shop = shop();
    let gateway = gateway(
        &shop,
        r#"{ parts: { order: { get: "shop:/orders/7", pick: [id] },
                      gone: { get: "shop:/gone", optional: true },
                      spare: { get: "shop:/gone/{gone.id}", optional: true, fallback: { of: "{id}", order: "{order.id}" } } },
             mark_partial: body }"#,
    );
    let answer = gateway.get("/full/7");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"order":{"id":7},"spare":{"of":"7","order":7},"partial":["gone","spare"]}"#);
    assert_eq!(answer.header("tollgate-partial"), Some("gone;reason=status-404, spare;reason=reference"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

/// A service that answers `/never` only once the gate is open.
fn stuck(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |request| match request.target.as_str() {
        "/never" => {
            gate.pass();
            json_answer(&json!(0))
        }
        "/no" => {
            gate.await_arrivals(1);
            Answer::status(403)
        }
        other => json_answer(&json!(other)),
    })
}

fn await_given_up(gateway: &Gateway) {
    gateway.await_metric("tollgate_upstream_attempts_total", &["upstream=\"shop\"", "outcome=\"abandoned\""], 1.0);
}

#[test]
fn a_part_that_is_late_holds_nobody_up() {
    let gate = Gate::default();
    let origin = stuck(&gate);
    let gateway = gateway(
        &origin,
        r#"{ never: { get: "shop:/never", optional: true, timeout: 500ms }, quick: { get: "shop:/quick" } }"#,
    );
    let answer = gateway.get("/full/1");
    await_given_up(&gateway);
    gate.open();
    assert_eq!((answer.status, answer.text()), (200, r#"{"quick":"/quick"}"#));
    assert_eq!(answer.header("tollgate-partial"), Some("never;reason=timeout"));
}

#[test]
fn what_a_required_part_refuses_gives_the_other_calls_up() {
    let gate = Gate::default();
    let origin = stuck(&gate);
    let gateway = gateway(&origin, r#"{ never: { get: "shop:/never" }, no: { get: "shop:/no" } }"#);
    assert_eq!(gateway.get("/full/1").status, 403);
    await_given_up(&gateway);
    gate.open();
}

#[test]
fn a_client_that_leaves_gives_the_calls_up() {
    let gate = Gate::default();
    let origin = stuck(&gate);
    let gateway = gateway(&origin, r#"{ never: { get: "shop:/never" }, quick: { get: "shop:/quick" } }"#);
    let mut client = gateway.connect();
    client.send_raw(b"GET /full/1 HTTP/1.1\r\nHost: a\r\n\r\n");
    gate.await_arrivals(1);
    drop(client);
    await_given_up(&gateway);
    gate.open();
}

#[test]
fn the_deadline_of_the_route_is_that_of_all_its_parts() {
    let gate = Gate::default();
    let origin = stuck(&gate);
    let gateway = Gateway::start(&format!(
        "upstreams: {{ shop: {{ endpoints: [{}] }} }}\nroutes:\n  /full:\n    timeout: 1s\n    combine: {}\n",
        origin.url(),
        r#"{ first: { get: "shop:/first" }, never: { get: "shop:/never", headers: { X-A: "{first}" }, optional: true } }"#,
    ));
    let late = gateway.get("/full");
    await_given_up(&gateway);
    gate.open();
    assert_eq!(late.status, 504, "{}", late.text());
}

#[test]
fn a_value_is_only_ever_a_value() {
    let origin = Origin::start(|request| json_answer(&json!({"target": request.target, "x": request.header("x-it")})));
    let gateway = gateway(
        &origin,
        r#"{ a: { get: "shop:/p/{query.v}/end?one={query.v}&two=2", headers: { X-It: "<{query.v}>" } } }"#,
    );
    for (value, path, field) in [
        (
            "x%2F..%2Fadmin%3Fy%3D1",
            "/p/x%2F..%2Fadmin%3Fy%3D1/end?one=x%2F..%2Fadmin%3Fy%3D1&two=2",
            "<x/../admin?y=1>",
        ),
        ("a%26two%3D3%23", "/p/a%26two%3D3%23/end?one=a%26two%3D3%23&two=2", "<a&two=3#>"),
        ("%7Bid%7D", "/p/%7Bid%7D/end?one=%7Bid%7D&two=2", "<{id}>"),
    ] {
        let answer = gateway.get(&format!("/full/1?v={value}"));
        assert_eq!(answer.status, 200, "{value}: {}", answer.text());
        let told = answer.json();
        assert_eq!((&told["a"]["target"], &told["a"]["x"]), (&path.into(), &field.into()), "{value}");
    }
    origin.forget();
    for value in ["..", ".", "", "a%0D%0AX-Evil:%201", "%00"] {
        let answer = gateway.get(&format!("/full/1?v={value}"));
        assert_eq!(answer.status, 400, "{value}: {}", answer.text());
    }
    assert_eq!(gateway.get("/full/1").status, 400);
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
}

#[test]
fn lists_have_a_bound_and_bombs_are_not_unpacked() {
    let many: Vec<u32> = (0..200).collect();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/many" => json_answer(&json!(many)),
        "/bomb" => Answer::ok(bomb()).header("Content-Type", "application/json").header("Content-Encoding", "gzip"),
        "/packed" => {
            Answer::ok(packed(b"[1]")).header("Content-Type", "application/json").header("Content-Encoding", "gzip")
        }
        "/deep" => Answer::ok("[".repeat(100_000)).header("Content-Type", "application/json"),
        "/twice" => Answer::ok(r#"{"a":1,"a":2}"#).header("Content-Type", "application/json"),
        _ => json_answer(&json!(0)),
    });
    let gateway = gateway(
        &origin,
        r#"{ it: { get: "shop:/{id}" }, each: { get: "shop:/one/{item}", each: "{it}", each_most: 100 } }"#,
    );
    for (path, said) in [("many", "200 items"), ("bomb", "too long"), ("deep", "deeper"), ("twice", "already")] {
        let refused = gateway.get(&format!("/full/{path}"));
        assert_eq!(refused.status, 502, "{path}");
        assert!(refused.text().contains(said), "{path}: {}", refused.text());
    }
    assert_eq!(gateway.get("/full/packed").text(), r#"{"it":[1],"each":[0]}"#);
}

fn packed(plain: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// 64 MiB of spaces.
fn bomb() -> Vec<u8> {
    packed(&vec![b' '; 64 << 20])
}

#[test]
fn the_clients_body_is_read_where_it_is_referred_to_and_passed_on_as_it_is() {
    let origin = Origin::start(|request| {
        json_answer(&json!({"method": request.method, "body": String::from_utf8_lossy(&request.body)}))
    });
    let gateway = gateway(
        &origin,
        r#"{ a: { post: "shop:/a", body: "{body}" }, b: { put: "shop:/b", body: { n: "{body.n}", all: ["{id}"] } } }"#,
    );
    let answer = gateway.send(&Request::post("/full/5", r#"{ "n" : 1.0, "big": 12345678901234567890123 }"#));
    let told = answer.json();
    assert_eq!(told["a"], json!({"method": "POST", "body": r#"{"n":1.0,"big":12345678901234567890123}"#}));
    assert_eq!(told["b"], json!({"method": "PUT", "body": r#"{"n":1.0,"all":["5"]}"#}));
    let refused = gateway.send(&Request::post("/full/5", "{"));
    assert_eq!((refused.status, &refused.json()["type"]), (400, &"urn:tollgate:problem:bad-body".into()));
}

#[test]
fn identity_and_request_id_reach_every_part_and_cookies_come_back() {
    let origin = Origin::start(|request| {
        let said = |name: &str| request.header(name).unwrap_or_default().to_owned();
        json_answer(
            &json!({"id": said("x-request-id"), "for": said("x-forwarded-for"), "host": said("x-forwarded-host")}),
        )
        .header("Set-Cookie", &format!("p={}", request.target.trim_start_matches('/')))
    });
    let gateway = gateway(&origin, r#"{ a: { get: "shop:/a" }, b: { get: "shop:/b" } }"#);
    let answer = gateway.get("/full/1");
    let told = answer.json();
    let id = answer.header("x-request-id").unwrap();
    for part in ["a", "b"] {
        assert_eq!((&told[part]["id"], &told[part]["for"]), (&id.into(), &"127.0.0.1".into()), "{told}");
    }
    assert_eq!(answer.headers("set-cookie"), ["p=a", "p=b"]);
}

#[test]
fn parts_are_given_up_and_tried_again_as_the_route_says() {
    let stalling = Origin::start(|_| Answer::none(Ending::Stall));
    let well = Origin::start(|_| json_answer(&json!({"well": true})));
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ shop: {{ endpoints: [{}, {}], ejection: \"off\" }} }}\nroutes:\n  /full:\n    timeout: 6s\n    \
         retries: {{ max: 1, per_try: 150ms, backoff: off, budget: 100% }}\n    combine: {{ one: {{ get: \"shop:/one\" }}, two: {{ get: \"shop:/two\" }} }}\n",
        stalling.url(),
        well.url()
    ));
    let began = std::time::Instant::now();
    let answers = [(); 3].map(|()| gateway.get("/full"));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert!(!stalling.requests().is_empty());
    // One part that was not given up would have taken the six seconds.
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_deadline_reaches_every_part_and_a_trusted_caller_may_shorten_it() {
    let gate = Gate::default();
    let origin = stuck(&gate);
    let config = |trusted: &str| {
        Gateway::start(&format!(
            "{trusted}upstreams: {{ shop: {{ endpoints: [{}], ejection: {{ after: 1, at_most: 100% }} }} }}\nroutes:\n  /full:\n    \
             timeout: 20s\n    deadline_header: X-Deadline\n    combine:\n      never: {{ get: \"shop:/never\" }}\n  /two:\n    \
             timeout: 20s\n    deadline_header: X-Deadline\n    combine:\n      own: {{ get: \"shop:/own\", timeout: 1s }}\n      \
             all: {{ get: \"shop:/all\" }}\n",
            origin.url()
        ))
    };
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let believing = config("trusted_proxies: [127.0.0.0/8]\n");
    let soon = (now() + 400).to_string();
    let answer = believing.send(&Request::get("/full").header("X-Deadline", &soon));
    assert_eq!(answer.problem(), "deadline");
    assert!(now() < soon.parse::<u128>().unwrap() + 15_000, "not only with the route's own 20s");
    // A caller that gives up early says nothing of the endpoint: it is asked again.
    let before = now();
    assert_eq!(believing.get("/two").status, 200);
    let told = |target: &str| -> u128 {
        let seen = origin.requests();
        let request = seen.iter().find(|request| request.target == target).expect("asked");
        request.header("x-deadline").expect("a deadline").parse().expect("milliseconds")
    };
    assert!((before..before + 10_000).contains(&told("/own")), "{} from {before}", told("/own"));
    assert!((before + 10_000..before + 40_000).contains(&told("/all")), "{} from {before}", told("/all"));
    gate.open();
}
