//! Endpoints given by name: resolved in the background, never on the way of a request.
//!
//! A name's last good answer stays in use for as long as DNS gives none; that it fails is logged once, and once when it
//! works again. All names of an upstream are resolved together: every `dns_interval`, or sooner while one fails (0.5 s,
//! doubling up to the interval). Record lifetimes are not known to the system's resolver and so are not used.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use pingora_core::server::ShutdownWatch;

use super::background::{Background, jittered};
use super::spec::{Family, Host, UpstreamSpec};
use super::time::Millis;
use super::{LOG, Upstream, stopped};

/// The first wait after a failure.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// A look-up that takes longer counts as failed.
const PATIENCE: Duration = Duration::from_secs(15);

/// Finds the addresses of names.
pub trait Resolve: Send + Sync {
    /// All addresses of a name, in any order, with that port.
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver (`getaddrinfo` on a thread of its own).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) }.boxed()
    }
}

/// What became of one round of resolving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    /// Every name was answered.
    Answered,
    /// At least one was not.
    Failed,
}

/// What is known of each name.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    names: BTreeMap<(String, u16), Answer>,
    /// Start of the latest round.
    asked: Option<Millis>,
}

#[derive(Clone, Debug, Default)]
struct Answer {
    /// The last good answer, sorted; empty before the first.
    addresses: Vec<SocketAddr>,
    /// Why the latest look-up failed, if it did.
    failure: Option<String>,
}

impl Answers {
    /// The names of an upstream, with what another one knew of them.
    pub(super) fn of(spec: &UpstreamSpec, before: Option<&Answers>) -> Answers {
        let names = spec.endpoints.iter().filter_map(|endpoint| match &endpoint.host {
            Host::Name(name) => Some((name.clone(), endpoint.port)),
            Host::Ip(_) => None,
        });
        let known = |key: &(String, u16)| before.and_then(|before| before.names.get(key)).cloned().unwrap_or_default();
        Answers {
            names: names.map(|key| (key.clone(), known(&key))).collect(),
            asked: before.and_then(|before| before.asked),
        }
    }

    /// The addresses of a name; none before the first answer.
    pub(super) fn addresses(&self, name: &str, port: u16) -> &[SocketAddr] {
        self.names.get(&(name.to_owned(), port)).map_or(&[], |answer| &answer.addresses)
    }

    /// Names that are not answered at present, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().filter_map(|((name, _), answer)| Some((name.as_str(), answer.failure.as_deref()?)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn unresolved(&self) -> bool {
        self.names.values().any(|answer| answer.addresses.is_empty())
    }

    /// The names to ask for, in a round that starts now.
    fn begin_round(&mut self, now: Millis) -> Vec<(String, u16)> {
        self.asked = Some(now);
        self.names.keys().cloned().collect()
    }

    /// The wait before the first round of this upstream. A reload neither restarts nor skips the wait that was under
    /// way.
    fn first_wait(&self, interval: Duration, background: &Background) -> Duration {
        match self.asked {
            Some(asked) if !self.unresolved() => {
                let failures = u32::from(self.failures().next().is_some());
                pause(failures, interval, background.random()).saturating_sub(background.now().since(asked))
            }
            _ => Duration::ZERO,
        }
    }

    /// Takes in the outcome for one name and logs what is news. Returns whether the addresses changed.
    fn learn(&mut self, upstream: &str, key: (String, u16), outcome: Result<Vec<SocketAddr>, String>) -> bool {
        let name = key.0.clone();
        let answer = self.names.entry(key).or_default();
        match outcome {
            Err(why) => {
                if answer.failure.is_none() {
                    let kept = answer.addresses.len();
                    log::warn!(target: LOG, "upstream {upstream}: {name} not resolved ({why}); addresses kept: {kept}");
                }
                answer.failure = Some(why);
                false
            }
            Ok(addresses) => {
                if answer.failure.take().is_some() {
                    log::info!(target: LOG, "upstream {upstream}: {name} is resolved again");
                }
                let changed = answer.addresses != addresses;
                if changed {
                    log::info!(target: LOG, "upstream {upstream}: {name} is at {addresses:?}");
                    answer.addresses = addresses;
                }
                changed
            }
        }
    }
}

impl Upstream {
    /// Keeps the names of this upstream resolved until `shutdown` says stop, its sender is gone, or the future is
    /// dropped. Returns at once when there are none.
    pub async fn run_resolver(&self, background: &Background, shutdown: ShutdownWatch) {
        if self.answers.lock().is_empty() {
            return;
        }
        tokio::select! {
            () = stopped(shutdown) => {}
            () = self.resolve_for_ever(background) => {}
        }
    }

    /// Resolves names once, for at most `limit`, so that the first request after a start finds endpoints. Does nothing
    /// when every name has an answer, as after a reload.
    pub async fn resolve_now(&self, background: &Background, limit: Duration) {
        if self.answers.lock().unresolved() {
            // Those that did not answer in time are asked again in the background.
            let _ = tokio::time::timeout(limit, self.resolve_round(background)).await;
        }
    }

