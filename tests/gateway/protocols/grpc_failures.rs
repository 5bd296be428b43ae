//! gRPC calls that fail at the service: what a gRPC client is told.

use bytes::Bytes;
use http::HeaderMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::grpc_web::{Front, METHOD, fields, frame};
use crate::support::origin::h2::{Answer, Origin};
use crate::support::wait::DEADLINE;

/// The head of an answer to a gRPC call, and whether it is all of it (`END_STREAM`): only there is a status in it final.
fn call(front: &Front) -> (HeaderMap, bool) {
    let address = front.address("h2c");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let exchange = async {
        let stream = TcpStream::connect(address).await.expect("a gateway that accepts");
        let (sender, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{address}{METHOD}"));
        let request = request.header("content-type", "application/grpc").header("te", "trailers");
        let (response, mut body) = sender.ready().await?.send_request(request.body(()).expect("a request"), false)?;
        body.send_data(Bytes::from(frame(0, b"x")), true)?;
        let response = response.await?;
        assert_eq!(response.status(), 200);
        Ok::<_, h2::Error>((response.headers().clone(), response.body().is_end_stream()))
    };
    let answer = runtime.block_on(async { tokio::time::timeout(DEADLINE, exchange).await });
    answer.expect("an answer in time").expect("an answer")
}

#[track_caller]
fn assert_only_status(front: &Front, status: &str) {
    let (head, only) = call(front);
    assert_eq!(head["content-type"], "application/grpc");
    assert_eq!(head["grpc-status"], status);
    assert!(only, "the head ends the stream");
}

#[test]
fn a_service_that_is_away_is_unavailable() {
    let address = crate::support::ports::free();
    assert_only_status(&Front::before(&format!("grpc://{address}")), "14");
}

#[test]
fn a_service_that_resets_the_stream_is_unavailable() {
    let service = Origin::start(|_| Answer { reset: Some(h2::Reason::INTERNAL_ERROR), ..Answer::default() });
    assert_only_status(&Front::before(&service.url()), "14");
}

#[test]
fn a_service_that_is_no_http_2_is_unavailable() {
    let service = crate::support::origin::Origin::start(|_| crate::support::origin::Answer::ok(""));
    assert_only_status(&Front::before(&format!("grpc://{}", service.address())), "14");
}

#[test]
fn a_path_that_is_not_published_is_unimplemented() {
    let service = Origin::start(|_| Answer::default());
    let front = Front::at("/another/path", &service.url());
    assert_only_status(&front, "12");
}

#[test]
fn a_status_in_the_head_of_an_answer_is_passed_on_as_the_last_word() {
    let service = Origin::start(|_| Answer {
        fields: fields(&[("content-type", "application/grpc"), ("grpc-status", "5")]),
        ..Answer::default()
    });
    assert_only_status(&Front::before(&service.url()), "5");
}

/// Sends a message, and resets the stream once it is told to.
async fn break_off(listener: TcpListener, told: oneshot::Receiver<()>) {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
    let (_request, mut respond) = connection.accept().await.expect("a stream").expect("a request");
    tokio::spawn(async move { while connection.accept().await.is_some() {} });
    let response = http::Response::builder().header("content-type", "application/grpc");
    let mut body = respond.send_response(response.body(()).expect("a response"), false).expect("a head sent");
    body.send_data(Bytes::from(frame(0, b"first")), false).expect("a message sent");
    told.await.expect("a word");
    body.send_reset(h2::Reason::INTERNAL_ERROR);
}

/// The end of a call of that content type whose service breaks off after its first message.
fn end_of_broken_call(content_type: &str) -> Result<HeaderMap, h2::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let exchange = async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let front = Front::before(&format!("grpc://{}", listener.local_addr().expect("an address")));
        let (tell, told) = oneshot::channel();
        tokio::spawn(break_off(listener, told));
        let address = front.address("h2c");
        let stream = TcpStream::connect(address).await.expect("a gateway that accepts");
        let (sender, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{address}{METHOD}")).header("content-type", content_type);
        let (response, _) = sender.ready().await?.send_request(request.body(()).expect("a request"), true)?;
        let mut body = response.await?.into_body();
        assert_eq!(body.data().await.expect("a message")?, frame(0, b"first"));
        tell.send(()).expect("a service");
        if let Some(more) = body.data().await {
            panic!("no further message, but {:?}", more?);
        }
        Ok(body.trailers().await?.expect("trailers"))
    };
    runtime.block_on(async { tokio::time::timeout(DEADLINE, exchange).await }).expect("an end in time")
}

#[test]
fn a_stream_that_breaks_off_ends_with_a_status() {
    let trailers = end_of_broken_call("application/grpc").expect("no reset");
    assert_eq!(trailers["grpc-status"], "14");
}

#[test]
fn a_grpc_web_stream_that_breaks_off_is_reset() {
    let error = end_of_broken_call("application/grpc-web").expect_err("an answer that ends well");
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
}
