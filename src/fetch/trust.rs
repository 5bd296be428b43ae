//! Whom a call believes to be who they say.

use pingora_core::protocols::tls::CaType;
use pingora_core::tls::x509::X509;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// The authorities by which a server's certificate is verified: those of the system, or a bundle in their place.
#[derive(Clone, Default)]
pub struct Trust {
    authorities: Option<Arc<CaType>>,
    /// Tells bundles apart: a connection made under one must never serve a call under another.
    key: u64,
}

impl Trust {
    /// Only the authorities of that PEM bundle.
    ///
    /// # Errors
    /// It holds no certificate, or one that cannot be read.
    pub fn only(pem: &[u8]) -> Result<Self, String> {
        let bundle = X509::stack_from_pem(pem).map_err(|_| "it is not a PEM bundle of certificates".to_owned())?;
        if bundle.is_empty() {
            return Err("no certificate is in it".into());
        }
        let mut hasher = DefaultHasher::new();
        pem.hash(&mut hasher);
        Ok(Self { authorities: Some(Arc::new(bundle.into_boxed_slice())), key: hasher.finish() })
    }

    pub(super) fn authorities(&self) -> Option<Arc<CaType>> {
        self.authorities.clone()
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.authorities.is_some() == other.authorities.is_some()
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.authorities.is_some() { "a bundle" } else { "the system's" })
    }
}