    async fn resolve_for_ever(&self, background: &Background) {
        let interval = self.spec.dns_interval;
        let mut failures = 0_u32;
        let mut wait = self.answers.lock().first_wait(interval, background);
        loop {
            tokio::time::sleep(wait).await;
            failures = match self.resolve_round(background).await {
                Round::Answered => 0,
                Round::Failed => failures.saturating_add(1),
            };
            wait = pause(failures, interval, background.random());
        }
    }

    /// Resolves every name once, and rebuilds the set of endpoints if the addresses of any changed.
    pub(super) async fn resolve_round(&self, background: &Background) -> Round {
        let names: Vec<(String, u16)> = self.answers.lock().begin_round(background.now());
        let lookups = names.into_iter().map(|key| async move {
            let outcome = look_up(background.resolver(), &key, self.spec.family).await;
            self.learn(key, outcome)
        });
        let rounds = join_all(lookups).await;
        if rounds.contains(&Round::Failed) { Round::Failed } else { Round::Answered }
    }

    /// One name's outcome is used as soon as it is known: a slow name does not hold up its neighbours.
    fn learn(&self, key: (String, u16), outcome: Result<Vec<SocketAddr>, String>) -> Round {
        let round = if outcome.is_ok() { Round::Answered } else { Round::Failed };
        let mut answers = self.answers.lock();
        if answers.learn(&self.spec.name, key, outcome) {
            self.rebuild(&answers);
        }
        round
    }
}

async fn look_up(resolver: &dyn Resolve, key: &(String, u16), family: Family) -> Result<Vec<SocketAddr>, String> {
    let (name, port) = key;
    let found = tokio::time::timeout(PATIENCE, resolver.resolve(name, *port))
        .await
        .map_err(|_| format!("no answer in {} s", PATIENCE.as_secs()))?
        .map_err(|error| error.to_string())?;
    match usable(found, family) {
        addresses if addresses.is_empty() => Err("it has no address".into()),
        addresses => Ok(addresses),
    }
}

/// Sorted, each once, of the wanted family: the order in which a server lists addresses says nothing.
fn usable(mut addresses: Vec<SocketAddr>, family: Family) -> Vec<SocketAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    let preferred = |address: &SocketAddr| match family {
        Family::PreferV4 => address.is_ipv4(),
        Family::PreferV6 => address.is_ipv6(),
        Family::Any => true,
    };
    if addresses.iter().any(preferred) {
        addresses.retain(preferred);
    }
    addresses
}

/// The wait before the next round, after that many failed ones.
fn pause(failures: u32, interval: Duration, random: u64) -> Duration {
    let interval = interval.max(FIRST_RETRY);
    let wait = match failures.checked_sub(1) {
        None => interval,
        Some(doublings) => FIRST_RETRY.saturating_mul(1 << doublings.min(20)).min(interval),
    };
    jittered(wait, random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::{Script, background, spec};

    const INTERVAL: Duration = Duration::from_secs(30);
    /// Random bits whose jitter is none.
    const MIDDLE: u64 = 1 << 63;

    #[test]
    fn waits_an_interval_while_all_is_well() {
        assert_eq!(pause(0, INTERVAL, MIDDLE), INTERVAL);
    }

    #[test]
    fn waits_twice_as_long_after_each_failure_up_to_the_interval() {
        let waits = (1..=8).map(|failures| pause(failures, INTERVAL, MIDDLE).as_millis());
        assert_eq!(waits.collect::<Vec<_>>(), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(pause(u32::MAX, INTERVAL, MIDDLE), INTERVAL);
    }

    #[test]
    fn never_asks_without_a_pause() {
        assert_eq!(pause(0, Duration::ZERO, MIDDLE), FIRST_RETRY);
    }

    #[test]
    fn a_reload_asks_at_once_only_for_names_without_an_answer() {
        let background = background(&Script::default());
        let key = || ("shop.test".to_owned(), 80);
        let mut answers = Answers::of(&spec(&["shop.test:80"]), None);
        assert_eq!(answers.first_wait(INTERVAL, &background), Duration::ZERO);
        answers.begin_round(background.now());
        assert_eq!(answers.first_wait(INTERVAL, &background), Duration::ZERO);
        answers.learn("orders", key(), Ok(vec!["10.0.0.1:80".parse().unwrap()]));
        let carried = Answers::of(&spec(&["shop.test:80"]), Some(&answers));
        assert!(carried.first_wait(INTERVAL, &background) > Duration::from_secs(20));
        answers.learn("orders", key(), Err("down".into()));
        assert!(answers.first_wait(INTERVAL, &background) < Duration::from_secs(1), "a failing name is asked sooner");
        let more = Answers::of(&spec(&["shop.test:80", "new.test:80"]), Some(&answers));
        assert_eq!(more.first_wait(INTERVAL, &background), Duration::ZERO);
    }

    #[test]
    fn a_pause_varies_by_a_tenth() {
        assert_eq!(pause(0, INTERVAL, 0), Duration::from_secs(27));
        assert!(pause(0, INTERVAL, u64::MAX) <= Duration::from_secs(33));
        assert!(pause(0, INTERVAL, u64::MAX) > Duration::from_millis(32_999));
    }
}
