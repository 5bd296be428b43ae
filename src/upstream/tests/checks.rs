//! Active checks against real sockets on free ports of the loopback interface.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use pingora_core::tls::pkey::PKey;
use pingora_core::tls::ssl::{Ssl, SslAcceptor, SslMethod};
use pingora_core::tls::tokio_ssl::SslStream;
use pingora_core::tls::x509::X509;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn http(path: &str) -> CheckKind {
    CheckKind::Http { path: path.into(), host: None, statuses: vec![200..=299, 418..=418] }
}

fn health(kind: CheckKind) -> HealthSpec {
    HealthSpec {
        kind,
        port: None,
        interval: Duration::from_secs(3_600),
        timeout: LIMIT,
        healthy_after: 2,
        unhealthy_after: 2,
    }
}

fn checked(address: SocketAddr, health: HealthSpec) -> Bench {
    let spec = UpstreamSpec { health: Some(health), panic_threshold: 0.0, ..spec(&[&address.to_string()]) };
    Bench::new(spec)
}

/// A port of our own on which nobody listens yet: connections are refused, and nobody else can take it.
fn silent_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn rounds(bench: &Bench, count: usize) {
    let background = background(&Script::default());
    for _ in 0..count {
        bench.upstream.check_round(&background).await;
    }
}

fn state(bench: &Bench) -> EndpointState {
    bench.upstream.status(bench.now).endpoints[0].state
}

fn seen(bench: &Bench) -> String {
    bench.upstream.status(bench.now).endpoints[0].last_check.clone().unwrap().result
}

/// Where a scripted origin listens, and the request heads it got.
struct Origin {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    served: Arc<AtomicUsize>,
}

impl Origin {
    /// Answers every connection's first request with these bytes, and keeps it open.
    async fn that_says(answer: &'static str) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Origin { address, heads: Arc::default(), served: Arc::default() };
        let (heads, served) = (Arc::clone(&origin.heads), Arc::clone(&origin.served));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, answer, Arc::clone(&heads)));
            }
        });
        origin
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    heads.lock().push(String::from_utf8(head).unwrap());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.read_u8().await;
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn an_unchecked_endpoint_is_used() {
    let (_socket, address) = silent_port();
    let mut bench = checked(address, health(CheckKind::Tcp));
    assert_eq!(state(&bench), EndpointState::Unknown);
    drop(bench.pick());
}

#[tokio::test]
async fn an_expected_status_is_healthy_at_once() {
    let origin = Origin::that_says(OK).await;
    let bench = checked(origin.address, health(http("/healthz?deep=1")));
    rounds(&bench, 1).await;
    assert_eq!((state(&bench), seen(&bench).as_str()), (EndpointState::Healthy, "status 200"));
    let head = origin.heads.lock()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {}\r\n", origin.address)), "{head}");
}

#[tokio::test]
async fn a_host_can_be_given() {
    let origin = Origin::that_says(OK).await;
    let kind = CheckKind::Http { path: "/".into(), host: Some("shop.test".into()), statuses: vec![200..=200] };
    rounds(&checked(origin.address, health(kind)), 1).await;
    assert!(origin.heads.lock()[0].to_ascii_lowercase().contains("host: shop.test\r\n"));
}

#[tokio::test]
async fn an_unexpected_status_is_unhealthy_after_the_threshold() {
    let origin = Origin::that_says("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let mut bench = checked(origin.address, health(http("/")));
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Unknown);
    rounds(&bench, 1).await;
    assert_eq!((state(&bench), seen(&bench).as_str()), (EndpointState::Unhealthy, "status 503"));
    assert_eq!(bench.try_pick(None, &[]).err(), Some(NoEndpoint::Unavailable));
}

#[tokio::test]
async fn an_early_hint_is_not_the_answer() {
    let origin = Origin::that_says("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 418 Teapot\r\ncontent-length: 0\r\n\r\n");
    let bench = checked(origin.await.address, health(http("/")));
    rounds(&bench, 1).await;
    assert_eq!(seen(&bench), "status 418");
}

