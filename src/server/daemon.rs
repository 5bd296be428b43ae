//! A gateway as a process: Pingora's server daemonises it, waits for its signals and hands its sockets to a successor.

use super::gateway::{Gateway, Phase, Prepared};
use super::lock::UpgradeLock;
use super::reload::Source;
use super::sockets::Sockets;
use crate::config::Loaded;
use crate::observe::log::ProcessLog;
use crate::snapshot::{ServerPlan, server_plan};
use async_trait::async_trait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::Service;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

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

/// On QUIT, a successor is waited for this long; without one the gateway goes on serving.
const SUCCESSOR: Duration = Duration::from_secs(5);

/// Runs a gateway until it is told to stop.
///
/// Everything that can fail is tried before the process goes to the background, so that it is said where the operator
/// looks, and with a status other than zero.
pub fn run(source: Source, loaded: Loaded, manner: Manner) -> ExitCode {
    let Manner { mode, start, log } = manner;
    let plan = server_plan(&loaded);
    let refuse = |message: String| {
        eprintln!("tollgate: {message}");
        ExitCode::FAILURE
    };
    let (lock, sockets) = match take_over_or_lock(&plan, start) {
        Ok(pair) => pair,
        Err(message) => return refuse(message),
    };
    let prepared = match Prepared::new(source, loaded, sockets) {
        Ok(prepared) => prepared,
        Err(error) => return refuse(error.to_string()),
    };
    let own_pid_file = if mode == Mode::Foreground { write_pid_file(&plan) } else { Ok(()) };
    if let Err(message) = own_pid_file {
        return refuse(message);
    }
    let shared = Arc::new(Process { plan: plan.clone(), gateway: OnceLock::new(), table: OnceLock::new(), log });
    let mut server = Server::new_with_opt_and_conf(None, server_conf(&plan, mode));
    server.bootstrap();
    server.add_service(GatewayService { parts: Mutex::new(Some((prepared, lock))), process: Arc::clone(&shared) });
    server.run(RunArgs { shutdown_signal: Box::new(Signals { process: Arc::clone(&shared) }) });
    let running = &shared.gateway;
    if let Some(gateway) = running.get() {
        gateway.drain(plan.grace);
    }
    if let Some(path) = &plan.pid_file {
        remove_own_pid_file(path);
    }
    log::info!("stopped");
    ExitCode::SUCCESS
}

fn take_over_or_lock(plan: &ServerPlan, start: Start) -> Result<(Option<UpgradeLock>, Sockets), String> {
    match (start, &plan.upgrade_socket) {
        (Start::Fresh, None) => Ok((None, Sockets::default())),
        (Start::Fresh, Some(socket)) => {
            let lock = UpgradeLock::take(socket).map_err(|error| error.to_string())?;
            Ok((Some(lock), Sockets::default()))
        }
        (Start::Upgrade, None) => {
            Err("an upgrade needs `server.upgrade_socket` in the configuration, of the running gateway and of this one"
                .into())
        }
        (Start::Upgrade, Some(socket)) => Ok((None, receive(socket, plan.pid_file.as_deref())?)),
    }
}

/// Receives the sockets of the running gateway. Where its pid file is known it is asked to hand them over; else the
/// operator sends QUIT.
fn receive(socket: &Path, pid_file: Option<&Path>) -> Result<Sockets, String> {
    let pid = pid_file.map(read_pid).transpose()?;
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    }
    let _ = std::fs::remove_file(socket);
    let path = socket.to_owned();
    let asking = std::thread::spawn(move || {
        let Some(pid) = pid else { return };
        let deadline = Instant::now() + SUCCESSOR;
        while !is_socket(&path) && Instant::now() < deadline {
            super::background::pause();
        }
        let _ = kill(pid, Signal::SIGQUIT);
    });
    let mut fds = Fds::new();
    let received = fds.get_from_sock(&*socket.to_string_lossy());
    let _ = asking.join();
    received.map_err(|error| {
        format!(
            "no running gateway handed its sockets over at {} ({error}); is it running, with this upgrade_socket?",
            socket.display()
        )
    })?;
    Ok(Sockets::inherit(&fds))
}

fn read_pid(path: &Path) -> Result<Pid, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        format!("{} cannot be read: {error}; an upgrade needs the running gateway's pid", path.display())
    })?;
    let pid = text.trim().parse().map_err(|_| format!("{} does not hold a process id", path.display()))?;
    Ok(Pid::from_raw(pid))
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_socket())
}

fn write_pid_file(plan: &ServerPlan) -> Result<(), String> {
    let Some(path) = &plan.pid_file else { return Ok(()) };
    let fail = |error: std::io::Error| format!("the pid file {} cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(fail)?;
    }
    std::fs::write(path, format!("{}\n", std::process::id())).map_err(fail)
}

/// A successor has written its own id there by now: that one stays.
fn remove_own_pid_file(path: &PathBuf) {
    let own = std::process::id().to_string();
    if std::fs::read_to_string(path).is_ok_and(|text| text.trim() == own) {
        let _ = std::fs::remove_file(path);
    }
}

