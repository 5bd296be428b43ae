//! `mtls:`: the caller by the certificate of the connection.
//!
//! The handshake has verified it against the listener's `client_ca`; here it is only read. Where TLS ends at a proxy in
//! front, `allow_from_header` takes the certificate from a field instead, from peers under `trusted_proxies` and nobody
//! else; of such a peer the connection's own certificate then counts for nothing, for it is the proxy's. No certificate:
//! no credential. With a `ca` of its own only what that has signed counts. A certificate that names no consumer is refused
//! unless `unknown: allow`. Nothing is carried over a reload: a certificate is read once for a connection, a caller made
//! once for a certificate and a registry.
//! Example: `conf/auth-allow.yaml`.

mod field;
mod issuers;

use super::{Authenticate, Refusal, Verdict, challenge};
use crate::consumer::{Consumer, Consumers, SubjectKind};
use crate::policy::Setup;
use crate::reply::Reason;
use crate::request::{Caller, ClientCertificate, RequestCx, RequestView};
use crate::value::form::{short_form, text_form, with_short_form};
use crate::value::{Invalid, Spanned};
use field::{Kind, Shown};
use http::{HeaderName, HeaderValue};
use issuers::Issuers;
use quick_cache::sync::Cache;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The client's certificate, verified by the listener (`client_ca`).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MtlsConfig {
    /// What of the certificate names the consumer, by its `subject` or its name. Default subject_cn.
    pub consumer: CertificateName,
    /// What becomes of a certificate that names no consumer: refused, or let through under its own name. Default refuse.
    pub unknown: UnknownCertificate,
    /// A PEM file of authorities: only what one of them has signed itself counts here, where the listener's `client_ca` lets
    /// in more. Default: whatever the listener, or the proxy, has verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// The field in which peers under `trusted_proxies` pass on the certificate of their client. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_from_header: Option<CertificateHeaderConfig>,
}

/// What of a certificate names the consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateName {
    /// The one common name of its subject.
    #[default]
    SubjectCn,
    /// Its whole subject, as `openssl x509 -noout -subject -nameopt RFC2253,-esc_msb,utf8` prints it.
    Subject,
    /// An alternative name that is a DNS name, in lower case.
    SanDns,
    /// An alternative name that is a URI, such as a SPIFFE id.
    SanUri,
    /// An alternative name that is an address of mail.
    SanEmail,
    /// SHA-256 over the certificate, in lower-case hexadecimal without colons.
    Fingerprint,
}

/// What becomes of a certificate that names no consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCertificate {
    /// 401.
    #[default]
    Refuse,
    /// Its name is the caller's, without a consumer.
    Allow,
}

/// The field in which trusted proxies pass on the certificate of their client.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CertificateHeaderConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The name of the field."))]
pub struct CertificateHeaderConfig {
    /// Its name: `X-Client-Cert`, `X-Forwarded-Client-Cert` (Envoy), `Client-Cert` (RFC 9440), `X-SSL-Client-Cert`,
    /// `SSL-Client-Cert`, `X-Forwarded-Tls-Client-Cert` or `X-Amzn-Mtls-Clientcert`.
    pub header: CertificateHeader,
}
short_form!(CertificateHeaderConfig, "the name of a field, or a map with `header`");

impl FromStr for CertificateHeaderConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { header: text.parse()? })
    }
}

/// One of the fields that are never taken from untrusted peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHeader(HeaderName);
text_form!(CertificateHeader, "the name of a field such as `X-Client-Cert`", {});

impl FromStr for CertificateHeader {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = HeaderName::from_bytes(text.as_bytes()).ok();
        name.filter(|name| Kind::of(name).is_some()).map(Self).ok_or_else(|| {
            Invalid::new(format!("`{text}` is no field that is kept from untrusted clients")).hint(
                "write `X-Client-Cert`, `X-Forwarded-Client-Cert`, `Client-Cert`, `X-SSL-Client-Cert`, \
                 `SSL-Client-Cert`, `X-Forwarded-Tls-Client-Cert` or `X-Amzn-Mtls-Clientcert`",
            )
        })
    }
}

impl fmt::Display for CertificateHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Callers kept at once.
const KEPT: usize = 1_024;

/// The compiled provider.
pub struct Mtls {
    name: Box<str>,
    by: CertificateName,
    unknown: UnknownCertificate,
    header: Option<field::Field>,
    issuers: Option<Issuers>,
    /// By fingerprint, with the registry they were concluded from.
    callers: Cache<Box<str>, (u64, Arc<Caller>)>,
}

impl Mtls {
    /// Compiles what is written; `None` where a problem was recorded.
    pub fn compile(
        name: &str,
        written: &Spanned<MtlsConfig>,
        _previous: Option<&Self>,
        setup: &mut Setup<'_>,
    ) -> Option<Arc<Self>> {
        let issuers = match &written.value.ca {
            Some(ca) => Some(Issuers::compile(ca, setup)?),
            None => None,
        };
        let header = written.value.allow_from_header.as_ref().and_then(|from| field::Field::new(&from.header.0));
        Some(Arc::new(Self {
            name: name.into(),
            by: written.value.consumer,
            unknown: written.value.unknown,
            header,
            issuers,
            callers: Cache::new(KEPT),
        }))
    }

