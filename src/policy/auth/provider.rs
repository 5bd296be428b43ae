//! The providers: a closed list, one file each.

use super::api_key::ApiKey;
use super::basic::Basic;
use super::config::AuthConfig;
use super::forward::Forward;
use super::introspection::Introspection;
use super::jwt::Jwt;
use super::mtls::Mtls;
use super::oidc::Oidc;
use super::signature::Signature;
use super::{Refusal, Verdict};
use crate::consumer::Consumers;
use crate::policy::Setup;
use crate::request::{RequestCx, RequestView};
use crate::value::Spanned;
use http::HeaderValue;
use std::sync::Arc;

/// What every provider does.
pub trait Authenticate {
    /// Looks for its credential in the request and judges it; tells `cx.note` what it found, never the credential.
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict;

    /// What a 401 asks for, where HTTP has words for it. `refusal` is why this provider refused, if it did.
    fn challenge(&self, refusal: Option<&Refusal>) -> Option<HeaderValue>;

    /// Removes its credential from what goes upstream.
    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>);
}

/// A compiled provider.
pub struct Provider {
    /// Its name under `auth:`; the kind for one that stands in a route.
    pub name: Box<str>,
    kind: Kind,
}

macro_rules! kinds {
    ($($field:ident: $kind:ident, $word:literal;)*) => {
        /// The kinds of providers.
        enum Kind { $($kind(Arc<$kind>),)* }

        impl Provider {
            /// Compiles what is written; `None` where a problem was recorded. `previous` is the provider of that name
            /// in the running snapshot, whose state is taken over where it still holds.
            pub fn compile(name: &Spanned<String>, written: &AuthConfig, previous: Option<&Self>, setup: &mut Setup<'_>) -> Option<Self> {
                match written.given().as_slice() {
                    [_] => {}
                    [] => {
                        setup.problems
                            .error(name.place, format!("provider `{}` is of no kind", name.value))
                            .hint(concat!("write one of", $(" `", stringify!($field), ":`"),*));
                        return None;
                    }
                    [first, second, ..] => {
                        setup.problems
                            .error(*second, "a provider is of exactly one kind")
                            .hint("give the other a name of its own; a route may list several")
                            .related(*first, "the first is here");
                        return None;
                    }
                }
                $(if let Some(config) = &written.$field {
                    let before = previous.and_then(|previous| match &previous.kind {
                        Kind::$kind(before) => Some(before.as_ref()),

                        _ => None,
                    });
                    let built = $kind::compile(&name.value, config, before, setup)?;
                    return Some(Self { name: name.value.as_str().into(), kind: Kind::$kind(built) });
                })*
                None
            }

            /// What kind it is, as written.
            pub fn kind(&self) -> &'static str {
                match &self.kind { $(Kind::$kind(_) => $word,)* }
            }

            /// The login of browsers, where it is one: it has paths and cookies of its own.
            pub fn oidc(&self) -> Option<&Oidc> {
                match &self.kind {
                    Kind::Oidc(oidc) => Some(oidc),
                    _ => None,
                }
            }

            /// Whether what it says of a caller holds only for a certain body.
            pub fn vouches_for_bodies(&self) -> bool {
                matches!(self.kind, Kind::Signature(_))
            }

            fn inner(&self) -> &dyn Authenticate {
                match &self.kind { $(Kind::$kind(kind) => kind.as_ref(),)* }
            }
        }
    };
}

kinds! {
    api_key: ApiKey, "api_key";
    basic: Basic, "basic";
    jwt: Jwt, "jwt";
    oidc: Oidc, "oidc";
    introspection: Introspection, "introspection";
    mtls: Mtls, "mtls";
    signature: Signature, "signature";
    forward: Forward, "forward";
}

impl Authenticate for Provider {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        self.inner().authenticate(cx, request, consumers)
    }

    fn challenge(&self, refusal: Option<&Refusal>) -> Option<HeaderValue> {
        self.inner().challenge(refusal)
    }

    fn strip(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.inner().strip(cx, request);
    }
}
