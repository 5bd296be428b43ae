//! What one gateway takes out of its cache, all take out: those that are there, those that were away, those that come later.

use std::path::Path;

use tempfile::TempDir;

use crate::redis::{Redis, free_port};
use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// A gateway that shares purges over that Redis, with its answers on a disk where a folder is given.
fn sharing(port: u16, folder: Option<&Path>, origin: &Origin) -> Gateway {
    let disk = folder.map_or(String::new(), |folder| format!(", disk: {{ path: {} }}", folder.display()));
    Gateway::start(&format!(
        "shared_state: {{ redis: {{ url: \"redis://127.0.0.1:{port}\" }} }}\ncache: {{ memory: 1MiB{disk} }}\n\
         routes:\n  /**: {{ to: {}, cache: {{ ttl: 1h, tags: all }} }}\n",
        origin.url()
    ))
}

fn ask(gateway: &Gateway, target: &str) -> Response {
    gateway.send(&Request::get(target).header("Host", "shop.example"))
}

fn has(gateway: &Gateway, count: u64) -> bool {
    gateway.page("/cache").json()["objects"] == count
}

fn await_reachable(gateway: &Gateway) {
    wait::until("it follows the others", || gateway.page("/shared").json()["purges_followed"] == true);
}

/// Purges, and says whether the others were told.
fn purge(gateway: &Gateway, what: &str) -> String {
    let answer = gateway.admin(Request::post(&format!("/cache/purge?{what}"), ""));
    answer.json()["gateways"].as_str().unwrap_or("nothing").to_owned()
}

fn by_target() -> Origin {
    Origin::start(|request| match &*request.method {
        "GET" => Answer::ok(request.target.clone()),
        _ => Answer::status(204),
    })
}

#[test]
fn a_purge_at_one_gateway_reaches_all() {
    let (redis, origin) = (Redis::start(&[]), by_target());
    let gateways = [(); 3].map(|()| sharing(redis.port, None, &origin));
    gateways.iter().for_each(await_reachable);
    for (what, left) in [("url=shop.example/a", 2), ("prefix=shop.example/b", 2), ("tag=all", 0), ("everything", 0)] {
        for gateway in &gateways {
            ["/a", "/b", "/c"].iter().for_each(|target| drop(ask(gateway, target)));
            assert!(has(gateway, 3));
        }
        assert_eq!(purge(&gateways[0], what), "told");
        gateways.iter().for_each(|gateway| wait::until(what, || has(gateway, left)));
    }
}

#[test]
fn a_change_through_one_gateway_is_seen_through_the_others() {
    let (redis, origin) = (Redis::start(&[]), by_target());
    let (one, two) = (sharing(redis.port, None, &origin), sharing(redis.port, None, &origin));
    [&one, &two].into_iter().for_each(await_reachable);
    ["/a", "/b"].iter().for_each(|target| drop(ask(&two, target)));
    one.send(&Request::post("/a", "x").header("Host", "shop.example"));
    wait::until("what was changed is gone there", || has(&two, 1));
}

#[test]
fn while_the_store_is_away_purges_hold_here_and_are_told_when_it_is_back() {
    let (mut redis, origin) = (Redis::start(&["--appendonly", "yes", "--appendfsync", "always"]), by_target());
    let (one, two) = (sharing(redis.port, None, &origin), sharing(redis.port, None, &origin));
    for gateway in [&one, &two] {
        await_reachable(gateway);
        ["/a", "/b"].iter().for_each(|target| drop(ask(gateway, target)));
    }
    redis.kill();
    one.await_metric("tollgate_shared_store_errors_total", &[], 1.0);
    assert_eq!(purge(&one, "url=shop.example/a"), "later");
    assert!(has(&one, 1) && has(&two, 2), "here at once, there not yet");
    assert_eq!(one.page("/shared").json()["purges_waiting"], 1);
    redis.run();
    wait::until("the other has heard of it", || has(&two, 1));
    assert!(has(&one, 1), "what was not purged has stayed, on both");
}

