//! Certificates made at test time with the `openssl` program, and the two ends of TLS that use them.

use std::path::{Path, PathBuf};

use pingora::tls::ssl::{
    AlpnError, SslAcceptor, SslConnector, SslFiletype, SslMethod, SslVerifyMode, select_next_proto,
};
use tempfile::TempDir;

use super::run::run;

/// ALPN of HTTP/2 alone, in wire form (RFC 7301 §3.1).
pub const H2: &[u8] = b"\x02h2";
/// ALPN of HTTP/1.1 alone.
pub const H1: &[u8] = b"\x08http/1.1";

/// A certificate authority in a folder of its own, removed with it.
pub struct Authority {
    folder: TempDir,
    own: Identity,
}

/// A certificate and its private key, both PEM files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Panics
    /// When `openssl` is not installed or fails.
    #[track_caller]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let own = Identity::in_folder(folder.path(), "ca");
        issue(&own, &["-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]);
        Self { folder, own }
    }

    /// The authority's own certificate, to be trusted.
    pub fn certificate(&self) -> &Path {
        &self.own.certificate
    }

    /// Where its files are; others may be put there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A server certificate for names (wildcards too) and IP addresses. `file` names its files; the same again
    /// replaces them.
    #[track_caller]
    pub fn server(&self, file: &str, names: &[&str]) -> Identity {
        let kind = |name: &&str| if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        let names: Vec<String> = names.iter().map(|name| format!("{}:{name}", kind(name))).collect();
        let names = format!("subjectAltName={}", names.join(","));
        self.leaf(file, &["-subj", "/O=Tests", "-addext", &names, "-addext", "extendedKeyUsage=serverAuth"])
    }

    /// A client certificate with that common name.
    #[track_caller]
    pub fn client(&self, common_name: &str) -> Identity {
        let subject = format!("/CN={common_name}");
        self.leaf(common_name, &["-subj", &subject, "-addext", "extendedKeyUsage=clientAuth"])
    }

    /// A client certificate with that subject, as `openssl req -subj` reads it, and these alternative names.
    #[track_caller]
    pub fn client_of(&self, file: &str, subject: &str, names: &str) -> Identity {
        let names = format!("subjectAltName={names}");
        let mut arguments = vec!["-utf8", "-subj", subject, "-addext", "extendedKeyUsage=clientAuth"];
        if names.len() > "subjectAltName=".len() {
            arguments.extend(["-addext", &names]);
        }
        self.leaf(file, &arguments)
    }

    /// A client certificate whose common name is a string of that type (its ASN.1 tag) and these bytes, which need not be
    /// a name that `openssl` would write.
    #[track_caller]
    pub fn client_of_bytes(&self, file: &str, tag: u8, common_name: &[u8]) -> Identity {
        let stand_in = "Z".repeat(common_name.len());
        let identity = self.client(&stand_in);
        let (certificate, der) = (text(&identity.certificate), text(&self.folder.path().join("changed.der")));
        run("openssl", &["x509", "-in", &certificate, "-outform", "DER", "-out", &der]).success();
        let mut bytes = std::fs::read(&der).expect("a certificate in DER");
        let mut element = vec![0x0c, u8::try_from(stand_in.len()).expect("a short name")];
        element.extend_from_slice(stand_in.as_bytes());
        let at = bytes.windows(element.len()).position(|window| window == element).expect("the common name");
        bytes[at] = tag;
        bytes[at + 2..at + element.len()].copy_from_slice(common_name);
        std::fs::write(&der, bytes).expect("a file written");
        let changed = Identity { key: identity.key, ..Identity::in_folder(self.folder.path(), file) };
        let (request, out) = (text(&self.folder.path().join("changed.csr")), text(&changed.certificate));
        let own_key = text(&changed.key);
        let asked = ["x509", "-inform", "DER", "-in", &der, "-x509toreq", "-signkey", &own_key, "-out", &request];
        run("openssl", &asked).success();
        let (ca, key) = (text(&self.own.certificate), text(&self.own.key));
        let signed = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &key, "-CAcreateserial", "-out", &out];
        run("openssl", &signed).success();
        changed
    }

    #[track_caller]
    fn leaf(&self, file: &str, arguments: &[&str]) -> Identity {
        let identity = Identity::in_folder(self.folder.path(), file);
        let (certificate, key) = (text(&self.own.certificate), text(&self.own.key));
        let issuer = ["-CA", &certificate, "-CAkey", &key, "-addext", "basicConstraints=critical,CA:FALSE"];
        issue(&identity, &[&issuer, arguments].concat());
        identity
    }

    /// A client's end that trusts this authority and offers those protocols.
    pub fn connector(&self, protocols: &[u8]) -> SslConnector {
        self.connector_as(protocols, None)
    }

    /// As [`Self::connector`], showing a client certificate.
    pub fn connector_as(&self, protocols: &[u8], client: Option<&Identity>) -> SslConnector {
        let mut builder = SslConnector::builder(SslMethod::tls()).expect("a connector");
        builder.set_ca_file(self.certificate()).expect("the authority's certificate");
        builder.set_alpn_protos(protocols).expect("protocols in wire form");
        if let Some(client) = client {
            builder.set_certificate_chain_file(&client.certificate).expect("a certificate");
            builder.set_private_key_file(&client.key, SslFiletype::PEM).expect("its key");
        }
        builder.build()
    }

    /// A server's end with that certificate, speaking those protocols and asking for no client certificate.
    pub fn acceptor(&self, identity: &Identity, protocols: &'static [u8]) -> SslAcceptor {
        self.acceptor_that(SslVerifyMode::NONE, identity, protocols)
    }

    /// As [`Self::acceptor`], refusing clients that show no certificate of this authority.
    pub fn strict_acceptor(&self, identity: &Identity, protocols: &'static [u8]) -> SslAcceptor {
        self.acceptor_that(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, identity, protocols)
    }

    fn acceptor_that(&self, verify: SslVerifyMode, identity: &Identity, protocols: &'static [u8]) -> SslAcceptor {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
        builder.set_certificate_chain_file(&identity.certificate).expect("a certificate");
        builder.set_private_key_file(&identity.key, SslFiletype::PEM).expect("its key");
        builder.set_ca_file(self.certificate()).expect("the authority's certificate");
        builder.set_verify(verify);
        builder.set_alpn_select_callback(move |_, offered| {
            select_next_proto(protocols, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        builder.build()
    }
}

impl Identity {
    fn in_folder(folder: &Path, file: &str) -> Self {
        Self { certificate: folder.join(format!("{file}.pem")), key: folder.join(format!("{file}.key")) }
    }
}

/// Makes a P-256 key and a certificate for it, valid from now for two days.
#[track_caller]
fn issue(identity: &Identity, arguments: &[&str]) {
    let (certificate, key) = (text(&identity.certificate), text(&identity.key));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    let files = ["-keyout", &key, "-out", &certificate];
    run("openssl", &[&["req", "-x509"], &curve[..], &files, arguments].concat()).success();
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").into()
}
