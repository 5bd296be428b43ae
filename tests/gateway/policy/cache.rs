//! `cache:` over real sockets: one request fetches, others get what it gets as it arrives, whatever becomes of it.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::support::client::{Client, Request, Response};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::wait;

fn cached(options: &str, origin: &Origin) -> Gateway {
    Gateway::start(&format!(
        "limits: {{ connections_per_client: 100000 }}\nroutes:\n  /**: {{ to: {}, cache: {options} }}\n",
        origin.url()
    ))
}

#[track_caller]
fn status_of(response: &Response) -> &str {
    response.header("cache-status").expect("Cache-Status")
}

/// Sends that many requests for the same at once, each over a connection of its own.
fn stampede(gateway: &Gateway, count: usize) -> Vec<Result<Response, String>> {
    let address = gateway.address();
    let ask = move || {
        let mut client = Client::connect(address);
        client.send_raw(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n");
        client.try_read("GET")
    };
    let threads: Vec<_> =
        (0..count).map(|_| thread::Builder::new().stack_size(256 * 1024).spawn(ask).expect("a thread")).collect();
    threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
}

#[test]
fn a_thousand_clients_on_a_cold_key_make_one_request() {
    const CLIENTS: usize = 1_000;
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        Answer::ok("the one answer")
    });
    let gateway = cached("{ ttl: 1h, wait: 1m }", &origin);
    let answers = thread::scope(|scope| {
        let all = scope.spawn(|| stampede(&gateway, CLIENTS));
        wait::until("all clients wait", || gateway.metric("tollgate_requests_in_flight", &[]) >= CLIENTS as f64);
        gate.open();
        all.join().expect("the clients")
    });
    assert_eq!(origin.requests().len(), 1);
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.text() == "the one answer")));
    gateway.await_metric("tollgate_cache_requests_total", &["status=\"collapsed\""], (CLIENTS - 1) as f64);
}

#[test]
fn a_follower_reads_what_has_arrived_while_more_is_to_come() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("one ").then_wait(&held).body("two").chunked());
    let gateway = cached("30s", &origin);
    let request = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let (mut leader, mut follower) = (gateway.connect(), gateway.connect());
    leader.send_raw(request);
    assert_eq!(leader.read_head().0, 200);
    follower.send_raw(request);
    assert_eq!(follower.read_head().0, 200);
    let first = || b"4\r\none \r\n".to_vec();
    assert_eq!((leader.read_some(), follower.read_some()), (first(), first()));
    drop(leader); // the answer is fetched to its end all the same
    gate.open();
    assert!(follower.read_some().starts_with(b"3\r\ntwo"));
    assert_eq!(gateway.send(&Request::get("/a").header("Host", "shop.example")).text(), "one two");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_answer_that_breaks_off_is_whole_for_nobody_and_not_kept() {
    let gate = Gate::default();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Answer::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
            .then_wait(&held)
            .ending(Ending::Reset),
        _ => Answer::ok("complete"),
    });
    let gateway = cached("30s", &origin);
    let request = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    let (mut leader, mut follower) = (gateway.connect(), gateway.connect());
    leader.send_raw(request);
    leader.read_head();
    follower.send_raw(request);
    follower.read_head();
    gate.open();
    for client in [&mut leader, &mut follower] {
        assert!(!client.read_to_close().ends_with(b"0\r\n\r\n"), "it looks whole");
    }
    assert_eq!(gateway.get("/a").text(), "complete");
}

#[test]
fn a_leader_that_fails_is_followed_by_another() {
    let count = AtomicUsize::new(0);
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        held.pass();
        match count.fetch_add(1, SeqCst) {
            0 | 1 => Answer::none(Ending::Close),
            _ => Answer::ok("at last").header("X", "1"),
        }
    });
    let gateway = cached("{ ttl: 1h, wait: 1m }", &origin);
    let answers = thread::scope(|scope| {
        let all = scope.spawn(|| stampede(&gateway, 30));
        wait::until("all clients wait", || gateway.metric("tollgate_requests_in_flight", &[]) >= 30.0);
        gate.open();
        all.join().expect("the clients")
    });
    let count = |status| answers.iter().filter(|answer| answer.as_ref().is_ok_and(|it| it.status == status)).count();
    assert_eq!((count(502), count(200)), (2, 28));
    assert_eq!(origin.requests().len(), 3);
}

