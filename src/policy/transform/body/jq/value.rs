//! Values of programs, and the JSON they are made of and become.

use crate::policy::transform::body::json::{DEEPEST, Json, Unfit, plain, quoted};
use jaq_core::ValT as _;
use jaq_json::{Num, Rc, Val};
use std::fmt::Write as _;

/// Whole numbers of more digits than this are kept as they are written, and calculated with as if they were not whole.
const DIGITS: usize = 1_000;

const TWICE: Unfit = Unfit("a name stands twice in one object");

/// A value as programs have it. Whole numbers are kept to the last digit; others too, until they are calculated with.
///
/// # Errors
/// A name stands twice in an object.
pub fn read(json: &Json<'_>) -> Result<Val, Unfit> {
    Ok(match json {
        Json::Scalar(text) => scalar(text),
        Json::List(items) => items.iter().map(read).collect::<Result<Vec<Val>, Unfit>>()?.into_iter().collect(),
        Json::Object(members) => {
            let made: Result<Vec<(Val, Val)>, Unfit> =
                members.iter().map(|(name, value)| Ok((text(&plain(name)), read(value)?))).collect();
            let object = Val::from_map(made?).map_err(|_| TWICE)?;
            match &object {
                Val::Obj(map) if map.len() == members.len() => object,
                _ => return Err(TWICE),
            }
        }
    })
}

/// A text as a value.
pub fn text(text: &str) -> Val {
    Val::from(text.to_owned())
}

fn scalar(written: &str) -> Val {
    match written.as_bytes() {
        b"null" => Val::Null,
        b"true" => Val::Bool(true),
        b"false" => Val::Bool(false),
        [b'"', ..] => text(&plain(written.get(1..written.len().saturating_sub(1)).unwrap_or_default())),
        _ => {
            let whole = written.len() <= DIGITS && written != "-0";
            let number = whole.then(|| Num::from_str_radix(written, 10)).flatten();
            Val::Num(number.unwrap_or_else(|| Num::Dec(Rc::new(written.to_owned()))))
        }
    }
}

/// Writes a value as JSON. What is no number of JSON is null.
///
/// # Errors
/// It is too large, goes too deep, or is nothing that JSON has.
pub fn write(value: &Val, out: &mut String, (depth, most): (usize, usize)) -> Result<(), Unfit> {
    const NONE: Unfit = Unfit("the program of this route makes something that is not JSON");
    if depth > DEEPEST {
        return Err(Unfit("the program of this route makes something that goes too deep"));
    }
    let text = |bytes: &[u8]| Ok(quoted(std::str::from_utf8(bytes).map_err(|_| NONE)?));
    match value {
        Val::Null => out.push_str("null"),
        Val::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Val::Num(Num::Float(number)) if !number.is_finite() => out.push_str("null"),
        Val::Num(number) => drop(write!(out, "{number}")),
        Val::TStr(bytes) => out.push_str(&text(bytes)?),
        Val::BStr(_) => return Err(NONE),
        Val::Arr(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number > 0 { "," } else { "" });
                write(item, out, (depth + 1, most))?;
            }
            out.push(']');
        }
        Val::Obj(members) => {
            out.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                let Val::TStr(name) = name else { return Err(NONE) };
                out.push_str(if number > 0 { "," } else { "" });
                out.push_str(&text(name)?);
                out.push(':');
                write(value, out, (depth + 1, most))?;
            }
            out.push('}');
        }
    }
    if out.len() > most { Err(Unfit("it becomes too large")) } else { Ok(()) }
}
