//! Changes to a body, compiled; and the work on one body.

use super::config::JsonConfig;
use super::edit::{self, Document};
use super::format::{Charset, Format};
use super::jq::{JqConfig, Program};
use super::json::{Json, Unfit};
use super::made::Made;
use super::template::{Template, TemplateConfig};
use super::{form, xml};
use crate::policy::Setup;
use crate::policy::coding::{Bound, Coding, DecodeError, Decoder};
use crate::policy::transform::value::Scope;
use crate::policy::transform::variable::Facts;
use crate::value::json::Pointer;
use crate::value::{ByteSize, Spanned};
use bytes::Bytes;
use http::HeaderValue;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// How many times larger than what came a decoded body may be, past its first 64 KiB.
pub const RATIO: u32 = 200;
/// How many times larger than its bound a body may become by a change.
const GROWTH: u64 = 4;

/// One change to JSON.
#[derive(Clone, Debug, PartialEq)]
enum Edit {
    Rename(Pointer, Box<str>),
    Move(Pointer, Pointer),
    Remove(Pointer),
    /// The value with that number among those of the plan.
    Set(Pointer, usize),
}

/// Changes to a body, compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BodyPlan {
    edits: Arc<[Edit]>,
    values: Box<[Made]>,
    program: Option<Arc<Program>>,
    template: Option<Arc<Template>>,
    to: Option<Format>,
    words: Box<[String]>,
}

/// Changes to a body as they are written.
#[derive(Clone, Copy)]
pub struct Written<'a> {
    /// By pointer.
    pub json: &'a JsonConfig,
    /// By a program.
    pub jq: Option<&'a Spanned<JqConfig>>,
    /// By a template.
    pub template: Option<&'a Spanned<TemplateConfig>>,
    /// The format it gets.
    pub body: Option<Format>,
}

impl BodyPlan {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: Written<'_>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Self {
        let Written { json, jq, template, body: to } = written;
        if let (Some(template), Some(_)) = (template, to) {
            setup
                .problems
                .error(template.place, "a template says itself what it writes; `body` has no effect beside it");
        }
        let (mut edits, mut values, mut words) = (Vec::new(), Vec::new(), Vec::new());
        for (from, name) in json.rename.iter() {
            if let Some(pointer) = place(from, setup) {
                words.push(format!("rename {} to {}", from.value, name.value));
                edits.push(Edit::Rename(pointer, name.value.as_str().into()));
            }
        }
        for (from, target) in json.moves.iter() {
            if let (Some(from), Some(to)) = (one_place(from, setup), one_place(target, setup)) {
                edits.push(Edit::Move(from, to));
            }
            words.push(format!("move {} to {}", from.value, target.value));
        }
        for gone in &json.remove {
            edits.extend(place(gone, setup).map(Edit::Remove));
            words.push(format!("remove {}", gone.value));
        }
        for (at, value) in json.set.iter() {
            let pointer = pointer(at, setup);
            if let (Some(pointer), Some(made)) =
                (pointer, Made::compile(&value.value, value.place, (scope, &mut *setup)))
            {
                edits.push(Edit::Set(pointer, values.len()));
                values.push(made);
            }
            words.push(format!("set {}: {}", at.value, value.value));
        }
        let program = jq.and_then(|jq| Program::compile(&jq.value, scope, setup));
        words.extend(program.as_ref().map(|program| format!("jq {program}")));
        let template = template.and_then(|template| Template::compile(template, scope, setup));
        words.extend(template.as_ref().map(ToString::to_string));
        words.extend(to.map(|format| format!("becomes {}", format.as_str())));
        Self { edits: edits.into(), values: values.into(), program, template, to, words: words.into() }
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.program.is_none() && self.template.is_none() && self.to.is_none()
    }

    /// The changes in a few words each.
    pub fn describe(&self) -> impl Iterator<Item = String> {
        self.words.iter().map(|word| format!("body: {word}"))
    }

    /// The format of what comes out where that goes in, if it is one that is read; `None` where the plan does nothing with
    /// it.
    pub fn result(&self, from: Format) -> Option<Option<Format>> {
        if let Some(template) = &self.template {
            return Some(template.format());
        }
        let to = self.to.unwrap_or(from);
        let reads = from == Format::Json || to == Format::Json;
        let changes = to != from || !self.edits.is_empty() || self.program.is_some();
        (reads && changes).then_some(Some(to))
    }

    /// The media type of what comes out, where a template writes it.
    pub fn content_type(&self) -> Option<HeaderValue> {
        self.template.as_ref().map(|template| template.content_type.clone())
    }

    /// The work on one body of that format.
    pub fn begin(&self, from: Format, facts: &Facts<'_>) -> Stage {
        Stage {
            edits: Arc::clone(&self.edits),
            values: self.values.iter().map(|value| value.make(facts)).collect(),
            program: self.program.clone().map(|program| {
                let texts = program.texts(facts);
                (program, texts)
            }),
            template: self.template.clone().map(|template| {
                let texts = template.texts(facts);
                (template, texts)
            }),
            from,
            to: self.to.unwrap_or(from),
        }
    }
}

