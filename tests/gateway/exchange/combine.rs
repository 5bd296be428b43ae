//! `combine:` over real sockets: order, failure of every kind, bounds, and values that try to be more than values.

use crate::support::client::{Request, send};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::{ports, wait};
use serde_json::json;
use std::cell::Cell;

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

#[test]
fn all_answers_of_the_gateway_together_have_room_and_more_is_refused() {
    let gate = Gate::default();
    let inner = gate.clone();
    let big = Origin::start(move |request| match request.target.as_str() {
        "/big" => json_answer(&json!({ "text": "x".repeat(1_100_000) })),
        _ => {
            inner.pass();
            json_answer(&json!(1))
        }
    });
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 2, gathered: 3MiB }}\nupstreams: {{ shop: {{ endpoints: [{}] }} }}\nroutes:\n  /full:\n    combine:\n      \
         big: {{ get: \"shop:/big\", most: 2MiB }}\n      then: {{ post: \"shop:/then\", body: {{ of: \"{{big.none}}\" }} }}\n",
        big.url()
    ));
    let address = gateway.address();
    let ask = move || send(address, &Request::get("/full"));
    let first = [(); 2].map(|()| std::thread::spawn(ask));
    gate.await_arrivals(2);
    // Both hold what they have gathered: there is no room for a third, however many ask.
    let others: Vec<_> = (0..40).map(|_| std::thread::spawn(ask)).collect();
    let most = Cell::new(0.0_f64);
    wait::until("all others are refused", || {
        most.set(most.get().max(gateway.metric("tollgate_gathered_bytes", &[])));
        others.iter().all(std::thread::JoinHandle::is_finished)
    });
    assert!(most.get() > 2_200_000.0 && most.get() <= f64::from(3 << 20), "{} bytes", most.get());
    gate.open();
    let served = first.map(|asked| asked.join().unwrap().status);
    let refused: Vec<_> = others.into_iter().map(|asked| asked.join().unwrap()).collect();
    assert_eq!(served, [200, 200]);
    assert!(refused.iter().all(|answer| answer.status == 503), "{refused:?}");
    let one = refused.first().expect("a refusal");
    assert_eq!((one.problem().as_str(), one.header("retry-after")), ("overloaded", Some("1")));
    wait::until("all room is given back", || gateway.metric("tollgate_gathered_bytes", &[]) == 0.0);
    assert_eq!(gateway.get("/full").status, 200);
}

#[test]
fn a_part_is_kept_and_limited_by_itself() {
    let shop = Origin::start(|request| {
        let named = json!({ "target": request.target, "x": request.header("x-tenant") });
        match request.target.as_str() {
            "/never" => json_answer(&named).header("Cache-Control", "no-store"),
            _ => json_answer(&named),
        }
    });
    let gateway = Gateway::start(&format!(
        "upstreams: {{ shop: {{ endpoints: [{}] }} }}\nroutes:\n  /kept/{{id}}:\n    combine:\n      \
         kept: {{ get: \"shop:/k/{{id}}\", cache: 1h, headers: {{ X-Tenant: \"{{query.t}}\" }} }}\n      \
         never: {{ get: \"shop:/never\", cache: 1h }}\n      fresh: {{ get: \"shop:/fresh\" }}\n  /limited/{{id}}:\n    combine:\n      \
         scarce: {{ get: \"shop:/scarce\", limit: 2/h per capture id, optional: true }}\n      plenty: {{ get: \"shop:/plenty\" }}\n  \
         /required:\n    combine: {{ one: {{ get: \"shop:/one\", limit: 1/h }} }}\n  \
         /each:\n    combine: {{ all: {{ get: \"shop:/i\", each: \"{{body.list}}\", limit: 2/h }} }}\n",
        shop.url()
    ));
    let asked = |target: &str| shop.requests().iter().filter(|request| request.target == target).count();
    let first = gateway.get("/kept/1?t=a");
    assert_eq!((first.status, &first.json()["kept"]["x"]), (200, &json!("a")));
    for _ in 0..2 {
        assert_eq!(gateway.get("/kept/1?t=a").json(), first.json());
    }
    assert_eq!((asked("/k/1"), asked("/never"), asked("/fresh")), (1, 3, 3));
    // What the part's own fields say makes another answer, whatever its service says of that.
    assert_eq!(gateway.get("/kept/1?t=b").json()["kept"]["x"], "b");
    gateway.get("/kept/2?t=a");
    assert_eq!((asked("/k/1"), asked("/k/2")), (2, 1));
    let counted = |status: &str| gateway.metric("tollgate_cache_requests_total", &["part kept", status]);
    assert_eq!((counted("hit"), counted("miss")), (2.0, 3.0));
    assert_eq!(gateway.metric("tollgate_cache_requests_total", &["part never", "uncacheable"]), 5.0);

    let partial = |target: &str| gateway.get(target).header("tollgate-partial").map(str::to_owned);
    let third = Some("scarce;reason=rate-limited".to_owned());
    assert_eq!(["/limited/1", "/limited/1", "/limited/1", "/limited/2"].map(partial), [None, None, third, None]);
    assert_eq!(asked("/scarce"), 3);
    assert_eq!(gateway.get("/required").status, 200);
    let refused = gateway.get("/required");
    assert_eq!((refused.status, refused.problem().as_str()), (429, "rate-limited"));
    assert_eq!((&refused.json()["part"], refused.header("retry-after").is_some()), (&json!("one"), true));
    let list = |items: usize| gateway.send(&Request::post("/each", json!({ "list": vec![0; items] }).to_string()));
    assert_eq!((list(3).status, list(1).status), (429, 429), "each call counts");
}

