//! The provider over requests without sockets; the RFC's own examples among them.

use super::base::{Message, base};
use super::key::{Algorithm, Key};
use super::replay::Nonces;
use super::{Nonce, Signature, SignatureConfig};
use crate::consumer::Consumers;
use crate::policy::auth::{Authenticate, Verdict};
use crate::request::{Body, RequestCx, RequestView, Scheme};
use crate::value::{OneOrMany, Spanned};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use sfv::{ListEntry, Parser};
use std::collections::HashMap;
use std::sync::Arc;

/// RFC 9421, B.1.5 and B.1.4.
pub(super) const SHARED: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const ED25519: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----";
/// RFC 9421, B.2: the digest of `{"hello": "world"}`.
pub(super) const DIGEST: &str =
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
/// RFC 9421, B.2.5 and B.2.6: when they were signed.
pub(super) const SIGNED: u64 = 1_618_884_473;

/// The request of RFC 9421, B.2.
fn example() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "example.com"),
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("content-type", "application/json"),
        ("content-digest", DIGEST),
        ("content-length", "18"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

pub(super) fn ed25519_key() -> Key {
    Key::of_pem(ED25519, None)
}

pub(super) fn provider(require: &[&str]) -> Signature {
    let keys: [(Box<str>, Key); 2] = [
        ("test-shared-secret".into(), Key::of_secret(SHARED)),
        ("test-key-ed25519".into(), Key::of_pem(ED25519, None)),
    ];
    Signature {
        name: "partners".into(),
        keys: HashMap::from(keys),
        written: SignatureConfig {
            require: OneOrMany(require.iter().map(|name| Spanned::nowhere((*name).to_owned())).collect()),
            ..SignatureConfig::default()
        },
        nonces: Arc::new(Nonces::default()),
    }
}

pub(super) fn asked(provider: &Signature, headers: &mut HeaderMap, now: u64) -> (String, RequestCx) {
    let mut cx = RequestCx { body: Body::Length(18), scheme: Scheme::Https, ..RequestCx::at(now) };
    let view =
        RequestView { method: "POST", host: "example.com", path: "/foo", query: Some("param=Value&Pet=dog"), headers };
    let verdict = provider.authenticate(&mut cx, &view, &Arc::new(Consumers::default()));
    (format!("{verdict:?}"), cx)
}

pub(super) fn signed(input: &str, signature: &str) -> HeaderMap {
    let mut headers = example();
    headers.insert("signature-input", HeaderValue::from_str(input).unwrap());
    headers.insert("signature", HeaderValue::from_str(signature).unwrap());
    headers
}

/// Signs as a client does, by the shared key.
fn sign(parameters: &str, headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    let input = format!("s={parameters}");
    let parsed = Parser::parse_dictionary(input.as_bytes()).unwrap();
    let Some(ListEntry::InnerList(list)) = parsed.get("s") else { panic!("{parameters}") };
    let cx = RequestCx { scheme: Scheme::Https, ..RequestCx::at(0) };
    let mut copy = headers.clone();
    let view = RequestView {
        method: "POST",
        host: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        headers: &mut copy,
    };
    let text = base(list, &Message::new(&cx, &view)).unwrap().text;
    let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(SHARED).unwrap());
    let coded = STANDARD.encode(hmac::sign(&key, &text));
    headers.insert("signature-input", HeaderValue::from_str(&input).unwrap());
    headers.insert("signature", HeaderValue::from_str(&format!("s=:{coded}:")).unwrap());
    headers
}

