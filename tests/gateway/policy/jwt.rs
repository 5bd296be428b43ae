//! `jwt:` over real sockets: tokens, and issuers that answer, rotate, dawdle and die.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::client::{Request, Response};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::tokens::{Signer, jwks, now};
use crate::support::wait;

/// An OpenID provider: its discovery document, its keys, and how often each was asked for.
struct Idp {
    origin: Origin,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    keys: Mutex<String>,
    issuer: Mutex<Option<String>>,
    down: AtomicBool,
    asked: AtomicUsize,
    gate: Mutex<Option<Gate>>,
}

impl Idp {
    fn start(signers: &[&Signer]) -> Self {
        let shared = Arc::new(Shared { keys: Mutex::new(jwks(signers)), ..Shared::default() });
        let seen = Arc::clone(&shared);
        let origin = Origin::start(move |request| {
            if seen.down.load(SeqCst) {
                return Answer::status(500);
            }
            let host = request.header("host").expect("a host");
            if request.target == "/.well-known/openid-configuration" {
                let issuer = seen.issuer.lock().unwrap().clone().unwrap_or_else(|| format!("http://{host}"));
                return Answer::ok(json!({ "issuer": issuer, "jwks_uri": format!("http://{host}/keys") }).to_string());
            }
            seen.asked.fetch_add(1, SeqCst);
            let keys = seen.keys.lock().unwrap().clone();
            match seen.gate.lock().unwrap().clone() {
                Some(gate) => Answer::status(200).then_wait(&gate).body(keys),
                None => Answer::ok(keys),
            }
        });
        Self { origin, shared }
    }

    fn publish(&self, signers: &[&Signer]) {
        *self.shared.keys.lock().unwrap() = jwks(signers);
    }

    fn asked(&self) -> usize {
        self.shared.asked.load(SeqCst)
    }

    /// What stands under `auth:` for it.
    fn provider(&self) -> String {
        format!("{{ jwt: {{ issuer: \"{}\", audience: orders, insecure: true }} }}", self.origin.url())
    }

    fn claims(&self) -> Value {
        json!({ "iss": self.origin.url(), "aud": "orders", "sub": "alice", "exp": now() + 600 })
    }
}

fn gateway(idp: &Idp, upstream: &Origin) -> Gateway {
    Gateway::start(&format!(
        "auth: {{ idp: {} }}\nroutes: {{ /**: {{ auth: idp, to: {} }} }}\n",
        idp.provider(),
        upstream.url()
    ))
}

fn bearer(token: &str) -> Request {
    Request::get("/orders").header("Authorization", &format!("Bearer {token}"))
}

fn reason(response: &Response) -> String {
    response.json()["type"].as_str().expect("a type").trim_start_matches("urn:tollgate:problem:").into()
}

#[test]
fn a_token_of_the_issuer_passes_and_the_upstream_learns_who_it_is() {
    let signer = Signer::new("RS256").named("one");
    let (idp, upstream) = (Idp::start(&[&signer]), Origin::echo());
    let gateway = gateway(&idp, &upstream);
    let token = signer.token(&idp.claims());
    for _ in 0..3 {
        assert_eq!(gateway.send(&bearer(&token).header("X-Consumer-Id", "root")).status, 200);
    }
    let seen = upstream.requests().remove(0);
    assert_eq!((seen.header("x-consumer-id"), seen.header("authorization")), (Some("alice"), None));
    assert_eq!(idp.asked(), 1);

    let none = gateway.get("/orders");
    assert_eq!((none.status, reason(&none).as_str()), (401, "no-credentials"));
    assert_eq!(none.header("www-authenticate"), Some("Bearer realm=\"tollgate\""));
    let mut late = idp.claims();
    late["exp"] = (now() - 10).into();
    let expired = gateway.send(&bearer(&signer.token(&late)));
    assert_eq!((expired.status, reason(&expired).as_str()), (401, "expired-token"));
    assert_eq!(
        expired.header("www-authenticate"),
        Some("Bearer realm=\"tollgate\", error=\"invalid_token\", error_description=\"the token has expired\"")
    );
    let forged = token.replace('.', ".e30") + "x";
    let bad = gateway.connect().keep_secret(&[&forged, &token]).send(&bearer(&forged));
    assert_eq!((bad.status, reason(&bad).as_str()), (401, "bad-credentials"));
    let twice = bearer(&token).header("Authorization", &format!("Bearer {token}"));
    assert_eq!(gateway.send(&twice).status, 400);
    assert_eq!(upstream.requests().len(), 3, "nothing that was refused went on");
    assert!(gateway.metric("tollgate_auth_key_fetches_total", &["provider=\"idp\"", "fetched"]) >= 1.0);
    assert!(!gateway.page("/metrics").text().contains(&token));
}