fn pointer(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Pointer> {
    let pointer = Pointer::parse(&written.value).ok();
    if pointer.is_none() {
        setup
            .problems
            .error(written.place, format!("`{}` is no JSON pointer", written.value))
            .hint("write one such as `/order/items/0`, `/items/*/price` (RFC 6901)");
    }
    pointer
}

/// A pointer to a part.
fn place(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Pointer> {
    let pointer = pointer(written, setup)?;
    if pointer.is_whole() {
        setup.problems.error(written.place, "this stands for the whole body");
        return None;
    }
    Some(pointer)
}

/// A pointer to one part.
fn one_place(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Pointer> {
    let pointer = place(written, setup)?;
    if edit::is_many(&pointer) {
        setup.problems.error(written.place, "a move is from one place to one place");
        return None;
    }
    Some(pointer)
}

/// What one rule does to one body.
#[derive(Debug)]
pub struct Stage {
    edits: Arc<[Edit]>,
    values: Box<[Option<String>]>,
    program: Option<(Arc<Program>, Texts)>,
    template: Option<(Arc<Template>, Texts)>,
    from: Format,
    to: Format,
}

/// Texts of a request that a program or a template names.
type Texts = Box<[Option<String>]>;

/// How a body comes.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its coding.
    pub coding: Option<Coding>,
    /// Its charset.
    pub charset: Charset,
    /// The most bytes it may have, decoded.
    pub bound: u64,
}

/// Changes a whole body.
///
/// # Errors
/// Why it cannot be changed.
pub fn run(source: Source, stages: &[Stage], body: &[u8]) -> Result<Bytes, Unfit> {
    let decoded = match source.coding {
        Some(coding) => Cow::Owned(decode(coding, body, source.bound)?.to_vec()),
        None => Cow::Borrowed(body),
    };
    if decoded.is_empty() {
        return Ok(Bytes::new());
    }
    let mut text = source.charset.read(&decoded)?.into_owned();
    for stage in stages {
        text = stage.run(&text, source.bound)?;
    }
    Ok(text.into())
}

/// The whole of a coded body, within its bound.
pub fn decode(coding: Coding, body: &[u8], bound: u64) -> Result<Bytes, Unfit> {
    let mut decoder =
        Decoder::new(coding, Bound { bytes: bound, ratio: RATIO }).map_err(|_| Unfit("it cannot be decoded"))?;
    decoder.piece(body, true).map_err(|error| match error {
        DecodeError::Malformed => Unfit("its coding is malformed or cut off"),
        DecodeError::TooLarge => Unfit("it becomes too large when it is decoded"),
    })
}

impl Stage {
    /// Whose turn it takes to run it.
    pub fn turns(&self) -> impl Iterator<Item = &Arc<Semaphore>> {
        let program = self.program.iter().map(|(program, _)| &program.turns);
        program.chain(self.template.iter().map(|(template, _)| &template.turns))
    }

    fn run(&self, text: &str, bound: u64) -> Result<String, Unfit> {
        let only_edits = self.to == Format::Json && self.program.is_none() && self.template.is_none();
        let mut whole = Document::new(match self.from {
            Format::Json if only_edits => Json::read(text)?,
            Format::Json => Json::parse(text)?,
            Format::Xml => xml::to_json(text)?,
            Format::Form => form::to_json(text)?,
        });
        for edit in &*self.edits {
            match edit {
                Edit::Rename(pointer, name) => edit::rename(&mut whole, pointer, name)?,
                Edit::Move(from, to) => {
                    if let Some(moved) = edit::remove(&mut whole, from)? {
                        edit::set(&mut whole, to, &moved)?;
                    }
                }
                Edit::Remove(pointer) => drop(edit::remove(&mut whole, pointer)?),
                Edit::Set(pointer, number) => match self.values.get(*number).and_then(Option::as_deref) {
                    Some(made) => edit::set(&mut whole, pointer, &Json::parse(made)?)?,
                    None => drop(edit::remove(&mut whole, pointer)?),
                },
            }
        }
        let mut value = whole.root;
        let most = usize::try_from(bound.saturating_mul(GROWTH)).unwrap_or(usize::MAX);
        let made;
        if let Some((program, texts)) = &self.program {
            made = program.run(&value, texts, (bound, most))?;
            if self.to == Format::Json && self.template.is_none() {
                return Ok(made);
            }
            value = Json::parse(&made)?;
        }
        if let Some((template, texts)) = &self.template {
            return template.run(&value, texts, most);
        }
        let out = match self.to {
            Format::Json => {
                let mut out = String::with_capacity(text.len());
                value.write(&mut out, most)?;
                out
            }
            Format::Xml => xml::from_json(&value, most)?,
            Format::Form => form::from_json(&value)?,
        };
        if out.len() > most { Err(Unfit("it becomes too large")) } else { Ok(out) }
    }
}

/// The bound of a body that is gathered: what is written, else 10 MiB.
pub fn bound(written: Option<&ByteSize>) -> u64 {
    written.map_or(10 << 20, |size| size.get())
}
