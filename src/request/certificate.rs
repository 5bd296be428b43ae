//! The certificate a client has shown, read once for a connection.

use super::distinguished_name;
use aws_lc_rs::digest::{SHA256, digest};
use pingora_core::tls::x509::{GeneralNameRef, X509, X509Ref};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A client certificate that the handshake verified, or a trusted proxy vouches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The common name of its subject: `None` where there is none, or not exactly one that can be read without doubt.
    pub common_name: Option<Box<str>>,
    /// Its subject (RFC 4514 text).
    pub subject: Box<str>,
    /// Its subject alternative names, typed: `dns:…` (lower-case), `email:…`, `uri:…`, `ip:…`.
    pub names: Box<[Box<str>]>,
    /// SHA-256 over its DER form, in lower-case hexadecimal.
    pub fingerprint: Box<str>,
    /// When it expires, in seconds since the epoch.
    pub expires: Option<u64>,
    /// The certificate itself, in DER.
    pub der: Box<[u8]>,
}

impl ClientCertificate {
    /// Reads a certificate; `None` where it cannot be read.
    pub fn read(certificate: &X509Ref) -> Option<Self> {
        let subject = distinguished_name::read(&certificate.subject_name().to_der().ok()?)?;
        let der = certificate.to_der().ok()?;
        let mut fingerprint = String::with_capacity(64);
        for byte in digest(&SHA256, &der).as_ref() {
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Some(Self {
            common_name: subject.common_name.map(Into::into),
            subject: subject.text.into(),
            names: certificate.subject_alt_names().iter().flatten().filter_map(typed).collect(),
            fingerprint: fingerprint.into(),
            expires: end_of(certificate),
            der: der.into(),
        })
    }

    /// Reads a certificate in DER or PEM; of several in PEM the first, which is the client's own.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let certificate = if bytes.starts_with(b"-----") { X509::from_pem(bytes) } else { X509::from_der(bytes) };
        certificate.ok().and_then(|certificate| Self::read(&certificate))
    }

    /// Its alternative names of one type: `dns`, `email`, `uri`.
    pub fn names_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.names.iter().filter_map(move |name| name.strip_prefix(kind)?.strip_prefix(':'))
    }
}

/// When a certificate expires, in seconds since the epoch.
pub fn end_of(certificate: &X509Ref) -> Option<u64> {
    seconds(&certificate.not_after().to_string())
}

/// An alternative name with its type; `None` for types that name nobody, and for text that no name has.
fn typed(name: &GeneralNameRef) -> Option<Box<str>> {
    let text = if let Some(dns) = name.dnsname() {
        format!("dns:{}", dns.to_ascii_lowercase())
    } else if let Some(email) = name.email() {
        format!("email:{email}")
    } else if let Some(uri) = name.uri() {
        format!("uri:{uri}")
    } else {
        let bytes = name.ipaddress()?;
        let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
        let address = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes))));
        format!("ip:{}", address.ok()?)
    };
    let (_, value) = text.split_once(':')?;
    (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.into())
}

/// `Nov 24 07:18:11 2027 GMT` in seconds since the epoch: the one form in which Pingora's face of the TLS library gives
/// the times of certificates.
fn seconds(text: &str) -> Option<u64> {
    let time = chrono::NaiveDateTime::parse_from_str(text, "%b %e %H:%M:%S %Y GMT").ok()?;
    u64::try_from(time.and_utc().timestamp()).ok()
}
