//! Callers by their certificate: from the connection, over resumed sessions, and from proxies that are trusted.

use std::net::SocketAddr;

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::run::run_with_input;
use crate::support::tls::{Authority, H1, H2, Identity};

const NAME: &str = "gw.example";

/// A gateway whose route `/**` asks for a certificate by this provider, with a listener `secure` for those of the authority.
/// One thread: the keys of session tickets are a thread's own.
fn gateway(authority: &Authority, provider: &str, client_auth: &str, origin: &Origin) -> Gateway {
    let server = authority.server("server", &[NAME]);
    let (cert, key) = (server.certificate.display(), server.key.display());
    let ca = authority.certificate().display();
    Gateway::start(&format!(
        "server: {{ threads: 1 }}\ntrusted_proxies: [127.0.0.1/32]\n\
         listeners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      certificates: [{{ cert: {cert}, key: {key} }}]\n      \
         client_ca: {ca}\n      client_auth: {client_auth}\n\
         auth: {{ partners: {{ mtls: {provider} }} }}\n\
         consumers:\n  acme: {{ subject: [partner-7, acme.example, \"spiffe://a/b\", \"CN=dn,O=Acme\"], groups: [partners] }}\n  \
         other: {{ subject: other.example }}\n\
         routes: {{ /**: {{ auth: partners, to: {} }} }}\n",
        origin.url()
    ))
}

fn ask(address: SocketAddr, authority: &Authority, client: Option<&Identity>) -> Response {
    let connector = authority.connector_as(H1, client);
    Client::connect_tls(address, &connector, NAME).expect("a handshake").send(&Request::get("/a"))
}

#[test]
fn the_certificate_of_the_connection_names_the_consumer_over_both_protocols() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let gateway = gateway(&authority, "{}", "request", &origin);
    let address = gateway.listener("secure");
    let partner = authority.client("partner-7");
    let reply = ask(address, &authority, Some(&partner));
    assert_eq!(reply.status, 200);
    let mut h2 = h2::Client::connect_tls(address, &authority.connector_as(H2, Some(&partner)), NAME).expect("h2");
    assert_eq!(h2.send(&Request::get("/b")).status, 200);
    assert_eq!(h2.send(&Request::get("/c")).status, 200);
    for request in origin.requests() {
        assert_eq!(request.header("x-consumer-id"), Some("acme"), "{request:?}");
        assert_eq!(request.header("x-consumer-groups"), Some("partners"));
        assert_eq!(request.header("x-credential-id").map(str::len), Some(64));
    }
    // Its own name names a consumer, too; without a certificate there is nobody, and a 401 says what is asked for.
    assert_eq!(ask(address, &authority, Some(&authority.client("acme"))).status, 200);
    let nobody = ask(address, &authority, None);
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (401, Some("ClientCertificate realm=\"partners\"")));
    let mut h2 = h2::Client::connect_tls(address, &authority.connector(H2), NAME).expect("h2");
    assert_eq!(h2.send(&Request::get("/a")).status, 401);
    gateway.await_metric("tollgate_auth_total", &["partners", "passed"], 4.0);
    gateway.await_metric("tollgate_auth_total", &["partners", "absent"], 2.0);
}

#[test]
fn what_of_the_certificate_counts_is_what_is_written() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let acme = authority.client_of("acme-cert", "/CN=acme.example", "DNS:other.example,email:a@b.example");
    let both = authority.client_of("both", "/CN=x", "DNS:ACME.example,DNS:unknown.example,URI:spiffe://a/b");
    let twice = authority.client_of("twice", "/CN=y", "DNS:acme.example,DNS:other.example");
    let whole = authority.client_of("whole", "/O=Acme/CN=dn", "");
    let cases: [(&str, [u16; 4]); 5] = [
        // acme, both, twice, whole
        ("{ consumer: subject_cn }", [200, 401, 401, 401]),
        ("{ consumer: subject }", [401, 401, 401, 200]),
        ("{ consumer: san_dns }", [200, 200, 401, 401]),
        ("{ consumer: san_uri }", [401, 200, 401, 401]),
        ("{ consumer: san_email, unknown: allow }", [200, 401, 401, 401]),
    ];
    for (provider, expected) in cases {
        let gateway = gateway(&authority, provider, "require", &origin);
        let address = gateway.listener("secure");
        let statuses = [&acme, &both, &twice, &whole].map(|client| ask(address, &authority, Some(client)).status);
        assert_eq!(statuses, expected, "{provider}");
    }
    let ids: Vec<String> =
        origin.requests().iter().filter_map(|it| it.header("x-consumer-id").map(Into::into)).collect();
    assert_eq!(ids, ["acme", "acme", "other", "acme", "acme", "a@b.example"]);
}

