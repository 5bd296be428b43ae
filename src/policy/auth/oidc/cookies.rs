//! The cookies of a provider: how they are found, written, split, cleared, and kept from upstreams (RFC 6265).

use crate::policy::auth::place::strip_cookies;
use crate::request::{Headers, HeadersMut};
use http::{HeaderName, HeaderValue, header};
use std::time::Duration;

/// What a browser is sure to keep of one cookie, name included (RFC 6265 §6.1 says 4096 with attributes).
const LARGEST: usize = 3800;
/// A session that needs more cookies than this is refused: its head would not pass the listeners' bounds either.
const MOST_PIECES: usize = 4;
/// What stands between the number of pieces and the first of them; no cookie that was sealed holds one.
const COUNTED: char = '~';
/// What stands between the session's name and the name of a login.
const LOGIN: &str = ".login.";
/// So many logins of one browser may be under way.
pub const MOST_LOGINS: usize = 5;
/// More cookies of logins than this are not looked at.
const MOST_LOOKED_AT: usize = 32;

/// From which pages a browser sends a cookie along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// From the same site, and when a link is followed.
    Lax,
    /// From the same site only.
    Strict,
    /// From everywhere.
    None,
}

impl SameSite {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

/// How the cookies are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookies {
    /// The name, prefix included.
    pub name: Box<str>,
    /// For the session alone; a login must come back from another site, and is always lax or none.
    pub same_site: SameSite,
    /// The domain, where not the host alone.
    pub domain: Option<Box<str>>,
    /// How long browsers keep the session; until they are closed where there is none.
    pub max_age: Option<Duration>,
    /// Whether they are sent over TLS alone.
    pub secure: bool,
}

/// The cookie of a session as it was found in a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What was sealed, whole; `None` where a piece is missing.
    pub sealed: Option<String>,
    /// One more than the number of the last piece that the browser holds; 0 where it holds none.
    pub pieces: usize,
}

impl Cookies {
    /// Finds the session in a request.
    pub fn session(&self, headers: &dyn Headers) -> Found {
        let mut pieces: [Option<String>; MOST_PIECES] = Default::default();
        let mut highest = 0;
        each(headers, &mut |name, value| {
            let Some(number) = self.piece(name) else { return };
            highest = highest.max(number + 1);
            if let Some(slot @ None) = pieces.get_mut(number) {
                *slot = Some(value.to_owned());
            }
        });
        Found { sealed: joined(pieces), pieces: highest }
    }

    /// Which piece of the session a cookie of that name is.
    fn piece(&self, name: &str) -> Option<usize> {
        match name.strip_prefix(&*self.name)? {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok().filter(|number| (1..MOST_PIECES).contains(number)),
        }
    }

    /// Whether a request brings anything that could be a session of this provider.
    pub fn has_session(&self, headers: &dyn Headers) -> bool {
        let mut any = false;
        each(headers, &mut |name, _| any |= self.piece(name).is_some());
        any
    }

    /// The fields that give a browser a session, and take away pieces of one that was larger. `None` where it is too large.
    pub fn give(&self, sealed: &str, held: usize) -> Option<Vec<HeaderValue>> {
        let room = LARGEST.checked_sub(self.name.len() + 4)?;
        let pieces: Vec<&str> =
            sealed.as_bytes().chunks(room).filter_map(|piece| std::str::from_utf8(piece).ok()).collect();
        if pieces.len() > MOST_PIECES {
            return None;
        }
        let count = pieces.len();
        let mut fields = Vec::with_capacity(count.max(held));
        for (number, piece) in pieces.iter().enumerate() {
            let value = match (number, count) {
                (0, 2..) => format!("{}={count}{COUNTED}{piece}", self.piece_name(number)),
                _ => format!("{}={piece}", self.piece_name(number)),
            };
            fields.push(self.field(&value, self.max_age, self.same_site)?);
        }
        fields.extend(self.clear_from(count, held));
        Some(fields)
    }

    /// The fields that take the session away.
    pub fn clear(&self, held: usize) -> Vec<HeaderValue> {
        self.clear_from(0, held).collect()
    }

    fn clear_from(&self, first: usize, held: usize) -> impl Iterator<Item = HeaderValue> {
        (first..held.min(MOST_PIECES)).filter_map(|number| self.gone(&self.piece_name(number), self.same_site))
    }

