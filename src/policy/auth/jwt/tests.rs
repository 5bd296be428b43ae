//! What is written, accepted and refused; tokens, hostile ones among them. Time is the request's own, moved by hand.

use crate::config::load_str;
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::policy::auth::tokens::{self, Signer, base64url};
use crate::policy::auth::{Authenticate, Provider, Verdict};
use crate::reply::Reason;
use crate::request::{RequestCx, RequestView};
use crate::snapshot::{Snapshot, Surroundings, compile};
use http::HeaderMap;
use serde_json::{Value, json};
use std::sync::Arc;

const NOW: u64 = 1_000_000;
const PUBLIC: [&str; 10] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

fn compiled_after(text: &str, previous: Option<&Arc<Snapshot>>) -> Result<Arc<Snapshot>, String> {
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 10, reasons: Reason::SLUGS });
    let (fetcher, limits) = (Arc::default(), Arc::default());
    let surroundings = Surroundings {
        previous,
        metrics: &metrics,
        fetcher: &fetcher,
        limits: &limits,
        cache: &Default::default(),
        seed: 0,
    };
    let loaded = load_str("t.yaml", text).map_err(|failed| failed.to_string())?;
    compile(loaded, &surroundings).map(|compiled| Arc::new(compiled.snapshot)).map_err(|failed| failed.to_string())
}

fn file(jwt: &str, more: &str) -> String {
    format!("listen: :0\nauth: {{ idp: {{ jwt: {jwt} }} }}\nroutes: {{ /: {{ auth: idp, respond: {{}} }} }}\n{more}")
}

