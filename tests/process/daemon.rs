//! The gateway in the background.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::load::Load;
use crate::program::{Site, exists};
use crate::support::origin::{Answer, Origin};
use crate::support::wait;

/// A daemon, killed when dropped.
struct Daemon(Pid);

impl Daemon {
    /// Starts one and waits until it serves.
    #[track_caller]
    fn start(site: &Site, more: &[&str]) -> Self {
        let mut parent = site.launch(&[&["--daemon"], more].concat());
        assert_eq!(parent.await_end().code(), Some(0), "{}", parent.log());
        let daemon = Self(site.pid());
        assert_ne!(daemon.0, parent.id());
        parent.await_log("serving");
        daemon
    }

    #[track_caller]
    fn await_end(&self) {
        wait::until("the daemon has ended", || !exists(self.0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if exists(self.0) {
            let _ = kill(self.0, Signal::SIGKILL);
        }
    }
}

#[test]
fn a_daemon_serves_in_the_background_and_stops_on_term() {
    let site = Site::new();
    site.write_with("", "routes: { /**: { respond: { status: 204 } } }");
    let daemon = Daemon::start(&site, &[]);
    assert_eq!(site.get("/").status, 204);
    kill(daemon.0, Signal::SIGTERM).expect("a running daemon");
    daemon.await_end();
    assert!(!site.path("run/pid").exists());
    let logged = || std::fs::read_to_string(site.path("access.log")).is_ok_and(|lines| lines.contains("204"));
    assert!(logged(), "its access log was not written to the end");
}

#[test]
fn a_daemon_takes_over_from_a_daemon_under_load() {
    let (site, origin) = (Site::new(), Origin::start(|_| Answer::ok("loaded")));
    site.write_with("", &format!("routes: {{ /load: {{ to: {} }} }}", origin.url()));
    let first = Daemon::start(&site, &[]);
    let load = Load::start(site.main, "/load");
    load.await_more(60);
    let second = Daemon::start(&site, &["--upgrade"]);
    assert_ne!(first.0, second.0);
    first.await_end();
    load.await_more(60);
    assert_eq!(load.finish(), origin.requests().len());
    assert_eq!(site.pid(), second.0);
    assert!(!site.path("run/pid.old").exists());
    assert_eq!(site.admin("/ready").status, 200);
    kill(second.0, Signal::SIGTERM).expect("a running daemon");
    second.await_end();
}

#[test]
fn a_daemon_that_becomes_another_user_is_upgraded_too() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not run: only root may become another user");
        return;
    }
    let site = Site::new();
    std::fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).expect("a folder open to all");
    site.write_with("user: nobody", "routes: { /**: { respond: { status: 204 } } }");
    let mut running = Daemon::start(&site, &[]);
    for _ in 0..2 {
        let next = Daemon::start(&site, &["--upgrade"]);
        running.await_end();
        assert_eq!(site.get("/").status, 204);
        running = next;
    }
    let owner = std::fs::metadata(format!("/proc/{}", running.0)).expect("a running daemon").uid();
    assert_ne!(owner, 0);
}
