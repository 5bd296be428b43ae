//! Who the caller is, as upstreams hear it: from the gateway and from nobody else.

use crate::support::client::{Client, Request, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::{Origin, Request as Received};
use crate::support::tls::{Authority, H1, H2};
use crate::support::wait;

const NAME: &str = "gw.example";

/// Spellings by which a client may try to be taken for somebody, or which a service may take for the real ones.
const FORGED: &[&str] = &[
    "X-Consumer-Id",
    "x-consumer-id",
    "X-CONSUMER-ID",
    "X_Consumer_Id",
    "x_consumer_id",
    "X-Consumer_Id",
    "X_Consumer-Id",
    "X.Consumer.Id",
    "X-Consumer-Groups",
    "x-cOnSuMeR-gRoUpS",
    "X_Consumer_Groups",
    "X-Credential-Id",
    "X_CREDENTIAL_ID",
    "X-Credential.Id",
    "X-Anonymous-Consumer",
    "X_Anonymous_Consumer",
    "x-anonymous-CONSUMER",
];

fn is_identity(name: &str) -> bool {
    let folded: String =
        name.chars().map(|c| if matches!(c, '_' | '.') { '-' } else { c.to_ascii_lowercase() }).collect();
    ["x-consumer-id", "x-consumer-groups", "x-credential-id", "x-anonymous-consumer"].contains(&folded.as_str())
}

fn told(request: &Received) -> Vec<(String, String)> {
    let fields = request.fields.iter().filter(|(name, _)| is_identity(name));
    fields.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect()
}

fn forged(target: &str, lower: bool) -> Request {
    FORGED.iter().fold(Request::get(target), |request, name| {
        let name = if lower { name.to_ascii_lowercase() } else { (*name).to_owned() };
        request.header(&name, "admin").header(&name, "root")
    })
}

#[test]
fn no_field_of_a_client_is_taken_for_the_callers_identity() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let server = authority.server("server", &[NAME]);
    let (cert, key, ca) = (server.certificate.display(), server.key.display(), authority.certificate().display());
    for trusted in ["[]", "[127.0.0.1/32]"] {
        let before = origin.requests().len();
        let gateway = Gateway::start(&format!(
            "trusted_proxies: {trusted}\nlisteners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      \
             certificates: [{{ cert: {cert}, key: {key} }}]\n      client_ca: {ca}\n      client_auth: request\n  \
             clear: {{ address: \"127.0.0.1:0\", protocols: [h2c] }}\n\
             auth: {{ partners: {{ mtls: {{}} }} }}\nconsumers: {{ acme: {{ groups: [partners] }} }}\n\
             routes:\n  /open: {{ to: {url} }}\n  /known: {{ auth: partners, to: {url} }}\n  \
             /either: {{ auth: {{ any: partners, anonymous: true }}, to: {url} }}\n",
            url = origin.url()
        ));
        let (acme, secure) = (authority.client("acme"), gateway.listener("secure"));
        let h1 = |client| Client::connect_tls(secure, &authority.connector_as(H1, client), NAME).expect("a handshake");
        let over_h2 = |client| h2::Client::connect_tls(secure, &authority.connector_as(H2, client), NAME).expect("h2");
        assert_eq!(h1(None).send(&forged("/open", false)).status, 200);
        assert_eq!(h1(Some(&acme)).send(&forged("/known", false)).status, 200);
        assert_eq!(h1(None).send(&forged("/either", false)).status, 200);
        assert_eq!(h1(None).send(&forged("/known", false)).status, 401);
        assert_eq!(over_h2(None).send(&forged("/open", true)).status, 200);
        assert_eq!(over_h2(Some(&acme)).send(&forged("/known", true)).status, 200);
        assert_eq!(over_h2(None).send(&forged("/either", true)).status, 200);
        assert_eq!(h2::Client::connect(gateway.listener("clear")).send(&forged("/open", true)).status, 200);
        let requests = origin.requests().split_off(before);
        assert_eq!(requests.len(), 7);
        for request in requests {
            let told = told(&request);
            match request.target.as_str() {
                "/open" => assert_eq!(told, []),
                "/either" => assert_eq!(told, [("x-anonymous-consumer".to_owned(), "true".to_owned())]),
                _ => {
                    assert_eq!(told.len(), 3, "{told:?}");
                    assert!(told.contains(&("x-consumer-id".to_owned(), "acme".to_owned())), "{told:?}");
                    assert!(told.contains(&("x-consumer-groups".to_owned(), "partners".to_owned())), "{told:?}");
                }
            }
        }
    }
}

