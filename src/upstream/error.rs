//! Why an upstream cannot be built. `snapshot/` turns these into problems with a place in the file.

use std::fmt;

/// A setting that no upstream can be built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamError {
    /// No endpoints at all.
    NoEndpoints,
    /// More endpoints than a selection table can number.
    TooManyEndpoints {
        /// How many there may be.
        limit: usize,
    },
    /// The CA bundle holds no certificate, or none that can be read.
    BadCa(String),
    /// The client certificate cannot be read.
    BadClientCertificate(String),
    /// The client key cannot be read.
    BadClientKey(String),
    /// Client certificate and key are not a pair.
    KeyMismatch,
    /// TLS to an address with name verification needs a name to verify.
    NameNeeded {
        /// The endpoint as written.
        endpoint: String,
    },
    /// The server name is not a DNS name.
    BadServerName(String),
    /// The endpoint's host is neither an address nor a DNS name.
    BadHost {
        /// The endpoint as written.
        endpoint: String,
    },
    /// The path or Host of the health check cannot stand in a request.
    BadHealthRequest(String),
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoints => f.write_str("an upstream needs at least one endpoint"),
            Self::TooManyEndpoints { limit } => write!(f, "an upstream can have at most {limit} endpoints"),
            Self::BadCa(why) => write!(f, "the CA certificates cannot be used: {why}"),
            Self::BadClientCertificate(why) => write!(f, "the client certificate cannot be used: {why}"),
            Self::BadClientKey(why) => write!(f, "the client key cannot be used: {why}"),
            Self::KeyMismatch => f.write_str("the client certificate and key do not belong together"),
            Self::NameNeeded { endpoint } => {
                write!(f, "{endpoint} is an address: certificates are verified by name, so name one with `sni`")
            }
            Self::BadServerName(name) => write!(f, "the server name `{name}` is not a DNS name"),
            Self::BadHost { endpoint } => write!(f, "the host of {endpoint} is neither an address nor a DNS name"),
            Self::BadHealthRequest(why) => write!(f, "the health check is not a legal request: {why}"),
        }
    }
}

impl std::error::Error for UpstreamError {}
