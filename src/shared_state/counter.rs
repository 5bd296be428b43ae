//! What is asked of shared counts, and what is answered: a small language of our own, so that nothing but `wire/` knows
//! which client library or server is behind it.

use super::purges::{PurgeAsk, PurgeNews};
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;

/// Values a limit takes among the script's arguments.
const WIDTH: usize = 10;

/// What measures a shared limit.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// A token bucket (GCRA).
    Rate {
        /// Time in which one more may pass, in microseconds.
        interval: f64,
        /// Time in which an empty bucket is full again, in microseconds.
        depth: f64,
    },
    /// A quota in a window that slides.
    Sliding {
        /// How much may pass.
        count: u64,
        /// The window, in seconds.
        length: u64,
    },
    /// A quota in a month of the calendar.
    Month {
        /// How much may pass.
        count: u64,
        /// The month the asker finds itself in; the server, whose clock decides, may find itself in the one beside it.
        month: Month,
    },
}

/// A month and its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// Its number; one more than that of the month before.
    pub number: u64,
    /// When it begins, in seconds since the epoch.
    pub begins: u64,
    /// When it ends.
    pub ends: u64,
    /// When the next ends.
    pub next_ends: u64,
}

/// How an answer binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// All limits asked for in this way get what they ask for, or none.
    Together,
    /// By itself.
    Alone,
    /// Counted whatever is left: a cost known afterwards, or (negative) what was taken for nothing.
    Forced,
}

/// A question on one key of one limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// The key, without the prefix of the gateways.
    pub key: String,
    /// What measures it.
    pub measure: Measure,
    /// How the answer binds.
    pub bearing: Bearing,
    /// What it must get.
    pub least: i64,
    /// What it may get.
    pub most: i64,
}

/// The answer to an [`Ask`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What was granted; 0 where it was refused.
    pub granted: u64,
    /// What is left.
    pub remaining: u64,
    /// Until all is there again; of a refusal, until it could pass.
    pub wait: Duration,
}

/// The answers to the questions of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Whether what binds together was taken.
    pub taken: bool,
    /// In the order of the questions.
    pub answers: Vec<Answer>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store is known to be out of reach; it was not asked.
    Open,
    /// Nothing came in time.
    Timeout,
    /// The connection broke.
    Connection,
    /// The store answered that it cannot, or nonsense.
    Reply,
}

impl StoreError {
    /// As metrics call it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Timeout => "timeout",
            Self::Connection => "connection",
            Self::Reply => "reply",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "the store is out of reach",
            Self::Timeout => "the store did not answer in time",
            Self::Connection => "the connection to the store broke",
            Self::Reply => "the store cannot answer",
        })
    }
}

/// Where gateways keep the counts they share.
#[async_trait]
pub trait CounterStore: Send + Sync {
    /// Answers these questions in one step.
    ///
    /// # Errors
    /// There is no answer; whether something was counted is not known.
    async fn decide(&self, asks: &[Ask]) -> Result<Decided, StoreError>;

    /// Says that this gateway is there, and answers how many are.
    ///
    /// # Errors
    /// There is no answer.
    async fn presence(&self, gateway: &str) -> Result<u64, StoreError>;

    /// Tells what was purged here, and answers what was purged elsewhere.
    ///
    /// # Errors
    /// There is no answer; whether it was told is not known.
    async fn purges(&self, ask: &PurgeAsk) -> Result<PurgeNews, StoreError>;
}

impl Ask {
    /// The arguments of the script for this question.
    pub(super) fn arguments(&self) -> [String; WIDTH] {
        let (kind, numbers) = match &self.measure {
            Measure::Rate { interval, depth } => ("r", [interval.to_string(), depth.to_string()].to_vec()),
            Measure::Sliding { count, length } => ("s", [count.to_string(), length.to_string()].to_vec()),
            Measure::Month { count, month } => {
                let numbers = [*count, month.number, month.begins, month.ends, month.next_ends];
                ("m", numbers.iter().map(u64::to_string).collect())
            }
        };
        let how = match self.bearing {
            Bearing::Together => "e",
            Bearing::Alone => "o",
            Bearing::Forced => "f",
        };
        let mut all = vec![kind.to_owned(), how.to_owned(), self.least.to_string(), self.most.to_string()];
        all.extend(numbers);
        all.resize(WIDTH, "0".to_owned());
        all.try_into().unwrap_or_default()
    }
}

impl Ask {
    /// A look at a key: what is left, and nothing is counted.
    pub fn look(key: String, measure: Measure) -> Self {
        Self { key, measure, bearing: Bearing::Alone, least: 0, most: 0 }
    }

    /// The same key, with that much counted whatever is left.
    #[must_use]
    pub fn forced(&self, amount: i64) -> Self {
        Self { bearing: Bearing::Forced, least: amount, most: amount, ..self.clone() }
    }

    /// What undoes this question where that much was granted; `None` where nothing was.
    pub(super) fn undo(&self, granted: u64) -> Option<Self> {
        let amount = i64::try_from(granted).ok().filter(|amount| *amount > 0)?;
        Some(self.forced(-amount))
    }
}

impl Decided {
    /// Reads what the script returned for that many questions.
    pub(super) fn read(numbers: &[i64], questions: usize) -> Result<Self, StoreError> {
        let (taken, rest) = numbers.split_first().ok_or(StoreError::Reply)?;
        let natural = |number: i64| u64::try_from(number).unwrap_or(0);
        let answers: Vec<Answer> = rest
            .chunks_exact(3)
            .filter_map(|answer| match answer {
                [granted, remaining, wait] => Some(Answer {
                    granted: natural(*granted),
                    remaining: natural(*remaining),
                    wait: Duration::from_micros(natural(*wait)),
                }),
                _ => None,
            })
            .collect();
        if answers.len() != questions {
            return Err(StoreError::Reply);
        }
        Ok(Self { taken: *taken == 1, answers })
    }
}
