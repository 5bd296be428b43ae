//! The Redis client: all that is used of the crate `redis` is in this file.
//!
//! A connection is driven by a task of the runtime it was made on, the one of [`super::SharedState`]; questions of any
//! thread go over it together, pipelined, each answered by itself. It never reconnects: that is the keeper's work.

use super::address::Node;
use super::counter::{Ask, CounterStore, Decided, StoreError};
use super::plan::{Login, Plan, Servers, Tls};
use super::purges::{KEPT, Place, PurgeAsk, PurgeNews};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, TlsMode, Value,
};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

/// How long making a connection may take: it is nobody's request that waits.
const CONNECT: Duration = Duration::from_secs(2);

static COUNTER: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("counter.lua")));
static PRESENCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("presence.lua")));
static PURGES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("purges.lua")));
/// The log of purges and its state; the braces keep them on one node of a cluster.
const PURGE_KEYS: [&str; 2] = ["{purges}:log", "{purges}:state"];

/// A script and the digest servers know it by.
pub(super) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, digest: redis::Script::new(text).get_hash().to_owned() }
    }
}

/// A connection, or those to the nodes of a cluster.
#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A connected store.
pub(super) struct Wire {
    connection: Connection,
    prefix: String,
}

impl Wire {
    /// Connects as the plan says.
    ///
    /// # Errors
    /// A sentence for the log, without secrets.
    pub async fn connect(plan: &Plan) -> Result<Self, String> {
        let connecting = async {
            Ok(match &plan.servers {
                Servers::Cluster(nodes) => Connection::Cluster(cluster(plan, nodes).await?),
                _ => Connection::One(
                    client(plan).await?.get_multiplexed_async_connection_with_config(&config(plan)).await?,
                ),
            })
        };
        let connected: RedisResult<Connection> = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(connected) => connected,
            Err(_) => return Err("no connection came about in time".to_owned()),
        };
        let connection = connected.map_err(|error| error.to_string())?;
        Ok(Self { connection, prefix: plan.prefix.clone() })
    }

    /// Runs a script by its digest, or as a whole where the server does not know it yet.
    async fn values(&self, script: &Script, keys: &[String], arguments: &[String]) -> Result<Vec<Value>, StoreError> {
        let command = |name: &str, body: &str| {
            let mut command = redis::cmd(name);
            command.arg(body).arg(keys.len());
            keys.iter().for_each(|key| {
                command.arg(format!("{}{key}", self.prefix));
            });
            command.arg(arguments);
            command
        };
        let answer = match self.send(&command("EVALSHA", &script.digest)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.send(&command("EVAL", script.text)).await
            }
            answer => answer,
        };
        match answer {
            Ok(Value::Array(values)) => Ok(values),
            Ok(_) => Err(StoreError::Reply),
            Err(error) => Err(judge(&error)),
        }
    }

    /// Runs a script that answers numbers.
    async fn run(&self, script: &Script, keys: &[String], arguments: &[String]) -> Result<Vec<i64>, StoreError> {
        let values = self.values(script, keys, arguments).await?;
        let number = |value| if let Value::Int(number) = value { Ok(number) } else { Err(StoreError::Reply) };
        values.into_iter().map(number).collect()
    }

    async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self.connection.clone() {
            Connection::One(mut connection) => connection.req_packed_command(command).await,
            Connection::Cluster(mut connection) => connection.req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }
}

#[async_trait]
impl CounterStore for Wire {
    async fn decide(&self, asks: &[Ask]) -> Result<Decided, StoreError> {
        let run = |asks: &[Ask]| {
            let keys: Vec<String> = asks.iter().map(|ask| ask.key.clone()).collect();
            let mut arguments = vec![String::new()];
            arguments.extend(asks.iter().flat_map(Ask::arguments));
            async move { self.run(&COUNTER, &keys, &arguments).await }
        };
        if let (Connection::One(_), _) | (_, [_]) = (&self.connection, asks) {
            return Decided::read(&run(asks).await?, asks.len());
        }
        // Nodes of a cluster hold different keys, and a script runs on one: one after another, and undone on a refusal.
        let mut decided = Decided { taken: true, answers: Vec::new() };
        for (index, ask) in asks.iter().enumerate() {
            let one = Decided::read(&run(std::slice::from_ref(ask)).await?, 1)?;
            decided.taken &= one.taken;
            decided.answers.extend(one.answers);
            if one.taken {
                continue;
            }
            for (taken, answer) in asks.iter().zip(&decided.answers).take(index) {
                if let Some(undo) = taken.undo(answer.granted) {
                    run(&[undo]).await?;
                }
            }
            decided.answers.resize(asks.len(), Default::default());
            break;
        }
        Ok(decided)
    }

    async fn presence(&self, gateway: &str) -> Result<u64, StoreError> {
        let answer = self.run(&PRESENCE, &["gateways".to_owned()], &[gateway.to_owned()]).await?;
        answer.first().and_then(|count| u64::try_from(*count).ok()).ok_or(StoreError::Reply)
    }

