//! Why a request is refused, in the forms that clients of GraphQL and of HTTP read.

use crate::reply::{Reason, Reply};
use serde_json::json;
use std::borrow::Cow;

/// A refusal: its reason, and what of the request it is for. Never more of the request than names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub reason: Reason,
    /// The sentence for the client.
    pub detail: Cow<'static, str>,
    /// What clients of GraphQL go by (`errors[].extensions.code`).
    pub code: &'static str,
}

impl Refused {
    /// What is sent is no GraphQL request that could be judged.
    pub fn bad(why: impl Into<Cow<'static, str>>) -> Self {
        let detail = format!("The GraphQL request cannot be read: {}.", why.into());
        Self { reason: Reason::BadGraphql, detail: detail.into(), code: "BAD_REQUEST" }
    }

    /// More is asked for than the route allows.
    pub fn limit(what: &str, asked: impl Into<Option<u64>>, most: u64) -> Self {
        let asked = asked.into().map_or_else(String::new, |asked| format!(" ({asked})"));
        let detail = format!("The GraphQL request asks for too much: its {what}{asked} may be {most} at most.");
        Self { reason: Reason::GraphqlLimit, detail: detail.into(), code: "LIMIT_EXCEEDED" }
    }

    /// A document has too many tokens.
    pub fn tokens(most: u32) -> Self {
        Self::limit("number of tokens", None, most.into())
    }

    /// It could be read, and may not be asked here.
    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Reason::GraphqlForbidden, detail: detail.into(), code: "FORBIDDEN" }
    }

    /// Only the hash of a query was sent, and the gateway knows none of it: clients send the text next.
    pub fn unknown_hash() -> Self {
        let detail = "PersistedQueryNotFound".into();
        Self { reason: Reason::BadGraphql, detail, code: "PERSISTED_QUERY_NOT_FOUND" }
    }

    /// As it is answered.
    pub fn reply(self) -> Reply {
        let errors = json!([{ "message": &*self.detail, "extensions": { "code": self.code } }]);
        Reply::new(self.reason).detail(self.detail).member("errors", errors)
    }
}
