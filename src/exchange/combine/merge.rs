//! The values of parts in one.

use crate::value::json::Json;
use std::collections::HashMap;

/// An object that has each value under its name.
pub fn named<'a>(values: impl Iterator<Item = (&'a str, Json)>) -> Json {
    Json::Object(values.map(|(name, value)| (name.into(), value)).collect())
}

/// One object of the members of all, each in the place of the first of its name, with the value of the last. What is no
/// object stands under its own name.
pub fn root<'a>(values: impl Iterator<Item = (&'a str, Json)>) -> Json {
    let mut members: Vec<(Box<str>, Json)> = Vec::new();
    // Objects may have a million members: each is found by its name.
    let mut places: HashMap<Box<str>, usize> = HashMap::new();
    let mut put = |name: Box<str>, value: Json| match places.get(&name) {
        Some(at) => {
            if let Some((_, old)) = members.get_mut(*at) {
                *old = value;
            }
        }
        None => {
            places.insert(name.clone(), members.len());
            members.push((name, value));
        }
    };
    for (name, value) in values {
        match value {
            Json::Object(own) => own.into_iter().for_each(|(name, value)| put(name, value)),
            value => put(name.into(), value),
        }
    }
    Json::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    /// What `root` says in other words: a map that keeps the place of a name and takes the last value for it.
    fn model(values: &[(String, Value)]) -> Value {
        let mut all = Map::new();
        for (name, value) in values {
            match value {
                Value::Object(own) => all.extend(own.clone()),
                value => drop(all.insert(name.clone(), value.clone())),
            }
        }
        Value::Object(all)
    }

    fn values() -> impl Strategy<Value = Vec<(String, Value)>> {
        let scalar =
            prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        let object = prop::collection::vec(("[a-e]", scalar.clone()), 0..6)
            .prop_map(|members| Value::Object(members.into_iter().collect()));
        let value = prop_oneof![object, scalar.clone(), prop::collection::vec(scalar, 0..3).prop_map(Value::from)];
        prop::collection::vec(("[a-e]", value), 0..6)
    }

    fn parts(values: &[(String, Value)]) -> impl Iterator<Item = (&str, Json)> {
        values.iter().map(|(name, value)| (name.as_str(), Json::from(value)))
    }

    proptest! {
        #[test]
        fn members_of_all_make_what_the_model_makes(values in values()) {
            let made = root(parts(&values)).to_vec();
            prop_assert_eq!(String::from_utf8(made).unwrap(), model(&values).to_string());
        }

        #[test]
        fn each_stands_under_its_name(mut values in values()) {
            let mut seen = std::collections::HashSet::new();
            values.retain(|(name, _)| seen.insert(name.clone())); // no two parts have one name
            let made: Value = serde_json::from_slice(&named(parts(&values)).to_vec()).unwrap();
            prop_assert_eq!(made, Value::Object(values.into_iter().collect()));
        }
    }

    #[test]
    fn a_hundred_thousand_members_are_merged_at_once() {
        let object =
            |from: usize| Json::Object((from..from + 100_000).map(|at| (at.to_string().into(), Json::Null)).collect());
        let began = std::time::Instant::now();
        let Json::Object(all) = root([("a", object(0)), ("b", object(50_000))].into_iter()) else {
            panic!("no object")
        };
        assert_eq!(all.len(), 150_000);
        assert!(began.elapsed().as_secs() < 20, "{:?}: looked through all for each", began.elapsed());
    }
}
