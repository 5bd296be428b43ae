//! `cache: { disk: … }` over real sockets and a real folder: what is kept survives a restart, and nothing damaged is given.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// A gateway that keeps its answers in that folder.
fn keeping(folder: &Path, store: &str, options: &str, origin: &Origin) -> Gateway {
    Gateway::start(&format!(
        "cache: {{ memory: {store}, disk: {{ path: {}, size: 64MiB }} }}\nroutes:\n  /**: {{ to: {}, cache: {options} }}\n",
        folder.display(),
        origin.url()
    ))
}

fn ask(gateway: &Gateway, target: &str) -> Response {
    gateway.send(&Request::get(target).header("Host", "shop.example"))
}

fn is_hit(response: &Response) -> bool {
    response.header("cache-status").is_some_and(|status| status.contains("hit"))
}

fn disk(gateway: &Gateway, what: &str) -> u64 {
    gateway.page("/cache").json()["disk"][what].as_u64().unwrap_or(0)
}

fn await_objects(gateway: &Gateway, count: u64) {
    wait::until(&format!("{count} answers are on the disk"), || disk(gateway, "objects") == count);
}

fn await_scan(gateway: &Gateway) {
    wait::until("all files are known", || gateway.page("/cache").json()["disk"]["scanned"] == true);
}

/// The answers in a folder, whole or not.
fn files(folder: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let inner = folders.filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
    inner.map(|entry| entry.path()).collect()
}

/// Bodies that tell whose they are, of any length.
fn body_of(target: &str, length: usize) -> Vec<u8> {
    target.bytes().cycle().take(length).collect()
}

fn by_target(length: usize) -> Origin {
    Origin::start(move |request| Answer::ok(body_of(&request.target, length)).header("ETag", "\"1\""))
}

#[test]
fn a_restart_serves_from_the_disk() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(100));
    let languages = Origin::start(|request| {
        Answer::ok(request.header("accept-language").unwrap_or("none")).header("Vary", "Accept-Language")
    });
    for origin in [&origin, &languages] {
        origin.forget();
        let gateway = keeping(folder.path(), "1MiB", "1h", origin);
        ask(&gateway, "/a");
        gateway.send(&Request::get("/a").header("Host", "shop.example").header("Accept-Language", "de"));
        let count = origin.requests().len() as u64;
        await_scan(&gateway);
        wait::until("they are on the disk", || disk(&gateway, "written") == count);
        drop(gateway);
        let again = keeping(folder.path(), "1MiB", "1h", origin);
        await_scan(&again);
        let (first, german) = (
            ask(&again, "/a"),
            again.send(&Request::get("/a").header("Host", "shop.example").header("Accept-Language", "de")),
        );
        assert!(is_hit(&first) && is_hit(&german), "{first:?}");
        assert_eq!(origin.requests().len() as u64, count);
        assert_eq!(
            (first.status, first.header("content-length").map(str::len)),
            (200, Some(if count == 1 { 3 } else { 1 }))
        );
        assert_eq!(disk(&again, "damaged"), 0);
        again.admin(Request::post("/cache/purge?everything", ""));
    }
}

#[test]
fn a_purge_is_gone_from_the_disk_when_it_is_answered() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(100));
    let gateway = keeping(folder.path(), "1MiB", "{ ttl: 1h, purge_from: 127.0.0.1, tags: all }", &origin);
    for (purge, left) in [
        (Request::post("/cache/purge?url=shop.example/a/1", ""), 2),
        (Request::post("/cache/purge?prefix=shop.example/a/", ""), 1),
        (Request::post("/cache/purge?tag=all", ""), 0),
        (Request::post("/cache/purge?everything", ""), 0),
    ] {
        ["/a/1", "/a/2", "/b"].iter().for_each(|target| drop(ask(&gateway, target)));
        await_objects(&gateway, 3);
        assert_eq!(files(folder.path()).len(), 3);
        gateway.admin(purge);
        assert_eq!(files(folder.path()).len(), left);
    }
    ask(&gateway, "/a/1");
    await_objects(&gateway, 1);
    gateway.send(&Request::new("PURGE", "/a/1").header("Host", "shop.example"));
    assert_eq!((files(folder.path()).len(), disk(&gateway, "bytes")), (0, 0));
    let again = keeping(folder.path(), "1MiB", "1h", &origin);
    await_scan(&again);
    assert!(!is_hit(&ask(&again, "/a/1")));
}

