//! The filters that programs may call, and what counts their steps.

use super::guard::{DEEP, SHORT, STEP, TIMES, WEIGH};
use super::value;
use crate::policy::transform::body::json::Json;
use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Cv, DataT, Error, Exn, Lut, Native, ValR};
use jaq_json::{Num, Val};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Instant;

/// Values in a program may stand in values this deep.
const DEEPEST: usize = 256;
/// The longest text that is split, searched, or taken apart, in bytes.
const SHORT_TEXT: usize = 64 * 1024;
/// The longest number, in bits.
const LONGEST_NUMBER: u64 = 16 * 1024;
/// How much of its stack a program may use, in bytes, of the 2 MiB that threads have.
const STACK: usize = 768 * 1024;

/// Filters of the library that read what is no request's, write to the log, or end the process.
const LEFT_OUT: [&str; 6] = ["env", "halt", "debug_empty", "stderr_empty", "range", "fromjson"];

/// Why a program was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It took too long, or too many steps.
    Late,
    /// What it made was too much.
    Large,
    /// It, or what it made, went too deep.
    Deep,
}

/// What one run of a program may still use.
pub struct Meter {
    steps: Cell<u64>,
    weight: Cell<u64>,
    until: Instant,
    /// Where the stack stood when it began.
    floor: usize,
    /// Weights of large values, by where they are: one that grows in its place counts once.
    large: RefCell<HashMap<usize, u64>>,
    ended: Cell<Option<Ended>>,
}

impl Meter {
    /// A meter for that many steps and bytes, until then.
    pub fn new(steps: u64, weight: u64, until: Instant) -> Self {
        Self {
            steps: Cell::new(steps),
            weight: Cell::new(weight),
            until,
            floor: here(),
            large: RefCell::default(),
            ended: Cell::new(None),
        }
    }

    /// Why the program was ended, if it was.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    fn end(&self, why: Ended) -> Result<(), ()> {
        self.ended.set(self.ended.get().or(Some(why)));
        Err(())
    }

    fn step(&self) -> Result<(), ()> {
        self.steps(1)
    }

    fn steps(&self, count: u64) -> Result<(), ()> {
        if self.ended.get().is_some() {
            return Err(());
        }
        let left = self.steps.get();
        self.steps.set(left.saturating_sub(count));
        if left < count || ((left / 256) != (left - count) / 256 && Instant::now() >= self.until) {
            return self.end(Ended::Late);
        }
        if here().abs_diff(self.floor) > STACK { self.end(Ended::Deep) } else { Ok(()) }
    }

    /// Counts what a value takes beside the values in it.
    fn weigh(&self, value: &Val) -> Result<(), ()> {
        self.step()?;
        let (weight, at) = match value {
            Val::Null | Val::Bool(_) | Val::Num(Num::Int(_) | Num::Float(_)) => return Ok(()),
            Val::Num(Num::BigInt(number)) if number.bits() > LONGEST_NUMBER => return self.end(Ended::Large),
            Val::Num(Num::BigInt(_)) => (LONGEST_NUMBER / 8, 0),
            Val::Num(Num::Dec(text)) => (text.len(), 0).into_weight(),
            Val::BStr(bytes) | Val::TStr(bytes) => (bytes.len() + 64, bytes.as_ptr() as usize).into_weight(),
            Val::Arr(items) => (items.len() * 64 + 64, std::ptr::from_ref(&**items) as usize).into_weight(),
            Val::Obj(members) => (members.len() * 128 + 128, std::ptr::from_ref(&**members) as usize).into_weight(),
        };
        let before = match weight {
            0..4096 => 0,
            _ => self.large.borrow_mut().insert(at, weight).unwrap_or(0),
        };
        let left = (self.weight.get() + before).checked_sub(weight);
        self.weight.set(left.unwrap_or(0));
        left.map_or_else(|| self.end(Ended::Large), |_| Ok(()))
    }

    fn deep(&self, value: &Val) -> Result<(), ()> {
        self.weigh(value)?;
        let mut seen = 0;
        if depth(value, 0, &mut seen) { self.steps(seen / 8) } else { self.end(Ended::Deep) }
    }
}

trait IntoWeight {
    fn into_weight(self) -> (u64, usize);
}

impl IntoWeight for (usize, usize) {
    fn into_weight(self) -> (u64, usize) {
        (self.0 as u64, self.1)
    }
}

/// Whether a value goes no deeper than may be; counts what is in it.
fn depth(value: &Val, at: usize, seen: &mut u64) -> bool {
    *seen += 1;
    match value {
        Val::Arr(_) | Val::Obj(_) if at >= DEEPEST => false,
        Val::Arr(items) => items.iter().all(|item| depth(item, at + 1, seen)),
        Val::Obj(members) => {
            members.iter().all(|(name, value)| depth(name, at + 1, seen) && depth(value, at + 1, seen))
        }
        _ => true,
    }
}

/// Where the stack stands.
#[inline(never)]
fn here() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&marker)) as usize
}

/// What programs are run with.
pub struct Kind;

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