    fn piece_name(&self, number: usize) -> String {
        if number == 0 { self.name.to_string() } else { format!("{}.{number}", self.name) }
    }

    /// What a login may be sent back with: it comes from the provider's site, so never strict.
    fn login_site(&self) -> SameSite {
        if self.same_site == SameSite::None { SameSite::None } else { SameSite::Lax }
    }

    /// The name of the cookie of the login with that `state`.
    pub fn login_name(&self, state: &str) -> String {
        format!("{}{LOGIN}{}", self.name, state.get(..8).unwrap_or_default())
    }

    /// The field that gives a browser the cookie of a login.
    pub fn give_login(&self, name: &str, sealed: &str, lasts: Duration) -> Option<HeaderValue> {
        self.field(&format!("{name}={sealed}"), Some(lasts), self.login_site())
    }

    /// The field that takes the cookie of a login away.
    pub fn clear_login(&self, name: &str) -> Option<HeaderValue> {
        self.gone(name, self.login_site())
    }

    /// The cookies of the logins that are under way in a browser: names and what was sealed.
    pub fn logins(&self, headers: &dyn Headers) -> Vec<(String, String)> {
        let mut found = Vec::new();
        each(headers, &mut |name, value| {
            if self.is_login(name) && found.len() < MOST_LOOKED_AT {
                found.push((name.to_owned(), value.to_owned()));
            }
        });
        found
    }

    fn is_login(&self, name: &str) -> bool {
        name.strip_prefix(&*self.name).is_some_and(|rest| rest.starts_with(LOGIN))
    }

    /// Removes the provider's cookies from a request, and leaves the others.
    pub fn strip(&self, headers: &mut dyn HeadersMut) {
        let is_own = |name: &str| self.piece(name).is_some() || self.is_login(name);
        strip_cookies(headers, &|name| std::str::from_utf8(name).is_ok_and(is_own));
    }

    fn gone(&self, name: &str, same_site: SameSite) -> Option<HeaderValue> {
        self.field(&format!("{name}="), Some(Duration::ZERO), same_site)
    }

    fn field(&self, pair: &str, max_age: Option<Duration>, same_site: SameSite) -> Option<HeaderValue> {
        let mut text = format!("{pair}; Path=/; HttpOnly; SameSite={}", same_site.as_str());
        if self.secure {
            text.push_str("; Secure");
        }
        if let Some(domain) = &self.domain {
            text.push_str("; Domain=");
            text.push_str(domain);
        }
        if let Some(max_age) = max_age {
            text.push_str("; Max-Age=");
            text.push_str(&max_age.as_secs().to_string());
        }
        HeaderValue::from_str(&text).ok()
    }
}

/// The pieces as one: the first says how many there are where there are several.
fn joined(pieces: [Option<String>; MOST_PIECES]) -> Option<String> {
    let mut pieces = pieces.into_iter();
    let first = pieces.next()??;
    let Some((count, begin)) = first.split_once(COUNTED) else { return Some(first) };
    let count: usize = count.parse().ok().filter(|count| (2..=MOST_PIECES).contains(count))?;
    let mut whole = begin.to_owned();
    for piece in pieces.take(count - 1) {
        whole.push_str(&piece?);
    }
    Some(whole)
}

/// Calls `visit` with name and value of each cookie; several fields are one list, as HTTP/2 splits it (RFC 9113 §8.2.3).
pub fn each(headers: &dyn Headers, visit: &mut dyn FnMut(&str, &str)) {
    headers.each(&header::COOKIE, &mut |line| {
        let Ok(line) = std::str::from_utf8(line) else { return };
        for pair in line.split(';') {
            if let Some((name, value)) = pair.split_once('=') {
                visit(name.trim(), value.trim());
            }
        }
    });
}

