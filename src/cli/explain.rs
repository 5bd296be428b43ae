//! `tollgate explain`: the compiled plan, or the way of one request through it.

use super::check::compile_file;
use crate::snapshot::{Question, draw_plan, explain_plan, explain_request};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Explain a file, or a request.
#[derive(Args)]
pub struct Explain {
    /// The configuration.
    file: PathBuf,
    /// The method of a request.
    #[arg(requires = "url")]
    method: Option<String>,
    /// Its URL, or its path.
    url: Option<String>,
    /// Its headers: `-H 'X-Beta: true'`.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Its body, for routes that are chosen by it: `-d '{"type": 1}'`. JSON unless a header says otherwise.
    #[arg(
        short = 'd',
        long = "data",
        value_name = "BODY",
        requires = "url",
        default_value = "",
        hide_default_value = true
    )]
    body: String,
    /// `text`, or `mermaid`: drawings of the routes that combine several answers.
    #[arg(long, value_enum, default_value_t = Format::Text, conflicts_with = "method")]
    format: Format,
    /// The client's address. Default: 127.0.0.1.
    #[arg(long, value_name = "ADDRESS", requires = "url")]
    client: Option<std::net::IpAddr>,
}

/// How the plan is shown.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// In lines.
    Text,
    /// As Mermaid flow charts.
    Mermaid,
}

impl Explain {
    /// Exit 1: the file has problems, or the request is none.
    pub fn execute(self) -> ExitCode {
        let snapshot = match compile_file(&self.file) {
            Ok(compiled) => compiled.snapshot,
            Err(failed) => {
                eprintln!("{failed}");
                return ExitCode::FAILURE;
            }
        };
        if self.format == Format::Mermaid {
            super::print(&draw_plan(&snapshot));
            return ExitCode::SUCCESS;
        }
        let (Some(method), Some(url)) = (self.method, self.url) else {
            super::print(&explain_plan(&snapshot));
            return ExitCode::SUCCESS;
        };
        let mut headers = Vec::new();
        for header in &self.headers {
            let Some((name, value)) = header.split_once(':') else {
                eprintln!("tollgate: a header is `Name: value`, not `{header}`");
                return ExitCode::from(super::USAGE);
            };
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !self.body.is_empty() && !typed {
            headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
        }
        match explain_request(&snapshot, &Question { method, url, headers, body: self.body, client: self.client }) {
            Ok(text) => {
                super::print(&text);
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("{why}");
                ExitCode::FAILURE
            }
        }
    }
}
