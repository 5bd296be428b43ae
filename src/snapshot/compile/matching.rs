//! What must hold of a request beside method and path.

use super::Compiling;
use crate::config::{MatchConfig, ValueMatch, WhenConfig};
use crate::routing::{Expression, Predicate, Subject, Test};
use crate::value::json::Pointer;
use crate::value::{Named, Spanned};

/// What a name is looked up in.
type MakeSubject = fn(Box<str>) -> Subject;

impl Compiling<'_> {
    pub(super) fn predicates(&mut self, written: &MatchConfig) -> Vec<Predicate> {
        let mut all = self.told(&written.header, &written.query, &written.cookie);
        for (at, value) in written.body.iter() {
            match Pointer::parse(&at.value) {
                Ok(pointer) => all.extend(self.predicate(at, Subject::Body(pointer), value)),
                Err(_) => {
                    self.problems
                        .error(at.place, format!("`{}` is no JSON pointer", at.value))
                        .hint("write one such as `/order/type`; a field of a form is `/type`");
                }
            }
        }
        all
    }

    /// What sends a request to one of several upstreams.
    pub(super) fn when(&mut self, written: &Spanned<WhenConfig>) -> Vec<Predicate> {
        let WhenConfig { header, query, cookie } = &written.value;
        if header.iter().next().is_none() && query.iter().next().is_none() && cookie.iter().next().is_none() {
            self.problems
                .error(written.place, "`when` says nothing of the requests that go there")
                .hint("name a `header`, a `query` or a `cookie`");
        }
        self.told(header, query, cookie)
    }

    fn told(
        &mut self,
        header: &Named<ValueMatch>,
        query: &Named<ValueMatch>,
        cookie: &Named<ValueMatch>,
    ) -> Vec<Predicate> {
        let mut all = Vec::new();
        for (name, value) in header.iter() {
            if let Some(subject) = self.pattern(name, Subject::header(&name.value)) {
                all.extend(self.predicate(name, subject, value));
            }
        }
        let others: [(&Named<ValueMatch>, MakeSubject); 2] = [(query, Subject::Query), (cookie, Subject::Cookie)];
        for (named, subject) in others {
            for (name, value) in named.iter() {
                all.extend(self.predicate(name, subject(name.value.as_str().into()), value));
            }
        }
        all
    }

    fn predicate(&mut self, name: &Spanned<String>, subject: Subject, value: &ValueMatch) -> Option<Predicate> {
        let given = usize::from(value.exact.is_some())
            + usize::from(value.prefix.is_some())
            + usize::from(value.regex.is_some())
            + usize::from(value.present.is_some());
        if given == 0 && self.loaded.problems.is_fatal() {
            return None;
        }
        if given != 1 {
            self.problems.error(name.place, "exactly one of `exact`, `prefix`, `regex` and `present`");
            return None;
        }
        let test = if let Some(exact) = &value.exact {
            Test::Exact(exact.as_str().into())
        } else if let Some(prefix) = &value.prefix {
            Test::Prefix(prefix.as_str().into())
        } else if let Some(regex) = &value.regex {
            Test::Regex(self.pattern(regex, Expression::parse(&regex.value))?)
        } else if value.present == Some(true) {
            Test::Present
        } else {
            Test::Absent
        };
        Some(Predicate { subject, test })
    }
}
