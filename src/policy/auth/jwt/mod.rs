//! `jwt:`: a signed token names the caller (RFC 7519, RFC 6750).
//!
//! Stage: Authenticate. Hook: on the head. Read `token` (taken apart) · `claims` (judged) · `caller` (whom it names) · `cache`
//! (tokens that come again). Over a reload the keys are carried while their source is the same, and the verified tokens
//! while every setting is. Fails closed: without keys 503, with an unknown algorithm, key or extension 401. Example:
//! `conf/auth-jwt.yaml`.

mod cache;
mod caller;
mod carrier;
mod claims;
mod compile;
mod config;
mod inline;
mod token;

#[cfg(test)]
mod tests;

pub use config::{FromConfig, JwkConfig, JwkSetConfig, JwksConfig, JwtConfig, RequiredClaims};

use self::cache::{Known, Mark, Tokens, Verified};
use self::caller::Mapping;
use self::carrier::{Brought, Carriers};
use self::claims::{Fault, Rules};
use self::token::{NoToken, Token};
use super::jwks::{Algorithms, Ask, Checked, Keys};
use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::Consumers;
use crate::reply::Reason;
use crate::request::{RequestCx, RequestView};
use http::HeaderValue;
use std::sync::Arc;
use std::time::Instant;

/// The compiled provider.
pub struct Jwt(Arc<Inner>);

struct Inner {
    written: JwtConfig,
    carriers: Carriers,
    algorithms: Algorithms,
    keys: Arc<Keys>,
    rules: Rules,
    mapping: Mapping,
    tokens: Option<Arc<Tokens>>,
    realm: Box<str>,
}

/// What comes of a token.
enum Judged {
    Done(Verdict),
    /// Its key is not known. Such a token may be good yet.
    KeyUnknown,
}

const UNKNOWN_KEY: &str = "the token is signed by a key that is not known";

impl Inner {
    /// Judges a token that is not remembered, and remembers it where it is good.
    fn judge(&self, text: &str, mark: Option<Mark>, now: u64, consumers: &Consumers) -> Judged {
        let token = match Token::read(text) {
            Ok(token) => token,
            Err(NoToken::Other(detail)) => return Judged::Done(foreign(detail)),
            Err(NoToken::Malformed(detail)) => return Judged::Done(Verdict::refused(detail)),
        };
        if self.rules.is_foreign(&token.claims) {
            return Judged::Done(foreign("the token is of another issuer"));
        }
        let Some(algorithm) = token.algorithm.filter(|algorithm| self.algorithms.contains(*algorithm)) else {
            return Judged::Done(Verdict::refused("the token's algorithm is not accepted"));
        };
        let key = match self.keys.check(&token.signed(algorithm)) {
            Checked::Good(key) => key,
            Checked::Bad => return Judged::Done(Verdict::refused("the token's signature is not good")),
            Checked::Unknown => return Judged::KeyUnknown,
        };
        let span = match self.rules.judge(&token.claims, now) {
            Ok(span) => span,
            Err(Fault::Expired) => return Judged::Done(Verdict::expired("the token has expired")),
            Err(Fault::Other(detail)) => return Judged::Done(Verdict::refused(detail)),
        };
        Judged::Done(match self.mapping.caller(token.claims, span, consumers) {
            Err(detail) => Verdict::refused(detail),
            Ok(caller) => {
                if let (Some(tokens), Some(mark)) = (&self.tokens, mark) {
                    let caller = Arc::clone(&caller);
                    tokens.put(mark, Verified { caller, span, key, revision: consumers.revision() });
                }
                Verdict::Passed(caller)
            }
        })
    }

