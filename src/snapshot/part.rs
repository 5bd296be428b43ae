//! What a part of a combined answer has of its own, by the very policies that routes have: limits, and answers from memory.

use crate::cache::{Answer, Asked, Authority, Cache, Found, Look, Place, Plan};
use crate::exchange::Incoming;
use crate::exchange::call::{Call, CallBody, Origin};
use crate::exchange::combine::{Admission, Memory, Recall, Recalled, Remember, Shaper};
use crate::observe::Worker;
use crate::observe::metrics::{CacheMetrics, CacheOutcome};
use crate::policy::transform::{Facts, Shaping};
use crate::policy::{Chain, Decision, Progress, Resume};
use crate::reply::{Reason, Reply};
use crate::request::{Answered, Asked as AskedFor, Identity, Moment, RequestCx, RequestView, Scheme};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What policies know of the request that a call is made for.
fn context(origin: &Origin) -> RequestCx {
    let now = Moment { started: Instant::now(), wall: SystemTime::now() };
    let identity =
        Identity { caller: origin.caller.clone(), request_id: Some(origin.request_id.clone()), ..Identity::default() };
    RequestCx { client: origin.client, scheme: origin.scheme, identity, ..RequestCx::new(now) }
}

/// The same, with what was asked for.
fn context_of(request: &Incoming) -> RequestCx {
    let mut cx = context(&request.origin);
    cx.changes.asked = Some(Box::new(AskedFor {
        host: request.host.clone(),
        path: request.path.clone(),
        query: request.query.clone(),
        captures: request.captures.clone(),
    }));
    cx
}

/// The program that makes an answer of its parts.
pub struct PartProgram(pub Shaping);

impl Shaper for PartProgram {
    fn shape(&self, parts: Bytes, request: &Incoming) -> BoxFuture<'static, Result<Bytes, Box<Reply>>> {
        let cx = context_of(request);
        let asked = Answered { method: request.method.as_str(), headers: &request.headers };
        self.0.shape(parts, &Facts { cx: &cx, request: asked, status: None })
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// The limits of one part.
pub struct PartLimits(pub Arc<Chain>);

/// One request before the limits of a part.
struct Asking {
    chain: Arc<Chain>,
    cx: RequestCx,
    method: Method,
    host: Box<str>,
    path: Box<str>,
    query: Option<Box<str>>,
    headers: HeaderMap,
    worker: Worker,
}

impl Admission for PartLimits {
    fn admit(&self, request: &Incoming, calls: usize) -> BoxFuture<'static, Result<(), Box<Reply>>> {
        let cx = context_of(request);
        let asking = Asking {
            chain: Arc::clone(&self.0),
            cx,
            method: request.method.clone(),
            host: request.host.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            worker: request.origin.worker,
        };
        Box::pin(asking.decide(calls))
    }

    fn describe(&self) -> Vec<String> {
        self.0.describe()
    }
}

impl Asking {
    async fn decide(mut self, calls: usize) -> Result<(), Box<Reply>> {
        let mut decided = Ok(());
        for _ in 0..calls {
            decided = self.once().await;
            if decided.is_err() {
                break;
            }
        }
        for (place, decision) in &self.cx.changes.ledger.decided {
            if let Some(limit) = self.chain.limits().get(usize::from(*place)) {
                limit.record(self.worker, *decision);
            }
        }
        decided
    }

    async fn once(&mut self) -> Result<(), Box<Reply>> {
        let (mut progress, mut resume) = (Progress::default(), None);
        loop {
            match self.step(&mut progress, resume.take()) {
                Decision::Continue => return Ok(()),
                Decision::Reply(reply) => return Err(reply),
                Decision::Answer(_) => return Err(Box::new(Reason::Internal.into())), // no limit answers
                Decision::Wait(wait) => resume = Some(wait.into_future().await),
            }
        }
    }

    /// Goes on until one of the limits does not let the request pass at once; what a wait has brought decides first.
    fn step(&mut self, progress: &mut Progress, resume: Option<Resume>) -> Decision {
        let chain = Arc::clone(&self.chain);
        let (cx, mut view) = self.sides();
        match resume.map(|resume| resume(cx, &mut view)) {
            None | Some(Decision::Continue) => chain.on_request(progress, cx, &mut view),
            Some(decision) => decision,
        }
    }

