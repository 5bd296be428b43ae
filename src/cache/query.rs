//! The query in the form in which it is part of the key, and in which the upstream gets it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Which query parameters count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counting {
    /// All.
    All,
    /// Those of these names.
    Only(Box<[Box<str>]>),
}

impl Counting {
    /// The parameters that count, sorted by name; those of one name stay in their order, which may mean something.
    ///
    /// A parameter is what stands between two `&`. Where a service also divides at `;`, what it takes for two is one here,
    /// whole: it cannot hide a parameter from the key (RFC 3986 leaves both to the service). Names are compared decoded,
    /// values kept as they are written.
    pub fn canonical<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let query = query?;
        let pairs = || query.split('&').filter(|pair| !pair.is_empty());
        if matches!(self, Self::All) && !query.is_empty() {
            let in_order = pairs().map(name_of).is_sorted();
            if in_order && !query.contains("&&") && !query.starts_with('&') && !query.ends_with('&') {
                return Some(Cow::Borrowed(query));
            }
        }
        let mut kept: Vec<(Cow<'_, str>, &str)> =
            pairs().map(|pair| (name_of(pair), pair)).filter(|(name, _)| self.counts(name)).collect();
        kept.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut text = String::with_capacity(query.len());
        for (_, pair) in kept {
            let and = if text.is_empty() { "" } else { "&" };
            let _ = write!(text, "{and}{pair}");
        }
        (!text.is_empty()).then_some(Cow::Owned(text))
    }

    fn counts(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|counted| **counted == *name),
        }
    }
}

/// The name of a parameter, decoded (`application/x-www-form-urlencoded`).
fn name_of(pair: &str) -> Cow<'_, str> {
    let raw = pair.split('=').next().unwrap_or_default();
    if !raw.contains(['%', '+']) {
        return Cow::Borrowed(raw);
    }
    form_urlencoded::parse(raw.as_bytes()).next().map_or(Cow::Borrowed(raw), |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(query: &str) -> Option<String> {
        Counting::All.canonical(Some(query)).map(Cow::into_owned)
    }

    #[test]
    fn parameters_are_sorted_and_those_of_one_name_keep_their_order() {
        for (written, canonical) in [
            ("b=2&a=1", "a=1&b=2"),
            ("a=2&a=1", "a=2&a=1"),
            ("b&a=2&&a=1&", "a=2&a=1&b"),
            ("a=1&b=2", "a=1&b=2"),
            ("%62=2&a=1", "a=1&%62=2"),
        ] {
            assert_eq!(all(written).as_deref(), Some(canonical), "{written}");
        }
        assert_eq!((all(""), Counting::All.canonical(None)), (None, None));
    }

    #[test]
    fn a_parameter_cannot_hide_behind_another() {
        let only = Counting::Only(["a".into(), "page".into()].into());
        let of = |query| only.canonical(Some(query)).map(Cow::into_owned);
        assert_eq!(of("utm=1&a=1;page=2").as_deref(), Some("a=1;page=2"), "what `;` hides is part of the key");
        assert_eq!(of("utm=1&%70age=2").as_deref(), Some("%70age=2"));
        assert_eq!(of("utm=1&page[]=2"), None, "another name does not count, nor reach the upstream");
        assert_eq!(of("page=1&page=2").as_deref(), Some("page=1&page=2"));
    }
}
