//! The program under test: a folder with its configuration, and its processes, none of which outlives the test.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::client::{self, Request, Response};
use crate::support::ports;
use crate::support::run::{Output, run};
use crate::support::wait;

/// The built binary.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tollgate");

/// Runs a verb to its end.
#[track_caller]
pub fn tollgate(arguments: &[&str]) -> Output {
    run(PROGRAM, arguments)
}

/// A folder with a configuration, and the two addresses it listens on.
pub struct Site {
    folder: TempDir,
    launched: AtomicUsize,
    /// Where it serves.
    pub main: SocketAddr,
    /// Where its admin API is.
    pub admin: SocketAddr,
}

impl Site {
    /// An empty folder and two free addresses.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        Self { folder, launched: AtomicUsize::new(0), main: ports::free(), admin: ports::free() }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration's path.
    pub fn file(&self) -> String {
        self.path("gateway.yaml").to_str().expect("a path in UTF-8").into()
    }

    /// Writes a configuration as it is, all at once: a reload never sees half of it.
    pub fn write(&self, text: &str) {
        fs::write(self.path("new"), text).expect("a file");
        fs::rename(self.path("new"), self.path("gateway.yaml")).expect("a file in place of another");
    }

    /// Writes a configuration with both listeners, a pid file and an upgrade socket, and this besides.
    pub fn write_with(&self, server: &str, rest: &str) {
        let Self { main, admin, .. } = self;
        let files = "threads: 2, pid_file: run/pid, upgrade_socket: run/upgrade.sock";
        self.write(&format!(
            "listen: {main}\nadmin: {admin}\naccess_log: access.log\nserver: {{ {files}, {server} }}\n{rest}\n"
        ));
    }

    /// Starts `tollgate run` with more arguments, and does not wait for it.
    pub fn launch(&self, more: &[&str]) -> Process {
        let log = self.path(&format!("log-{}", self.launched.fetch_add(1, Ordering::SeqCst)));
        let out = File::create(&log).expect("a file");
        let mut command = Command::new(PROGRAM);
        command.args(["run", "-c", &self.file()]).args(more).stdin(Stdio::null());
        let child = command.stdout(out.try_clone().expect("a file")).stderr(out).spawn().expect("the program");
        Process { child, log }
    }

    /// Starts `tollgate run` and waits until it serves.
    #[track_caller]
    pub fn start(&self) -> Process {
        let mut process = self.launch(&[]);
        process.await_serving();
        process
    }

    /// Asks the gateway.
    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        client::send(self.main, &Request::get(path))
    }

    /// Asks the admin API for a page of it.
    #[track_caller]
    pub fn admin(&self, path: &str) -> Response {
        client::send(self.admin, &Request::get(path).unidentified())
    }

    /// The value of a metric without labels.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.admin("/metrics");
        let line = page.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {}", page.text()))
    }

    /// The configuration's revision in service.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        self.admin("/ready").json()["config"]["revision"].as_u64().expect("a revision")
    }

    /// The process id in the pid file.
    #[track_caller]
    pub fn pid(&self) -> Pid {
        let read = || fs::read_to_string(self.path("run/pid")).ok()?.trim().parse().ok();
        Pid::from_raw(wait::until_some("there is a process id in the pid file", read))
    }
}

/// A process of the program, killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Its id.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal).expect("a running process");
    }

    /// Whether its first thread holds this signal back (proc(5), `SigBlk`).
    pub fn keeps(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until it prints this.
    #[track_caller]
    pub fn await_log(&self, text: &str) {
        wait::until(&format!("{text:?} is in {}", self.log.display()), || self.log().contains(text));
    }

    /// Waits until it serves.
    #[track_caller]
    pub fn await_serving(&mut self) {
        wait::until("the gateway serves", || {
            let ended = self.child.try_wait().expect("a child's status");
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", self.log());
            self.log().contains("serving")
        });
    }

    /// Waits until it ends.
    #[track_caller]
    pub fn await_end(&mut self) -> ExitStatus {
        wait::until_some("the gateway has ended", || self.child.try_wait().expect("a child's status"))
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child's status").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already needs no killing.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.log.display(), self.log());
        }
    }
}

/// Whether a process that is no child of this one runs.
pub fn exists(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // One that nobody has waited for is a zombie, not a process.
    status.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

/// Writes a file of a test.
pub fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file");
}
