//! Overload of the gateway itself, over real sockets: one worker that is asked for three times what it can do. What a
//! request takes is the worker's own time: the thread is kept busy, as by work of the processor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tollgate::exchange::{Answer, Answering, Exchange, Incoming};
use tollgate::reply::Fixed;

use super::flood::{flood, routes};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::service::Service;
use crate::support::wait;

/// Keeps the worker busy: waits for its turn as a request that is under way does, then holds the thread.
struct Work(Service);

impl Exchange for Work {
    fn answer(self: Arc<Self>, _: Incoming) -> Answering {
        Box::pin(async move {
            // Behind all that is ready now; a mere yield would be asked again at once.
            let _ = tokio::spawn(async {}).await;
            self.0.serve();
            Ok(Answer::Whole(Fixed { status: StatusCode::OK, fields: Vec::new(), body: Bytes::from_static(b"done") }))
        })
    }

    fn describe(&self) -> Vec<String> {
        vec!["works".into()]
    }
}

#[test]
fn a_gateway_asked_for_three_times_what_it_can_do_does_it_and_turns_the_least_important_away() {
    let origin = Origin::echo();
    let work = Arc::new(Work(Service::new(1, Duration::from_millis(20))));
    let yaml = format!("server: {{ threads: 1 }}\n{}", routes(&origin.url()));
    let gateway = Gateway::exchanging(&yaml, move |_| Arc::clone(&work) as _);
    flood(&gateway, (60, 100)).assert_good();
    let shed = |priority: &str| gateway.metric("tollgate_gateway_shed_total", &[&format!("priority=\"{priority}\"")]);
    assert!(shed("background") > 0.0 && shed("normal") > 0.0);
    wait::until("everything passes again", || gateway.get("/crawl").status == 200);
}
