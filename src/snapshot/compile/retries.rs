//! When to try again, and what upstreams are told of deadlines.

use crate::config::{RetriesConfig, RetryOn};
use crate::snapshot::{Backoff, Retries, RetryCause};
use crate::value::{OrOff, Problems, Spanned};
use http::HeaderName;

/// The longest wait is so many times the first.
const LONGEST: u32 = 10;

/// When to try again.
pub(super) fn retries(written: Option<&RetriesConfig>) -> Retries {
    let default = RetriesConfig::default();
    let written = written.unwrap_or(&default);
    let on = written.on.iter().map(|cause| match cause {
        RetryOn::Connect => RetryCause::Connect,
        RetryOn::Reset => RetryCause::Reset,
        RetryOn::Timeout => RetryCause::Timeout,
        RetryOn::Status(status) => RetryCause::Status(*status),
        RetryOn::Grpc(code) => RetryCause::Grpc(*code),
    });
    let mut on: Vec<RetryCause> = on.collect();
    // Giving an attempt up is for making another.
    if written.per_try.is_some() && !on.contains(&RetryCause::Timeout) {
        on.push(RetryCause::Timeout);
    }
    Retries {
        max: written.max,
        on,
        budget: written.budget.fraction(),
        per_try: written.per_try.map(|limit| limit.get()),
        backoff: written.backoff.on().map(|first| Backoff { first: first.get(), longest: first.get() * LONGEST }),
        replay: written.replay.get(),
    }
}

/// The field that tells deadlines.
pub(super) fn deadline_header(
    written: Option<&OrOff<Spanned<String>>>,
    problems: &mut Problems,
) -> Option<Box<HeaderName>> {
    let name = written?.on()?;
    match HeaderName::from_bytes(name.value.as_bytes()) {
        Ok(name) => Some(Box::new(name)),
        Err(_) => {
            problems.error(name.place, format!("`{}` is not the name of a header", name.value));
            None
        }
    }
}
