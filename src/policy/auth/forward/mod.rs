//! `forward:` asks a service of the operator's who may pass.
//!
//! Stage: Authenticate. Hook: on the head; the body is never sent. Over a reload the answers that are kept survive where
//! the whole setting is the same. With `cache:` only 2xx is kept, and the same question is asked once at a time. Fails
//! closed: a service that is down, slow, or answers anything but 2xx, 401, 403 or a redirect is 503. Example:
//! `conf/auth-ask.yaml`.

mod config;
mod question;

pub use config::{AskMethod, ForwardConfig, Per};

use super::marker::{Mark, Marker};
use super::{Authenticate, Refusal, Verdict, service};
use crate::consumer::Consumers;
use crate::fetch::{Answer, Call, Fetcher, Flight, Trust};
use crate::policy::Setup;
use crate::request::{Caller, Moment, RequestCx, RequestView};
use crate::value::{Spanned, WebUrl};
use http::{HeaderName, HeaderValue};
use question::{Meaning, Question, read};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Instant;

/// The longest answer of the service, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// Answers that are kept.
const MOST_KEPT: usize = 10_000;

/// The compiled provider.
pub struct Forward(Arc<Inner>);

struct Inner {
    name: Box<str>,
    url: WebUrl,
    fields: Fields,
    written: ForwardConfig,
    trust: Trust,
    fetcher: Arc<Fetcher>,
    memory: Arc<Memory>,
}

/// The fields that a service is sent and answers with.
struct Fields {
    send: Box<[HeaderName]>,
    copy: Box<[HeaderName]>,
    credentials: Box<[HeaderName]>,
    consumer: Option<HeaderName>,
    groups: Option<HeaderName>,
}

/// What a 2xx said, and until when it is good.
#[derive(Clone)]
struct Kept {
    caller: Arc<Caller>,
    revision: u64,
    until: Instant,
}

/// Answers that are kept, and questions under way.
struct Memory {
    marker: Marker,
    kept: Cache<Mark, Kept>,
    flight: Flight<Mark, Result<Arc<Answer>, Arc<str>>>,
}

impl Forward {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<ForwardConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let config = &written.value;
        let service = service::compile((&config.url, &config.ca), config.insecure, written.place, setup);
        let fields = Fields::compile(config, setup);
        let ((url, trust), fields) = (service?, fields?);
        let kept = previous.filter(|previous| previous.0.written == *config && previous.0.trust == trust);
        let memory = match kept {
            Some(previous) => Arc::clone(&previous.0.memory),
            None => {
                let marker = service::marker(written.place, setup)?;
                Arc::new(Memory { marker, kept: Cache::new(MOST_KEPT), flight: Flight::default() })
            }
        };
        Some(Arc::new(Self(Arc::new(Inner {
            name: name.into(),
            url,
            fields,
            written: config.clone(),
            trust,
            fetcher: Arc::clone(setup.fetcher),
            memory,
        }))))
    }
}

impl Fields {
    fn compile(config: &ForwardConfig, setup: &mut Setup<'_>) -> Option<Self> {
        let send: Vec<_> = config.send_headers.iter().map(|name| service::request_field(name, setup)).collect();
        let copy: Vec<_> = config.copy_headers.iter().map(|name| service::upstream_field(name, setup)).collect();
        let credentials: Vec<_> = config.credentials.iter().map(|name| service::request_field(name, setup)).collect();
        let consumer = config.consumer.as_ref().map(|name| service::request_field(name, setup));
        let groups = config.groups.as_ref().map(|name| service::request_field(name, setup));
        let all = |names: Vec<Option<HeaderName>>| names.into_iter().collect::<Option<Box<[_]>>>();
        Some(Self {
            send: all(send)?,
            copy: all(copy)?,
            credentials: all(credentials)?,
            consumer: consumer.map_or(Some(None), |name| name.map(Some))?,
            groups: groups.map_or(Some(None), |name| name.map(Some))?,
        })
    }
}

impl Inner {
    fn call(&self, question: Question) -> Call {
        Call {
            method: self.written.method.to_http(),
            fields: question.fields,
            timeout: self.written.timeout.get(),
            most: LONGEST_ANSWER,
            trust: self.trust.clone(),
            ..Call::get(self.url.base.clone(), self.url.target.clone())
        }
    }

