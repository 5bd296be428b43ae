//! `shared_state:` compiled: everything a connection needs, with files read and secrets resolved.

use super::address::{Node, SENTINEL_PORT};
use super::config::{OnStoreFailure, RedisConfig, RedisTlsConfig, SentinelConfig};
use crate::value::{Host, Place, Problems, Secret, SecretConfig, Sources, Spanned};
use std::time::Duration;

/// Everything a connection needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub servers: Servers,
    pub login: Login,
    pub tls: Option<Tls>,
    pub timeout: Duration,
    pub prefix: String,
    pub on_store_failure: OnStoreFailure,
}

/// Which servers there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Servers {
    One { node: Node, database: u16 },
    Sentinel { master: String, sentinels: Vec<Node>, login: Login, database: u16 },
    Cluster(Vec<Node>),
}

/// Who the gateway is to the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Login {
    pub username: Option<String>,
    pub password: Option<Secret>,
}

/// What TLS needs beside the host's name. Not shown: keys are among it.
#[derive(Clone, PartialEq)]
pub(super) struct Tls {
    pub ca: Option<Vec<u8>>,
    /// Certificate and key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    pub server_name: Option<String>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Plan {
    /// Where the store is, for people.
    pub fn describe(&self) -> String {
        let list = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect::<Vec<_>>().join(", ");
        let tls = if self.tls.is_some() { " over TLS" } else { "" };
        match &self.servers {
            Servers::One { node, database: 0 } => format!("redis {node}{tls}"),
            Servers::One { node, database } => format!("redis {node}{tls}, database {database}"),
            Servers::Sentinel { master, sentinels, .. } => format!("redis `{master}` of {}{tls}", list(sentinels)),
            Servers::Cluster(nodes) => format!("redis cluster {}{tls}", list(nodes)),
        }
    }
}

/// Compiles what is written; `None` where a problem was recorded.
pub(super) fn compile(written: &Spanned<RedisConfig>, sources: &Sources, problems: &mut Problems) -> Option<Plan> {
    let mut reading = Reading { sources, problems, sound: true };
    let config = &written.value;
    let servers = reading.servers(config, written.place);
    let login = Login {
        username: config.username.as_ref().map(|name| name.value.clone()),
        password: config.password.as_ref().and_then(|password| reading.secret(password)),
    };
    if let (Some(name), None) = (&config.username, &config.password) {
        reading.error(name.place, "a `username` needs a `password`");
    }
    let encrypted = config.url.as_ref().is_some_and(|url| url.value.tls);
    let tls = match &config.tls {
        Some(tls) => Some(reading.tls(tls, config)),
        None if encrypted => Some(Tls { ca: None, identity: None, server_name: None }),
        None => None,
    };
    if config.timeout.is_zero() || config.timeout.as_secs() >= 10 {
        reading.error(written.place, "`timeout` is from 1ms to 10s: requests wait for it");
    }
    let sound = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}');
    if config.prefix.len() > 64 || !config.prefix.chars().all(sound) {
        reading.error(config.prefix.place, "a prefix is at most 64 visible characters without braces");
    }
    let sound = reading.sound;
    Some(Plan {
        servers: servers?,
        login,
        tls,
        timeout: config.timeout.get(),
        prefix: config.prefix.value.clone(),
        on_store_failure: config.on_store_failure,
    })
    .filter(|_| sound)
}

struct Reading<'a> {
    sources: &'a Sources,
    problems: &'a mut Problems,
    sound: bool,
}

impl Reading<'_> {
    fn error(&mut self, place: Place, what: &str) {
        self.problems.error(place, what.to_owned());
        self.sound = false;
    }

    fn secret(&mut self, written: &SecretConfig) -> Option<Secret> {
        let folder = self.sources.folder(written.place).to_owned();
        match written.resolve(&folder, &|name| std::env::var(name).ok()) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.problems.push(problem);
                self.sound = false;
                None
            }
        }
    }

    fn servers(&mut self, config: &RedisConfig, place: Place) -> Option<Servers> {
        let nodes = |nodes: &[Spanned<Node>]| nodes.iter().map(|node| node.value.clone()).collect::<Vec<_>>();
        match (&config.url, &config.sentinel, &*config.cluster) {
            (Some(url), None, []) => Some(Servers::One { node: url.value.node.clone(), database: url.value.database }),
            (None, Some(sentinel), []) => Some(self.sentinel(sentinel)),
            (None, None, cluster @ [_, ..]) => Some(Servers::Cluster(nodes(cluster))),
            (None, None, []) => {
                self.error(place, "it is not said where the Redis is: write `url`, `sentinel` or `cluster`");
                None
            }
            _ => {
                self.error(place, "there is one way to a Redis: write one of `url`, `sentinel` and `cluster`");
                None
            }
        }
    }

    fn sentinel(&mut self, config: &SentinelConfig) -> Servers {
        if config.master.is_empty() {
            self.error(config.master.place, "the master has no name");
        }
        if config.nodes.is_empty() {
            self.error(config.master.place, "there are no sentinels to ask: write `nodes`");
        }
        let sentinels =
            config.nodes.iter().map(|node| Node { port: node.port.or(Some(SENTINEL_PORT)), host: node.host.clone() });
        let password = config.password.as_ref().and_then(|password| self.secret(password));
        Servers::Sentinel {
            master: config.master.value.clone(),
            sentinels: sentinels.collect(),
            login: Login { username: config.username.clone(), password },
            database: config.database,
        }
    }

    fn tls(&mut self, written: &Spanned<RedisTlsConfig>, config: &RedisConfig) -> Tls {
        let tls = &written.value;
        let ca = tls.ca.as_ref().and_then(|path| self.pem(path, "CERTIFICATE"));
        let identity = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => self.pem(cert, "CERTIFICATE").zip(self.pem(key, "PRIVATE KEY")),
            (None, None) => None,
            (one, other) => {
                let place = one.as_ref().or(other.as_ref()).map_or(written.place, |path| path.place);
                self.error(place, "`cert` and `key` go together");
                None
            }
        };
        if let Some(name) = &tls.server_name {
            let host = format!("redis://{}", name.value).parse::<super::address::RedisUrl>().map(|url| url.node.host);
            if !matches!(host, Ok(Host::Name(_))) {
                self.error(name.place, "`server_name` is the name of a host");
            }
            if config.url.is_none() {
                self.error(name.place, "`server_name` is for one server: nodes of several go by their own names");
            }
        }
        Tls { ca, identity, server_name: tls.server_name.as_ref().map(|name| name.value.clone()) }
    }

    /// A PEM file with at least one block of that kind.
    fn pem(&mut self, written: &Spanned<String>, kind: &str) -> Option<Vec<u8>> {
        let path = self.sources.resolve(written.place, &written.value);
        match std::fs::read(&path) {
            Ok(content) => {
                let text = String::from_utf8_lossy(&content);
                if text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(kind)) {
                    return Some(content);
                }
                self.error(written.place, &format!("{} holds no {kind} in PEM", path.display()));
            }
            Err(error) => self.error(written.place, &format!("{} cannot be read: {error}", path.display())),
        }
        None
    }
}
