//! The compiled hooks of one route.

use super::{
    BodyDecision, BodyPiece, BodyWork, Decision, OnRefusal, OnRequest, OnRequestBody, OnResponse, OnResponseBody,
    OnUpstreamAnswer, OnUpstreamRequest, Seen, Stage,
};
use crate::observe::metrics::{LimitMetrics, ProviderMetrics};
use crate::reply::Reply;
use crate::request::{OutgoingView, RequestCx, RequestView, ResponseView};
use std::sync::Arc;

/// Collects the policies of a route in any order and puts them into the order of their stages.
#[derive(Default)]
pub struct ChainBuilder {
    on_request: Vec<(Stage, Arc<dyn OnRequest>)>,
    on_request_body: Vec<(Stage, Arc<dyn OnRequestBody>)>,
    on_upstream_request: Vec<(Stage, Arc<dyn OnUpstreamRequest>)>,
    on_response: Vec<ResponseHook>,
    on_response_body: Vec<BodyHook>,
    on_upstream_answer: Option<Arc<dyn OnUpstreamAnswer>>,
    providers: Box<[Arc<ProviderMetrics>]>,
    remembers: bool,
    counted: Counted,
}

impl ChainBuilder {
    /// Adds a hook on the head.
    pub fn on_request(&mut self, stage: Stage, hook: Arc<dyn OnRequest>) {
        self.on_request.push((stage, hook));
    }

    /// Adds a hook on the body.
    pub fn on_request_body(&mut self, stage: Stage, hook: Arc<dyn OnRequestBody>) {
        self.on_request_body.push((stage, hook));
    }

    /// Adds a hook on the head of the answer.
    pub fn on_response(&mut self, stage: Stage, seen: Seen, hook: Arc<dyn OnResponse>) {
        self.on_response.push((stage, seen, hook));
    }

    /// Adds a hook on refusals that are to cost nothing.
    pub fn on_refusal(&mut self, hook: Arc<dyn OnRefusal>) {
        self.counted.on_refusal.push(hook);
    }

    /// Has the decisions of one more limit counted there; gives back the place they are noted by.
    pub fn count_limit(&mut self, metrics: Arc<LimitMetrics>) -> u16 {
        self.counted.limits.push(metrics);
        u16::try_from(self.counted.limits.len() - 1).unwrap_or(u16::MAX)
    }

    /// Adds a hook on the request as it leaves for an upstream.
    pub fn on_upstream_request(&mut self, stage: Stage, hook: Arc<dyn OnUpstreamRequest>) {
        self.on_upstream_request.push((stage, hook));
    }

    /// Sets the hook on the answers of upstreams.
    pub fn on_upstream_answer(&mut self, hook: Arc<dyn OnUpstreamAnswer>) {
        self.on_upstream_answer = Some(hook);
    }

    /// Adds a hook on the body of the answer.
    pub fn on_response_body(&mut self, stage: Stage, seen: Seen, hook: Arc<dyn OnResponseBody>) {
        self.on_response_body.push((stage, seen, hook));
    }

    /// Has what was asked for kept for hooks that run later; see [`crate::request::Asked`].
    pub fn remember_what_was_asked(&mut self) {
        self.remembers = true;
    }

    /// Has what the providers say counted there, in the order they are asked.
    pub fn count(&mut self, providers: Box<[Arc<ProviderMetrics>]>) {
        self.providers = providers;
    }

    /// The chain, sorted by stage; the hooks on the answer in reverse.
    pub fn build(mut self) -> Chain {
        self.on_request.sort_by_key(|(stage, _)| *stage);
        self.on_request_body.sort_by_key(|(stage, _)| *stage);
        self.on_upstream_request.sort_by_key(|(stage, _)| *stage);
        self.on_response.sort_by_key(|(stage, _, _)| std::cmp::Reverse(*stage));
        self.on_response_body.sort_by_key(|(stage, _, _)| std::cmp::Reverse(*stage));
        Chain {
            on_request: self.on_request.into(),
            on_request_body: self.on_request_body.into_iter().map(|(_, hook)| hook).collect(),
            on_upstream_request: self.on_upstream_request.into_iter().map(|(_, hook)| hook).collect(),
            on_response: self.on_response.into(),
            on_response_body: self.on_response_body.into(),
            on_upstream_answer: self.on_upstream_answer,
            providers: self.providers,
            remembers: self.remembers,
            counted: (!self.counted.is_empty()).then(|| Box::new(self.counted)),
        }
    }
}

