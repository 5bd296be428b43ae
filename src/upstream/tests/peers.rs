//! Peers as Pingora gets them, and what no peer can be built from.

use pingora_core::protocols::ALPN;
use pingora_core::upstreams::peer::{HttpPeer, Peer};

use super::*;

const AUTHORITY: &[u8] = include_bytes!("pem/authority.crt");
const OTHER: &[u8] = include_bytes!("pem/other.crt");
const OTHER_KEY: &[u8] = include_bytes!("pem/other.key");
const CHAIN: &[u8] = include_bytes!("pem/origin.crt");
const KEY: &[u8] = include_bytes!("pem/origin.key");

fn secure(address: &str, tls: TlsSpec) -> UpstreamSpec {
    let mut spec = UpstreamSpec { tls, ..spec(&[address]) };
    spec.endpoints[0].transport = Transport::Tls;
    spec
}

fn sni(name: &str) -> TlsSpec {
    TlsSpec { sni: Some(name.into()), ..TlsSpec::default() }
}

fn refusal(spec: UpstreamSpec) -> UpstreamError {
    Upstream::new(spec, None, 0).err().unwrap()
}

fn peer(spec: UpstreamSpec) -> HttpPeer {
    Bench::new(spec).pick().prebuilt().clone()
}

fn with_name(transport: Transport, name: &str) -> EndpointSpec {
    EndpointSpec { transport, host: Host::Name(name.into()), ..endpoint("10.0.0.1:8443") }
}

/// The peer of a TLS endpoint given by name.
fn named_peer(tls: TlsSpec) -> HttpPeer {
    let spec = secure("shop.test:8443", tls);
    let policy = tls::TlsPolicy::new(&spec.tls).unwrap();
    peer::build("10.0.0.1:8443".parse().unwrap(), &spec.endpoints[0], &spec, &policy)
}

#[test]
fn every_timeout_is_set() {
    let options = peer(spec(&["10.0.0.1:80"])).options;
    assert_eq!(options.connection_timeout, Some(Duration::from_secs(1)));
    assert_eq!(options.total_connection_timeout, Some(Duration::from_secs(2)));
    assert_eq!(options.read_timeout, Some(Duration::from_secs(3)));
    assert_eq!(options.write_timeout, Some(Duration::from_secs(4)));
    assert_eq!(options.idle_timeout, Some(Duration::from_secs(5)));
}

#[test]
fn an_attempt_brings_its_own_read_timeout() {
    let picked = Bench::new(spec(&["10.0.0.1:80"])).pick();
    assert_eq!(picked.peer(None).options.read_timeout, None);
    assert_eq!(picked.peer(Some(Duration::from_millis(8))).options.read_timeout, Some(Duration::from_millis(8)));
}

#[test]
fn a_read_timeout_of_its_own_does_not_split_the_pool() {
    let picked = Bench::new(spec(&["10.0.0.1:80"])).pick();
    assert_eq!(picked.peer(None).reuse_hash(), picked.prebuilt().reuse_hash());
}

#[test]
fn a_reload_without_change_does_not_split_the_pool() {
    let first = Bench::new(secure("10.0.0.1:443", sni("shop.test")));
    let second = Upstream::new(first.upstream.spec().clone(), Some(&first.upstream), 5).unwrap();
    let ask = Ask { hash: None, tried: &[], now: Millis(0), random: 0, ..Ask::default() };
    let hash = |upstream: &Upstream| upstream.pick(&ask).unwrap().prebuilt().reuse_hash();
    assert_eq!(hash(&first.upstream), hash(&second));
}

#[test]
fn http2_in_plain_text_is_by_prior_knowledge() {
    let mut spec = spec(&["10.0.0.1:80"]);
    spec.endpoints[0].protocol = Protocol::Http2;
    let peer = peer(spec);
    assert_eq!((peer.options.alpn.clone(), peer.is_tls(), peer.options.max_h2_streams), (ALPN::H2, false, 100));
}

#[test]
fn protocols_do_not_share_connections() {
    let mut h2c = spec(&["10.0.0.1:80"]);
    h2c.endpoints[0].protocol = Protocol::Http2;
    assert_ne!(peer(h2c).reuse_hash(), peer(spec(&["10.0.0.1:80"])).reuse_hash());
}

#[test]
fn another_authority_does_not_share_connections() {
    let with = |ca: &[u8]| named_peer(TlsSpec { ca: Some(ca.to_vec()), ..TlsSpec::default() }).reuse_hash();
    assert_ne!(with(AUTHORITY), with(OTHER));
    assert_eq!(with(AUTHORITY), with(AUTHORITY));
}

#[test]
fn no_streams_at_all_means_one() {
    let spec = UpstreamSpec { h2_streams: 0, ..spec(&["10.0.0.1:80"]) };
    assert_eq!(peer(spec).options.max_h2_streams, 1);
}

#[test]
fn the_server_name_is_the_endpoints_own() {
    let peer = named_peer(TlsSpec::default());
    assert_eq!(peer.sni, "shop.test");
    assert!(peer.options.verify_cert && peer.options.verify_hostname);
}

#[test]
fn a_server_name_can_be_given() {
    assert_eq!(named_peer(sni("inner.test")).sni, "inner.test");
}

#[test]
fn verification_can_stop_at_the_chain_or_be_off() {
    let verify = |verify| named_peer(TlsSpec { verify, ..TlsSpec::default() }).options;
    let chain = verify(Verify::Chain);
    assert!(chain.verify_cert && !chain.verify_hostname);
    assert!(!verify(Verify::Off).verify_cert);
}

