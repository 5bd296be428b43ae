//! `basic`: user and password (RFC 7617).
//!
//! Stage: Authenticate, by way of `auth`. Users are consumers with a `password`, and those of a file as `htpasswd` writes
//! it; who stands in the file is judged by the file. A password is checked by argon2id or bcrypt, away from the threads
//! that serve requests, a few at a time; the verdict is remembered under a keyed hash of user, stored hash and password, so
//! that it ends of itself when the stored hash changes. Nothing is carried over a reload but that memory. Fails closed:
//! more checks than can be made in time are 503. Example: `conf/auth-keys.yaml`.

mod credentials;
mod file;
mod memory;
mod verify;

use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::{Consumers, PasswordHash};
use crate::policy::Setup;
use crate::request::{Caller, RequestCx, RequestView};
use crate::value::Spanned;
use credentials::{Credentials, Given};
use file::UserFile;
use http::{HeaderValue, header};
use memory::{Known, Memory};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use verify::{Checks, Outcome};

/// User and password.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BasicConfig {
    /// What browsers call the area the password is for. Default `tollgate`.
    pub realm: String,
    /// A file of users as `htpasswd` writes it, with bcrypt (`htpasswd -B`) or argon2id; watched. Beside it, consumers
    /// with a `password` are users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
}

impl Default for BasicConfig {
    fn default() -> Self {
        Self { realm: "tollgate".into(), file: None }
    }
}

/// The compiled provider.
pub struct Basic {
    name: Box<str>,
    challenge: Option<HeaderValue>,
    users: Option<Arc<UserFile>>,
    memory: Arc<Memory>,
    checks: Arc<Checks>,
    /// What is checked where there is no user at all.
    nobody: Arc<PasswordHash>,
}

impl Basic {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<BasicConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let users = match &written.value.file {
            None => None,
            Some(file) => Some(UserFile::compile(file, setup)?),
        };
        // What is remembered holds for a user, a stored hash and a password, whatever the configuration around them.
        let memory = match previous {
            Some(previous) => Arc::clone(&previous.memory),
            None => match Memory::new() {
                Some(memory) => Arc::new(memory),
                None => {
                    setup.problems.error(written.place, "the system gives no random bytes");
                    return None;
                }
            },
        };
        Some(Arc::new(Self {
            name: name.into(),
            challenge: challenge("Basic", &[("realm", &written.value.realm), ("charset", "UTF-8")]),
            users,
            memory,
            checks: previous.map(|previous| Arc::clone(&previous.checks)).unwrap_or_default(),
            nobody: Arc::new(PasswordHash::of_nobody()),
        }))
    }

    /// The hash a user's password is checked against, and whether the user is known. Who is not known costs as much as
    /// who is.
    fn stored(&self, user: &str, consumers: &Consumers) -> (Arc<PasswordHash>, Known) {
        let listed = self.users.as_ref().and_then(|file| file.find(user));
        if let Some(hash) = listed.or_else(|| consumers.password(user).cloned()) {
            return (hash, Known::User);
        }
        let like = self.users.as_ref().and_then(|file| file.any()).or_else(|| consumers.any_password().cloned());
        (like.unwrap_or_else(|| Arc::clone(&self.nobody)), Known::Nobody)
    }

    /// The caller a user and the right password prove.
    fn caller(&self, user: &str, consumers: &Consumers) -> Arc<Caller> {
        let consumer = consumers.by_id(user).cloned();
        let caller = Caller {
            id: user.into(),
            groups: consumer.as_ref().map(|consumer| consumer.groups.clone()).unwrap_or_default(),
            consumer,
            provider: self.name.clone(),
            credential: Some(user.into()),
            ..Caller::default()
        };
        caller.told()
    }
}

const WRONG: &str = "The user is not known, or the password is wrong.";

impl Authenticate for Basic {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let Credentials { user, password } = match credentials::read(request.header(&header::AUTHORIZATION)) {
            Given::Nothing => return Verdict::Absent,
            Given::Malformed(why) => return Verdict::refused(why),
            Given::Credentials(credentials) => credentials,
        };
        let (hash, known) = self.stored(&user, consumers);
        let mark = self.memory.mark(&user, &hash, password.expose());
        // Who is no user any more is not remembered, even where another one has the same hash.
        if known == Known::User
            && let Some(caller) = self.memory.good(&mark, consumers.revision(), || self.caller(&user, consumers))
        {
            return Verdict::Passed(caller);
        }
        if self.memory.is_bad(&mark) {
            return Verdict::refused(WRONG);
        }
        let caller = self.caller(&user, consumers);
        let (memory, revision) = (Arc::clone(&self.memory), consumers.revision());
        let conclude = move |outcome| match outcome {
            Outcome::Right if known == Known::User => {
                memory.learn_good(mark, revision, &caller);
                Verdict::Passed(caller)
            }
            Outcome::Right | Outcome::Wrong => {
                memory.learn_bad(mark);
                Verdict::refused(WRONG)
            }
            Outcome::Busy => Verdict::Unavailable("more passwords to check than can be checked".into()),
        };
        if cx.notes.is_some() {
            // Whoever asks for an explanation waits for it.
            return conclude(Outcome::of(hash.verify(password.expose().as_bytes())));
        }
        let checks = Arc::clone(&self.checks);
        Verdict::wait(async move { conclude(checks.check(mark, hash, password).await) })
    }

    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        self.challenge.clone()
    }

    fn strip(&self, _cx: &mut RequestCx, request: &mut RequestView<'_>) {
        if !matches!(credentials::read(request.header(&header::AUTHORIZATION)), Given::Nothing) {
            request.headers.remove(&header::AUTHORIZATION);
        }
    }
}

#[cfg(test)]
mod tests;