    /// The verdict on a token that is remembered.
    fn remembered(&self, mark: Mark, now: u64, consumers: &Consumers) -> Option<Verdict> {
        let tokens = self.tokens.as_ref()?;
        let found = match tokens.get(mark, now, consumers.revision()) {
            Known::Good(caller) => return Some(Verdict::Passed(caller)),
            Known::Renew(found) => found,
            Known::Nothing => return None,
        };
        let claims = found.caller.claims.as_object().cloned().unwrap_or_default();
        let caller = self.mapping.caller(claims, found.span, consumers).ok()?;
        let renewed =
            Verified { caller: Arc::clone(&caller), revision: consumers.revision(), ..Verified::clone(&found) };
        tokens.put(mark, renewed);
        Some(Verdict::Passed(caller))
    }

    /// The verdict on a token once the fetch it has waited for is over, or has taken too long.
    fn after_fetch(&self, text: &str, now: u64, consumers: &Consumers, ended: bool) -> Verdict {
        let mark = self.tokens.as_ref().map(|tokens| tokens.mark(text));
        match self.judge(text, mark, now, consumers) {
            Judged::Done(verdict) => verdict,
            Judged::KeyUnknown if ended && self.keys.is_answered() => Verdict::refused(UNKNOWN_KEY),
            Judged::KeyUnknown => unavailable(),
        }
    }

    /// What a token says that cannot be checked here, for `explain`.
    fn says(&self, text: &str, now: u64) -> String {
        let Ok(token) = Token::read(text) else { return String::new() };
        let claim = |name: &str| token.claims.get(name).map(|value| format!(", {name} {value}")).unwrap_or_default();
        let judged = match self.rules.judge(&token.claims, now) {
            Ok(_) => "which would do".into(),
            Err(Fault::Expired) => "the token has expired".into(),
            Err(Fault::Other(detail)) => detail,
        };
        format!(
            "the keys are not fetched here, so its signature is not checked; it claims{}: {judged}",
            ["iss", "sub", "aud", "exp"].map(claim).concat().trim_start_matches(',')
        )
    }
}

fn foreign(detail: &'static str) -> Verdict {
    Verdict::Foreign(Refusal { reason: Reason::BadCredentials, detail: detail.into() })
}

fn unavailable() -> Verdict {
    Verdict::Unavailable("the keys cannot be fetched".into())
}

impl Authenticate for Jwt {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let inner = &self.0;
        let text = match inner.carriers.find(cx, request) {
            Brought::Nothing => return Verdict::Absent,
            Brought::Several(detail) => return Verdict::Ambiguous(detail),
            Brought::Unreadable => return Verdict::refused("there is no token where one should be"),
            Brought::Token(text) => text,
        };
        let now = cx.time.unix_seconds();
        let mark = inner.tokens.as_ref().map(|tokens| tokens.mark(&text));
        if let Some(verdict) = mark.and_then(|mark| inner.remembered(mark, now, consumers)) {
            return verdict;
        }
        match inner.judge(&text, mark, now, consumers) {
            Judged::Done(verdict) => verdict,
            Judged::KeyUnknown => match inner.keys.ask(Instant::now()) {
                // The fetch may have ended since the keys were looked at.
                Ask::Unknown => inner.after_fetch(&text, now, consumers, true),
                Ask::Unavailable => unavailable(),
                Ask::Wait(fetched) => {
                    if !inner.keys.is_tended() {
                        cx.note(|| inner.says(&text, now));
                    }
                    let (inner, consumers) = (Arc::clone(inner), Arc::clone(consumers));
                    Verdict::wait(async move {
                        let ended = fetched.await;
                        inner.after_fetch(&text, now, &consumers, ended)
                    })
                }
            },
        }
    }

    /// RFC 6750 §3.
    fn challenge(&self, refusal: Option<&Refusal>) -> Option<HeaderValue> {
        let realm = ("realm", &*self.0.realm);
        match refusal {
            None => challenge("Bearer", &[realm]),
            Some(refusal) => {
                challenge("Bearer", &[realm, ("error", "invalid_token"), ("error_description", &refusal.detail)])
            }
        }
    }

    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.0.carriers.strip(cx, request);
    }
}
