//! Floods over HTTP/2: streams opened and reset at once (CVE-2023-44487), too many of them, heads without measure.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpStream;

use crate::support::client::Request;
use crate::support::client::h2::Client;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

fn gateway(limits: &str, url: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1], limits: {{ {limits} }} }} }}\nroutes: {{ /**: {{ to: {url} }} }}"
    ))
}

/// Opens a stream and resets it, up to `count` times; how often it could.
async fn reset_often(address: SocketAddr, count: usize) -> usize {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    let driver = tokio::spawn(connection);
    for done in 0..count {
        let Ok(ready) = sender.ready().await else { return done };
        sender = ready;
        let request = http::Request::get(format!("http://{address}/slow")).body(()).expect("a request");
        let Ok((_, mut body)) = sender.send_request(request, false) else { return done };
        let _ = body.send_data(Bytes::from_static(b"x"), false);
        body.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
    }
    let _ = driver.await;
    count
}

#[test]
fn a_flood_of_resets_ends_the_connection() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("").then_wait(&held).body("x").chunked());
    let gateway = gateway("h2_resets: 10", &origin.url());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let work = reset_often(gateway.listener("clear"), 10_000);
    let done = runtime.block_on(async { tokio::time::timeout(crate::support::wait::DEADLINE, work).await });
    // Ending at all is the point: with the connection gone, the driver or the sender says so.
    assert!(done.is_ok(), "the connection outlived ten thousand resets");
    gate.open();
    assert_eq!(Client::connect(gateway.listener("clear")).send(&Request::get("/")).status, 200);
}

#[test]
fn more_streams_than_allowed_wait_or_are_refused_and_the_connection_lives() {
    let origin = Origin::echo();
    let gateway = gateway("h2_streams: 5", &origin.url());
    let mut client = Client::connect(gateway.listener("clear"));
    let requests: Vec<Request> = (0..50).map(|n| Request::get(&format!("/{n}"))).collect();
    let served = client.send_all(&requests).iter().filter(|result| result.is_ok()).count();
    assert!(served >= 5, "{served} served");
    assert_eq!(client.send(&Request::get("/after")).status, 200);
}

#[test]
fn a_head_over_the_bound_is_refused() {
    let origin = Origin::echo();
    let gateway = gateway("header_bytes: 4KiB", &origin.url());
    let mut client = Client::connect(gateway.listener("clear"));
    let answer = client.try_send(&Request::get("/").unidentified().header("X-Long", &"x".repeat(20_000)));
    assert!(answer.as_ref().map_or(true, |response| response.status == 431), "{answer:?}");
    let many =
        (0..400).fold(Request::get("/").unidentified(), |request, n| request.header(&format!("x-{n}"), "12345678"));
    let answer = Client::connect(gateway.listener("clear")).try_send(&many);
    assert!(answer.as_ref().map_or(true, |response| response.status == 431), "{answer:?}");
    assert!(origin.requests().is_empty());
}

#[test]
fn paths_are_normalised_and_refused_as_over_http_1() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c] }} }}\n\
         routes:\n  /admin/**: {{ respond: {{ status: 403 }} }}\n  /**: {{ to: {} }}\n",
        origin.url()
    ));
    let mut client = Client::connect(gateway.listener("clear"));
    for target in ["/admin", "/x/../admin/k", "//admin/k", "/%61dmin/k", "/x/%2e%2e/admin", "/./admin//k"] {
        assert_eq!(client.send(&Request::get(target)).status, 403, "{target}");
    }
    for target in ["/x/..%2fadmin", "/x%5c..%5cadmin", "/%zz", "/../admin"] {
        assert_eq!(client.send(&Request::get(target)).status, 400, "{target}");
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn fields_of_http_1_framing_never_reach_an_upstream_of_http_1() {
    let origin = Origin::echo();
    let gateway = gateway("h2_streams: 50", &origin.url());
    for (name, value) in
        [("transfer-encoding", "chunked"), ("connection", "x-a"), ("content-length", "3"), ("upgrade", "a")]
    {
        let request = Request::post("/", "body").unidentified().header(name, value).header("x-a", "1");
        let _ = Client::connect(gateway.listener("clear")).try_send(&request);
    }
    for seen in origin.requests() {
        let framed = seen.headers("content-length").len() + seen.headers("transfer-encoding").len();
        assert!(framed <= 1 && seen.body == b"body", "{seen:#?}");
        assert!(seen.headers("upgrade").is_empty(), "{seen:#?}");
    }
    assert!(origin.errors().is_empty(), "{:?}", origin.errors());
}