    /// Asks; with a key, once at a time for the same question, and the answer is kept.
    async fn ask(self: Arc<Self>, question: Question, key: Option<Mark>, consumers: Arc<Consumers>) -> Verdict {
        let brought = question.sent > 0;
        let (asking, call) = (Arc::clone(&self), self.call(question));
        let asked =
            async move { asking.fetcher.call(&call).await.map(Arc::new).map_err(|error| Arc::from(error.to_string())) };
        let answered = match key {
            Some(key) => self.memory.flight.join(key, || asked).await,
            None => asked.await,
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => return Verdict::Unavailable(format!("the service cannot be asked: {error}").into()),
        };
        match (read(&answer), brought) {
            (Meaning::Passes, _) => self.pass(&answer, key, &consumers),
            // Nothing was brought, so nothing was refused: whether that passes is for the route to say.
            (Meaning::Told(fixed), false) if fixed.status != http::StatusCode::FORBIDDEN => Verdict::Login(fixed),
            (Meaning::Told(fixed), _) => Verdict::Answer(fixed),
            (Meaning::Unusable, _) => {
                Verdict::Unavailable(format!("the service answers {}", answer.status.as_u16()).into())
            }
        }
    }

    fn pass(&self, answer: &Answer, key: Option<Mark>, consumers: &Consumers) -> Verdict {
        let Some(caller) = self.caller(answer, consumers) else {
            return Verdict::Unavailable("the service's answer does not name the caller".into());
        };
        if let (Some(key), Some(cache)) = (key, self.written.cache.on()) {
            let until = Instant::now() + cache.get();
            let kept = Kept { caller: Arc::clone(&caller), revision: consumers.revision(), until };
            self.memory.kept.insert(key, kept);
        }
        Verdict::Passed(caller)
    }

    /// Who the answer says it is; `None` where it should name somebody and does not.
    fn caller(&self, answer: &Answer, consumers: &Consumers) -> Option<Arc<Caller>> {
        let text = |name: &HeaderName| {
            let value = answer.headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).trim().to_owned()).filter(|text| !text.is_empty())
        };
        let id = match &self.fields.consumer {
            Some(name) => text(name)?,
            None => self.name.to_string(),
        };
        let consumer = self.fields.consumer.as_ref().and_then(|_| consumers.by_id(&id).cloned());
        let mut groups = consumer.as_ref().map(|consumer| consumer.groups.to_vec()).unwrap_or_default();
        if let Some(listed) = self.fields.groups.as_ref().and_then(text) {
            groups.extend(listed.split(',').map(str::trim).filter(|group| !group.is_empty()).map(Into::into));
        }
        let mut fields = Vec::new();
        for name in &self.fields.copy {
            let values = answer.headers.get_all(name).iter();
            // Read anew: what the wire let through may not be what may be sent.
            fields.extend(
                values.filter_map(|value| Some((name.clone(), HeaderValue::from_bytes(value.as_bytes()).ok()?))),
            );
        }
        let caller = Caller {
            id: id.into(),
            consumer,
            provider: self.name.clone(),
            groups: groups.into(),
            fields,
            ..Caller::default()
        };
        Some(caller.told())
    }

    /// What is known of the question without asking. An answer that was read with other consumers in mind is asked anew.
    fn known(&self, key: &Mark, now: Moment, consumers: &Consumers) -> Option<Arc<Caller>> {
        let kept = self.memory.kept.get(key)?;
        (now.started < kept.until && kept.revision == consumers.revision()).then_some(kept.caller)
    }
}

impl Authenticate for Forward {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let mut question = Question::new(&self.0.fields.send, cx, request);
        let key = self.0.written.cache.on().map(|_| question.mark(&self.0.memory.marker, self.0.written.per));
        if let Some(caller) = key.and_then(|key| self.0.known(&key, cx.time, consumers)) {
            return Verdict::Passed(caller);
        }
        question.identify(cx.identity.request_id.as_ref());
        Verdict::wait(Arc::clone(&self.0).ask(question, key, Arc::clone(consumers)))
    }

    /// Its service challenges in its own words.
    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        None
    }

    fn strip(&self, _cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.0.fields.credentials.iter().for_each(|name| request.headers.remove(name));
    }
}
