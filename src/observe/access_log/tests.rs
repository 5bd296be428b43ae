//! Golden lines, hostile input, and the way of a line from a worker to the file.

use std::fs;
use std::io::{self, Read};
use std::sync::atomic::Ordering;

use super::*;
use crate::observe::{RequestId, TimeText, TraceContext, UnixMillis};

const PATIENCE: Duration = Duration::from_secs(20);
const TIME: UnixMillis = UnixMillis(1_795_500_249_042);

fn entry() -> AccessEntry<'static> {
    AccessEntry {
        time: TIME,
        ids: Ids { request: b"r-1", trace: None, batch: None },
        who: Who {
            client: Some("192.0.2.1".parse().unwrap()),
            listener: "http",
            protocol: "HTTP/1.1",
            tls: None,
            consumer: None,
            user_agent: None,
        },
        what: What { method: b"GET", host: b"shop.example", path: b"/", query: None },
        matched: Matched::default(),
        outcome: Outcome {
            status: 200,
            reason: None,
            bytes_in: 0,
            bytes_out: 2,
            cache: None,
            fallback: None,
            socket: None,
        },
        timings: Timings { total: Duration::from_micros(1_500), gateway: Duration::from_micros(20), upstream: None },
        upstream: None,
        parts: &[],
    }
}

const PARTS: [Part<'static>; 2] = [
    Part {
        name: "order",
        upstream: "orders",
        status: Some(200),
        duration: Duration::from_micros(1_250),
        outcome: "answered",
        calls: 1,
        span: None,
    },
    Part {
        name: "stock",
        upstream: "catalog",
        status: None,
        duration: Duration::from_millis(300),
        outcome: "timeout",
        calls: 3,
        span: None,
    },
];

fn full_entry(id: &RequestId) -> AccessEntry<'_> {
    let trace = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    AccessEntry {
        time: TIME,
        ids: Ids { request: id.as_bytes(), trace: Some(trace.trace_id), batch: Some(b"b-1") },
        who: Who {
            client: Some("2001:db8::1".parse().unwrap()),
            listener: "secure",
            protocol: "HTTP/2.0",
            tls: Some("TLSv1.3"),
            consumer: Some("acme"),
            user_agent: Some(b"curl/8.5.0"),
        },
        what: What {
            method: b"POST",
            host: b"api.shop.example",
            path: b"/v1/orders",
            query: Some(b"page=2&token=abc"),
        },
        matched: Matched { api: Some("shop"), route: Some("POST /orders") },
        outcome: Outcome {
            status: 504,
            reason: Some("upstream-timeout"),
            bytes_in: 12,
            bytes_out: 345,
            cache: Some("miss"),
            fallback: None,
            socket: None,
        },
        timings: Timings {
            total: Duration::from_micros(10_050_123),
            gateway: Duration::from_micros(123),
            upstream: Some(Duration::from_millis(10_050)),
        },
        upstream: Some(Answer { upstream: "orders", endpoint: Some("10.0.0.1:8080"), attempts: 2 }),
        parts: &PARTS,
    }
}

fn written(shape: Shape, entry: &AccessEntry<'_>) -> String {
    let mut out = Vec::new();
    let mut clock = TimeText::new(shape.time_style());
    match shape {
        Shape::Json => write_json(entry, &Redaction::default(), &mut clock, &mut out),
        Shape::Text => write_text(entry, &Redaction::default(), &mut clock, &mut out),
    }
    String::from_utf8(out).unwrap()
}

fn settings(to: Destination) -> AccessLogSettings {
    AccessLogSettings { to, shape: Shape::Json, redaction: Redaction::default() }
}

fn bounds(workers: usize, bytes_per_worker: usize) -> AccessLogBounds {
    AccessLogBounds { workers, bytes_per_worker }
}

/// A started log with two workers that writes to `to`.
fn started(to: Destination) -> (AccessLog, Arc<AtomicU64>) {
    let dropped = Arc::default();
    let bounds = bounds(2, AccessLogBounds::BYTES_PER_WORKER);
    let log = AccessLog::open(settings(to), bounds, Arc::clone(&dropped)).unwrap();
    log.start().unwrap();
    (log, dropped)
}

fn with_status(status: u16) -> AccessEntry<'static> {
    let entry = entry();
    AccessEntry { outcome: Outcome { status, ..entry.outcome }, ..entry }
}

fn statuses(lines: &str) -> Vec<u64> {
    let lines = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["status"].as_u64().unwrap()).collect()
}

