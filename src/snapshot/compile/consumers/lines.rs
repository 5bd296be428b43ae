//! The lean format of a file of consumers: one key a line, for files of any length.
//!
//! `id,sha256:<64 hexadecimal digits>,groups,plan,expires`; groups are separated by spaces, and what is empty at the end
//! may be left out. A consumer with several keys has several lines, of which the first says its groups and its plan.
//! Empty lines and those that begin with `#` are passed over.

use super::PlanNames;
use crate::config::Moment;
use crate::consumer::{Consumer, Consumers, Key};
use crate::value::Invalid;

/// Reads all lines into `consumers`; every line that is bad, counted from 1, with what is wrong with it.
pub(super) fn read(text: &str, consumers: &mut Consumers, plans: &PlanNames) -> Vec<(usize, Invalid)> {
    consumers.reserve(memchr::memchr_iter(b'\n', text.as_bytes()).count());
    let mut reading = Reading { before: consumers.count().0, consumers, plans };
    let mut bad = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Err(invalid) = reading.line(line) {
            bad.push((number + 1, invalid));
        }
    }
    bad
}

struct Reading<'a> {
    consumers: &'a mut Consumers,
    /// Consumers that were there before this file.
    before: usize,
    plans: &'a PlanNames,
}

impl Reading<'_> {
    fn line(&mut self, line: &str) -> Result<(), Invalid> {
        let mut fields = line.split(',').map(str::trim);
        let mut next = || fields.next().unwrap_or_default();
        let (id, digest, groups, plan, expires) = (next(), next(), next(), next(), next());
        if fields.next().is_some() {
            return Err(Invalid::new("the line has more than five fields").hint("separate groups by spaces"));
        }
        if id.is_empty() {
            return Err(Invalid::new("the line names no consumer"));
        }
        let digest = digest.parse()?;
        let expires = if expires.is_empty() { None } else { Some(expires.parse::<Moment>()?.unix_seconds()) };
        let groups: Box<[Box<str>]> = groups.split_ascii_whitespace().map(Box::from).collect();
        let plan: Option<Box<str>> = Some(plan).filter(|plan| !plan.is_empty()).map(Box::from);
        if let Some((message, hint)) = plan.as_ref().and_then(|plan| self.plans.missing(plan)) {
            return Err(Invalid::new(message).hint(hint));
        }
        let holder = match self.consumers.find(id) {
            Some(holder) if !holder.is_before(self.before) => {
                let known = self.consumers.holder(holder);
                let differs = |known: &Consumer| {
                    !groups.is_empty() && groups != known.groups || plan.is_some() && plan != known.plan
                };
                if known.is_some_and(|known| differs(known)) {
                    return Err(Invalid::new(format!("`{id}` has other groups or another plan on an earlier line")));
                }
                holder
            }
            _ => {
                let consumer = Consumer { id: id.into(), groups, plan };
                self.consumers.add(consumer, &[]).map_err(|taken| taken_name(&taken))?
            }
        };
        let key = Key { digest, name: None, expires };
        self.consumers.add_key(holder, key).map_err(|other| taken_key(id, &other.id))
    }
}

/// A name that two consumers have.
pub(super) fn taken_name(taken: &str) -> Invalid {
    Invalid::new(format!("`{taken}` names another consumer already"))
}

/// A key that two consumers have, or one has twice.
pub(super) fn taken_key(id: &str, other: &str) -> Invalid {
    match id == other {
        true => Invalid::new(format!("`{id}` has the same key twice")),
        false => Invalid::new(format!("`{id}` and `{other}` have the same key")).hint("give each a key of its own"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::KeyDigest;

    fn digest(number: usize) -> String {
        format!("sha256:{number:064x}")
    }

    fn found<'a>(consumers: &'a Consumers, number: usize) -> crate::consumer::Credential<'a> {
        consumers.credential(&digest(number).parse::<KeyDigest>().unwrap()).unwrap()
    }

    #[test]
    fn reads_keys_groups_plans_and_ends() {
        let text = format!(
            "\u{feff}# id,key,groups,plan,expires\r\nacme,{},partners beta,gold,2027-01-31\n\n acme , {}\nother,{},,,\n",
            digest(1),
            digest(2),
            digest(3)
        );
        let mut consumers = Consumers::default();
        assert_eq!(read(&text, &mut consumers, &PlanNames::from(["gold"])), []);
        assert_eq!(consumers.count(), (2, 3));
        let first = found(&consumers, 1);
        assert_eq!(first.consumer.groups, ["partners".into(), "beta".into()].into());
        assert_eq!((first.consumer.plan.as_deref(), first.key.expires), (Some("gold"), Some(1_801_353_600)));
        let second = found(&consumers, 2);
        assert_eq!((&*second.consumer.id, second.key.expires), ("acme", None));
        assert_eq!(&*found(&consumers, 3).consumer.id, "other");
    }

    #[test]
    fn names_every_bad_line_and_no_key() {
        let mut consumers = Consumers::default();
        consumers.add(Consumer { id: "base".into(), groups: Box::default(), plan: None }, &[]).unwrap();
        let text = format!(
            "a,{one}\nb,{one}\na,{one}\nb,plain-key-in-the-clear\n,{two}\nbase,{two}\nc,{two},g,gold,2027-01-31,x\na,{two},other\nd,{two},,,soon\ne,{two},,god\n",
            one = digest(1),
            two = digest(2)
        );
        let bad = read(&text, &mut consumers, &PlanNames::from(["gold"]));
        let said: Vec<String> = bad.iter().map(|(line, invalid)| format!("{line}: {}", invalid.message)).collect();
        assert_eq!(
            said,
            [
                "2: `b` and `a` have the same key",
                "3: `a` has the same key twice",
                "4: a digest is `sha256:` and 64 hexadecimal digits",
                "5: the line names no consumer",
                "6: `base` names another consumer already",
                "7: the line has more than five fields",
                "8: `a` has other groups or another plan on an earlier line",
                "9: `soon` is not a moment",
                "10: there is no plan `god`",
            ]
        );
    }
}
