//! What is wrong with a configuration, where, and what to write instead.

use super::Place;

/// Whether a problem refuses the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but is likely not what was meant.
    Warning,
}

impl Severity {
    /// The word used in messages and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it refuses the configuration.
    pub severity: Severity,
    /// Where it is, where that can be said.
    pub place: Option<Place>,
    /// What is wrong, in one line without a full stop. Never holds a secret.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// Other places that have to do with it, and what they are.
    pub related: Vec<(Place, String)>,
}

impl Problem {
    /// An error at `place` (a [`Place`], or `None`).
    pub fn error(place: impl Into<Option<Place>>, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Error, place.into(), message.into())
    }

    /// A warning at `place` (a [`Place`], or `None`).
    pub fn warning(place: impl Into<Option<Place>>, message: impl Into<String>) -> Problem {
        Problem::new(Severity::Warning, place.into(), message.into())
    }

    fn new(severity: Severity, place: Option<Place>, message: String) -> Problem {
        Problem { severity, place: place.filter(|place| place.is_known()), message, hint: None, related: Vec::new() }
    }

    /// Says what to write instead.
    pub fn hint(&mut self, hint: impl Into<String>) -> &mut Problem {
        self.hint = Some(hint.into());
        self
    }

    /// Says what to write instead, where that is known.
    pub fn hint_if(&mut self, hint: Option<impl Into<String>>) -> &mut Problem {
        self.hint = hint.map(Into::into).or_else(|| self.hint.take());
        self
    }

    /// Names another place and what it has to do with this one.
    pub fn related(&mut self, place: Place, note: impl Into<String>) -> &mut Problem {
        if place.is_known() {
            self.related.push((place, note.into()));
        }
        self
    }
}

/// Problems as they are found; nothing stops at the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None so far.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Adds an error; chain [`Problem::hint`] and [`Problem::related`] to it.
    pub fn error(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>) -> &mut Problem {
        self.add(Problem::error(place, message))
    }

    /// Adds a warning; chain [`Problem::hint`] and [`Problem::related`] to it.
    pub fn warn(&mut self, place: impl Into<Option<Place>>, message: impl Into<String>) -> &mut Problem {
        self.add(Problem::warning(place, message))
    }

    /// Adds a problem made elsewhere.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    fn add(&mut self, problem: Problem) -> &mut Problem {
        self.0.push_mut(problem)
    }

    /// Whether any of them refuses the configuration.
    pub fn is_fatal(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of that severity there are.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|problem| problem.severity == severity).count()
    }

    /// Looks at each in turn.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Puts them in the order of the files, and drops those that say the same of the same place
    /// (an alias is read once for each use).
    pub fn sort(&mut self) {
        self.0.sort_by_key(|problem| (problem.place.is_none(), problem.place, problem.severity));
        self.0.dedup_by(|later, first| later.place == first.place && later.message == first.message);
    }

    /// Makes every warning an error (`check --strict`).
    pub fn make_strict(&mut self) {
        self.0.iter_mut().for_each(|problem| problem.severity = Severity::Error);
    }

    /// The problems themselves.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }

    /// Takes the warnings out and leaves the errors.
    pub fn split_warnings(&mut self) -> Problems {
        let (errors, warnings) = std::mem::take(&mut self.0).into_iter().partition(|p| p.severity == Severity::Error);
        self.0 = errors;
        Problems(warnings)
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        Problems(vec![problem])
    }
}

impl Extend<Problem> for Problems {
    fn extend<I: IntoIterator<Item = Problem>>(&mut self, problems: I) {
        self.0.extend(problems);
    }
}

impl IntoIterator for Problems {
    type Item = Problem;
    type IntoIter = std::vec::IntoIter<Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: u32) -> Place {
        Place { line, column: 1, len: 1, ..Place::NOWHERE }
    }

    #[test]
    fn is_fatal_only_with_an_error() {
        let mut problems = Problems::new();
        problems.warn(place(1), "unused");
        assert!(!problems.is_fatal());
        problems.make_strict();
        assert!(problems.is_fatal());
    }

    #[test]
    fn sorts_by_place_and_says_nothing_twice() {
        let mut problems = Problems::new();
        problems.error(None, "no place");
        problems.error(place(9), "late");
        problems.error(place(2), "early").hint("write it");
        problems.error(place(9), "late");
        problems.sort();
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["early", "late", "no place"]);
    }
}