#[test]
fn the_full_line_has_every_field_in_order() {
    let id = RequestId::new(TIME, [0, 0]);
    let wanted = concat!(
        r#"{"time":"2026-11-24T06:04:09.042Z","request_id":"01a20c27-8fd2-7000-8000-000000000000","#,
        r#""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","batch":"b-1","client":"2001:db8::1","listener":"secure","#,
        r#""protocol":"HTTP/2.0","method":"POST","host":"api.shop.example","path":"/v1/orders","#,
        r#""query":"page=2&token=***","api":"shop","route":"POST /orders","consumer":"acme","status":504,"#,
        r#""reason":"upstream-timeout","bytes_in":12,"bytes_out":345,"duration_ms":10050.123,"gateway_ms":0.123,"#,
        r#""upstream_ms":10050.000,"upstream":"orders","endpoint":"10.0.0.1:8080","attempts":2,"#,
        r#""parts":[{"name":"order","upstream":"orders","status":200,"duration_ms":1.250,"outcome":"answered","calls":1},"#,
        r#"{"name":"stock","upstream":"catalog","duration_ms":300.000,"outcome":"timeout","calls":3}],"cache":"miss","#,
        r#""tls":"TLSv1.3","user_agent":"curl/8.5.0"}"#,
        "\n"
    );
    assert_eq!(written(Shape::Json, &full_entry(&id)), wanted);
}

#[test]
fn what_does_not_apply_is_left_out() {
    let wanted = concat!(
        r#"{"time":"2026-11-24T06:04:09.042Z","request_id":"r-1","client":"192.0.2.1","listener":"http","#,
        r#""protocol":"HTTP/1.1","method":"GET","host":"shop.example","path":"/","status":200,"bytes_in":0,"#,
        r#""bytes_out":2,"duration_ms":1.500,"gateway_ms":0.020}"#,
        "\n"
    );
    assert_eq!(written(Shape::Json, &entry()), wanted);
}

#[test]
fn the_text_line_is_combined_and_more() {
    let id = RequestId::new(TIME, [0, 0]);
    let wanted = concat!(
        r#"2001:db8::1 - acme [24/Nov/2026:06:04:09 +0000] "POST /v1/orders?page=2&token=*** HTTP/2.0" 504 345 "-" "#,
        r#""curl/8.5.0" 01a20c27-8fd2-7000-8000-000000000000 10050.123 10050.000 api.shop.example "POST /orders" "#,
        "upstream-timeout orders 10.0.0.1:8080\n"
    );
    assert_eq!(written(Shape::Text, &full_entry(&id)), wanted);
    let wanted = concat!(
        r#"192.0.2.1 - - [24/Nov/2026:06:04:09 +0000] "GET / HTTP/1.1" 200 2 "-" "-" r-1 1.500 - shop.example "-" "#,
        "- - -\n"
    );
    assert_eq!(written(Shape::Text, &entry()), wanted);
}

#[test]
fn hostile_bytes_can_neither_leave_their_field_nor_their_line() {
    let evil = b"\",\"status\":200}\r\n{\"x\":\"\\\x00\x1b[2J\x7f\xff\xc3(\xe2\x80\xa8 \" y";
    let entry = AccessEntry {
        ids: Ids { request: evil, trace: None, batch: None },
        who: Who { user_agent: Some(evil), ..entry().who },
        what: What { method: evil, host: evil, path: evil, query: Some(evil) },
        ..entry()
    };
    let line = written(Shape::Json, &entry);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line.matches('\n').count(), 1);
    assert!(!line.trim_end().chars().any(char::is_control));
    assert_eq!(value["user_agent"], String::from_utf8_lossy(evil).into_owned());
    assert_eq!(value["path"], value["host"]);
    assert_eq!(value["status"], 200);

    let line = written(Shape::Text, &entry);
    assert_eq!(line.matches('\n').count(), 1);
    assert_eq!(line.matches('"').count(), 8);
}

#[test]
fn what_clients_send_is_cut_to_a_bound() {
    let long = [b'a'; 10 * 1024];
    let entry = AccessEntry {
        ids: Ids { request: &long, trace: None, batch: None },
        who: Who { user_agent: Some(&long), ..entry().who },
        what: What { method: &long, host: &long, path: &long, query: Some(&long) },
        ..entry()
    };
    for shape in [Shape::Json, Shape::Text] {
        assert!(written(shape, &entry).len() < 6 * 1024);
    }
    let value: serde_json::Value = serde_json::from_str(&written(Shape::Json, &entry)).unwrap();
    assert_eq!(value["user_agent"].as_str().unwrap(), format!("{}…", "a".repeat(512)));
}

