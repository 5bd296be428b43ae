//! gRPC calls that fail at the service: what a gRPC client is told.

use bytes::Bytes;
use http::HeaderMap;
use tokio::net::TcpStream;

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
