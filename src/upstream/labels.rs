//! Labels of endpoints, and the subsets that are told by them.

use std::fmt;

/// Names with values, each name once, in the order of the names: those of an endpoint, or those that a subset asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// These; of a name that comes twice the last value stands.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs: std::collections::BTreeMap<&str, &str> = pairs.into_iter().collect();
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(own, _)| (**own).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    /// Whether all of these are among them, with the same values.
    pub fn has_all(&self, asked: &Labels) -> bool {
        asked.iter().all(|(name, value)| self.get(name) == Some(value))
    }
}

/// `version=v2, tier=fast`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subset_asks_for_values_by_name_whatever_the_order() {
        let own = Labels::new([("version", "v2"), ("tier", "fast"), ("empty", "")]);
        for (asked, has) in [
            (vec![], true),
            (vec![("version", "v2")], true),
            (vec![("version", "v2"), ("tier", "fast")], true),
            (vec![("empty", "")], true),
            (vec![("version", "v1")], false),
            (vec![("version", "v")], false),
            (vec![("Version", "v2")], false),
            (vec![("version", "v2"), ("tier", "slow")], false),
            (vec![("absent", "")], false),
        ] {
            assert_eq!(own.has_all(&Labels::new(asked.clone())), has, "{asked:?}");
        }
        assert_eq!(own.to_string(), "empty=, tier=fast, version=v2");
    }
}
