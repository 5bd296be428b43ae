//! The path that logs out.
//!
//! A page of another site must not be able to log people out. `POST` could be told by `csrf:` alone, but a link is what
//! pages have: so `GET` is taken too, and both only when the browser says that a page of this very origin sent it, or
//! nobody's page did. What is ended stays so at this gateway, whoever has kept a copy of the cookie. A session of the provider is ended there as well (RP-Initiated Logout 1.0), by `client_id`: an
//! `id_token_hint` would mean to keep the ID token in the cookie.

use super::cookies::set_cookies;
use super::login::{Fields, Login, redirect, with_query};
use super::metadata::Metadata;
use crate::consumer::Consumers;
use crate::policy::csrf::{Site, site};
use crate::policy::origin::origin;
use crate::policy::{Decision, OnRequest, Wait};
use crate::reply::{Reason, Reply};
use crate::request::{RequestCx, RequestView};
use http::StatusCode;
use std::sync::Arc;

/// Answers the path.
pub struct Logout {
    /// Of this provider.
    pub login: Arc<Login>,
    /// Nobody: whom a session names does not matter where it ends.
    pub nobody: Consumers,
}

impl Logout {
    /// Where the browser goes: to the provider, where it has a page for that and there is a session; else onwards.
    fn answer(login: &Login, metadata: Option<&Metadata>, own: Option<&str>, cleared: Fields) -> Decision {
        let after = login.places.after_logout.as_deref();
        let to = match metadata.and_then(|metadata| metadata.end_session.as_ref()) {
            None => after.unwrap_or("/").to_owned(),
            Some(end_session) => {
                let mut pairs = vec![("client_id", &*login.client.id)];
                // The provider knows the URL as it was registered: whole.
                let back = after.map(|after| match own {
                    Some(own) if after.starts_with('/') => format!("{own}{after}"),
                    _ => after.to_owned(),
                });
                pairs.extend(back.as_deref().map(|back| ("post_logout_redirect_uri", back)));
                with_query(end_session.as_str(), &pairs)
            }
        };
        match redirect(StatusCode::SEE_OTHER, &to, cleared) {
            Some(fixed) => Decision::answer(fixed),
            None => Decision::reply(Reason::Internal),
        }
    }
}

impl OnRequest for Logout {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if !matches!(request.method, "GET" | "POST") {
            return Decision::reply(Reply::new(Reason::MethodNotAllowed).allow("GET, POST"));
        }
        if site(cx, request) != Site::Own {
            cx.note(|| "a page of another origin, or one that does not say where it is, cannot log out".into());
            let detail = "Only a page of this site can log out.";
            return Decision::reply(Reply::new(Reason::CsrfDenied).detail(detail));
        }
        let login = Arc::clone(&self.login);
        let (session, held) = login.session(request, &self.nobody);
        if let Some(opened) = &session {
            login.end(&opened.session, cx.time.unix_seconds());
        }
        let mut cookies = login.cookies.clear(held);
        let logins = login.cookies.logins(request.headers);
        cookies.extend(logins.iter().filter_map(|(name, _)| login.cookies.clear_login(name)));
        let (cleared, own) = (set_cookies(cookies), origin(cx, request));
        if session.is_none() {
            return Self::answer(&login, None, own.as_deref(), cleared);
        }
        if let Some(metadata) = login.issuer.known() {
            return Self::answer(&login, metadata.ok().as_ref(), own.as_deref(), cleared);
        }
        Decision::Wait(Wait::new(async move {
            let metadata = login.issuer.metadata().await;
            if let Err(why) = &metadata {
                log::warn!("auth {}: logged out here, not at the provider: {why}", login.name);
            }
            Box::new(move |_: &mut RequestCx, _: &mut RequestView<'_>| {
                Self::answer(&login, metadata.ok().as_ref(), own.as_deref(), cleared)
            }) as _
        }))
    }

    fn describe(&self) -> String {
        format!("oidc {}: logs out", self.login.name)
    }
}