#[test]
fn a_client_certificate_and_authority_go_along() {
    let client = Some(ClientIdentity { chain: CHAIN.to_vec(), key: KEY.to_vec() });
    let peer = named_peer(TlsSpec { ca: Some(AUTHORITY.to_vec()), client, ..TlsSpec::default() });
    assert!(peer.client_cert_key.is_some());
    assert_eq!(peer.options.ca.map(|ca| ca.len()), Some(1));
}

#[test]
fn a_plain_endpoint_has_no_tls_settings() {
    let spec =
        UpstreamSpec { tls: TlsSpec { ca: Some(AUTHORITY.to_vec()), ..sni("x.test") }, ..spec(&["10.0.0.1:80"]) };
    let peer = peer(spec);
    assert!(peer.sni.is_empty() && peer.options.ca.is_none());
}

#[test]
fn an_address_with_tls_needs_a_name_to_verify() {
    assert!(matches!(refusal(secure("10.0.0.1:443", TlsSpec::default())), UpstreamError::NameNeeded { .. }));
    assert_eq!(peer(secure("10.0.0.1:443", sni("shop.test"))).sni, "shop.test");
}

#[test]
fn an_address_whose_name_is_not_verified_still_has_a_server_name() {
    for verify in [Verify::Chain, Verify::Off] {
        let spec = secure("10.0.0.1:443", TlsSpec { verify, ..TlsSpec::default() });
        assert_eq!(peer(spec).sni, "10.0.0.1", "an empty one would switch verification off");
    }
}

#[test]
fn refuses_names_that_cannot_be_sent() {
    for name in ["", "10.0.0.1", "::1", "a..b", "shop.test.", "white space", "new\nline", &"x".repeat(64)] {
        assert!(matches!(refusal(secure("10.0.0.1:443", sni(name))), UpstreamError::BadServerName(_)), "{name}");
    }
}

#[test]
fn refuses_hosts_that_cannot_be_a_host_header() {
    for name in ["", "a b", "a/b", "user@host", "a\r\nX: y", "a?b", "10.0.0.1", "a..", "ü.test"] {
        for transport in [Transport::Plain, Transport::Tls] {
            let spec = UpstreamSpec { endpoints: vec![with_name(transport, name)], ..spec(&[]) };
            assert!(matches!(refusal(spec), UpstreamError::BadHost { .. }), "{name}");
        }
    }
}

#[test]
fn the_host_header_leaves_out_the_schemes_own_port() {
    let header = |text: &str, transport| {
        let mut spec = spec(&[text]);
        spec.endpoints[0].transport = transport;
        spec.tls = sni("x.test");
        Bench::new(spec).pick().host_header().clone()
    };
    assert_eq!(header("10.0.0.1:80", Transport::Plain), "10.0.0.1");
    assert_eq!(header("10.0.0.1:443", Transport::Plain), "10.0.0.1:443");
    assert_eq!(header("10.0.0.1:443", Transport::Tls), "10.0.0.1");
    assert_eq!(header("::1:8080", Transport::Plain), "[::1]:8080");
}

#[test]
fn refuses_an_upstream_without_endpoints() {
    assert_eq!(refusal(spec(&[])), UpstreamError::NoEndpoints);
}

#[test]
fn refuses_more_endpoints_than_can_be_numbered() {
    let many = vec![endpoint("10.0.0.1:80"); 10_001];
    let spec = UpstreamSpec { endpoints: many, ..spec(&[]) };
    assert_eq!(refusal(spec), UpstreamError::TooManyEndpoints { limit: 10_000 });
}

#[test]
fn refuses_authorities_that_are_none() {
    for ca in [&b""[..], b"hello", KEY] {
        let spec = secure("shop.test:443", TlsSpec { ca: Some(ca.to_vec()), ..TlsSpec::default() });
        assert!(matches!(refusal(spec), UpstreamError::BadCa(_)));
    }
}

#[test]
fn refuses_client_identities_that_do_not_hold_together() {
    let with = |chain: &[u8], key: &[u8]| {
        let client = Some(ClientIdentity { chain: chain.to_vec(), key: key.to_vec() });
        refusal(secure("shop.test:443", TlsSpec { client, ..TlsSpec::default() }))
    };
    assert_eq!(with(CHAIN, OTHER_KEY), UpstreamError::KeyMismatch);
    assert!(matches!(with(b"", KEY), UpstreamError::BadClientCertificate(_)));
    assert!(matches!(with(CHAIN, b"junk"), UpstreamError::BadClientKey(_)));
}

#[test]
fn a_key_is_not_shown_when_debugged() {
    let identity = ClientIdentity { chain: CHAIN.to_vec(), key: b"hush".to_vec() };
    assert_eq!(format!("{identity:?}"), "ClientIdentity(..)");
}

#[test]
fn refuses_health_checks_that_are_no_request() {
    let with = |path: &str, host: Option<&str>| {
        let kind = CheckKind::Http { path: path.into(), host: host.map(Into::into), statuses: vec![200..=299] };
        let second = Duration::from_secs(1);
        let health =
            HealthSpec { kind, port: None, interval: second, timeout: second, healthy_after: 1, unhealthy_after: 1 };
        Upstream::new(UpstreamSpec { health: Some(health), ..spec(&["10.0.0.1:80"]) }, None, 0).err()
    };
    for (path, host) in [("healthz", None), ("/a b", None), ("/", Some("a b")), ("/", Some("a\r\nb"))] {
        assert!(matches!(with(path, host), Some(UpstreamError::BadHealthRequest(_))), "{path} {host:?}");
    }
    assert_eq!(with("/healthz?deep=1", Some("shop.test:8080")), None);
}
