//! `jwt:` — not built yet; refused by `check`.

use super::{Authenticate, Refusal, Verdict};
use crate::consumer::Consumers;
use crate::policy::Setup;
use crate::request::{RequestCx, RequestView};
use crate::value::Spanned;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The written form.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JwtConfig {}

/// The compiled provider.
pub struct Jwt {}

impl Jwt {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        _name: &str,
        written: &Spanned<JwtConfig>,
        _previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        setup.problems.error(written.place, "`jwt` is not built yet");
        None
    }
}

impl Authenticate for Jwt {
    fn authenticate(&self, _cx: &mut RequestCx, _request: &RequestView<'_>, _consumers: &Arc<Consumers>) -> Verdict {
        Verdict::Absent
    }

    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        None
    }

    fn strip(&self, _cx: &mut RequestCx, _request: &mut RequestView<'_>) {}
}