    fn sides(&mut self) -> (&mut RequestCx, RequestView<'_>) {
        let Self { cx, method, host, path, query, headers, .. } = self;
        let view = RequestView { method: method.as_str(), host, path, query: query.as_deref(), headers };
        (cx, view)
    }
}

/// The answers of one part, kept.
pub struct PartMemory {
    /// What may be kept how long.
    pub plan: Arc<Plan>,
    /// Where it is kept.
    pub cache: Arc<Cache>,
    /// What is counted of it.
    pub metrics: Arc<CacheMetrics>,
    /// Fields that the part's calls have: an answer may depend on them whether it says so or not.
    pub own: Box<[HeaderName]>,
}

impl Memory for PartMemory {
    fn recall(&self, call: &Call, origin: &Origin) -> BoxFuture<'static, Recall> {
        let (metrics, worker) = (Arc::clone(&self.metrics), origin.worker);
        if call.method != Method::GET || !matches!(call.body, CallBody::None) {
            metrics.record(worker, CacheOutcome::Bypass);
            return Box::pin(std::future::ready(Recall::Past));
        }
        let (store, cx) = (self.cache.store(), context(origin));
        let epoch = store.epoch();
        let key = store.key(self.key(call, &cx));
        let object = match store.get(&key, &call.fields) {
            Look::Found(object) => Some(object),
            Look::OtherVariant(_) | Look::Nothing => None,
        };
        let known = object.is_some();
        let found = Found { object, request: &call.fields, epoch };
        let remembering = Box::new(Remembering {
            asked: Arc::new(Asked::new(Arc::clone(&self.plan), key, cx.time.wall, found)),
            cache: Arc::clone(&self.cache),
            metrics,
            worker,
            authenticated: origin.caller.is_some() || call.fields.contains_key(header::AUTHORIZATION),
            keyed_by_caller: self.plan.is_keyed_by(&cx),
        });
        Box::pin(async move {
            if known && let Some((headers, body)) = remembering.cache.recall(&remembering.asked).await {
                remembering.metrics.record(worker, CacheOutcome::Hit);
                return Recall::Known(Recalled { headers, body });
            }
            Recall::Unknown(remembering)
        })
    }

    fn describe(&self) -> String {
        self.plan.describe()
    }
}

impl PartMemory {
    /// Everything the answer to a call may depend on.
    fn key(&self, call: &Call, cx: &RequestCx) -> Vec<u8> {
        let place = Place {
            scheme: Scheme::Http,
            authority: Authority(call.to.upstream.name()),
            path: call.target.path(),
            query: call.target.query(),
        };
        let mut text = self.plan.key(&place, cx, &call.fields);
        for name in &self.own {
            for value in call.fields.get_all(name) {
                text.extend_from_slice(name.as_str().as_bytes());
                text.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
                text.extend_from_slice(value.as_bytes());
            }
        }
        text
    }
}

/// Keeps the answer to one call.
struct Remembering {
    asked: Arc<Asked>,
    cache: Arc<Cache>,
    metrics: Arc<CacheMetrics>,
    worker: Worker,
    authenticated: bool,
    keyed_by_caller: bool,
}

#[async_trait]
impl Remember for Remembering {
    async fn remember(self: Box<Self>, status: StatusCode, headers: &HeaderMap, body: &Bytes) {
        let mut headers = headers.clone();
        headers.remove(header::CONTENT_ENCODING); // the body is kept without one
        headers.remove(header::CONTENT_LENGTH);
        let arrived = SystemTime::now();
        let answer = Answer {
            status,
            headers: &headers,
            arrived,
            delay: arrived.duration_since(self.asked.now).unwrap_or_default(),
            authenticated: self.authenticated,
            keyed_by_caller: self.keyed_by_caller,
        };
        let kept = self.cache.remember(&self.asked, &answer, body.clone()).await;
        let outcome = if kept.is_ok() { CacheOutcome::Miss } else { CacheOutcome::Uncacheable };
        self.metrics.record(self.worker, outcome);
    }
}
