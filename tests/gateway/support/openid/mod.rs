//! A small OpenID provider of the tests' own, over real sockets: discovery, keys, an authorization endpoint that logs
//! everybody in at once, a token endpoint that checks the client and PKCE, renewal with rotation, and a logout page.
//! Every answer can be spoilt.

pub mod browser;
mod sign;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::gate::Gate;
use super::origin::{Answer, Origin, Request};
use sign::Signer;

/// The client the provider knows.
pub const CLIENT: &str = "shop client";
/// Its secret: what needs encoding before it stands in `Authorization` is in it.
pub const SECRET: &str = "s3cret:%&é-of-the-client";

/// What the provider does wrong, or differently, from now on.
#[derive(Clone, Default)]
pub struct Manners {
    /// Claims that replace or join those of ID tokens; null removes one.
    pub claims: Map<String, Value>,
    /// Answers browsers with this error instead of a code.
    pub error: Option<String>,
    /// What `iss` in the answer says; an empty text leaves it out.
    pub iss: Option<String>,
    /// Seconds that access tokens last.
    pub expires_in: Option<u64>,
    /// Gives no refresh token.
    pub no_refresh: bool,
    /// Refuses every refresh token.
    pub refuses_refresh: bool,
    /// Answers 500 to everything.
    pub down: bool,
    /// Holds the answers of the token endpoint.
    pub held: Option<Gate>,
    /// Signs with a key it does not publish.
    pub stranger: bool,
    /// Lists `client_secret_post` alone.
    pub posts: bool,
    /// Gives no ID token.
    pub no_id_token: bool,
}

struct Code {
    redirect_uri: String,
    challenge: String,
    nonce: Value,
}

/// What the provider remembers.
pub struct State {
    /// What it does wrong.
    pub manners: Manners,
    codes: HashMap<String, Code>,
    refresh: HashMap<String, ()>,
    issued: usize,
    /// Refresh tokens that were presented a second time: what a provider takes for theft.
    pub reused: usize,
    /// Renewals that succeeded.
    pub renewed: usize,
    /// Codes redeemed.
    pub redeemed: usize,
    /// Every token, code and refresh token it gave: none of it may be seen anywhere else.
    pub given: Vec<String>,
}

/// A running provider.
pub struct Provider {
    origin: Origin,
    state: Arc<Mutex<State>>,
}

impl Provider {
    /// Starts one that does everything right.
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State {
            manners: Manners::default(),
            codes: HashMap::new(),
            refresh: HashMap::new(),
            issued: 0,
            reused: 0,
            renewed: 0,
            redeemed: 0,
            given: Vec::new(),
        }));
        let (signer, stranger) = (Signer::new("key-1"), Signer::new("key-1"));
        let shared = Arc::clone(&state);
        let url = Arc::new(OnceLock::<String>::new());
        let origin = Origin::start(move |request| {
            let issuer = format!("http://{}", request.header("host").unwrap_or_default());
            let issuer = url.get_or_init(|| issuer).clone();
            let (gate, answer) = {
                let mut state = shared.lock().expect("the provider's state");
                // What it publishes is always its own key.
                let strange = state.manners.stranger && request.target.starts_with("/token");
                let signer = if strange { &stranger } else { &signer };
                let held = state.manners.held.clone().filter(|_| request.target.starts_with("/token"));
                (held, state.answer(&issuer, request, signer))
            };
            if let Some(gate) = gate {
                gate.pass();
            }
            answer
        });
        Self { origin, state }
    }

    /// Its issuer.
    pub fn issuer(&self) -> String {
        self.origin.url()
    }

    /// What it remembers, to read or to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the provider's state")
    }

    /// Changes its manners.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.state().manners);
    }

    /// The requests it received for a path.
    pub fn asked(&self, path: &str) -> Vec<Request> {
        self.origin.requests().into_iter().filter(|request| request.target.split('?').next() == Some(path)).collect()
    }
}

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::status(status).header("Content-Type", "application/json").body(body.to_string())
}

/// Pairs of a query or a form.
pub fn pairs(text: &str) -> HashMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

impl State {
    fn answer(&mut self, issuer: &str, request: &Request, signer: &Signer) -> Answer {
        if self.manners.down {
            return Answer::status(500);
        }
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match path {
            "/.well-known/openid-configuration" => self.configuration(issuer),
            "/keys" => json_answer(200, &signer.published()),
            "/authorize" => self.authorize(issuer, &pairs(query)),
            "/token" => self.token(issuer, request, signer),
            "/logout" => match pairs(query).get("post_logout_redirect_uri") {
                Some(to) => Answer::status(302).header("Location", to),
                None => Answer::ok("logged out at the provider"),
            },
            _ => Answer::status(404),
        }
    }

