//! What belongs to the process: the admin API, the access log, threads and files.

use super::Compiling;
use super::routes::on_or;
use crate::cache::DiskPlan;
use crate::config::{Config, Loaded, LogFormat};
use crate::exchange::ROOM;
use crate::observe::access_log::{AccessLogSettings, Destination, Redaction, Shape};
use crate::policy::limit::MAX_KEYS;
use crate::snapshot::{AdminPlan, ProcessPlan, ServerPlan};
use std::path::PathBuf;
use std::time::Duration;

/// How long work may wait on a worker before requests are turned away, where nothing is written. Far above what other
/// processes on the machine cause, and below what callers give up after.
const PRESSURE: Duration = Duration::from_millis(200);

impl Compiling<'_> {
    pub(super) fn process(&mut self) -> Option<ProcessPlan> {
        let listeners = self.listeners();
        let admin = self.admin();
        let loaded = self.loaded;
        Some(ProcessPlan {
            listeners,
            admin: admin?,
            access_log: self.access_log(),
            server: server_plan(loaded),
            cache_memory: loaded.config.cache.memory.get(),
            cache_disk: self.cache_disk(),
            watched: match loaded.config.watch {
                true => loaded.files.iter().chain(self.protos.files()).cloned().collect(),
                false => Vec::new(),
            },
        })
    }

    /// `None` where there is a problem, `Some(None)` where there is no admin API.
    fn admin(&mut self) -> Option<Option<AdminPlan>> {
        let Some(written) = &self.loaded.config.admin else { return Some(None) };
        let token = match &written.token {
            None => None,
            Some(secret) => {
                let folder = self.sources().folder(secret.place).to_owned();
                match secret.resolve(&folder, &|name| std::env::var(name).ok()) {
                    Ok(token) => Some(token),
                    Err(problem) => {
                        self.problems.push(problem);
                        return None;
                    }
                }
            }
        };
        Some(Some(AdminPlan { address: *written.address.value, token }))
    }

    fn cache_disk(&self) -> Option<DiskPlan> {
        let written = self.loaded.config.cache.disk.as_ref()?;
        let path = self.sources().resolve(written.path.place, &written.path.value);
        Some(DiskPlan { path, size: written.size.get() })
    }

    fn access_log(&self) -> AccessLogSettings {
        let written = &self.loaded.config.access_log;
        let to = match written.to.as_str() {
            "off" => Destination::Off,
            "stdout" => Destination::Stdout,
            path => Destination::File(self.sources().resolve(written.to.place, path)),
        };
        let shape = match written.format {
            LogFormat::Json => Shape::Json,
            LogFormat::Text => Shape::Text,
        };
        let redaction = match &written.redact_query {
            Some(names) => Redaction::new(names.iter().map(String::as_str)),
            None => Redaction::default(),
        };
        let redaction = redaction.and(self.redacted.iter().map(String::as_str));
        AccessLogSettings { to, shape, redaction }
    }
}

/// Worker threads: as many as written, else one per processor this process may use.
pub fn worker_threads(config: &Config) -> usize {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    config.server.threads.map_or_else(available, |threads| usize::from(threads.value))
}

/// The process a configuration asks for.
pub fn server_plan(loaded: &Loaded) -> ServerPlan {
    let written = &loaded.config.server;
    let path = |path: &Option<crate::value::Spanned<String>>| -> Option<PathBuf> {
        path.as_ref().map(|path| loaded.sources.resolve(path.place, &path.value))
    };
    ServerPlan {
        threads: worker_threads(&loaded.config),
        user: written.user.clone(),
        group: written.group.clone(),
        pid_file: path(&written.pid_file),
        upgrade_socket: path(&written.upgrade_socket),
        state_dir: path(&written.state_dir),
        max_keys: written.max_keys.map_or(MAX_KEYS, |keys| usize::try_from(keys.value).unwrap_or(MAX_KEYS)),
        gathered: written.gathered.map_or(ROOM, |gathered| gathered.as_usize()),
        drain: written.drain.get(),
        grace: written.grace.get(),
        overload: on_or(written.overload.as_ref(), PRESSURE, |overload| overload.delay.get()),
    }
}