    async fn purges(&self, ask: &PurgeAsk) -> Result<PurgeNews, StoreError> {
        let PurgeAsk { place, era, entries } = ask;
        let mut arguments =
            vec![era.clone(), place.era.clone(), place.number.to_string(), place.last.clone(), KEPT.to_string()];
        arguments.extend(entries.iter().cloned());
        let answer = self.values(&PURGES, &PURGE_KEYS.map(str::to_owned), &arguments).await?;
        let mut texts = answer.into_iter().map(|value| match value {
            Value::BulkString(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Value::SimpleString(text) => Ok(text),
            _ => Err(StoreError::Reply),
        });
        let mut next = || texts.next().unwrap_or(Err(StoreError::Reply));
        let (era, number, last) = (next()?, next()?.parse().map_err(|_| StoreError::Reply)?, next()?);
        let known = next()? == "1";
        let entries: Vec<String> = texts.collect::<Result<_, _>>()?;
        Ok(PurgeNews { place: Place { era, number, last }, entries: known.then_some(entries) })
    }
}

/// Rings when the log of purges has grown. It says nothing of what came while nobody listened: the log does.
pub(super) struct Bell(PubSub);

impl Bell {
    /// Listens; `None` where that does not come off, or where the servers are a cluster, which has no one place to ring.
    pub async fn listen(plan: &Plan) -> Option<Self> {
        if matches!(plan.servers, Servers::Cluster(_)) {
            return None;
        }
        let mut listening = client(plan).await.ok()?.get_async_pubsub().await.ok()?;
        let [log, _] = PURGE_KEYS;
        listening.subscribe(format!("{}{log}", plan.prefix)).await.ok()?;
        Some(Self(listening))
    }

    /// Waits until it rings; false when it is broken.
    pub async fn rings(&mut self) -> bool {
        self.0.on_message().next().await.is_some()
    }
}

/// What an error says of the store.
fn judge(error: &RedisError) -> StoreError {
    match error.kind() {
        _ if error.is_timeout() => StoreError::Timeout,
        // A server that has become a replica, is loading, or has lost its part of the cluster: another may be there.
        ErrorKind::Server(
            ServerErrorKind::ReadOnly
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::Moved
            | ServerErrorKind::TryAgain,
        ) => StoreError::Connection,
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
            log::debug!("shared state: {error}");
            StoreError::Reply
        }
        _ => StoreError::Connection,
    }
}

/// The client of one server: the one that is written, or the one that Sentinel names now.
async fn client(plan: &Plan) -> RedisResult<Client> {
    match &plan.servers {
        Servers::Sentinel { master, sentinels, login, database } => {
            let nodes = sentinels.iter().map(|node| address(plan, node));
            let mut builder = SentinelClientBuilder::new(nodes, master, SentinelServerType::Master)?;
            builder = builder.set_client_to_redis_db(i64::from(*database));
            if let Some(name) = &plan.login.username {
                builder = builder.set_client_to_redis_username(name);
            }
            if let Some(password) = &plan.login.password {
                builder = builder.set_client_to_redis_password(password.expose());
            }
            if let Some(name) = &login.username {
                builder = builder.set_client_to_sentinel_username(name);
            }
            if let Some(password) = &login.password {
                builder = builder.set_client_to_sentinel_password(password.expose());
            }
            if let Some(tls) = &plan.tls {
                builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                builder = builder.set_client_to_redis_certificates(certificates(tls));
                builder = builder.set_client_to_sentinel_certificates(certificates(tls));
            }
            builder.build()?.async_get_client().await
        }
        Servers::One { node, database } => one(plan, node, i64::from(*database)),
        Servers::Cluster(nodes) => match nodes.first() {
            Some(node) => one(plan, node, 0),
            None => Err((ErrorKind::InvalidClientConfig, "a cluster has nodes").into()),
        },
    }
}

fn one(plan: &Plan, node: &Node, database: i64) -> RedisResult<Client> {
    let settings = login(RedisConnectionInfo::default().set_db(database), &plan.login);
    let info = address(plan, node).into_connection_info()?.set_redis_settings(settings);
    match &plan.tls {
        Some(tls) => Client::build_with_tls(info, certificates(tls)),
        None => Client::open(info),
    }
}

async fn cluster(plan: &Plan, nodes: &[Node]) -> RedisResult<ClusterConnection> {
    let addresses: Vec<ConnectionAddr> = nodes.iter().map(|node| address(plan, node)).collect();
    let mut builder = ClusterClientBuilder::new(addresses).retries(1).connection_timeout(CONNECT);
    if let Some(name) = &plan.login.username {
        builder = builder.username(name);
    }
    if let Some(password) = &plan.login.password {
        builder = builder.password(password.expose());
    }
    if let Some(tls) = &plan.tls {
        builder = builder.tls(TlsMode::Secure).certs(certificates(tls));
    }
    builder.build()?.get_async_connection().await
}

fn login(settings: RedisConnectionInfo, login: &Login) -> RedisConnectionInfo {
    let settings = match &login.username {
        Some(name) => settings.set_username(name),
        None => settings,
    };
    match &login.password {
        Some(password) => settings.set_password(password.expose()),
        None => settings,
    }
}

/// The address of a node; with a `server_name` that name, which [`Named`] resolves to it.
fn address(plan: &Plan, node: &Node) -> ConnectionAddr {
    let (host, port) = (node.host(), node.port());
    match &plan.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(tls) => {
            let host = tls.server_name.clone().unwrap_or(host);
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        }
    }
}

fn certificates(tls: &Tls) -> TlsCertificates {
    // Said explicitly, since the client's own rustls names none; a second time changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client_tls = tls.identity.clone().map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
    TlsCertificates { client_tls, root_cert: tls.ca.clone() }
}

fn config(plan: &Plan) -> AsyncConnectionConfig {
    // The time of an answer is bounded where it is waited for.
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
    match (&plan.servers, plan.tls.as_ref().and_then(|tls| tls.server_name.as_ref())) {
        (Servers::One { node, .. }, Some(_)) => config.set_dns_resolver(Named(node.clone())),
        _ => config,
    }
}

/// Resolves whatever is asked to one node: certificates are then checked against the name, not against the node.
struct Named(Node);

impl redis::io::AsyncDNSResolver for Named {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        port: u16,
    ) -> redis::RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((self.0.host(), port)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}
