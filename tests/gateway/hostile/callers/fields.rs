//! Fields, trailers and nominations by which a client says what only the gateway may say.

use serde_json::json;

use super::{keys, named, raw};
use crate::support::client::{Client, Request, h2};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::tokens::{Signer, jwks, now};

#[test]
fn no_field_names_another_method_than_the_one_that_was_judged() {
    let origin = Origin::echo();
    let fields = [
        "X-HTTP-Method-Override",
        "X-HTTP-Method",
        "X-Method-Override",
        "x-http-method-override",
        "X_HTTP_Method_Override",
        "X-HTTP_Method.Override",
        "X_Method_Override",
        "X.Http.Method",
    ];
    for trusted in ["[]", "[127.0.0.1]"] {
        let gateway = Gateway::start(&format!(
            "trusted_proxies: {trusted}\n{}routes:\n  GET /orders: {{ to: {url} }}\n  POST /orders: {{ to: {url} }}\n  \
             DELETE /orders: {{ auth: keys, to: {url} }}\n",
            keys("{}"),
            url = origin.url()
        ));
        let address = gateway.listener("clear");
        assert_eq!(gateway.send(&Request::new("DELETE", "/orders")).status, 401);
        for field in fields {
            for method in ["GET", "POST"] {
                let request =
                    |name: &str| Request::new(method, "/orders").header(name, "DELETE").header(name, "delete");
                assert_eq!(Client::connect(address).send(&request(field)).status, 200);
                assert_eq!(h2::Client::connect(address).send(&request(&field.to_lowercase())).status, 200);
            }
        }
        for request in origin.requests() {
            for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
                assert_eq!(named(&request, name), [] as [&str; 0], "{request:?}");
            }
        }
        assert_eq!(origin.requests().len(), 4 * fields.len());
        origin.forget();
    }
}

/// What a claim or a service tells of the caller in a field of the operator's choosing comes from nobody else either.
#[test]
fn fields_of_the_operators_choosing_come_from_no_client() {
    let (origin, signer) = (Origin::echo(), Signer::new("ES256").named("one"));
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h1, h2c] }} }}\n\
         auth: {{ idp: {{ jwt: {{ jwks: {}, headers: {{ X-Tenant: tenant, Billing-Account: account }} }} }} }}\n\
         routes:\n  /open: {{ to: {url} }}\n  /known: {{ auth: idp, to: {url} }}\n",
        jwks(&[&signer]),
        url = origin.url()
    ));
    let token = signer.token(&json!({ "sub": "alice", "exp": now() + 600, "tenant": "t1" }));
    let forged = |target: &str| {
        let names = ["x-tenant", "x_tenant", "x.tenant", "billing-account", "billing_account", "billing.account"];
        let request = Request::get(target).header("authorization", &format!("Bearer {token}"));
        names.iter().fold(request, |request, name| request.header(name, "evil").header(name, "t2"))
    };
    let nominating = |request: Request| request.header("Connection", "close, X-Tenant, Billing-Account, X-Consumer-Id");
    let address = gateway.listener("clear");
    for target in ["/open", "/known"] {
        assert_eq!(Client::connect(address).send(&nominating(forged(target))).status, 200);
        assert_eq!(h2::Client::connect(address).send(&forged(target)).status, 200);
    }
    for request in origin.requests() {
        let expected: &[&str] = if request.target == "/known" { &["t1"] } else { &[] };
        assert_eq!(named(&request, "x-tenant"), expected, "{request:?}");
        assert_eq!(named(&request, "billing-account"), [] as [&str; 0], "{request:?}");
    }
}

/// A service that merges trailers into fields (RFC 9110 §6.5.1) must not learn of a caller by one.
#[test]
fn no_trailer_names_a_caller() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{}routes: {{ /**: {{ to: {} }} }}\n", keys("{}"), origin.url()));
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Consumer-Id\r\n\r\n";
    let body = "1\r\na\r\n0\r\nX-Consumer-Id: admin\r\nX_Consumer_Groups: staff\r\nAuthorization: Bearer x\r\n\r\n";
    let status = raw(&gateway, &format!("{head}{body}"));
    assert!(matches!(status, Some(200 | 400)), "{status:?}");
    for request in origin.requests() {
        assert!(!format!("{request:?}").contains("admin"), "{request:?}");
    }
}

#[test]
fn what_connection_nominates_takes_nothing_from_what_the_gateway_says() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {} }} }}\n", origin.url()));
    let nominating = |name: &str| gateway.send(&Request::get("/a").header("Connection", &format!("close, {name}")));
    for name in ["X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "Host"] {
        assert_eq!(nominating(name).status, 400, "{name}");
    }
    assert!(origin.requests().is_empty());
    for name in ["X-Forwarded-Port", "X-Request-Id", "Via", "traceparent"] {
        assert_eq!(nominating(name).status, 200, "{name}");
        let seen = origin.requests().pop().expect("a request");
        assert_eq!(named(&seen, &name.to_lowercase()).len(), 1, "{name}: {seen:?}");
    }
}