#[test]
fn the_examples_of_the_rfc_verify() {
    let hmac = r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
    let mut headers = signed(hmac, "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
    assert_eq!(asked(&provider(&[]), &mut headers, SIGNED).0, "Passed(test)");
    let ed25519 = r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
    let signature =
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:";
    let mut headers = signed(ed25519, signature);
    assert_eq!(asked(&provider(&["@method", "@path"]), &mut headers, SIGNED).0, "Passed(test)");
    headers.insert("content-type", HeaderValue::from_static("text/plain"));
    assert_eq!(asked(&provider(&[]), &mut headers, SIGNED).0, "Refused(The signature does not match the request.)");
}

#[test]
fn the_base_is_written_as_the_rfc_writes_it() {
    let mut headers = example();
    headers.append("x-list", HeaderValue::from_static("  a "));
    headers.append("x-list", HeaderValue::from_static("b, c"));
    headers.insert("x-dict", HeaderValue::from_static("a=1,   b=2;x=1;y=2,  c=(a   b   c), d"));
    let cx = RequestCx { scheme: Scheme::Https, ..RequestCx::at(0) };
    headers.insert("host", HeaderValue::from_static("Example.com:443"));
    let query = Some("var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace");
    let view = RequestView { method: "GET", host: "example.com", path: "/p", query, headers: &mut headers };
    let message = Message::new(&cx, &view);
    for (component, value) in [
        (r#""@method""#, "GET"),
        (r#""@authority""#, "example.com"),
        (r#""@scheme""#, "https"),
        (r#""@path""#, "/p"),
        (r#""@query-param";name="var""#, "this%20is%20a%20big%0Amultiline%20value"),
        (r#""@query-param";name="bar""#, "with%20plus%20whitespace"),
        (r#""x-list""#, "a, b, c"),
        (r#""x-list";bs"#, ":YQ==:, :YiwgYw==:"),
        (r#""x-dict";key="a""#, "1"),
        (r#""x-dict";key="b""#, "2;x=1;y=2"),
        (r#""x-dict";key="c""#, "(a b c)"),
        (r#""x-dict";key="d""#, "?1"),
    ] {
        let parsed = Parser::parse_list(format!("({component});created=1").as_bytes()).unwrap();
        let ListEntry::InnerList(list) = &parsed[0] else { panic!("{component}") };
        let text = String::from_utf8(base(list, &message).unwrap().text).unwrap();
        assert_eq!(text, format!("{component}: {value}\n\"@signature-params\": ({component});created=1"));
    }
    for component in [
        r#""@status""#,
        r#""x-none""#,
        r#""X-List""#,
        r#""x-list";sf"#,
        r#""x-list";req"#,
        r#""x-list";tr"#,
        r#""x-dict";key="e""#,
        r#""@method";req"#,
        r#""@query-param";name="none""#,
        r#""@query-param""#,
        r#""@path" "@path""#,
        "token",
    ] {
        let parsed = Parser::parse_list(format!("({component})").as_bytes()).unwrap();
        let ListEntry::InnerList(list) = &parsed[0] else { panic!("{component}") };
        assert!(base(list, &message).is_err(), "{component}");
    }
}

const FULL: &str =
    r#"("@method" "@authority" "@path" "@query" "content-digest");created=1618884473;keyid="test-shared-secret""#;

#[test]
fn only_what_is_covered_whole_passes() {
    let default = provider(&["@method", "@authority", "@path", "@query", "content-digest"]);
    let (verdict, cx) = asked(&default, &mut sign(FULL, &example()), SIGNED);
    assert_eq!(verdict, "Passed(test)");
    let mut digest = *cx.identity.body.unwrap();
    digest.update(br#"{"hello": "#);
    let mut other = digest.clone();
    digest.update(br#""world"}"#);
    assert!(digest.holds());
    other.update(br#""there"}"#);
    assert!(!other.holds());
    let rest = r#";created=1618884473;keyid="test-shared-secret""#;
    for (covered, missing) in [
        (r#"("@authority" "@path" "@query" "content-digest")"#, "@method"),
        (r#"("@method" "@path" "@query" "content-digest")"#, "@authority"),
        (r#"("@method" "@authority" "@query" "content-digest")"#, "@path"),
        (r#"("@method" "@authority" "@path" "content-digest")"#, "@query"),
        (r#"("@method" "@authority" "@path" "@query")"#, "content-digest"),
        (r#"("@method" "@authority" "@path" "@query" "content-digest";key="sha-512")"#, "content-digest"),
        (r#"("@method" "@request-target" "content-digest")"#, "@authority"),
    ] {
        let verdict = asked(&default, &mut sign(&format!("{covered}{rest}"), &example()), SIGNED).0;
        assert_eq!(verdict, format!("Refused(The signature must cover {missing}.)"));
    }
    let target = format!(r#"("@method" "@target-uri" "content-digest"){rest}"#);
    assert_eq!(asked(&default, &mut sign(&target, &example()), SIGNED).0, "Passed(test)");
}

#[test]
fn times_are_kept() {
    let provider = provider(&[]);
    let with = |extra: &str, now: u64| {
        let parameters = format!(r#"("@method"){extra};keyid="test-shared-secret""#);
        asked(&provider, &mut sign(&parameters, &example()), now).0
    };
    assert_eq!(with(";created=1000", 1000), "Passed(test)");
    assert_eq!(with(";created=1000", 995), "Passed(test)");
    assert_eq!(with(";created=1000", 994), "Refused(The signature was created in the future.)");
    assert_eq!(with(";created=1000", 1305), "Passed(test)");
    assert_eq!(with(";created=1000", 1306), "Refused(The signature is too old.)");
    assert_eq!(with(";created=1000;expires=1010", 1014), "Passed(test)");
    assert_eq!(with(";created=1000;expires=1010", 1015), "Refused(The signature is too old.)");
    for times in ["", ";created=\"1000\"", ";created=-1", ";created=1000.5", ";created=1000;expires=?1"] {
        assert!(with(times, 1000).starts_with("Refused(The signature needs `created`"), "{times}");
    }
}

#[test]
fn hostile_signatures_are_refused() {
    let provider = provider(&[]);
    let good = sign(FULL, &example());
    let signature = good.get("signature").unwrap().to_str().unwrap().to_owned();
    let with = |input: &str, signature: &str| asked(&provider, &mut signed(input, signature), SIGNED).0;
    let swapped = |from: &str, to: &str| with(&format!("s={}", FULL.replace(from, to)), &signature);
    assert_eq!(asked(&provider, &mut good.clone(), SIGNED).0, "Passed(test)");
    assert_eq!(
        swapped("test-shared-secret\"", "test-key-ed25519\""),
        "Refused(The signature does not match the request.)"
    );
    assert_eq!(
        swapped("created=1618884473", "created=1618884474"),
        "Refused(The signature does not match the request.)"
    );
    assert_eq!(swapped("test-shared-secret", "../../etc/passwd"), "Foreign(The signature's key is not known here.)");
    assert_eq!(swapped(";keyid=\"test-shared-secret\"", ""), "Refused(The signature names no key.)");
    for alg in ["\"ed25519\"", "\"none\"", "hmac-sha256", "\"HMAC-SHA256\""] {
        let verdict = swapped(";keyid", &format!(";alg={alg};keyid"));
        assert_eq!(verdict, "Refused(The signature's algorithm is not the one of its key.)", "{alg}");
    }
    let input = format!("s={FULL}");
    for bad in ["s=::", "s=:AAAA:", &signature.replace(":", ":AAAA"), "s=\"text\"", "other=:AAAA:"] {
        assert!(!with(&input, bad).starts_with("Passed"), "{bad}");
    }
    for bad in ["s=(", "s=1", "", "s=(\"@method\");created=1;created=2)"] {
        assert!(!with(bad, &signature).starts_with("Passed"), "{bad}");
    }
    let mut twice = good.clone();
    twice.append("signature-input", HeaderValue::from_str(&format!("t={FULL}")).unwrap());
    twice.append("signature", HeaderValue::from_str(&signature.replace("s=", "t=")).unwrap());
    assert!(asked(&provider, &mut twice, SIGNED).0.starts_with("Ambiguous"));
    let mut half = good;
    half.remove("signature");
    assert_eq!(asked(&provider, &mut half, SIGNED).0, "Refused(Signature and Signature-Input go together.)");
    assert_eq!(asked(&provider, &mut example(), SIGNED).0, "Absent");
}

#[test]
fn a_nonce_is_good_once() {
    let mut provider = provider(&[]);
    let once = r#"("@method");created=1000;keyid="test-shared-secret";nonce="a""#;
    assert_eq!(asked(&provider, &mut sign(once, &example()), 1000).0, "Passed(test)");
    assert_eq!(asked(&provider, &mut sign(once, &example()), 1000).0, "Refused(The signature was used before.)");
    let none = r#"("@method");created=1000;keyid="test-shared-secret""#;
    assert_eq!(asked(&provider, &mut sign(none, &example()), 1000).0, "Passed(test)");
    provider.written.nonce = Nonce::Required;
    assert_eq!(asked(&provider, &mut sign(none, &example()), 1000).0, "Refused(The signature needs a `nonce`.)");
    // A signature that does not hold uses nothing up.
    let other = once.replace("\"a\"", "\"b\"");
    let mut forged = sign(&other, &example());
    forged.insert("signature", HeaderValue::from_static("s=:AAAA:"));
    assert!(asked(&provider, &mut forged, 1000).0.starts_with("Refused"));
    assert_eq!(asked(&provider, &mut sign(&other, &example()), 1000).0, "Passed(test)");
}

#[test]
fn a_digest_must_be_one_that_can_be_checked() {
    let provider = provider(&["content-digest"]);
    for digest in ["md5=:AAAA:", "sha-256=1", "sha-256", "sha-256=(:AAAA:)", "nonsense=("] {
        let mut headers = example();
        headers.insert("content-digest", HeaderValue::from_str(digest).unwrap());
        let verdict = asked(&provider, &mut sign(FULL, &headers), SIGNED).0;
        assert!(verdict.starts_with("Refused(Content-Digest"), "{digest}: {verdict}");
    }
    let mut cx = RequestCx { scheme: Scheme::Https, ..RequestCx::at(SIGNED) };
    let mut headers = sign(FULL, &example());
    let view = RequestView {
        method: "POST",
        host: "example.com",
        path: "/foo",
        query: Some("param=Value&Pet=dog"),
        headers: &mut headers,
    };
    let verdict = provider.authenticate(&mut cx, &view, &Arc::default());
    assert!(matches!(verdict, Verdict::Refused(refusal) if refusal.detail.contains("not the one that was signed")));
}

#[test]
fn each_kind_of_key_is_for_its_own_algorithms() {
    assert_eq!(Key::of_pem(ED25519, None).algorithm, Algorithm::Ed25519);
    assert_eq!(Key::of_pem(ED25519, Some(Algorithm::RsaPssSha512)).algorithm, Algorithm::Ed25519);
    assert!(!Key::of_pem(ED25519, None).verifies(b"text", &[0; 64]));
    assert!(!Key::of_pem(ED25519, None).verifies(b"text", &[]));
}