#[test]
fn what_is_kept_of_a_part_is_nobody_elses() {
    let shop = Origin::start(|request| json_answer(&json!(request.header("x-consumer-id"))));
    let (acme, zeta) = ("0123456789abcdef-acme", "0123456789abcdef-zeta");
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{ header: X-API-Key }} }} }}\n\
         consumers:\n  acme: {{ keys: [{{ value: {acme}, insecure_inline: true }}] }}\n  \
         zeta: {{ keys: [{{ value: {zeta}, insecure_inline: true }}] }}\n\
         upstreams: {{ shop: {{ endpoints: [{}] }} }}\nroutes:\n  /mine:\n    auth: keys\n    combine:\n      \
         any: {{ get: \"shop:/any\", cache: 1h }}\n      own: {{ get: \"shop:/own\", cache: {{ ttl: 1h, vary: [consumer] }} }}\n",
        shop.url()
    ));
    let get = |key: &str| gateway.send(&Request::get("/mine").header("X-API-Key", key)).json();
    for _ in 0..2 {
        assert_eq!(get(acme), json!({ "any": "acme", "own": "acme" }));
        assert_eq!(get(zeta), json!({ "any": "zeta", "own": "zeta" }));
    }
    let asked = |target: &str| shop.requests().iter().filter(|request| request.target == target).count();
    assert_eq!((asked("/any"), asked("/own")), (4, 2));
}

#[test]
fn a_part_names_its_method_its_endpoints_and_its_retries() {
    let old = Origin::start(|request| json_answer(&json!(format!("old {} {}", request.method, request.target))));
    let new = Origin::start(|request| json_answer(&json!(format!("new {} {}", request.method, request.target))));
    let shaky = Origin::start(|_| Answer::status(503));
    let gateway = Gateway::start(&format!(
        "upstreams:\n  shop:\n    endpoints: [{{ url: {}, labels: {{ version: v1 }} }}, {{ url: {}, labels: {{ version: v2 }} }}]\n  \
         shaky: {{ endpoints: [{}], ejection: \"off\" }}\nroutes:\n  /full/{{id}}:\n    retries: 0\n    combine:\n      \
         one: {{ get: \"/a/{{id}}\", to: {{ upstream: shop, subset: {{ version: v2 }} }} }}\n      \
         two: {{ ask: \"/b\", method: REPORT, to: {{ upstream: shop, subset: {{ version: v1 }} }} }}\n      \
         three: {{ get: \"shaky:/\", optional: true, retries: {{ max: 2, on: [503], budget: 100%, backoff: off }} }}\n      \
         four: {{ get: \"/four\", to: shaky, optional: true }}\n",
        old.url(),
        new.url(),
        shaky.url()
    ));
    for _ in 0..4 {
        let told = gateway.get("/full/7").json();
        assert_eq!((&told["one"], &told["two"]), (&json!("new GET /a/7"), &json!("old REPORT /b")));
    }
    let asked = |target: &str| shaky.requests().iter().filter(|request| request.target == target).count();
    assert_eq!((asked("/"), asked("/four")), (12, 4));
}

