//! A disk of kept answers and a process that is killed: whatever is given afterwards is whole, and what was asked for.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use nix::sys::signal::Signal;

use crate::program::Site;
use crate::support::client::{Client, Request};
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// What belongs to a target: its own bytes, up to 300 KB of them.
fn body_of(target: &str) -> Vec<u8> {
    let number: usize = target.trim_start_matches('/').parse().expect("a number");
    target.bytes().cycle().take(number * 7_919 % 300_000).collect()
}

fn write(site: &Site, origin: &Origin) {
    site.write(&format!(
        "listen: {}\nadmin: {}\naccess_log: off\nserver: {{ threads: 2 }}\n\
         cache: {{ memory: 1MiB, disk: {{ path: kept, size: 20MiB }} }}\nroutes: {{ /**: {{ to: {}, cache: 1h }} }}\n",
        site.main,
        site.admin,
        origin.url()
    ));
}

/// Clients that ask for one of 200 things after another and look at each byte, until told to stop; it counts what was right.
fn load(site: &Site, seed: usize, stop: &AtomicBool, right: &AtomicUsize) {
    let mut number = seed;
    while !stop.load(SeqCst) {
        let mut client = Client::connect(site.main);
        for _ in 0..20 {
            number = (number * 31 + 7) % 200;
            let target = format!("/{number}");
            client.send_raw(&Request::get(&target).header("Host", "shop.example").bytes("shop.example"));
            // Killed in the middle of it, the gateway may say nothing, or half; never something else as if it were whole.
            match client.try_read("GET") {
                Ok(answer) => assert_eq!(answer.body, body_of(&target), "{target}"),
                Err(_) => return,
            }
            right.fetch_add(1, SeqCst);
        }
    }
}

#[test]
fn killed_under_load_it_never_gives_anything_damaged() {
    let origin = Origin::start(|request| Answer::ok(body_of(&request.target)));
    let site = Site::new();
    write(&site, &origin);
    for round in 0..4 {
        let mut gateway = site.start();
        let (stop, right) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|seed| {
                    scope.spawn({
                        let (site, stop, right) = (&site, &stop, &right);
                        move || load(site, seed * 50 + round, stop, right)
                    })
                })
                .collect();
            wait::until("the load has gone on", || {
                right.load(SeqCst) > 150 || clients.iter().any(|it| it.is_finished())
            });
            gateway.signal(Signal::SIGKILL);
            gateway.await_end();
            stop.store(true, SeqCst);
            clients.into_iter().for_each(|client| client.join().expect("a client that got nothing wrong"));
        });
        assert!(right.load(SeqCst) > 150);
    }
    let mut gateway = site.start();
    wait::until("all files are known", || site.admin("/cache").json()["disk"]["scanned"] == true);
    let disk = site.admin("/cache").json()["disk"].clone();
    assert!(disk["objects"].as_u64() > Some(10), "{disk}");
    assert_eq!(disk["damaged"], 0, "what was not finished has another name: {disk}");
    origin.forget();
    for number in 0..200 {
        let target = format!("/{number}");
        assert_eq!(site.get(&target).body, body_of(&target));
    }
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.await_end().code(), Some(0), "{}", gateway.log());
}

#[test]
fn an_upgrade_hands_over_what_is_on_the_disk() {
    let origin = Origin::start(|request| Answer::ok(body_of(&request.target)));
    let site = Site::new();
    site.write_with(
        "",
        &format!("cache: {{ disk: {{ path: kept }} }}\nroutes: {{ /**: {{ to: {}, cache: 1h }} }}", origin.url()),
    );
    let mut old = site.start();
    site.get("/7");
    wait::until("it is on the disk", || site.admin("/cache").json()["disk"]["objects"] == 1);
    let mut new = site.launch(&["--upgrade"]);
    new.await_serving();
    assert_eq!(old.await_end().code(), Some(0), "{}", old.log());
    wait::until("all files are known", || site.admin("/cache").json()["disk"]["scanned"] == true);
    assert_eq!(site.get("/7").body, body_of("/7"));
    assert_eq!(origin.requests().len(), 1, "{}", new.log());
}
