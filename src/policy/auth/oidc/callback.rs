//! The path the provider sends browsers back to (OpenID Connect Core §3.1.2.5).
//!
//! The answer counts once, for the browser that began the attempt, and from the provider it was sent to: `state` names
//! the attempt's cookie, which only the gateway can have written; `iss` (RFC 9207), where it is given or announced, is
//! the issuer; code, verifier and nonce belong together. What a provider writes into its answer is never shown.

use super::attempt::{Attempt, LASTS};
use super::cookies::{SameSite, set_cookies};
use super::login::{Login, redirect};
use super::return_to::is_local;
use super::token::TokenError;
use super::verify::is_equal;
use crate::policy::{Decision, OnRequest, Wait};
use crate::reply::{Fixed, Reason, Reply};
use crate::request::{RequestCx, RequestView};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// A longer code is none (RFC 6749 leaves the length open).
const LONGEST_CODE: usize = 4096;

/// Answers the path.
pub struct Callback(pub Arc<Login>);

/// What a provider may answer with, each at most once (RFC 6749 §3.1).
#[derive(Default)]
struct Given {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    issuer: Option<String>,
}

impl Given {
    fn read(query: &str) -> Result<Self, &'static str> {
        let mut given = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut given.state,
                "code" => &mut given.code,
                "error" => &mut given.error,
                "iss" => &mut given.issuer,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err("The provider's answer says something twice.");
            }
        }
        Ok(given)
    }
}

/// A login that came to nothing.
struct Failed {
    reply: Reply,
    /// Why, for the log; nothing a stranger wrote.
    why: String,
}

fn failed(detail: &'static str) -> Failed {
    Failed { reply: Reply::new(Reason::LoginFailed).detail(detail), why: detail.to_owned() }
}

const NO_ATTEMPT: &str =
    "This browser has no such login under way: it was used already, took too long, or began elsewhere. Try again.";

impl Callback {
    /// The attempt that an answer belongs to, and the name of its cookie.
    fn attempt(&self, state: Option<&str>, now: u64, request: &RequestView<'_>) -> Result<(Attempt, String), Failed> {
        let login = &self.0;
        let state = state.ok_or_else(|| failed("The provider's answer has no `state`."))?;
        let name = login.cookies.login_name(state);
        let logins = login.cookies.logins(request.headers);
        let opened = logins.iter().filter(|(known, _)| *known == name).find_map(|(_, sealed)| {
            let bytes = login.sealer.open(&name, sealed)?;
            Attempt::from_bytes(&bytes).filter(|attempt| attempt.is_open(now) && is_equal(&attempt.state, state))
        });
        opened.map(|attempt| (attempt, name)).ok_or_else(|| failed(NO_ATTEMPT))
    }

    /// The code of an answer to this attempt.
    fn code(&self, given: Given, attempt: &Attempt, now: u64) -> Result<String, Failed> {
        let login = &self.0;
        let announced = matches!(login.issuer.known(), Some(Ok(metadata)) if metadata.names_itself);
        match given.issuer.as_deref() {
            Some(issuer) if issuer != &*login.issuer.name => {
                return Err(failed("The answer is from another provider than the one asked."));
            }
            None if announced => return Err(failed("The provider's answer does not say who it is from.")),
            _ => {}
        }
        if !login.used.first_use(&attempt.state, now, attempt.began + LASTS.as_secs()) {
            return Err(failed(NO_ATTEMPT));
        }
        if let Some(error) = given.error {
            return Err(refused(&error));
        }
        let sound = |code: &String| (1..=LONGEST_CODE).contains(&code.len());
        given.code.filter(sound).ok_or_else(|| failed("The provider's answer has no code."))
    }

    /// Goes on once the provider has redeemed the code, or has not.
    fn wait(&self, attempt: Attempt, code: String, (held, now): (usize, u64), name: String) -> Decision {
        let login = Arc::clone(&self.0);
        Decision::Wait(Wait::new(async move {
            let redeemed = login.redeem(&attempt, &code, now).await;
            let given = redeemed.map(|session| login.give(&session, held));
            Box::new(move |cx: &mut RequestCx, _: &mut RequestView<'_>| {
                let answered = match given {
                    Ok(Some(cookies)) => welcome(&login, &attempt, cookies),
                    Ok(None) => Err(Failed {
                        reply: Reply::new(Reason::LoginFailed).detail("The provider says more than cookies can hold."),
                        why: "the claims and tokens do not fit into cookies; ask for fewer scopes".into(),
                    }),
                    Err(TokenError::Grant) => {
                        Err(failed("The provider does not accept the code; it may have been used."))
                    }
                    Err(TokenError::Unavailable(why)) => {
                        Err(Failed { reply: Reply::new(Reason::ProviderUnavailable), why })
                    }
                    Err(TokenError::IdToken(why)) => {
                        let detail = "The provider's answer could not be verified.";
                        Err(Failed { reply: Reply::new(Reason::LoginFailed).detail(detail), why: why.into() })
                    }
                };
                finish(&login, answered, Some(&name), cx)
            }) as _
        }))
    }
}

