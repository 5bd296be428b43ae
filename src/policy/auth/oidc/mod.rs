//! `oidc:`: a login of browsers at an OpenID provider (OpenID Connect Core §3.1, authorization code flow with PKCE).
//!
//! Stage: Authenticate, as a provider of `auth:`; its callback and logout paths are routes of its own. A session is a
//! cookie that only the gateway can read, so that it outlives reloads, restarts and upgrades and holds at every gateway
//! with the same secret. Carried over a reload: the endpoints and keys that were learnt, the renewals under way, and which
//! attempts were used and which sessions ended. Fails closed: a cookie that cannot be opened is none; a provider that cannot be
//! asked is 503. Example: `conf/auth-oidc.yaml`.
//!
//! * [`attempt`](mod@attempt): what is remembered of a login under way, in a cookie; `replay`: that it counts once
//! * [`callback`](mod@callback), [`logout`](mod@logout): the two paths; `return_to`: where a browser may come back to
//! * `session`, `seal`, `cookies`: what is kept of a login, how it is encrypted, how a browser keeps it
//! * `issuer`, `metadata`, `token`, `verify`: the provider and its keys, its endpoints, its token endpoint, its ID tokens
//! * `refresh`: one renewal at a time; `memory`: sessions that were opened before, and those that were ended

mod attempt;
mod callback;
mod compile;
mod config;
mod cookies;
mod issuer;
mod login;
mod logout;
mod memory;
mod metadata;
mod refresh;
mod replay;
mod return_to;
mod seal;
mod session;
mod token;
mod verify;

pub use config::{OidcConfig, SameSiteConfig, SessionConfig, SessionCookieConfig};
pub use cookies::{Cookies, SameSite};

use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::Consumers;
use crate::policy::OnRequest;
use crate::request::{RequestCx, RequestView};
use callback::Callback;
use cookies::set_cookies;
use http::HeaderValue;
use login::Login;
use logout::Logout;
use session::{Session, Standing};
use std::sync::Arc;
use token::TokenError;

/// The compiled provider.
pub struct Oidc(Arc<Login>);

/// A path that a provider answers itself, whatever the method: a refusal too is its own to give.
pub struct Page {
    /// The path, and the key of its route.
    pub path: Box<str>,
    /// What answers.
    pub hook: Arc<dyn OnRequest>,
}

impl Oidc {
    /// The paths the provider answers itself.
    pub fn pages(&self) -> [Page; 2] {
        let places = &self.0.places;
        [
            Page { path: places.callback.clone(), hook: Arc::new(Callback(Arc::clone(&self.0))) },
            Page {
                path: places.logout.clone(),
                hook: Arc::new(Logout { login: Arc::clone(&self.0), nobody: Consumers::default() }),
            },
        ]
    }

    /// The cookies of its sessions, for those that guard them.
    pub fn cookies(&self) -> &Cookies {
        &self.0.cookies
    }

    /// The verdict on a session that the provider must renew first.
    fn renew(
        &self,
        session: Session,
        (held, now): (usize, u64),
        visitor: Option<login::Visitor>,
        consumers: &Arc<Consumers>,
    ) -> Verdict {
        let (login, consumers) = (Arc::clone(&self.0), Arc::clone(consumers));
        Verdict::wait(async move {
            match login.renew(session, now).await {
                Ok(renewed) => {
                    let caller = login.naming.caller(&renewed, login.lifetime, &consumers);
                    match (login.give(&renewed, held), caller) {
                        (Some(cookies), Some(caller)) => Verdict::Passed(caller).with(set_cookies(cookies)),
                        (None, _) => Verdict::Unavailable("the renewed session does not fit into cookies".into()),
                        (_, None) => Verdict::Unavailable("the renewed session names nobody".into()),
                    }
                }
                Err(error @ (TokenError::Grant | TokenError::IdToken(_))) => {
                    log::info!("auth {}: a session could not be renewed: {error}", login.name);
                    let cleared = set_cookies(login.cookies.clear(held));
                    match visitor {
                        Some(visitor) => login.find_and_send_away(visitor).await.with(cleared),
                        None => Verdict::Absent.with(cleared),
                    }
                }
                Err(TokenError::Unavailable(why)) => Verdict::Unavailable(why.into()),
            }
        })
    }

    /// The verdict on a request without a session.
    fn without(&self, cx: &RequestCx, request: &RequestView<'_>) -> Verdict {
        let Some(visitor) = self.0.visitor(cx, request) else { return Verdict::Absent };
        match self.0.issuer.known() {
            Some(Ok(metadata)) => self.0.send_away(visitor, &metadata),
            Some(Err(why)) => Verdict::Unavailable(why.into()),
            None => {
                let login = Arc::clone(&self.0);
                Verdict::wait(async move { login.find_and_send_away(visitor).await })
            }
        }
    }
}

impl Authenticate for Oidc {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let login = &self.0;
        let now = cx.time.unix_seconds();
        let (opened, held) = login.session(request, consumers);
        let standing = opened.as_ref().map(|opened| opened.session.standing(login.lifetime, now));
        match (opened, standing) {
            (Some(opened), Some(Standing::Renew)) => {
                cx.note(|| "the session is good, and to be renewed at the provider".into());
                return self.renew(opened.session.clone(), (held, now), login.visitor(cx, request), consumers);
            }
            (Some(opened), Some(standing @ (Standing::Good | Standing::Touch))) => {
                if let Some(caller) = &opened.caller {
                    let touched = (standing == Standing::Touch)
                        .then(|| login.give(&Session { seen: now, ..opened.session.clone() }, held))
                        .flatten();
                    return Verdict::Passed(Arc::clone(caller)).with(set_cookies(touched.unwrap_or_default()));
                }
                cx.note(|| format!("the session has no claim `{}`", login.naming.consumer));
            }
            (Some(_), _) => cx.note(|| "the session is over".into()),
            (None, _) if held > 0 => {
                cx.note(|| "the session cannot be read or was ended: of another key, changed, or logged out".into())
            }
            (None, _) => {}
        }
        self.without(cx, request).with(set_cookies(login.cookies.clear(held)))
    }

    /// HTTP has no scheme for sessions; the name is that of a draft that wanted one (draft-broyer-http-cookie-auth).
    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        challenge("Cookie", &[("realm", &self.0.name), ("cookie-name", &self.0.cookies.name)])
    }

    fn strip(&self, _cx: &mut RequestCx, request: &mut RequestView<'_>) {
        self.0.cookies.strip(request.headers);
    }
}