/// The program and its meter.
#[derive(Clone, Copy)]
pub struct Data<'a> {
    /// The program.
    pub lut: &'a Lut<Kind>,
    /// What it may still use.
    pub meter: &'a Meter,
}

impl<'a> HasLut<'a, Kind> for Data<'a> {
    fn lut(&self) -> &'a Lut<Kind> {
        self.lut
    }
}

/// A filter that passes its input on where `check` lets it, as a value, as a path, and in an update.
macro_rules! gate {
    ($name:expr, $check:expr) => {{
        const CHECK: fn(&Meter, &Val) -> Result<(), ()> = $check;
        let native = Native::<Kind>::new(|cv| {
            let checked = CHECK(cv.0.data().meter, &cv.1);
            box_once(checked.map(|()| cv.1).map_err(|()| Exn::halt(1)))
        });
        let native = native.with_paths(|cv| {
            let checked = CHECK(cv.0.data().meter, &cv.1.0);
            box_once(checked.map(|()| cv.1).map_err(|()| Exn::halt(1)))
        });
        let native = native.with_update(|cv, update| match CHECK(cv.0.data().meter, &cv.1) {
            Ok(()) => update(cv.1),
            Err(()) => box_once(Err(Exn::halt(1))),
        });
        ($name, v(0), native)
    }};
}

fn is_short(meter: &Meter, value: &Val) -> Result<(), ()> {
    match value {
        Val::BStr(bytes) | Val::TStr(bytes) if bytes.len() > SHORT_TEXT => meter.end(Ended::Large),
        _ => meter.step(),
    }
}

/// A product; a text is repeated within bounds.
fn times(meter: &Meter, left: Val, right: Val) -> Result<ValR<Val>, ()> {
    if let (Val::BStr(text) | Val::TStr(text), Val::Num(times)) | (Val::Num(times), Val::BStr(text) | Val::TStr(text)) =
        (&left, &right)
    {
        let count = match times {
            Num::Int(times) => u64::try_from(*times).unwrap_or(0),
            Num::BigInt(_) => u64::MAX,
            Num::Float(_) | Num::Dec(_) => 0, // a text is repeated whole times
        };
        if (text.len() as u64).saturating_mul(count) > meter.weight.get() {
            meter.end(Ended::Large)?;
        }
    }
    Ok(left * right)
}

/// All filters that are no definitions.
pub fn natives() -> Vec<Fun<Kind>> {
    let library = jaq_core::funs::<Kind>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let mut all: Vec<Fun<Kind>> = library.filter(|(name, _, _)| !LEFT_OUT.contains(name)).collect();
    all.push(gate!(STEP, |meter, _| meter.step()));
    all.push(gate!(WEIGH, Meter::weigh));
    all.push(gate!(DEEP, Meter::deep));
    all.push(gate!(SHORT, is_short));
    all.push(run((TIMES, v(2), |mut cv: Cv<'_, Kind>| {
        let (right, left) = (cv.0.pop_var(), cv.0.pop_var());
        match times(cv.0.data().meter, left, right) {
            Ok(product) => bome(product),
            Err(()) => box_once(Err(Exn::halt(1))),
        }
    })));
    all.push(run(("halt", v(1), |cv: Cv<'_, Kind>| bome(Err(Error::new(cv.1))))));
    all.push(run(("fromjson", v(0), |cv: Cv<'_, Kind>| bome(from_json(&cv.1)))));
    all.push(run(("debug_empty", v(0), |_| Box::new(std::iter::empty()))));
    all.push(run(("stderr_empty", v(0), |_| Box::new(std::iter::empty()))));
    all.push(run(("range", v(3), |mut cv: Cv<'_, Kind>| {
        let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
        Box::new(range(*cv.0.data(), from, to, by))
    })));
    all
}

/// The library's own reader goes as deep as its text does.
fn from_json(text: &Val) -> ValR<Val> {
    let fails = || Error::str("this is not JSON");
    let bytes = text.try_as_utf8_bytes_owned()?;
    let text = std::str::from_utf8(&bytes).map_err(|_| fails())?;
    Json::parse(text).ok().and_then(|json| value::read(&json).ok()).ok_or_else(fails)
}

/// Numbers from one to another, each a step.
fn range<'a>(data: Data<'a>, from: Val, to: Val, by: Val) -> impl Iterator<Item = Result<Val, Exn<'a, Val>>> {
    let mut next = Some(from);
    let zero = Val::from(0_isize);
    std::iter::from_fn(move || {
        let own = next.take()?;
        let goes_on = match by.cmp(&zero) {
            std::cmp::Ordering::Greater => own < to,
            std::cmp::Ordering::Less => own > to,
            std::cmp::Ordering::Equal => own != to,
        };
        if !goes_on {
            return None;
        }
        if data.meter.step().is_err() {
            return Some(Err(Exn::halt(1)));
        }
        match own.clone() + by.clone() {
            Ok(following) => next = Some(following),
            Err(error) => return Some(Err(error.into())),
        }
        Some(Ok(own))
    })
}