/// The fields of an answer that set these cookies. An answer that sets one must not be kept by a cache on the way: it
/// would hand the session to the next.
pub fn set_cookies(values: Vec<HeaderValue>) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields: Vec<(HeaderName, HeaderValue)> =
        values.into_iter().map(|value| (header::SET_COOKIE, value)).collect();
    if !fields.is_empty() {
        fields.push((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn cookies() -> Cookies {
        Cookies { name: "__Host-s".into(), same_site: SameSite::Strict, domain: None, max_age: None, secure: true }
    }

    fn request(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    /// What a browser sends back that was given these fields.
    fn sent_back(fields: &[HeaderValue]) -> HeaderMap {
        let pairs: Vec<&str> = fields
            .iter()
            .map(|field| field.to_str().unwrap())
            .filter(|text| !text.contains("Max-Age=0"))
            .map(|text| text.split(';').next().unwrap())
            .collect();
        request(&[&pairs.join("; ")])
    }

    #[test]
    fn a_small_session_is_one_cookie_with_every_guard() {
        let fields = cookies().give("abc", 0).unwrap();
        assert_eq!(fields, ["__Host-s=abc; Path=/; HttpOnly; SameSite=Strict; Secure"]);
        assert_eq!(cookies().session(&sent_back(&fields)), Found { sealed: Some("abc".into()), pieces: 1 });
    }

    #[test]
    fn a_large_one_is_split_and_put_together_again_and_an_absurd_one_refused() {
        for (length, pieces) in [(3788, 1), (3789, 2), (9_000, 3), (15_152, 4)] {
            let whole = "x".repeat(length);
            let fields = cookies().give(&whole, 0).unwrap();
            assert_eq!(fields.len(), pieces, "{length}");
            assert!(fields.iter().all(|field| field.len() < 3800 + 60), "{length}");
            assert_eq!(cookies().session(&sent_back(&fields)), Found { sealed: Some(whole), pieces });
        }
        assert_eq!(cookies().give(&"x".repeat(15_153), 0), None);
    }

    #[test]
    fn pieces_of_a_larger_one_before_are_taken_away() {
        let fields = cookies().give("abc", 3).unwrap();
        let gone: Vec<&str> = fields[1..].iter().map(|field| field.to_str().unwrap()).collect();
        assert_eq!(gone.len(), 2);
        assert!(gone[0].starts_with("__Host-s.1=; ") && gone[0].ends_with("Max-Age=0"), "{gone:?}");
        assert_eq!(cookies().clear(9).len(), 4);
    }

    #[test]
    fn a_missing_piece_or_a_wrong_count_is_no_session_and_still_to_be_cleared() {
        for (line, pieces) in [
            ("__Host-s=2~a", 1),
            ("__Host-s.1=b", 2),
            ("__Host-s=9~a; __Host-s.1=b", 2),
            ("__Host-s=x~a", 1),
            ("__Host-s=3~a; __Host-s.2=c", 3),
        ] {
            assert_eq!(cookies().session(&request(&[line])), Found { sealed: None, pieces }, "{line}");
        }
        assert_eq!(cookies().session(&request(&["__Host-sx=a; __Host-s.x=b; __Host-s.login.1=c"])), Found::default());
    }

    #[test]
    fn a_login_comes_back_from_another_site() {
        let field = cookies().give_login(&cookies().login_name("abcdefghij"), "v", Duration::from_secs(600)).unwrap();
        assert_eq!(field, "__Host-s.login.abcdefgh=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600");
        assert_eq!(
            cookies().logins(&request(&["a=b; __Host-s.login.1=x", "__Host-s=1; __Host-s.login.2=y"])),
            [("__Host-s.login.1".into(), "x".into()), ("__Host-s.login.2".into(), "y".into())]
        );
    }

    #[test]
    fn upstreams_see_the_cookies_of_others_only() {
        let mut headers = request(&["a=1; __Host-s=x; b=2", "__Host-s.1=y; __Host-s.login.q=z; c=\"3\""]);
        cookies().strip(&mut headers);
        assert_eq!(headers.get_all(header::COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2", "c=\"3\""]);
        let mut headers = request(&["__Host-s=x"]);
        cookies().strip(&mut headers);
        assert!(headers.is_empty());
        let mut headers = request(&["a=1", "b=2"]);
        cookies().strip(&mut headers);
        assert_eq!(headers.get_all(header::COOKIE).iter().count(), 2);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_bytes(b"\xff; __Host-s=x").unwrap());
        cookies().strip(&mut headers);
        assert_eq!(headers.get(header::COOKIE).unwrap(), HeaderValue::from_bytes(b"\xff").unwrap());
    }
}
