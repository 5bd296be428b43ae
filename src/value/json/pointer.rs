//! A place within a JSON value: a JSON Pointer (RFC 6901), or the same with dots.

use super::Json;
use std::fmt;

/// The way to a value: names of members and numbers of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pointer {
    steps: Box<[Box<str>]>,
}

impl Pointer {
    /// From `/a/0/b`; the empty text is the whole value.
    ///
    /// # Errors
    /// What neither is empty nor begins with `/`, and a `~` that is neither `~0` nor `~1` (RFC 6901 §3).
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = text.strip_prefix('/') else { return Err("a JSON Pointer begins with `/`") };
        rest.split('/').map(step).collect::<Result<_, _>>().map(|steps| Self { steps })
    }

    /// From `a.0.b`: names without dots in them.
    ///
    /// # Errors
    /// An empty name.
    pub fn dotted(text: &str) -> Result<Self, &'static str> {
        if text.split('.').any(str::is_empty) {
            return Err("a name between two dots is empty");
        }
        Ok(Self { steps: text.split('.').map(Box::from).collect() })
    }

    /// Names and numbers, outermost first.
    pub fn steps(&self) -> &[Box<str>] {
        &self.steps
    }

    /// Whether it is the whole value.
    pub fn is_whole(&self) -> bool {
        self.steps.is_empty()
    }

    /// The value there.
    pub fn of<'a>(&self, root: &'a Json) -> Option<&'a Json> {
        self.steps.iter().try_fold(root, |value, step| match value {
            Json::Object(_) => value.member(step),
            Json::Array(items) => items.get(index(step)?),
            _ => None,
        })
    }

    /// Takes the value there out.
    pub fn take(&self, root: &mut Json) -> Option<Json> {
        let Some((last, way)) = self.steps.split_last() else { return Some(std::mem::take(root)) };
        let holder = way.iter().try_fold(root, |value, step| child(value, step))?;
        match holder {
            Json::Object(_) => holder.take(last),
            Json::Array(items) => {
                let at = index(last).filter(|at| *at < items.len())?;
                Some(items.remove(at))
            }
            _ => None,
        }
    }
}

fn child<'a>(value: &'a mut Json, step: &str) -> Option<&'a mut Json> {
    match value {
        Json::Object(members) => members.iter_mut().find(|(name, _)| **name == *step).map(|(_, value)| value),
        Json::Array(items) => items.get_mut(index(step)?),
        _ => None,
    }
}

/// The number of an item that a step is: no sign, no leading zero (RFC 6901 §4).
pub fn index(step: &str) -> Option<usize> {
    let plain = step == "0" || (!step.starts_with('0') && step.bytes().all(|byte| byte.is_ascii_digit()));
    step.parse().ok().filter(|_| plain)
}

fn step(raw: &str) -> Result<Box<str>, &'static str> {
    let mut parts = raw.split('~');
    let mut out = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (sign, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', part.get(1..)),
            Some(b'1') => ('/', part.get(1..)),
            _ => return Err("a `~` is written `~0` and a `/` in a name `~1`"),
        };
        out.push(sign);
        out.push_str(rest.unwrap_or_default());
    }
    Ok(out.into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| write!(f, "/{}", step.replace('~', "~0").replace('/', "~1")))
    }
}
