//! `grpc:` over real sockets, the service being tonic: JSON in, JSON out, and everything that can go wrong on the way.

mod hostile;
mod reverse;
mod service;
mod streams;
mod unary;
mod watched;

use crate::support::gateway::Gateway;
use service::Shop;
use tempfile::TempDir;

/// What the service offers.
const SHOP: &str = include_str!("shop.proto");

/// A folder with the schema in it.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("shop.proto"), SHOP).expect("a schema");
    folder
}

/// A gateway with those routes, `UPSTREAM` standing for the service.
fn before(url: &str, routes: &str) -> Gateway {
    Gateway::start_in(folder(), &format!("routes:\n{}", routes.replace("UPSTREAM", url)))
}

/// A gateway whose routes are those of the rules of the schema.
fn ruled(shop: &Shop) -> Gateway {
    before(&shop.url(), "  /**: { grpc: { proto: shop.proto, rules: true }, to: UPSTREAM, timeout: 5s }")
}