#[test]
fn the_token_is_taken_out_of_cookies_and_query_and_nothing_else_is() {
    let signer = Signer::with_secret(b"8c2f41d0-a-secret-of-more-than-32-bytes");
    let upstream = Origin::echo();
    let gateway = Gateway::start(&format!(
        "auth: {{ own: {{ jwt: {{ key: {{ value: \"{}\", insecure_inline: true }}, from: {{ cookie: session, query: token }} }} }} }}\n\
         routes: {{ /**: {{ auth: own, to: {} }} }}\n",
        signer.pem(),
        upstream.url()
    ));
    let token = signer.token(&json!({ "sub": "bob", "exp": now() + 60 }));
    let cookie = Request::get("/a?x=1").header("Cookie", &format!("theme=dark; session={token}; lang=en"));
    assert_eq!(gateway.send(&cookie).status, 200);
    assert_eq!(gateway.get(&format!("/a?x=1&token={token}&y=2")).status, 200);
    let both = Request::get(&format!("/a?token={token}")).header("Cookie", &format!("session={token}"));
    assert_eq!(gateway.send(&both).status, 400);
    let requests = upstream.requests();
    assert_eq!((requests[0].header("cookie"), requests[0].target.as_str()), (Some("theme=dark; lang=en"), "/a?x=1"));
    assert_eq!(requests[1].target, "/a?x=1&y=2");
}

#[test]
fn several_issuers_on_a_route_mean_either() {
    let (a, b) = (Signer::new("ES256").named("k"), Signer::new("EdDSA").named("k"));
    let (first, second, upstream) = (Idp::start(&[&a]), Idp::start(&[&b]), Origin::echo());
    let gateway = Gateway::start(&format!(
        "auth: {{ a: {}, b: {} }}\nroutes: {{ /**: {{ auth: [a, b], to: {} }} }}\n",
        first.provider(),
        second.provider(),
        upstream.url()
    ));
    assert_eq!(gateway.send(&bearer(&a.token(&first.claims()))).status, 200);
    assert_eq!(gateway.send(&bearer(&b.token(&second.claims()))).status, 200);
    assert_eq!(gateway.send(&bearer(&b.token(&first.claims()))).status, 401);
}

#[test]
fn an_issuer_that_was_never_reached_is_503_and_no_pass() {
    let signer = Signer::new("ES256");
    let (idp, upstream) = (Idp::start(&[&signer]), Origin::echo());
    idp.shared.down.store(true, SeqCst);
    let gateway = gateway(&idp, &upstream);
    let token = signer.token(&idp.claims());
    let answer = gateway.send(&bearer(&token));
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "provider-unavailable"));
    assert_eq!(gateway.metric("tollgate_auth_keys_stale", &["provider=\"idp\""]), 1.0);
    assert_eq!(gateway.get("/orders").status, 401, "without a token nobody need be asked");
    idp.shared.down.store(false, SeqCst);
    wait::until("the issuer is asked again", || gateway.send(&bearer(&token)).status == 200);
    assert_eq!(gateway.metric("tollgate_auth_keys_stale", &["provider=\"idp\""]), 0.0);
}

#[test]
fn a_document_of_another_issuer_is_not_believed() {
    let signer = Signer::new("ES256");
    let (idp, upstream) = (Idp::start(&[&signer]), Origin::echo());
    *idp.shared.issuer.lock().unwrap() = Some(format!("{}/", idp.origin.url()));
    let gateway = gateway(&idp, &upstream);
    assert_eq!(gateway.send(&bearer(&signer.token(&idp.claims()))).status, 503);
    assert_eq!(idp.asked(), 0, "its keys are not even asked for");
}

