//! Forms (`application/x-www-form-urlencoded`) as JSON, and back.
//!
//! A form is an object of texts; a name that stands several times has a list. The other way, an object of scalars and lists
//! of scalars: `null` is left out, and what is deeper is refused.

use super::json::{Json, Unfit, escaped, plain};
use form_urlencoded::Serializer;
use std::collections::HashMap;

/// More pairs than this are nothing a form has.
const MOST: usize = 10_000;

/// Reads a form.
///
/// # Errors
/// It has too many pairs.
pub fn to_json(text: &str) -> Result<Json<'static>, Unfit> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut members: Vec<(std::borrow::Cow<'static, str>, Json<'static>)> = Vec::new();
    for (number, (name, value)) in form_urlencoded::parse(text.as_bytes()).enumerate() {
        if number >= MOST {
            return Err(Unfit("it has too many pairs"));
        }
        let value = Json::text(&value);
        match places.get(&*name).and_then(|at| members.get_mut(*at)) {
            Some((_, Json::List(list))) => list.push(value),
            Some((_, first)) => {
                let before = std::mem::replace(first, Json::null());
                *first = Json::List(vec![before, value]);
            }
            None => {
                members.push((escaped(&name).into(), value));
                places.insert(name.into_owned(), members.len() - 1);
            }
        }
    }
    Ok(Json::Object(members))
}

/// Writes a form.
///
/// # Errors
/// The value is no object, or holds what is no scalar.
pub fn from_json(value: &Json<'_>) -> Result<String, Unfit> {
    const DEEP: Unfit = Unfit("a form holds texts and lists of them only");
    let Json::Object(members) = value else { return Err(DEEP) };
    let mut form = Serializer::new(String::new());
    for (name, value) in members {
        let name = plain(name);
        let values = match value {
            Json::List(list) => list.as_slice(),
            single => std::slice::from_ref(single),
        };
        for value in values {
            match value {
                Json::Scalar(_) => drop(value.as_text().map(|text| form.append_pair(&name, &text))),
                Json::List(_) | Json::Object(_) => return Err(DEEP),
            }
        }
    }
    Ok(form.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (form, json) in [
            ("", "{}"),
            ("a=1&b=x+y%26z", r#"{"a":"1","b":"x y&z"}"#),
            ("a=1&b=2&a=3&a=", r#"{"a":["1","3",""],"b":"2"}"#),
            ("a", r#"{"a":""}"#),
        ] {
            let mut out = String::new();
            to_json(form).unwrap().write(&mut out, usize::MAX).unwrap();
            assert_eq!(out, json, "{form}");
        }
        for (json, form) in [
            (r#"{"a":1,"b":"x y&=","n":null,"c":[true,"z"]}"#, Ok("a=1&b=x+y%26%3D&c=true&c=z")),
            ("{}", Ok("")),
            ("[1]", Err(())),
            (r#"{"a":{"b":1}}"#, Err(())),
            (r#"{"a":[[1]]}"#, Err(())),
        ] {
            let found = from_json(&Json::parse(json).unwrap());
            assert_eq!(found.as_deref().map_err(|_| ()), form, "{json}");
        }
        assert!(to_json(&"a&".repeat(MOST + 1)).is_err());
    }
}