#[tokio::test]
async fn an_endless_body_does_not_hold_a_check_up() {
    let origin = Origin::that_says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let bench = checked(origin.address, health(http("/")));
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Healthy);
}

#[tokio::test]
async fn every_check_opens_a_new_connection() {
    let origin = Origin::that_says(OK).await;
    rounds(&checked(origin.address, health(http("/"))), 3).await;
    assert_eq!(origin.served.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn garbage_is_a_failure() {
    let origin = Origin::that_says("SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
    let bench = checked(origin.address, health(http("/")));
    rounds(&bench, 2).await;
    assert_eq!(state(&bench), EndpointState::Unhealthy);
}

#[tokio::test]
async fn silence_is_a_failure_when_the_time_is_over() {
    let origin = Origin::that_says("").await;
    let mut health = health(http("/"));
    (health.timeout, health.unhealthy_after) = (Duration::from_millis(20), 1);
    let bench = checked(origin.address, health);
    rounds(&bench, 1).await;
    assert_eq!((state(&bench), seen(&bench).as_str()), (EndpointState::Unhealthy, "no answer in 20ms"));
}

#[tokio::test]
async fn an_open_port_passes_and_a_closed_one_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bench = checked(listener.local_addr().unwrap(), health(CheckKind::Tcp));
    rounds(&bench, 1).await;
    assert_eq!((state(&bench), seen(&bench).as_str()), (EndpointState::Healthy, "connected"));
    drop(listener);
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Healthy, "once is not enough");
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Unhealthy);
}

#[tokio::test]
async fn recovery_needs_no_traffic_but_consecutive_passes() {
    let (socket, address) = silent_port();
    let bench = checked(address, health(CheckKind::Tcp));
    rounds(&bench, 2).await;
    assert_eq!(state(&bench), EndpointState::Unhealthy);
    let _listener = socket.listen(16).unwrap();
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Unhealthy);
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Healthy);
}

#[tokio::test]
async fn another_port_can_be_asked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let health = HealthSpec { port: Some(listener.local_addr().unwrap().port()), ..health(CheckKind::Tcp) };
    let (_socket, address) = silent_port();
    let bench = checked(address, health);
    rounds(&bench, 1).await;
    assert_eq!(state(&bench), EndpointState::Healthy);
}

#[tokio::test]
async fn a_verdict_outlives_a_reload_and_ends_with_the_checks() {
    let mut health = health(CheckKind::Tcp);
    health.unhealthy_after = 1;
    let (_socket, address) = silent_port();
    let bench = checked(address, health);
    rounds(&bench, 1).await;
    let with_checks = bench.upstream.spec().clone();
    let after = Upstream::new(with_checks.clone(), Some(&bench.upstream), 0).unwrap();
    assert_eq!(after.status(bench.now).endpoints[0].state, EndpointState::Unhealthy);
    let without = Upstream::new(UpstreamSpec { health: None, ..with_checks }, Some(&after), 0).unwrap();
    assert_eq!(without.status(bench.now).endpoints[0].state, EndpointState::Healthy);
}

#[tokio::test]
async fn an_http2_endpoint_is_asked_in_http2() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority = Arc::new(Mutex::new(None));
    let told = Arc::clone(&authority);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection: h2::server::Connection<_, Bytes> = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((request, mut respond))) = connection.accept().await {
                *told.lock() = request.uri().authority().map(ToString::to_string);
                respond.send_response(http::Response::new(()), true).unwrap();
            }
        }
    });
    let mut spec = checked(address, health(http("/"))).upstream.spec().clone();
    spec.endpoints[0].protocol = Protocol::Http2;
    let bench = Bench::new(spec);
    rounds(&bench, 1).await;
    assert_eq!((state(&bench), seen(&bench).as_str()), (EndpointState::Healthy, "status 200"));
    assert_eq!(authority.lock().as_deref(), Some(address.to_string().as_str()));
}

