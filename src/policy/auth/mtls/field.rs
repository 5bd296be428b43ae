//! Certificates in header fields, as proxies write them.

use crate::request::{CERTIFICATE_FIELDS, ClientCertificate, Headers};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use percent_encoding::percent_decode;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// A longer value is no certificate: nothing is decoded of it.
const LONGEST: usize = 32 * 1024;

/// Values kept at once.
const KEPT: usize = 256;

/// How a certificate stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PEM, percent-encoded (nginx `$ssl_client_escaped_cert`, AWS) or with spaces for its line ends; DER in Base64
    /// (HAProxy, Traefik), between colons (RFC 9440 §2.1).
    Plain,
    /// The list of Envoy's `x-forwarded-client-cert`: elements of `Key=value`, of which `Cert` counts.
    Envoy,
}

impl Kind {
    /// How it stands in the field of that name; `None` where the name is not kept from untrusted peers.
    pub fn of(name: &HeaderName) -> Option<Self> {
        match name.as_str() {
            "client-cert-chain" => None,
            "x-forwarded-client-cert" => Some(Self::Envoy),
            _ => CERTIFICATE_FIELDS.contains(name).then_some(Self::Plain),
        }
    }
}

/// What a request brings.
pub enum Shown {
    /// No certificate.
    Nothing,
    /// More than one.
    Twice,
    /// What stands there is none.
    Unreadable,
    /// This one.
    Certificate(Arc<ClientCertificate>),
}

/// The field certificates are taken from.
pub struct Field {
    name: HeaderName,
    kind: Kind,
    /// What has been read, by the value: a proxy sends the same for every request of a connection.
    read: Cache<Box<[u8]>, Arc<ClientCertificate>>,
}

impl Field {
    /// The field of that name.
    pub fn new(name: &HeaderName) -> Option<Self> {
        Some(Self { name: name.clone(), kind: Kind::of(name)?, read: Cache::new(KEPT) })
    }

    /// Its name.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The certificate in it.
    pub fn read(&self, headers: &dyn Headers) -> Shown {
        let (mut lines, mut shown) = (0, Shown::Nothing);
        headers.each(&self.name, &mut |value| {
            lines += 1;
            if lines == 1 && !value.is_empty() {
                shown = self.certificate(value);
            }
        });
        if lines > 1 { Shown::Twice } else { shown }
    }

    fn certificate(&self, value: &[u8]) -> Shown {
        if let Some(known) = self.read.get(value) {
            return Shown::Certificate(known);
        }
        if value.len() > LONGEST {
            return Shown::Unreadable;
        }
        let read = match self.kind {
            Kind::Plain => plain(value),
            Kind::Envoy => match envoy(value) {
                Element::One(cert) => plain(&cert),
                Element::Several => return Shown::Twice,
                Element::Malformed => None,
            },
        };
        let Some(certificate) = read.map(Arc::new) else { return Shown::Unreadable };
        self.read.insert(value.into(), Arc::clone(&certificate));
        Shown::Certificate(certificate)
    }
}

/// A certificate in any of the forms of [`Kind::Plain`].
fn plain(value: &[u8]) -> Option<ClientCertificate> {
    let decoded: Vec<u8> = percent_decode(value).collect();
    let text = std::str::from_utf8(&decoded).ok()?.trim();
    // Of a chain the first certificate is the client's own.
    let body = match text.strip_prefix("-----BEGIN CERTIFICATE-----") {
        Some(pem) => pem.split_once("-----END CERTIFICATE-----")?.0,
        None => text.trim_matches(':').split(',').next()?,
    };
    let base64: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    ClientCertificate::parse(&STANDARD.decode(base64).ok()?)
}

/// What an `x-forwarded-client-cert` holds.
enum Element {
    /// One element with this certificate.
    One(Vec<u8>),
    /// Several: which of the hops is meant is not plain.
    Several,
    /// No certificate, or not the form Envoy writes.
    Malformed,
}

/// Reads the one element: pairs between semicolons, values in quotes where they hold `,`, `;` or `=`.
fn envoy(value: &[u8]) -> Element {
    let Ok(text) = std::str::from_utf8(value) else { return Element::Malformed };
    let (mut certificate, mut pair, mut quoted, mut escaped) = (None, String::new(), false, false);
    for c in text.chars().chain([';']) {
        match c {
            _ if escaped => {
                pair.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => return Element::Several,
            ';' if !quoted => {
                if let Some((key, value)) = pair.split_once('=')
                    && key.trim().eq_ignore_ascii_case("cert")
                    && certificate.replace(value.as_bytes().to_vec()).is_some()
                {
                    return Element::Malformed;
                }
                pair.clear();
            }
            _ => pair.push(c),
        }
    }
    match certificate {
        Some(certificate) if !quoted => Element::One(certificate),
        _ => Element::Malformed,
    }
}
