//! Services and clients that do not keep to the rules.

use super::before;
use super::service::{Item, Shop, one};
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::h2::{Answer, Origin};
use crate::support::wire::Fields;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

const ROUTE: &str =
    "  /x: { grpc: { proto: shop.proto, method: shop.Catalog/Get, most: 64KiB }, to: UPSTREAM, timeout: 5s }
  /s: { grpc: { proto: shop.proto, method: shop.Catalog/Watch, most: 64KiB }, to: UPSTREAM, timeout: 5s }";

fn fields(all: &[(&str, &str)]) -> Fields {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &u32::try_from(message.len()).expect("short").to_be_bytes()[..], message].concat()
}

/// A gateway before a service that answers with these bytes and trailers.
fn answering(head: &[(&str, &str)], body: Vec<u8>, trailers: &[(&str, &str)]) -> (Origin, Gateway) {
    let (head, trailers) = (fields(head), fields(trailers));
    let service = Origin::start(move |_| Answer {
        fields: head.clone(),
        body: body.clone(),
        trailers: trailers.clone(),
        ..Answer::default()
    });
    let gateway = before(&service.url(), ROUTE);
    (service, gateway)
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const OK: (&str, &str) = ("grpc-status", "0");

fn packed(message: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(message).expect("bytes");
    encoder.finish().expect("packed")
}

#[test]
fn a_message_that_says_it_is_packed_is_unpacked() {
    let item = Item::new(&"x".repeat(10_000), 1).bytes();
    let (service, gateway) = answering(&[GRPC, ("grpc-encoding", "gzip")], framed(1, &packed(&item)), &[OK]);
    assert_eq!(gateway.get("/x").json()["name"].as_str().map(str::len), Some(10_000));
    let asked = service.requests().remove(0);
    assert_eq!(asked.header("grpc-accept-encoding"), Some("gzip,identity"));
    assert_eq!((asked.header("te"), asked.header("content-type")), (Some("trailers"), Some("application/grpc")));
}

/// What an answer is called here, its head and its body.
type Case = (&'static str, Vec<(&'static str, &'static str)>, Vec<u8>);

#[test]
fn what_is_no_message_is_told_as_the_services_fault() {
    let item = Item::new("x", 1).bytes();
    let gzip = ("grpc-encoding", "gzip");
    let bomb = packed(&vec![0; 20 << 20]);
    let cases: Vec<Case> = vec![
        ("nothing at all", vec![GRPC], Vec::new()),
        ("a length without a message", vec![GRPC], vec![0, 0, 0, 0, 9]),
        ("a giant length", vec![GRPC], vec![0, 0xFF, 0xFF, 0xFF, 0xFF]),
        ("a flag that means nothing", vec![GRPC], framed(9, &item)),
        ("packed, and not said so", vec![GRPC], framed(1, &item)),
        ("packed, and damaged", vec![GRPC, gzip], framed(1, &item)),
        ("a bomb", vec![GRPC, gzip], framed(1, &bomb)),
        ("two messages", vec![GRPC], [framed(0, &item), framed(0, &item)].concat()),
        ("no message of that type", vec![GRPC], framed(0, &[0x0A, 0xFF])),
        ("a message that is too deep", vec![GRPC], framed(0, &deep(2_000))),
        ("text that is not UTF-8", vec![GRPC], framed(0, &[0x0A, 1, 0xFF])),
        ("longer than the route takes", vec![GRPC], framed(0, &Item::new(&"x".repeat(70_000), 1).bytes())),
    ];
    for (what, head, body) in cases {
        let (_service, gateway) = answering(&head, body, &[OK]);
        let answer = gateway.get("/x");
        assert_eq!((answer.status, answer.problem()), (502, "upstream-body".into()), "{what}: {}", answer.text());
        let streamed = gateway.send(&Request::get("/s").header("Accept", "application/x-ndjson"));
        let fine = ["nothing at all", "two messages"].contains(&what);
        assert_eq!(
            streamed.text().contains("urn:tollgate:problem:upstream-body"),
            !fine,
            "{what}: {}",
            streamed.text()
        );
    }
}

/// Messages within one another.
fn deep(times: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..times {
        let mut outer = vec![0x22];
        prost::encoding::encode_varint(message.len() as u64, &mut outer);
        outer.extend(message);
        message = outer;
    }
    message
}

#[test]
fn an_answer_that_is_not_grpc_is_refused() {
    for head in [vec![], vec![("content-type", "text/html")], vec![("content-type", "application/grpc-web")]] {
        let (_service, gateway) = answering(&head, b"<html>secret</html>".to_vec(), &[]);
        let answer = gateway.get("/x");
        assert_eq!((answer.status, answer.problem()), (502, "upstream-invalid".into()), "{head:?}");
        assert!(!answer.text().contains("secret"));
    }
}

#[test]
fn a_call_that_does_not_say_how_it_ended_has_failed() {
    let (_service, gateway) = answering(&[GRPC], framed(0, &Item::new("x", 1).bytes()), &[]);
    let answer = gateway.get("/x");
    assert_eq!((answer.status, &answer.json()["grpc_status"]), (500, &"UNKNOWN".into()));
}

#[test]
fn a_status_in_the_head_is_the_last_word() {
    let (_service, gateway) = answering(&[GRPC, ("grpc-status", "5"), ("grpc-message", "gone%21")], Vec::new(), &[]);
    let answer = gateway.get("/x");
    assert_eq!((answer.status, &answer.json()["detail"]), (404, &"gone!".into()));
    let answer = gateway.get("/s");
    assert_eq!((answer.status, &answer.json()["detail"]), (404, &"gone!".into()));
}

#[test]
fn bodies_of_clients_are_bounded_in_length_and_depth() {
    let shop = Shop::start(|_| async { one(Item::new("x", 1).bytes()) });
    let gateway = before(
        &shop.url(),
        "  POST /x: { grpc: { proto: shop.proto, method: shop.Catalog/Create, most: 1KiB }, to: UPSTREAM }
  POST /l: { grpc: { proto: shop.proto, method: shop.Catalog/Load, most: 1KiB }, to: UPSTREAM }",
    );
    let json = |target: &str, body: String| {
        gateway.send(&Request::post(target, body).header("Content-Type", "application/json"))
    };
    let long = format!(r#"{{"parent":"{}"}}"#, "x".repeat(2_000));
    assert_eq!(json("/x", long.clone()).problem(), "body-too-large");
    assert_eq!(json("/l", format!(r#"{{"name":"{}"}}"#, "x".repeat(2_000))).problem(), "body-too-large");
    let deep = format!("{}{}", r#"{"inner":"#.repeat(100), "}".repeat(100));
    assert_eq!(json("/x", format!(r#"{{"item":{deep}}}"#)).status, 400);
    assert_eq!(json("/x", r#"{"parent":"x"}"#.into()).status, 200);
}

#[test]
fn a_service_that_breaks_off_is_told_as_of_any_upstream() {
    let service = Origin::start(|_| Answer { reset: Some(h2::Reason::INTERNAL_ERROR), ..Answer::default() });
    let gateway = before(&service.url(), ROUTE);
    let answer = gateway.get("/x");
    assert_eq!((answer.status, answer.problem()), (502, "upstream-invalid".into()));
}