    /// The certificate the request comes with.
    fn shown(&self, cx: &RequestCx, request: &RequestView<'_>) -> Shown {
        match &self.header {
            Some(header) if cx.client.via_trusted => header.read(&*request.headers),
            _ => cx.identity.certificate.clone().map_or(Shown::Nothing, Shown::Certificate),
        }
    }

    /// The caller a certificate names.
    fn caller(&self, certificate: &ClientCertificate, consumers: &Consumers) -> Result<Arc<Caller>, &'static str> {
        let revision = consumers.revision();
        if let Some((of, caller)) = self.callers.get(&*certificate.fingerprint)
            && of == revision
        {
            return Ok(caller);
        }
        let (id, consumer) = self.named(certificate, consumers)?;
        let caller = Caller {
            id,
            groups: consumer.as_ref().map(|consumer| consumer.groups.clone()).unwrap_or_default(),
            consumer,
            provider: self.name.clone(),
            credential: Some(certificate.fingerprint.clone()),
            expires: certificate.expires,
            ..Caller::default()
        }
        .told();
        self.callers.insert(certificate.fingerprint.clone(), (revision, Arc::clone(&caller)));
        Ok(caller)
    }

    /// The id and the consumer, or why there is none.
    fn named(&self, certificate: &ClientCertificate, consumers: &Consumers) -> Result<Named, &'static str> {
        let mut names = names(self.by, certificate).peekable();
        let Some(first) = names.peek().copied() else { return Err(self.by.missing()) };
        let mut found: Option<&Arc<Consumer>> = None;
        for name in names {
            let Some(consumer) = consumers.by_subject(SubjectKind::Certificate, name) else { continue };
            if found.is_some_and(|found| found.id != consumer.id) {
                return Err("The client certificate names more than one consumer.");
            }
            found = Some(consumer);
        }
        match (found, self.unknown) {
            (Some(consumer), _) => Ok((consumer.id.clone(), Some(Arc::clone(consumer)))),
            (None, UnknownCertificate::Allow) => Ok((first.into(), None)),
            (None, UnknownCertificate::Refuse) => Err("The client certificate names nobody who is known here."),
        }
    }
}

/// The id of a caller and its consumer.
type Named = (Box<str>, Option<Arc<Consumer>>);

/// What names the consumer; several only of alternative names.
fn names(by: CertificateName, certificate: &ClientCertificate) -> impl Iterator<Item = &str> {
    let (one, kind) = match by {
        CertificateName::SubjectCn => (certificate.common_name.as_deref(), None),
        CertificateName::Subject => (Some(&*certificate.subject).filter(|subject| !subject.is_empty()), None),
        CertificateName::Fingerprint => (Some(&*certificate.fingerprint), None),
        CertificateName::SanDns => (None, Some("dns")),
        CertificateName::SanUri => (None, Some("uri")),
        CertificateName::SanEmail => (None, Some("email")),
    };
    one.into_iter().chain(kind.into_iter().flat_map(|kind| certificate.names_of(kind)))
}

/// Another provider of the route may know who signed it.
fn not_issued() -> Refusal {
    let detail = "The client certificate is not of an authority that counts here.".into();
    Refusal { reason: Reason::BadCredentials, detail }
}

impl CertificateName {
    fn missing(self) -> &'static str {
        match self {
            Self::SubjectCn => "The client certificate has no common name, or not exactly one that is plain text.",
            Self::Subject => "The client certificate has no subject.",
            Self::SanDns => "The client certificate has no DNS name among its alternative names.",
            Self::SanUri => "The client certificate has no URI among its alternative names.",
            Self::SanEmail => "The client certificate has no mail address among its alternative names.",
            Self::Fingerprint => "The client certificate cannot be read.",
        }
    }
}

impl Authenticate for Mtls {
    fn authenticate(&self, cx: &mut RequestCx, request: &RequestView<'_>, consumers: &Arc<Consumers>) -> Verdict {
        let certificate = match self.shown(cx, request) {
            Shown::Nothing => return Verdict::Absent,
            Shown::Twice => return Verdict::Ambiguous("A request brings at most one client certificate."),
            Shown::Unreadable => return Verdict::refused("The client certificate cannot be read."),
            Shown::Certificate(certificate) => certificate,
        };
        let now = cx.time.unix_seconds();
        if certificate.expires.is_none_or(|expires| expires <= now) {
            return Verdict::expired("The client certificate has expired.");
        }
        if let Some(issuers) = &self.issuers {
            match issuers.until(&certificate) {
                None => return Verdict::Foreign(not_issued()),
                Some(until) if until <= now => {
                    return Verdict::expired("The authority of the client certificate has expired.");
                }
                Some(_) => {}
            }
        }
        match self.caller(&certificate, consumers) {
            Ok(caller) => Verdict::Passed(caller),
            Err(why) => Verdict::refused(why),
        }
    }

    /// HTTP has no registered scheme for certificates, but a 401 must name one (RFC 9110 §15.5.2).
    fn challenge(&self, _refusal: Option<&Refusal>) -> Option<HeaderValue> {
        challenge("ClientCertificate", &[("realm", &self.name)])
    }

    fn strip(&self, _cx: &mut RequestCx, request: &mut RequestView<'_>) {
        if let Some(header) = &self.header {
            request.headers.remove(header.name());
        }
    }
}

#[cfg(test)]
mod tests;