/// A hook on answers, its stage, and which answers it sees.
type ResponseHook = (Stage, Seen, Arc<dyn OnResponse>);

/// A hook on the bodies of answers, its stage, and which answers it sees.
type BodyHook = (Stage, Seen, Arc<dyn OnResponseBody>);

/// The hooks of a route, by moment, in order. An empty list costs one comparison.
#[derive(Clone, Default)]
pub struct Chain {
    on_request: Box<[(Stage, Arc<dyn OnRequest>)]>,
    on_request_body: Box<[Arc<dyn OnRequestBody>]>,
    on_upstream_request: Box<[Arc<dyn OnUpstreamRequest>]>,
    on_response: Box<[ResponseHook]>,
    on_response_body: Box<[BodyHook]>,
    on_upstream_answer: Option<Arc<dyn OnUpstreamAnswer>>,
    providers: Box<[Arc<ProviderMetrics>]>,
    remembers: bool,
    counted: Option<Box<Counted>>,
}

fn alike<T>(one: &[T], other: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

fn is<T: ?Sized>(one: &Arc<T>, other: &Arc<T>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// What belongs to the limits of a route.
#[derive(Clone, Default)]
struct Counted {
    on_refusal: Vec<Arc<dyn OnRefusal>>,
    limits: Vec<Arc<LimitMetrics>>,
}

impl Counted {
    fn is_empty(&self) -> bool {
        self.on_refusal.is_empty() && self.limits.is_empty()
    }
}

/// How far a request has come in its chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The hook on the head that decides next.
    next: usize,
    /// The stage of the hook that decided last.
    reached: Option<Stage>,
}

impl Progress {
    /// Past every policy: what an answer of the upstream, or a failure of it, unwinds from.
    pub const DONE: Self = Self { next: usize::MAX, reached: Some(Stage::LAST) };
}

impl Chain {
    /// Whether both have the very same hooks, in the same order. Chains that count are told apart: they count for one route.
    pub fn is_same(&self, other: &Self) -> bool {
        // Taken apart whole: a list that is added and not compared would give a route the policies of another.
        let Self {
            on_request,
            on_request_body,
            on_upstream_request,
            on_response,
            on_response_body,
            on_upstream_answer,
            providers,
            remembers,
            counted,
        } = self;
        let answers = on_upstream_answer.as_slice();
        alike(on_request, &other.on_request, |(a, one), (b, two)| a == b && is(one, two))
            && alike(on_request_body, &other.on_request_body, is)
            && alike(on_upstream_request, &other.on_upstream_request, is)
            && alike(on_response, &other.on_response, |(a, s, one), (b, t, two)| (a, s) == (b, t) && is(one, two))
            && alike(on_response_body, &other.on_response_body, |(a, s, one), (b, t, two)| {
                (a, s) == (b, t) && is(one, two)
            })
            && alike(answers, other.on_upstream_answer.as_slice(), is)
            && alike(providers, &other.providers, is)
            && *remembers == other.remembers
            && counted.is_none()
            && other.counted.is_none()
    }

    /// Runs the hooks on the head, from where `progress` stands, until one does not say [`Decision::Continue`].
    ///
    /// After [`Decision::Wait`] it is called again when what resumes it has decided to continue.
    pub fn on_request(&self, progress: &mut Progress, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        for (stage, hook) in self.on_request.get(progress.next..).unwrap_or_default() {
            progress.next += 1;
            progress.reached = Some(*stage);
            let decision = hook.on_request(cx, request);
            if !decision.is_continue() {
                return decision;
            }
        }
        *progress = Progress::DONE;
        Decision::Continue
    }

    /// Runs the hooks on a piece of the body until one replies.
    pub fn on_request_body(&self, cx: &mut RequestCx, piece: BodyPiece<'_>) -> BodyDecision {
        for hook in &self.on_request_body {
            let decision = hook.on_request_body(cx, piece);
            if decision != BodyDecision::Continue {
                return decision;
            }
        }
        BodyDecision::Continue
    }

    /// Runs the hooks on a request that leaves for an upstream; what is done to its body comes back, in order.
    ///
    /// # Errors
    /// The refusal of the first that refuses.
    pub fn on_upstream_request(
        &self,
        cx: &mut RequestCx,
        request: &mut OutgoingView<'_>,
    ) -> Result<Vec<BodyWork>, Box<Reply>> {
        let mut works = Vec::new();
        for hook in &self.on_upstream_request {
            match hook.on_upstream_request(cx, request)? {
                BodyWork::Leave => {}
                work => works.push(work),
            }
        }
        Ok(works)
    }

    /// Asks the hooks on the body of an answer, last stage first and from the one at `next`, until one has work to do;
    /// then `next` is the one after it.
    ///
    /// # Errors
    /// The refusal of one that cannot let the answer pass.
    pub fn on_response_body(
        &self,
        (next, progress): (&mut usize, Progress),
        cx: &mut RequestCx,
        response: &mut ResponseView<'_>,
    ) -> Result<BodyWork, Box<Reply>> {
        for (stage, seen, hook) in self.on_response_body.get(*next..).unwrap_or_default() {
            *next += 1;
            if *seen == Seen::Unwinding && Some(*stage) > progress.reached {
                continue;
            }
            match hook.on_response_body(cx, response)? {
                BodyWork::Leave => {}
                work => return Ok(work),
            }
        }
        Ok(BodyWork::Leave)
    }

    /// The hook on the answers of upstreams.
    pub fn on_upstream_answer(&self) -> Option<&dyn OnUpstreamAnswer> {
        self.on_upstream_answer.as_deref()
    }

    /// Whether the route changes requests as they leave.
    pub fn changes_upstream_requests(&self) -> bool {
        !self.on_upstream_request.is_empty()
    }

    /// Whether the route may change the bodies of answers.
    pub fn changes_response_bodies(&self) -> bool {
        !self.on_response_body.is_empty()
    }

    /// Whether what was asked for is kept for later hooks.
    pub fn remembers_what_was_asked(&self) -> bool {
        self.remembers
    }

    /// Runs the hooks on the head of an answer, last stage first: on those of the gateway itself only the hooks whose
    /// stage the request has reached, and those that are always seen.
    pub fn on_response(&self, progress: Progress, cx: &mut RequestCx, response: &mut ResponseView<'_>) {
        for (stage, seen, hook) in &self.on_response {
            if *seen == Seen::Always || Some(*stage) <= progress.reached {
                hook.on_response(cx, response);
            }
        }
    }

    /// Whether the route looks at bodies on their way up.
    pub fn reads_request_body(&self) -> bool {
        !self.on_request_body.is_empty()
    }

    /// Whether the route changes answers.
    pub fn changes_responses(&self) -> bool {
        !self.on_response.is_empty()
    }

    /// Runs the hooks on a refusal that is to cost nothing.
    pub fn on_refusal(&self, cx: &mut RequestCx) {
        for hook in self.counted.iter().flat_map(|counted| &counted.on_refusal) {
            hook.on_refusal(cx);
        }
    }

    /// Counters of the limits, in the order of their places.
    pub fn limits(&self) -> &[Arc<LimitMetrics>] {
        self.counted.as_ref().map_or(&[], |counted| &counted.limits)
    }

    /// Counters of the providers that are asked for the caller, in their order.
    pub fn providers(&self) -> &[Arc<ProviderMetrics>] {
        &self.providers
    }

    /// One line for each policy on the head, in order.
    pub fn describe(&self) -> Vec<String> {
        self.on_request.iter().map(|(_, hook)| hook.describe()).collect()
    }

    /// The lines of the policies on requests that leave.
    pub fn describe_upstream_requests(&self) -> Vec<String> {
        self.on_upstream_request.iter().flat_map(|hook| hook.describe()).collect()
    }

    /// The lines of the policies that act on answers alone.
    pub fn describe_responses(&self) -> Vec<String> {
        let errors = self.on_upstream_answer.iter().flat_map(|hook| hook.describe());
        let heads = self.on_response.iter().filter_map(|(_, _, hook)| hook.describe_response());
        errors.chain(heads).chain(self.on_response_body.iter().flat_map(|(_, _, hook)| hook.describe())).collect()
    }

    /// Runs the hook on the head at `position`, for an explanation; `None` past the last.
    pub fn explain(&self, position: usize, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Option<Decision> {
        self.on_request.get(position).map(|(_, hook)| hook.on_request(cx, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Wait;
    use crate::reply::{Reason, Reply};
    use crate::request::{Answered, Maker};
    use http::{HeaderMap, HeaderName, HeaderValue};

    struct Refuse(Reason);

    impl OnRequest for Refuse {
        fn on_request(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
            Decision::reply(self.0)
        }

        fn describe(&self) -> String {
            "refuse".into()
        }
    }

    /// Waits, then lets pass.
    struct Ask;

    impl OnRequest for Ask {
        fn on_request(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) -> Decision {
            Decision::Wait(Wait::new(async {
                Box::new(|_: &mut RequestCx, _: &mut RequestView<'_>| Decision::Continue) as _
            }))
        }

        fn describe(&self) -> String {
            "ask".into()
        }
    }

    struct Mark(&'static str);

    impl OnResponse for Mark {
        fn on_response(&self, _cx: &mut RequestCx, response: &mut ResponseView<'_>) {
            response.headers.append(&HeaderName::from_static("x-mark"), HeaderValue::from_static(self.0));
        }
    }

    fn run(chain: &Chain, progress: &mut Progress) -> Decision {
        let mut headers = HeaderMap::new();
        let mut view = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
        chain.on_request(progress, &mut RequestCx::at(0), &mut view)
    }

    fn marks(chain: &Chain, progress: Progress) -> Vec<String> {
        let (asked, mut headers) = (HeaderMap::new(), HeaderMap::new());
        let request = Answered { method: "GET", headers: &asked };
        let mut view = ResponseView { request, status: 403, maker: Maker::Gateway, headers: &mut headers };
        chain.on_response(progress, &mut RequestCx::at(0), &mut view);
        headers.get_all("x-mark").iter().map(|mark| mark.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_earlier_stage_decides_first_whatever_the_order_of_adding() {
        let mut builder = ChainBuilder::default();
        builder.on_request(Stage::Limit, Arc::new(Refuse(Reason::Overloaded)));
        builder.on_request(Stage::Guard, Arc::new(Refuse(Reason::BodyTooLarge)));
        let decision = run(&builder.build(), &mut Progress::default());
        assert_eq!(decision.refusal(), Some(&Reply::new(Reason::BodyTooLarge)));
    }

    #[test]
    fn chains_are_the_same_where_their_hooks_are() {
        let (one, other) = (Arc::new(Refuse(Reason::Overloaded)), Arc::new(Refuse(Reason::Overloaded)));
        let chain = |hook: &Arc<Refuse>, stage| {
            let mut builder = ChainBuilder::default();
            builder.on_request(stage, hook.clone());
            builder.build()
        };
        assert!(chain(&one, Stage::Limit).is_same(&chain(&one, Stage::Limit)));
        assert!(!chain(&one, Stage::Limit).is_same(&chain(&other, Stage::Limit)));
        assert!(!chain(&one, Stage::Limit).is_same(&chain(&one, Stage::Guard)));
        assert!(!chain(&one, Stage::Limit).is_same(&Chain::default()));
    }

    #[test]
    fn goes_on_after_a_wait_with_the_next_policy() {
        let mut builder = ChainBuilder::default();
        builder.on_request(Stage::Authenticate, Arc::new(Ask));
        builder.on_request(Stage::Limit, Arc::new(Refuse(Reason::Overloaded)));
        let (chain, mut progress) = (builder.build(), Progress::default());
        assert!(matches!(run(&chain, &mut progress), Decision::Wait(_)));
        assert!(run(&chain, &mut progress).refusal().is_some());
    }

    #[test]
    fn a_reply_unwinds_what_the_request_has_passed_and_what_is_always_seen() {
        let mut builder = ChainBuilder::default();
        builder.on_request(Stage::Authenticate, Arc::new(Refuse(Reason::Overloaded)));
        builder.on_response(Stage::Guard, Seen::Unwinding, Arc::new(Mark("guard")));
        builder.on_response(Stage::Limit, Seen::Unwinding, Arc::new(Mark("limit")));
        builder.on_response(Stage::Transform, Seen::Always, Arc::new(Mark("always")));
        let (chain, mut progress) = (builder.build(), Progress::default());
        assert_eq!(marks(&chain, progress), ["always"]);
        let _ = run(&chain, &mut progress);
        assert_eq!(marks(&chain, progress), ["always", "guard"]);
        assert_eq!(marks(&chain, Progress::DONE), ["always", "limit", "guard"]);
    }
}