#[test]
fn a_purge_whose_file_cannot_be_removed_says_so_and_is_tried_again() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(100));
    let gateway = keeping(folder.path(), "1MiB", "{ ttl: 1h, purge_from: 127.0.0.1 }", &origin);
    let by_method = Request::new("PURGE", "/a").header("Host", "shop.example");
    ask(&gateway, "/a");
    await_objects(&gateway, 1);
    // Even the superuser cannot remove a folder as if it were a file.
    let file = files(folder.path()).remove(0);
    std::fs::remove_file(&file).expect("the file");
    std::fs::create_dir(&file).expect("a folder in its place");
    let purged = gateway.send(&by_method);
    assert_eq!((purged.status, purged.text()), (500, "{\"purged\":1,\"disk\":\"later\"}\n"));
    let again = gateway.admin(Request::post("/cache/purge?url=shop.example/a", ""));
    assert_eq!((again.status, &again.json()["disk"]), (500, &"later".into()), "it is still there");
    let trouble = gateway.page("/cache").json()["disk"]["trouble"].to_string();
    assert!(trouble.contains("a file cannot be removed"), "{trouble}");
    assert!(!is_hit(&ask(&gateway, "/a")), "from memory it is gone");
    std::fs::remove_dir(&file).expect("the folder");
    assert_eq!(gateway.send(&by_method).status, 200);
    assert!(gateway.page("/cache").json()["disk"]["trouble"].is_null());
}

#[test]
fn what_does_not_fit_into_memory_is_read_from_its_file() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(20_000));
    let gateway = keeping(folder.path(), "64KiB", "1h", &origin);
    for turn in 0..3 {
        for number in 0..10_u64 {
            let target = format!("/{number}");
            assert_eq!(ask(&gateway, &target).body, body_of(&target, 20_000));
            if turn == 0 {
                await_objects(&gateway, number + 1);
            }
        }
    }
    assert_eq!(origin.requests().len(), 10);
    assert!(disk(&gateway, "read") >= 10, "{}", gateway.page("/cache").text());
    let page = gateway.page("/cache").json();
    assert!(page["bytes"].as_u64() <= page["capacity"].as_u64(), "{page}");
}

#[test]
fn a_long_body_streams_from_its_file_and_ranges_are_cut_from_it() {
    const LENGTH: usize = 3_000_000;
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(LENGTH));
    drop({
        let gateway = keeping(folder.path(), "16MiB", "1h", &origin);
        ask(&gateway, "/long");
        await_objects(&gateway, 1);
        gateway
    });
    let gateway = keeping(folder.path(), "64KiB", "1h", &origin);
    await_scan(&gateway);
    let whole = body_of("/long", LENGTH);
    let hit = ask(&gateway, "/long");
    assert!(is_hit(&hit) && hit.body == whole);
    for (range, part) in [
        ("bytes=0-9", 0..10),
        ("bytes=262140-262150", 262_140..262_151),
        ("bytes=1000000-2500000", 1_000_000..2_500_001),
        ("bytes=-5", LENGTH - 5..LENGTH),
    ] {
        let cut = gateway.send(&Request::get("/long").header("Host", "shop.example").header("Range", range));
        assert_eq!((cut.status, cut.body), (206, whole[part].to_vec()), "{range}");
    }
    let head = gateway.send(&Request::new("HEAD", "/long").header("Host", "shop.example"));
    assert_eq!((head.status, head.header("content-length")), (200, Some("3000000")));
    let same = gateway.send(&Request::get("/long").header("Host", "shop.example").header("If-None-Match", "\"1\""));
    assert_eq!(same.status, 304);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn what_was_damaged_or_put_there_is_dropped_at_the_start() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(1_000));
    let targets = ["/flipped", "/cut", "/foreign", "/empty"];
    drop({
        let gateway = keeping(folder.path(), "1MiB", "1h", &origin);
        targets.iter().for_each(|target| drop(ask(&gateway, target)));
        await_objects(&gateway, 4);
        gateway
    });
    for (number, path) in files(folder.path()).into_iter().enumerate() {
        let mut bytes = std::fs::read(&path).expect("a file");
        match number {
            0 => bytes[60] ^= 1,
            1 => bytes.truncate(700),
            2 => bytes = b"<html>".to_vec(),
            _ => bytes.clear(),
        }
        std::fs::write(&path, bytes).expect("a file");
    }
    let notes = folder.path().join("00").join("notes.txt");
    std::fs::write(&notes, "not of this cache").expect("a file");
    origin.forget();
    let gateway = keeping(folder.path(), "1MiB", "1h", &origin);
    await_scan(&gateway);
    assert_eq!((disk(&gateway, "objects"), disk(&gateway, "damaged")), (0, 4));
    for target in targets {
        assert_eq!(ask(&gateway, target).body, body_of(target, 1_000));
    }
    assert_eq!(origin.requests().len(), 4);
    assert!(notes.exists(), "what bears another name is left alone");
}

#[test]
fn what_is_damaged_while_it_is_in_use_is_never_given() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(1_000));
    drop({
        let gateway = keeping(folder.path(), "1MiB", "1h", &origin);
        ["/a", "/b"].iter().for_each(|target| drop(ask(&gateway, target)));
        await_objects(&gateway, 2);
        gateway
    });
    let gateway = keeping(folder.path(), "1MiB", "1h", &origin);
    await_scan(&gateway);
    wait::until("both have their files, and nothing else is there", || files(folder.path()).len() == 2);
    let files = files(folder.path());
    std::fs::copy(&files[0], &files[1]).expect("one file in the place of another");
    let mut bytes = std::fs::read(&files[0]).expect("a file");
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&files[0], bytes).expect("a file");
    origin.forget();
    for target in ["/a", "/b"] {
        assert_eq!(ask(&gateway, target).body, body_of(target, 1_000), "the upstream is asked instead");
    }
    assert_eq!((origin.requests().len(), disk(&gateway, "damaged")), (2, 2));
}

