//! TLS on both sides: certificates by name, versions, client certificates, exchange, and upstreams.

use std::net::SocketAddr;

use crate::support::client::{Client, Request};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::run::{Output, run};
use crate::support::tls::{Authority, H1, Identity};

const ROUTE: &str = "routes: { /**: { respond: { body: a } } }\n";

/// A listener `secure` with these certificates and whatever else is written for its TLS.
fn secure(identities: &[&Identity], more: &str) -> String {
    let certificates: Vec<String> = identities
        .iter()
        .map(|identity| format!("{{ cert: {}, key: {} }}", identity.certificate.display(), identity.key.display()))
        .collect();
    let certificates = certificates.join(", ");
    format!(
        "listeners: {{ secure: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{certificates}]{more} }} }} }}\n"
    )
}

fn https(gateway: &Gateway, authority: &Authority, name: &str) -> Result<Client, String> {
    Client::connect_tls(gateway.listener("secure"), &authority.connector(H1), name)
}

fn openssl(address: SocketAddr, arguments: &[&str]) -> Output {
    let address = address.to_string();
    run("openssl", &[&["s_client", "-connect", &address, "-brief"], arguments].concat())
}

#[test]
fn the_certificate_follows_the_name() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let wild = authority.server("wild", &["*.two.example"]);
    let gateway = Gateway::start(&(secure(&[&one, &wild], "") + ROUTE));
    for name in ["one.example", "a.two.example", "b.two.example"] {
        let mut client = https(&gateway, &authority, name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(client.send(&Request::get("/")).text(), "a", "{name}");
    }
    for name in ["two.example", "a.b.two.example", "three.example"] {
        assert!(https(&gateway, &authority, name).is_err(), "{name} has a certificate");
    }
}

#[test]
fn a_host_of_another_certificate_is_misdirected() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let two = authority.server("two", &["two.example"]);
    let gateway = Gateway::start(&(secure(&[&one, &two], "") + ROUTE));
    let mut client = https(&gateway, &authority, "one.example").expect("TLS");
    let reply = client.send(&Request::get("/").header("Host", "two.example"));
    assert_eq!((reply.status, &reply.json()["type"]), (421, &"urn:tollgate:problem:wrong-host".into()));
}

