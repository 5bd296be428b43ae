//! From the written form to the provider.

use super::Oidc;
use super::config::{OidcConfig, SameSiteConfig};
use super::cookies::Cookies;
use super::issuer::Issuer;
use super::login::{Login, Places};
use super::memory::Memory;
use super::return_to::is_local;
use super::seal::{SHORTEST_SECRET, Sealer};
use super::session::{ClaimField, Lifetime, Naming};
use super::token::Client;
use crate::policy::Setup;
use crate::policy::auth::jwks::{Algorithms, Family, Keys, Source, Wanted};
use crate::policy::auth::service;
use crate::value::{Secret, Spanned, WebUrl};
use std::sync::Arc;

/// More secrets than this are not in rotation, they are forgotten: each is tried on a cookie that cannot be opened.
const MOST_SECRETS: usize = 4;
impl Oidc {
    /// Compiles what is written; `None` where a problem was recorded. Of `previous` it takes over what was learnt of the
    /// same provider, and always which attempts were used.
    pub fn compile(
        name: &str,
        written: &Spanned<OidcConfig>,
        previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        // Each says what is wrong with it before any of them ends it.
        let config = &written.value;
        let issuer = issuer(config, setup);
        let client_secret = config.client_secret.as_ref().map(|secret| setup.secret(secret));
        let scope = scope(config, setup);
        let places = places(config, setup);
        let cookies = cookies(name, config, setup);
        let secrets = secrets(written, setup);
        let headers = headers(config, setup);
        let lifetime = lifetime(config, setup);
        let named = is_filled(&config.client_id, setup) & is_filled(&config.consumer, setup);
        let client_secret = match client_secret {
            Some(secret) => Some(secret?),
            None => None,
        };
        let (issuer, scope, places, cookies) = (issuer?, scope?, places?, cookies?);
        let (secrets, headers, lifetime) = (secrets?, headers?, lifetime?);
        if !named {
            return None;
        }
        // The code that comes back from the provider is good for tokens until it is redeemed, for who has its state.
        setup.redacted.extend(["code", "state"].map(String::from));
        let id = &config.client_id.value;
        let sealer = Sealer::new(&secrets, &[name, issuer.as_str(), id])?;
        let before = previous.map(|previous| &*previous.0);
        let ended = before.map(|before| Arc::clone(before.memory.ended())).unwrap_or_default();
        let memory = Memory::new(service::marker(written.place, setup)?, ended);
        // What a renewal gave holds for the same provider and the same client alone.
        let same = before.filter(|before| {
            *before.issuer.name == *issuer.as_str()
                && *before.client.id == **id
                && before.client.secret == client_secret
        });
        Some(Arc::new(Self(Arc::new(Login {
            name: name.into(),
            issuer: Issuer { name: issuer.as_str().into(), keys: keys(name, issuer, before, setup) },
            scope: scope.into(),
            places,
            cookies,
            sealer,
            lifetime,
            naming: Naming {
                provider: name.into(),
                consumer: config.consumer.value.as_str().into(),
                groups: config.groups.as_ref().map(|claim| claim.value.as_str().into()),
                headers,
            },
            client: Client::new(id, client_secret, Arc::clone(setup.fetcher)),
            memory,
            used: before.map(|before| Arc::clone(&before.used)).unwrap_or_default(),
            renewals: same.map(|before| Arc::clone(&before.renewals)).unwrap_or_default(),
        }))))
    }
}

/// The provider's public keys: a secret of the client's is never one, since the tokens come with nobody else's proof.
fn keys(name: &str, issuer: WebUrl, before: Option<&Login>, setup: &mut Setup<'_>) -> Arc<Keys> {
    let (source, algorithms) = (Source::Issuer(issuer), Algorithms::of(Family::Public));
    let wanted = Wanted { name: name.into(), source, algorithms };
    Keys::new(wanted, None, before.map(|before| &before.issuer.keys), setup)
}

fn issuer(config: &OidcConfig, setup: &mut Setup<'_>) -> Option<WebUrl> {
    let issuer = &config.issuer;
    let in_clear = (
        "the issuer is asked over plain http: everybody on the way could log in as anyone",
        "where nobody is on the way",
    );
    service::may_be_asked((&issuer.value, issuer.place), config.insecure, in_clear, setup)?;
    if issuer.target.contains('?') {
        let problem = setup.problems.error(issuer.place, "an issuer has no query");
        problem.hint("write it as the provider does in its configuration document");
        return None;
    }
    Some(issuer.value.clone())
}

/// The scopes with spaces between, `openid` among them (OpenID Connect Core §3.1.2.1).
fn scope(config: &OidcConfig, setup: &mut Setup<'_>) -> Option<String> {
    let (mut all, mut sound) = (vec!["openid"], true);
    for scope in &config.scopes {
        // RFC 6749 §3.3, "scope-token".
        let legal = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if scope.is_empty() || !scope.bytes().all(legal) {
            let problem = setup.problems.error(scope.place, format!("`{}` is not a scope", scope.value));
            problem.hint("write a list of words: `[openid, email]`");
            sound = false;
        } else if !all.contains(&scope.value.as_str()) {
            all.push(&scope.value);
        }
    }
    sound.then(|| all.join(" "))
}

