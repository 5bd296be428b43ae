//! Certificates and the callers they name; the fields proxies write.

use super::*;
use crate::consumer::Consumers;

fn certificate() -> ClientCertificate {
    ClientCertificate {
        common_name: Some("alice".into()),
        subject: "CN=alice".into(),
        names: ["dns:a.example".into(), "dns:b.example".into(), "ip:192.0.2.1".into(), "dnsx:c".into()].into(),
        fingerprint: "ab".into(),
        expires: Some(1_000),
        ..ClientCertificate::default()
    }
}

fn mtls(by: CertificateName, unknown: UnknownCertificate) -> Mtls {
    Mtls { name: "partners".into(), by, unknown, header: None, issuers: None, callers: Cache::new(KEPT) }
}

fn consumers(known: &[(&str, &str)]) -> Arc<Consumers> {
    let mut consumers = Consumers::default();
    for (id, subject) in known {
        let consumer = Consumer { id: (*id).into(), groups: Box::default(), plan: None };
        consumers.add(consumer, &[(SubjectKind::Certificate, *subject)]).unwrap();
    }
    Arc::new(consumers)
}

fn verdict(mtls: &Mtls, at: u64, consumers: &Arc<Consumers>) -> Verdict {
    let mut headers = http::HeaderMap::new();
    let request = RequestView { method: "GET", host: "h", path: "/", query: None, headers: &mut headers };
    let mut cx = RequestCx::at(at);
    cx.identity.certificate = Some(Arc::new(certificate()));
    mtls.authenticate(&mut cx, &request, consumers)
}

#[test]
fn a_certificate_is_good_until_it_expires() {
    let (mtls, known) = (mtls(CertificateName::SubjectCn, UnknownCertificate::Refuse), consumers(&[("acme", "alice")]));
    assert!(
        matches!(verdict(&mtls, 999, &known), Verdict::Passed(caller) if &*caller.id == "acme" && caller.expires == Some(1_000))
    );
    for at in [1_000, 1_001] {
        let Verdict::Refused(refusal) = verdict(&mtls, at, &known) else { panic!("passes at {at}") };
        assert_eq!(refusal.reason, crate::reply::Reason::ExpiredToken);
    }
}

#[test]
fn a_caller_is_made_once_and_anew_for_another_registry() {
    let (mtls, first) = (mtls(CertificateName::SubjectCn, UnknownCertificate::Refuse), consumers(&[("acme", "alice")]));
    let caller = |consumers| match verdict(&mtls, 0, consumers) {
        Verdict::Passed(caller) => Some(caller),
        _ => None,
    };
    assert!(Arc::ptr_eq(&caller(&first).unwrap(), &caller(&first).unwrap()));
    let other = consumers(&[("beta", "alice")]);
    assert_eq!(&*caller(&other).unwrap().id, "beta");
    assert!(caller(&consumers(&[])).is_none());
}

#[test]
fn several_names_must_agree() {
    let by = |known: &[(&str, &str)], unknown| match verdict(
        &mtls(CertificateName::SanDns, unknown),
        0,
        &consumers(known),
    ) {
        Verdict::Passed(caller) => Some(caller.id.to_string()),
        _ => None,
    };
    let (refuse, allow) = (UnknownCertificate::Refuse, UnknownCertificate::Allow);
    assert_eq!(by(&[("one", "b.example")], refuse).as_deref(), Some("one"));
    assert_eq!(by(&[("one", "a.example"), ("two", "b.example")], refuse), None);
    assert_eq!(by(&[("one", "a.example"), ("two", "b.example")], allow), None);
    assert_eq!(by(&[("one", "c")], allow).as_deref(), Some("a.example"));
    assert_eq!(by(&[("one", "c")], refuse), None);
}

#[test]
fn only_fields_that_are_kept_from_strangers_can_be_named() {
    for good in ["X-Client-Cert", "x-forwarded-client-cert", "Client-Cert", "SSL-Client-Cert", "X-Amzn-Mtls-Clientcert"]
    {
        assert!(good.parse::<CertificateHeader>().is_ok(), "{good}");
    }
    for bad in ["X-My-Cert", "Client-Cert-Chain", "", "Authorization", "X-Client-Cert:", "X Client"] {
        assert!(bad.parse::<CertificateHeader>().is_err(), "{bad}");
    }
}

#[test]
fn no_value_of_a_field_is_taken_for_a_certificate_that_is_none() {
    for header in ["x-client-cert", "x-forwarded-client-cert"] {
        let field = field::Field::new(&HeaderName::from_static(header)).unwrap();
        for value in [
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE----------END CERTIFICATE-----",
            ":",
            "::",
            "%",
            "%%%",
            "%2",
            "AAAA",
            ":AAAA:",
            "MIIB",
            "Cert",
            "Cert=",
            "Cert=\"",
            "Cert=\"\\",
            "Cert=AAAA;Cert=AAAA",
            "Hash=a;Subject=\"b\"",
            ";;;",
            "=,=",
        ] {
            let mut headers = http::HeaderMap::new();
            headers.append(header, HeaderValue::from_static(value));
            let shown = field.read(&headers);
            assert!(matches!(shown, Shown::Unreadable | Shown::Twice), "{header}: {value}");
        }
    }
}