#[test]
fn no_host_reaches_a_site_through_the_handshake_of_another() {
    let authority = Authority::new();
    let open = authority.server("open", &["open.example"]);
    let closed = authority.server("closed", &["closed.example"]);
    let origin = Origin::echo();
    let routes = format!(
        "routes:\n  /**: [{{ match: {{ host: closed.example }}, to: {0} }}, {{ match: {{ host: open.example }}, respond: {{ body: a }} }}]\n",
        origin.url()
    );
    let gateway = Gateway::start(&(secure(&[&open, &closed], "") + &routes));
    let address = gateway.listener("secure");
    let hosts = ["closed.example", "CLOSED.example", "closed.example:443", "closed.example.", "closed.example:1"];
    for host in hosts {
        let mut client = https(&gateway, &authority, "open.example").expect("TLS");
        // As the first request, behind another, and by the target instead of the field.
        assert_eq!(client.send(&Request::get("/").header("Host", "open.example")).status, 200);
        assert_eq!(client.send(&Request::get("/").header("Host", host)).status, 421, "{host}");
        let mut client = https(&gateway, &authority, "open.example").expect("TLS");
        let target = format!("https://{host}/");
        assert_eq!(client.send(&Request::get(&target).header("Host", host)).status, 421, "{host}");
        let mut client = https(&gateway, &authority, "open.example").expect("TLS");
        let hidden = Request::get(&target).header("Host", "open.example");
        assert_eq!(client.send(&hidden).status, 400, "{host}");
        let tls = authority.connector(crate::support::tls::H2);
        let mut client =
            crate::support::client::h2::Client::connect_tls(address, &tls, "open.example").expect("HTTP/2");
        assert_eq!(client.send(&Request::get("/").header("Host", "open.example")).status, 200);
        let status = client.try_send(&Request::get("/").header("Host", host).unidentified()).map(|reply| reply.status);
        assert!(matches!(status, Ok(400 | 421) | Err(_)), "{host}: {status:?}");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_minimum_version_is_kept() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let strict = Gateway::start(&(secure(&[&one], ", min_version: \"1.3\"") + ROUTE));
    assert!(!openssl(strict.listener("secure"), &["-tls1_2"]).status.success());
    assert!(openssl(strict.listener("secure"), &["-tls1_3"]).status.success());
    let usual = Gateway::start(&(secure(&[&one], "") + ROUTE));
    assert!(openssl(usual.listener("secure"), &["-tls1_2"]).status.success());
    assert!(!openssl(usual.listener("secure"), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).status.success());
}

#[test]
fn a_required_client_certificate_is_asked_for_and_verified() {
    let (authority, other) = (Authority::new(), Authority::new());
    let one = authority.server("one", &["one.example"]);
    let ca = authority.certificate().display().to_string();
    let gateway = Gateway::start(&(secure(&[&one], &format!(", client_ca: {ca}")) + ROUTE));
    let address = gateway.listener("secure");
    let answer = |client: Option<&Identity>| {
        let mut client = Client::connect_tls(address, &authority.connector_as(H1, client), "one.example").ok()?;
        client.send_raw(&Request::get("/").bytes("one.example"));
        client.try_read("GET").ok().map(|response| response.status)
    };
    assert_eq!(answer(Some(&authority.client("alice"))), Some(200));
    assert_eq!(answer(None), None);
    assert_eq!(answer(Some(&other.client("mallory"))), None);
}

#[test]
fn a_requested_client_certificate_may_be_left_out_but_not_forged() {
    let (authority, other) = (Authority::new(), Authority::new());
    let one = authority.server("one", &["one.example"]);
    let more = format!(", client_ca: {}, client_auth: request", authority.certificate().display());
    let gateway = Gateway::start(&(secure(&[&one], &more) + ROUTE));
    let address = gateway.listener("secure");
    let answer = |client: Option<&Identity>| {
        let mut client = Client::connect_tls(address, &authority.connector_as(H1, client), "one.example").ok()?;
        client.send_raw(&Request::get("/").bytes("one.example"));
        client.try_read("GET").ok().map(|response| response.status)
    };
    assert_eq!(answer(Some(&authority.client("alice"))), Some(200));
    assert_eq!(answer(None), Some(200));
    assert_eq!(answer(Some(&other.client("mallory"))), None);
}

#[test]
fn a_certificate_is_exchanged_without_touching_connections() {
    let (old, new) = (Authority::new(), Authority::new());
    let identity = old.server("one", &["one.example"]);
    let gateway = Gateway::start(&(secure(&[&identity], "") + ROUTE));
    let address = gateway.listener("secure");
    let mut kept = https(&gateway, &old, "one.example").expect("TLS");
    assert_eq!(kept.send(&Request::get("/")).status, 200);
    let fresh = new.server("one", &["one.example"]);
    std::fs::copy(&fresh.certificate, &identity.certificate).expect("a certificate");
    std::fs::copy(&fresh.key, &identity.key).expect("its key");
    assert_eq!(gateway.reload().refused, None);
    assert_eq!(gateway.listener("secure"), address);
    assert!(https(&gateway, &old, "one.example").is_err());
    assert_eq!(https(&gateway, &new, "one.example").expect("TLS").send(&Request::get("/")).status, 200);
    assert_eq!(kept.send(&Request::get("/")).status, 200);
}

#[test]
fn a_certificate_whose_files_change_is_exchanged_without_a_reload() {
    let (old, new) = (Authority::new(), Authority::new());
    let identity = old.server("one", &["one.example"]);
    let gateway = Gateway::start(&(secure(&[&identity], "") + ROUTE));
    let mut kept = https(&gateway, &old, "one.example").expect("TLS");
    assert_eq!(kept.send(&Request::get("/")).status, 200);
    let fresh = new.server("one", &["one.example"]);
    // Half of an exchange is none: the old one stays.
    std::fs::copy(&fresh.certificate, &identity.certificate).expect("a certificate");
    assert!(https(&gateway, &old, "one.example").is_ok());
    std::fs::copy(&fresh.key, &identity.key).expect("its key");
    crate::support::wait::until("the new certificate is shown", || https(&gateway, &new, "one.example").is_ok());
    assert!(https(&gateway, &old, "one.example").is_err());
    assert_eq!(kept.send(&Request::get("/")).status, 200);
    assert_eq!(gateway.metric("tollgate_config_revision", &[]), 1.0);
}

#[test]
fn a_key_of_another_certificate_refuses_the_file() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let two = authority.server("two", &["two.example"]);
    let gateway = Gateway::start(&(secure(&[&one], "") + ROUTE));
    let crossed = Identity { certificate: one.certificate.clone(), key: two.key };
    gateway.rewrite(&(secure(&[&crossed], "") + ROUTE));
    assert!(gateway.reload().refused.expect("a refusal").contains("does not belong"));
    assert_eq!(https(&gateway, &authority, "one.example").expect("TLS").send(&Request::get("/")).status, 200);
}

