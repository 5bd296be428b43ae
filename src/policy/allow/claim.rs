//! Comparisons with the claims of a token.

use serde_json::Value;
use std::fmt;

/// A claim and the values of which it must have one.
#[derive(Debug)]
pub struct Claim {
    path: Box<str>,
    any: Box<[Value]>,
}

impl Claim {
    /// That claim with one of these values, which are text, numbers or booleans.
    pub fn new(path: &str, any: Vec<Value>) -> Self {
        Self { path: path.into(), any: any.into() }
    }

    /// Its dotted path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the claim has one of the values, itself or in its list.
    pub fn holds(&self, claims: &Value) -> bool {
        match find(claims, &self.path) {
            Some(Value::Array(list)) => list.iter().any(|value| self.accepts(value)),
            Some(value) => self.accepts(value),
            None => false,
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        self.any.iter().any(|accepted| equal(accepted, value))
    }
}

/// The claim at a dotted path. A name may itself hold dots (`https://shop.example/roles`): the longest name that is there
/// wins at each level.
pub fn find<'a>(claims: &'a Value, path: &str) -> Option<&'a Value> {
    let object = claims.as_object()?;
    if let Some(whole) = object.get(path) {
        return Some(whole);
    }
    path.rmatch_indices('.').find_map(|(dot, _)| {
        let (name, rest) = path.split_at_checked(dot)?;
        find(object.get(name)?, rest.strip_prefix('.')?)
    })
}

/// Equal in type and value; numbers by what they amount to.
fn equal(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => {
            one == two || one.is_f64() != two.is_f64() && one.as_f64() == two.as_f64()
        }
        _ => one == two,
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "claim {}", self.path)?;
        for (position, value) in self.any.iter().enumerate() {
            write!(f, "{}{value}", if position == 0 { " = " } else { " or " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_compared_by_type_and_value() {
        let claims = json!({
            "role": "admin", "roles": ["reader", "writer", 7], "level": 7, "share": 7.0, "ok": true, "none": null,
            "tenant": { "id": "t1", "tags": ["a"], "deep": { "er": "x" } },
            "https://shop.example/roles": ["buyer"], "a.b": { "c": "long" }, "a": { "b": { "c": "short" } },
            "object": { "role": "admin" }, "lists": [["admin"]],
        });
        let cases = [
            ("role", json!("admin"), true),
            ("role", json!("Admin"), false),
            ("role", json!("adm"), false),
            ("roles", json!("writer"), true),
            ("roles", json!("write"), false),
            ("roles", json!(7), true),
            ("roles", json!("7"), false),
            ("level", json!(7), true),
            ("level", json!(7.0), true),
            ("level", json!("7"), false),
            ("share", json!(7), true),
            ("ok", json!(true), true),
            ("ok", json!("true"), false),
            ("none", json!("null"), false),
            ("tenant.id", json!("t1"), true),
            ("tenant.tags", json!("a"), true),
            ("tenant.deep.er", json!("x"), true),
            ("tenant.id.more", json!("t1"), false),
            ("tenant", json!("t1"), false),
            ("https://shop.example/roles", json!("buyer"), true),
            ("a.b.c", json!("long"), true),
            ("a.b.c", json!("short"), false),
            ("object", json!("admin"), false),
            ("lists", json!("admin"), false),
            ("missing", json!("x"), false),
            ("", json!("admin"), false),
            (".", json!("admin"), false),
        ];
        for (path, value, holds) in cases {
            assert_eq!(Claim::new(path, vec![json!("other"), value.clone()]).holds(&claims), holds, "{path} {value}");
        }
        assert!(!Claim::new("role", vec![json!("admin")]).holds(&Value::Null));
        assert!(!Claim::new("role", vec![json!("admin")]).holds(&json!(["role"])));
    }
}
