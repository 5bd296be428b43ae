//! Certificates, and the choice among them by the name a client asks for (RFC 6066 §3).

use ahash::AHashMap;
use pingora_core::tls::pkey::{PKey, Private};
use pingora_core::tls::x509::X509;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// One certificate with its chain and key.
pub struct Certificate {
    /// Where the chain was read from, the label of its expiry metric.
    pub file: PathBuf,
    /// The certificate itself, then those that lead to its root.
    pub chain: Vec<X509>,
    /// Its private key.
    pub key: PKey<Private>,
}

/// Why a certificate cannot be used.
#[derive(Debug)]
pub struct CertificateError {
    /// What is wrong, and what to do instead.
    pub message: String,
    /// Which of the two files is to blame.
    pub file: PairFile,
}

/// One of the two files of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairFile {
    /// The certificate with its chain.
    Certificate,
    /// Its private key.
    Key,
}

impl Certificate {
    /// Reads a chain and its key, both PEM.
    ///
    /// # Errors
    /// Unreadable files, files that are not PEM, a key that is not the certificate's.
    pub fn read(cert: &Path, key: &Path) -> Result<Self, CertificateError> {
        let of_cert = |message: String| CertificateError { message, file: PairFile::Certificate };
        let of_key = |message: String| CertificateError { message, file: PairFile::Key };
        let read =
            |path: &Path| std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
        let chain = X509::stack_from_pem(&read(cert).map_err(of_cert)?)
            .map_err(|_| of_cert(format!("{} is not a certificate in PEM form", cert.display())))?;
        let Some(leaf) = chain.first() else {
            return Err(of_cert(format!("{} holds no certificate in PEM form", cert.display())));
        };
        let own = leaf.public_key().map_err(|_| of_cert(format!("{} has no usable public key", cert.display())))?;
        let key_parsed = PKey::private_key_from_pem(&read(key).map_err(of_key)?)
            .map_err(|_| of_key(format!("{} is not an unencrypted private key in PEM form", key.display())))?;
        if !own.public_eq(&key_parsed) {
            let (key, cert) = (key.display(), cert.display());
            return Err(of_key(format!("the key {key} does not belong to the certificate {cert}")));
        }
        Ok(Self { file: cert.to_owned(), chain, key: key_parsed })
    }

    /// The names it is for, lower-case: its DNS subject alternative names, else its common name.
    pub fn names(&self) -> Vec<String> {
        let Some(leaf) = self.chain.first() else { return Vec::new() };
        let alternatives: Vec<String> = leaf
            .subject_alt_names()
            .iter()
            .flatten()
            .filter_map(|name| name.dnsname().map(str::to_ascii_lowercase))
            .collect();
        if !alternatives.is_empty() {
            return alternatives;
        }
        let common = leaf.subject_name().entries_by_nid(pingora_core::tls::nid::Nid::COMMONNAME);
        common.filter_map(|entry| entry.data().to_string().ok()).map(|name| name.to_ascii_lowercase()).collect()
    }

    /// When it expires.
    pub fn expires(&self) -> Option<SystemTime> {
        // ASN.1 times cannot be compared with other clocks through Pingora's face of the TLS library; their text form,
        // `Nov 24 07:18:11 2027 GMT`, is the same in OpenSSL and BoringSSL.
        let text = self.chain.first()?.not_after().to_string();
        let expiry = chrono::NaiveDateTime::parse_from_str(&text, "%b %e %H:%M:%S %Y GMT").ok()?;
        let seconds = u64::try_from(expiry.and_utc().timestamp()).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }
}

/// How many certificates a PEM text holds; none where it is not one.
pub fn count_certificates(pem: &[u8]) -> usize {
    X509::stack_from_pem(pem).map_or(0, |all| all.len())
}

/// The certificates of a listener, by name.
pub struct Certificates {
    all: Vec<Certificate>,
    exact: AHashMap<Box<str>, usize>,
    /// By what follows `*`: `.example.com`.
    wildcard: AHashMap<Box<str>, usize>,
}

impl std::fmt::Debug for Certificates {
    /// Keys are secrets: only the files are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|certificate| &certificate.file)).finish()
    }
}

impl Certificates {
    /// A set in the order written; of two for one name the first counts. The first of all serves names nobody has, and
    /// clients that name none.
    pub fn new(all: Vec<Certificate>) -> Self {
        let mut exact: AHashMap<Box<str>, usize> = AHashMap::new();
        let mut wildcard: AHashMap<Box<str>, usize> = AHashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in certificate.names() {
                match name.strip_prefix('*') {
                    Some(suffix) => wildcard.entry(suffix.into()).or_insert(index),
                    None => exact.entry(name.into()).or_insert(index),
                };
            }
        }
        Self { all, exact, wildcard }
    }

    /// The position of the certificate for a name: exact, else the wildcard one level up (RFC 9525 §6.3), else the first.
    pub fn position(&self, name: Option<&str>) -> usize {
        let Some(name) = name else { return 0 };
        let lower: std::borrow::Cow<'_, str> = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        };
        let lower = lower.trim_end_matches('.');
        let suffix = lower.find('.').and_then(|dot| lower.get(dot..));
        let found = self.exact.get(lower).or_else(|| self.wildcard.get(suffix?));
        found.copied().unwrap_or(0)
    }

    /// The certificate for a name.
    pub fn choose(&self, name: Option<&str>) -> Option<&Certificate> {
        self.all.get(self.position(name))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.all.iter()
    }
}
