//! The floor: the cheapest proxy that stock Pingora can be, the yardstick of `scripts/bench`.
//!
//! It forwards every request to one of its upstreams and does nothing else. Profile, allocator and settings are those
//! of the gateway (one single-threaded service per worker, SO_REUSEPORT, small plain-listener buffers, peers built once
//! with all timeouts), so that what the gateway costs above it is the gateway's own work.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use pingora::listeners::{L4BufferSettings, ListenerConfig, TcpSocketOptions};
use pingora::modules::http::HttpModules;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds a client connection may stay idle between two requests.
const KEEP_ALIVE_SECONDS: u64 = 60;

/// Idle upstream connections kept for each worker.
const POOL_SIZE: usize = 1_024;

/// A bare Pingora proxy over HTTP/1.1.
#[derive(Parser)]
struct Arguments {
    /// Address to accept connections on.
    #[arg(long)]
    listen: SocketAddrV4,
    /// Address of an upstream; several are used in turn.
    #[arg(long, required = true)]
    upstream: Vec<SocketAddr>,
    /// Number of single-threaded workers.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

struct Floor {
    peers: Vec<HttpPeer>,
    turn: AtomicUsize,
}

impl Floor {
    fn new(upstreams: &[SocketAddr]) -> Self {
        Self { peers: upstreams.iter().copied().map(peer).collect(), turn: AtomicUsize::new(0) }
    }
}

fn peer(address: SocketAddr) -> HttpPeer {
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.connection_timeout = Some(Duration::from_secs(2));
    peer.options.total_connection_timeout = Some(Duration::from_secs(3));
    peer.options.read_timeout = Some(Duration::from_secs(30));
    peer.options.write_timeout = Some(Duration::from_secs(30));
    peer.options.idle_timeout = Some(Duration::from_secs(60));
    peer
}

#[async_trait]
impl ProxyHttp for Floor {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, _ctx: &mut Self::CTX) -> Result<()> {
        session.set_keepalive(Some(KEEP_ALIVE_SECONDS));
        Ok(())
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.peers.len();
        let peer = self.peers.get(turn).ok_or_else(|| Error::new(ErrorType::ConnectNoRoute))?;
        Ok(Box::new(peer.clone()))
    }
}

/// The listening address of one worker. Pingora keys its sockets by the address as written, so each worker writes the
/// same port with one more leading zero to get a socket of its own.
fn address_of(worker: usize, listen: SocketAddrV4) -> String {
    format!("{}:{}{}", listen.ip(), "0".repeat(worker), listen.port())
}

fn main() {
    let arguments = Arguments::parse();
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: POOL_SIZE,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    for worker in 0..arguments.threads {
        let mut service = http_proxy_service(&server.configuration, Floor::new(&arguments.upstream));
        let mut sockets = TcpSocketOptions::default();
        sockets.so_reuseport = Some(true);
        let listener = ListenerConfig::tcp(address_of(worker, arguments.listen))
            .tcp_socket_options(sockets)
            .l4_buffer(L4BufferSettings::new(0, 1_460));
        service.add_listener(listener);
        server.add_service(service);
    }
    server.run_forever();
}