#[test]
fn lists_within_the_list_become_one() {
    let shop = Origin::start(|request| match request.target.as_str() {
        "/orders" => json_answer(&json!([1, 2, 3])),
        "/items/2" => json_answer(&json!([])),
        other => json_answer(&json!([{ "of": other, "x": 1 }, { "of": other }])),
    });
    let gateway = gateway(
        &shop,
        r#"{ orders: { get: "shop:/orders", hidden: true },
             items: { get: "shop:/items/{item}", each: "{orders}", flatten: true, pick: [of] } }"#,
    );
    let (one, three) = (json!({ "of": "/items/1" }), json!({ "of": "/items/3" }));
    assert_eq!(gateway.get("/full/1").json()["items"], json!([one, one, three, three]));
}

#[test]
fn numbers_and_lists_beyond_all_measure_are_refused() {
    let shop = Origin::start(|request| match request.target.as_str() {
        "/digits" => Answer::ok("9".repeat(1_000_000)).header("Content-Type", "application/json"),
        "/million" => Answer::ok(format!("[{}0]", "0,".repeat(999_998))).header("Content-Type", "application/json"),
        "/deep" => Answer::ok("[".repeat(100_000)).header("Content-Type", "application/json"),
        "/twice" => Answer::ok(r#"{"a":1,"a":2}"#).header("Content-Type", "application/json"),
        _ => json_answer(&json!(0)),
    });
    let gateway = gateway(
        &shop,
        r#"{ digits: { get: "shop:/digits", optional: true, most: 8MiB }, deep: { get: "shop:/deep", optional: true },
             twice: { get: "shop:/twice", optional: true }, million: { get: "shop:/million", most: 8MiB, hidden: true },
             each: { get: "shop:/each/{item}", each: "{million}", optional: true } }"#,
    );
    let answer = gateway.get("/full/1");
    let partial =
        "digits;reason=unreadable, deep;reason=unreadable, twice;reason=unreadable, each;reason=upstream-body";
    assert_eq!((answer.status, answer.header("tollgate-partial")), (200, Some(partial)));
    assert!(!shop.requests().iter().any(|request| request.target.starts_with("/each")));
}

#[test]
fn a_program_makes_the_answer_of_all_parts() {
    let shop = shop();
    let gateway = gateway(
        &shop,
        r#"{ parts: { order: { get: "shop:/orders/{id}", hidden: true }, exact: { get: "shop:/exact" },
                      gone: { get: "shop:/gone", optional: true } },
             jq: { program: "{ of: $id, skus: [.order.items[].sku], big: .exact.z, gone: .gone }", with: { id: "{id}" } },
             mark_partial: body }"#,
    );
    let answer = gateway.get("/full/7");
    let expected = r#"{"of":"7","skus":["b","a"],"big":18446744073709551616,"gone":null,"partial":["gone"]}"#;
    assert_eq!((answer.status, answer.text()), (200, expected));
    let endless = self::gateway(&shop, r#"{ parts: { order: { get: "shop:/orders/{id}" } }, jq: "def f: f; f" }"#);
    assert_eq!(endless.get("/full/7").problem(), "upstream-body");
}

#[test]
fn another_part_may_be_the_fallback() {
    let shop = shop();
    let gateway = gateway(
        &shop,
        r#"{ spare: { get: "shop:/exact", hidden: true }, gone: { get: "shop:/gone", fallback: "{spare}" } }"#,
    );
    let answer = gateway.get("/full/7");
    assert_eq!(answer.text(), r#"{"gone":{"z":18446744073709551616,"a":1.50}}"#);
    assert_eq!(answer.header("tollgate-partial"), Some("gone;reason=status-404"));
}
