//! `api_key`: the caller shows a key that its consumer was given.
//!
//! Stage: Authenticate, by way of `auth`. The key stands in a header field, a query parameter or a cookie; in more than
//! one of them it is ambiguous. Only digests are kept; they are found by hash and compared in constant time. Nothing is
//! carried over a reload: what a key means is looked up in the consumers of the moment. Fails closed: no consumer, no
//! pass. Example: `conf/auth-keys.yaml`.

mod place;

use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::{Consumers, Credential, KeyDigest};
use crate::policy::Setup;
use crate::request::{Caller, RequestCx, RequestView};
use crate::value::{OneOrMany, Spanned};
use http::{HeaderName, HeaderValue, header};
use place::{Found, Place};
use quick_cache::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The field keys stand in where nothing is written.
const HEADER: &str = "X-API-Key";
/// The scheme of keys in `Authorization` where nothing is written, and of the challenge.
const SCHEME: &str = "ApiKey";
/// No key is longer, in bytes.
const LONGEST: usize = 4096;
/// Callers that are kept ready.
const READY: usize = 10_000;

/// A key the consumer was given.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeyConfig {
    /// Header fields it may stand in. Default `X-API-Key`, unless `query` or `cookie` is given.
    pub header: OneOrMany<Spanned<String>>,
    /// Query parameters it may stand in. Their values are never logged.
    pub query: OneOrMany<Spanned<String>>,
    /// Cookies it may stand in.
    pub cookie: OneOrMany<Spanned<String>>,
    /// The word before the key in a header field. Default `ApiKey` in `Authorization`, none in others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Spanned<String>>,
    /// What a 401 calls the area the keys are for. Default `tollgate`.
    pub realm: String,
}

impl Default for ApiKeyConfig {
    fn default() -> Self {
        let none = OneOrMany::default;
        Self { header: none(), query: none(), cookie: none(), prefix: None, realm: "tollgate".into() }
    }
}

/// The compiled provider.
pub struct ApiKey {
    name: Box<str>,
    places: Box<[Place]>,
    challenge: Option<HeaderValue>,
    /// By the revision of the registry and the number of the key in it.
    ready: Cache<(u64, usize), Arc<Caller>>,
}

impl ApiKey {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<ApiKeyConfig>,
        _previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let config = &written.value;
        let places = places(config, setup)?;
        if let Some(prefix) = &config.prefix {
            let legal = !prefix.value.is_empty() && prefix.value.bytes().all(|byte| byte.is_ascii_graphic());
            if !legal || !places.iter().any(|place| matches!(place, Place::Header { .. })) {
                let problem = setup.problems.error(prefix.place, "`prefix` is one word before a key in a header field");
                problem.hint("write `{ header: Authorization, prefix: ApiKey }`");
                return None;
            }
        }
        Some(Arc::new(Self {
            name: name.into(),
            places,
            challenge: challenge(SCHEME, &[("realm", &config.realm)]),
            ready: Cache::new(READY),
        }))
    }

    /// The query parameters keys may stand in: their values must not be logged.
    pub fn query_names(&self) -> impl Iterator<Item = &str> {
        self.places.iter().filter_map(|place| match place {
            Place::Query(name) => Some(&**name),
            Place::Header { .. } | Place::Cookie(_) => None,
        })
    }

    fn judge(&self, key: &[u8], now: u64, consumers: &Consumers) -> Verdict {
        if key.is_empty() || key.len() > LONGEST {
            return Verdict::refused("The API key is empty or too long.");
        }
        let Some(credential) = consumers.credential(&KeyDigest::of(key)) else {
            return Verdict::refused("The API key is not known.");
        };
        if credential.key.expires.is_some_and(|expires| expires <= now) {
            return Verdict::expired("The API key has expired; use the new one.");
        }
        Verdict::Passed(self.caller(&credential, consumers.revision()))
    }

    /// The caller of a key, made once for as long as the consumers stay the same.
    fn caller(&self, credential: &Credential<'_>, revision: u64) -> Arc<Caller> {
        let number = (revision, credential.number);
        if let Some(ready) = self.ready.get(&number) {
            return ready;
        }
        let caller = Caller {
            id: credential.consumer.id.clone(),
            groups: credential.consumer.groups.clone(),
            consumer: Some(Arc::clone(credential.consumer)),
            provider: self.name.clone(),
            credential: Some(credential.name()),
            expires: credential.key.expires,
            ..Caller::default()
        };
        let caller = caller.told();
        self.ready.insert(number, Arc::clone(&caller));
        caller
    }
}

fn places(config: &ApiKeyConfig, setup: &mut Setup<'_>) -> Option<Box<[Place]>> {
    let mut places = Vec::new();
    let mut sound = true;
    let prefix = |name: &HeaderName| match &config.prefix {
        Some(prefix) => Some(prefix.value.as_str().into()),
        None => (*name == header::AUTHORIZATION).then(|| SCHEME.into()),
    };
    for written in &config.header {
        match HeaderName::from_bytes(written.value.as_bytes()) {
            Ok(name) if name == header::COOKIE => {
                setup
                    .problems
                    .error(written.place, "keys in cookies are found by their names")
                    .hint("write `cookie: NAME`");
                sound = false;
            }
            Ok(name) => places.push((Place::Header { prefix: prefix(&name), name }, written.place)),
            Err(_) => {
                setup.problems.error(written.place, format!("`{}` is not a header name", written.value));
                sound = false;
            }
        }
    }
    for written in &config.query {
        if written.value.is_empty() {
            setup.problems.error(written.place, "a query parameter needs a name");
            sound = false;
        }
        places.push((Place::Query(written.value.as_str().into()), written.place));
    }
    for written in &config.cookie {
        if !place::is_cookie_name(&written.value) {
            setup.problems.error(written.place, format!("`{}` is not a cookie's name", written.value));
            sound = false;
        }
        places.push((Place::Cookie(written.value.as_str().into()), written.place));
    }
    for (at, (place, written)) in places.iter().enumerate() {
        if let Some((_, first)) = places.iter().take(at).find(|(other, _)| other == place) {
            setup.problems.error(*written, "the key is looked for there already").related(*first, "the first is here");
            sound = false;
        }
    }
    let mut places: Box<[Place]> = places.into_iter().map(|(place, _)| place).collect();
    if places.is_empty() {
        let name = HeaderName::from_bytes(HEADER.as_bytes()).ok()?;
        places = Box::new([Place::Header { prefix: prefix(&name), name }]);
    }
    sound.then_some(places)
}

impl Authenticate for ApiKey {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let mut found = Found::default();
        self.places.iter().for_each(|place| place.look(cx, request, &mut found));
        match found {
            Found::Nothing => Verdict::Absent,
            Found::More => Verdict::Ambiguous("The API key is given more than once. Send it once, in one place."),
            Found::Key(key) => self.judge(&key, cx.time.unix_seconds(), consumers),
        }
    }

    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        self.challenge.clone()
    }

    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.places.iter().for_each(|place| place.strip(cx, request));
    }
}

#[cfg(test)]
mod tests;