/// What `Connection` nominates is removed before a request leaves: not what the gateway says of the caller.
#[test]
fn no_client_has_the_callers_identity_removed() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let server = authority.server("server", &[NAME]);
    let (cert, key, ca) = (server.certificate.display(), server.key.display(), authority.certificate().display());
    let gateway = Gateway::start(&format!(
        "listeners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      certificates: [{{ cert: {cert}, key: {key} }}]\n      \
         client_ca: {ca}\n      client_auth: request\n\
         auth: {{ partners: {{ mtls: {{}} }} }}\nconsumers: {{ acme: {{ groups: [partners] }} }}\n\
         routes: {{ /**: {{ auth: {{ any: partners, anonymous: true }}, to: {url} }} }}\n",
        url = origin.url()
    ));
    let acme = authority.client("acme");
    for (client, count) in [(Some(&acme), 3), (None, 1)] {
        let connector = authority.connector_as(H1, client);
        let mut client = Client::connect_tls(gateway.listener("secure"), &connector, NAME).expect("a handshake");
        for nominated in [
            "X-Consumer-Id, X-Consumer-Groups, X-Credential-Id, X-Anonymous-Consumer",
            "keep-alive, x-consumer-id,x-consumer-groups , x-credential-id, x-anonymous-consumer, x-private",
        ] {
            let request = Request::get("/").header("Connection", nominated).header("X-Private", "a");
            assert_eq!(client.send(&request).status, 200);
            let request = origin.requests().pop().expect("a request");
            assert_eq!(told(&request).len(), count, "{nominated}: {request:?}");
            assert_eq!(request.header("x-private").is_none(), nominated.contains("x-private"));
        }
    }
}

#[test]
fn the_access_log_names_the_caller() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let server = authority.server("server", &[NAME]);
    let (cert, key, ca) = (server.certificate.display(), server.key.display(), authority.certificate().display());
    let log = authority.folder().join("access.log");
    let gateway = Gateway::start(&format!(
        "access_log: {{ to: {}, format: json }}\nlisteners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      \
         certificates: [{{ cert: {cert}, key: {key} }}]\n      client_ca: {ca}\n      client_auth: request\n\
         auth: {{ partners: {{ mtls: {{}} }} }}\nconsumers: {{ acme: {{}} }}\n\
         routes: {{ /known: {{ auth: partners, to: {url} }}, /closed: {{ auth: partners, allow: {{ group: a }}, to: {url} }} }}\n",
        log.display(),
        url = origin.url()
    ));
    let acme = authority.client("acme");
    let connector = authority.connector_as(H1, Some(&acme));
    let mut known = Client::connect_tls(gateway.listener("secure"), &connector, NAME).expect("a handshake");
    assert_eq!(known.send(&Request::get("/known")).status, 200);
    assert_eq!(known.send(&Request::get("/closed")).status, 403);
    let mut nobody =
        Client::connect_tls(gateway.listener("secure"), &authority.connector(H1), NAME).expect("a handshake");
    assert_eq!(nobody.send(&forged("/known", false)).status, 401);
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    };
    wait::until("three lines", || lines().len() == 3);
    let mut said: Vec<(String, String)> =
        lines().iter().map(|line| (line["status"].to_string(), line["consumer"].to_string())).collect();
    said.sort_unstable();
    let expected = [("200", "\"acme\""), ("401", "null"), ("403", "\"acme\"")];
    assert_eq!(said, expected.map(|(status, consumer)| (status.to_owned(), consumer.to_owned())));
}
