//! Nothing that proves a caller is ever shown: not in the access log, the program's log at its most talkative, metrics,
//! the admin API, an answer, or `explain`. Every provider is asked with credentials that occur nowhere else.

use std::fs;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::program::{Site, tollgate};
use crate::support::client::{Client, Request};
use crate::support::openid::browser::Browser;
use crate::support::openid::{CLIENT, Provider, SECRET};
use crate::support::origin::{Answer, Origin};
use crate::support::tokens::{Signer, now};
use crate::support::wait;

const KEY: &str = "canary-of-a-good-api-key";
const PASSWORD: &str = "canary-of-a-good-password";
const OPAQUE: &str = "canary-of-a-good-opaque-token";
const JWT_SECRET: &str = "canary-of-the-secret-that-signs-tokens-0123456789";
const SIGNATURE_SECRET: &str = "canary-of-the-secret-that-signs-messages-012345";
const CLIENT_SECRET: &str = "canary-of-the-introspecting-client";
const COOKIE_SECRET: &str = "canary-of-the-secret-that-seals-cookies-01234";

/// The configuration: a route for each provider.
fn config(idp: &Provider, service: &Origin) -> String {
    let secret = |text: &str| format!("{{ value: \"{text}\", insecure_inline: true }}");
    let (issuer, service) = (idp.issuer(), service.url());
    let [jwt, signature, introspecting, oidc, cookie, key, password] =
        [JWT_SECRET, SIGNATURE_SECRET, CLIENT_SECRET, SECRET, COOKIE_SECRET, KEY, PASSWORD].map(secret);
    format!(
        "auth:\n  \
         keys: {{ api_key: {{ header: X-API-Key, query: apikey, cookie: key }} }}\n  \
         people: {{ basic: {{}} }}\n  \
         tokens: {{ jwt: {{ key: {jwt}, audience: off, from: {{ header: Authorization, query: ticket, cookie: token }} }} }}\n  \
         asked: {{ introspection: {{ url: {service}/introspect, insecure: true, client_id: gw, client_secret: {introspecting} }} }}\n  \
         slips: {{ introspection: {{ url: {service}/introspect, insecure: true, from: query slip }} }}\n  \
         gate: {{ forward: {{ url: {service}/check, insecure: true }} }}\n  \
         signed: {{ signature: {{ keys: {{ k: {{ secret: {signature} }} }}, require: [\"@method\"] }} }}\n  \
         web: {{ oidc: {{ issuer: {issuer}, insecure: true, client_id: {CLIENT}, client_secret: {oidc}, cookie: {{ secret: {cookie} }} }} }}\n\
         consumers: {{ acme: {{ keys: [{key}], password: {password} }} }}\n\
         routes:\n{}",
        ["keys", "people", "tokens", "asked", "slips", "gate", "signed", "web"]
            .map(|name| format!("  /{name}: {{ auth: {name}, respond: {{ body: \"in\" }} }}\n"))
            .concat()
    )
}

/// A request, what it is answered, and what of it must not be seen anywhere.
type Case = (Request, u16, Vec<String>);

fn basic(user: &str, password: &str) -> (String, Vec<String>) {
    let coded = STANDARD.encode(format!("{user}:{password}"));
    (format!("Basic {coded}"), vec![coded, password.to_owned()])
}

