//! Listeners: addresses, certificates by name, bounds of connections, and the strict first look at a request.

mod bounds;
mod certificates;
mod connections;
pub mod head;
pub mod pressure;
mod spec;
mod tls;

pub use bounds::Bounds;
pub use certificates::{Certificate, CertificateError, Certificates, PairFile, count_certificates};
pub use connections::{Connections, TooMany};
pub use spec::{ListenerSpec, Protocols};
pub use tls::{ClientCertificates, ListenerTls, MinVersion, TlsName};
