//! A gateway as a process: Pingora's server daemonises it and waits for its signals; draining and the hand-over to a
//! successor are the gateway's own.

use super::gateway::{Candidate, Gateway, Prepared};
use super::handover::{self, Claim};
use super::lock::{UpgradeLock, WaitingLock};
use super::reload::Source;
use super::signals::{self, Signals};
use super::sockets::Sockets;
use crate::config::Loaded;
use crate::observe::log::ProcessLog;
use crate::snapshot::{ServerPlan, server_plan};
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{ListenFds, RunArgs, Server, ShutdownWatch};
use pingora_core::services::Service;
use std::io::IsTerminal;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Notify, watch};

/// How a process is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the foreground.
    Foreground,
    /// In the background.
    Daemon,
}

/// Where the listening sockets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// They are bound.
    Fresh,
    /// The running gateway hands them over.
    Upgrade,
}

/// How a process is run, whole.
#[derive(Clone, Copy)]
pub struct Manner {
    /// In the foreground or not.
    pub mode: Mode,
    /// Fresh or taking over.
    pub start: Start,
    /// The process log, to be opened anew on USR1.
    pub log: Option<&'static ProcessLog>,
}

/// Keeps HUP, USR1 and QUIT for the gateway that is about to run, so that they do not end the process before.
pub fn keep_signals() {
    signals::keep();
}

