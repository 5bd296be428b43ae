//! TLS of a listener: certificates chosen while the handshake runs, so that they can be exchanged without closing it.

use super::certificates::Certificates;
use super::spec::Protocols;
use crate::request::ClientCertificate;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora_core::listeners::TlsAccept;
use pingora_core::listeners::tls::TlsSettings;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::tls::TlsRef;
use pingora_core::tls::ext;
use pingora_core::tls::ssl::{NameType, SslVerifyMode, SslVersion};
use pingora_core::tls::x509::store::X509StoreBuilder;
use pingora_core::tls::x509::{X509, X509VerifyResult};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

/// The oldest TLS version a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Whether clients show certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    Ignore,
    /// They are asked; one that is shown must be signed by this CA (PEM).
    Request(Vec<u8>),
    /// The handshake fails without one signed by this CA (PEM).
    Require(Vec<u8>),
}

/// TLS of a listener.
#[derive(Debug)]
pub struct ListenerTls {
    /// The certificates in service.
    pub certificates: ArcSwap<Certificates>,
    /// Where they are read from: chain and key.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// The oldest version spoken.
    pub min_version: MinVersion,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// What is kept of a handshake.
pub struct TlsName {
    /// The name the client asked for.
    pub sni: Option<String>,
    /// The certificate the client has shown and the handshake has verified, now or when the resumed session began.
    pub client: Option<Arc<ClientCertificate>>,
}

impl ListenerTls {
    /// Whether both are the same but for the certificates themselves.
    pub fn same_but_certificates(&self, other: &Self) -> bool {
        self.min_version == other.min_version && self.clients == other.clients
    }

    /// Whether two names are served by one certificate.
    pub fn same_certificate(&self, one: Option<&str>, two: &str) -> bool {
        let certificates = self.certificates.load();
        certificates.position(one) == certificates.position(Some(two))
    }

    /// Pingora's settings for a listener that speaks these protocols.
    ///
    /// # Errors
    /// What OpenSSL says against them.
    pub fn settings(self: &Arc<Self>, protocols: Protocols) -> Result<TlsSettings, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let mut settings =
            TlsSettings::with_callbacks(Box::new(Handshake { tls: Arc::clone(self) })).map_err(|error| text(&error))?;
        settings.set_alpn(match (protocols.h1, protocols.h2) {
            (true, true) => ALPN::H2H1,
            (false, true) => ALPN::H2,
            _ => ALPN::H1,
        });
        let oldest = match self.min_version {
            MinVersion::Tls12 => SslVersion::TLS1_2,
            MinVersion::Tls13 => SslVersion::TLS1_3,
        };
        settings.set_min_proto_version(Some(oldest)).map_err(|error| text(&error))?;
        settings.set_max_proto_version(None).map_err(|error| text(&error))?;
        let (authority, mode) = match &self.clients {
            ClientCertificates::Ignore => return Ok(settings),
            ClientCertificates::Request(pem) => (pem, SslVerifyMode::PEER),
            ClientCertificates::Require(pem) => (pem, SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT),
        };
        let mut store = X509StoreBuilder::new().map_err(|error| text(&error))?;
        for certificate in X509::stack_from_pem(authority).map_err(|error| text(&error))? {
            settings.add_client_ca(&certificate).map_err(|error| text(&error))?;
            store.add_cert(certificate).map_err(|error| text(&error))?;
        }
        settings.set_verify_cert_store(store.build()).map_err(|error| text(&error))?;
        settings.set_verify(mode);
        // Resumed sessions need a context of their own once clients are verified (SSL_CTX_set_session_id_context(3)).
        settings.set_session_id_context(b"tollgate").map_err(|error| text(&error))?;
        Ok(settings)
    }
}

/// The callbacks of a handshake.
struct Handshake {
    tls: Arc<ListenerTls>,
}

#[async_trait]
impl TlsAccept for Handshake {
    async fn certificate_callback(&self, ssl: &mut TlsRef) {
        let certificates = self.tls.certificates.load();
        let Some(certificate) = certificates.choose(ssl.servername(NameType::HOST_NAME)) else { return };
        let mut chain = certificate.chain.iter();
        let Some(leaf) = chain.next() else { return };
        // A failure here leaves the handshake without a certificate, and it fails: there is nobody else to tell.
        let _ = ext::ssl_use_certificate(ssl, leaf);
        let _ = ext::ssl_use_private_key(ssl, &certificate.key);
        for issuer in chain {
            let _ = ext::ssl_add_chain_cert(ssl, issuer);
        }
    }

    async fn handshake_complete_callback(&self, ssl: &TlsRef) -> Option<Arc<dyn Any + Send + Sync>> {
        let client = match self.tls.clients {
            ClientCertificates::Ignore => None,
            // A session that is resumed brings the certificate and the result of its verification with it.
            ClientCertificates::Request(_) | ClientCertificates::Require(_) => ssl
                .peer_certificate()
                .filter(|_| ssl.verify_result() == X509VerifyResult::OK)
                .and_then(|certificate| ClientCertificate::read(&certificate)),
        };
        let sni = ssl.servername(NameType::HOST_NAME).map(str::to_owned);
        Some(Arc::new(TlsName { sni, client: client.map(Arc::new) }))
    }
}
