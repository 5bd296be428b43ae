//! `jq:`: bodies made by a program in jq (jaq).
//!
//! A program is compiled when the file is read and run off the workers. It may take [`TIME`], [`STEPS`], 768 KiB of stack
//! and as much memory as its values allow; whatever it does, it ends by then ([`guard`]). So many run at once as there are
//! processors; a request that gets no turn within [`TIME`] is refused as overload, so that slow programs hold up nobody
//! else. Neither files, the environment, nor other inputs can be read.

mod guard;
mod natives;
#[cfg(test)]
mod tests;
mod value;

use super::json::{Json, Unfit};
use crate::policy::Setup;
use crate::policy::transform::value::{Place, Scope, Value};
use crate::policy::transform::variable::Facts;
use crate::value::Named;
use crate::value::Spanned;
use crate::value::form::{short_form, with_short_form};
use guard::{guarded, guarded_definition};
use jaq_core::load::parse::{Def, Parser, Term};
use jaq_core::load::{Arena, File, Lexer, Loader};
use jaq_core::{Compiler, Ctx, Vars};
use jaq_json::Val;
use natives::{Data, Ended, Kind, Meter, natives};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long one run may take, and how long a request waits for its turn.
pub const TIME: Duration = Duration::from_secs(2);
/// How many steps one run may take.
const STEPS: u64 = 20_000_000;
/// How many times larger than the largest body what a program makes may be, in all.
const GROWTH: u64 = 8;
/// The least that a program may make, in bytes.
const ROOM: u64 = 16 << 20;
/// The longest program, in bytes; and how deep brackets may stand in it.
const LONGEST: usize = 64 * 1024;
const DEEPEST: usize = 100;
/// What a program is called.
const NAME: &str = "tollgate_program";

/// A program in jq.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "JqConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The program."))]
pub struct JqConfig {
    /// The program; it gives exactly one value.
    pub program: Spanned<String>,
    /// Texts that the program names: `{ id: "{id}" }` is `$id`. Null where a variable in one is not there.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub with: Named<Spanned<String>>,
}

impl FromStr for JqConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { program: Spanned::nowhere(text.to_owned()), with: Named::default() })
    }
}
short_form!(JqConfig, "a program in jq, or a map with program and with", |jq, place| jq.program.place = place);

/// A compiled program.
pub struct Program {
    written: Box<str>,
    filter: jaq_core::Filter<Kind>,
    with: Box<[Value]>,
    /// Turns to run it.
    pub turns: Arc<Semaphore>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written && self.with == other.with
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Program {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &JqConfig, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Arc<Self>> {
        let mut with = Vec::new();
        let mut names = Vec::new();
        for (name, value) in written.with.iter() {
            let sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if name.value.is_empty() || !sound(&name.value) || name.value.starts_with(|c: char| c.is_ascii_digit()) {
                setup.problems.error(name.place, format!("`${}` is no variable of jq", name.value));
            }
            names.push(format!("${}", name.value));
            with.push(Value::compile(value, scope, setup)?);
        }
        match filter(&written.program.value, &names) {
            Ok(filter) => {
                let turns = turns();
                let written = written.program.value.trim().into();
                Some(Arc::new(Self { written, filter, with: with.into(), turns }))
            }
            Err((offset, message)) => {
                setup.problems.error(written.program.within(offset), message);
                None
            }
        }
    }

    /// The texts it names, for one request.
    pub fn texts(&self, facts: &Facts<'_>) -> Box<[Option<String>]> {
        self.with.iter().map(|value| value.expand(facts, Place::Text)).collect()
    }

    /// What it makes of a value, as JSON of at most that many bytes.
    ///
    /// # Errors
    /// It fails, gives no value or several, or was ended.
    pub fn run(
        &self,
        input: &Json<'_>,
        texts: &[Option<String>],
        (bound, most): (u64, usize),
    ) -> Result<String, Unfit> {
        let input = value::read(input)?;
        let meter = Meter::new(STEPS, bound.saturating_mul(GROWTH).max(ROOM), Instant::now() + TIME);
        let texts = texts.iter().map(|text| text.as_deref().map_or(Val::Null, value::text));
        let cx = Ctx::<Kind>::new(Data { lut: &self.filter.lut, meter: &meter }, Vars::new(texts));
        let mut values = self.filter.id.run((cx, input));
        let (first, second) = (values.next(), values.next());
        if let Some(ended) = meter.ended() {
            return Err(Unfit(match ended {
                Ended::Late => "the program of this route takes too long for it",
                Ended::Large => "the program of this route makes too much of it",
                Ended::Deep => "the program of this route goes too deep for it",
            }));
        }
        let made = match (first, second) {
            (None, _) => return Err(Unfit("the program of this route makes nothing of it")),
            (Some(Ok(_)), Some(Ok(_))) => return Err(Unfit("the program of this route makes several values of it")),
            (Some(Ok(value)), None) => value,
            (Some(Err(_)), _) | (_, Some(Err(_))) => return Err(Unfit("the program of this route fails on it")),
        };
        let mut out = String::with_capacity(1024);
        value::write(&made, &mut out, (0, most))?;
        Ok(out)
    }
}

/// Turns for as many runs at once as there are processors.
pub fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, std::num::NonZero::get)))
}

