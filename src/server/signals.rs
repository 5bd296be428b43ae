//! What the process does with the signals it gets.

use super::daemon::Process;
use super::gateway::Phase;
use super::handover;
use crate::observe::log::ProcessLog;
use async_trait::async_trait;
use nix::sys::signal::{SigSet, Signal};
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use std::io;
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The signals of the process: TERM and INT end it, QUIT does where a successor serves, HUP and USR1 do not.
pub(super) struct Signals {
    pub(super) process: Arc<Process>,
}

/// Keeps the signals that must not end a process until [`Signals`] receives them: by themselves HUP, USR1 and QUIT kill.
/// A large file takes seconds to compile, and a HUP meanwhile says only that there is a newer one. Called before the
/// process has a second thread, since threads inherit what is kept.
pub(crate) fn keep() {
    // Only an unknown signal or a bad address is an error (sigprocmask(2)).
    let _ = kept().thread_block();
}

fn kept() -> SigSet {
    [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGQUIT].into_iter().collect()
}

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Requests under way are finished.
    Drained,
    /// At once.
    Now,
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let end = self.listen().await.unwrap_or_else(|error| {
            log::error!("signals cannot be received: {error}; stopping");
            End::Drained
        });
        match end {
            End::Now => ShutdownSignal::FastShutdown,
            End::Drained => ShutdownSignal::GracefulTerminate,
        }
    }
}

impl Signals {
    async fn listen(&self) -> io::Result<End> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user = signal(SignalKind::user_defined1())?;
        self.listen_for_interrupt().await?;
        // One thread that lets them through is enough: what came meanwhile is delivered now.
        kept().thread_unblock()?;
        self.process.listening.notify_one();
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(self.fail_readiness().await),
                () = self.interrupted() => return Ok(End::Now),
                _ = quit.recv() => tokio::select! {
                    given = self.hand_over() => if given { return Ok(End::Drained) },
                    _ = terminate.recv() => return Ok(self.fail_readiness().await),
                    () = self.interrupted() => return Ok(End::Now),
                },
                _ = hangup.recv() => self.process.reload(),
                _ = user.recv() => self.reopen_logs(),
            }
        }
    }

    /// On a thread of its own: INT must be heard to the very end, when Pingora's server and its runtime are gone.
    async fn listen_for_interrupt(&self) -> io::Result<()> {
        let (ready, listening) = oneshot::channel();
        let interrupted = self.process.interrupted.clone();
        std::thread::Builder::new().name("interrupt".into()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_io().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error))),
            };
            runtime.block_on(async {
                match signal(SignalKind::interrupt()) {
                    Ok(mut interrupt) => {
                        let _ = ready.send(Ok(()));
                        let _ = interrupt.recv().await;
                        interrupted.send_replace(true);
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        })?;
        listening.await.unwrap_or_else(|_| Err(io::Error::other("the thread that listens for INT has ended")))
    }

    async fn interrupted(&self) {
        // The sender is the process's own, so there is no error to come.
        let _ = self.process.interrupted.subscribe().wait_for(|now| *now).await;
    }

    /// Readiness fails, and for the drain time the listeners still accept: load balancers in front look elsewhere.
    async fn fail_readiness(&self) -> End {
        if let Some(gateway) = self.process.gateway.get() {
            gateway.set_phase(Phase::Draining);
        }
        log::info!("stopping: readiness fails, listeners close in {:?}", self.process.plan.drain);
        tokio::select! {
            () = tokio::time::sleep(self.process.plan.drain) => End::Drained,
            () = self.interrupted() => End::Now,
        }
    }

    /// Gives the sockets to a successor; whether one serves now. Pingora's own hand-over would end this process whether
    /// anybody came or not, and whether that one serves or not.
    async fn hand_over(&self) -> bool {
        let Some(socket) = self.process.plan.upgrade_socket.clone() else {
            log::error!("QUIT ignored: there is no server.upgrade_socket to hand over at");
            return false;
        };
        let Some(gateway) = self.process.gateway.get().cloned() else { return false };
        // On a thread of its own, which a runtime that ends does not wait for.
        let (done, given) = oneshot::channel();
        let giver = Arc::clone(&gateway);
        std::thread::spawn(move || done.send(handover::give(&giver, &socket)));
        match given.await {
            Ok(Ok(())) => {
                log::info!("a successor serves: draining");
                gateway.leave_admin();
                true
            }
            Ok(Err(why)) => {
                log::error!("not handed over, serving on: {why}");
                false
            }
            Err(_) => false,
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
