//! What the tests of several policies share.

use super::Setup;
use crate::config::yaml::{parse, read};
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::value::{Problems, SourceId, Sources};
use serde::de::DeserializeOwned;
use std::path::Path;

/// A written form, read from YAML as the configuration's own reader does.
///
/// # Panics
/// When it is refused; the message lists why.
#[track_caller]
pub fn written<T: DeserializeOwned>(yaml: &str) -> T {
    try_written(yaml).unwrap_or_else(|messages| panic!("{yaml}: {messages:?}"))
}

/// As [`written`]; what is wrong where it is refused, each with its hint on a second line.
pub fn try_written<T: DeserializeOwned>(yaml: &str) -> Result<T, Vec<String>> {
    let (mut problems, mut sources) = (Problems::new(), Sources::default());
    sources.add("test.yaml", "", yaml);
    let document = parse(SourceId(0), yaml, &mut problems);
    let value = document.and_then(|document| read(&document.root, &mut problems, &mut sources));
    match value {
        Some(value) if !problems.is_fatal() => Ok(value),
        _ => Err(messages(&problems)),
    }
}

/// The messages of all problems, each with its hint on a second line.
pub fn messages(problems: &Problems) -> Vec<String> {
    let text = |problem: &crate::value::Problem| match &problem.hint {
        Some(hint) => format!("{}\n{hint}", problem.message),
        None => problem.message.clone(),
    };
    problems.iter().map(text).collect()
}

/// Runs `compile` with a setup whose files are in `folder`; what it made, what it found wrong, and how many things it
/// left to be tended.
pub fn with_setup<T>(folder: &Path, compile: impl FnOnce(&mut Setup<'_>) -> T) -> (T, Problems, usize) {
    let mut sources = Sources::default();
    sources.add("gateway.yaml", folder, "");
    let (mut problems, mut tended, mut identity) = (Problems::new(), Vec::new(), Vec::new());
    let (fetcher, limits) = Default::default();
    let mut setup = Setup {
        problems: &mut problems,
        sources: &sources,
        fetcher: &fetcher,
        limits: &limits,
        shared: None,
        tended: &mut tended,
        redacted: &mut Vec::new(),
        metrics: &metrics(),
        identity: &mut identity,
    };
    let made = compile(&mut setup);
    (made, problems, tended.len())
}

/// Metrics that nobody scrapes.
pub fn metrics() -> Metrics {
    let reasons = crate::reply::Reason::SLUGS;
    Metrics::new(MetricsSettings { workers: 1, max_routes: MetricsSettings::MAX_ROUTES, reasons })
}
