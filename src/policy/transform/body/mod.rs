//! Changes to bodies: JSON by pointer, and one format for another.

mod config;
mod edit;
mod form;
mod format;
mod jq;
mod json;
mod made;
mod plan;
pub mod replace;
mod shaping;
mod template;
mod xml;

pub use config::JsonConfig;
pub use format::Format;
pub use jq::JqConfig;
pub use json::{Unfit, escaped};
pub use made::Made;
pub use plan::{BodyPlan, RATIO, Written, bound};
pub use replace::{ReplaceConfig, Replacements};
pub use shaping::Shaping;
pub use template::TemplateConfig;

use super::headers::Way;
use super::variable::Facts;
use crate::policy::coding::{Bound, Coded, Coding, DecodeError, Decoder, coded};
use crate::policy::{BodyStream, BodyWork, Changed, WholeBody, forget_length};
use crate::reply::{Reason, Reply};
use crate::request::HeadersMut;
use crate::value::ByteSize;
use bytes::Bytes;
use format::Charset;
use http::{HeaderValue, header};
use plan::{Source, Stage};
use std::sync::Arc;

/// Takes what is written of a body out of a rule.
macro_rules! written {
    ($from:expr) => {
        $crate::policy::transform::body::Written {
            json: &$from.json,
            jq: $from.jq.as_ref(),
            template: $from.template.as_ref(),
            body: $from.body,
        }
    };
}
pub(super) use written;

/// Bodies up to this size are changed where they are; larger ones on a thread that may take its time.
const AT_ONCE: usize = 64 * 1024;

/// Work on one body: what the rules of a route do to it, one after the other.
#[derive(Debug)]
struct Job {
    source: Source,
    stages: Vec<Stage>,
    way: Way,
}

/// The refusal of a body that cannot be changed; why tells nothing of its content.
pub fn refusal(way: Way, unfit: Unfit) -> Box<Reply> {
    let (reason, whose) = match way {
        Way::Up => (Reason::BadBody, "The body"),
        Way::Down => (Reason::UpstreamBody, "The answer of the service behind this route"),
    };
    Box::new(Reply::new(reason).detail(format!("{whose} cannot be changed as this route asks: {}.", unfit.0)))
}

/// The refusal of a body that is larger than its bound.
pub fn too_large(way: Way, bound: u64) -> Box<Reply> {
    let size = ByteSize::new(bound);
    Box::new(match way {
        Way::Up => Reply::new(Reason::BodyTooLarge)
            .detail(format!("The body is changed on its way, and so may have {size} at most.")),
        Way::Down => Reply::new(Reason::UpstreamBody)
            .detail(format!("The answer is changed on its way, and so may have {size} at most.")),
    })
}

/// The work of these plans on the body that belongs to a head, which is changed to match.
///
/// # Errors
/// The refusal of a body whose coding or charset is not read.
pub fn begin<'p>(
    plans: impl Iterator<Item = &'p BodyPlan>,
    facts: &Facts<'_>,
    headers: &mut dyn HeadersMut,
    (way, bound): (Way, u64),
) -> Result<BodyWork, Box<Reply>> {
    let Some(kind) = headers.first(&header::CONTENT_TYPE) else { return Ok(BodyWork::Leave) };
    let Some(first) = Format::of(kind) else { return Ok(BodyWork::Leave) };
    let (mut format, mut written, mut stages) = (Some(first), None, Vec::new());
    for plan in plans {
        let Some(from) = format else { break }; // what a template writes may be of any type
        if let Some(next) = plan.result(from) {
            stages.push(plan.begin(from, facts));
            (format, written) = (next, plan.content_type().or(written));
        }
    }
    if stages.is_empty() {
        return Ok(BodyWork::Leave);
    }
    let charset = Charset::of(kind).map_err(|unfit| refusal(way, unfit))?;
    let coding = coding_of(headers, way)?;
    headers.remove(&header::CONTENT_ENCODING);
    let becomes = format.filter(|format| *format != first || charset != Charset::Utf8);
    let kind = written.or(becomes.map(|format| HeaderValue::from_static(format.media_type())));
    if let Some(kind) = kind {
        headers.set(&header::CONTENT_TYPE, kind);
    }
    forget_length(headers);
    Ok(BodyWork::Whole(Box::new(Job { source: Source { coding, charset, bound }, stages, way })))
}

fn coding_of(headers: &dyn HeadersMut, way: Way) -> Result<Option<Coding>, Box<Reply>> {
    match coded(headers) {
        Coded::Plain => Ok(None),
        Coded::Once(coding) => Ok(Some(coding)),
        Coded::Otherwise => Err(refusal(way, Unfit("its Content-Encoding is not one that is read"))),
    }
}

impl WholeBody for Job {
    fn bound(&self) -> u64 {
        self.source.bound
    }

    fn too_large(&self) -> Box<Reply> {
        too_large(self.way, self.source.bound)
    }

    /// A program has a thread for itself, and its turn until it is over, whether or not somebody still waits for it.
    fn change(self: Box<Self>, body: Bytes) -> Changed {
        let way = self.way;
        Box::pin(async move {
            let mut turns = Vec::new();
            for own in self.stages.iter().flat_map(Stage::turns) {
                let turn = tokio::time::timeout(jq::TIME, Arc::clone(own).acquire_owned()).await;
                turns.extend(turn.map_err(|_| Box::new(Reply::from(Reason::Overloaded)))?);
            }
            let changed = if body.len() <= AT_ONCE && turns.is_empty() {
                plan::run(self.source, &self.stages, &body)
            } else {
                let work = move || {
                    let changed = plan::run(self.source, &self.stages, &body);
                    drop(turns);
                    changed
                };
                tokio::task::spawn_blocking(work).await.map_err(|_| Box::new(Reply::from(Reason::Internal)))?
            };
            changed.map_err(|unfit| refusal(way, unfit))
        })
    }
}

/// Decodes a request's body as it passes, within the bound; the head is changed to match.
///
/// # Errors
/// The refusal of a body whose coding is not read.
pub fn decompress(headers: &mut dyn HeadersMut, bound: u64) -> Result<BodyWork, Box<Reply>> {
    let Some(decoding) = Decoding::of(headers, (Way::Up, bound))? else { return Ok(BodyWork::Leave) };
    headers.remove(&header::CONTENT_ENCODING);
    forget_length(headers);
    Ok(BodyWork::Stream(Box::new(decoding)))
}

/// A coded body on its way, decoded piece by piece.
struct Decoding {
    decoder: Decoder,
    way: Way,
    bound: u64,
}

impl Decoding {
    /// What decodes the body that belongs to a head; `None` where it is not coded.
    fn of(headers: &dyn HeadersMut, (way, bound): (Way, u64)) -> Result<Option<Self>, Box<Reply>> {
        let Some(coding) = coding_of(headers, way)? else { return Ok(None) };
        let decoder = Decoder::new(coding, Bound { bytes: bound, ratio: RATIO })
            .map_err(|_| Box::new(Reply::from(Reason::Internal)))?;
        Ok(Some(Self { decoder, way, bound }))
    }
}

impl BodyStream for Decoding {
    fn piece(&mut self, bytes: Bytes, last: bool) -> Result<Bytes, Box<Reply>> {
        self.decoder.piece(&bytes, last).map_err(|error| match error {
            DecodeError::TooLarge => too_large(self.way, self.bound),
            DecodeError::Malformed => refusal(self.way, Unfit("its coding is malformed or cut off")),
        })
    }
}
