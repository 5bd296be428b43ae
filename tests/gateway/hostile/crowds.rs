//! Many clients at once, clients that do not read, rules that take long, and the admin API under pressure.

use std::time::Instant;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::{self, DEADLINE};

#[test]
fn two_thousand_clients_at_once_are_all_answered() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "limits: {{ connections_per_client: 3000 }}\nroutes: {{ /**: {{ to: {} }} }}",
        origin.url()
    ));
    let mut clients: Vec<Client> = (0..2_000).map(|_| gateway.connect()).collect();
    for round in 0..2 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.send_raw(format!("GET /{round}/{number} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.read().json()["target"], format!("/{round}/{number}"));
        }
    }
    drop(clients);
    gateway.await_metric("tollgate_requests_total", &[], 4_000.0);
}

#[test]
fn a_client_that_does_not_read_is_left_after_the_write_timeout() {
    let origin = Origin::start(|_| Answer::ok(vec![b'x'; 32 << 20]));
    let gateway =
        Gateway::start(&format!("limits: {{ write_timeout: 200ms }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    // It ends though nothing was read.
    gateway.await_metric("tollgate_requests_total", &[], 1.0);
    let got = client.read_to_close().len();
    assert!(got < 32 << 20, "{got} bytes");
}

#[test]
fn the_admin_api_answers_whatever_others_do_to_it() {
    let gateway = Gateway::start("routes: { /**: { respond: { body: a } } }");
    let address = gateway.admin_address();
    let mut slow: Vec<Client> = (0..100).map(|_| Client::connect(address)).collect();
    slow.iter_mut().for_each(|client| client.send_raw(b"GET /health HTTP/1.1\r\nHost: a\r\n"));
    let mut giant = Client::connect(address);
    giant.send_raw(b"GET /health HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..400 {
        giant.send_raw(format!("X-Long: {}\r\n", "x".repeat(4_000)).as_bytes());
    }
    drop(giant);
    assert_eq!(gateway.page("/health").status, 200);
    // More than are let in at once: those beyond are closed, and requests are served all the same.
    let crowd: Vec<Client> = (0..400).map(|_| Client::connect(address)).collect();
    assert_eq!(gateway.get("/").text(), "a");
    drop((slow, crowd));
    wait::until("the admin API answers again", || {
        let mut client = Client::connect(address);
        client.send_raw(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        client.try_read("GET").is_ok_and(|reply| reply.status == 200)
    });
}

/// A rule that goes over what a request brings is an end in itself only for so long.
#[test]
fn a_query_of_thousands_of_names_holds_no_worker_up() {
    let gateway = Gateway::start(
        "server: { threads: 1 }\nroutes:\n  /slow: { allow: { when: \"request.query.all(a, request.query.all(b, a != b || a == b))\" }, respond: { body: a } }\n  \
         /quick: { respond: { body: a } }\n",
    );
    let query: String = (0..1_200).map(|number| format!("{number}&")).collect();
    let began = Instant::now();
    for _ in 0..3 {
        let answer = gateway.get(&format!("/slow?{query}"));
        assert_eq!((answer.status, answer.json()["type"].as_str()), (403, Some("urn:tollgate:problem:forbidden")));
    }
    assert_eq!([gateway.get("/slow?a&b").status, gateway.get("/quick").status], [200, 200]);
    assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
}
