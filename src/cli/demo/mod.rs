//! `tollgate demo`: the shop, whole, in one process: the gateway in front of users, catalog, cart and orders.

mod service;
mod shop;

use super::run::LogArguments;
use crate::server::{Gateway, Sockets, Source};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// The shop's configuration, the same file that `conf/` holds.
const SHOP: &str = include_str!("../../../conf/shop.yaml");

/// Serve the shop.
#[derive(Args)]
pub struct Demo {
    /// The configuration, instead of the built-in `conf/shop.yaml`.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    log: LogArguments,
}

impl Demo {
    /// Serves until interrupted. Exit 1: a port is in use.
    pub fn execute(self) -> ExitCode {
        if let Err(code) = self.log.install() {
            return code;
        }
        match self.serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("tollgate: {message}");
                ExitCode::FAILURE
            }
        }
    }

    fn serve(self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        for (name, port) in shop::INSTANCES {
            runtime
                .block_on(service::serve(port, move |request| shop::answer(name, port, request)))
                .map_err(|error| format!("the service {name} cannot have port {port}: {error}"))?;
        }
        let source = match self.config {
            Some(path) => Source::File(path),
            None => Source::Text { name: "conf/shop.yaml".into(), text: SHOP.into() },
        };
        let loaded = source.load()?;
        let gateway = Gateway::start(source, loaded, Sockets::default()).map_err(|error| error.to_string())?;
        super::print(shop::WELCOME);
        let interrupted = runtime.block_on(tokio::signal::ctrl_c());
        drop(gateway);
        interrupted.map_err(|error| error.to_string())
    }
}
