//! `introspection:` asks the issuer of a token what it is worth (RFC 7662).
//!
//! Stage: Authenticate. Hook: on the head. Over a reload everything learnt is kept where the whole setting and its secret
//! are the same. One question at a time for one token, whoever asks. Good answers are kept for `cache`, never past the
//! token's `exp`; bad ones for `cache_inactive`, apart, so that a flood of them displaces nothing. Fails closed: a
//! provider that is down, slow, or answers nonsense is 503. Example: `conf/auth-ask.yaml`.

mod config;
mod judge;
mod memory;

pub use config::{IntrospectionConfig, TokenFormat};

use super::token::{Found, looks_like_jwt};
use super::{Authenticate, Refusal, Verdict, challenge, service};
use crate::consumer::{Consumers, SubjectKind};
use crate::fetch::{Call, Fetcher, Trust};
use crate::policy::Setup;
use crate::reply::Reason;
use crate::request::{Caller, Moment, RequestCx, RequestView, told_value};
use crate::value::{Secret, Spanned, WebUrl};
use http::{HeaderName, HeaderValue, Method, header};
use judge::{Judged, Rules, judge};
use memory::{Good, Memory, TokenKey};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The longest answer of a provider, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The compiled provider.
pub struct Introspection(Arc<Inner>);

struct Inner {
    name: Box<str>,
    url: WebUrl,
    authorization: Option<HeaderValue>,
    rules: Rules,
    headers: Box<[(Box<str>, HeaderName)]>,
    written: IntrospectionConfig,
    secret: Option<Secret>,
    trust: Trust,
    fetcher: Arc<Fetcher>,
    memory: Arc<Memory>,
}

impl Introspection {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<IntrospectionConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let config = &written.value;
        let service = service::compile((&config.url, &config.ca), config.insecure, written.place, setup);
        let secret = config.client_secret.as_ref().map(|secret| setup.secret(secret));
        let credentials = credentials(written, secret.as_ref(), setup);
        let headers: Vec<_> = config
            .headers
            .iter()
            .map(|(claim, field)| Some((claim.value.as_str().into(), service::upstream_field(field, setup)?)))
            .collect();
        let headers: Option<Vec<_>> = headers.into_iter().collect();
        let ((url, trust), authorization, headers) = (service?, credentials?, headers?);
        let secret = secret.flatten();
        setup.redacted.extend(config.from.query().map(str::to_owned));
        let kept = previous.filter(|previous| previous.0.means(config, secret.as_ref(), &trust));
        let memory = match kept {
            Some(previous) => Arc::clone(&previous.0.memory),
            None => Arc::new(Memory::new(service::marker(written.place, setup)?)),
        };
        Some(Arc::new(Self(Arc::new(Inner {
            name: name.into(),
            url,
            authorization,
            rules: Rules {
                audience: config.audience.0.clone().into(),
                issuer: config.issuer.as_deref().map(Into::into),
                leeway: config.leeway.as_secs(),
            },
            headers: headers.into(),
            written: config.clone(),
            secret,
            trust,
            fetcher: Arc::clone(setup.fetcher),
            memory,
        }))))
    }
}

/// The field that proves who asks; nothing where nothing is written. `None` where a problem was recorded.
fn credentials(
    written: &Spanned<IntrospectionConfig>,
    secret: Option<&Option<Secret>>,
    setup: &mut Setup<'_>,
) -> Option<Option<HeaderValue>> {
    match (&written.client_id, secret) {
        (None, None) => Some(None),
        (Some(id), Some(secret)) => Some(Some(service::basic(&id.value, secret.as_ref()?)?)),
        (id, _) => {
            let place = id.as_ref().map_or(written.place, |id| id.place);
            setup
                .problems
                .error(place, "`client_id` and `client_secret` go together")
                .hint("write both, or neither where the provider needs none");
            None
        }
    }
}

impl Inner {
    /// Whether everything that gives answers their meaning is the same.
    fn means(&self, config: &IntrospectionConfig, secret: Option<&Secret>, trust: &Trust) -> bool {
        self.written == *config && self.secret.as_ref() == secret && self.trust == *trust
    }

    fn call(&self, token: &str) -> Call {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(token.len() + 32));
        form.append_pair("token", token);
        if let Some(hint) = &self.written.token_type_hint {
            form.append_pair("token_type_hint", hint);
        }
        let mut fields = vec![
            (header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (header::ACCEPT, HeaderValue::from_static("application/json")),
        ];
        fields.extend(self.authorization.clone().map(|value| (header::AUTHORIZATION, value)));
        Call {
            method: Method::POST,
            fields,
            body: form.finish().into(),
            timeout: self.written.timeout.get(),
            most: LONGEST_ANSWER,
            trust: self.trust.clone(),
            ..Call::get(self.url.base.clone(), self.url.target.clone())
        }
    }

