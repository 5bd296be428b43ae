//! From what is written to a [`Rule`].

use super::claim::Claim;
use super::condition::Condition;
use super::config::AllowConfig;
use super::rule::{Names, Rule};
use crate::consumer::CurrentConsumers;
use crate::value::{Named, OneOrMany, Place, Problems, Spanned, suggest};
use serde_json::Value;

/// Rules may stand in rules this deep.
const DEEPEST: usize = 16;

/// What the compilation of a rule draws on.
pub struct Compiling<'a> {
    /// Where everything that is wrong is said.
    pub problems: &'a mut Problems,
    /// Who is known.
    pub consumers: &'a CurrentConsumers,
    /// How deep in other rules the one at hand stands.
    pub depth: usize,
}

impl Compiling<'_> {
    /// The rule; `None` where a problem was recorded.
    pub fn rule(&mut self, written: &Spanned<AllowConfig>) -> Option<Rule> {
        if self.depth > DEEPEST {
            self.problems.error(written.place, format!("rules stand in rules more than {DEEPEST} deep"));
            return None;
        }
        self.depth += 1;
        let rules = self.keys(written);
        self.depth -= 1;
        let mut rules = rules?;
        if rules.is_empty() {
            self.problems
                .error(written.place, "a rule without a condition would let everybody pass")
                .hint("write one of `scope`, `group`, `consumer`, `claim`, `when`, `any`, `all`, `not`");
            return None;
        }
        if rules.len() == 1 { rules.pop() } else { Some(Rule::All(rules.into())) }
    }

    /// The rules of the keys that are given, in a fixed order: what is cheap to decide comes first.
    fn keys(&mut self, written: &Spanned<AllowConfig>) -> Option<Vec<Rule>> {
        let (place, config) = (written.place, &written.value);
        let mut rules = vec![
            config.scope.as_ref().map(|names| self.scopes(names, place)),
            config.group.as_ref().map(|names| self.names("group", names, place).map(Rule::Group)),
            config.consumer.as_ref().map(|names| self.consumer(names, place)),
        ];
        if let Some(claims) = &config.claim {
            rules.extend(self.claims(claims, place).into_iter().map(Some));
        }
        rules.extend([
            config.any.as_ref().map(|inner| self.rules("any", inner, place).map(Rule::Any)),
            config.all.as_ref().map(|inner| self.rules("all", inner, place).map(Rule::All)),
            config.not.as_ref().map(|inner| self.rule(inner).map(|rule| Rule::Not(Box::new(rule)))),
            config.when.as_ref().map(|text| self.condition(text)),
        ]);
        rules.into_iter().flatten().collect()
    }

    fn scopes(&mut self, written: &OneOrMany<Spanned<String>>, place: Place) -> Option<Rule> {
        // RFC 6749 §3.3: visible ASCII without the quote and the backslash. A list in one text is the usual slip.
        for scope in written {
            if !scope.value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
                self.problems
                    .error(scope.place, format!("`{}` is not one scope", scope.value))
                    .hint("several scopes are a list: `[orders:read, orders:write]`");
                return None;
            }
        }
        self.names("scope", written, place).map(Rule::Scope)
    }

    fn consumer(&mut self, written: &OneOrMany<Spanned<String>>, place: Place) -> Option<Rule> {
        for name in written {
            if !self.consumers.expect(&name.value) {
                self.problems.warn(name.place, format!("there is no consumer `{}`", name.value));
            }
        }
        self.names("consumer", written, place).map(Rule::Consumer)
    }

    fn names(&mut self, kind: &str, written: &OneOrMany<Spanned<String>>, place: Place) -> Option<Names> {
        if let Some(empty) = written.iter().find(|name| name.value.is_empty()) {
            self.problems.error(empty.place, format!("`{kind}` has an empty name"));
            return None;
        }
        if written.is_empty() {
            self.problems.error(place, format!("`{kind}` names none")).hint("name one, or leave the key out");
            return None;
        }
        Some(written.iter().map(|name| name.value.as_str().into()).collect())
    }

    fn claims(&mut self, written: &Named<OneOrMany<Spanned<Value>>>, place: Place) -> Vec<Option<Rule>> {
        if written.is_empty() {
            self.problems.error(place, "`claim` names none").hint("write `claim: { role: admin }`");
            return vec![None];
        }
        written.iter().map(|(path, values)| self.claim(path, values)).collect()
    }

    fn claim(&mut self, path: &Spanned<String>, values: &OneOrMany<Spanned<Value>>) -> Option<Rule> {
        if values.is_empty() {
            self.problems.error(path.place, "a claim is compared with one value or a list of them");
            return None;
        }
        for value in values {
            if !matches!(value.value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                self.problems
                    .error(value.place, "a claim is compared with text, a number, `true` or `false`")
                    .hint("reach into objects by a dotted path: `tenant.id`");
                return None;
            }
        }
        let values = values.iter().map(|value| value.value.clone()).collect();
        Some(Rule::Claim(Claim::new(&path.value, values)))
    }

    fn rules(&mut self, key: &str, written: &OneOrMany<Spanned<AllowConfig>>, place: Place) -> Option<Box<[Rule]>> {
        if written.is_empty() {
            self.problems
                .error(place, format!("`{key}` holds no rule"))
                .hint("write at least one, or leave the key out");
            return None;
        }
        let rules: Vec<Option<Rule>> = written.iter().map(|inner| self.rule(inner)).collect();
        rules.into_iter().collect()
    }

    fn condition(&mut self, text: &Spanned<String>) -> Option<Rule> {
        match Condition::parse(&text.value) {
            Ok(condition) => Some(Rule::When(Box::new(condition))),
            Err(error) => {
                let place = text.within(error.offset);
                let near = error.near.and_then(|(wrong, known)| suggest(&wrong, known.iter().copied()));
                let hint = near.map(|near| format!("did you mean `{near}`?")).or(error.hint);
                self.problems.error(place, error.message).hint_if(hint);
                None
            }
        }
    }
}