/// What a provider's error means (RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6); its words are not repeated.
fn refused(error: &str) -> Failed {
    match error {
        "access_denied" => failed("The provider did not let you in, or you did not let it."),
        "temporarily_unavailable" | "server_error" => Failed {
            reply: Reply::new(Reason::ProviderUnavailable),
            why: format!("the provider answers the browser {error}"),
        },
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            failed("The provider asks for something that was not done; try again.")
        }
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => Failed {
            why: format!("the provider answers the browser {error}"),
            ..failed("The provider refuses how it was asked.")
        },
        _ => failed("The provider refuses the login."),
    }
}

/// The answer to a login that succeeded.
fn welcome(login: &Login, attempt: &Attempt, cookies: Vec<HeaderValue>) -> Result<Fixed, Failed> {
    // It was sealed, and is looked at all the same: nothing but a path of this origin is ever sent.
    let to = if is_local(&attempt.return_to) { attempt.return_to.as_str() } else { "/" };
    let fields = set_cookies(cookies);
    if login.cookies.same_site == SameSite::Strict {
        // A redirect that began at the provider would not bring the cookie along; a page of our own does.
        let mut fields = fields;
        fields.push((header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")));
        return Ok(Fixed { status: StatusCode::OK, fields, body: onwards(to) });
    }
    redirect(StatusCode::SEE_OTHER, to, fields).ok_or_else(|| failed(NO_ATTEMPT))
}

/// A page that goes on by itself.
fn onwards(to: &str) -> Bytes {
    let mut escaped = String::with_capacity(to.len());
    for c in to.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // In `content` it would begin another parameter for some browsers.
            ';' => escaped.push_str("%3B"),
            other => escaped.push(other),
        }
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={escaped}\">\
         <title>Logged in</title><a href=\"{escaped}\">Go on</a></html>\n"
    );
    Bytes::from(page)
}

/// The decision, with the attempt's cookie cleared.
fn finish(login: &Login, answered: Result<Fixed, Failed>, name: Option<&str>, cx: &mut RequestCx) -> Decision {
    let cleared: Vec<HeaderValue> = name.and_then(|name| login.cookies.clear_login(name)).into_iter().collect();
    match answered {
        Ok(mut fixed) => {
            fixed.fields.extend(cleared.into_iter().map(|cookie| (header::SET_COOKIE, cookie)));
            Decision::answer(fixed)
        }
        Err(Failed { reply, why }) => {
            cx.changes.response.extend(set_cookies(cleared));
            log::warn!("auth {}: a login failed: {why}", login.name);
            cx.note(|| why);
            Decision::reply(reply)
        }
    }
}

impl OnRequest for Callback {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if request.method != "GET" {
            return Decision::reply(Reply::new(Reason::MethodNotAllowed).allow("GET"));
        }
        let now = cx.time.unix_seconds();
        let given = match Given::read(request.query.unwrap_or_default()) {
            Ok(given) => given,
            Err(detail) => return finish(&self.0, Err(failed(detail)), None, cx),
        };
        let (attempt, name) = match self.attempt(given.state.as_deref(), now, request) {
            Ok(found) => found,
            Err(failed) => return finish(&self.0, Err(failed), None, cx),
        };
        match self.code(given, &attempt, now) {
            Ok(code) => {
                let held = self.0.cookies.session(request.headers).pieces;
                self.wait(attempt, code, (held, now), name)
            }
            Err(failed) => finish(&self.0, Err(failed), Some(&name), cx),
        }
    }

    fn describe(&self) -> String {
        format!("oidc {}: takes logins back from {}", self.0.name, self.0.issuer.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_each_thing_once() {
        let given = Given::read("state=a%20b&code=c&iss=https%3A%2F%2Fi&other=1&other=2").ok().unwrap();
        assert_eq!((given.state.as_deref(), given.code.as_deref()), (Some("a b"), Some("c")));
        for twice in ["state=a&state=a", "code=a&code=b", "iss=a&iss=b", "error=a&error=b"] {
            assert!(Given::read(twice).is_err(), "{twice}");
        }
    }

    #[test]
    fn the_words_of_a_provider_are_never_repeated() {
        for error in ["access_denied", "<script>alert(1)</script>", "", "server_error", "invalid_scope"] {
            let Failed { reply, why } = refused(error);
            assert!(!reply.detail.contains('<') && !why.contains('<'), "{error}");
        }
        assert_eq!(refused("server_error").reply.reason, Reason::ProviderUnavailable);
        assert_eq!(refused("access_denied").reply.reason, Reason::LoginFailed);
    }

    #[test]
    fn a_page_that_goes_on_holds_no_markup_of_its_place() {
        let page = onwards("/a?b=\"><script>&c='d';url=//e");
        let text = std::str::from_utf8(&page).unwrap();
        assert!(
            !text.contains("<script>")
                && text.contains("url=/a?b=&quot;&gt;&lt;script&gt;&amp;c=&#39;d&#39;%3Burl=//e\""),
            "{text}"
        );
    }
}
