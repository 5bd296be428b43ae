//! The policy itself: asks the providers of a route in order and makes one decision of their verdicts.

use super::{Authenticate, Provider, Refusal, Verdict};
use crate::consumer::CurrentConsumers;
use crate::observe::metrics::AuthOutcome;
use crate::policy::{BodyDecision, BodyPiece, ChainBuilder, Decision, OnRequest, OnRequestBody, Stage, Wait};
use crate::reply::{Fixed, Reason, Reply};
use crate::request::{Caller, RequestCx, RequestView, tell_anonymous};
use http::header;
use std::sync::Arc;

/// What becomes of a request without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anonymous {
    /// 401.
    Refused,
    /// It passes, without a caller, and the upstream is told so.
    Passes,
}

/// What becomes of the credentials of a request that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They end here.
    Removed,
    /// The upstream sees them.
    Forwarded,
}

/// What a route asks of callers.
pub struct AuthPlan {
    /// Asked in order; one that knows the caller is enough.
    pub providers: Box<[Arc<Provider>]>,
    /// Without credentials.
    pub anonymous: Anonymous,
    /// With good ones.
    pub credentials: Credentials,
    /// Who is known.
    pub consumers: Arc<CurrentConsumers>,
}

/// The compiled policy.
#[derive(Clone)]
pub struct Auth(Arc<AuthPlan>);

/// What the providers asked so far have said, the weightiest of it.
#[derive(Default)]
struct Said {
    unavailable: bool,
    /// By the provider of that position.
    refused: Option<(usize, Refusal)>,
    foreign: Option<(usize, Refusal)>,
    login: Option<Box<Fixed>>,
    /// Refusals in words of the service that was asked.
    answer: Option<Box<Fixed>>,
}

impl Auth {
    /// A policy of that plan.
    pub fn new(plan: AuthPlan) -> Self {
        Self(Arc::new(plan))
    }

    /// The names of the providers, in the order they are asked.
    pub fn provider_names(&self) -> impl Iterator<Item = &str> {
        self.0.providers.iter().map(|provider| &*provider.name)
    }

    /// Adds the policy's hook to a route.
    pub fn attach(self, chain: &mut ChainBuilder) {
        let hook = Arc::new(self);
        if hook.0.providers.iter().any(|provider| provider.vouches_for_bodies()) {
            chain.on_request_body(Stage::Authenticate, hook.clone());
        }
        chain.on_request(Stage::Authenticate, hook);
    }

    /// Asks the providers from position `next` on.
    fn ask(&self, next: usize, mut said: Said, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let consumers = self.0.consumers.load();
        for (position, provider) in self.0.providers.iter().enumerate().skip(next) {
            match plainly(provider.authenticate(cx, request, &consumers), cx) {
                Verdict::Wait(pending) => {
                    let auth = self.clone();
                    return Decision::Wait(Wait::new(async move {
                        let verdict = pending.await;
                        Box::new(move |cx: &mut RequestCx, request: &mut RequestView<'_>| {
                            let verdict = plainly(verdict, cx);
                            match auth.take(position, verdict, &mut said, (cx, request)) {
                                Some(decision) => decision,
                                None => auth.ask(position + 1, said, cx, request),
                            }
                        }) as _
                    }));
                }
                verdict => {
                    if let Some(decision) = self.take(position, verdict, &mut said, (cx, request)) {
                        return decision;
                    }
                }
            }
        }
        self.conclude(said, cx, request)
    }

    /// Takes one verdict in; a decision where nobody else need be asked.
    fn take(
        &self,
        position: usize,
        verdict: Verdict,
        said: &mut Said,
        (cx, request): (&mut RequestCx, &mut RequestView<'_>),
    ) -> Option<Decision> {
        let name = self.0.providers.get(position).map_or("", |provider| &*provider.name);
        cx.note(|| format!("auth {name}: {}", plain(&verdict)));
        cx.identity.said.push(outcome(&verdict));
        match verdict {
            Verdict::Absent => {}
            Verdict::Passed(caller) => return Some(self.pass(caller, cx, request)),
            Verdict::Refused(refusal) => {
                // What was good once says more than what never was.
                if said.refused.is_none() || refusal.reason == Reason::ExpiredToken {
                    said.refused = Some((position, refusal));
                }
            }
            Verdict::Foreign(refusal) => said.foreign = said.foreign.take().or(Some((position, refusal))),
            Verdict::Ambiguous(detail) => {
                return Some(Decision::reply(Reply::new(Reason::AmbiguousCredentials).detail(detail)));
            }
            Verdict::Unavailable(why) => {
                log::warn!("auth {name}: {why}");
                said.unavailable = true;
            }
            Verdict::Login(fixed) => said.login = said.login.take().or(Some(fixed)),
            Verdict::Answer(fixed) => said.answer = said.answer.take().or(Some(fixed)),
            // A verdict that waits for another is none; refusing is the safe reading.
            Verdict::Wait(_) | Verdict::With(..) => said.unavailable = true,
        }
        None
    }

    fn pass(&self, caller: Arc<Caller>, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        self.strip(cx, request);
        caller.tell(request.headers);
        cx.identity.caller = Some(caller);
        Decision::Continue
    }

    /// Removes the credentials of every way the route accepts, whichever of them counted.
    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        if self.0.credentials == Credentials::Removed {
            self.0.providers.iter().for_each(|provider| provider.strip(cx, request));
        }
    }

    /// Decides when no provider knew the caller.
    fn conclude(&self, said: Said, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if said.unavailable {
            return Decision::reply(Reason::ProviderUnavailable);
        }
        // A refusal of ours tells more than one in the words of a service, and that more than "not for me".
        if said.refused.is_none()
            && let Some(fixed) = said.answer
        {
            return Decision::Answer(fixed);
        }
        if let Some((position, refusal)) = said.refused.or(said.foreign) {
            let reply = Reply::new(refusal.reason).detail(refusal.detail.clone());
            return Decision::reply(self.challenged(reply, Some((position, &refusal))));
        }
        if self.0.anonymous == Anonymous::Passes {
            self.strip(cx, request);
            tell_anonymous(request.headers);
            return Decision::Continue;
        }
        match said.login {
            Some(fixed) => Decision::Answer(fixed),
            None => Decision::reply(self.challenged(Reason::NoCredentials.into(), None)),
        }
    }

    /// The answer to a request of nobody known that only somebody known may send.
    pub fn unknown(&self) -> Decision {
        Decision::reply(self.challenged(Reason::NoCredentials.into(), None))
    }

    /// The reply with the challenges of every way the route accepts.
    fn challenged(&self, reply: Reply, refusal: Option<(usize, &Refusal)>) -> Reply {
        let mut challenges = Vec::new();
        for (position, provider) in self.0.providers.iter().enumerate() {
            let own = refusal.filter(|(by, _)| *by == position).map(|(_, refusal)| refusal);
            if let Some(challenge) = provider.challenge(own)
                && !challenges.contains(&challenge)
            {
                challenges.push(challenge);
            }
        }
        challenges.into_iter().fold(reply, |reply, challenge| reply.field(header::WWW_AUTHENTICATE, challenge))
    }
}