    /// Asks, or waits for who asks the same already, and makes a verdict of the answer.
    async fn ask(
        self: Arc<Self>,
        (token, key): (String, TokenKey),
        began: Moment,
        consumers: Arc<Consumers>,
    ) -> Verdict {
        let asking = Arc::clone(&self);
        let question = move || async move {
            match asking.fetcher.call(&asking.call(&token)).await {
                Ok(answer) => Arc::new(judge(&answer, &asking.rules, now(began).1)),
                Err(error) => Arc::new(Judged::Unusable(format!("the provider cannot be asked: {error}").into())),
            }
        };
        let judged = self.memory.flight.join(key, question).await;
        self.conclude(&judged, key, now(began).0, &consumers)
    }

    fn conclude(&self, judged: &Judged, key: TokenKey, now: SystemTime, consumers: &Consumers) -> Verdict {
        match judged {
            Judged::Unusable(why) => Verdict::Unavailable(why.clone()),
            Judged::Bad(refusal) => self.refuse(refusal.clone(), key, now),
            Judged::Good { claims, expires } => {
                let Some(caller) = self.caller(claims, *expires, consumers) else {
                    let detail = "The token does not say whose it is.".into();
                    return self.refuse(Refusal { reason: Reason::BadCredentials, detail }, key, now);
                };
                if let Some(cache) = self.written.cache.on() {
                    let until = now + cache.get();
                    let end = expires.map(|end| SystemTime::UNIX_EPOCH + Duration::from_secs(end.min(u64::MAX >> 8)));
                    let until = end.map_or(until, |end| until.min(end + self.written.leeway.get()));
                    let good = Good::new(Arc::clone(&caller), consumers.revision(), until);
                    self.memory.keep_good(key, good);
                }
                Verdict::Passed(caller)
            }
        }
    }

    fn refuse(&self, refusal: Refusal, key: TokenKey, now: SystemTime) -> Verdict {
        if let Some(cache) = self.written.cache_inactive.on() {
            self.memory.keep_bad(key, refusal.clone(), now + cache.get());
        }
        Verdict::Refused(refusal)
    }

    fn caller(&self, claims: &Value, expires: Option<u64>, consumers: &Consumers) -> Option<Arc<Caller>> {
        let subject = judge::text(claims, &self.written.consumer).filter(|subject| !subject.is_empty())?;
        let consumer = consumers.by_subject(SubjectKind::Token, &subject).cloned();
        let mut groups = consumer.as_ref().map(|consumer| consumer.groups.to_vec()).unwrap_or_default();
        if let Some(claim) = &self.written.groups {
            groups.extend(judge::list(claims, claim));
        }
        let fields = self
            .headers
            .iter()
            .filter_map(|(claim, field)| Some((field.clone(), told_value(&judge::text(claims, claim)?))));
        let caller = Caller {
            id: consumer.as_ref().map_or_else(|| subject.as_ref().into(), |consumer| consumer.id.clone()),
            consumer,
            provider: self.name.clone(),
            credential: claims.get("jti").and_then(Value::as_str).map(Into::into),
            groups: groups.into(),
            scopes: judge::list(claims, &self.written.scopes),
            expires,
            fields: fields.collect(),
            claims: claims.clone(),
        };
        Some(caller.told())
    }

    /// What is known of the token without asking.
    fn known(&self, key: TokenKey, now: SystemTime, consumers: &Arc<Consumers>) -> Option<Verdict> {
        if let Some(good) = self.memory.good(&key, now) {
            if good.revision == consumers.revision() {
                return Some(Verdict::Passed(good.caller));
            }
            let caller = self.caller(&good.caller.claims, good.caller.expires, consumers)?;
            self.memory.keep_good(key, Good::new(Arc::clone(&caller), consumers.revision(), good.until));
            return Some(Verdict::Passed(caller));
        }
        self.memory.bad(&key, now).map(Verdict::Refused)
    }
}

/// The calendar as it stands after a wait, and in seconds since the epoch.
fn now(began: Moment) -> (SystemTime, u64) {
    let wall = began.wall + began.started.elapsed();
    (wall, Moment { wall, ..began }.unix_seconds())
}

impl Authenticate for Introspection {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let token = match self.0.written.from.find(cx, request) {
            Found::Absent => return Verdict::Absent,
            Found::Malformed => return Verdict::refused("The token is malformed."),
            Found::Twice => return Verdict::Ambiguous("A request brings at most one token."),
            Found::Token(token) => token,
        };
        if self.0.written.token_format == TokenFormat::Opaque && looks_like_jwt(&token) {
            let detail = "Tokens of this form are not accepted here.".into();
            return Verdict::Foreign(Refusal { reason: Reason::BadCredentials, detail });
        }
        let key = self.0.memory.key_of(&token);
        if let Some(verdict) = self.0.known(key, cx.time.wall, consumers) {
            return verdict;
        }
        Verdict::wait(Arc::clone(&self.0).ask((token, key), cx.time, Arc::clone(consumers)))
    }

    fn challenge(&self, refusal: Option<&Refusal>) -> Option<HeaderValue> {
        let realm = ("realm", &*self.0.written.realm);
        match refusal {
            None => challenge("Bearer", &[realm]),
            Some(refusal) => {
                challenge("Bearer", &[realm, ("error", "invalid_token"), ("error_description", &refusal.detail)])
            }
        }
    }

    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.0.written.from.strip(cx, request);
    }
}