#[test]
fn names_that_read_differently_for_others_name_nobody() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let gateway = gateway(&authority, "{ unknown: allow }", "require", &origin);
    let address = gateway.listener("secure");
    let hostile = [
        ("two common names", authority.client_of("two", "/CN=acme/CN=mallory", "")),
        ("the same twice", authority.client_of("same", "/CN=acme/CN=acme", "")),
        ("two in one part", authority.client_of("part", "/CN=mallory+CN=acme", "")),
        ("no common name", authority.client_of("none", "/O=acme", "")),
        ("NUL", authority.client_of_bytes("nul", 0x0c, b"acme\0.evil")),
        ("NUL alone", authority.client_of_bytes("only-nul", 0x0c, b"\0")),
        ("line ends", authority.client_of_bytes("lines", 0x0c, b"acme\r\nX-A: b")),
        ("T.61", authority.client_of_bytes("t61", 0x14, b"acm\xe9")),
    ];
    for (what, client) in &hostile {
        let reply = ask(address, &authority, Some(client));
        assert_eq!(
            (reply.status, reply.json()["type"].as_str()),
            (401, Some("urn:tollgate:problem:bad-credentials")),
            "{what}"
        );
    }
    assert_eq!(origin.requests().len(), 0);
    // Text in UTF-16 is read as such: these bytes are four letters only to who takes them for ASCII.
    let wide = authority.client_of_bytes("wide", 0x1e, b"acme");
    assert_eq!(ask(address, &authority, Some(&wide)).status, 200);
    assert_eq!(origin.only_request().header("x-consumer-id"), Some("%E6%85%A3%E6%B5%A5"));
}

#[test]
fn a_certificate_that_names_nobody_is_refused_unless_told() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let stranger = authority.client("stranger");
    let strict = gateway(&authority, "{}", "require", &origin);
    let reply = ask(strict.listener("secure"), &authority, Some(&stranger));
    assert_eq!((reply.status, reply.json()["type"].as_str()), (401, Some("urn:tollgate:problem:bad-credentials")));
    strict.await_metric("tollgate_auth_total", &["partners", "refused"], 1.0);
    let open = gateway(&authority, "{ unknown: allow }", "require", &origin);
    assert_eq!(ask(open.listener("secure"), &authority, Some(&stranger)).status, 200);
    assert_eq!(origin.only_request().header("x-consumer-id"), Some("stranger"));
}

#[test]
fn a_resumed_session_keeps_its_certificate() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let gateway = gateway(&authority, "{}", "request", &origin);
    let address = gateway.listener("secure").to_string();
    let partner = authority.client("partner-7");
    let (cert, key) = (partner.certificate.display().to_string(), partner.key.display().to_string());
    let request = format!("GET /a HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    for version in ["-tls1_2", "-tls1_3"] {
        let session = authority.folder().join(format!("session{version}")).display().to_string();
        let common = ["s_client", "-connect", &address, "-servername", NAME, version, "-ign_eof"];
        let first = [&common[..], &["-cert", &cert, "-key", &key, "-sess_out", &session]].concat();
        let output = run_with_input("openssl", &first, request.as_bytes());
        assert!(output.stdout.contains("200 OK"), "{version}: {output:?}");
        // The second time no certificate is shown: it is known from the session.
        let second = [&common[..], &["-sess_in", &session]].concat();
        let output = run_with_input("openssl", &second, request.as_bytes());
        assert!(output.stdout.contains("Reused, TLSv1."), "{version}: {output:?}");
        assert!(output.stdout.contains("200 OK"), "{version}: {output:?}");
        // A session of nobody stays one.
        let nobody = [&common[..], &["-sess_out", &session]].concat();
        assert!(
            run_with_input("openssl", &nobody, request.as_bytes()).stdout.contains("401 Unauthorized"),
            "{version}"
        );
        let output = run_with_input("openssl", &second, request.as_bytes());
        assert!(
            output.stdout.contains("Reused") && output.stdout.contains("401 Unauthorized"),
            "{version}: {output:?}"
        );
    }
    let ids: Vec<Option<String>> =
        origin.requests().iter().map(|it| it.header("x-consumer-id").map(Into::into)).collect();
    assert_eq!(ids, vec![Some("acme".to_owned()); 4]);
}

