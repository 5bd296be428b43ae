//! What each part of a `combine:` says for itself, bounds beyond all measure, and answers made by programs.

use super::*;

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