fn server_conf(plan: &ServerPlan, mode: Mode) -> ServerConf {
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let default = ServerConf::default();
    ServerConf {
        daemon: mode == Mode::Daemon,
        user: plan.user.clone(),
        group: plan.group.clone(),
        pid_file: plan.pid_file.as_ref().map_or(default.pid_file.clone(), text),
        upgrade_sock: plan.upgrade_socket.as_ref().map_or(default.upgrade_sock.clone(), text),
        // Draining is the gateway's own: Pingora would sleep through the whole grace period, busy or not.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..default
    }
}

/// What the parts of the process share.
struct Process {
    plan: ServerPlan,
    gateway: OnceLock<Arc<Gateway>>,
    /// The table that Pingora sends to a successor.
    table: OnceLock<ListenFds>,
    log: Option<&'static ProcessLog>,
}

/// The gateway as Pingora's server sees it.
struct GatewayService {
    parts: Mutex<Option<(Prepared, Option<UpgradeLock>)>>,
    process: Arc<Process>,
}

#[async_trait]
impl Service for GatewayService {
    async fn start_service(&mut self, fds: Option<ListenFds>, mut shutdown: ShutdownWatch, _tasks_per_fd: usize) {
        let Some((prepared, lock)) = self.parts.lock().take() else { return };
        // Starting waits for threads and DNS: not on this runtime.
        let launched = tokio::task::spawn_blocking(move || Gateway::launch(prepared)).await;
        let gateway = match launched {
            Ok(Ok(gateway)) => gateway,
            Ok(Err(error)) => exit_unserved(&error.to_string()),
            Err(error) => exit_unserved(&error.to_string()),
        };
        let _ = self.process.gateway.set(gateway);
        if let Some(table) = fds {
            let _ = self.process.table.set(table);
        }
        hold_lock(lock, self.process.plan.upgrade_socket.clone());
        log::info!("serving");
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

/// The signals of the process: TERM, INT and QUIT end it, HUP and USR1 do not.
struct Signals {
    process: Arc<Process>,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        match self.listen().await {
            Ok(end) => end,
            Err(error) => {
                log::error!("signals cannot be received: {error}; stopping");
                ShutdownSignal::GracefulTerminate
            }
        }
    }
}

impl Signals {
    async fn listen(&self) -> std::io::Result<ShutdownSignal> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user = signal(SignalKind::user_defined1())?;
        loop {
            tokio::select! {
                _ = terminate.recv() => {
                    self.fail_readiness().await;
                    return Ok(ShutdownSignal::GracefulTerminate);
                }
                _ = interrupt.recv() => return Ok(ShutdownSignal::FastShutdown),
                _ = quit.recv() => {
                    if self.offer_sockets().await {
                        return Ok(ShutdownSignal::GracefulUpgrade);
                    }
                }
                _ = hangup.recv() => self.reload(),
                _ = user.recv() => self.reopen_logs(),
            }
        }
    }

    /// Readiness fails, and for the drain time the listeners still accept: load balancers in front look elsewhere.
    async fn fail_readiness(&self) {
        if let Some(gateway) = self.process.gateway.get() {
            gateway.set_phase(Phase::Draining);
        }
        log::info!("stopping: readiness fails, listeners close in {:?}", self.process.plan.drain);
        tokio::time::sleep(self.process.plan.drain).await;
    }

    /// Puts the sockets where Pingora will send them from, once a successor waits for them. Pingora's own hand-over
    /// would end this process whether anybody came or not.
    async fn offer_sockets(&self) -> bool {
        let Some(socket) = &self.process.plan.upgrade_socket else {
            log::error!("QUIT ignored: there is no server.upgrade_socket to hand over at");
            return false;
        };
        let deadline = Instant::now() + SUCCESSOR;
        while !is_socket(socket) {
            if Instant::now() > deadline {
                log::error!("QUIT ignored: no successor waits at {}", socket.display());
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let (Some(gateway), Some(table)) = (self.process.gateway.get(), self.process.table.get()) else { return false };
        match gateway.export_sockets() {
            Ok(sockets) => {
                let mut table = table.lock();
                sockets.into_iter().for_each(|(key, fd)| table.add(key, fd));
                true
            }
            Err(error) => {
                log::error!("QUIT ignored: the sockets cannot be copied: {error}");
                false
            }
        }
    }

    fn reload(&self) {
        if let Some(gateway) = self.process.gateway.get().cloned() {
            tokio::task::spawn_blocking(move || gateway.reload());
        }
    }

    fn reopen_logs(&self) {
        if let Some(gateway) = self.process.gateway.get() {
            gateway.reopen_logs();
        }
        if let Some(Err(error)) = self.process.log.map(ProcessLog::reopen) {
            log::error!("the log cannot be opened anew: {error}");
        }
    }
}

/// Holds the lock to the end of the process; a successor waits for it.
fn hold_lock(lock: Option<UpgradeLock>, socket: Option<PathBuf>) {
    match (lock, socket) {
        (Some(lock), _) => std::mem::forget(lock),
        (None, Some(socket)) => {
            std::thread::spawn(move || match UpgradeLock::wait(&socket) {
                Ok(lock) => std::mem::forget(lock),
                Err(error) => log::warn!("{error}"),
            });
        }
        (None, None) => {}
    }
}
