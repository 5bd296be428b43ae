//! A reload leaves nothing behind. `TOLLGATE_RELOADS` and `TOLLGATE_ROUTES` set another size than the small default.

use std::fmt::Write as _;
use std::fs;

use crate::program::{Process, Site};
use crate::support::client::{Client, Request};

/// Kilobytes that prove nothing: the allocator takes its memory in steps of four megabytes. Snapshots that stayed would
/// come to more than thirty in each of these tests.
const STEP: f64 = 6_144.0;

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

/// A gateway with many routes, reloaded through its admin API.
struct Reloaded {
    gateway: Process,
    site: Site,
    admin: Client,
    routes: String,
}

impl Reloaded {
    fn start(count: usize) -> Self {
        let mut routes = String::from("upstreams: { shop: { endpoints: [http://127.0.0.1:9] } }\nroutes:\n");
        for number in 0..count {
            let _ = writeln!(routes, "  GET /shop/{number}/{{id}}: {{ to: shop, timeout: 3s }}");
        }
        let site = Site::new();
        site.write_with("", &routes);
        let gateway = site.start();
        let admin = Client::connect(site.admin);
        Self { gateway, site, admin, routes }
    }

    /// Reloads and wants that status.
    #[track_caller]
    fn reload(&mut self, status: u16) {
        let response = self.admin.send(&Request::new("POST", "/reload").unidentified());
        assert_eq!(response.status, status, "{response:?}");
        if !response.keeps_alive() {
            self.admin = Client::connect(self.site.admin);
        }
    }

    /// Reloads a file with a problem, then one without.
    fn fail_and_mend(&mut self) {
        self.site.write_with("", &format!("{}  /a: {{ to: nowhere }}\n", self.routes));
        self.reload(422);
        self.site.write_with("", &self.routes);
        self.reload(200);
    }

    /// Repeats something and compares the memory after all rounds with that after ten.
    #[track_caller]
    fn compare(&mut self, rounds: usize, round: impl Fn(&mut Self)) {
        (0..10).for_each(|_| round(self));
        let after_ten = resident(&self.gateway);
        (10..rounds).for_each(|_| round(self));
        let after_all = resident(&self.gateway);
        let allowed = (after_ten * 1.1).max(after_ten + STEP);
        assert!(after_all <= allowed, "{after_ten} kB after 10 rounds, {after_all} after {rounds}");
    }
}

#[test]
fn memory_after_many_reloads_is_that_after_ten() {
    let (reloads, routes) = (size("TOLLGATE_RELOADS", 120), size("TOLLGATE_ROUTES", 200));
    let mut reloaded = Reloaded::start(routes);
    reloaded.compare(reloads, |reloaded| reloaded.reload(200));
    assert_eq!(reloaded.site.revision(), reloads as u64 + 1);
}

#[test]
fn memory_after_many_refused_reloads_is_that_after_ten() {
    Reloaded::start(400).compare(40, Reloaded::fail_and_mend);
}