#[test]
fn lines_of_all_workers_reach_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (log, dropped) = started(Destination::File(path.clone()));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let log = &log;
            scope.spawn(move || (0..500).for_each(|_| log.record(Worker(worker), &entry())));
        }
    });
    assert!(log.flush_and_stop(PATIENCE));
    let lines = fs::read_to_string(path).unwrap();
    assert_eq!(statuses(&lines).len(), 2_000);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn a_stuck_writer_costs_lines_and_never_holds_a_worker_up() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let dropped = Arc::default();
    let format = Format::of(settings(Destination::Off));
    let log = AccessLog::with_sink(Sink::to(pipe), format, bounds(1, 128 * 1024), Arc::clone(&dropped));
    log.start().unwrap();
    let recorded = 10_000;
    // Nobody reads, so this would not end if it waited for the writer.
    (0..recorded).for_each(|_| log.record(Worker(0), &entry()));
    assert!(!log.flush(Duration::ZERO));
    let lost = dropped.load(Ordering::Relaxed);
    assert!(lost > 0);

    drop(log);
    let mut lines = String::new();
    reader.read_to_string(&mut lines).unwrap();
    assert_eq!(statuses(&lines).len() as u64 + lost, recorded);
}

#[test]
fn a_bounded_wait_gives_up_on_a_stuck_writer() {
    let (_reader, pipe) = io::pipe().unwrap();
    let format = Format::of(settings(Destination::Off));
    let log = AccessLog::with_sink(Sink::to(pipe), format, bounds(1, 512 * 1024), Arc::default());
    log.start().unwrap();
    (0..2_000).for_each(|_| log.record(Worker(0), &entry()));
    assert!(!log.flush_and_stop(Duration::from_millis(1)));
}

#[test]
fn a_full_buffer_drops_and_counts() {
    let dropped = Arc::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let log = AccessLog::open(settings(Destination::File(path.clone())), bounds(1, 1), Arc::clone(&dropped)).unwrap();
    (0..10).for_each(|_| log.record(Worker(0), &entry()));
    log.start().unwrap();
    assert!(log.flush(PATIENCE));
    assert_eq!(dropped.load(Ordering::Relaxed), 9);
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 1);
}

#[test]
fn after_a_rotation_lines_go_to_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let (log, _) = started(Destination::File(path.clone()));
    log.record(Worker(0), &with_status(201));
    fs::rename(&path, &rotated).unwrap();
    log.record(Worker(1), &with_status(202));
    log.reopen();
    assert!(log.flush(PATIENCE));
    log.record(Worker(0), &with_status(203));
    assert!(log.flush(PATIENCE));
    assert_eq!(statuses(&fs::read_to_string(rotated).unwrap()), [201, 202]);
    assert_eq!(statuses(&fs::read_to_string(path).unwrap()), [203]);
}

#[test]
fn a_reload_changes_file_and_form_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.log"), folder.path().join("new.log"));
    let (log, _) = started(Destination::File(old.clone()));
    log.record(Worker(0), &with_status(201));
    let later = AccessLogSettings { shape: Shape::Text, ..settings(Destination::File(new.clone())) };
    log.reconfigure(later).unwrap();
    assert!(log.flush(PATIENCE));
    log.record(Worker(1), &with_status(202));
    assert!(log.flush(PATIENCE));
    assert_eq!(statuses(&fs::read_to_string(old).unwrap()), [201]);
    assert!(fs::read_to_string(new).unwrap().starts_with("192.0.2.1 - - ["));
}

#[test]
fn a_reload_to_a_file_that_cannot_be_opened_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (log, _) = started(Destination::File(path.clone()));
    let nowhere = settings(Destination::File(folder.path().join("no/such/folder.log")));
    assert_eq!(log.reconfigure(nowhere).unwrap_err().kind(), io::ErrorKind::NotFound);
    log.record(Worker(0), &entry());
    assert!(log.flush(PATIENCE));
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 1);
}

#[test]
fn it_can_be_switched_off_and_on_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let (log, dropped) = started(Destination::Off);
    log.record(Worker(0), &with_status(201));
    log.reconfigure(settings(Destination::File(path.clone()))).unwrap();
    assert!(log.flush(PATIENCE));
    log.record(Worker(0), &with_status(202));
    log.reconfigure(settings(Destination::Off)).unwrap();
    assert!(log.flush(PATIENCE));
    log.record(Worker(0), &with_status(203));
    assert!(log.flush_and_stop(PATIENCE));
    assert_eq!(statuses(&fs::read_to_string(path).unwrap()), [202]);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn waiting_for_a_stopped_log_ends_at_once() {
    let (log, _) = started(Destination::Off);
    assert!(log.flush_and_stop(PATIENCE));
    assert!(!log.flush(PATIENCE));
}