/// A program that counts what it does.
fn filter(program: &str, names: &[String]) -> Result<jaq_core::Filter<Kind>, (usize, String)> {
    check_shape(program)?;
    let place = |part: &str| (part.as_ptr() as usize).saturating_sub(program.as_ptr() as usize).min(program.len());
    let tokens = Lexer::new(program).lex().map_err(|errors| {
        let (expected, at) = errors.into_iter().next().map_or(("", ""), |(expected, at)| (expected.as_str(), at));
        (place(at), format!("this is not jq: {expected} is missing"))
    })?;
    let parsed: Result<Term<&str>, _> = Parser::new(&tokens).parse(|parser| parser.term());
    let term = parsed.map_err(|errors| {
        let first = errors.into_iter().next();
        let at = first.as_ref().and_then(|(_, token)| token.as_ref()).map_or(program.len(), |token| place(token.0));
        let expected = first.map_or("a term", |(expected, _)| expected.as_str());
        (at, format!("this is not jq: {expected} is missing"))
    })?;
    let natives = natives();
    let known: Vec<(&str, usize)> = natives.iter().map(|(name, binds, _)| (*name, binds.len())).collect();
    let is_native = |name: &str, arity: usize| known.contains(&(name, arity));
    let library = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let own = Def { name: NAME, args: names.iter().map(String::as_str).collect(), body: guarded(term, &is_native) };
    let prelude: Vec<Def<&str>> = library.map(|def| guarded_definition(def, &is_native)).chain([own]).collect();
    let arguments = names.join("; ");
    let main = if names.is_empty() { NAME.to_owned() } else { format!("{NAME}({arguments})") };
    let arena = Arena::default();
    let modules = Loader::new(prelude).load(&arena, File { code: &main, path: () });
    let modules = modules.map_err(|_| (0, "this is not jq".to_owned()))?;
    let compiled = Compiler::<_, Kind>::default()
        .with_funs(natives)
        .with_global_vars(names.iter().map(String::as_str))
        .compile(modules);
    compiled.map_err(|files| {
        let first = files.into_iter().flat_map(|(_, errors)| errors).next();
        let name = first.map_or("", |(name, _)| name);
        let within = place(name) + name.len() <= program.len()
            && program.get(place(name)..).is_some_and(|rest| rest.starts_with(name));
        let at = if within { place(name) } else { 0 };
        (at, format!("jq knows no `{name}` here"))
    })
}

/// The parser goes as deep as the brackets do.
fn check_shape(program: &str) -> Result<(), (usize, String)> {
    if program.len() > LONGEST {
        return Err((0, format!("a program has at most {LONGEST} bytes")));
    }
    let mut depth = 0_usize;
    for (at, byte) in program.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err((at, format!("brackets stand at most {DEEPEST} deep")));
        }
    }
    Ok(())
}
