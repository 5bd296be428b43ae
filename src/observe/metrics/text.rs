//! The Prometheus text format, version 0.0.4.

use std::fmt::{Arguments, Write};
use std::time::Duration;

use super::histogram::{Bound, TICKS_PER_SECOND, Totals};
use super::names::Family;

/// An exposition being written. Writing to a `String` cannot fail, so results of `write!` are dropped.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Begins a family. Its head is written with its first sample, so a family without one leaves no trace.
    pub(super) fn family(&mut self, family: &'static Family) -> Samples<'_> {
        Samples { out: &mut self.0, family, begun: false }
    }

    /// Appends what another encoder wrote; it must be whole families.
    pub(super) fn append(&mut self, families: &str) {
        self.0.push_str(families);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// The samples of one family.
pub(super) struct Samples<'a> {
    out: &'a mut String,
    family: &'static Family,
    begun: bool,
}

impl Samples<'_> {
    /// A sample without labels.
    pub(super) fn single(&mut self, value: u64) {
        self.begin();
        let _ = writeln!(self.out, "{} {value}", self.family.name);
    }

    /// A sample with labels, given as they stand between the braces.
    pub(super) fn labelled(&mut self, labels: Arguments<'_>, value: u64) {
        self.begin();
        let _ = writeln!(self.out, "{}{{{labels}}} {value}", self.family.name);
    }

    /// A sample of time with labels.
    pub(super) fn seconds(&mut self, labels: Arguments<'_>, value: Duration) {
        self.begin();
        let _ = writeln!(self.out, "{}{{{labels}}} {}.{:06}", self.family.name, value.as_secs(), value.subsec_micros());
    }

    /// The buckets, sum and count of one histogram.
    pub(super) fn histogram<const N: usize>(&mut self, labels: &str, bounds: &[Bound; N], totals: &Totals<N>) {
        self.begin();
        let mut count = 0;
        for (bound, within) in bounds.iter().zip(totals.within) {
            count += within;
            self.bucket(labels, bound.label, count);
        }
        count += totals.beyond;
        self.bucket(labels, "+Inf", count);
        let (seconds, ticks) = (totals.ticks / TICKS_PER_SECOND, totals.ticks % TICKS_PER_SECOND);
        let name = self.family.name;
        let _ = writeln!(self.out, "{name}_sum{{{labels}}} {seconds}.{ticks:07}\n{name}_count{{{labels}}} {count}");
    }

    /// Buckets are most of an exposition, hence the plain pushes.
    fn bucket(&mut self, labels: &str, bound: &str, count: u64) {
        for part in [self.family.name, "_bucket{", labels, ",le=\"", bound] {
            self.out.push_str(part);
        }
        let _ = writeln!(self.out, "\"}} {count}");
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            let Family { name, kind, help } = self.family;
            let _ = writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        }
    }
}

/// `name="value"`, the value escaped: backslash, double quote and line feed.
pub(super) fn label(name: &str, value: &str) -> String {
    let mut text = String::with_capacity(name.len() + value.len() + 3);
    text.push_str(name);
    text.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label("route", "GET /a\\b\"c\nd\u{e9}"), "route=\"GET /a\\\\b\\\"c\\nd\u{e9}\"");
    }

    #[test]
    fn a_family_without_samples_leaves_no_trace() {
        let mut text = Text::default();
        text.family(&super::super::names::REQUESTS);
        assert_eq!(text.finish(), "");
    }
}
