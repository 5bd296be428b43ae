//! A compiled rule: a tree of comparisons that reads the request and allocates nothing.

use super::Facts;
use super::claim::Claim;
use super::condition::Condition;
use crate::request::Caller;

/// Names to compare with.
pub type Names = Box<[Box<str>]>;

/// A rule.
#[derive(Debug)]
pub enum Rule {
    /// The credential has all of these scopes.
    Scope(Names),
    /// The caller is in one of these groups.
    Group(Names),
    /// The caller is one of these consumers.
    Consumer(Names),
    /// The token says so.
    Claim(Claim),
    /// The expression is true.
    When(Box<Condition>),
    /// All of these hold.
    All(Box<[Rule]>),
    /// One of these holds.
    Any(Box<[Rule]>),
    /// This does not hold.
    Not(Box<Rule>),
}

impl Rule {
    /// Whether it holds. What asks for a caller does not hold without one.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let caller = facts.cx.caller();
        match self {
            Self::Scope(scopes) => caller.is_some_and(|caller| scopes.iter().all(|scope| has_scope(caller, scope))),
            Self::Group(groups) => {
                caller.is_some_and(|caller| groups.iter().any(|group| caller.groups.contains(group)))
            }
            Self::Consumer(names) => {
                caller.and_then(|caller| caller.consumer.as_ref()).is_some_and(|consumer| names.contains(&consumer.id))
            }
            Self::Claim(claim) => caller.is_some_and(|caller| claim.holds(&caller.claims)),
            Self::When(condition) => condition.holds(facts),
            Self::All(rules) => rules.iter().all(|rule| rule.holds(facts)),
            Self::Any(rules) => rules.iter().any(|rule| rule.holds(facts)),
            Self::Not(rule) => !rule.holds(facts) && !rule.is_unsure(facts),
        }
    }

    /// Whether an expression in it could not be evaluated: its opposite must not let anybody pass.
    fn is_unsure(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::When(condition) => condition.evaluate(facts).is_err(),
            Self::All(rules) | Self::Any(rules) => rules.iter().any(|rule| rule.is_unsure(facts)),
            Self::Not(rule) => rule.is_unsure(facts),
            Self::Scope(_) | Self::Group(_) | Self::Consumer(_) | Self::Claim(_) => false,
        }
    }

    /// Whether it asks who the caller is.
    pub fn asks_for_a_caller(&self) -> bool {
        match self {
            Self::Scope(_) | Self::Group(_) | Self::Consumer(_) | Self::Claim(_) => true,
            Self::When(condition) => condition.reads_caller(),
            Self::All(rules) | Self::Any(rules) => rules.iter().any(Self::asks_for_a_caller),
            Self::Not(rule) => rule.asks_for_a_caller(),
        }
    }

    /// The rules without rules in them, and negations, that keep it from holding. Of alternatives the one that lacks least.
    pub fn failing<'a>(&'a self, facts: &Facts<'_>) -> Vec<&'a Rule> {
        if self.holds(facts) {
            return Vec::new();
        }
        match self {
            Self::All(rules) => rules.iter().flat_map(|rule| rule.failing(facts)).collect(),
            Self::Any(rules) => {
                rules.iter().map(|rule| rule.failing(facts)).min_by_key(Vec::len).unwrap_or_else(|| vec![self])
            }
            _ => vec![self],
        }
    }

    /// What each rule without rules in it says, for `explain`.
    pub fn explained(&self, facts: &Facts<'_>, out: &mut Vec<String>) {
        match self {
            Self::All(rules) | Self::Any(rules) => rules.iter().for_each(|rule| rule.explained(facts, out)),
            Self::Not(rule) => {
                rule.explained(facts, out);
                out.push(format!("{self}: {}", holds_or_not(self.holds(facts))));
            }
            Self::When(condition) => out.push(match condition.evaluate(facts) {
                Ok(held) => format!("{self}: {}", holds_or_not(held)),
                Err(why) => format!("{self}: cannot be evaluated: {why}"),
            }),
            _ => out.push(format!("{self}: {}", holds_or_not(self.holds(facts)))),
        }
    }
}

fn holds_or_not(held: bool) -> &'static str {
    if held { "holds" } else { "does not hold" }
}

/// Whether the credential has that scope.
pub fn has_scope(caller: &Caller, scope: &str) -> bool {
    caller.scopes.iter().any(|has| **has == *scope)
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scope(names) => write!(f, "scope {}", names.join(" and ")),
            Self::Group(names) => write!(f, "group {}", names.join(" or ")),
            Self::Consumer(names) => write!(f, "consumer {}", names.join(" or ")),
            Self::Claim(claim) => claim.fmt(f),
            Self::When(condition) => condition.fmt(f),
            Self::Not(rule) => write!(f, "not ({rule})"),
            Self::All(rules) => joined(rules, ", and ", f),
            Self::Any(rules) => joined(rules, ", or ", f),
        }
    }
}

fn joined(rules: &[Rule], word: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    for (position, rule) in rules.iter().enumerate() {
        if position > 0 {
            f.write_str(word)?;
        }
        match rule {
            Rule::All(inner) | Rule::Any(inner) if inner.len() > 1 => write!(f, "({rule})")?,
            _ => write!(f, "{rule}")?,
        }
    }
    Ok(())
}
