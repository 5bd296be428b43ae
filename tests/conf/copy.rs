//! A configuration as an operator has it: checked as `tollgate check` does, started as `run` does on other ports.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::client::{Request, Response, send};
use crate::support::openid;
use crate::support::tls::Authority;
use serde_yaml::Value;
use tollgate::config;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::reply::Reason;
use tollgate::server::{Gateway, Sockets, Source};
use tollgate::snapshot::{Surroundings, compile};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `tollgate check` says to the file: the number of its routes, or its problems and warnings.
pub fn check(path: &Path) -> Result<usize, String> {
    let metrics =
        Metrics::new(MetricsSettings { workers: 1, max_routes: MetricsSettings::MAX_ROUTES, reasons: Reason::SLUGS });
    let surroundings = Surroundings {
        previous: None,
        metrics: &metrics,
        fetcher: &Default::default(),
        limits: &Default::default(),
        cache: &Default::default(),
        seed: 0,
    };
    let loaded = config::read(path).map_err(|failed| failed.to_string())?;
    let compiled = compile(loaded, &surroundings).map_err(|failed| failed.to_string())?;
    if compiled.warnings.is_empty() { Ok(compiled.snapshot.routes.len()) } else { Err(compiled.warnings) }
}

/// RFC 9421, B.1.4.
pub const PUBLIC_KEY: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n";

/// The schema that examples name.
const GREETER: &str = "syntax = \"proto3\"; package greet; import \"google/api/annotations.proto\";
    message Hello { string name = 1; }
    service Greeter { rpc SayHello(Hello) returns (Hello) { option (google.api.http) = { get: \"/hello/{name}\" }; } }";

/// A copy of a configuration in a folder of its own, with what it names beside it: certificates of an authority of the
/// test, and a token in place of one from the environment.
pub struct Copy {
    pub authority: Authority,
    pub path: PathBuf,
}

impl Copy {
    pub fn of(text: &str) -> Self {
        let authority = Authority::new();
        let folder = authority.folder().to_owned();
        let pairs = [("tls/shop", "shop.example"), ("tls/wildcard", "*.shop.example")];
        fs::create_dir_all(folder.join("tls")).expect("a folder for certificates");
        for (file, name) in pairs {
            let identity = authority.server("made", &[name]);
            fs::copy(identity.certificate, folder.join(format!("{file}.crt"))).expect("a certificate");
            fs::copy(identity.key, folder.join(format!("{file}.key"))).expect("a key");
        }
        fs::copy(authority.certificate(), folder.join("tls/clients-ca.crt")).expect("an authority's certificate");
        fs::create_dir_all(folder.join("secrets")).expect("a folder for secrets");
        fs::create_dir_all(folder.join("run")).expect("a folder for the access log");
        fs::write(folder.join("secrets/token"), "a-token-for-tests\n").expect("a token");
        fs::write(folder.join("secrets/oidc-client"), openid::SECRET).expect("a client's secret");
        fs::write(folder.join("secrets/oidc-cookie"), "a cookie secret of the tests, 32+ bytes").expect("a secret");
        for name in ["acme", "acme-next", "crawler"] {
            fs::write(folder.join("secrets").join(name), format!("the-key-of-{name}-for-tests\n")).expect("a key");
        }
        fs::write(folder.join("secrets/ann"), "the-password-of-ann-for-tests\n").expect("a password");
        fs::write(folder.join("secrets/partner"), "a-secret-that-is-shared-with-a-partner").expect("a secret");
        fs::create_dir_all(folder.join("keys")).expect("a folder for keys");
        fs::write(folder.join("keys/mobile.pem"), PUBLIC_KEY).expect("a key");
        fs::create_dir_all(folder.join("lists")).expect("a folder for lists");
        for list in ["office.txt", "blocked.txt", "consumers.csv"] {
            fs::copy(root().join("conf/lists").join(list), folder.join("lists").join(list)).expect("a list");
        }
        fs::create_dir_all(folder.join("protos")).expect("a folder for schemas");
        fs::copy(root().join("conf/protos/library.proto"), folder.join("protos/library.proto")).expect("a schema");
        for name in ["greeter", "shop"] {
            fs::write(folder.join(format!("protos/{name}.proto")), GREETER).expect("a schema");
        }
        fs::write(folder.join("secrets/jwt"), "a-secret-for-tests-that-is-long-enough\n").expect("a secret");
        let path = folder.join("gateway.yaml");
        let text = text.replace("$env:TOLLGATE_ADMIN_TOKEN", "$file:secrets/token");
        fs::write(&path, text).expect("a copy of the configuration");
        Self { authority, path }
    }

    pub fn of_file(name: &str) -> Self {
        Self::of(&fs::read_to_string(root().join("conf").join(name)).expect("a file of conf/"))
    }

    /// Rewrites every address to port 0 of the loopback and starts the gateway.
    pub fn start(&self) -> Arc<Gateway> {
        let text = fs::read_to_string(&self.path).expect("the copy");
        let mut tree: Value = serde_yaml::from_str(&text).expect("YAML");
        ports_from_the_system(&mut tree);
        fs::write(&self.path, serde_yaml::to_string(&tree).expect("YAML")).expect("the copy rewritten");
        let source = Source::File(self.path.clone());
        let loaded = source.load().unwrap_or_else(|problems| panic!("{problems}"));
        Gateway::start(source, loaded, Sockets::default()).unwrap_or_else(|error| panic!("{error}"))
    }
}

pub fn ports_from_the_system(tree: &mut Value) {
    let anywhere = Value::from("127.0.0.1:0");
    if tree.get("listen").is_some() {
        tree["listen"] = anywhere.clone();
    }
    match tree.get_mut("admin") {
        Some(Value::Mapping(admin)) => drop(admin.insert("address".into(), anywhere.clone())),
        Some(admin) => *admin = anywhere.clone(),
        None => {}
    }
    let listeners = tree.get_mut("listeners").and_then(Value::as_mapping_mut);
    for (_, listener) in listeners.into_iter().flatten() {
        listener["address"] = anywhere.clone();
    }
    tree["server"] = serde_yaml::from_str("threads: 1").expect("YAML");
    if tree.get("access_log").is_none() {
        tree["access_log"] = "off".into();
    }
}

#[track_caller]
pub fn main_address(gateway: &Gateway) -> SocketAddr {
    gateway.address("main").expect("what `listen:` makes")
}

#[track_caller]
pub fn get(gateway: &Gateway, target: &str) -> Response {
    send(main_address(gateway), &Request::get(target))
}
