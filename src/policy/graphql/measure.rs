//! How much an operation asks for.
//!
//! A field costs 1; it and everything beneath it counts as often as its list may have entries, which an argument named
//! `first`, `last` or `limit` says, also inside of an input object. Each fragment is measured once, whoever spreads it, so
//! that fragments that spread fragments take no more time than they have tokens; sums stop at the largest number.

use super::document::{Document, Operation, Selection, Value};
use super::refused::Refused;
use crate::value::json::Json;
use std::collections::HashMap;

/// How deep fields and fragments may stand in one another once fragments are in their places: the stack holds it.
const DEEPEST: u32 = 512;

/// How much something asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Fields one beneath the other.
    pub depth: u64,
    /// Fields that go by another name.
    pub aliases: u64,
    /// The cost.
    pub cost: u64,
}

impl Measure {
    /// Both, beside each other.
    pub fn beside(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            aliases: self.aliases.saturating_add(other.aliases),
            cost: self.cost.saturating_add(other.cost),
        }
    }
}

/// What list sizes are known by.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// The names of arguments that say how many entries a list may have.
    pub names: &'a [Box<str>],
    /// What stands for a size that cannot be told from the request.
    pub unknown: u64,
    /// The variables that came with the request; an object or `null`.
    pub variables: &'a Json,
}

/// Measures an operation of a document.
///
/// # Errors
/// A fragment spreads itself, or is not there.
pub fn measure(document: &Document<'_>, operation: &Operation<'_>, sizes: Sizes<'_>) -> Result<Measure, Refused> {
    let fragments = document.fragments.iter().map(|(name, selections)| (*name, (&**selections, State::New))).collect();
    let mut measuring = Measuring { fragments, defaults: &operation.defaults, sizes, nest: 0 };
    // Those that are not spread from here too: what a cycle does to its reader does not hang on that.
    for (name, _) in &document.fragments {
        measuring.fragment(name)?;
    }
    measuring.all(&operation.selections)
}

#[derive(Clone, Copy)]
enum State {
    New,
    Begun,
    Known(Measure),
}

struct Measuring<'a, 't> {
    fragments: HashMap<&'t str, (&'a [Selection<'t>], State)>,
    defaults: &'a [(&'t str, Value<'t>)],
    sizes: Sizes<'a>,
    nest: u32,
}

impl<'t> Measuring<'_, 't> {
    fn all(&mut self, selections: &[Selection<'t>]) -> Result<Measure, Refused> {
        self.nest += 1;
        if self.nest > DEEPEST {
            return Err(Refused::limit("nesting", None, DEEPEST.into()));
        }
        let mut sum = Measure::default();
        for selection in selections {
            sum = sum.beside(self.one(selection)?);
        }
        self.nest -= 1;
        Ok(sum)
    }

    fn one(&mut self, selection: &Selection<'t>) -> Result<Measure, Refused> {
        match selection {
            Selection::Spread(name) => self.fragment(name),
            Selection::Inline(selections) => self.all(selections),
            Selection::Field { aliased, arguments, selections } => {
                let beneath = self.all(selections)?;
                let times = arguments.iter().map(|(name, value)| self.size(name, value)).max().unwrap_or(1);
                Ok(Measure {
                    depth: beneath.depth.saturating_add(1),
                    aliases: beneath.aliases.saturating_add(u64::from(*aliased)),
                    cost: beneath.cost.saturating_add(1).saturating_mul(times),
                })
            }
        }
    }

    fn fragment(&mut self, name: &str) -> Result<Measure, Refused> {
        let Some((selections, state)) = self.fragments.get_mut(name) else {
            return Err(Refused::bad("a fragment is spread that is not there"));
        };
        let selections = match state {
            State::Known(measure) => return Ok(*measure),
            State::Begun => return Err(Refused::bad("a fragment spreads itself")),
            State::New => *selections,
        };
        *state = State::Begun;
        let measure = self.all(selections)?;
        if let Some((_, state)) = self.fragments.get_mut(name) {
            *state = State::Known(measure);
        }
        Ok(measure)
    }

    fn says_size(&self, name: &str) -> bool {
        self.sizes.names.iter().any(|own| **own == *name)
    }

    /// How many entries a list may have, for all that an argument says; 1 where it says nothing of that.
    fn size(&self, name: &str, value: &Value<'t>) -> u64 {
        let counts = self.says_size(name);
        match value {
            Value::Int(digits) if counts => self.entries(digits),
            Value::Int(_) => 1,
            Value::Null | Value::Other | Value::List(_) if counts => self.sizes.unknown,
            Value::Null | Value::Other => 1,
            Value::Variable(variable) => match self.sizes.variables.member(variable) {
                Some(value) => self.of_variable(counts, value),
                // A default holds no variables (§2.10), so this goes no deeper.
                None => match self.defaults.iter().find(|(own, _)| own == variable) {
                    Some((_, Value::Variable(_))) | None if counts => self.sizes.unknown,
                    Some((_, Value::Variable(_))) | None => 1,
                    Some((_, default)) => self.size(name, default),
                },
            },
            Value::Object(members) => self.largest(members.iter().map(|(name, value)| self.size(name, value)), counts),
            Value::List(items) => items.iter().map(|item| self.size("", item)).max().unwrap_or(1),
        }
    }

    /// So many entries; some services take 0 and less for no bound, so that the size is not known.
    fn entries(&self, digits: &str) -> u64 {
        match number(digits) {
            0 => self.sizes.unknown,
            number => number,
        }
    }

    fn of_variable(&self, counts: bool, value: &Json) -> u64 {
        match value {
            Json::Number(digits) if counts => self.entries(digits),
            Json::Object(members) => {
                let sizes = members.iter().map(|(name, value)| self.of_variable(self.says_size(name), value));
                self.largest(sizes, counts)
            }
            Json::Array(items) if !counts => items.iter().map(|item| self.of_variable(false, item)).max().unwrap_or(1),
            _ if counts => self.sizes.unknown,
            _ => 1,
        }
    }

    fn largest(&self, sizes: impl Iterator<Item = u64>, counts: bool) -> u64 {
        sizes.max().unwrap_or(1).max(if counts { self.sizes.unknown } else { 1 })
    }
}

/// A number as it is written in a query or in JSON, rounded up; what is too large to be counted is as much as can be.
fn number(digits: &str) -> u64 {
    // The cast saturates and takes what is negative for 0: 1e3 is 1000.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float's cast saturates")]
    let float = || digits.parse::<f64>().map_or(0, |number| number.ceil() as u64);
    digits.parse().unwrap_or_else(|_| float())
}