fn places(config: &OidcConfig, setup: &mut Setup<'_>) -> Option<Places> {
    let callback_url = config.callback.value.parse::<WebUrl>().ok();
    let callback = match &callback_url {
        Some(url) => Spanned::new(url.target.clone(), config.callback.place),
        None => config.callback.clone(),
    };
    let sound = is_path(&callback, setup) & is_path(&config.logout, setup);
    if let Some(after) = &config.after_logout
        && !is_local(&after.value)
        && after.value.parse::<WebUrl>().is_err()
    {
        let problem = setup.problems.error(after.place, format!("`{}` is no place to go to", after.value));
        problem.hint("write a path such as `/`, or a URL");
        return None;
    }
    if callback.value == config.logout.value {
        setup.problems.error(config.logout.place, "`callback` and `logout` are the same path");
        return None;
    }
    sound.then(|| Places {
        callback: callback.value.as_str().into(),
        callback_url: callback_url.map(|url| url.as_str().into()),
        logout: config.logout.value.as_str().into(),
        after_logout: config.after_logout.as_ref().map(|after| after.value.as_str().into()),
    })
}

/// Whether it is one path, as requests bring it: no pattern, nothing that would be normalised away.
fn is_path(path: &Spanned<String>, setup: &mut Setup<'_>) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._".contains(&byte);
    let segments = path.split('/').skip(1);
    let sound = is_local(path)
        && path.len() > 1
        && path.bytes().all(plain)
        && segments.into_iter().all(|segment| !matches!(segment, "" | "." | ".."));
    if !sound {
        let problem = setup.problems.error(path.place, format!("`{}` is not a path of its own", path.value));
        problem.hint("write one such as `/oauth2/callback`: letters, digits, `-`, `.` and `_`");
    }
    sound
}

fn cookies(provider: &str, config: &OidcConfig, setup: &mut Setup<'_>) -> Option<Cookies> {
    let written = &config.cookie;
    let (name, place) = match &written.name {
        Some(name) => (name.value.clone(), name.place),
        None => (format!("tollgate_{provider}"), config.client_id.place),
    };
    let mut sound = true;
    // RFC 6265 §4.1.1, "token"; a dot stands before what the gateway adds.
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        let problem = setup.problems.error(place, format!("`{name}` is not the name of a cookie"));
        problem.hint("write `cookie: { name: … }` of letters, digits, `-` and `_`");
        sound = false;
    }
    if name.starts_with("__") {
        let problem = setup.problems.error(place, "names that begin with `__` mean something to browsers");
        problem.hint("leave it out: `__Host-` is put before the name where it may be");
        sound = false;
    }
    let domain = written.domain.as_ref().map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
    let is_domain =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if let (Some(domain), Some(written)) = (&domain, &written.domain)
        && !is_domain(domain)
    {
        setup.problems.error(written.place, format!("`{}` is not a domain", written.value));
        sound = false;
    }
    let secure = written.secure.value;
    if written.same_site == SameSiteConfig::None && !secure {
        let problem =
            setup.problems.error(written.secure.place, "browsers drop a cookie of `same_site: none` without `secure`");
        problem.hint("leave `secure` out, or write `same_site: lax`");
        sound = false;
    }
    let prefix = if secure && domain.is_none() { "__Host-" } else { "" };
    sound.then(|| Cookies {
        name: format!("{prefix}{name}").into(),
        same_site: written.same_site.into(),
        domain: domain.map(Into::into),
        max_age: written.max_age.map(|age| age.get()),
        secure,
    })
}

fn secrets(written: &Spanned<OidcConfig>, setup: &mut Setup<'_>) -> Option<Vec<Secret>> {
    let list = &written.value.cookie.secret;
    if list.is_empty() || list.len() > MOST_SECRETS {
        let place = list.first().map_or(written.place, |secret| secret.place);
        let problem = setup.problems.error(place, format!("a cookie has between one and {MOST_SECRETS} secrets"));
        problem.hint("the first encrypts, the others decrypt what they encrypted before");
        return None;
    }
    let mut all = Vec::new();
    for secret in list {
        match setup.secret(secret) {
            Some(known) if known.expose().len() < SHORTEST_SECRET => {
                let message = format!("a cookie's secret has at least {SHORTEST_SECRET} bytes");
                setup.problems.error(secret.place, message).hint("make one with `openssl rand -base64 32`");
            }
            known => all.extend(known),
        }
    }
    (all.len() == list.len()).then_some(all)
}

fn headers(config: &OidcConfig, setup: &mut Setup<'_>) -> Option<Box<[ClaimField]>> {
    let all: Vec<Option<ClaimField>> = config
        .headers
        .iter()
        .map(|(name, claim)| Some((service::upstream_field(name, setup)?, claim.value.as_str().into())))
        .collect();
    all.into_iter().collect()
}

fn lifetime(config: &OidcConfig, setup: &mut Setup<'_>) -> Option<Lifetime> {
    let written = &config.session;
    let mut sound = true;
    for span in [&written.lasts, &written.idle] {
        if span.as_secs() == 0 {
            setup.problems.error(span.place, "a session lasts a second or more").hint("write a span such as `8h`");
            sound = false;
        }
    }
    sound.then(|| Lifetime { lasts: written.lasts.get(), idle: written.idle.get() })
}

fn is_filled(text: &Spanned<String>, setup: &mut Setup<'_>) -> bool {
    if text.trim().is_empty() {
        setup.problems.error(text.place, "this is empty");
    }
    !text.trim().is_empty()
}