/// The certificate as nginx writes it: PEM, percent-encoded.
fn escaped(identity: &Identity) -> String {
    let pem = std::fs::read_to_string(&identity.certificate).expect("a certificate");
    pem.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The certificate in Base64 of its DER form.
fn base64(identity: &Identity) -> String {
    let pem = std::fs::read_to_string(&identity.certificate).expect("a certificate");
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

#[test]
fn a_trusted_proxy_passes_certificates_on_and_nobody_else_does() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let partner = authority.client("partner-7");
    let envoy = format!("By=spiffe://x;Hash=00;Cert=\"{}\";Subject=\"CN=mallory,O=a;b\"", escaped(&partner));
    let cases = [
        ("X-Client-Cert", escaped(&partner)),
        ("X-SSL-Client-Cert", base64(&partner)),
        ("Client-Cert", format!(":{}:", base64(&partner))),
        ("X-Forwarded-Client-Cert", envoy.clone()),
    ];
    for (header, value) in &cases {
        let provider = format!("{{ allow_from_header: {header} }}");
        let gateway = gateway(&authority, &provider, "request", &origin);
        let reply = gateway.send(&Request::get("/a").header(header, value));
        assert_eq!(reply.status, 200, "{header}: {}", reply.text());
        let request = origin.requests().pop().expect("a request");
        assert_eq!((request.header("x-consumer-id"), request.header(header)), (Some("acme"), None), "{header}");
        for (what, request) in [
            ("none", Request::get("/a")),
            ("empty", Request::get("/a").header(header, "")),
            ("no certificate", Request::get("/a").header(header, "AAAA")),
            ("cut short", Request::get("/a").header(header, &value[..value.len() / 2])),
        ] {
            assert_eq!(gateway.send(&request).status, 401, "{header}: {what}");
        }
        let twice = Request::get("/a").header(header, value).header(header, value);
        assert_eq!(gateway.send(&twice).status, 400, "{header}");
        // The proxy's own certificate says nothing of its client.
        assert_eq!(ask(gateway.listener("secure"), &authority, Some(&partner)).status, 401, "{header}");
        let untrusting = Gateway::start(&format!(
            "auth: {{ partners: {{ mtls: {provider} }} }}\nconsumers: {{ acme: {{ subject: partner-7 }} }}\n\
             trusted_proxies: [192.0.2.0/24]\n\
             routes: {{ /**: {{ auth: partners, to: {url} }}, /open: {{ to: {url} }} }}\n",
            url = origin.url()
        ));
        assert_eq!(untrusting.send(&Request::get("/a").header(header, value)).status, 401, "{header}");
        assert_eq!(untrusting.send(&Request::get("/open").header(header, value)).status, 200);
        assert_eq!(origin.requests().pop().expect("a request").header(header), None, "{header}");
    }
    let gateway = gateway(&authority, "{ allow_from_header: X-Forwarded-Client-Cert }", "request", &origin);
    let chain = format!("{envoy},{envoy}");
    assert_eq!(gateway.send(&Request::get("/a").header("X-Forwarded-Client-Cert", &chain)).status, 400);
}

#[test]
fn a_reload_changes_what_a_certificate_means_on_a_connection_that_stays() {
    let (authority, origin) = (Authority::new(), Origin::start(|_| Answer::ok("a")));
    let server = authority.server("server", &[NAME]);
    let (cert, key, ca) = (server.certificate.display(), server.key.display(), authority.certificate().display());
    let yaml = |consumers: &str| {
        format!(
            "listeners: {{ secure: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: {cert}, key: {key} }}], client_ca: {ca} }} }} }}\n\
             auth: {{ partners: {{ mtls: {{}} }} }}\nconsumers: {consumers}\nroutes: {{ /**: {{ auth: partners, to: {} }} }}\n",
            origin.url()
        )
    };
    let gateway = Gateway::start(&yaml("{ acme: { subject: partner-7 } }"));
    let connector = authority.connector_as(H1, Some(&authority.client("partner-7")));
    let mut client = Client::connect_tls(gateway.listener("secure"), &connector, NAME).expect("a handshake");
    assert_eq!(client.send(&Request::get("/")).status, 200);
    gateway.change(&yaml("{ beta: { subject: partner-7 } }"));
    assert_eq!(client.send(&Request::get("/")).status, 200);
    gateway.change(&yaml("{ beta: {} }"));
    assert_eq!(client.send(&Request::get("/")).status, 401);
    let ids: Vec<Option<String>> =
        origin.requests().iter().map(|it| it.header("x-consumer-id").map(Into::into)).collect();
    assert_eq!(ids, [Some("acme".into()), Some("beta".into())]);
}

/// Two partners whose authorities have the same name: the listener lets both in, and each provider only what its own signed.
#[test]
fn with_authorities_of_its_own_a_provider_takes_only_what_they_have_signed() {
    let (ours, theirs, origin) = (Authority::new(), Authority::new(), Origin::echo());
    let server = ours.server("server", &[NAME]);
    let pem = |authority: &Authority| std::fs::read_to_string(authority.certificate()).expect("a certificate");
    let both = ours.folder().join("both.pem");
    std::fs::write(&both, format!("{}{}", pem(&ours), pem(&theirs))).expect("a file");
    let gateway = Gateway::start(&format!(
        "trusted_proxies: [127.0.0.1/32]\nlisteners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      \
         certificates: [{{ cert: {cert}, key: {key} }}]\n      client_ca: {both}\n      client_auth: request\n\
         auth:\n  ours: {{ mtls: {{ ca: {ours} }} }}\n  theirs: {{ mtls: {{ ca: {theirs}, unknown: allow }} }}\n  \
         any: {{ mtls: {{}} }}\n  proxied: {{ mtls: {{ ca: {ours}, allow_from_header: X-Client-Cert }} }}\n\
         consumers: {{ acme: {{}} }}\nroutes:\n  /ours: {{ auth: ours, to: {url} }}\n  /theirs: {{ auth: theirs, to: {url} }}\n  \
         /either: {{ auth: [ours, theirs], to: {url} }}\n  /any: {{ auth: any, to: {url} }}\n  /proxied: {{ auth: proxied, to: {url} }}\n",
        cert = server.certificate.display(),
        key = server.key.display(),
        both = both.display(),
        ours = ours.certificate().display(),
        theirs = theirs.certificate().display(),
        url = origin.url()
    ));
    let (own, foreign) = (ours.client("acme"), theirs.client("acme"));
    let statuses = |client: &Identity| {
        let connector = ours.connector_as(H1, Some(client));
        let mut client = Client::connect_tls(gateway.listener("secure"), &connector, NAME).expect("a handshake");
        ["/ours", "/theirs", "/either", "/any", "/ours"].map(|path| client.send(&Request::get(path)).status)
    };
    assert_eq!(statuses(&own), [200, 401, 200, 200, 200]);
    assert_eq!(statuses(&foreign), [401, 200, 200, 200, 401]);
    let told = |path: &str| origin.requests().iter().filter(|it| it.target == path).count();
    assert_eq!((told("/ours"), told("/theirs"), told("/either")), (2, 1, 2));
    // What a proxy passes on is judged by the same authorities, whatever the proxy has verified.
    let passed_on = |identity| gateway.send(&Request::get("/proxied").header("X-Client-Cert", &escaped(identity)));
    assert_eq!(passed_on(&own).status, 200);
    let refused = passed_on(&foreign);
    assert_eq!((refused.status, refused.json()["type"].as_str()), (401, Some("urn:tollgate:problem:bad-credentials")));
}
