//! A login from end to end: sending the browser away, taking it back, keeping its session, renewing it.

use super::attempt::{Attempt, LASTS};
use super::cookies::{Cookies, MOST_LOGINS, set_cookies};
use super::issuer::Issuer;
use super::memory::{Memory, Opened};
use super::metadata::Metadata;
use super::refresh::{Renewals, Renewed};
use super::replay::Used;
use super::return_to::return_to;
use super::seal::{Sealer, random_text};
use super::session::{Lifetime, Naming, Session};
use super::token::{Client, TokenError, Tokens};
use super::verify::Expected;
use crate::consumer::Consumers;
use crate::policy::auth::Verdict;
use crate::policy::origin::origin;
use crate::reply::Fixed;
use crate::request::{RequestCx, RequestView};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Header fields of an answer.
pub type Fields = Vec<(HeaderName, HeaderValue)>;

/// The paths and URLs of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The path the provider sends browsers back to.
    pub callback: Box<str>,
    /// The same as a URL, where it is written as one.
    pub callback_url: Option<Box<str>>,
    /// The path that logs out.
    pub logout: Box<str>,
    /// Where browsers go after that: a path or a URL.
    pub after_logout: Option<Box<str>>,
}

/// What the gateway does for one provider.
pub struct Login {
    /// The provider's name in the configuration.
    pub name: Box<str>,
    /// Its issuer, with its endpoints and keys.
    pub issuer: Issuer,
    /// What is asked for, with spaces between.
    pub scope: Box<str>,
    /// Where things are.
    pub places: Places,
    /// How cookies are written.
    pub cookies: Cookies,
    /// How they are sealed.
    pub sealer: Sealer,
    /// How long a session holds.
    pub lifetime: Lifetime,
    /// How a session becomes a caller.
    pub naming: Naming,
    /// The gateway, as the provider knows it.
    pub client: Client,
    /// Sessions that were opened, and those that were ended.
    pub memory: Memory,
    /// Attempts that have come back.
    pub used: Arc<Used>,
    /// Renewals under way.
    pub renewals: Arc<Renewals>,
}

/// A browser that could be sent to log in.
pub struct Visitor {
    redirect_uri: String,
    return_to: String,
    /// Cookies of logins that make room for one more.
    cleared: Vec<HeaderValue>,
    now: u64,
}

impl Login {
    /// The visitor that a request is from, where it is one that a person looks at (Fetch Metadata §2.2): a script that
    /// asks for data could do nothing with the provider's page.
    pub fn visitor(&self, cx: &RequestCx, request: &RequestView<'_>) -> Option<Visitor> {
        const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
        let navigates = request.header(&SEC_FETCH_MODE).is_none_or(|mode| mode == b"navigate");
        let reads_html = request.header(&header::ACCEPT).is_some_and(accepts_html);
        if !matches!(request.method, "GET" | "HEAD") || !navigates || !reads_html {
            return None;
        }
        Some(Visitor {
            redirect_uri: self.redirect_uri(cx, request)?,
            return_to: return_to(request.path, request.query),
            cleared: self.make_room(request, cx.time.unix_seconds()),
            now: cx.time.unix_seconds(),
        })
    }

    fn redirect_uri(&self, cx: &RequestCx, request: &RequestView<'_>) -> Option<String> {
        match &self.places.callback_url {
            Some(url) => Some(url.to_string()),
            None => origin(cx, request).map(|origin| format!("{origin}{}", self.places.callback)),
        }
    }

