//! What callers may do, over real connections.

use crate::support::client::{Client, Request, Response, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::tls::{Authority, H1, H2, Identity};

const NAME: &str = "gw.example";

/// A gateway that knows its callers by certificate, with these routes and whatever else is written.
fn gateway(authority: &Authority, more: &str) -> Gateway {
    let server = authority.server("server", &[NAME]);
    let (cert, key, ca) = (server.certificate.display(), server.key.display(), authority.certificate().display());
    Gateway::start(&format!(
        "listeners:\n  secure:\n    address: 127.0.0.1:0\n    tls:\n      certificates: [{{ cert: {cert}, key: {key} }}]\n      \
         client_ca: {ca}\n      client_auth: request\n\
         auth: {{ partners: {{ mtls: {{}} }} }}\n\
         consumers: {{ acme: {{ groups: [partners] }}, beta: {{ groups: [staff] }} }}\n{more}"
    ))
}

fn ask(gateway: &Gateway, authority: &Authority, client: Option<&Identity>, request: &Request) -> Response {
    let connector = authority.connector_as(H1, client);
    Client::connect_tls(gateway.listener("secure"), &connector, NAME).expect("a handshake").send(request)
}

#[test]
fn a_caller_may_do_what_is_allowed_and_nothing_else() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let (acme, beta) = (authority.client("acme"), authority.client("beta"));
    let gateway = gateway(
        &authority,
        &format!(
            "defaults: {{ auth: partners }}\nroutes:\n  \
             /group: {{ allow: {{ group: partners }}, to: {url} }}\n  \
             /consumer: {{ allow: {{ consumer: [beta] }}, to: {url} }}\n  \
             /scope: {{ allow: {{ scope: orders:read }}, to: {url} }}\n  \
             /when: {{ allow: {{ when: \"caller.id == 'acme' && request.query.ok == 'yes'\" }}, to: {url} }}\n  \
             /either: {{ allow: {{ any: [{{ group: staff }}, {{ all: [{{ group: partners }}, {{ when: \"request.method == 'POST'\" }}] }}] }}, to: {url} }}\n",
            url = origin.url()
        ),
    );
    let cases: [(&str, &str, u16, u16, u16); 7] = [
        ("GET", "/group", 200, 403, 401),
        ("GET", "/consumer", 403, 200, 401),
        ("GET", "/scope", 403, 403, 401),
        ("GET", "/when?ok=yes", 200, 403, 401),
        ("GET", "/when?ok=yes&ok=no", 403, 403, 401),
        ("GET", "/either", 403, 200, 401),
        ("POST", "/either", 200, 200, 401),
    ];
    for (method, target, for_acme, for_beta, for_nobody) in cases {
        let request = Request::new(method, target);
        let statuses =
            [Some(&acme), Some(&beta), None].map(|client| ask(&gateway, &authority, client, &request).status);
        assert_eq!(statuses, [for_acme, for_beta, for_nobody], "{method} {target}");
    }
    let refused = ask(&gateway, &authority, Some(&acme), &Request::get("/scope"));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer error=\"insufficient_scope\", scope=\"orders:read\""));
    assert_eq!(refused.json()["type"], "urn:tollgate:problem:insufficient-scope");
    assert_eq!(refused.json()["missing"]["scope"][0], "orders:read");
    let refused = ask(&gateway, &authority, Some(&beta), &Request::get("/group"));
    assert_eq!(refused.json()["type"], "urn:tollgate:problem:forbidden");
    assert_eq!(refused.json()["missing"]["group"][0], "partners");
    assert!(!refused.text().contains("staff"), "{}", refused.text());
    // The same over HTTP/2, many at once.
    let mut client =
        h2::Client::connect_tls(gateway.listener("secure"), &authority.connector_as(H2, Some(&acme)), NAME)
            .expect("h2");
    let requests = [Request::get("/group"), Request::get("/consumer"), Request::get("/scope")];
    let statuses: Vec<u16> =
        client.send_all(&requests).into_iter().map(|reply| reply.expect("a reply").status).collect();
    assert_eq!(statuses, [200, 403, 403]);
    gateway.await_metric("tollgate_refusals_total", &["/scope", "insufficient-scope"], 4.0);
}

