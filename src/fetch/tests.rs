//! The fetcher against servers that behave, and against servers that do not.

use super::{Answer, Call, FetchError, Fetcher, Trust};
use crate::value::WebUrl;
use http::Method;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with the n-th request it sees; the connection is closed after `None`.
type Script = fn(connection: usize, request: usize) -> Option<Vec<u8>>;

struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (all, seen) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, all.fetch_add(1, SeqCst), Arc::clone(&seen), script));
            }
        });
        Self { address, connections, requests }
    }

    fn call(&self, method: Method) -> Call {
        let url: WebUrl = format!("http://{}/x?y=z", self.address).parse().unwrap();
        let mut call = Call::get(url.base, url.target);
        call.method = method;
        call.timeout = Duration::from_secs(5);
        call
    }

    fn counted(&self) -> (usize, usize) {
        (self.connections.load(SeqCst), self.requests.load(SeqCst))
    }
}

async fn serve(mut stream: TcpStream, connection: usize, seen: Arc<AtomicUsize>, script: Script) {
    let (mut buffer, mut own) = ([0; 4096], 0);
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer).await {
                Ok(read) if read > 0 => head.extend_from_slice(&buffer[..read]),
                _ => return,
            }
        }
        seen.fetch_add(1, SeqCst);
        let Some(answer) = script(connection, own) else { return };
        own += 1;
        if stream.write_all(&answer).await.is_err() {
            return;
        }
        if answer.ends_with(b"CLOSE") {
            return;
        }
    }
}

