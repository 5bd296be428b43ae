//! Changes to JSON by pointer (RFC 6901), in which `*` stands for every member or element and `-` for the place behind a
//! list's last.

use super::json::{Json, Unfit, escaped, plain};
use crate::value::json::{Pointer, index};
use std::borrow::Cow;

/// Whether a pointer may stand for several places.
pub fn is_many(pointer: &Pointer) -> bool {
    pointer.steps().iter().any(|token| **token == *"*")
}

/// The member of that name. Two of one name are refused: which of them counts is not plain.
fn member(members: &[(Cow<'_, str>, Json<'_>)], name: &str) -> Result<Option<usize>, Unfit> {
    let mut found = members.iter().enumerate().filter(|(_, (known, _))| plain(known) == name).map(|(at, _)| at);
    let first = found.next();
    if found.next().is_some() { Err(Unfit("a name stands twice in one object")) } else { Ok(first) }
}

/// JSON that is being changed: a tree as far as anything has looked into it.
pub struct Document<'a> {
    /// The whole of it.
    pub root: Json<'a>,
    /// How many values of its text the tree holds.
    values: usize,
}

impl<'a> Document<'a> {
    /// Begins with a value.
    pub fn new(root: Json<'a>) -> Self {
        Self { root, values: 0 }
    }
}

/// Calls `change` with the value that holds each place a pointer stands for, and the last token of it.
fn at_each<'a>(
    (value, values): (&mut Json<'a>, &mut usize),
    path: &[Box<str>],
    change: &mut dyn FnMut(&mut Json<'a>, &str) -> Result<(), Unfit>,
) -> Result<(), Unfit> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let value = value.opened(values)?;
    if rest.is_empty() {
        return change(value, first);
    }
    match value {
        Json::Object(members) if **first == *"*" => {
            members.iter_mut().try_for_each(|(_, value)| at_each((value, values), rest, change))
        }
        Json::List(list) if **first == *"*" => {
            list.iter_mut().try_for_each(|value| at_each((value, values), rest, change))
        }
        Json::Object(members) => match member(members, first)?.and_then(|at| members.get_mut(at)) {
            Some((_, value)) => at_each((value, values), rest, change),
            None => Ok(()),
        },
        Json::List(list) => match index(first).and_then(|at| list.get_mut(at)) {
            Some(value) => at_each((value, values), rest, change),
            None => Ok(()),
        },
        Json::Scalar(_) => Ok(()),
    }
}

/// Takes out what a pointer stands for; what is not there is no fault.
///
/// # Errors
/// A name on the way stands twice.
pub fn remove<'a>(whole: &mut Document<'a>, pointer: &Pointer) -> Result<Option<Json<'a>>, Unfit> {
    let mut taken = None;
    at_each((&mut whole.root, &mut whole.values), pointer.steps(), &mut |holder, last| {
        match holder {
            Json::Object(members) if last == "*" => members.clear(),
            Json::List(list) if last == "*" => list.clear(),
            Json::Object(members) => {
                if let Some(at) = member(members, last)? {
                    taken = Some(members.remove(at).1);
                }
            }
            Json::List(list) => {
                if let Some(at) = index(last).filter(|at| *at < list.len()) {
                    taken = Some(list.remove(at));
                }
            }
            Json::Scalar(_) => {}
        }
        Ok(())
    })?;
    Ok(taken)
}

/// Gives members another name, in place; a member that has that name already goes.
///
/// # Errors
/// A name on the way stands twice.
pub fn rename(whole: &mut Document<'_>, pointer: &Pointer, name: &str) -> Result<(), Unfit> {
    at_each((&mut whole.root, &mut whole.values), pointer.steps(), &mut |holder, last| {
        if let Json::Object(members) = holder
            && last != name
            && let Some(at) = member(members, last)?
        {
            if let Some((known, _)) = members.get_mut(at) {
                *known = escaped(name).into();
            }
            let mut number = 0;
            members.retain(|(known, _)| {
                number += 1;
                number == at + 1 || plain(known) != name
            });
        }
        Ok(())
    })
}

/// Puts a value where a pointer stands, in the place of what is there; objects on the way are made.
///
/// # Errors
/// A name on the way stands twice, or the place lies within what is no object or list.
pub fn set<'a>(whole: &mut Document<'a>, pointer: &Pointer, value: &Json<'a>) -> Result<(), Unfit> {
    put((&mut whole.root, &mut whole.values), pointer.steps(), value)
}