#[test]
fn what_is_not_allowed_is_denied_where_that_is_the_default() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let acme = authority.client("acme");
    let gateway = gateway(
        &authority,
        &format!(
            "defaults: {{ auth: partners, default: deny }}\nroutes:\n  /closed: {{ to: {url} }}\n  \
             /named: {{ allow: {{ group: partners }}, to: {url} }}\n  /any-caller: {{ allow: off, to: {url} }}\n  \
             /public: {{ auth: off, allow: off, to: {url} }}\n  /forgotten: {{ auth: off, to: {url} }}\n\
             apis:\n  open:\n    base: /open\n    default: allow\n    routes: {{ /x: {{ to: {url} }} }}\n  \
             inherits:\n    base: /inherits\n    allow: {{ group: partners }}\n    routes: {{ /x: {{ to: {url} }} }}\n",
            url = origin.url()
        ),
    );
    for (target, known, nobody) in [
        ("/closed", 403, 401),
        ("/named", 200, 401),
        ("/any-caller", 200, 401),
        ("/public", 200, 200),
        ("/forgotten", 403, 403),
        ("/open/x", 200, 401),
        ("/inherits/x", 200, 401),
    ] {
        assert_eq!(ask(&gateway, &authority, Some(&acme), &Request::get(target)).status, known, "{target}");
        assert_eq!(ask(&gateway, &authority, None, &Request::get(target)).status, nobody, "{target}");
    }
    let closed = ask(&gateway, &authority, Some(&acme), &Request::get("/closed"));
    assert_eq!(closed.json()["detail"], "Nothing is allowed here by default.");
}

#[test]
fn nobody_known_passes_only_where_nothing_is_asked_of_a_caller() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let gateway = gateway(
        &authority,
        &format!(
            "defaults: {{ auth: {{ any: partners, anonymous: true }} }}\nroutes:\n  \
             /read: {{ allow: {{ any: [{{ when: \"request.method == 'GET'\" }}, {{ group: partners }}] }}, to: {url} }}\n",
            url = origin.url()
        ),
    );
    assert_eq!(ask(&gateway, &authority, None, &Request::get("/read")).status, 200);
    assert_eq!(origin.only_request().header("x-anonymous-consumer"), Some("true"));
    let refused = ask(&gateway, &authority, None, &Request::post("/read", "x"));
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("ClientCertificate realm=\"partners\""))
    );
    let acme = authority.client("acme");
    assert_eq!(ask(&gateway, &authority, Some(&acme), &Request::post("/read", "x")).status, 200);
}

#[test]
fn a_reload_that_cannot_be_read_leaves_what_is_allowed() {
    let (authority, origin) = (Authority::new(), Origin::echo());
    let yaml = |allow: &str| format!("routes: {{ /a: {{ allow: {allow}, to: {} }} }}\n", origin.url());
    let gateway = Gateway::start(&yaml("{ when: \"request.query.a == '1'\" }"));
    assert_eq!((gateway.get("/a?a=1").status, gateway.get("/a?a=2").status), (200, 403));
    for bad in
        ["{}", "{ any: [] }", "{ when: \"request.query.a ==\" }", "{ when: \"7\" }", "{ group: a }", "{ grup: a }"]
    {
        gateway.rewrite(&yaml(bad));
        assert!(gateway.reload().refused.is_some(), "{bad}");
        assert_eq!((gateway.get("/a?a=1").status, gateway.get("/a?a=2").status), (200, 403), "{bad}");
    }
    drop(authority);
    gateway.change(&yaml("{ when: \"request.query.a == '2'\" }"));
    assert_eq!((gateway.get("/a?a=1").status, gateway.get("/a?a=2").status), (403, 200));
}
