//! A gateway as a process: Pingora's server daemonises it, waits for its signals and hands its sockets to a successor.

use super::gateway::{Gateway, Phase};
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

/// On QUIT, a successor is waited for this long; without one the gateway goes on serving.
const SUCCESSOR: Duration = Duration::from_secs(5);

/// Runs a gateway until it is told to stop.
///
/// Everything that can fail is tried before the process goes to the background, so that it is said where the operator
/// looks, and with a status other than zero.
pub fn run(source: Source, loaded: Loaded, mode: Mode, start: Start, log: Option<&'static ProcessLog>) -> ExitCode {
    let plan = server_plan(&loaded);
    let refuse = |message: String| {
        eprintln!("tollgate: {message}");
        ExitCode::FAILURE
    };
    let (lock, sockets) = match take_over_or_lock(&plan, start) {
        Ok(pair) => pair,
        Err(message) => return refuse(message),
    };
    if mode == Mode::Foreground
        && let Err(message) = write_pid_file(&plan)
    {
        return refuse(message);
    }
    // With a daemon the gateway must be started after the fork, or its threads would stay behind; what can be tried
    // before is tried by a rehearsal that is thrown away.
    if mode == Mode::Daemon
        && let Err(message) = super::rehearse(&source, &sockets)
    {
        return refuse(message);
    }
    let running: Arc<OnceLock<Arc<Gateway>>> = Arc::new(OnceLock::new());
    let service = GatewayService {
        parts: Mutex::new(Some(Parts { source, loaded, sockets, lock })),
        plan: plan.clone(),
        running: Arc::clone(&running),
    };
    let mut server = Server::new_with_opt_and_conf(None, server_conf(&plan, mode));
    server.bootstrap();
    server.add_service(service);
    let signals = Signals { running: Arc::clone(&running), plan: plan.clone(), log };
    server.run(RunArgs { shutdown_signal: Box::new(signals) });
    if let Some(gateway) = running.get() {
        gateway.drain(plan.grace);
    }
    if let Some(path) = plan.pid_file.as_ref().filter(|_| start == Start::Fresh || mode == Mode::Foreground) {
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
            Err("an upgrade needs `server.upgrade_socket` in the configuration, of the running gateway and of this one".into())
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
        format!("no running gateway handed its sockets over at {} ({error}); is it running, with this upgrade_socket?", socket.display())
    })?;
    Ok(Sockets::inherit(&fds))
}

fn read_pid(path: &Path) -> Result<Pid, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}; an upgrade needs the running gateway's pid", path.display()))?;
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
    let mut conf = ServerConf::default();
    conf.daemon = mode == Mode::Daemon;
    conf.user = plan.user.clone();
    conf.group = plan.group.clone();
    if let Some(path) = &plan.pid_file {
        conf.pid_file = path.to_string_lossy().into_owned();
    }
    if let Some(path) = &plan.upgrade_socket {
        conf.upgrade_sock = path.to_string_lossy().into_owned();
    }
    // Draining is the gateway's own: Pingora would sleep through the whole grace period, busy or not.
    conf.grace_period_seconds = Some(0);
    conf.graceful_shutdown_timeout_seconds = Some(0);
    conf
}

/// What a gateway is started from, once the process is where it will stay.
struct Parts {
    source: Source,
    loaded: Loaded,
    sockets: Sockets,
    lock: Option<UpgradeLock>,
}

/// The gateway as Pingora's server sees it.
struct GatewayService {
    parts: Mutex<Option<Parts>>,
    plan: ServerPlan,
    running: Arc<OnceLock<Arc<Gateway>>>,
}

#[async_trait]
impl Service for GatewayService {
    async fn start_service(&mut self, fds: Option<ListenFds>, mut shutdown: ShutdownWatch, _tasks_per_fd: usize) {
        let Some(Parts { source, loaded, sockets, lock }) = self.parts.lock().take() else { return };
        let gateway = match Gateway::start(source, loaded, sockets) {
            Ok(gateway) => gateway,
            Err(error) => {
                // Nothing serves yet; a process that stays and serves nothing would only mislead.
                eprintln!("tollgate: {error}");
                log::error!("{error}");
                std::process::exit(1);
            }
        };
        let _ = self.running.set(Arc::clone(&gateway));
        hold_lock(lock, self.plan.upgrade_socket.clone());
        if let Some(table) = fds {
            tokio::spawn(offer_sockets(Arc::downgrade(&gateway), table));
        }
        let _ = shutdown.wait_for(|stop| *stop).await;
    }

    fn name(&self) -> &str {
        "gateway"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
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
