//! How requests are shared out.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

fn counts(origins: &[Origin]) -> Vec<usize> {
    origins.iter().map(|origin| origin.requests().len()).collect()
}

fn origins(count: usize) -> Vec<Origin> {
    (0..count).map(|_| Origin::echo()).collect()
}

#[test]
fn round_robin_shares_evenly() {
    let origins = origins(2);
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: [{}, {}] }} }}",
        origins[0].url(),
        origins[1].url()
    ));
    let mut client = gateway.connect();
    for _ in 0..20 {
        assert_eq!(client.send(&Request::get("/")).status, 200);
    }
    assert_eq!(counts(&origins), [10, 10]);
}

#[test]
fn weights_of_endpoints_are_kept() {
    let origins = origins(2);
    let gateway = Gateway::start(&format!(
        "server: {{ threads: 1 }}\nupstreams: {{ two: {{ endpoints: [{}, {{ url: {}, weight: 3 }}] }} }}\nroutes: {{ /**: {{ to: two }} }}",
        origins[0].url(),
        origins[1].url()
    ));
    let mut client = gateway.connect();
    (0..40).for_each(|_| drop(client.send(&Request::get("/"))));
    assert_eq!(counts(&origins), [10, 30]);
}

#[test]
fn shares_of_upstreams_are_kept_and_zero_takes_one_out() {
    let origins = origins(3);
    let gateway = Gateway::start(&format!(
        "upstreams:\n  a: {{ endpoints: [{}] }}\n  b: {{ endpoints: [{}] }}\n  c: {{ endpoints: [{}] }}\n\
         routes: {{ /**: {{ to: [{{ upstream: a, weight: 90 }}, {{ upstream: b, weight: 10 }}, {{ upstream: c, weight: 0 }}] }} }}",
        origins[0].url(),
        origins[1].url(),
        origins[2].url()
    ));
    let mut client = gateway.connect();
    (0..1000).for_each(|_| drop(client.send(&Request::get("/"))));
    let counts = counts(&origins);
    // Drawn at random: 100 of 1000 with a standard deviation of 9.5, so these bounds are missed once in 10^6 runs.
    assert!((50..=150).contains(&counts[1]) && counts[2] == 0, "{counts:?}");
}

#[test]
fn a_hash_sends_the_same_key_to_the_same_endpoint() {
    let origins = origins(3);
    let gateway = Gateway::start(&format!(
        "upstreams: {{ three: {{ endpoints: [{}, {}, {}], balance: {{ hash: header X-User }} }} }}\nroutes: {{ /**: {{ to: three }} }}",
        origins[0].url(),
        origins[1].url(),
        origins[2].url()
    ));
    let mut client = gateway.connect();
    for user in 0..30 {
        (0..3).for_each(|_| drop(client.send(&Request::get("/").header("X-User", &format!("user-{user}")))));
    }
    let mut used = 0;
    for origin in &origins {
        let requests = origin.requests();
        used += usize::from(!requests.is_empty());
        for request in &requests {
            let same = |other: &&crate::support::origin::Request| other.header("x-user") == request.header("x-user");
            assert_eq!(requests.iter().filter(same).count(), 3, "{:?} is spread", request.header("x-user"));
        }
    }
    assert!(used > 1, "30 keys share one endpoint");
}
