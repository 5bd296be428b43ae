//! Every failure of every kind of part of a `combine`, required, optional and with a fallback, over real sockets.

use crate::support::client::{Request, send};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::{ports, wait};
use serde_json::json;

/// How a service fails; the status a client gets where its part is required, and the reason where it is not.
const KINDS: [(&str, u16, &str); 10] = [
    ("refuse", 502, "upstream-refused"),
    ("reset", 502, "upstream-reset"),
    ("stall", 504, "timeout"),
    ("cut", 502, "upstream-reset"),
    ("slow", 504, "timeout"),
    ("garbage", 502, "upstream-invalid"),
    ("huge", 502, "upstream-body"),
    ("text", 502, "unreadable"),
    ("404", 404, "status-404"),
    ("500", 502, "status-500"),
];

fn fail(kind: &str) -> Answer {
    let json = |body: &str| Answer::ok(body).header("Content-Type", "application/json");
    match kind {
        "reset" => Answer::none(Ending::Reset),
        "stall" => Answer::none(Ending::Stall),
        "cut" => json(r#"{"id":7}"#).cut_after(4, Ending::Reset),
        "slow" => json(r#"{"id":7}"#).cut_after(4, Ending::Stall),
        "garbage" => Answer::raw("garbage\r\n\r\n"),
        "huge" => json(&format!("\"{}\"", "x".repeat(100_000))),
        "text" => json("{"),
        "404" => Answer::status(404),
        "500" => Answer::status(500),
        other => panic!("no kind {other}"),
    }
}

/// A service that fails as it is asked to.
fn service() -> Origin {
    Origin::start(|request| match request.target.strip_prefix("/fail/") {
        Some(kind) => fail(kind),
        None => Answer::ok(json!({ "id": request.target, "list": ["well", "fail", "well"] }).to_string())
            .header("Content-Type", "application/json"),
    })
}

/// A part alone, one that another waits for, and one of which the second of three calls fails.
const PLACES: [&str; 3] = ["alone", "first", "each"];
const NEEDS: [&str; 3] = ["required", "optional", "fallback"];

fn route((kind, place, need): (&str, &str, &str)) -> String {
    let upstream = if kind == "refuse" { "down" } else { "shop" };
    let said = match need {
        "required" => "",
        "optional" => ", optional: true",
        _ => ", fallback: { id: instead }",
    };
    let bounds = format!("most: 2000B, timeout: 400ms{said}");
    let parts = match place {
        "alone" => format!("x: {{ get: \"{upstream}:/fail/{kind}\", {bounds} }}"),
        "first" => format!(
            "x: {{ get: \"{upstream}:/fail/{kind}\", {bounds} }}\n      y: {{ get: \"shop:/y/{{x.id}}\", optional: true }}"
        ),
        _ => format!(
            "list: {{ get: \"shop:/list\", hidden: true }}\n      \
             x: {{ get: \"{upstream}:/{{item}}/{kind}\", each: \"{{list.list}}\", each_at_once: 1, {bounds} }}"
        ),
    };
    format!("  /{kind}/{place}/{need}:\n    combine:\n      {parts}\n      ok: {{ get: \"shop:/ok\" }}\n")
}

fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let places =
        |kind| PLACES.into_iter().flat_map(move |place| NEEDS.into_iter().map(move |need| (kind, place, need)));
    KINDS.into_iter().flat_map(move |(kind, ..)| places(kind))
}

fn check(gateway: &Gateway, (kind, place, need): (&str, &str, &str)) {
    let said = format!("{kind} {place} {need}");
    let (_, status, reason) = KINDS.into_iter().find(|(own, ..)| *own == kind).expect("a kind");
    let answer = send(gateway.address(), &Request::get(&format!("/{kind}/{place}/{need}")));
    if need == "required" {
        assert_eq!((answer.status, &answer.json()["part"]), (status, &json!("x")), "{said}: {}", answer.text());
        assert!(!answer.text().contains("127.0.0.1"), "{said}: {}", answer.text());
        assert_eq!(answer.header("tollgate-partial"), None, "{said}");
        return;
    }
    assert_eq!(answer.status, 200, "{said}: {}", answer.text());
    let waits = if place == "first" && need == "optional" { ", y;reason=reference" } else { "" };
    assert_eq!(answer.header("tollgate-partial"), Some(&*format!("x;reason={reason}{waits}")), "{said}");
    let told = answer.json();
    let instead = if need == "fallback" { json!({ "id": "instead" }) } else { json!(null) };
    assert_eq!(told.get("x").cloned().unwrap_or_default(), instead, "{said}");
    assert_eq!(told["ok"]["id"], "/ok", "{said}");
    if place == "first" && need == "fallback" {
        assert_eq!(told["y"]["id"], "/y/instead", "{said}");
    }
}

#[test]
fn every_failure_of_every_part_is_what_its_route_says() {
    let shop = service();
    let routes: String = all().map(route).collect();
    let gateway = Gateway::start(&format!(
        "upstreams:\n  shop: {{ endpoints: [{}], ejection: \"off\" }}\n  down: {{ endpoints: [http://{}], ejection: \"off\" }}\n\
         defaults: {{ timeout: 10s, retries: 0 }}\nroutes:\n{routes}",
        shop.url(),
        ports::free()
    ));
    std::thread::scope(|scope| {
        for (kind, ..) in KINDS {
            let gateway = &gateway;
            scope.spawn(move || all().filter(|(own, ..)| *own == kind).for_each(|case| check(gateway, case)));
        }
    });
    wait::until("nothing is left under way or in memory", || {
        gateway.metric("tollgate_upstream_in_flight", &[]) == 0.0
            && gateway.metric("tollgate_gathered_bytes", &[]) == 0.0
    });
}
