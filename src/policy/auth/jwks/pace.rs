//! When keys are fetched: pure rules over moments that are given.

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use std::time::{Duration, Instant};

/// Between fetches, unless the answer says otherwise.
const USUAL: Duration = Duration::from_secs(600);
/// The least an answer can ask for.
const SHORTEST: Duration = Duration::from_secs(60);
/// The most: a key that was withdrawn is believed no longer than this.
const LONGEST: Duration = Duration::from_secs(3600);
/// After one failure; doubled with each.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The most after many.
const LAST_RETRY: Duration = Duration::from_secs(30);
/// Between fetches that unknown keys ask for.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// How long an answer with those fields is good for. `share`, between 0 and 1, spreads several gateways apart.
pub fn good_for(headers: &HeaderMap, share: f64) -> Duration {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives = lines.flat_map(|line| line.split(','));
    let told = directives.filter_map(|directive| {
        let (name, value) = directive.trim().split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok()).flatten()
    });
    let whole = told.map(Duration::from_secs).next().unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
    whole.mul_f64(1.0 - share.clamp(0.0, 1.0) / 10.0)
}

/// How long to wait after so many failures in a row.
pub fn retry_after(failures: u32, share: f64) -> Duration {
    let doubled = FIRST_RETRY.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LAST_RETRY);
    doubled.mul_f64(1.0 - share.clamp(0.0, 1.0) / 4.0)
}

/// What is known of fetching.
#[derive(Debug, Default)]
pub struct Pace {
    /// Whether a fetch was ever begun.
    begun: bool,
    /// Whether a fetch is under way or asked for, until what it brought is in service.
    pub awaited: bool,
    /// Failures in a row; the last fetch succeeded where there are none.
    pub failures: u32,
    /// Whether any has ended.
    pub tried: bool,
    /// When an unknown key last asked for one.
    asked: Option<Instant>,
    /// When the next is due.
    pub due: Option<Instant>,
}

/// What an unknown key is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// A fetch is under way or has been asked for: wait for its end.
    Wait,
    /// There will be none for now.
    NotNow,
}

impl Pace {
    /// Whether a fetch was ever begun.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// A fetch begins.
    pub fn begins(&mut self) {
        (self.begun, self.awaited) = (true, true);
    }

    /// A fetch has ended and what it brought is in service: it is good for that long, or it failed, with a number between
    /// 0 and 1 to spread the retry.
    pub fn ended(&mut self, outcome: Result<Duration, f64>, now: Instant) {
        (self.tried, self.awaited) = (true, false);
        self.due = Some(match outcome {
            Ok(good_for) => {
                self.failures = 0;
                now + good_for
            }
            Err(share) => {
                self.failures = self.failures.saturating_add(1);
                now + retry_after(self.failures, share)
            }
        });
    }

    /// A token names a key that is not known; `known` says whether any is.
    pub fn asked(&mut self, now: Instant, known: bool) -> Told {
        if self.awaited && (known || self.failures == 0) {
            return Told::Wait;
        }
        if !known {
            // Retries are under way of themselves; whoever waits for each would only pile up.
            return if self.tried { Told::NotNow } else { Told::Wait };
        }
        if self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < COOL_DOWN) {
            return Told::NotNow;
        }
        self.asked = Some(now);
        self.due = Some(now);
        self.awaited = true;
        Told::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn an_answer_is_good_for_what_it_says_within_bounds() {
        let told = |text: &'static str| {
            let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(text))]);
            good_for(&headers, 0.0).as_secs()
        };
        assert_eq!(told("public, max-age=300, must-revalidate"), 300);
        assert_eq!(told("MAX-AGE=\"900\""), 900);
        assert_eq!((told("max-age=0"), told("max-age=31536000")), (60, 3600));
        assert_eq!((told("no-store"), told("max-age=x"), told("s-maxage=70")), (600, 600, 600));
        assert_eq!(good_for(&HeaderMap::new(), 1.0).as_secs(), 540);
    }

    #[test]
    fn failures_are_retried_ever_later() {
        let seconds: Vec<u64> = (1..8).map(|failures| retry_after(failures, 0.0).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert!(retry_after(u32::MAX, 1.0) >= Duration::from_secs(22));
    }

    #[test]
    fn unknown_keys_ask_once_per_cool_down() {
        let (mut pace, start) = (Pace { tried: true, ..Pace::default() }, Instant::now());
        assert_eq!(pace.asked(start, true), Told::Wait);
        assert_eq!(pace.due, Some(start));
        pace.begins();
        pace.ended(Ok(USUAL), start);
        assert_eq!(pace.asked(start + Duration::from_secs(29), true), Told::NotNow);
        assert_eq!(pace.asked(start + COOL_DOWN, true), Told::Wait);
    }

    #[test]
    fn whoever_asks_before_a_fetch_has_begun_or_while_it_lasts_waits_for_it_too() {
        let (mut pace, start) = (Pace { tried: true, ..Pace::default() }, Instant::now());
        assert_eq!(pace.asked(start, true), Told::Wait);
        assert_eq!(pace.asked(start, true), Told::Wait, "asked for, not begun");
        pace.begins();
        assert_eq!(pace.asked(start, true), Told::Wait, "begun");
        pace.ended(Ok(USUAL), start);
        assert_eq!(pace.asked(start, true), Told::NotNow, "in service");
    }

    #[test]
    fn before_the_first_answer_one_waits_and_while_nobody_answers_one_does_not() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.asked(now, false), Told::Wait);
        pace.begins();
        assert_eq!(pace.asked(now, false), Told::Wait);
        pace.ended(Err(0.0), now);
        assert_eq!(pace.asked(now, false), Told::NotNow);
        pace.begins();
        assert_eq!(pace.asked(now, false), Told::NotNow);
    }
}
