//! gRPC through the gateway, both ends being tonic: all four kinds of call, metadata, trailers and errors.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt, iter};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::support::client::Request as Plain;
use crate::support::gateway::Gateway;
use crate::support::ports;
use crate::support::tonic::Raw;

type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
type Answering<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// The service: each message comes back; `fail` fails before the first message, `break` after it.
#[derive(Clone, Copy)]
struct Echo;

impl Service<Request<Streaming<Bytes>>> for Echo {
    type Response = Response<Messages>;
    type Error = Status;
    type Future = Answering<Messages>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        Box::pin(async move {
            let metadata = request.metadata().clone();
            if metadata.contains_key("fail") {
                let mut status = Status::not_found("no such thing: 100 %");
                status.metadata_mut().insert("why", "tested".parse().expect("a value"));
                return Err(status);
            }
            let breaks = metadata.contains_key("break");
            let messages = request.into_inner().map(move |message| match message {
                Ok(_) if breaks => Err(Status::data_loss("broken")),
                other => other,
            });
            let mut response = Response::new(Box::pin(messages) as Messages);
            if let Some(value) = metadata.get("ask") {
                response.metadata_mut().insert("answer", value.clone());
            }
            Ok(response)
        })
    }
}

/// The service as HTTP: every path is a stream of echoes, which serves all four kinds of call.
#[derive(Clone, Copy)]
struct Http;

impl Service<http::Request<Body>> for Http {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(tonic::server::Grpc::new(Raw).streaming(Echo, request).await) })
    }
}

/// A gateway before the service, and a client connected to it.
struct Bench {
    runtime: Runtime,
    gateway: Gateway,
    client: tonic::client::Grpc<Channel>,
}

impl Bench {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let upstream = runtime.block_on(serve());
        Self::before(runtime, upstream)
    }

    fn before(runtime: Runtime, upstream: SocketAddr) -> Self {
        let gateway = Gateway::start(&format!(
            "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1] }} }}\n\
             routes: {{ /echo.Echo/*: {{ to: \"grpc://{upstream}\", timeout: 5s }} }}"
        ));
        let endpoint = Endpoint::try_from(format!("http://{}", gateway.listener("clear"))).expect("an endpoint");
        let channel = runtime.block_on(endpoint.connect()).expect("HTTP/2");
        Self { runtime, gateway, client: tonic::client::Grpc::new(channel) }
    }

    /// Waits for a call.
    fn call<T>(&mut self, work: impl AsyncFnOnce(&mut tonic::client::Grpc<Channel>) -> T) -> T {
        let Self { runtime, client, .. } = self;
        runtime.block_on(async {
            client.ready().await.expect("a connection");
            work(client).await
        })
    }
}

async fn serve() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().serve_with_incoming(Http, incoming));
    address
}

fn path() -> PathAndQuery {
    PathAndQuery::from_static("/echo.Echo/Echo")
}

fn three() -> impl Stream<Item = Bytes> + Send + 'static {
    iter(["one", "two", "three"].map(Bytes::from))
}

#[test]
fn a_single_call_is_answered_with_metadata_and_trailers() {
    let mut bench = Bench::start();
    let mut request = Request::new(Bytes::from_static(b"hello"));
    request.metadata_mut().insert("ask", "something".parse().expect("a value"));
    let response = bench.call(async |client| client.unary(request, path(), Raw).await).expect("an answer");
    assert_eq!(response.metadata().get("answer").expect("metadata"), "something");
    assert_eq!(response.metadata().get("grpc-status").expect("trailers are merged"), "0");
    assert_eq!(response.into_inner(), "hello");
}

#[test]
fn the_other_three_kinds_of_call_pass_too() {
    let mut bench = Bench::start();
    let one = Request::new(Bytes::from_static(b"hello"));
    let down = bench.call(async |client| {
        let mut messages = client.server_streaming(one, path(), Raw).await?.into_inner();
        messages.message().await
    });
    assert_eq!(down.expect("an answer").as_deref(), Some(&b"hello"[..]));
    let single = iter([Bytes::from_static(b"up")]);
    let up = bench.call(async |client| client.client_streaming(Request::new(single), path(), Raw).await);
    assert_eq!(up.expect("an answer").into_inner(), "up");
    let both = bench.call(async |client| {
        let messages = client.streaming(Request::new(three()), path(), Raw).await.expect("a stream").into_inner();
        messages.map(|message| message.expect("a message")).collect::<Vec<_>>().await
    });
    assert_eq!(both, ["one", "two", "three"]);
}

#[test]
fn messages_go_back_and_forth_without_being_held() {
    let mut bench = Bench::start();
    bench.call(async |client| {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let up = tokio_stream::wrappers::ReceiverStream::new(receiver);
        sender.send(Bytes::from_static(b"first")).await.expect("sent");
        let mut down = client.streaming(Request::new(up), path(), Raw).await.expect("a stream").into_inner();
        assert_eq!(down.message().await.expect("a message").as_deref(), Some(&b"first"[..]));
        for n in 0..20 {
            sender.send(Bytes::from(format!("{n}"))).await.expect("sent");
            assert_eq!(down.message().await.expect("a message"), Some(Bytes::from(format!("{n}"))));
        }
        drop(sender);
        assert_eq!(down.message().await.expect("an end"), None);
    });
}

#[test]
fn errors_come_with_their_text_and_metadata() {
    let mut bench = Bench::start();
    let mut request = Request::new(Bytes::from_static(b"x"));
    request.metadata_mut().insert("fail", "1".parse().expect("a value"));
    let status = bench.call(async |client| client.unary(request, path(), Raw).await).expect_err("an error");
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such thing: 100 %"));
    assert_eq!(status.metadata().get("why").expect("metadata"), "tested");
    let mut request = Request::new(three());
    request.metadata_mut().insert("break", "1".parse().expect("a value"));
    let status = bench.call(async |client| {
        let mut messages = client.streaming(request, path(), Raw).await.expect("a head").into_inner();
        messages.message().await.expect_err("an error in the trailers")
    });
    assert_eq!((status.code(), status.message()), (Code::DataLoss, "broken"));
}

#[test]
fn a_large_message_passes() {
    let mut bench = Bench::start();
    let message = Bytes::from(vec![7_u8; 1_000_000]);
    let request = Request::new(message.clone());
    let response = bench.call(async |client| client.unary(request, path(), Raw).await).expect("an answer");
    assert!(response.into_inner() == message);
}

#[test]
fn refusals_of_the_gateway_are_grpc_statuses() {
    let mut bench = Bench::start();
    let elsewhere = PathAndQuery::from_static("/other.Other/Call");
    let request = Request::new(Bytes::new());
    let status = bench.call(async |client| client.unary(request, elsewhere, Raw).await).expect_err("no route");
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(!status.message().is_empty());
}

#[test]
fn a_service_that_is_down_is_unavailable() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let mut bench = Bench::before(runtime, ports::free());
    let request = Request::new(Bytes::new());
    let status = bench.call(async |client| client.unary(request, path(), Raw).await).expect_err("nobody there");
    assert_eq!(status.code(), Code::Unavailable);
}

#[test]
fn grpc_over_http_1_is_refused_plainly() {
    let bench = Bench::start();
    let request = Plain::post("/echo.Echo/Echo", vec![0_u8; 5]).header("Content-Type", "application/grpc");
    let reply = bench.gateway.send(&request.header("TE", "trailers"));
    assert_eq!((reply.status, &reply.json()["type"]), (415, &"urn:tollgate:problem:unsupported-protocol".into()));
}
