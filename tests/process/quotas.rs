//! Quotas over the ends of processes: told to stop, killed, taken over.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::program::Site;
use crate::support::wait;

const ROUTES: &str = "routes: { /: { respond: { body: a }, limit: 5/month } }";

fn statuses(site: &Site, count: usize) -> Vec<u16> {
    (0..count).map(|_| site.get("/").status).collect()
}

/// Waits until everything counted so far is on the disk.
fn await_written(site: &Site) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    wait::until("quotas are on the disk", || site.metric("tollgate_quotas_written_timestamp_seconds") > now as f64);
}

#[test]
fn a_process_that_is_told_to_stop_forgets_nothing() {
    let site = Site::new();
    site.write_with("state_dir: state", ROUTES);
    let mut first = site.start();
    assert_eq!(statuses(&site, 3), [200, 200, 200]);
    first.signal(Signal::SIGTERM);
    assert_eq!(first.await_end().code(), Some(0), "{}", first.log());
    let mut second = site.start();
    assert_eq!(statuses(&site, 3), [200, 200, 429]);
    assert_eq!(site.metric("tollgate_quotas_damaged"), 0.0);
    second.signal(Signal::SIGTERM);
    second.await_end();
}

#[test]
fn a_killed_process_forgets_at_most_what_it_had_not_written() {
    let site = Site::new();
    site.write_with("state_dir: state", ROUTES);
    let mut first = site.start();
    assert_eq!(statuses(&site, 3), [200, 200, 200]);
    await_written(&site);
    first.signal(Signal::SIGKILL);
    first.await_end();
    let _second = site.start();
    assert_eq!(statuses(&site, 3), [200, 200, 429]);
}

#[test]
fn a_successor_counts_on_and_nothing_is_counted_twice() {
    let site = Site::new();
    site.write_with("state_dir: state", ROUTES);
    let mut old = site.start();
    assert_eq!(statuses(&site, 2), [200, 200]);
    let mut new = site.launch(&["--upgrade"]);
    new.await_serving();
    wait::until("the old process has ended", || !old.runs());
    assert_eq!(old.await_end().code(), Some(0), "{}", old.log());
    await_written(&site);
    assert_eq!(statuses(&site, 4), [200, 200, 200, 429]);
    new.signal(Signal::SIGTERM);
    new.await_end();
}

#[test]
fn a_damaged_file_starts_with_a_loud_word() {
    let site = Site::new();
    site.write_with("state_dir: state", ROUTES);
    std::fs::create_dir(site.path("state")).expect("a folder");
    std::fs::write(site.path("state/quotas"), "not what was written").expect("a file");
    let process = site.start();
    process.await_log("quotas begin anew");
    assert_eq!(site.metric("tollgate_quotas_damaged"), 1.0);
    assert_eq!(statuses(&site, 6), [200, 200, 200, 200, 200, 429]);
}
