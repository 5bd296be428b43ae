//! `websocket:` over real sockets: frames byte by byte, bounds, clocks, and how connections end.

mod callers;
mod ending;
mod frames;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::socket::{Socket, Upstream};
use crate::support::wait::until_some;

/// A gateway with one WebSocket's route, `/chat`, that logs into its folder.
fn gateway(upstream: &Upstream, websocket: &str) -> Gateway {
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("access.log");
    Gateway::start_in(folder, &yaml(&format!("access_log: {}\n", log.display()), upstream, websocket))
}

fn yaml(more: &str, upstream: &Upstream, websocket: &str) -> String {
    format!("{more}routes:\n  /chat: {{ to: \"{}\", websocket: {websocket} }}\n", upstream.url())
}

/// Both ends of a connection through the gateway.
fn joined(gateway: &Gateway, upstream: &Upstream) -> (Socket, Socket) {
    let client = Socket::connect(gateway.address(), "/chat", &[]);
    (client, upstream.next())
}

/// The line of the log, once there is one.
fn line(gateway: &Gateway) -> Value {
    let path = gateway.folder().join("access.log");
    let text =
        until_some("the log has its line", || std::fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')));
    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON")
}