    /// Clears the oldest logins under way, so that one more stays within the bound.
    fn make_room(&self, request: &RequestView<'_>, now: u64) -> Vec<HeaderValue> {
        let under_way = self.cookies.logins(request.headers);
        if under_way.len() < MOST_LOGINS {
            return Vec::new();
        }
        let begun = |name: &str, sealed: &str| {
            let attempt = self.sealer.open(name, sealed).and_then(|bytes| Attempt::from_bytes(&bytes));
            attempt.filter(|attempt| attempt.is_open(now)).map_or(0, |attempt| attempt.began)
        };
        let mut by_age: Vec<(u64, &str)> =
            under_way.iter().map(|(name, sealed)| (begun(name, sealed), name.as_str())).collect();
        by_age.sort_unstable();
        let surplus = (under_way.len() + 1).saturating_sub(MOST_LOGINS);
        by_age.iter().take(surplus).filter_map(|(_, name)| self.cookies.clear_login(name)).collect()
    }

    /// Sends a browser to log in.
    pub fn send_away(&self, visitor: Visitor, metadata: &Metadata) -> Verdict {
        match self.begin(visitor, metadata) {
            Some(fixed) => Verdict::Login(Box::new(fixed)),
            None => Verdict::Unavailable("a login cannot be begun: no randomness, or it does not fit a cookie".into()),
        }
    }

    /// Finds the provider first, where it is not known yet.
    pub async fn find_and_send_away(&self, visitor: Visitor) -> Verdict {
        match self.issuer.metadata().await {
            Ok(metadata) => self.send_away(visitor, &metadata),
            Err(why) => Verdict::Unavailable(why.into()),
        }
    }

    fn begin(&self, visitor: Visitor, metadata: &Metadata) -> Option<Fixed> {
        let Visitor { redirect_uri, return_to, cleared, now } = visitor;
        let attempt = Attempt::begin(redirect_uri, return_to, now)?;
        let name = self.cookies.login_name(&attempt.state);
        let sealed = self.sealer.seal(&name, &attempt.to_bytes()?)?;
        let mut cookies = cleared;
        cookies.push(self.cookies.give_login(&name, &sealed, LASTS)?);
        let challenge = attempt.challenge();
        let to = with_query(
            metadata.authorization.as_str(),
            &[
                ("response_type", "code"),
                ("client_id", &self.client.id),
                ("redirect_uri", &attempt.redirect_uri),
                ("scope", &self.scope),
                ("state", &attempt.state),
                ("nonce", &attempt.nonce),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ],
        );
        redirect(StatusCode::FOUND, &to, set_cookies(cookies))
    }

    /// The session a request brings, whatever it is worth, with whom it names; and how many cookies hold it.
    pub fn session(&self, request: &RequestView<'_>, consumers: &Consumers) -> (Option<Arc<Opened>>, usize) {
        let found = self.cookies.session(request.headers);
        let opened = found.sealed.and_then(|sealed| {
            let open = || Session::from_bytes(&self.sealer.open(&self.cookies.name, &sealed)?);
            let name = |session: &Session| self.naming.caller(session, self.lifetime, consumers);
            self.memory.session(&sealed, consumers.revision(), open, name)
        });
        (opened, found.pieces)
    }

    /// Ends a session here: no cookie that holds it counts from now on.
    pub fn end(&self, session: &Session, now: u64) {
        let until = session.began.saturating_add(self.lifetime.lasts.as_secs());
        self.memory.end(session, now, until);
    }

    /// The fields that give a session to a browser that holds so many cookies of another; `None` where it is too large.
    pub fn give(&self, session: &Session, held: usize) -> Option<Vec<HeaderValue>> {
        let sealed = self.sealer.seal(&self.cookies.name, &session.to_bytes()?)?;
        self.cookies.give(&sealed, held)
    }