fn snapshot(jwt: &str) -> Arc<Snapshot> {
    compiled_after(&file(jwt, ""), None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The provider in short: keys inline, so that nothing is fetched.
fn with_keys(signers: &[&Signer], more: &str) -> Arc<Snapshot> {
    snapshot(&format!("{{ jwks: {}, {more} }}", tokens::jwks(signers)))
}

fn provider(snapshot: &Snapshot) -> &Provider {
    &snapshot.providers["idp"]
}

fn ask_at(
    snapshot: &Snapshot,
    now: u64,
    fields: &[(&str, &str)],
    query: Option<&str>,
) -> (Verdict, HeaderMap, RequestCx) {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    let mut cx = RequestCx::at(now);
    let mut view = RequestView { method: "GET", host: "h", path: "/", query, headers: &mut headers };
    let verdict = provider(snapshot).authenticate(&mut cx, &view, &snapshot.consumers.load());
    provider(snapshot).strip(&mut cx, &mut view);
    (verdict, headers, cx)
}

fn ask(snapshot: &Snapshot, token: &str) -> Verdict {
    ask_at(snapshot, NOW, &[("authorization", &format!("Bearer {token}"))], None).0
}

fn claims() -> Value {
    json!({ "sub": "alice", "exp": NOW + 60 })
}

#[track_caller]
fn passes(verdict: Verdict) -> Arc<crate::request::Caller> {
    match verdict {
        Verdict::Passed(caller) => caller,
        other => panic!("{other:?}"),
    }
}

fn detail(verdict: Verdict) -> String {
    match verdict {
        Verdict::Refused(refusal) | Verdict::Foreign(refusal) => refusal.detail.into_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_token_of_every_algorithm_passes_and_any_change_to_its_signature_does_not() {
    for alg in PUBLIC {
        let (signer, other) = (Signer::new(alg), Signer::new(alg));
        let snapshot = with_keys(&[&signer], "");
        let token = signer.token(&claims());
        assert_eq!(&*passes(ask(&snapshot, &token)).id, "alice", "{alg}");
        let (message, signature) = token.rsplit_once('.').unwrap();
        let bytes = signer.sign(message.as_bytes());
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        let half = bytes.len() / 2;
        let swapped = [&bytes[half..], &bytes[..half]].concat();
        let longer = [bytes.as_slice(), &[0]].concat();
        let hostile: Vec<(&str, String)> = vec![
            ("flipped", base64url(&flipped)),
            ("swapped", base64url(&swapped)),
            ("a byte more", base64url(&longer)),
            ("a byte less", base64url(&bytes[..bytes.len() - 1])),
            ("zeros (CVE-2022-21449)", base64url(vec![0; bytes.len()])),
            ("ones", base64url(vec![0xff; bytes.len()])),
            ("none", String::new()),
            ("padded", format!("{signature}=")),
            ("padded twice", format!("{signature}==")),
            ("with a space", format!("{signature} x")),
            ("with a line end", format!("{signature}%0a")),
            ("in the other alphabet", format!("{}+/", &signature[..signature.len() - 2])),
            ("by another key", base64url(other.sign(message.as_bytes()))),
        ];
        for (what, signature) in hostile {
            let verdict = ask(&snapshot, &format!("{message}.{signature}"));
            assert!(matches!(verdict, Verdict::Refused(_)), "{alg}, signature {what}: {verdict:?}");
        }
        assert!(matches!(ask(&snapshot, &token), Verdict::Passed(_)), "{alg}: still good");
    }
}

#[test]
fn bits_to_spare_in_base64_make_no_second_token() {
    let signer = Signer::new("ES256");
    let snapshot = with_keys(&[&signer], "");
    let token = signer.token(&claims());
    let last = token.chars().last().unwrap();
    // 64 bytes are 85 digits and two bits: of the 16 digits that share those two bits one is canonical.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let accepted: Vec<char> = alphabet
        .chars()
        .filter(|digit| {
            let changed = format!("{}{digit}", &token[..token.len() - 1]);
            matches!(ask(&snapshot, &changed), Verdict::Passed(_))
        })
        .collect();
    assert_eq!(accepted, [last]);
}

#[test]
fn der_is_no_signature_of_a_token() {
    let signer = Signer::new("ES256");
    let snapshot = with_keys(&[&signer], "");
    let token = signer.token(&claims());
    let (message, _) = token.rsplit_once('.').unwrap();
    let fixed = signer.sign(message.as_bytes());
    let number = |part: &[u8]| {
        let part: Vec<u8> = part.iter().copied().skip_while(|byte| *byte == 0).collect();
        let part = if part[0] >= 0x80 { [&[0], part.as_slice()].concat() } else { part };
        [&[2, u8::try_from(part.len()).unwrap()], part.as_slice()].concat()
    };
    let body = [number(&fixed[..32]), number(&fixed[32..])].concat();
    let der = [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat();
    assert_eq!(detail(ask(&snapshot, &format!("{message}.{}", base64url(der)))), super::UNKNOWN_KEY);
}

#[test]
fn the_algorithm_is_the_providers_choice_and_never_the_tokens() {
    let rsa = Signer::new("RS256").named("k");
    let snapshot = with_keys(&[&rsa], "");
    let payload = claims().to_string();
    for alg in ["none", "None", "NONE", "nOnE", "", "rs256", "RS256 ", "HS256", "HS512", "A128KW", "dir"] {
        let head = json!({ "alg": alg, "kid": "k" }).to_string();
        for token in [rsa.token_of(&head, &payload), format!("{}.{}.", base64url(&head), base64url(&payload))] {
            assert_eq!(detail(ask(&snapshot, &token)), "the token's algorithm is not accepted", "{alg}");
        }
    }
    // The public key, known to everyone, as the secret (CVE-2015-9235), in each form it is written in.
    for secret in [rsa.pem(), rsa.pem().trim_end().to_owned(), rsa.jwk().to_string()] {
        let forged = Signer::with_secret(secret.as_bytes()).named("k").token(&claims());
        assert!(matches!(ask(&snapshot, &forged), Verdict::Refused(_)));
    }
    // A key's own `alg` binds it: the same RSA key does not check another scheme.
    for alg in ["RS384", "PS256", "ES256", "EdDSA"] {
        let head = json!({ "alg": alg, "kid": "k" }).to_string();
        assert_eq!(
            detail(ask(&snapshot, &rsa.token_of(&head, &payload))),
            "the token's signature is not good",
            "{alg}"
        );
    }
}

#[test]
fn what_the_head_brings_along_is_not_looked_at() {
    let (ours, theirs) = (Signer::new("ES256").named("k"), Signer::new("ES256").named("k"));
    let snapshot = with_keys(&[&ours], "");
    let payload = claims().to_string();
    let extras = json!({
        "jku": "http://127.0.0.1:1/keys", "x5u": "http://127.0.0.1:1/c", "x5c": ["MA=="], "jwk": theirs.jwk(), "cty": "JWT",
    });
    let mut head = json!({ "alg": "ES256", "kid": "k", "typ": "at+jwt" });
    head.as_object_mut().unwrap().extend(extras.as_object().unwrap().clone());
    assert!(matches!(ask(&snapshot, &ours.token_of(&head.to_string(), &payload)), Verdict::Passed(_)));
    assert!(matches!(ask(&snapshot, &theirs.token_of(&head.to_string(), &payload)), Verdict::Refused(_)));
    let huge = "k".repeat(9_000);
    for kid in ["../../dev/null", "/etc/passwd", "' OR 1=1 --", "http://127.0.0.1:1/", "k\u{0}", "", &huge] {
        let head = json!({ "alg": "ES256", "kid": kid }).to_string();
        assert_eq!(detail(ask(&snapshot, &ours.token_of(&head, &payload))), super::UNKNOWN_KEY, "{kid:.20}");
    }
    for head in [
        r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#,
        r#"{"alg":"ES256","kid":"k","crit":[]}"#,
        r#"{"alg":"ES256","kid":"k","b64":false}"#,
        r#"{"alg":"ES256","kid":"k","typ":"logout+jwt"}"#,
        r#"{"alg":"ES256","kid":"k","typ":"application/dpop+JWT"}"#,
        r#"{"alg":"ES256","kid":["k"]}"#,
        r#"{"alg":"none","alg":"ES256","kid":"k"}"#,
        r#"{"alg":["ES256"],"kid":"k"}"#,
        r#"{"kid":"k"}"#,
        "[]",
        "{",
        "",
    ] {
        assert!(matches!(ask(&snapshot, &ours.token_of(head, &payload)), Verdict::Refused(_)), "{head}");
    }
}

#[test]
fn a_payload_must_say_one_thing_and_all_that_is_asked() {
    let signer = Signer::new("EdDSA");
    let more = "issuer: \"https://idp\", audience: [orders], required_claims: { tier: [1, 2] }, leeway: 5s";
    let snapshot = with_keys(&[&signer], more);
    let good = json!({ "iss": "https://idp", "aud": "orders", "sub": "a", "exp": NOW + 1, "nbf": NOW, "tier": 2 });
    let say = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        detail(ask(&snapshot, &signer.token(&claims)))
    };
    assert!(matches!(ask(&snapshot, &signer.token(&good)), Verdict::Passed(_)));
    assert!(matches!(ask(&snapshot, &signer.token(&json!({ "iss": "https://other" }))), Verdict::Foreign(_)));
    assert!(say("exp", json!(NOW - 4)).starts_with("Passed"));
    assert_eq!(say("exp", json!(NOW - 5)), "the token has expired");
    assert!(say("nbf", json!(NOW + 5)).starts_with("Passed"));
    assert_eq!(say("nbf", json!(NOW + 6)), "the token is not valid yet");
    assert_eq!(say("exp", Value::Null), "the token's `exp` is not a time");
    assert_eq!(say("aud", json!("carts")), "the token is for another audience");
    assert_eq!(say("tier", json!(3)), "the token has another value in the claim `tier`");
    assert_eq!(say("sub", json!("")), "the token names nobody in `sub`");
    assert_eq!(say("sub", json!({})), "the token names nobody in `sub`");
    let head = r#"{"alg":"EdDSA"}"#;
    let twice = r#"{"iss":"https://idp","aud":"orders","sub":"a","exp":1,"exp":9999999999,"tier":1}"#;
    for payload in [twice, "null", "[]", "\"a\"", "{}x", "{\"sub\":\"\\ud800\"}"] {
        let verdict = ask(&snapshot, &signer.token_of(head, payload));
        assert!(matches!(verdict, Verdict::Refused(_)), "{payload}: {verdict:?}");
    }
}

#[test]
fn what_is_not_three_parts_is_another_providers_or_nobodys() {
    let signer = Signer::new("EdDSA");
    let snapshot = with_keys(&[&signer], "");
    let token = signer.token(&claims());
    for text in ["opaque", "a.b", "a.b.c.d", "a.b.c.d.e", &format!("{token}."), &format!(".{token}"), "..."] {
        assert!(matches!(ask(&snapshot, text), Verdict::Foreign(_)), "{text:.30}");
    }
    assert_eq!(detail(ask(&snapshot, "a.b.c.d.e")), "the token is encrypted; only signed ones are accepted");
    let filled = |length: usize| {
        let mut claims = claims();
        claims["x"] = "x".repeat(length).into();
        signer.token(&claims)
    };
    assert!(matches!(ask(&snapshot, &filled(11_000)), Verdict::Passed(_)));
    assert_eq!(detail(ask(&snapshot, &filled(12_300))), "the token is longer than 16 KiB");
    for text in ["..", "a..", "é.é.é", &"x.".repeat(2)] {
        assert!(!matches!(ask(&snapshot, text.trim_end()), Verdict::Passed(_)), "{text}");
    }
}

#[test]
fn the_token_stands_in_one_place_and_leaves_alone_what_is_not_it() {
    let signer = Signer::new("EdDSA");
    let token = signer.token(&claims());
    let bearer = format!("Bearer {token}");
    let everywhere = with_keys(&[&signer], "from: { header: Authorization, cookie: session, query: token }");
    let at = |fields: &[(&str, &str)], query: Option<&str>| ask_at(&everywhere, NOW, fields, query);
    for scheme in ["bearer", "BEARER", "BeArEr", "Bearer  "] {
        let (verdict, left, _) = at(&[("authorization", &format!("{scheme} {token}"))], None);
        assert!(matches!(verdict, Verdict::Passed(_)) && left.is_empty(), "{scheme}");
    }
    let (verdict, left, _) = at(&[("cookie", &format!("a=1; session={token}; b=2")), ("cookie", "c=\"3\"")], None);
    passes(verdict);
    let cookies: Vec<&str> = left.get_all("cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert_eq!(cookies, ["a=1; b=2", "c=\"3\""]);
    let (verdict, _, cx) = at(&[], Some(&format!("a=%20&tok%65n={token}&b")));
    passes(verdict);
    assert_eq!(cx.changes.query.as_deref(), Some("a=%20&b"));
    let (verdict, left, _) =
        at(&[("cookie", "xsession=1; session2=2"), ("authorization", "Basic YTpi")], Some("tokens=1"));
    assert!(matches!(verdict, Verdict::Absent));
    assert_eq!(
        (left["cookie"].to_str().unwrap(), left.contains_key("authorization")),
        ("xsession=1; session2=2", true)
    );
    type Fields<'a> = &'a [(&'a str, &'a str)];
    let ambiguous: [(Fields<'_>, Option<String>); 7] = [
        (&[("authorization", &bearer), ("authorization", &bearer)], None),
        (&[("authorization", "Basic YTpi"), ("authorization", &bearer)], None),
        (&[("authorization", &bearer)], Some(format!("token={token}"))),
        (&[("authorization", &bearer), ("cookie", &format!("session={token}"))], None),
        (&[("cookie", &format!("session={token}; session={token}"))], None),
        // Servers read both as the same cookie.
        (&[("cookie", &format!("session={token}; session = x"))], None),
        (&[], Some(format!("token={token}&token={token}"))),
    ];
    for (fields, query) in ambiguous {
        let (verdict, ..) = at(fields, query.as_deref());
        assert!(matches!(verdict, Verdict::Ambiguous(_)), "{verdict:?}");
    }
    assert!(matches!(at(&[("authorization", "Bearer ")], None).0, Verdict::Refused(_)));
    assert!(matches!(at(&[("cookie", "session=")], None).0, Verdict::Absent));
    let own = with_keys(&[&signer], "from: { header: X-Token }");
    passes(ask_at(&own, NOW, &[("x-token", &token)], None).0);
    assert!(matches!(ask_at(&own, NOW, &[("authorization", &bearer)], None).0, Verdict::Absent));
}

#[test]
fn claims_become_the_caller() {
    let signer = Signer::new("EdDSA");
    let more = "consumer: user.name, groups: roles, headers: { X-Email: email, X-Tags: tags, X-None: none }";
    let snapshot = with_keys(&[&signer], more);
    let claims = json!({
        "exp": NOW + 60, "user": { "name": "bob" }, "roles": ["a", "b", 7], "scope": "read  write", "jti": "t1",
        "email": "b\u{f6}b@x\r\nX-Admin: 1", "tags": ["x", 1, true], "none": { "a": 1 },
    });
    let caller = passes(ask(&snapshot, &signer.token(&claims)));
    assert_eq!((&*caller.id, caller.expires, caller.credential.as_deref()), ("bob", Some(NOW + 60), Some("t1")));
    assert_eq!((caller.groups.join(" "), caller.scopes.join(" ")), ("a b".into(), "read write".into()));
    let field =
        |name: &str| caller.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.to_str().unwrap());
    assert_eq!(field("x-email"), Some("b%C3%B6b@x%0D%0AX-Admin: 1"));
    assert_eq!((field("x-tags"), field("x-none")), (Some("x,1,true"), None));
    assert!(snapshot.identity.iter().any(|name| name == "x-email"));
    let scp = json!({ "exp": NOW + 60, "user": { "name": 7 }, "scp": ["r", "w"] });
    let caller = passes(ask(&snapshot, &signer.token(&scp)));
    assert_eq!((&*caller.id, caller.scopes.join(" ")), ("7", "r w".into()));
}

#[test]
fn a_remembered_token_is_good_no_longer_than_it_says_and_means_what_the_consumers_say_now() {
    let signer = Signer::new("EdDSA");
    let text = |more: &str| file(&format!("{{ jwks: {} }}", tokens::jwks(&[&signer])), more);
    let first = compiled_after(&text(""), None).unwrap();
    let token = format!("Bearer {}", signer.token(&json!({ "sub": "7", "exp": NOW + 60, "nbf": NOW })));
    let at = |snapshot: &Snapshot, now: u64| ask_at(snapshot, now, &[("authorization", &token)], None).0;
    let caller = passes(at(&first, NOW));
    assert!(Arc::ptr_eq(&caller, &passes(at(&first, NOW + 59))), "the same caller, not made anew");
    assert!(matches!(at(&first, NOW - 1), Verdict::Refused(_)));
    assert_eq!(detail(at(&first, NOW + 60)), "the token has expired");
    assert_eq!(passes(at(&first, NOW + 1)).consumer, None);
    let second =
        compiled_after(&text("consumers: { acme: { jwt_subject: \"7\", groups: [gold] } }"), Some(&first)).unwrap();
    let renamed = passes(at(&second, NOW + 1));
    assert_eq!((&*renamed.id, renamed.groups.join(",")), ("acme", "gold".into()));
    assert!(Arc::ptr_eq(&renamed, &passes(at(&second, NOW + 2))));
    let stricter = text("").replace("jwks", "audience: x, jwks");
    let third = compiled_after(&stricter, Some(&second)).unwrap();
    assert_eq!(detail(at(&third, NOW + 1)), "the token names no audience");
    let other = Signer::new("EdDSA");
    let rotated = file(&format!("{{ jwks: {} }}", tokens::jwks(&[&other])), "");
    let fourth = compiled_after(&rotated, Some(&second)).unwrap();
    assert_eq!(detail(at(&fourth, NOW + 1)), super::UNKNOWN_KEY);
}

fn key() -> crate::policy::auth::jwks::Key {
    use crate::policy::auth::jwks::{Algorithms, Family, Key, Material};
    Key::new(None, Material::Secret(vec![7; 32]), Algorithms::of(Family::Secret)).unwrap()
}

#[test]
fn floods_neither_grow_the_cache_nor_evict_what_is_good_by_what_is_bad() {
    let signer = Signer::new("HS256");
    let tokens = super::cache::Tokens::new(100).unwrap();
    assert_ne!(tokens.mark("a"), tokens.mark("b"));
    assert_ne!(super::cache::Tokens::new(1).unwrap().mark("a"), tokens.mark("a"), "another process, other places");
    let secret = format!("key: {{ value: \"{}\", insecure_inline: true }}", signer.pem());
    let snapshot = snapshot(&format!("{{ {secret}, cache: 100 }}"));
    let good = signer.token(&claims());
    let caller = passes(ask(&snapshot, &good));
    for n in 0..5_000 {
        assert!(!matches!(ask(&snapshot, &format!("{good}{n}")), Verdict::Passed(_)));
    }
    assert!(Arc::ptr_eq(&caller, &passes(ask(&snapshot, &good))));
    for n in 0..2_000 {
        let mut claims = claims();
        claims["jti"] = n.to_string().into();
        passes(ask(&snapshot, &signer.token(&claims)));
    }
    for n in 0..1_000_u32 {
        let caller = Arc::clone(&caller);
        let key = Arc::new(key());
        let span = super::claims::Span { from: 0, until: NOW, expires: NOW };
        tokens.put(tokens.mark(&n.to_string()), super::cache::Verified { caller, span, key, revision: 1 });
    }
    assert!(tokens.len() <= 128, "{tokens:?}");
}

#[test]
fn secrets_and_public_keys_are_told_apart_by_what_is_written() {
    let (rsa, secret) = (Signer::new("RS256"), Signer::new("HS256"));
    let key = |value: &str| format!("key: {{ value: {}, insecure_inline: true }}", Value::from(value));
    let by_secret = snapshot(&format!("{{ {} }}", key(&secret.pem())));
    passes(ask(&by_secret, &secret.token(&claims())));
    assert_eq!(detail(ask(&by_secret, &rsa.token(&claims()))), "the token's algorithm is not accepted");
    let by_pem = snapshot(&format!("{{ {} }}", key(&rsa.pem())));
    passes(ask(&by_pem, &rsa.token(&claims())));
    passes(ask(&by_pem, &rsa.token_of(r#"{"alg":"RS256","kid":"any"}"#, &claims().to_string())));
    let refused = [
        (
            format!("{{ {}, algorithms: RS256 }}", key(&secret.pem())),
            "no algorithm that is accepted goes with this secret",
        ),
        (format!("{{ {}, algorithms: [RS256, HS256] }}", key(&rsa.pem())), "`RS256` and `HS256` do not go together"),
        (
            format!("{{ {}, algorithms: HS256 }}", key(&rsa.pem())),
            "`key` cannot be used: no algorithm that is allowed goes with it",
        ),
        (format!("{{ {} }}", key("short")), "a secret that signs tokens has at least 32 bytes"),
        (
            format!("{{ {}, algorithms: HS512 }}", key(&"k".repeat(40))),
            "no algorithm that is accepted goes with this secret",
        ),
        ("{ jwks: \"http://idp.example/keys\" }".into(), "keys that come in clear text can be exchanged on the way"),
        ("{ issuer: \"http://idp.example\" }".into(), "keys that come in clear text can be exchanged on the way"),
        ("{ issuer: \"https://idp.example\", algorithms: HS256 }".into(), "`HS256` does not go with public keys"),
        ("{}".into(), "no keys: a token cannot be checked"),
        ("{ jwks: no/such/file }".into(), "No such file"),
        ("{ jwks: { keys: [] } }".into(), "there are no keys in the set"),
        ("{ jwks: { keys: [{ kty: RSA, n: AQAB, e: AQAB }] } }".into(), "an RSA key of less than 2048 bits"),
        ("{ jwks: { keys: [{ kty: EC, d: secret }] } }".into(), "unknown field `d`"),
        ("{ issuer: \"https://a\", leeway: 11m }".into(), "no two clocks are that far apart"),
        ("{ issuer: \"https://a\", from: {} }".into(), "a token must stand somewhere"),
        ("{ issuer: \"https://a\", headers: { Host: sub } }".into(), "`host` cannot tell upstreams of the caller"),
        (
            "{ issuer: \"https://a\", headers: { X-Consumer-Id: sub } }".into(),
            "`x-consumer-id` cannot tell upstreams of the caller",
        ),
        ("{ issuer: \"https://a\", headers: { \"X Y\": sub } }".into(), "`X Y` is not the name of a header field"),
        ("{ issuer: \"https://a\", algorithms: none }".into(), "`none` is no algorithm"),
    ];
    for (jwt, expected) in refused {
        let said = compiled_after(&file(&jwt, ""), None).err().unwrap_or_else(|| panic!("accepted: {jwt}"));
        assert!(said.contains(expected), "{jwt}\n{said}");
        assert!(!said.contains(&secret.pem()), "{said}");
    }
}
