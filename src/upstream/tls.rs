//! TLS towards endpoints: certificates parsed once, when the upstream is built, and shared by all of its peers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pingora_core::protocols::tls::CaType;
use pingora_core::tls::pkey::PKey;
use pingora_core::tls::x509::X509;
use pingora_core::utils::tls::CertKey;

use super::error::UpstreamError;
use super::spec::{ClientIdentity, TlsSpec, Verify};

/// Parsed TLS settings of one upstream.
pub(super) struct TlsPolicy {
    pub(super) ca: Option<Arc<CaType>>,
    pub(super) client: Option<Arc<CertKey>>,
    pub(super) sni: Option<String>,
    pub(super) verify: Verify,
    /// Distinguishes policies: connections made under one must never serve another. Pingora's reuse key leaves the CA
    /// out and takes only the serial number of a client certificate.
    pub(super) digest: u64,
}

impl TlsPolicy {
    pub(super) fn new(spec: &TlsSpec) -> Result<TlsPolicy, UpstreamError> {
        if let Some(name) = spec.sni.as_ref().filter(|name| !is_dns_name(name)) {
            return Err(UpstreamError::BadServerName(name.clone()));
        }
        let ca = spec.ca.as_deref().map(parse_ca).transpose()?;
        let client = spec.client.as_ref().map(parse_identity).transpose()?;
        let mut hasher = DefaultHasher::new();
        spec.verify.hash(&mut hasher);
        spec.ca.hash(&mut hasher);
        spec.client.as_ref().map(|client| (&client.chain, &client.key)).hash(&mut hasher);
        Ok(TlsPolicy { ca, client, sni: spec.sni.clone(), verify: spec.verify, digest: hasher.finish() })
    }
}

fn parse_ca(pem: &[u8]) -> Result<Arc<CaType>, UpstreamError> {
    let bundle = X509::stack_from_pem(pem).map_err(|error| UpstreamError::BadCa(error.to_string()))?;
    if bundle.is_empty() {
        return Err(UpstreamError::BadCa("no certificate in it".into()));
    }
    Ok(Arc::new(bundle.into_boxed_slice()))
}

fn parse_identity(identity: &ClientIdentity) -> Result<Arc<CertKey>, UpstreamError> {
    let chain = X509::stack_from_pem(&identity.chain)
        .map_err(|error| UpstreamError::BadClientCertificate(error.to_string()))?;
    let Some(leaf) = chain.first() else {
        return Err(UpstreamError::BadClientCertificate("no certificate in it".into()));
    };
    let key =
        PKey::private_key_from_pem(&identity.key).map_err(|error| UpstreamError::BadClientKey(error.to_string()))?;
    let public = leaf.public_key().map_err(|error| UpstreamError::BadClientCertificate(error.to_string()))?;
    if !public.public_eq(&key) {
        return Err(UpstreamError::KeyMismatch);
    }
    Ok(Arc::new(CertKey::new(chain, key)))
}

/// Whether a text is a DNS name as it may be sent as server name (RFC 6066 §3: no address, no trailing dot).
/// Underscores are let through, as names inside networks often have them.
pub(super) fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.parse::<std::net::IpAddr>().is_err() && name.split('.').all(label)
}