    /// Redeems the code an attempt has brought back, and makes a session of what it gives.
    ///
    /// # Errors
    /// [`TokenError`]; an ID token that is not as it must be is a provider that does not work.
    pub async fn redeem(&self, attempt: &Attempt, code: &str, now: u64) -> Result<Session, TokenError> {
        let metadata = self.issuer.metadata().await.map_err(TokenError::Unavailable)?;
        let grant = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", attempt.redirect_uri.as_str()),
            ("code_verifier", attempt.verifier.as_str()),
        ];
        let tokens = self.client.redeem(&metadata, &grant).await?;
        let id = random_text::<12>().ok_or_else(|| TokenError::Unavailable("no randomness".into()))?;
        let claims = serde_json::Map::new();
        let mut session = Session { id, claims, began: now, seen: now, refresh: None, renew_at: None };
        let expected = self.expected(Some(&attempt.nonce), None, now);
        if tokens.id_token.is_none() {
            return Err(TokenError::Unavailable("it gave no ID token".into()));
        }
        self.take(&mut session, tokens, expected).await?;
        Ok(session)
    }

    fn expected<'a>(&'a self, nonce: Option<&'a str>, subject: Option<&'a str>, now: u64) -> Expected<'a> {
        Expected { issuer: &self.issuer.name, client_id: &self.client.id, nonce, subject, now }
    }

    /// Takes what the token endpoint gave into a session.
    async fn take(&self, session: &mut Session, tokens: Tokens, expected: Expected<'_>) -> Result<(), TokenError> {
        if let Some(id_token) = &tokens.id_token {
            let verified = self.issuer.verify(id_token, tokens.access_token.as_deref(), expected).await;
            session.identify(verified?);
        }
        // A provider that does not rotate the refresh token leaves it out (RFC 6749 §6).
        if tokens.refresh_token.is_some() {
            session.refresh = tokens.refresh_token;
        }
        session.renew_at = Some(expected.now.saturating_add(tokens.expires_in));
        session.seen = expected.now;
        Ok(())
    }

    /// Renews a session at the provider, one renewal at a time for each.
    pub async fn renew(self: &Arc<Self>, session: Session, now: u64) -> Renewed {
        let Some(token) = session.refresh.clone() else { return Err(TokenError::Grant) };
        let login = Arc::clone(self);
        let presented = token.clone();
        self.renewals.renew(&token, async move { login.renew_alone(session, &presented, now).await }).await
    }

    async fn renew_alone(&self, mut session: Session, token: &str, now: u64) -> Renewed {
        let metadata = self.issuer.metadata().await.map_err(TokenError::Unavailable)?;
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token)];
        let tokens = self.client.redeem(&metadata, &grant).await?;
        let subject = session.claims.get("sub").and_then(serde_json::Value::as_str).map(str::to_owned);
        let expected = self.expected(None, subject.as_deref(), now);
        self.take(&mut session, tokens, expected).await?;
        Ok(Arc::new(session))
    }
}

/// Whether a page in HTML is among what is accepted (RFC 9110 §12.5.1).
fn accepts_html(accept: &[u8]) -> bool {
    let accept = accept.to_ascii_lowercase();
    memchr::memmem::find(&accept, b"text/html").is_some() || memchr::memmem::find(&accept, b"xhtml").is_some()
}

/// A URL with these parameters after those it has.
pub fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    let between = if url.contains('?') { '&' } else { '?' };
    format!("{url}{between}{}", query.finish())
}

/// A redirect that nobody keeps; `None` where the place is not one.
pub fn redirect(status: StatusCode, to: &str, mut fields: Fields) -> Option<Fixed> {
    fields.push((header::LOCATION, HeaderValue::from_str(to).ok()?));
    if !fields.iter().any(|(name, _)| name == header::CACHE_CONTROL) {
        fields.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    }
    Some(Fixed { status, fields, body: Bytes::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_follow_those_that_are_there_and_are_encoded() {
        assert_eq!(with_query("https://a/b", &[("c", "d e&f")]), "https://a/b?c=d+e%26f");
        assert_eq!(with_query("https://a/b?x=y", &[("c", "ä")]), "https://a/b?x=y&c=%C3%A4");
    }

    #[test]
    fn a_person_reads_html() {
        assert!(accepts_html(b"text/html,application/xhtml+xml,*/*;q=0.8"));
        assert!(accepts_html(b"Text/HTML"));
        assert!(!accepts_html(b"*/*") && !accepts_html(b"application/json"));
    }
}