#[test]
fn what_the_store_has_not_answered_is_not_told() {
    let (redis, origin) = (Redis::start(&[]), by_target());
    let (one, two) = (sharing(redis.port, None, &origin), sharing(redis.port, None, &origin));
    for gateway in [&one, &two] {
        await_reachable(gateway);
        ask(gateway, "/a");
    }
    redis.cli(&["CLIENT", "PAUSE", "600000", "WRITE"]);
    assert_eq!(purge(&one, "url=shop.example/a"), "later", "it is on its way, and nobody has said that it is there");
    assert_eq!(one.page("/shared").json()["purges_waiting"], 1);
    assert!(has(&two, 1));
    redis.cli(&["CLIENT", "UNPAUSE"]);
    wait::until("the other has heard of it", || has(&two, 0));
}

#[test]
fn a_store_that_has_lost_its_memory_takes_everything_out() {
    let (mut redis, origin) = (Redis::start(&[]), by_target());
    let gateways = [(); 2].map(|()| sharing(redis.port, None, &origin));
    gateways.iter().for_each(await_reachable);
    assert_eq!(purge(&gateways[0], "tag=none"), "told");
    gateways.iter().for_each(|gateway| drop(ask(gateway, "/a")));
    redis.kill();
    redis.run();
    gateways.iter().for_each(|gateway| wait::until("what nobody can vouch for is gone", || has(gateway, 0)));
}

#[test]
fn a_gateway_that_was_down_does_not_bring_back_what_was_purged() {
    let (redis, origin) = (Redis::start(&[]), by_target());
    let folder = TempDir::new().expect("a folder");
    let on_disk = |gateway: &Gateway, what: &str| gateway.page("/cache").json()["disk"][what].clone();
    let one = sharing(redis.port, None, &origin);
    await_reachable(&one);
    let two = sharing(redis.port, Some(folder.path()), &origin);
    ["/a", "/b"].iter().for_each(|target| drop(ask(&two, target)));
    wait::until("both are on the disk", || on_disk(&two, "objects") == 2 && on_disk(&two, "scanned") == true);
    // Its place in the log is on the disk once an entry has come by.
    assert_eq!(purge(&one, "tag=none"), "told");
    wait::until("it knows its place", || {
        let mut files = std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.path());
        let place = files.find(|path| path.extension().is_some_and(|end| end == "position"));
        place.and_then(|path| std::fs::read_to_string(path).ok()).is_some_and(|place| place.ends_with("tag none"))
    });
    drop(two);
    assert_eq!(purge(&one, "url=shop.example/a"), "told");
    let back = sharing(redis.port, Some(folder.path()), &origin);
    wait::until("it has read what was there", || on_disk(&back, "scanned") == true);
    assert!(has(&back, 1), "{}", back.page("/cache").text());
    origin.forget();
    ask(&back, "/b");
    assert_eq!(origin.requests().len(), 0);
    ask(&back, "/a");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn without_the_store_what_lies_on_the_disk_waits() {
    let origin = by_target();
    let (port, folder) = (free_port(), TempDir::new().expect("a folder"));
    let alone = Gateway::start(&format!(
        "cache: {{ disk: {{ path: {} }} }}\nroutes:\n  /**: {{ to: {}, cache: {{ ttl: 1h, tags: all }} }}\n",
        folder.path().display(),
        origin.url()
    ));
    ask(&alone, "/a");
    wait::until("it is on the disk", || alone.page("/cache").json()["disk"]["objects"] == 1);
    drop(alone);
    let gateway = sharing(port, Some(folder.path()), &origin);
    // By then it would have read the folder long ago: it looks ten times a second whether it may.
    gateway.await_metric("tollgate_shared_store_errors_total", &[], 7.0);
    let scanned = || gateway.page("/cache").json()["disk"]["scanned"] == true;
    assert!(!scanned());
    ask(&gateway, "/a");
    assert_eq!(origin.requests().len(), 2, "nobody knows whether it was purged");
    let _redis = Redis::at(port);
    wait::until("it reads the folder once it knows what was purged", scanned);
}