#[test]
fn requests_wait_for_an_issuer_that_is_slow_and_not_for_ever() {
    let signer = Signer::new("ES256");
    let (idp, upstream, gate) = (Idp::start(&[&signer]), Origin::echo(), Gate::default());
    *idp.shared.gate.lock().unwrap() = Some(gate.clone());
    let gateway = gateway(&idp, &upstream);
    let token = signer.token(&idp.claims());
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| gateway.send(&bearer(&token)).status)).collect();
        gate.await_arrivals(1);
        gate.open();
        waiting.into_iter().for_each(|one| assert_eq!(one.join().unwrap(), 200));
    });
    assert_eq!(idp.asked(), 1, "one fetch for all of them");
    let never = Gate::default(); // opened only once the request has given up
    *idp.shared.gate.lock().unwrap() = Some(never.clone());
    let stranger = Signer::new("ES256").named("new");
    let answer = gateway.send(&bearer(&stranger.token(&idp.claims())));
    assert_eq!((answer.status, reason(&answer).as_str()), (503, "provider-unavailable"));
    never.open();
}

#[test]
fn keys_rotate_under_load_without_a_good_token_refused() {
    let (old, new) = (Signer::new("ES256").named("old"), Signer::new("ES256").named("new"));
    let (idp, upstream) = (Idp::start(&[&old]), Origin::echo());
    let gateway = gateway(&idp, &upstream);
    let token = |signer: &Signer, n: usize| {
        let mut claims = idp.claims();
        claims["jti"] = n.to_string().into();
        signer.token(&claims)
    };
    assert_eq!(gateway.send(&bearer(&token(&old, 0))).status, 200);
    std::thread::scope(|scope| {
        for worker in 1..4 {
            let (gateway, idp, old, new, token) = (&gateway, &idp, &old, &new, &token);
            scope.spawn(move || {
                let mut client = gateway.connect();
                for n in 0..60 {
                    // Issuers publish a key before they sign with it.
                    if worker == 1 && n == 20 {
                        idp.publish(&[old, new]);
                    }
                    let rotated = idp.shared.keys.lock().unwrap().contains("\"new\"");
                    let signer = if rotated && n % 2 == 0 { new } else { old };
                    let answer = client.send(&bearer(&token(signer, worker * 1_000 + n)));
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
    assert_eq!(idp.asked(), 2, "the first fetch, and one for the new key");
}

#[test]
fn a_flood_of_unknown_keys_causes_one_fetch() {
    let signer = Signer::new("ES256").named("k");
    let (idp, upstream) = (Idp::start(&[&signer]), Origin::echo());
    let gateway = gateway(&idp, &upstream);
    assert_eq!(gateway.send(&bearer(&signer.token(&idp.claims()))).status, 200);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (gateway, idp, signer) = (&gateway, &idp, &signer);
            scope.spawn(move || {
                let mut client = gateway.connect();
                for n in 0..50 {
                    let head = json!({ "alg": "ES256", "kid": format!("{worker}-{n}") }).to_string();
                    let answer = client.send(&bearer(&signer.token_of(&head, &idp.claims().to_string())));
                    assert_eq!(answer.status, 401);
                }
            });
        }
    });
    assert_eq!(idp.asked(), 2);
    assert!(upstream.requests().len() == 1);
}

#[test]
fn known_keys_stay_while_the_issuer_is_down_and_over_a_reload() {
    let signer = Signer::new("ES256").named("k");
    let (idp, upstream) = (Idp::start(&[&signer]), Origin::echo());
    let gateway = gateway(&idp, &upstream);
    assert_eq!(gateway.send(&bearer(&signer.token(&idp.claims()))).status, 200);
    idp.shared.down.store(true, SeqCst);
    let stranger = Signer::new("ES256").named("unknown");
    assert_eq!(gateway.send(&bearer(&stranger.token(&idp.claims()))).status, 503, "nobody can say");
    assert_eq!(gateway.metric("tollgate_auth_keys_stale", &["provider=\"idp\""]), 1.0);
    let mut other = idp.claims();
    other["sub"] = "carol".into();
    assert_eq!(gateway.send(&bearer(&signer.token(&other))).status, 200);
    gateway.change(&format!(
        "auth: {{ idp: {} }}\nroutes: {{ /**: {{ auth: idp, to: {} }}, /new: {{ respond: {{}} }} }}\n",
        idp.provider(),
        upstream.url()
    ));
    other["sub"] = "dora".into();
    assert_eq!(gateway.send(&bearer(&signer.token(&other))).status, 200, "carried over the reload");
    assert_eq!(gateway.get("/new").status, 200);
}

#[test]
fn a_file_of_keys_is_read_again_when_it_changes_and_what_its_old_keys_signed_is_forgotten() {
    let (old, new) = (Signer::new("EdDSA").named("a"), Signer::new("EdDSA").named("b"));
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("keys.json");
    std::fs::write(&path, jwks(&[&old])).expect("keys");
    let yaml = "auth: { own: { jwt: { jwks: keys.json } } }\nroutes: { /**: { auth: own, respond: {} } }\n";
    let gateway = Gateway::start_in(folder, yaml);
    let claims = json!({ "sub": "a", "exp": now() + 600 });
    let (was, is) = (bearer(&old.token(&claims)), bearer(&new.token(&claims)));
    assert_eq!((gateway.send(&was).status, gateway.send(&was).status), (200, 200));
    std::fs::write(&path, jwks(&[&new])).expect("other keys");
    wait::until("the new key is known", || gateway.send(&is).status == 200);
    assert_eq!(gateway.send(&was).status, 401, "its key has left");
    std::fs::write(&path, "{").expect("half a file");
    wait::until("it is noticed", || gateway.metric("tollgate_auth_keys_stale", &["provider=\"own\""]) == 1.0);
    assert_eq!(gateway.send(&is).status, 200);
}

#[test]
fn a_provider_that_stands_in_a_route_keeps_its_keys_over_a_reload() {
    let signer = Signer::new("ES256").named("one");
    let idp = Idp::start(&[&signer]);
    let route = |path: &str| format!("  {path}: {{ auth: {}, respond: {{}} }}\n", idp.provider());
    let gateway = Gateway::start(&format!("routes:\n{}", route("/a")));
    let ask = |path: &str| {
        let token = signer.token(&idp.claims());
        gateway.send(&Request::get(path).header("Authorization", &format!("Bearer {token}"))).status
    };
    assert_eq!((ask("/a"), idp.asked()), (200, 1));
    gateway.change(&format!("routes:\n{}{}", route("/0"), route("/a")));
    assert_eq!((ask("/a"), ask("/0")), (200, 200), "whose keys are whose is told by what is written, not by its place");
    assert!(idp.asked() <= 2, "only the one that is new has fetched");
    idp.shared.down.store(true, SeqCst);
    gateway.change(&format!("routes:\n{}  /b: {{ respond: {{}} }}\n", route("/a")));
    assert_eq!(ask("/a"), 200, "though the issuer is down");
}

/// The signers of the other tests share their reading of the RFCs with the code under test; this one does not.
#[test]
fn tokens_of_another_library_pass_by_every_algorithm_it_has() {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    for (name, algorithm) in [
        ("RS256", Algorithm::RS256),
        ("RS384", Algorithm::RS384),
        ("RS512", Algorithm::RS512),
        ("PS256", Algorithm::PS256),
        ("PS384", Algorithm::PS384),
        ("PS512", Algorithm::PS512),
        ("ES256", Algorithm::ES256),
        ("ES384", Algorithm::ES384),
        ("EdDSA", Algorithm::EdDSA),
    ] {
        let signer = Signer::new(name).named("one");
        let idp = Idp::start(&[&signer]);
        let gateway = Gateway::start(&format!(
            "auth: {{ idp: {} }}\nroutes: {{ /**: {{ auth: idp, respond: {{}} }} }}\n",
            idp.provider()
        ));
        let pem = signer.private_pem();
        let key = match &name[..2] {
            "ES" => EncodingKey::from_ec_pem(pem.as_bytes()),
            "Ed" => EncodingKey::from_ed_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        let head = Header { kid: Some("one".into()), ..Header::new(algorithm) };
        let token = encode(&head, &idp.claims(), &key.expect("a key")).expect("a token");
        let ask =
            |token: &str| gateway.send(&Request::get("/").header("Authorization", &format!("Bearer {token}"))).status;
        assert_eq!(ask(&token), 200, "{name}");
        // The last character of a signature of these lengths has bits to spare, which must be zero.
        let cut = &token[..token.len() - 1];
        assert_eq!((ask(cut), ask(&format!("{token}A"))), (401, 401), "{name}");
    }
}
