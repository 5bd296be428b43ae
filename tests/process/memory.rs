//! A reload leaves nothing behind. `TOLLGATE_RELOADS` and `TOLLGATE_ROUTES` set another size than the small default.

use std::fmt::Write as _;
use std::fs;

use crate::program::{Process, Site};
use crate::support::client::{Client, Request};

/// Kilobytes.
const ALLOCATOR_STEP: f64 = 8_192.0;

fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Kilobytes of its own that a process has in memory (proc(5), `status`, `RssAnon`): those of the program's file come
/// and go with the system's cache.
fn resident(process: &Process) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("a size")
}

#[test]
fn memory_after_many_reloads_is_that_after_ten() {
    let (reloads, routes) = (size("TOLLGATE_RELOADS", 120), size("TOLLGATE_ROUTES", 200));
    let site = Site::new();
    let mut written = String::from("upstreams: { shop: { endpoints: [http://127.0.0.1:9] } }\nroutes:\n");
    for number in 0..routes {
        let _ = writeln!(written, "  GET /shop/{number}/{{id}}: {{ to: shop, timeout: 3s }}");
    }
    site.write_with("", &written);
    let gateway = site.start();
    let mut admin = Client::connect(site.admin);
    let mut reload = |times: usize| {
        for _ in 0..times {
            let response = admin.send(&Request::new("POST", "/reload").unidentified());
            assert_eq!(response.status, 200, "{response:?}");
            if !response.keeps_alive() {
                admin = Client::connect(site.admin);
            }
        }
    };
    reload(10);
    let after_ten = resident(&gateway);
    reload(reloads - 10);
    let after_all = resident(&gateway);
    // The allocator takes or gives back some six megabytes at a time, whatever is reloaded; snapshots that stayed would
    // add up to far more.
    let allowed = (after_ten * 1.1).max(after_ten + ALLOCATOR_STEP);
    assert!(after_all <= allowed, "{after_ten} kB after 10 reloads, {after_all} after {reloads}");
    assert_eq!(site.revision(), reloads as u64 + 1);
}
