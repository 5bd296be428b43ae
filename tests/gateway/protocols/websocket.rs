//! WebSocket (RFC 6455) through the gateway, both ends being tokio-tungstenite.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::events::outlast;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

/// Echoes every message of every connection until the runtime ends.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a handshake");
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_text() || message.is_binary() {
                        socket.send(message).await.expect("an echo");
                    }
                }
            });
        }
    });
    address
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

async fn connect(gateway: SocketAddr) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(gateway).await.expect("a gateway that accepts");
    tokio_tungstenite::client_async("ws://shop.example/chat", stream).await.expect("a handshake").0
}

#[test]
fn messages_are_echoed_and_silence_outlasts_the_deadline() {
    let runtime = runtime();
    let upstream = runtime.block_on(echo());
    let gateway = Gateway::start(&format!("routes: {{ /chat: {{ to: \"ws://{upstream}\", timeout: 400ms }} }}"));
    let mut socket = runtime.block_on(connect(gateway.address()));
    let messages = [Message::text("hello"), Message::binary(vec![0_u8; 200_000]), Message::text("")];
    for message in messages {
        runtime.block_on(socket.send(message.clone())).expect("sent");
        assert_eq!(runtime.block_on(socket.next()).expect("a message").expect("well-formed"), message);
    }
    outlast(Duration::from_millis(500));
    runtime.block_on(socket.send(Message::text("still here"))).expect("sent");
    assert!(runtime.block_on(socket.next()).is_some_and(|message| message.is_ok()));
    runtime.block_on(socket.close(None)).expect("closed");
    while let Some(message) = runtime.block_on(socket.next()) {
        assert!(message.is_ok_and(|message| message.is_close()));
    }
}

#[test]
fn two_sockets_do_not_disturb_each_other() {
    let runtime = runtime();
    let upstream = runtime.block_on(echo());
    let gateway = Gateway::before(&format!("ws://{upstream}"));
    runtime.block_on(async {
        let (mut one, mut two) = (connect(gateway.address()).await, connect(gateway.address()).await);
        for n in 0..50 {
            one.send(Message::text(format!("one {n}"))).await.expect("sent");
            two.send(Message::text(format!("two {n}"))).await.expect("sent");
            assert_eq!(one.next().await.expect("a message").expect("sound"), Message::text(format!("one {n}")));
            assert_eq!(two.next().await.expect("a message").expect("sound"), Message::text(format!("two {n}")));
        }
    });
}

#[test]
fn an_upstream_that_does_not_upgrade_answers_plainly() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let request = Request::get("/chat")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let response = gateway.send(&request);
    assert_eq!((response.status, &response.json()["target"]), (200, &"/chat".into()));
    let seen = origin.only_request();
    assert_eq!(seen.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
}

#[test]
fn other_upgrades_are_not_passed_on() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for protocol in ["h2c", "TLS/1.0", "foo"] {
        let request = Request::get("/").header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", protocol);
        assert_eq!(gateway.send(&request.header("HTTP2-Settings", "AAMAAABkAAQAAP__")).status, 200);
    }
    for seen in origin.requests() {
        assert!(seen.headers("upgrade").is_empty() && seen.headers("http2-settings").is_empty(), "{seen:#?}");
    }
}

#[test]
fn a_socket_holds_its_place_among_those_under_way_as_long_as_it_lives() {
    let runtime = runtime();
    let upstream = runtime.block_on(echo());
    let gateway = Gateway::start(&format!(
        "defaults: {{ max_in_flight: 1 }}\nroutes:\n  /chat: {{ to: \"ws://{upstream}\" }}\n  /a: {{ respond: {{ body: a }} }}\n"
    ));
    let mut socket = runtime.block_on(connect(gateway.address()));
    for _ in 0..3 {
        runtime.block_on(socket.send(Message::text("hello"))).expect("sent");
        assert!(runtime.block_on(socket.next()).is_some_and(|message| message.is_ok()));
        assert_eq!(gateway.get("/a").json()["type"], "urn:tollgate:problem:route-busy");
    }
    runtime.block_on(socket.close(None)).expect("closed");
    while runtime.block_on(socket.next()).is_some() {}
    crate::support::wait::until("the place is free", || gateway.get("/a").status == 200);
    // And where the client just goes.
    drop(runtime.block_on(connect(gateway.address())));
    crate::support::wait::until("the place is free again", || gateway.get("/a").status == 200);
}

#[test]
fn a_thousand_connections_echo_and_each_ends_with_its_code() {
    const CONNECTIONS: usize = 1_000;
    let runtime = runtime();
    let upstream = runtime.block_on(echo());
    let gateway =
        Gateway::start(&format!("routes: {{ /chat: {{ to: \"ws://{upstream}\", websocket: {{ ping: 1m }} }} }}"));
    runtime.block_on(async {
        let mut sockets = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            sockets.push(connect(gateway.address()).await);
        }
        for round in 0..2 {
            for (number, socket) in sockets.iter_mut().enumerate() {
                let text = format!("{round} {number} {}", "x".repeat(number));
                socket.send(Message::text(text)).await.expect("sent");
            }
            for (number, socket) in sockets.iter_mut().enumerate() {
                let message = socket.next().await.expect("a message").expect("sound");
                assert_eq!(message.into_text().expect("text"), format!("{round} {number} {}", "x".repeat(number)));
            }
        }
        assert_eq!(gateway.metric("tollgate_websockets", &["/chat"]), 1_000.0);
        for socket in &mut sockets {
            let frame = CloseFrame { code: CloseCode::Library(4_000), reason: "enough".into() };
            socket.close(Some(frame)).await.expect("closed");
        }
        for socket in &mut sockets {
            let Some(Ok(Message::Close(Some(frame)))) = socket.next().await else { panic!("no Close") };
            assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Library(4_000), "enough"));
        }
    });
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"client\""], 1_000.0);
    assert_eq!(gateway.metric("tollgate_websocket_messages_total", &["direction=\"out\""]), 2_000.0);
}
