//! `api_key:`: a key the consumer was given.
//!
//! Looked up by its digest among the keys of `consumers:`; removed before the upstream. Nothing is carried over a reload:
//! there is nothing to learn. A key in two places is refused, since which of them counts is not plain. Example:
//! `conf/auth-keys.yaml`.

use super::place::{CredentialPlace, Found};
use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::{Consumers, Credential, KeyDigest};
use crate::policy::Setup;
use crate::request::{Caller, RequestCx, RequestView};
use crate::value::Spanned;
use http::{HeaderName, HeaderValue, header};
use quick_cache::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// More than this is no key.
const LONGEST: usize = 4_096;

/// A key the consumer was given.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeyConfig {
    /// The header field it stands in; `Authorization` takes it as `ApiKey …`. Default X-API-Key, unless `query` or
    /// `cookie` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Spanned<String>>,
    /// The word before the key in that field. Default `ApiKey` in `Authorization`, none in any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Spanned<String>>,
    /// The query parameter it stands in. URLs are written to many logs: a header is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Spanned<String>>,
    /// The cookie it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Spanned<String>>,
    /// What a 401 calls the place that asks. Default: the provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
}

/// The compiled provider.
pub struct ApiKey {
    name: Box<str>,
    places: Box<[CredentialPlace]>,
    challenge: Option<HeaderValue>,
    /// What upstreams are told of the keys used lately, by the revision of the registry and the key's number in it.
    callers: Cache<(u64, usize), Arc<Caller>>,
}

/// So many keys used lately have their callers kept; of others they are made anew.
const CALLERS: usize = 4_096;

impl ApiKey {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<ApiKeyConfig>,
        _previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let mut places = Vec::new();
        if let Some(header) = &written.header {
            let Ok(field) = HeaderName::from_bytes(header.as_bytes()) else {
                setup.problems.error(header.place, "this is not the name of a header");
                return None;
            };
            let scheme = match &written.prefix {
                None => (field == header::AUTHORIZATION).then_some("ApiKey"),
                Some(prefix) => Some(prefix.value.as_str()),
            };
            places.push(match scheme {
                Some(scheme) => CredentialPlace::Scheme(field, scheme.into()),
                None => CredentialPlace::Header(field),
            });
        }
        if let Some(prefix) = &written.prefix
            && (written.header.is_none() || HeaderName::from_bytes(prefix.value.as_bytes()).is_err())
        {
            setup
                .problems
                .error(prefix.place, "`prefix` is one word before the key in a header field")
                .hint("write `{ header: Authorization, prefix: ApiKey }`");
        }
        if let Some(query) = &written.query {
            if query.is_empty() {
                setup.problems.error(query.place, "the parameter has no name");
            }
            setup.redacted.push(query.value.clone());
            places.push(CredentialPlace::Query(query.value.as_str().into()));
        }
        if let Some(cookie) = &written.cookie {
            if HeaderName::from_bytes(cookie.as_bytes()).is_err() {
                setup.problems.error(cookie.place, "this is not the name of a cookie");
            }
            places.push(CredentialPlace::Cookie(cookie.value.as_str().into()));
        }
        if places.is_empty() {
            places.push(CredentialPlace::Header(HeaderName::from_static("x-api-key")));
        }
        let realm = written.realm.as_deref().unwrap_or(name);
        let challenge = challenge("ApiKey", &[("realm", realm)]);
        Some(Arc::new(Self { name: name.into(), places: places.into(), challenge, callers: Cache::new(CALLERS) }))
    }
}

impl Authenticate for ApiKey {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let key = match CredentialPlace::find_in(&self.places, cx, request) {
            Found::Nothing => return Verdict::Absent,
            Found::Several => return Verdict::Ambiguous("Send one API key, in one place."),
            Found::One(key) => key,
        };
        if key.is_empty() || key.len() > LONGEST {
            return Verdict::refused("The API key is empty or too long.");
        }
        let Some(credential) = consumers.credential(&KeyDigest::of(&key)) else {
            return Verdict::refused("The API key is not known.");
        };
        if credential.key.expires.is_some_and(|expires| expires <= cx.time.unix_seconds()) {
            return Verdict::expired("The API key has expired.");
        }
        Verdict::Passed(self.caller(&credential, consumers.revision()))
    }

    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        self.challenge.clone()
    }

    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.places.iter().for_each(|place| place.strip(cx, request));
    }
}

impl ApiKey {
    /// The caller a key proves: the one concluded before, if the consumers are still the same.
    fn caller(&self, credential: &Credential<'_>, revision: u64) -> Arc<Caller> {
        let number = (revision, credential.number);
        if let Some(caller) = self.callers.get(&number) {
            return caller;
        }
        let Credential { consumer, key, .. } = credential;
        let caller = Caller {
            id: consumer.id.clone(),
            groups: consumer.groups.clone(),
            consumer: Some(Arc::clone(consumer)),
            provider: self.name.clone(),
            credential: Some(credential.name()),
            expires: key.expires,
            ..Caller::default()
        };
        let caller = caller.told();
        self.callers.insert(number, Arc::clone(&caller));
        caller
    }
}