/// The verdict alone; what it wants said in the answer is noted.
fn plainly(verdict: Verdict, cx: &mut RequestCx) -> Verdict {
    match verdict {
        Verdict::With(fields, inner) => {
            cx.changes.response.extend(fields);
            plainly(*inner, cx)
        }
        verdict => verdict,
    }
}

/// A verdict as the metrics count it.
fn outcome(verdict: &Verdict) -> AuthOutcome {
    match verdict {
        Verdict::Passed(_) => AuthOutcome::Passed,
        Verdict::Absent | Verdict::Login(_) => AuthOutcome::Absent,
        Verdict::Refused(_) | Verdict::Foreign(_) | Verdict::Ambiguous(_) | Verdict::Answer(_) => AuthOutcome::Refused,
        Verdict::Unavailable(_) | Verdict::Wait(_) | Verdict::With(..) => AuthOutcome::Unavailable,
    }
}

/// A verdict in words, for `explain`.
fn plain(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Absent => "no credential for it".into(),
        Verdict::Passed(caller) => format!("passes as {}", caller.id),
        Verdict::Refused(refusal) | Verdict::Foreign(refusal) => {
            format!("{}: {}", refusal.reason.slug(), refusal.detail)
        }
        Verdict::Ambiguous(detail) => (*detail).to_owned(),
        Verdict::Unavailable(why) => format!("unavailable: {why}"),
        Verdict::Login(_) => "no session; sends the browser to log in".into(),
        Verdict::Answer(fixed) => format!("refused by the service that was asked: {}", fixed.status.as_u16()),
        Verdict::Wait(_) => "asks another service".into(),
        Verdict::With(_, verdict) => plain(verdict),
    }
}

impl OnRequestBody for Auth {
    /// Checks the digest that a signature covers before the last piece has gone up.
    fn on_request_body(&self, cx: &mut RequestCx, piece: BodyPiece<'_>) -> BodyDecision {
        let Some(digest) = &mut cx.identity.body else { return BodyDecision::Continue };
        digest.update(piece.bytes);
        if !piece.last || cx.identity.body.take().is_some_and(|digest| digest.holds()) {
            return BodyDecision::Continue;
        }
        let reply = Reply::new(Reason::BadCredentials).detail("The body is not the one that was signed.");
        BodyDecision::Reply(Box::new(self.challenged(reply, None)))
    }
}

impl OnRequest for Auth {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        let mut lines = 0;
        request.headers.each(&header::AUTHORIZATION, &mut |_| lines += 1);
        if lines > 1 {
            let detail = "A request has at most one Authorization field.";
            return Decision::reply(Reply::new(Reason::AmbiguousCredentials).detail(detail));
        }
        self.ask(0, Said::default(), cx, request)
    }

    fn describe(&self) -> String {
        let names: Vec<String> =
            self.0.providers.iter().map(|provider| format!("{} ({})", provider.name, provider.kind())).collect();
        let mut text = format!("auth {}", names.join(", or "));
        if self.0.anonymous == Anonymous::Passes {
            text.push_str("; without credentials too");
        }
        if self.0.credentials == Credentials::Forwarded {
            text.push_str("; credentials go upstream");
        }
        text
    }
}