#[test]
fn leaders_that_fail_in_every_way_harm_nobody_else() {
    const CLIENTS: usize = 12;
    const REQUESTS: usize = 40;
    let count = AtomicUsize::new(0);
    let body_of = |target: &str| target.repeat(2_000);
    let origin = Origin::start(move |request| {
        let whole = Answer::ok(request.target.repeat(2_000));
        match count.fetch_add(1, SeqCst) % 6 {
            0 => Answer::none(Ending::Close),
            1 => whole.cut_after(3_000, Ending::Reset),
            2 => Answer::status(500),
            3 => whole.chunked().cut_after(5_000, Ending::Close),
            _ => whole,
        }
    });
    let gateway = cached("{ ttl: 1h, wait: 1m }", &origin);
    let (address, whole, over) = (gateway.address(), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let (whole, over) = (&whole, &over);
            scope.spawn(move || {
                for number in 0..REQUESTS {
                    let target = format!("/{}", (seed + number * 7) % 5);
                    let mut client = Client::connect(address);
                    client.send_raw(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
                    match client.try_read("GET") {
                        Ok(answer) if answer.status == 200 => {
                            assert!(answer.text() == body_of(&target), "{target} got another's, or half");
                            whole.fetch_add(1, SeqCst);
                        }
                        Ok(answer) => assert!(matches!(answer.status, 500 | 502), "{}", answer.status),
                        Err(_) => {} // broken off, and seen to be
                    }
                }
                over.fetch_add(1, SeqCst);
            });
        }
        // So that there is always somebody to lead.
        wait::until("all clients are done", || {
            gateway.admin(Request::post("/cache/purge?everything", ""));
            over.load(SeqCst) == CLIENTS
        });
    });
    assert!(whole.load(SeqCst) > CLIENTS * REQUESTS / 3, "{} were whole", whole.load(SeqCst));
}

