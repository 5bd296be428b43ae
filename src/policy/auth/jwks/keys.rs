//! The keys in service.

use super::pace::{Pace, Told};
use super::source::{self, Fetched, Look};
use super::{Algorithms, Checked, Discovery, KeySet, Signed, Source};
use crate::fetch::Fetcher;
use crate::observe::metrics::{FetchOutcome, KeyMetrics};
use crate::policy::{Setup, Tend};
use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// A request waits at most this long for keys.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Which keys are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The provider's name, for logs and metrics.
    pub name: Box<str>,
    /// Where they come from.
    pub source: Source,
    /// What they may be used with.
    pub algorithms: Algorithms,
}

/// What is known of an issuer.
#[derive(Debug)]
struct Known {
    set: KeySet,
    discovery: Option<Arc<Discovery>>,
}

/// The keys in service. Requests only read them; [`Tend`] is the one that fetches, so that there is never more than one
/// fetch under way, however many requests ask for one.
pub struct Keys {
    wanted: Wanted,
    fetcher: Arc<Fetcher>,
    metrics: Option<Arc<KeyMetrics>>,
    known: ArcSwapOption<Known>,
    pace: Mutex<Pace>,
    /// Wakes who tends, before the next fetch is due.
    hurry: Notify,
    /// Fetches that have ended.
    rounds: watch::Sender<u64>,
    /// Held by who tends: over a reload the next one begins when the one before has ended.
    turn: tokio::sync::Mutex<Option<Look>>,
}

/// What there is for a token whose key is not known.
pub enum Ask<F> {
    /// A fetch is under way: wait for its end, then check again. False where it did not end in time.
    Wait(F),
    /// The issuer has answered lately, and the key is none of its.
    Unknown,
    /// The issuer cannot be asked, so that nobody can say.
    Unavailable,
}

impl Keys {
    /// The keys that are wanted; those in service before where they are the same. `fixed` are those of the configuration.
    pub fn new(
        wanted: Wanted,
        fixed: Option<KeySet>,
        previous: Option<&Arc<Self>>,
        setup: &mut Setup<'_>,
    ) -> Arc<Self> {
        let kept = previous.filter(|previous| previous.wanted == wanted && previous.still_holds(fixed.as_ref()));
        let keys = match kept {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(Self {
                fetcher: Arc::clone(setup.fetcher),
                metrics: (!wanted.source.is_fixed()).then(|| setup.metrics.keys(&wanted.name)),
                wanted,
                known: ArcSwapOption::from_pointee(fixed.map(|set| Known { set, discovery: None })),
                pace: Mutex::default(),
                hurry: Notify::new(),
                rounds: watch::Sender::new(0),
                turn: tokio::sync::Mutex::default(),
            }),
        };
        if !keys.wanted.source.is_fixed() {
            setup.tended.push(Arc::clone(&keys) as Arc<dyn Tend>);
        }
        keys
    }

    fn still_holds(&self, fixed: Option<&KeySet>) -> bool {
        match fixed {
            Some(set) if self.wanted.source.is_fixed() => {
                self.known.load().as_ref().is_some_and(|own| own.set.same(set))
            }
            _ => true,
        }
    }

    /// Where they come from.
    pub fn source(&self) -> &Source {
        &self.wanted.source
    }

    /// Checks a signature by the keys in service. Without any it is [`Checked::Unknown`].
    pub fn check(&self, signed: &Signed<'_>) -> Checked {
        self.known.load().as_ref().map_or(Checked::Unknown, |known| known.set.check(signed))
    }

    /// What the provider publishes of itself, once that is known.
    pub fn discovery(&self) -> Option<Arc<Discovery>> {
        self.known.load().as_ref().and_then(|known| known.discovery.clone())
    }

    /// Whether any fetch has succeeded yet, or none is needed.
    pub fn is_known(&self) -> bool {
        self.known.load().is_some()
    }

    /// Whether anybody has tried to fetch them: outside a running gateway nobody does.
    pub fn is_tended(&self) -> bool {
        self.wanted.source.is_fixed() || self.is_known() || self.pace.lock().is_begun()
    }

    /// Asks for a fetch because a key is not known, or nothing is.
    pub fn ask(self: &Arc<Self>, now: Instant) -> Ask<impl Future<Output = bool> + Send + use<>> {
        if self.wanted.source.is_fixed() {
            return Ask::Unknown;
        }
        let mut pace = self.pace.lock();
        match pace.asked(now, self.is_known()) {
            Told::Wait => {
                let rounds = self.rounds.subscribe();
                drop(pace);
                self.hurry.notify_one();
                Ask::Wait(end_of_round(rounds))
            }
            Told::NotNow if pace.failures > 0 || !self.is_known() => Ask::Unavailable,
            Told::NotNow => Ask::Unknown,
        }
    }

    /// What to think of a key that is still unknown after waiting: whether the issuer has answered.
    pub fn is_answered(&self) -> bool {
        self.is_known() && self.pace.lock().failures == 0
    }

    /// Fetches when it is due or asked for, without end.
    async fn keep(&self, look: &mut Option<Look>) {
        loop {
            let due = self.pace.lock().due;
            if let Some(wait) =
                due.map(|due| due.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
            {
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = self.hurry.notified() => continue,
                }
            }
            // Where this is dropped on the way, the fetch stays due and awaited: who tends next makes it.
            self.pace.lock().begins();
            let fetched = self.wanted.source.fetch(&self.fetcher, self.wanted.algorithms, *look).await;
            self.take(fetched, look);
        }
    }

    /// Puts what was fetched into service, or keeps what there is.
    fn take(&self, fetched: Result<Fetched, String>, look: &mut Option<Look>) {
        let name = &self.wanted.name;
        let mut outcome = None;
        let mut next = Err(());
        match fetched {
            Ok(fetched) => {
                *look = fetched.look;
                next = Ok(fetched.good_for);
                if fetched.keys.is_some() {
                    outcome = Some(FetchOutcome::Fetched);
                }
                self.serve(fetched);
            }
            Err(why) => {
                outcome = Some(FetchOutcome::Failed);
                *look = None;
                match self.is_known() {
                    true => log::warn!("auth {name}: {why}; the keys that are known stay in service"),
                    false => log::warn!("auth {name}: {why}; no token can be checked yet"),
                }
            }
        }
        if let (Some(outcome), Some(metrics)) = (outcome, &self.metrics) {
            metrics.fetched(outcome);
        }
        let mut pace = self.pace.lock();
        if next.is_ok() && pace.failures > 0 {
            log::info!("auth {name}: the keys are fetched again");
        }
        pace.ended(next.map_err(|()| rand::random()), Instant::now());
        self.rounds.send_modify(|rounds| *rounds += 1);
    }

    fn serve(&self, fetched: Fetched) {
        let Some(read) = fetched.keys else { return };
        source::log_read(&self.wanted.name, &read);
        let before = self.known.load_full();
        let set = source::follow(before.as_deref().map(|known| &known.set), read);
        let known = Arc::new(Known { set, discovery: fetched.discovery });
        self.known.store(Some(Arc::clone(&known)));
        if let Some(before) = before {
            before.set.retire_all_but(&known.set);
        }
    }
}

async fn end_of_round(mut rounds: watch::Receiver<u64>) -> bool {
    matches!(tokio::time::timeout(LONGEST_WAIT, rounds.changed()).await, Ok(Ok(())))
}

#[async_trait]
impl Tend for Keys {
    async fn tend(&self) {
        let mut look = self.turn.lock().await;
        self.keep(&mut look).await;
    }
}