fn cases() -> Vec<Case> {
    let signer = Signer::with_secret(JWT_SECRET.as_bytes());
    let good = signer.token(&json!({ "sub": "alice", "exp": now() + 600, "jti": "named" }));
    let expired = signer.token(&json!({ "sub": "alice", "exp": now() - 600 }));
    let foreign = Signer::new("ES256").token(&json!({ "sub": "mallory", "exp": now() + 600 }));
    let (right, wrong) = (basic("acme", PASSWORD), basic("acme", "canary-of-a-bad-password"));
    let created = now();
    let input = format!("(\"@method\");created={created};keyid=\"k\"");
    let text = format!("\"@method\": GET\n\"@signature-params\": {input}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNATURE_SECRET.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let forged = STANDARD.encode([7; 32]);
    let signed = |signature: &str| {
        Request::get("/signed")
            .header("Signature-Input", &format!("s={input}"))
            .header("Signature", &format!("s=:{signature}:"))
    };
    let one = |text: &str| vec![text.to_owned()];
    let bad = "canary-of-a-bad-credential";
    let bearer = |path: &str, token: &str| Request::get(path).header("Authorization", &format!("Bearer {token}"));
    let mut all = vec![
        (Request::get("/keys").header("X-API-Key", KEY), 200, one(KEY)),
        (Request::get(&format!("/keys?apikey={KEY}&a=1")), 200, one(KEY)),
        (Request::get("/keys").header("Cookie", &format!("a=1; key={KEY}")), 200, one(KEY)),
        (Request::get("/keys").header("X-API-Key", bad), 401, one(bad)),
        (Request::get(&format!("/keys?apikey={bad}")), 401, one(bad)),
        (Request::get(&format!("/keys?%61pikey={bad}&apikey={KEY}")), 400, one(bad)),
        (Request::get("/keys").header("X-API-Key", bad).header("X-API-Key", KEY), 400, one(bad)),
        (Request::get("/people").header("Authorization", &right.0), 200, right.1),
        (Request::get("/people").header("Authorization", &wrong.0), 401, wrong.1),
        (Request::get("/people").header("Authorization", &format!("Basic {bad}!")), 401, one(bad)),
        (Request::get("/people").header("Authorization", bad).header("Authorization", KEY), 400, one(bad)),
        (Request::get(&format!("/tokens?ticket={good}")), 200, one(&good)),
        (Request::get("/tokens").header("Cookie", &format!("token={good}")), 200, one(&good)),
        (bearer("/asked", OPAQUE), 200, one(OPAQUE)),
        (bearer("/asked", bad), 401, one(bad)),
        (Request::get(&format!("/slips?slip={OPAQUE}")), 200, one(OPAQUE)),
        (Request::get(&format!("/slips?%73lip={bad}")), 401, one(bad)),
        (bearer("/asked", "canary-that-breaks-the-service"), 503, one("canary-that-breaks-the-service")),
        (bearer("/gate", OPAQUE), 200, one(OPAQUE)),
        (bearer("/gate", bad), 403, one(bad)),
        (bearer("/gate", "canary-that-breaks-the-service"), 503, one("canary-that-breaks-the-service")),
        (signed(&signature), 200, one(&signature)),
        (signed(&forged), 401, one(&forged)),
        (Request::get("/web").header("Cookie", &format!("__Host-tollgate_web={bad}")), 401, one(bad)),
        (Request::get(&format!("/oauth2/callback?code={bad}&state={bad}")), 400, one(bad)),
    ];
    for (token, status) in
        [(&good, 200), (&expired, 401), (&foreign, 401), (&format!("{good}x"), 401), (&bad.to_owned(), 401)]
    {
        all.push((bearer("/tokens", token), status, one(token)));
    }
    all
}

fn service() -> Origin {
    Origin::start(|request| {
        let told = format!("{:?} {}", request.header("authorization"), String::from_utf8_lossy(&request.body));
        match (request.target.as_str(), told.contains(OPAQUE), told.contains("breaks")) {
            (_, _, true) => Answer::status(500),
            ("/introspect", good, _) => Answer::ok(json!({ "active": good, "sub": "alice" }).to_string()),
            (_, true, _) => Answer::status(200),
            _ => Answer::status(403),
        }
    })
}

#[track_caller]
fn holds_none(place: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        if let Some(at) = text.find(secret.as_str()) {
            let line = text[..at].rfind('\n').map_or(0, |line| line + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            panic!("{place} shows {secret}:\n{}", &text[line..end]);
        }
    }
}

#[test]
fn no_credential_is_shown_anywhere() {
    let (idp, service, site) = (Provider::start(), service(), Site::new());
    site.write_with("", &config(&idp, &service));
    let mut process = site.launch(&["--log-level", "debug"]);
    process.await_serving();
    let fixed = [KEY, PASSWORD, OPAQUE, JWT_SECRET, SIGNATURE_SECRET, CLIENT_SECRET, COOKIE_SECRET, SECRET];
    let mut secrets: Vec<String> = fixed.map(String::from).to_vec();
    for (request, status, own) in cases() {
        let mut client = Client::connect(site.main);
        let response = client.send(&request);
        assert_eq!(response.status, status, "{request:?}\n{response:?}");
        holds_none("the answer", &format!("{response:?}"), &own);
        secrets.extend(own);
    }
    let mut browser = Browser::default();
    assert_eq!(browser.open(&format!("http://{}/web", site.main)).text(), "in");
    secrets.extend(browser.jar.iter().map(|cookie| cookie.value.clone()).filter(|value| value.len() > 16));
    secrets.extend(idp.state().given.clone());
    let served = cases().len();
    wait::until("every line of the access log is written", || {
        fs::read_to_string(site.path("access.log")).is_ok_and(|text| text.lines().count() > served)
    });
    holds_none("the access log", &fs::read_to_string(site.path("access.log")).expect("a log"), &secrets);
    for page in ["/metrics", "/config", "/ready", "/upstreams"] {
        holds_none(page, &format!("{:?}", site.admin(page)), &secrets);
    }
    for verb in ["check", "explain"] {
        holds_none(verb, &format!("{:?}", tollgate(&[verb, &site.file()])), &secrets);
    }
    for (request, _, own) in cases() {
        let written = String::from_utf8(request.bytes("gw.example")).expect("text");
        let mut lines = written.lines().take_while(|line| !line.is_empty());
        let target = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a target").to_owned();
        let mut arguments = vec!["explain".to_owned(), site.file(), "GET".to_owned(), target];
        lines.for_each(|line| arguments.extend(["-H".to_owned(), line.to_owned()]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        holds_none("explain of a request", &format!("{:?}", tollgate(&arguments)), &own);
    }
    process.signal(nix::sys::signal::Signal::SIGTERM);
    process.await_end();
    holds_none("the program's log", &process.log(), &secrets);
}
