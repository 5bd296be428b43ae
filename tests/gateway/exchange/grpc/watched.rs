//! What operators see of calls, what is tried again, and what checks find out.

use super::service::{Item, Messages, Shop, one};
use super::{before, folder, ruled};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::h2::{Answer, Origin};
use crate::support::wait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tonic::{Response, Status};

#[test]
fn calls_are_counted_by_method_and_status() {
    let shop = Shop::start(|mut call| async move {
        let asked: super::service::Get = call.message().await;
        match asked.revision {
            0 => one(Item::new("x", 1).bytes()),
            code => Err(Status::new(i32::try_from(code).expect("a code").into(), "no")),
        }
    });
    let gateway = ruled(&shop);
    for revision in [0, 0, 5, 14] {
        gateway.get(&format!("/v1/shelves/1/items/2?revision={revision}"));
    }
    gateway.get("/v1/shelves/1/items/2?revision=x");
    let count = |status: &str| {
        let labels = ["grpc_service=\"shop.Catalog\"", "grpc_method=\"Get\"", status];
        gateway.metric("tollgate_grpc_calls_total", &labels)
    };
    let counts = ["OK", "NOT_FOUND", "UNAVAILABLE"].map(|name| count(&format!("grpc_status=\"{name}\"")));
    assert_eq!(counts, [2.0, 1.0, 1.0]);
    let all = gateway.page("/metrics").text().lines().filter(|line| line.starts_with("tollgate_grpc_calls")).count();
    assert_eq!(all, 3, "what makes no message is no call");
}

#[test]
fn streams_are_counted_by_how_they_end() {
    let shop = Shop::start(|mut call| async move {
        let asked: super::service::Get = call.message().await;
        let mut all = vec![Ok(Item::new("x", 1).bytes())];
        if asked.name == "shelves/broken" {
            all.push(Err(Status::data_loss("broken")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(all)) as Messages))
    });
    let gateway = ruled(&shop);
    gateway.get("/v1/shelves/whole:watch");
    gateway.get("/v1/shelves/broken:watch");
    for status in ["OK", "DATA_LOSS"] {
        let label = format!("grpc_status=\"{status}\"");
        gateway.await_metric("tollgate_grpc_calls_total", &["grpc_method=\"Watch\"", &label], 1.0);
    }
}

/// A service that is unavailable the first time.
fn flaky(code: &'static str) -> (Origin, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let service = Origin::start(move |_| {
        let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let kind = field("content-type", "application/grpc");
        match first {
            true => Answer { fields: vec![kind, field("grpc-status", code)], ..Answer::default() },
            false => Answer {
                fields: vec![kind],
                body: vec![0, 0, 0, 0, 0],
                trailers: vec![field("grpc-status", "0")],
                ..Answer::default()
            },
        }
    });
    (service, calls)
}

#[test]
fn a_status_that_is_listed_is_tried_again_and_another_is_not() {
    for (code, status, calls) in [("14", 200, 2), ("13", 500, 1)] {
        let (service, counted) = flaky(code);
        let gateway = before(
            &service.url(),
            "  /x: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: UPSTREAM,
        retries: { on: [unavailable], budget: 100% } }",
        );
        assert_eq!((gateway.get("/x").status, counted.load(Ordering::SeqCst)), (status, calls), "{code}");
    }
}

#[test]
fn a_call_that_is_passed_on_is_tried_again_by_its_status_too() {
    let (service, counted) = flaky("14");
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c] }} }}\nroutes: {{ POST /a.B/*: {{ to: {}, retries: {{ on: [unavailable], budget: 100% }} }} }}",
        service.url()
    ));
    let mut client = crate::support::client::h2::Client::connect(gateway.listener("clear"));
    let call = Request::post("/a.B/C", vec![0, 0, 0, 0, 0]).header("content-type", "application/grpc");
    let answer = client.send(&call.header("te", "trailers"));
    assert_eq!((answer.status, counted.load(Ordering::SeqCst)), (200, 2));
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

#[test]
fn the_health_service_of_grpc_takes_an_endpoint_out_and_brings_it_back() {
    let serving = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&serving);
    let shop = Shop::start(move |mut call| {
        let serving = asked.load(Ordering::SeqCst);
        async move {
            match call.path.as_str() {
                "/grpc.health.v1.Health/Check" => {
                    let question: super::service::Get = call.message().await;
                    assert_eq!(question.name, "shop.Catalog");
                    one(vec![8, if serving { 1 } else { 2 }].into())
                }
                _ => one(Item::new("x", 1).bytes()),
            }
        }
    });
    let yaml = "upstreams:
  shop: { endpoints: [UPSTREAM], health: { grpc: shop.Catalog, interval: 20ms, healthy_after: 1, unhealthy_after: 1 }, panic: 0% }
routes:
  /x: { grpc: { proto: shop.proto, method: shop.Catalog/Get }, to: shop }";
    let gateway = Gateway::start_in(folder(), &yaml.replace("UPSTREAM", &shop.url()));
    let healthy = |value| gateway.await_metric("tollgate_endpoint_healthy", &["upstream=\"shop\""], value);
    healthy(1.0);
    assert_eq!(gateway.get("/x").status, 200);
    serving.store(false, Ordering::SeqCst);
    wait::until("the endpoint is taken out", || gateway.get("/x").status == 503);
    serving.store(true, Ordering::SeqCst);
    wait::until("the endpoint is back", || gateway.get("/x").status == 200);
}