#[test]
fn a_long_body_that_is_damaged_further_on_breaks_off() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(1_000_000));
    drop({
        let gateway = keeping(folder.path(), "16MiB", "1h", &origin);
        ask(&gateway, "/long");
        await_objects(&gateway, 1);
        gateway
    });
    let path = files(folder.path()).remove(0);
    let mut bytes = std::fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("a file");
    let gateway = keeping(folder.path(), "1MiB", "1h", &origin);
    await_scan(&gateway);
    let mut client = gateway.connect();
    client.send_raw(b"GET /long HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let got = client.read_to_close();
    assert!(got.len() < 600_000, "{} bytes", got.len());
    assert_eq!(ask(&gateway, "/long").body, body_of("/long", 1_000_000));
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_disk_that_cannot_be_written_is_survived_and_said() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(100));
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let blocked = folder.path().join("blocked");
    std::fs::create_dir(&blocked).expect("a folder");
    std::fs::write(blocked.join("00"), "in the way").expect("a file");
    for path in [file.join("below"), blocked] {
        origin.forget();
        let gateway = keeping(&path, "1MiB", "1h", &origin);
        ask(&gateway, "/a");
        assert!(is_hit(&ask(&gateway, "/a")), "memory goes on");
        wait::until("it is said", || gateway.page("/cache").json()["disk"]["trouble"].is_string());
        assert!(gateway.metric("tollgate_cache_disk_errors_total", &[]) >= 1.0);
        assert_eq!((origin.requests().len(), disk(&gateway, "objects")), (1, 0));
    }
}

#[test]
fn files_keep_to_their_bound() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(20_000));
    let gateway = Gateway::start(&format!(
        "cache: {{ memory: 1MiB, disk: {{ path: {}, size: 100KiB }} }}\nroutes:\n  /**: {{ to: {}, cache: 1h }}\n",
        folder.path().display(),
        origin.url()
    ));
    (0..20).for_each(|number| drop(ask(&gateway, &format!("/{number}"))));
    let settled = || disk(&gateway, "written") + disk(&gateway, "skipped") == 20;
    wait::until("all have been looked at", settled);
    wait::until("what went is gone", || files(folder.path()).len() == disk(&gateway, "objects") as usize);
    let bytes: u64 = files(folder.path()).iter().map(|path| path.metadata().expect("a file").len()).sum();
    assert_eq!(bytes, disk(&gateway, "bytes"));
    assert!((60_000..=100 << 10).contains(&bytes), "{bytes}");
}

#[test]
fn two_gateways_on_one_folder_do_each_other_no_harm() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(1_000));
    let old = keeping(folder.path(), "1MiB", "1h", &origin);
    ask(&old, "/a");
    await_objects(&old, 1);
    let new = keeping(folder.path(), "1MiB", "1h", &origin);
    await_scan(&new);
    assert!(is_hit(&ask(&new, "/a")), "the successor has what the predecessor wrote");
    ask(&old, "/late");
    await_objects(&old, 2);
    ask(&new, "/b");
    await_objects(&new, 2);
    assert_eq!(files(folder.path()).len(), 3);
    drop(old);
    wait::until("what nobody knows is cleared up", || files(folder.path()).len() == 2);
    assert!(is_hit(&ask(&new, "/a")) && is_hit(&ask(&new, "/b")) && !is_hit(&ask(&new, "/late")));
    assert_eq!(disk(&new, "damaged"), 0);
}

#[test]
fn the_disk_may_come_go_and_move_over_a_reload() {
    let (folder, origin) = (TempDir::new().expect("a folder"), by_target(100));
    let yaml = |store: &str| format!("cache: {store}\nroutes:\n  /**: {{ to: {}, cache: 1h }}\n", origin.url());
    let on = |name: &str| yaml(&format!("{{ disk: {{ path: {} }} }}", folder.path().join(name).display()));
    let gateway = Gateway::start(&yaml("1MiB"));
    assert!(gateway.page("/cache").json()["disk"].is_null());
    gateway.change(&on("one"));
    ask(&gateway, "/a");
    await_objects(&gateway, 1);
    gateway.change(&on("two"));
    assert!(is_hit(&ask(&gateway, "/a")), "memory keeps what it has");
    ask(&gateway, "/b");
    await_objects(&gateway, 1);
    gateway.change(&yaml("1MiB"));
    assert!(gateway.page("/cache").json()["disk"].is_null());
    let left = ["one", "two"].map(|name| files(&folder.path().join(name)).len());
    assert_eq!(left, [1, 1], "what lies there stays");
}
