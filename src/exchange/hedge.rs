//! Hedged requests (J. Dean, L. Barroso, "The Tail at Scale", 2013): where a first attempt takes long, a second one is made
//! at another endpoint, and the first good answer wins; the other attempt is given up where it stands.
//!
//! Second attempts are taken from the upstream's retry budget, so that a slow service is not buried under them. When a
//! percentile is the wait, it is that of first attempts of the last seconds; an attempt that was given up counts with the
//! time it had taken by then, or what is slow would be forgotten.

use super::call::{Call, CallAnswer, CallBody, CallError, Callee, Calls, Marking, Origin, Retries};
use crate::observe::metrics::{HedgeOutcome, TrafficMetrics};
use crate::upstream::{EndpointId, RetryDecision};
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a second attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// After that time.
    Time(Duration),
    /// Once the first takes longer than so many of a hundred did lately. Not while too few are known.
    Percentile(u8),
}

/// The compiled `hedge:` of a route.
pub struct Hedge {
    /// When a second attempt is made.
    pub after: After,
    /// Its counters; they know how long first attempts take.
    pub metrics: Arc<TrafficMetrics>,
}

/// What is asked, as often as it takes.
pub struct Question {
    /// Makes the calls.
    pub calls: Arc<Calls>,
    /// On whose behalf.
    pub origin: Arc<Origin>,
    /// Who is asked.
    pub to: Callee,
    /// The method; an idempotent one.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// The header fields, with all that tells of the client.
    pub fields: HeaderMap,
    /// The Host; `None` for the endpoint's own.
    pub host: Option<HeaderValue>,
    /// The body, whole.
    pub body: Bytes,
    /// When a failed attempt is made anew, and the budget.
    pub retries: Arc<Retries>,
}

type Answered = Result<CallAnswer, CallError>;

impl Question {
    /// Asks once, with its retries; after an endpoint that has been asked for the same already, another one.
    pub async fn ask(&self, after: Option<EndpointId>) -> Answered {
        let body = if self.body.is_empty() { CallBody::None } else { CallBody::Whole(self.body.clone()) };
        let call = Call {
            host: self.host.clone(),
            marking: Marking::Done,
            body,
            retries: Arc::clone(&self.retries),
            after,
            ..Call::new(self.to.clone(), self.method.clone(), self.target.clone(), self.fields.clone())
        };
        self.calls.send(call, &self.origin).await
    }
}

impl Hedge {
    /// The first good answer of one attempt, or of two.
    ///
    /// # Errors
    /// Why the first attempt has none, where the second has none either.
    pub async fn answer(&self, question: &Question) -> Answered {
        let began = Instant::now();
        let mut first = pin!(question.ask(None));
        if let Some(wait) = self.wait(question) {
            tokio::select! {
                biased;
                answer = &mut first => return self.learn(answer, question, began),
                () = tokio::time::sleep(wait) => {}
            }
            if let Some(asked) = self.may_ask_another(question) {
                let second = pin!(question.ask(Some(asked)));
                let (answer, outcome) = race(first, second).await;
                self.metrics.hedged(question.origin.worker, outcome);
                return self.learn(answer, question, began);
            }
        }
        self.learn(first.await, question, began)
    }

    fn wait(&self, question: &Question) -> Option<Duration> {
        match self.after {
            After::Time(time) => Some(time),
            After::Percentile(percent) => self.metrics.first_attempts.percentile(percent, question.calls.now().0),
        }
    }

    /// The endpoint the first attempt is at, where there is another one and the budget has room.
    fn may_ask_another(&self, question: &Question) -> Option<EndpointId> {
        let (now, worker, upstream) = (question.calls.now(), question.origin.worker, &question.to.upstream);
        let asked = question.origin.ledger.last().map(|(_, endpoint)| endpoint.id());
        let Some(asked) = asked.filter(|asked| upstream.has_other(&[*asked], question.to.subset, now)) else {
            self.metrics.hedged(worker, HedgeOutcome::Alone);
            return None;
        };
        if upstream.budget().try_retry(question.retries.budget, now) != RetryDecision::Granted {
            self.metrics.hedged(worker, HedgeOutcome::OverBudget);
            return None;
        }
        Some(asked)
    }

    fn learn(&self, answer: Answered, question: &Question, began: Instant) -> Answered {
        if answer.is_ok() && matches!(self.after, After::Percentile(_)) {
            self.metrics.first_attempts.record(began.elapsed(), question.calls.now().0);
        }
        answer
    }

    /// What it does, in a line of the plan.
    pub fn describe(&self) -> String {
        match self.after {
            After::Time(time) => format!("hedges idempotent requests after {time:?}"),
            After::Percentile(percent) => format!("hedges idempotent requests after p{percent} of the last seconds"),
        }
    }
}

/// The first good answer; where there is none, that of the first attempt. What has not answered by then is dropped.
async fn race(
    mut first: Pin<&mut impl Future<Output = Answered>>,
    mut second: Pin<&mut impl Future<Output = Answered>>,
) -> (Answered, HedgeOutcome) {
    tokio::select! {
        biased;
        answer = &mut first => match is_good(&answer) {
            true => (answer, HedgeOutcome::Lost),
            false => match second.await {
                other if is_good(&other) => (other, HedgeOutcome::Won),
                _ => (answer, HedgeOutcome::Failed),
            },
        },
        answer = &mut second => match is_good(&answer) {
            true => (answer, HedgeOutcome::Won),
            false => {
                let answer = first.await;
                let outcome = if is_good(&answer) { HedgeOutcome::Lost } else { HedgeOutcome::Failed };
                (answer, outcome)
            }
        },
    }
}

fn is_good(answer: &Answered) -> bool {
    answer.as_ref().is_ok_and(|answer| !answer.status.is_server_error())
}