#[test]
fn a_slow_leader_holds_others_for_so_long_and_no_longer() {
    let gate = Gate::default();
    let (held, count) = (gate.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |_| {
        if count.fetch_add(1, SeqCst) == 0 {
            held.pass();
        }
        Answer::ok("answer")
    });
    let gateway = cached("{ ttl: 30s, wait: 50ms }", &origin);
    let mut leader = gateway.connect();
    leader.send_raw(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    gate.await_arrivals(1);
    let own = gateway.send(&Request::get("/a").header("Host", "x"));
    assert_eq!((own.text(), status_of(&own)), ("answer", "tollgate; fwd=uri-miss"));
    gate.open();
    assert_eq!(leader.read().text(), "answer");
}

#[test]
fn what_is_too_long_to_keep_reaches_its_client_whole() {
    let long: Vec<u8> = (0..400_000_u32).map(|byte| (byte % 251) as u8).collect();
    let sent = long.clone();
    let origin =
        Origin::start(move |_| sent.chunks(10_000).fold(Answer::ok(""), |answer, part| answer.body(part)).chunked());
    let gateway = cached("{ ttl: 30s, max_object: 64KiB }", &origin);
    for _ in 0..2 {
        assert_eq!(gateway.get("/a").body, long);
    }
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(gateway.metric("tollgate_cache_objects", &[]), 0.0);
}

#[test]
fn what_is_kept_outlives_a_reload_as_long_as_it_means_the_same() {
    let origin = Origin::start(|_| Answer::ok("kept"));
    let routes = |options: &str| format!("routes:\n  /**: {{ to: {}, cache: {options} }}\n", origin.url());
    let gateway = Gateway::start(&routes("30s"));
    gateway.get("/a");
    gateway.change(&routes("{ ttl: 1m, x_cache: true }"));
    let kept = gateway.get("/a");
    assert_eq!((kept.header("x-cache"), origin.requests().len()), (Some("HIT"), 1));
    gateway.change(&routes("{ ttl: 1m, vary: header X-Tenant }"));
    assert!(status_of(&gateway.get("/a")).contains("miss"));
}

#[test]
fn policies_see_a_hit_before_and_after() {
    let origin = Origin::start(|_| Answer::ok("kept"));
    let gateway = Gateway::start(&format!(
        "routes:\n  /**: {{ to: {}, cache: 30s, limit: 2/h, security_headers: true }}\n",
        origin.url()
    ));
    gateway.get("/a");
    let hit = gateway.get("/a");
    assert_eq!((hit.status, hit.header("x-content-type-options")), (200, Some("nosniff")));
    assert!(status_of(&hit).contains("hit"));
    assert_eq!(gateway.get("/a").status, 429, "a hit counts");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn the_access_log_tells_what_the_cache_did() {
    let origin = Origin::start(|_| Answer::ok("kept"));
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("log");
    let gateway = Gateway::start(&format!(
        "access_log: {{ to: {} }}\nroutes:\n  /**: {{ to: {}, cache: 30s }}\n",
        path.display(),
        origin.url()
    ));
    gateway.get("/a");
    gateway.get("/a");
    let log = || std::fs::read_to_string(&path).unwrap_or_default();
    wait::until("both lines are there", || log().lines().count() >= 2);
    assert!(log().contains("\"cache\":\"miss\"") && log().contains("\"cache\":\"hit\""), "{}", log());
}

/// A gateway that has kept `/a`, `/a/b`, `/a/b?x=1` and `/c`, each in two languages.
fn kept(origin: &Origin, more: &str) -> Gateway {
    let gateway = Gateway::start(&format!(
        "apis:\n  shop:\n    host: shop.example\n    routes: {{ /**: {{ to: {0}, cache: {{ ttl: 1h, tags: all{more} }} }} }}\n\
         routes:\n  /**: {{ to: {0}, cache: 1h }}\n",
        origin.url()
    ));
    for target in ["/a", "/a/b", "/a/b?x=1", "/c"] {
        for language in ["de", "en"] {
            let request = Request::get(target).header("Host", "shop.example").header("Accept-Language", language);
            assert_eq!(gateway.send(&request).header("surrogate-key"), None, "only the cache reads it");
        }
    }
    gateway.get("/a");
    gateway
}

fn two_languages() -> Origin {
    Origin::start(|request| {
        if request.method == "PURGE" {
            return Answer::status(405);
        }
        let tag = if request.target.contains('b') { "b one" } else { "one" };
        Answer::ok(request.target.clone()).header("Vary", "Accept-Language").header("Surrogate-Key", tag)
    })
}

#[test]
fn purges_take_out_what_they_name_and_nothing_else() {
    for (what, count) in [
        ("url=https://shop.example/a", 2),
        ("url=shop.example/a/b?x=1", 2),
        ("url=SHOP.example:443/x/../a", 2),
        ("prefix=https://shop.example/a/", 4),
        ("prefix=shop.example/a*", 6),
        ("tag=b", 4),
        ("tag=one&tag=b", 9),
        ("tag=all", 8),
        ("api=shop", 8),
        ("everything", 9),
        ("url=elsewhere.example/a", 0),
    ] {
        let origin = two_languages();
        let gateway = kept(&origin, "");
        assert_eq!(gateway.metric("tollgate_cache_objects", &[]), 9.0);
        let purged = gateway.admin(Request::post(&format!("/cache/purge?{what}"), ""));
        assert_eq!((purged.status, &purged.json()["purged"]), (200, &count.into()), "{what}");
        let page = gateway.page("/cache").json();
        assert_eq!((&page["objects"], &page["purged"]), (&(9 - count).into(), &count.into()), "{what}: {page}");
        assert_eq!(gateway.admin(Request::post(&format!("/cache/purge?{what}"), "")).json()["purged"], 0);
    }
}

#[test]
fn purges_say_what_is_wrong_with_them() {
    let origin = two_languages();
    let gateway = kept(&origin, "");
    for what in ["", "?url=/a", "?url=http://", "?prefix=", "?name=a", "?url=shop.example/%zz"] {
        let answer = gateway.admin(Request::post(&format!("/cache/purge{what}"), ""));
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
    }
    assert_eq!(gateway.page("/cache/purge?everything").status, 405);
    assert_eq!(gateway.page("/cache").json()["objects"], 9);
}

#[test]
fn the_method_purge_is_for_those_who_are_listed() {
    let origin = two_languages();
    let purge = Request::new("PURGE", "/a/b?x=1").header("Host", "shop.example");
    let open = kept(&origin, ", purge_from: 127.0.0.1");
    let purged = open.send(&purge);
    assert_eq!((purged.status, &purged.json()["purged"]), (200, &2.into()));
    assert_eq!(open.send(&Request::new("PURGE", "/a").header("Host", "other.example")).status, 405, "of the upstream");
    let shut = kept(&origin, ", purge_from: 192.0.2.0/24");
    origin.forget();
    shut.send(&purge);
    assert_eq!(origin.only_request().method, "PURGE", "for all others it is a method like any");
    assert_eq!(shut.page("/cache").json()["objects"], 9);
}