fn put<'a>((place, values): (&mut Json<'a>, &mut usize), path: &[Box<str>], value: &Json<'a>) -> Result<(), Unfit> {
    let Some((first, rest)) = path.split_first() else {
        *place = value.clone();
        return Ok(());
    };
    match place.opened(values)? {
        Json::Object(members) if **first == *"*" => {
            members.iter_mut().try_for_each(|(_, inner)| put((inner, values), rest, value))
        }
        Json::List(list) if **first == *"*" => list.iter_mut().try_for_each(|inner| put((inner, values), rest, value)),
        Json::Object(members) => {
            let at = match member(members, first)? {
                Some(at) => at,
                None => {
                    members.push((escaped(first).into(), Json::Object(Vec::new())));
                    members.len() - 1
                }
            };
            members.get_mut(at).map_or(Ok(()), |(_, inner)| put((inner, values), rest, value))
        }
        Json::List(list) => {
            if **first == *"-" || index(first) == Some(list.len()) {
                list.push(Json::Object(Vec::new()));
            }
            let at = if **first == *"-" { Some(list.len() - 1) } else { index(first) };
            match at.and_then(|at| list.get_mut(at)) {
                Some(inner) => put((inner, values), rest, value),
                None => Err(Unfit("a list has no such element")),
            }
        }
        Json::Scalar(_) => Err(Unfit("something is to be set within what is no object")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// What a change makes of a text, whether it was taken apart before or is on the way.
    fn after(text: &str, change: impl for<'a> Fn(&mut Document<'a>) -> Result<(), Unfit>) -> Result<String, Unfit> {
        let [parsed, read] = [Json::parse(text), Json::read(text)].map(|root| {
            let mut whole = Document::new(root.unwrap());
            change(&mut whole)?;
            let mut out = String::new();
            whole.root.write(&mut out, usize::MAX).map(|()| out)
        });
        assert_eq!(parsed, read, "{text}");
        parsed
    }

    #[test]
    fn pointers_as_the_rfc_writes_them() {
        for (text, steps) in [("/a~1b/m~0n/0", &["a/b", "m~n", "0"][..]), ("/", &[""])] {
            assert!(pointer(text).steps().iter().map(|step| &**step).eq(steps.iter().copied()), "{text}");
        }
        for bad in ["a", "a/b", "/~", "/a~2", "#/a"] {
            assert!(Pointer::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_set_takes_its_place_and_the_rest_stays() {
        for (text, at, expected) in [
            (r#"{"a":1.0,"b":2}"#, "/a", Ok(r#"{"a":9,"b":2}"#)),
            (r#"{"a":1}"#, "/c/d", Ok(r#"{"a":1,"c":{"d":9}}"#)),
            (r#"{"a":[1,2]}"#, "/a/0", Ok(r#"{"a":[9,2]}"#)),
            (r#"{"a":[1,2]}"#, "/a/-", Ok(r#"{"a":[1,2,9]}"#)),
            (r#"{"a":[1,2]}"#, "/a/2/x", Ok(r#"{"a":[1,2,{"x":9}]}"#)),
            (r#"{"a":[{"x":1},{}]}"#, "/a/*/x", Ok(r#"{"a":[{"x":9},{"x":9}]}"#)),
            (r#"{"a":1}"#, "", Ok("9")),
            (r#"{"\u0061":1}"#, "/a", Ok(r#"{"\u0061":9}"#)),
            (r#"{"a":1}"#, "/q\"/x", Ok(r#"{"a":1,"q\"":{"x":9}}"#)),
            (r#"{"a":[1]}"#, "/a/7", Err("a list has no such element")),
            (r#"{"a":[1]}"#, "/a/00", Err("a list has no such element")),
            (r#"{"a":1}"#, "/a/b", Err("something is to be set within what is no object")),
            (r#"{"a":1,"a":2}"#, "/a", Err("a name stands twice in one object")),
            (r#"{"a":1,"\u0061":2}"#, "/a/b", Err("a name stands twice in one object")),
        ] {
            let value = Json::Scalar("9".into());
            let found = after(text, |whole| set(whole, &pointer(at), &value));
            assert_eq!(found.as_deref().map_err(|unfit| unfit.0), expected, "{text} {at}");
        }
    }

    #[test]
    fn what_is_removed_or_renamed_need_not_be_there() {
        for (text, at, expected) in [
            (r#"{"a":1,"b":2}"#, "/a", r#"{"b":2}"#),
            (r#"{"a":1}"#, "/x/y", r#"{"a":1}"#),
            (r#"{"a":[1,2,3]}"#, "/a/1", r#"{"a":[1,3]}"#),
            (r#"{"a":[{"s":1,"t":2},{"s":3}]}"#, "/a/*/s", r#"{"a":[{"t":2},{}]}"#),
            (r#"{"a":{"b":1}}"#, "/a/*", r#"{"a":{}}"#),
        ] {
            let found = after(text, |whole| remove(whole, &pointer(at)).map(drop));
            assert_eq!(found.as_deref(), Ok(expected), "{text} {at}");
        }
        assert!(after(r#"{"a":1,"a":2}"#, |whole| remove(whole, &pointer("/a")).map(drop)).is_err());
        for (text, at, name, expected) in [
            (r#"{"a":1,"b":2,"c":3}"#, "/b", "x", r#"{"a":1,"x":2,"c":3}"#),
            (r#"{"a":1,"b":2,"c":3}"#, "/b", "c", r#"{"a":1,"c":2}"#),
            (r#"{"a":1,"b":2,"c":3}"#, "/b", "a", r#"{"a":2,"c":3}"#),
            (r#"[{"a":1},{"a":2},{}]"#, "/*/a", "b", r#"[{"b":1},{"b":2},{}]"#),
            (r#"{"a":1}"#, "/z", "b", r#"{"a":1}"#),
            (r#"{"a":1}"#, "/a", "a", r#"{"a":1}"#),
        ] {
            let found = after(text, |whole| rename(whole, &pointer(at), name));
            assert_eq!(found.as_deref(), Ok(expected), "{text} {at}");
        }
    }
}
