//! Signatures of others for every algorithm: the examples of RFC 9421, appendix B, and, for ECDSA on P-384, of which it
//! has none, one of NIST's (CAVP, FIPS 186-3 SigVer). None of them was made by this code.

use super::key::{Algorithm, Key};
use super::tests::{DIGEST, SHARED, SIGNED, asked, ed25519_key, provider, signed};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// B.1.2.
const RSA_PSS: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI2wIDAQAB";
/// B.1.1, in the older form that names no algorithm.
const RSA: &str = "MIIBCgKCAQEAhAKYdtoeoy8zcAcR874L8cnZxKzAGwd7v36APp7Pv6Q2jdsPBRrwWEBnez6d0UDKDwGbc6nxfEXAy5mbhgajzrw3MOEt8uA5txSKobBpKDeBLOsdJKFqMGmXCQvEG7YemcxDTRPxAleIAgYYRjTSd/QBwVW9OwNFhekro3RtlinV0a75jfZgkne/YiktSvLG34lw2zqXBDTC5NHROUqGTlML4PlNZS5Ri2U4aCNx2rUPRcKIlE0PuKxI4T+HIaFpv8+rdV6eUgOrB2xeI1dSFFn/nnv5OoZJEIB+VmuKn3DCUcCZSFlQPSXSfBDiUGhwOw76WuSSsf1D4b/vLoJ10wIDAQAB";
/// B.1.3, its two coordinates.
const P256: [&str; 2] = ["qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA", "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"];

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn rsa_pss() -> Key {
    Key::of_pem(&pem(&STANDARD.decode(RSA_PSS).unwrap()), Some(Algorithm::RsaPssSha512))
}

fn rsa() -> Key {
    let mut der = hex("30820122300d06092a864886f70d01010105000382010f00");
    der.extend(STANDARD.decode(RSA).unwrap());
    Key::of_pem(&pem(&der), None)
}

fn p256() -> Key {
    let mut der = hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
    P256.iter().for_each(|part| der.extend(URL_SAFE_NO_PAD.decode(part).unwrap()));
    Key::of_pem(&pem(&der), None)
}

fn p384() -> Key {
    let mut der = hex("3076301006072a8648ce3d020106052b8104002203620004");
    der.extend(hex("cb908b1fd516a57b8ee1e14383579b33cb154fece20c5035e2b3765195d1951d75bd78fb23e00fef37d7d064fd9af144"));
    der.extend(hex("cd99c46b5857401ddcff2cf7cf822121faf1cbad9a011bed8c551f6f59b2c360f79bfbe32adbcaa09583bdfdf7c374bb"));
    Key::of_pem(&pem(&der), None)
}

/// A key, what it has signed, and the signature.
type Vector = (Key, Vec<u8>, Vec<u8>);

fn vectors() -> Vec<Vector> {
    let of =
        |key: Key, text: &str, signature: &str| (key, text.as_bytes().to_vec(), STANDARD.decode(signature).unwrap());
    let b21 = r#""@signature-params": ();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd""#;
    let b24 = "\"@status\": 200\n\"content-type\": application/json\n\"content-digest\": sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:\n\"content-length\": 23\n\"@signature-params\": (\"@status\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let b25 = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n\"content-type\": application/json\n\"@signature-params\": (\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let b26 = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    // B.3, as the proxy signs it.
    let proxied = format!(
        "\"@method\": POST\n\"@authority\": origin.host.internal.example\n\"@path\": /foo\n\"content-digest\": {DIGEST}\n\"content-type\": application/json\n\"content-length\": 18\n\"forwarded\": for=192.0.2.123;host=example.com;proto=https\n\"@signature-params\": (\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-type\" \"content-length\" \"forwarded\");created=1618884480;keyid=\"test-key-rsa\";alg=\"rsa-v1_5-sha256\";expires=1618884540"
    );
    let nist = hex(
        "9dd789ea25c04745d57a381f22de01fb0abd3c72dbdefd44e43213c189583eef85ba662044da3de2dd8670e6325154480155bbeebb702c75781ac32e13941860cb576fe37a05b757da5b5b418f6dd7c30b042e40f4395a342ae4dce05634c33625e2bc524345481f7e253d9551266823771b251705b4a85166022a37ac28f1bd",
    );
    let nist_signature = hex(
        "33f64fb65cd6a8918523f23aea0bbcf56bba1daca7aff817c8791dc92428d605ac629de2e847d43cee55ba9e4a0e83ba4428bb478a43ac73ecd6de51ddf7c28ff3c2441625a081714337dd44fea8011bae71959a10947b6ea33f77e128d3c6ae",
    );
    vec![
        of(
            rsa_pss(),
            b21,
            "d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==",
        ),
        of(p256(), b24, "wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw=="),
        of(Key::of_secret(SHARED), b25, "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="),
        of(
            ed25519_key(),
            b26,
            "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
        ),
        of(
            rsa(),
            &proxied,
            "S6ZzPXSdAMOPjN/6KXfXWNO/f7V6cHm7BXYUh3YD/fRad4BCaRZxP+JH+8XY1I6+8Cy+CM5g92iHgxtRPz+MjniOaYmdkDcnL9cCpXJleXsOckpURl49GwiyUpZ10KHgOEe11sx3G2gxI8S0jnxQB+Pu68U9vVcasqOWAEObtNKKZd8tSFu7LB5YAv0RAGhB8tmpv7sFnIm9y+7X5kXQfi8NMaZaA8i2ZHwpBdg7a6CMfwnnrtflzvZdXAsD3LH2TwevU+/PBPv0B6NMNk93wUs/vfJvye+YuI87HU38lZHowtznbLVdp770I6VHR6WfgS9ddzirrswsE1w5o0LV/g==",
        ),
        (p384(), nist, nist_signature),
    ]
}