fn plain(body: &str) -> Option<Vec<u8>> {
    Some(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

async fn one(script: Script) -> Result<Answer, FetchError> {
    let server = Server::start(script).await;
    Fetcher::new().call(&server.call(Method::GET)).await
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = Server::start(|_, _| plain("hello")).await;
    let fetcher = Fetcher::new();
    for _ in 0..5 {
        assert_eq!(fetcher.call(&server.call(Method::GET)).await.unwrap().body, "hello");
    }
    assert_eq!(server.counted(), (1, 5));
}

#[tokio::test]
async fn bodies_in_chunks_and_up_to_the_end_of_the_connection() {
    let chunked = one(|_, _| {
        Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n".into())
    });
    assert_eq!(chunked.await.unwrap().body, "abcde");
    let closed = one(|_, _| Some(b"HTTP/1.1 200 OK\r\n\r\nabCLOSE".into())).await.unwrap();
    assert_eq!(closed.body, "abCLOSE");
}

#[tokio::test]
async fn any_status_is_an_answer_and_redirects_are_not_followed() {
    let server = Server::start(|_, _| {
        Some(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".into())
    });
    let server = server.await;
    let answer = Fetcher::new().call(&server.call(Method::GET)).await.unwrap();
    assert_eq!((answer.status.as_u16(), server.counted()), (302, (1, 1)));
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_one_more_try() {
    for method in [Method::GET, Method::POST] {
        let server = Server::start(|connection, request| match (connection, request) {
            (0, 1) => None,
            _ => plain("hello"),
        });
        let (server, fetcher) = (server.await, Fetcher::new());
        for _ in 0..2 {
            assert_eq!(fetcher.call(&server.call(method.clone())).await.unwrap().body, "hello", "{method}");
        }
        assert_eq!(server.counted(), (2, 3), "{method}");
    }
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_twice() {
    let half = |connection, request| match (connection, request) {
        (0, 1) => Some(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nCLOSE".into()),
        _ => plain("hello"),
    };
    let (server, fetcher) = (Server::start(half).await, Fetcher::new());
    fetcher.call(&server.call(Method::POST)).await.unwrap();
    assert!(matches!(fetcher.call(&server.call(Method::POST)).await, Err(FetchError::Connection(_))));
    assert_eq!(server.counted(), (1, 2));
    let (server, fetcher) = (Server::start(half).await, Fetcher::new());
    fetcher.call(&server.call(Method::GET)).await.unwrap();
    assert_eq!(fetcher.call(&server.call(Method::GET)).await.unwrap().body, "hello");
}

#[tokio::test]
async fn a_new_connection_that_breaks_is_an_error_at_once() {
    let server = Server::start(|_, _| None).await;
    assert!(matches!(Fetcher::new().call(&server.call(Method::GET)).await, Err(FetchError::Connection(_))));
    assert_eq!(server.counted(), (1, 1));
}

#[tokio::test]
async fn servers_that_do_not_speak_http() {
    for script in [
        (|_, _| Some(b"\x00\x01\x02garbage\r\n\r\nCLOSE".into())) as Script,
        |_, _| Some(b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\nCLOSE".into()),
        |_, _| Some(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nCLOSE".into()),
        |_, _| Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nCLOSE".into()),
        |_, _| Some(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nCLOSE".into()),
        |_, _| Some(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nCLOSE".into()),
    ] {
        let answer = one(script).await;
        assert!(matches!(answer, Err(FetchError::Connection(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over_but_not_for_ever() {
    let few = one(|_, _| {
        let mut answer = b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3);
        answer.extend(plain("real").unwrap());
        Some(answer)
    });
    assert_eq!(few.await.unwrap().body, "real");
    let flood = one(|_, _| Some(b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(5000))).await;
    assert_eq!(flood.unwrap_err(), FetchError::Connection("nothing but interim answers".into()));
}

#[tokio::test]
async fn silence_ends_with_the_time_and_length_with_the_bound() {
    let server = Server::start(|_, _| Some(Vec::new())).await;
    let mut call = server.call(Method::GET);
    call.timeout = Duration::from_millis(30);
    assert_eq!(Fetcher::new().call(&call).await.unwrap_err(), FetchError::Timeout);
    let server = Server::start(|_, _| plain(&"x".repeat(100_000))).await;
    let mut call = server.call(Method::GET);
    call.most = 99_999;
    assert_eq!(Fetcher::new().call(&call).await.unwrap_err(), FetchError::TooLong);
    call.most = 100_000;
    assert_eq!(Fetcher::new().call(&call).await.unwrap().body.len(), 100_000);
}

#[tokio::test]
async fn the_head_of_an_answer_is_bounded_too() {
    fn head(length: usize) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-A: {}\r\n\r\n", "x".repeat(length))
    }
    assert!(one(|_, _| Some(head(30_000).into())).await.is_ok());
    assert_eq!(one(|_, _| Some(head(40_000).into())).await.unwrap_err(), FetchError::TooLong);
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    // `localhost` is ::1 and 127.0.0.1 on most machines; the server listens on the latter only.
    let server = Server::start(|_, _| plain("hello")).await;
    let url: WebUrl = format!("http://localhost:{}/", server.address.port()).parse().unwrap();
    let call = Call::get(url.base, url.target);
    let fetcher = Fetcher::new();
    assert_eq!(fetcher.call(&call).await.unwrap().body, "hello");
    let dead: SocketAddr = {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        closed.local_addr().unwrap()
    };
    let both = [dead, server.address];
    let (_, peer, _) =
        fetcher.connect(&call, (&both, super::fetcher::Connection::New), Duration::from_secs(5)).await.unwrap();
    assert_eq!(peer.to_string(), format!("addr: {}, scheme: HTTP, sni: localhost", server.address));
}

#[tokio::test]
async fn a_call_that_cannot_be_written_is_never_sent() {
    let server = Server::start(|_, _| plain("hello")).await;
    let mut call = server.call(Method::GET);
    call.target = "no-slash".into();
    assert!(matches!(Fetcher::new().call(&call).await, Err(FetchError::BadCall(_))));
}

#[test]
fn a_bundle_is_part_of_what_tells_connections_apart() {
    assert!(Trust::only(b"nothing").is_err());
    let (first, second) = (Trust::only(CA.as_bytes()).unwrap(), Trust::default());
    assert_ne!(first, second);
    assert_ne!(first.key(), second.key());
    assert_eq!(first, Trust::only(CA.as_bytes()).unwrap());
}

#[test]
fn nothing_of_a_credential_is_printed() {
    let url: WebUrl = "http://a/secret".parse().unwrap();
    let mut call = Call::get(url.base, url.target);
    call.fields.push((http::header::AUTHORIZATION, http::HeaderValue::from_static("Basic secret")));
    assert!(!format!("{call:?}").contains("secret"));
}

const CA: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBdDCCARugAwIBAgIUc1WP2aTnd/L1cTC71XwVneqzmsYwCgYIKoZIzj0EAwIw\n\
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQxMjEzMzlaGA8yMTI2MTAzMTEyMTMz\n\
OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABIcC\n\
zQ3hgkFugU47ETlTv/9LPjb3eQQCwB3AVH8thFxRNl0H5qcft3p8mlOuLlUnw8v2\n\
OHXsy5wlTcn1sD24QAijUzBRMB0GA1UdDgQWBBTKmuNBIal5f9BIcEZq959zch0V\n\
5DAfBgNVHSMEGDAWgBTKmuNBIal5f9BIcEZq959zch0V5DAPBgNVHRMBAf8EBTAD\n\
AQH/MAoGCCqGSM49BAMCA0cAMEQCID1ZLwMIyB1bsCSFdMTCbyrLmbAHhHgmOENp\n\
aYlQVoZUAiAfrziwLeqHZeaw4b6UKcwuWQ5y256qX8SrBCiI9Vb5Rg==\n\
-----END CERTIFICATE-----\n\
";

#[tokio::test]
async fn an_address_over_tls_is_refused_for_what_it_is() {
    for (text, refused) in [
        ("https://127.0.0.1:1/x", true),
        ("https://[::1]:1/x", true),
        ("http://127.0.0.1:1/x", false),
        ("https://idp.example/x", false),
    ] {
        let url: WebUrl = text.parse().unwrap();
        assert_eq!(super::unverifiable(&url.base).is_some(), refused, "{text}");
        if refused {
            let error = Fetcher::new().call(&Call::get(url.base, url.target)).await.unwrap_err();
            assert!(matches!(&error, FetchError::BadCall(why) if why.contains("address")), "{text}: {error}");
        }
    }
}
