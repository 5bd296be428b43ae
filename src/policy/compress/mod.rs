//! `compress:`: answers in fewer bytes, for clients that can read them.
//!
//! Stage: Compress, the last thing that is done to an answer. Hook: on the body of every answer, the gateway's own too.
//! Which coding is taken is the client's choice (RFC 9110 §12.5.3). Left alone is what is coded already, a part of
//! something (206), what says `no-transform` (RFC 9111 §5.2.2.6), gRPC, and what is short or of no type that shrinks. Each
//! piece goes out as it arrives where nobody can know when the next one comes: in answers that do not say their length.
//! What a route keeps is compressed once for each coding, and kept so too. Where a body mixes
//! secrets with what a stranger sent, its length tells of both (BREACH): such routes say `compress: off`. Nothing is carried
//! over a reload. Fails open: a body that cannot be compressed was begun, so it breaks off. Example: `conf/compress.yaml`.

mod config;
mod kind;

pub use config::{CodingConfig, CompressConfig, LevelConfig};
pub use kind::MediaTypes;

use super::coding::{Accepted, Coded, Coding, Encoder, Levels, Then, accepted, coded};
use super::{BodyStream, BodyWork, ChainBuilder, KeptAs, OnResponseBody, Seen, Setup, Stage, forget_length};
use crate::reply::{Reason, Reply};
use crate::request::{Headers, RequestCx, ResponseView};
use bytes::Bytes;
use http::{HeaderValue, header};
use std::sync::Arc;

/// The compiled policy.
#[derive(Debug)]
pub struct Compress {
    offered: Box<[Coding]>,
    types: MediaTypes,
    min_size: u64,
    levels: Levels,
}

impl CompressConfig {
    /// Compiles what is written and adds the policy's hook to a route.
    pub fn attach(&self, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let compiled = self.compile(setup);
        chain.on_response_body(Stage::Compress, Seen::Always, Arc::new(compiled));
    }

    fn compile(&self, setup: &mut Setup<'_>) -> Compress {
        let mut offered: Vec<Coding> = Vec::new();
        for coding in &self.codings {
            if offered.contains(&coding.value.coding()) {
                setup.problems.error(coding.place, format!("`{}` stands twice", coding.value.coding().as_str()));
            }
            offered.push(coding.value.coding());
        }
        for (level, name, range) in self.level.each() {
            if !range.contains(&level.value) {
                let (first, last) = (range.start(), range.end());
                setup.problems.error(level.place, format!("a level of {name} is from {first} to {last}"));
            }
        }
        let types = MediaTypes::compile(&self.types, setup);
        Compress { offered: offered.into(), types, min_size: self.min_size.get(), levels: self.level.levels() }
    }
}

/// What an answer's own head says of compressing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suits {
    /// It is left alone.
    Not,
    /// It is compressed for those who like that.
    Yes,
    /// Only for those who cannot take it as it is.
    IfItMust,
    /// It is a part of one that would be compressed: it says what the whole says (RFC 9110 §15.3.7).
    Part,
    /// It has no body, and stands for one that was one of the others (RFC 9110 §15.4.5).
    NotModified,
}

impl Compress {
    fn suits(&self, response: &ResponseView<'_>) -> Suits {
        let headers: &dyn Headers = response.headers;
        if response.status == 204 || coded(headers) != Coded::Plain || says(headers, b"no-transform") {
            return Suits::Not;
        }
        if response.status == 304 {
            return Suits::NotModified;
        }
        let Some(kind) = headers.first(&header::CONTENT_TYPE) else { return Suits::Not };
        if !self.types.contain(kind) {
            return Suits::Not;
        }
        if response.status == 206 || headers.first(&header::CONTENT_RANGE).is_some() {
            return Suits::Part;
        }
        let length = headers.first(&header::CONTENT_LENGTH).and_then(|text| std::str::from_utf8(text).ok());
        match length.and_then(|text| text.parse::<u64>().ok()) {
            Some(0) => Suits::Not,
            Some(length) if length < self.min_size => Suits::IfItMust,
            _ => Suits::Yes,
        }
    }
}

/// Whether `Cache-Control` has that directive.
fn says(headers: &dyn Headers, directive: &[u8]) -> bool {
    let mut found = false;
    headers.each(&header::CACHE_CONTROL, &mut |value| {
        found |= value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(directive));
    });
    found
}

/// Tells caches that the answer depends on `Accept-Encoding` (RFC 9110 §12.5.5), once.
fn vary(response: &mut ResponseView<'_>) {
    let mut known = false;
    response.headers.each(&header::VARY, &mut |value| {
        let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        known |= names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding"));
    });
    if !known {
        response.headers.append(&header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

impl OnResponseBody for Compress {
    fn on_response_body(&self, _cx: &mut RequestCx, response: &mut ResponseView<'_>) -> Result<BodyWork, Box<Reply>> {
        let suits = self.suits(response);
        if suits == Suits::Not {
            return Ok(BodyWork::Leave);
        }
        vary(response);
        if suits == Suits::Part {
            return Ok(BodyWork::Leave);
        }
        let Accepted { coding, plain } = accepted(response.request.headers, &self.offered);
        let Some(coding) = coding.filter(|_| suits != Suits::IfItMust || !plain) else { return Ok(BodyWork::Leave) };
        if suits == Suits::NotModified {
            forget_length(response.headers);
            return Ok(BodyWork::Leave);
        }
        let encoder = Encoder::new(coding, self.levels).map_err(|_| Box::new(Reply::from(Reason::Internal)))?;
        let has_length = response.headers.first(&header::CONTENT_LENGTH).is_some();
        forget_length(response.headers);
        response.headers.set(&header::CONTENT_ENCODING, coding.value());
        Ok(BodyWork::Stream(Box::new(Compressing {
            encoder,
            between: if has_length { Then::More } else { Then::Flush },
            kept_as: (coding.as_str(), self.levels.of(coding)),
        })))
    }

    fn describe(&self) -> Vec<String> {
        let names: Vec<&str> = self.offered.iter().map(|coding| coding.as_str()).collect();
        vec![format!("compress {} from {} bytes: {}", names.join(", "), self.min_size, self.types)]
    }
}

struct Compressing {
    encoder: Encoder,
    /// What follows a piece that is not the last.
    between: Then,
    kept_as: KeptAs,
}

impl BodyStream for Compressing {
    fn piece(&mut self, bytes: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
        let then = if last { Then::End } else { self.between };
        self.encoder.piece(&bytes, then).map_err(|_| Box::new(Reply::from(Reason::Internal)))
    }

    fn kept_as(&self) -> Option<KeptAs> {
        Some(self.kept_as)
    }
}

#[cfg(test)]
mod tests;