    fn configuration(&self, issuer: &str) -> Answer {
        let methods = if self.manners.posts { "client_secret_post" } else { "client_secret_basic" };
        let at = |path: &str| format!("{issuer}{path}");
        json_answer(
            200,
            &json!({
                "issuer": issuer,
                "authorization_endpoint": at("/authorize"),
                "token_endpoint": at("/token"),
                "jwks_uri": at("/keys"),
                "end_session_endpoint": at("/logout"),
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": [methods],
                "authorization_response_iss_parameter_supported": true,
            }),
        )
    }

    fn secret(&mut self, kind: &str) -> String {
        self.issued += 1;
        let made = format!("{kind}-{}-of-the-provider", self.issued);
        self.given.push(made.clone());
        made
    }

    fn authorize(&mut self, issuer: &str, asked: &HashMap<String, String>) -> Answer {
        let get = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let sound = get("response_type") == "code"
            && get("client_id") == CLIENT
            && get("code_challenge_method") == "S256"
            && get("scope").split(' ').any(|scope| scope == "openid");
        if !sound {
            return Answer::status(400).body(format!("{asked:?}"));
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", &get("state"));
        match self.manners.error.clone() {
            Some(error) => {
                query.append_pair("error", &error).append_pair("error_description", "<script>alert(1)</script>");
            }
            None => {
                let code = self.secret("code");
                query.append_pair("code", &code);
                let (redirect_uri, challenge) = (get("redirect_uri"), get("code_challenge"));
                self.codes.insert(code, Code { redirect_uri, challenge, nonce: get("nonce").into() });
            }
        }
        let iss = self.manners.iss.as_deref().unwrap_or(issuer);
        if !iss.is_empty() {
            query.append_pair("iss", iss);
        }
        Answer::status(302).header("Location", &format!("{}?{}", get("redirect_uri"), query.finish()))
    }

    fn token(&mut self, issuer: &str, request: &Request, signer: &Signer) -> Answer {
        let form = pairs(&String::from_utf8_lossy(&request.body));
        if !self.is_client(request, &form) {
            return json_answer(401, &json!({ "error": "invalid_client" }));
        }
        let refused = || json_answer(400, &json!({ "error": "invalid_grant" }));
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let nonce = match get("grant_type") {
            "authorization_code" => {
                let Some(code) = self.codes.remove(get("code")) else { return refused() };
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, get("code_verifier").as_bytes()));
                if code.redirect_uri != get("redirect_uri") || code.challenge != challenge {
                    return refused();
                }
                self.redeemed += 1;
                code.nonce
            }
            "refresh_token" => {
                if self.manners.refuses_refresh {
                    return refused();
                }
                if self.refresh.remove(get("refresh_token")).is_none() {
                    self.reused += 1;
                    return refused();
                }
                self.renewed += 1;
                Value::Null
            }
            _ => return json_answer(400, &json!({ "error": "unsupported_grant_type" })),
        };
        self.tokens(issuer, nonce, signer)
    }

    /// Name and secret in the one way that was announced (RFC 6749 §2.3.1).
    fn is_client(&self, request: &Request, form: &HashMap<String, String>) -> bool {
        if self.manners.posts {
            let posted = |name: &str| form.get(name).map(String::as_str);
            return posted("client_id") == Some(CLIENT) && posted("client_secret") == Some(SECRET);
        }
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET)));
        request.header("authorization") == Some(&format!("Basic {pair}"))
    }

    fn tokens(&mut self, issuer: &str, nonce: Value, signer: &Signer) -> Answer {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
        let access_token = self.secret("access-token");
        let hash = digest(&SHA256, access_token.as_bytes());
        let mut claims = json!({
            "iss": issuer, "aud": CLIENT, "sub": "user-7", "email": "ann@shop.example", "roles": ["staff", "night"],
            "iat": now, "exp": now + 300, "at_hash": URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]), "nonce": nonce,
        });
        for (name, value) in &self.manners.claims {
            claims[name] = value.clone();
        }
        let members = claims.as_object_mut().expect("an object");
        members.retain(|_, value| !value.is_null());
        let id_token = signer.sign(&claims);
        self.given.push(id_token.clone());
        let mut body = json!({ "access_token": access_token, "token_type": "Bearer" });
        body["expires_in"] = self.manners.expires_in.unwrap_or(3600).into();
        if !self.manners.no_id_token {
            body["id_token"] = id_token.into();
        }
        if !self.manners.no_refresh {
            let token = self.secret("refresh-token");
            self.refresh.insert(token.clone(), ());
            body["refresh_token"] = token.into();
        }
        json_answer(200, &body)
    }
}