#[test]
fn the_upstream_is_told_of_https() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{}routes: {{ /**: {{ to: {} }} }}", secure(&[&one], ""), origin.url()));
    https(&gateway, &authority, "one.example").expect("TLS").send(&Request::get("/"));
    assert_eq!(origin.only_request().header("x-forwarded-proto"), Some("https"));
}

#[test]
fn an_upstream_is_verified_against_its_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.server("origin", &["127.0.0.1", "origin.example"]);
    let origin = Origin::start_tls(authority.acceptor(&identity, H1), |_| Answer::ok("secure"));
    let ask = |tls: &str| {
        let gateway = Gateway::start(&format!(
            "upstreams: {{ up: {{ endpoints: [{}], tls: {tls} }} }}\nroutes: {{ /**: {{ to: up }} }}",
            origin.url()
        ));
        gateway.get("/")
    };
    let (ca, wrong) = (authority.certificate().display(), other.certificate().display());
    assert_eq!(ask(&format!("{{ ca: {ca}, sni: origin.example }}")).text(), "secure");
    for tls in [
        format!("{{ ca: {wrong}, sni: origin.example }}"),
        format!("{{ ca: {ca}, sni: other.example }}"),
        "{ sni: origin.example }".into(),
    ] {
        let reply = ask(&tls);
        assert_eq!((reply.status, &reply.json()["type"]), (502, &"urn:tollgate:problem:upstream-tls".into()), "{tls}");
    }
}

#[test]
fn an_upstream_that_wants_a_client_certificate_gets_it() {
    let authority = Authority::new();
    let identity = authority.server("origin", &["origin.example"]);
    let own = authority.client("gateway");
    let origin = Origin::start_tls(authority.strict_acceptor(&identity, H1), |_| Answer::ok("known"));
    let tls = format!("ca: {}, sni: origin.example", authority.certificate().display());
    let yaml = |more: &str| {
        format!(
            "upstreams: {{ up: {{ endpoints: [{}], tls: {{ {tls}{more} }} }} }}\nroutes: {{ /**: {{ to: up }} }}",
            origin.url()
        )
    };
    let pair = format!(", cert: {}, key: {}", own.certificate.display(), own.key.display());
    assert_eq!(Gateway::start(&yaml(&pair)).get("/").text(), "known");
    assert_eq!(Gateway::start(&yaml("")).get("/").status, 502);
}

#[test]
fn connections_are_not_shared_by_upstreams_that_trust_differently() {
    let (authority, other) = (Authority::new(), Authority::new());
    let identity = authority.server("origin", &["origin.example"]);
    let origin = Origin::start_tls(authority.acceptor(&identity, H1), |_| Answer::ok("secure"));
    let upstream = |ca: &Authority| {
        let ca = ca.certificate().display();
        format!("{{ endpoints: [{}], tls: {{ ca: {ca}, sni: origin.example }} }}", origin.url())
    };
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ good: {}, wrong: {} }}\nroutes: {{ /good: {{ to: good }}, /wrong: {{ to: wrong }} }}",
        upstream(&authority),
        upstream(&other)
    ));
    for _ in 0..3 {
        assert_eq!(gateway.get("/good").status, 200);
        assert_eq!(gateway.get("/wrong").status, 502);
    }
}

#[test]
fn the_upstream_of_an_h2_client_may_see_the_name_it_asked_for() {
    let authority = Authority::new();
    let one = authority.server("one", &["one.example"]);
    let origin = Origin::echo();
    let yaml = format!("{}routes: {{ /**: {{ to: {}, preserve_host: true }} }}", secure(&[&one], ""), origin.url());
    let gateway = Gateway::start(&yaml);
    let tls = authority.connector(crate::support::tls::H2);
    let address = gateway.listener("secure");
    let mut client = crate::support::client::h2::Client::connect_tls(address, &tls, "one.example").expect("HTTP/2");
    assert_eq!(client.send(&Request::get("/")).status, 200);
    assert_eq!(origin.only_request().header("host"), Some("one.example"));
}