/// Runs a gateway until it is told to stop.
///
/// Everything that can fail is tried before a running gateway is asked for its sockets and before the process goes to
/// the background, so that it is said where the operator looks, with a status other than zero, and nothing is lost.
pub fn run(source: Source, loaded: Loaded, manner: Manner) -> ExitCode {
    let plan = server_plan(&loaded);
    match prepare(source, loaded, manner, &plan) {
        Ok(parts) => serve(parts, manner, plan),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What serves, and what it holds at the upgrade socket.
struct Parts {
    prepared: Prepared,
    hold: Hold,
}

/// What a process holds at the upgrade socket.
enum Hold {
    /// There is no upgrade socket.
    Nothing,
    /// The lock.
    Lock(UpgradeLock),
    /// The predecessor's sockets, and its lock once it has left.
    Succession(Claim, WaitingLock),
}

fn prepare(source: Source, loaded: Loaded, manner: Manner, plan: &ServerPlan) -> Result<Parts, String> {
    let own = |message: String| format!("tollgate: {message}");
    // The list of problems names its places itself.
    let candidate = Candidate::compile(source, loaded).map_err(|problems| problems.to_string())?;
    check_files(plan, manner.mode).map_err(own)?;
    let (sockets, hold) = match (manner.start, &plan.upgrade_socket) {
        (Start::Fresh, None) => (Sockets::default(), Hold::Nothing),
        (Start::Fresh, Some(socket)) => {
            let lock = UpgradeLock::take(socket).map_err(|error| own(error.to_string()))?;
            (Sockets::default(), Hold::Lock(lock))
        }
        (Start::Upgrade, None) => {
            return Err(own(
                "an upgrade needs `server.upgrade_socket` in the configuration, of the running gateway and of \
                            this one"
                    .into(),
            ));
        }
        (Start::Upgrade, Some(socket)) => {
            let (sockets, claim) = handover::receive(socket, plan.pid_file.as_deref()).map_err(own)?;
            let lock = UpgradeLock::prepare(socket).map_err(|error| own(error.to_string()))?;
            (sockets, Hold::Succession(claim, lock))
        }
    };
    let prepared = candidate.bind(sockets).map_err(|error| own(error.to_string()))?;
    if manner.mode == Mode::Foreground {
        write_pid_file(plan).map_err(own)?;
    }
    Ok(Parts { prepared, hold })
}

fn serve(parts: Parts, manner: Manner, plan: ServerPlan) -> ExitCode {
    let process = Arc::new(Process {
        plan,
        log: manner.log,
        listening: Notify::new(),
        gateway: OnceLock::new(),
        reload_later: AtomicBool::new(false),
        interrupted: watch::Sender::new(false),
    });
    let mut server = Server::new_with_opt_and_conf(None, server_conf(&process.plan, manner.mode));
    server.bootstrap();
    server.add_service(GatewayService { parts: Mutex::new(Some(parts)), process: Arc::clone(&process) });
    server.run(RunArgs { shutdown_signal: Box::new(Signals { process: Arc::clone(&process) }) });
    if let Some(gateway) = process.gateway.get() {
        gateway.drain_unless(process.plan.grace, || *process.interrupted.borrow());
    }
    if let Some(path) = &process.plan.pid_file {
        remove_own_pid_file(path);
    }
    log::info!("stopped");
    ExitCode::SUCCESS
}

/// Refuses what would fail only in the background, or only at an upgrade.
fn check_files(plan: &ServerPlan, mode: Mode) -> Result<(), String> {
    if let Some(path) = &plan.upgrade_socket {
        UnixAddress::from_pathname(path)
            .map_err(|error| format!("server.upgrade_socket {} is no address: {error}", path.display()))?;
    }
    match (&plan.pid_file, mode) {
        (Some(path), _) => make_folder(path).map_err(|error| pid_file_error(path, &error)),
        (None, Mode::Foreground) => Ok(()),
        (None, Mode::Daemon) => Err("a daemon needs `server.pid_file`, or nobody could tell it to stop".into()),
    }
}

fn make_folder(file: &Path) -> std::io::Result<()> {
    file.parent().map_or(Ok(()), std::fs::create_dir_all)
}

fn pid_file_error(path: &Path, error: &std::io::Error) -> String {
    format!("the pid file {} cannot be written: {error}", path.display())
}

fn write_pid_file(plan: &ServerPlan) -> Result<(), String> {
    let Some(path) = &plan.pid_file else { return Ok(()) };
    std::fs::write(path, format!("{}\n", std::process::id())).map_err(|error| pid_file_error(path, &error))
}

/// A successor has written its own id there by now: that one stays. Pingora, in the background, moves the former file
/// to another name.
fn remove_own_pid_file(path: &Path) {
    let own = std::process::id().to_string();
    let mut moved = path.as_os_str().to_owned();
    moved.push(".old");
    for path in [path, Path::new(&moved)] {
        if std::fs::read_to_string(path).is_ok_and(|text| text.trim() == own) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn server_conf(plan: &ServerPlan, mode: Mode) -> ServerConf {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let default = ServerConf::default();
    ServerConf {
        daemon: mode == Mode::Daemon,
        user: plan.user.clone(),
        group: plan.group.clone(),
        // Of a terminal nothing is kept: what a daemon said there would appear among what others do.
        error_log: (mode == Mode::Daemon && std::io::stderr().is_terminal()).then(|| "/dev/null".into()),
        pid_file: plan.pid_file.as_ref().map_or(default.pid_file.clone(), text),
        // Draining is the gateway's own: Pingora would sleep through the whole grace period, busy or not.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..default
    }
}

/// What the parts of the process share.
pub(super) struct Process {
    pub(super) plan: ServerPlan,
    pub(super) log: Option<&'static ProcessLog>,
    /// Signals are received from now on: before that, the system's own answer to most of them is to kill.
    pub(super) listening: Notify,
    pub(super) gateway: OnceLock<Arc<Gateway>>,
    /// HUP came before there was anything to reload.
    pub(super) reload_later: AtomicBool,
    /// INT came: everything is to end at once.
    pub(super) interrupted: watch::Sender<bool>,
}

impl Process {
    /// Reloads, now or as soon as there is something to reload.
    pub(super) fn reload(&self) {
        self.reload_later.store(true, Ordering::SeqCst);
        self.reload_if_asked();
    }

    fn reload_if_asked(&self) {
        if let Some(gateway) = self.gateway.get().cloned()
            && self.reload_later.swap(false, Ordering::SeqCst)
        {
            tokio::task::spawn_blocking(move || gateway.reload());
        }
    }
}

/// The gateway as Pingora's server sees it.
struct GatewayService {
    parts: Mutex<Option<Parts>>,
    process: Arc<Process>,
}

#[async_trait]
impl Service for GatewayService {
    async fn start_service(&mut self, _fds: Option<ListenFds>, mut shutdown: ShutdownWatch, _tasks_per_fd: usize) {
        let Some(Parts { prepared, hold }) = self.parts.lock().take() else { return };
        self.process.listening.notified().await;
        // Starting waits for threads and DNS: not on this runtime.
        let launched = tokio::task::spawn_blocking(move || Gateway::launch(prepared)).await;
        let gateway = match launched {
            Ok(Ok(gateway)) => gateway,
            Ok(Err(error)) => exit_unserved(&error.to_string()),
            Err(error) => exit_unserved(&error.to_string()),
        };
        let _ = self.process.gateway.set(gateway);
        if let Err(why) = hold.keep() {
            exit_unserved(&why);
        }
        log::info!("serving");
        self.process.reload_if_asked();
        let _ = shutdown.wait_for(|stop| *stop).await;
    }

    fn name(&self) -> &str {
        "gateway"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

/// Nothing serves yet; a process that stays and serves nothing would only mislead.
fn exit_unserved(message: &str) -> ! {
    log::error!("{message}");
    eprintln!("tollgate: {message}");
    std::process::exit(1);
}

impl Hold {
    /// Called once the process serves: tells a predecessor so, and holds the lock to the end of the process.
    fn keep(self) -> Result<(), String> {
        match self {
            Self::Nothing => {}
            Self::Lock(lock) => std::mem::forget(lock),
            Self::Succession(claim, lock) => {
                claim.confirm()?;
                std::thread::spawn(move || match lock.wait() {
                    Ok(lock) => std::mem::forget(lock),
                    Err(error) => log::warn!("{error}"),
                });
            }
        }
        Ok(())
    }
}
