//! Servers of Redis, in folders of their own, killed when dropped.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::wait;

/// A running server.
pub struct Redis {
    program: &'static str,
    arguments: Vec<String>,
    child: Option<Child>,
    folder: TempDir,
    pub port: u16,
}

/// A port that nobody has now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

impl Redis {
    /// One server that keeps nothing on disk.
    pub fn start(more: &[&str]) -> Self {
        let port = free_port();
        Self::on(port, &["--port", &port.to_string()], more)
    }

    /// The same on a port that somebody asks for a server already.
    pub fn at(port: u16) -> Self {
        Self::on(port, &["--port", &port.to_string()], &[])
    }

    /// One server whose port takes TLS alone.
    pub fn with_tls(more: &[&str]) -> Self {
        let port = free_port();
        Self::on(port, &["--port", "0", "--tls-port", &port.to_string()], more)
    }

    fn on(port: u16, where_: &[&str], more: &[&str]) -> Self {
        let common = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let all = where_.iter().chain(&common).chain(more);
        let mut redis = Self {
            program: "redis-server",
            arguments: all.map(ToString::to_string).collect(),
            child: None,
            folder: TempDir::new().expect("a folder"),
            port,
        };
        redis.run();
        redis
    }

    /// A sentinel that watches that server.
    pub fn sentinel(master: u16) -> Self {
        let port = free_port();
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        );
        std::fs::write(&file, text).expect("a configuration");
        let arguments = vec![file.display().to_string(), "--sentinel".into()];
        let mut sentinel = Self { program: "redis-server", arguments, child: None, folder, port };
        sentinel.run();
        sentinel
    }

    /// Starts the server, again after [`Self::kill`].
    pub fn run(&mut self) {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn();
        self.child = Some(child.unwrap_or_else(|error| {
            panic!(
                "{} CANNOT BE STARTED ({error}): these tests need Debian's redis-server; run scripts/setup",
                self.program
            )
        }));
        wait::until("the server takes connections", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops or continues it without ending it.
    pub fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("a running server").id();
        let done = Command::new("kill").args([signal, &id.to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()));
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` says.
    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