#[test]
fn the_signatures_of_others_verify_by_every_algorithm() {
    let mut algorithms: Vec<&str> = Vec::new();
    for (key, text, signature) in vectors() {
        assert!(key.verifies(&text, &signature), "{}", key.algorithm.as_str());
        algorithms.push(key.algorithm.as_str());
    }
    algorithms.sort_unstable();
    let all = ["ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519", "hmac-sha256", "rsa-pss-sha512", "rsa-v1_5-sha256"];
    assert_eq!(algorithms, all, "each algorithm that can be configured is shown");
}

#[test]
fn no_signature_verifies_that_is_cut_lengthened_changed_or_of_another_key() {
    let all = vectors();
    for (number, (key, text, signature)) in all.iter().enumerate() {
        let name = key.algorithm.as_str();
        for length in [0, 1, signature.len() / 2, signature.len() - 1] {
            assert!(!key.verifies(text, &signature[..length]), "{name}: cut to {length}");
        }
        for wrong in [[&[0], signature.as_slice()].concat(), [signature.as_slice(), &[0]].concat()] {
            assert!(!key.verifies(text, &wrong), "{name}: lengthened");
        }
        for position in 0..signature.len() {
            let mut wrong = signature.clone();
            wrong[position] ^= 1;
            assert!(!key.verifies(text, &wrong), "{name}: changed at {position}");
        }
        assert!(!key.verifies(text, &vec![0; signature.len()]), "{name}: nothing but zeros");
        assert!(!key.verifies(&text[1..], signature), "{name}: another text");
        for (_, (other, _, _)) in all.iter().enumerate().filter(|(other, _)| *other != number) {
            assert!(!other.verifies(text, signature), "{name} by {}", other.algorithm.as_str());
        }
    }
}

/// B.2.2 and B.2.3, over the request that they sign, through the provider.
#[test]
fn requests_of_the_rfc_pass_by_rsa_pss() {
    let mut provider = provider(&[]);
    provider.keys.insert("test-key-rsa-pss".into(), rsa_pss());
    let b22 = r#"sig-b22=("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example""#;
    let b23 = r#"sig-b23=("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss""#;
    for (input, signature) in [
        (
            b22,
            "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
        ),
        (
            b23,
            "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
        ),
    ] {
        assert_eq!(asked(&provider, &mut signed(input, signature), SIGNED).0, "Passed(test)", "{input}");
    }
}

#[test]
fn a_key_on_p384_is_for_p384_alone_and_in_the_form_of_openssl() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let public = pair.public_key().as_der().unwrap();
    let key = Key::of_pem(&pem(public.as_ref()), None);
    assert_eq!(key.algorithm, Algorithm::EcdsaP384Sha384);
    let signature = pair.sign(&SystemRandom::new(), b"text").unwrap();
    assert!(key.verifies(b"text", signature.as_ref()));
    assert!(!key.verifies(b"text!", signature.as_ref()));
    assert_eq!(Key::of_pem(&pem(public.as_ref()), Some(Algorithm::EcdsaP256Sha256)).algorithm, key.algorithm);
}
