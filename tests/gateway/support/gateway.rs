//! The gateway itself, in process, built as `run` builds it, on ports the system chooses. It stops when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tollgate::exchange::Exchange;
use tollgate::exchange::call::Callee;
use tollgate::listener::pressure::Pressure;
use tollgate::server::{self, Sockets, Source};
use tollgate::snapshot::{Action, ReloadReport, Surroundings, compile};

use super::client::{Client, Request, Response, send};
use super::wait;

/// What every configuration of a test has unless it says otherwise.
const DEFAULTS: [(&str, &str); 4] =
    [("listen", "127.0.0.1:0"), ("admin", "127.0.0.1:0"), ("access_log", "\"off\""), ("server", "{ threads: 2 }")];

/// A running gateway and the folder that holds its configuration.
pub struct Gateway {
    running: Arc<server::Gateway>,
    folder: TempDir,
}

impl Gateway {
    /// Starts a gateway on that configuration; `listen`, `admin`, `access_log` and `server` are added where missing.
    ///
    /// # Panics
    /// When the configuration is refused; the message lists its problems.
    #[track_caller]
    pub fn start(yaml: &str) -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder"), yaml)
    }

    /// As [`Self::start`], with the file in a folder that holds others it names.
    #[track_caller]
    pub fn start_in(folder: TempDir, yaml: &str) -> Self {
        let path = file(folder.path());
        std::fs::write(&path, completed(yaml)).expect("a configuration written");
        let source = Source::File(path);
        let loaded = source.load().unwrap_or_else(|problems| panic!("{problems}"));
        let running = server::Gateway::start(source, loaded, Sockets::default());
        Self { running: running.unwrap_or_else(|error| panic!("{error}")), folder }
    }

    /// A gateway in front of one upstream, with all paths routed there.
    #[track_caller]
    pub fn before(url: &str) -> Self {
        Self::start(&format!("routes: {{ /**: {{ to: {url} }} }}"))
    }

    /// Does something to the pressure on each of its workers.
    pub fn feel(&self, each: impl Fn(&Pressure)) {
        self.running.shared().pressure.iter().for_each(each);
    }

    /// A gateway whose routes, each with one upstream, answer by an exchange made for that upstream.
    #[track_caller]
    pub fn exchanging(yaml: &str, make: impl Fn(Callee) -> Arc<dyn Exchange>) -> Self {
        let gateway = Self::start(yaml);
        let shared = gateway.running.shared();
        let loaded = Source::File(file(gateway.folder.path())).load().expect("the configuration again");
        let surroundings = Surroundings {
            previous: Some(&shared.store.load()),
            metrics: &shared.metrics,
            fetcher: &shared.fetcher,
            limits: &shared.limits,
            cache: &shared.cache,
            seed: 0,
        };
        let mut snapshot = compile(loaded, &surroundings).unwrap_or_else(|failed| panic!("{failed}")).snapshot;
        for route in &mut snapshot.routes {
            if let Action::Forward(target) = &route.action {
                route.action = Action::Exchange(make(target.choices().first().expect("an upstream").to.clone()));
            }
        }
        shared.store.publish(Arc::new(snapshot));
        gateway
    }

    /// Where the plain listener of `listen:` is.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.listener("main")
    }

    /// Where a listener is.
    #[track_caller]
    pub fn listener(&self, name: &str) -> SocketAddr {
        self.running.address(name).unwrap_or_else(|| panic!("no listener {name}"))
    }

    /// Whether a listener of that name stands.
    pub fn has_listener(&self, name: &str) -> bool {
        self.running.address(name).is_some()
    }

    /// The folder of the configuration.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A connection to the plain listener.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends a request over a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        send(self.address(), request)
    }

    /// GETs a target.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target))
    }

    /// Asks the admin API.
    #[track_caller]
    pub fn admin(&self, request: Request) -> Response {
        send(self.admin_address(), &request.unidentified())
    }

    /// GETs a page of the admin API.
    #[track_caller]
    pub fn page(&self, target: &str) -> Response {
        self.admin(Request::get(target))
    }

    /// Where the admin API is.
    #[track_caller]
    pub fn admin_address(&self) -> SocketAddr {
        self.running.admin_address().expect("an admin API")
    }

    /// Puts another configuration in place of the file, without a reload.
    pub fn rewrite(&self, yaml: &str) {
        std::fs::write(file(self.folder()), completed(yaml)).expect("a configuration written");
    }

    /// Reloads the file.
    pub fn reload(&self) -> ReloadReport {
        self.running.reload()
    }

    /// Puts another configuration in place and reloads it.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn change(&self, yaml: &str) -> ReloadReport {
        self.rewrite(yaml);
        let report = self.reload();
        assert_eq!(report.refused, None);
        report
    }

    /// Opens the access log anew.
    pub fn reopen_logs(&self) {
        self.running.reopen_logs();
    }

    /// Closes the listeners and waits for what is under way.
    pub fn drain(&self) {
        self.running.drain(wait::DEADLINE);
    }

    /// The sum of all series of a metric whose labels contain each of these texts.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.page("/metrics");
        let lines = page.text().lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric has reached that value: it is counted after the response has gone out.
    #[track_caller]
    pub fn await_metric(&self, name: &str, labels: &[&str], value: f64) {
        wait::until(&format!("{name} is {value}"), || self.metric(name, labels) >= value);
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("tollgate.yaml")
}

fn completed(yaml: &str) -> String {
    let missing = DEFAULTS.iter().filter(|(key, _)| !yaml.lines().any(|line| line.starts_with(&format!("{key}:"))));
    let mut text: String = missing.map(|(key, value)| format!("{key}: {value}\n")).collect();
    text.push_str(yaml);
    text
}
