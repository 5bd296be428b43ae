//! Whose certificates count where a provider has a `ca` of its own.

use crate::policy::Setup;
use crate::request::{ClientCertificate, end_of};
use crate::value::Spanned;
use pingora_core::tls::x509::{X509, X509Ref};
use quick_cache::sync::Cache;

/// Certificates judged before that are kept.
const KEPT: usize = 1_024;

/// The authorities of one provider. Each counts for what it has signed itself, a root as well as one below a root: what a
/// client sends along between its own certificate and theirs is not looked at, since neither a resumed session nor a
/// proxy's field has it.
pub struct Issuers {
    all: Box<[X509]>,
    /// Until when a certificate counts, by fingerprint; `None`: it is of nobody here.
    judged: Cache<Box<str>, Option<u64>>,
}

impl Issuers {
    /// Those of that PEM file; `None` where a problem was recorded.
    pub fn compile(written: &Spanned<String>, setup: &mut Setup<'_>) -> Option<Self> {
        let pem = setup.read_file(written)?;
        let all = X509::stack_from_pem(&pem).ok().filter(|all| !all.is_empty());
        if all.is_none() {
            setup
                .problems
                .error(written.place, format!("{} is not a PEM file of certificates", written.value))
                .hint("write there the certificates of those who sign the clients', one after the other");
        }
        Some(Self { all: all?.into(), judged: Cache::new(KEPT) })
    }

    /// Until when the certificate and the authority that has signed it are good, in seconds since the epoch. `None` where
    /// none of these has.
    pub fn until(&self, certificate: &ClientCertificate) -> Option<u64> {
        if let Some(judged) = self.judged.get(&*certificate.fingerprint) {
            return judged;
        }
        let read = X509::from_der(&certificate.der).ok()?;
        // The same authority may stand in the file twice, renewed under its key: the later end counts.
        let judged =
            self.all.iter().filter(|issuer| has_signed(issuer, &read)).filter_map(|issuer| end_of(issuer)).max();
        let judged = judged.and_then(|end| Some(end.min(certificate.expires?)));
        self.judged.insert(certificate.fingerprint.clone(), judged);
        judged
    }
}

/// Whether the authority has signed the certificate: by name, and by its key (RFC 5280 §6.1.3).
fn has_signed(issuer: &X509Ref, certificate: &X509Ref) -> bool {
    let name = |name: Result<Vec<u8>, _>| name.ok();
    let same = name(issuer.subject_name().to_der())
        .is_some_and(|subject| Some(subject) == name(certificate.issuer_name().to_der()));
    same && issuer.public_key().is_ok_and(|key| certificate.verify(&key).unwrap_or(false))
}