/// An origin behind TLS, with the certificate for `origin.test`.
async fn tls_origin() -> SocketAddr {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&X509::from_pem(include_bytes!("pem/origin.crt")).unwrap()).unwrap();
    acceptor.set_private_key(&PKey::private_key_from_pem(include_bytes!("pem/origin.key")).unwrap()).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), stream).unwrap();
            tokio::spawn(async move {
                if Pin::new(&mut stream).accept().await.is_ok() {
                    serve(stream, OK, Arc::default()).await;
                }
            });
        }
    });
    address
}

async fn tls_state(tls: TlsSpec) -> EndpointState {
    let mut health = health(http("/"));
    health.unhealthy_after = 1;
    let mut spec = UpstreamSpec { health: Some(health), tls, ..spec(&[&tls_origin().await.to_string()]) };
    spec.endpoints[0].transport = Transport::Tls;
    let bench = Bench::new(spec);
    rounds(&bench, 1).await;
    state(&bench)
}

/// Trusting whom the system trusts.
fn by_name(sni: &str) -> TlsSpec {
    TlsSpec { sni: Some(sni.into()), ..TlsSpec::default() }
}

fn trusting(ca: &[u8], sni: &str) -> TlsSpec {
    TlsSpec { ca: Some(ca.to_vec()), sni: Some(sni.into()), ..TlsSpec::default() }
}

#[tokio::test]
async fn a_certificate_is_verified_by_authority_and_name() {
    let (authority, other) = (include_bytes!("pem/authority.crt"), include_bytes!("pem/other.crt"));
    assert_eq!(tls_state(trusting(authority, "origin.test")).await, EndpointState::Healthy);
    assert_eq!(tls_state(trusting(authority, "shop.test")).await, EndpointState::Unhealthy);
    assert_eq!(tls_state(trusting(other, "origin.test")).await, EndpointState::Unhealthy);
    assert_eq!(tls_state(by_name("origin.test")).await, EndpointState::Unhealthy);
}

#[tokio::test]
async fn verification_is_as_weak_as_it_is_told_to_be() {
    let (authority, other) = (include_bytes!("pem/authority.crt"), include_bytes!("pem/other.crt"));
    let with = |ca: &[u8], verify| TlsSpec { ca: Some(ca.to_vec()), verify, ..TlsSpec::default() };
    assert_eq!(tls_state(with(authority, Verify::Chain)).await, EndpointState::Healthy);
    assert_eq!(tls_state(with(other, Verify::Chain)).await, EndpointState::Unhealthy);
    assert_eq!(tls_state(with(other, Verify::Off)).await, EndpointState::Healthy);
}

#[tokio::test]
async fn the_loop_checks_at_once_and_ends_when_told() {
    let origin = Origin::that_says(OK).await;
    let (bench, background) = (checked(origin.address, health(http("/"))), background(&Script::default()));
    let (stop, stopped) = watch::channel(false);
    let healthy = async {
        while state(&bench) != EndpointState::Healthy {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    let both = async { tokio::join!(bench.upstream.run_checks(&background, stopped), healthy) };
    tokio::time::timeout(LIMIT, both).await.unwrap();
}

#[tokio::test]
async fn without_checks_there_is_no_loop() {
    let (bench, background) = (Bench::new(spec(&["10.0.0.1:80"])), background(&Script::default()));
    let (_stop, stopped) = watch::channel(false);
    tokio::time::timeout(LIMIT, bench.upstream.run_checks(&background, stopped)).await.unwrap();
}

#[tokio::test]
async fn a_round_checks_many_endpoints() {
    let origin = Origin::that_says(OK).await;
    let mut spec = checked(origin.address, health(http("/"))).upstream.spec().clone();
    let twin = |number| EndpointSpec { label: format!("http://origin-{number}"), ..spec.endpoints[0].clone() };
    spec.endpoints = (0..150).map(twin).collect();
    let bench = Bench::new(spec);
    rounds(&bench, 1).await;
    let status = bench.upstream.status(bench.now);
    assert!(status.endpoints.iter().all(|endpoint| endpoint.state == EndpointState::Healthy));
    assert_eq!(origin.served.load(Ordering::Relaxed), 150);
}
