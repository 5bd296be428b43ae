//! Versions side by side: who is sent where.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

#[test]
fn a_request_that_asks_for_the_new_version_gets_it_and_no_other_does() {
    let (old, new) = (Origin::start(|_| Answer::ok("old")), Origin::start(|_| Answer::ok("new")));
    let gateway = Gateway::start(&format!(
        "upstreams: {{ v1: {{ endpoints: [\"{}\"] }}, v2: {{ endpoints: [\"{}\"] }} }}\n\
         routes:\n  /**:\n    to:\n      - {{ upstream: v1 }}\n      \
         - {{ upstream: v2, weight: 0, when: {{ header: {{ X-Canary: \"on\" }}, cookie: {{ beta: {{ present: true }} }} }} }}\n",
        old.url(),
        new.url()
    ));
    let answer = |canary: &[&str], cookie: &str| {
        let asked = canary.iter().fold(Request::get("/"), |asked, value| asked.header("X-Canary", value));
        gateway.send(&asked.header("Cookie", cookie)).text().to_owned()
    };
    assert_eq!(answer(&["on"], "beta=1"), "new");
    assert_eq!(answer(&["off", "on"], "a=1; beta=2"), "new");
    for (canary, cookie) in [(&["on"][..], "a=1"), (&[], "beta=1"), (&["off"], "beta=1"), (&["on "], "xbeta=1")] {
        assert_eq!(answer(canary, cookie), "old", "{canary:?} {cookie}");
    }
}
