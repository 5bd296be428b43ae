//! Lines of both forms, what is left out, and rotation.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use log::Level;

use super::*;

/// A log into a file of its own folder.
struct Scene {
    folder: tempfile::TempDir,
    log: ProcessLog,
}

impl Scene {
    fn new(shape: LogShape, levels: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = Some(folder.path().join("log"));
        let log = ProcessLog::open(ProcessLogSettings { file, shape, levels: levels.parse().unwrap() }).unwrap();
        Self { folder, log }
    }

    fn say(&self, level: Level, target: &str, message: &str) {
        self.say_at(0, level, target, message);
    }

    fn say_at(&self, seconds: u64, level: Level, target: &str, message: &str) {
        let now = UNIX_EPOCH + Duration::from_millis(1_795_500_249_042) + Duration::from_secs(seconds);
        let mut record = Record::builder();
        record.level(level).target(target).line(Some(7));
        self.log.record(&record.args(format_args!("{message}")).build(), now);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

#[test]
fn a_text_line_has_time_level_target_and_message() {
    let scene = Scene::new(LogShape::Text, "info");
    scene.say(Level::Warn, "tollgate::config", "two problems");
    assert_eq!(scene.read("log"), "2026-11-24T06:04:09.042Z WARN  tollgate::config: two problems\n");
}

#[test]
fn a_message_of_several_lines_cannot_pass_for_several_records() {
    let scene = Scene::new(LogShape::Text, "info");
    scene.say(Level::Info, "t", "one\n2026-11-24T06:04:09.042Z ERROR forged\r\x1b[2J\n");
    let wanted = "2026-11-24T06:04:09.042Z INFO  t: one\n    2026-11-24T06:04:09.042Z ERROR forged\\u{d}\\u{1b}[2J\n";
    assert_eq!(scene.read("log"), wanted);
}

#[test]
fn a_json_line_is_one_object_with_the_fields_of_the_record() {
    let scene = Scene::new(LogShape::Json, "info");
    let fields = [("route", "GET /a"), ("bad", "\"\n")];
    let source: &dyn log::kv::Source = &fields.as_slice();
    let record =
        Record::builder().level(Level::Error).target("t").args(format_args!("a\n\"b\"")).key_values(source).build();
    scene.log.record(&record, UNIX_EPOCH);
    let wanted = concat!(
        r#"{"time":"1970-01-01T00:00:00.000Z","level":"error","target":"t","message":"a\n\"b\"","#,
        r#""fields":{"route":"GET /a","bad":"\"\n"}}"#,
        "\n"
    );
    assert_eq!(scene.read("log"), wanted);
}

#[test]
fn fields_follow_the_message_in_text() {
    let scene = Scene::new(LogShape::Text, "info");
    let fields = [("route", "GET /a"), ("status", "200")];
    let source: &dyn log::kv::Source = &fields.as_slice();
    let record = Record::builder().level(Level::Info).target("t").args(format_args!("done")).key_values(source).build();
    scene.log.record(&record, UNIX_EPOCH);
    assert_eq!(scene.read("log"), "1970-01-01T00:00:00.000Z INFO  t: done route=\"GET /a\" status=200\n");
}

#[test]
fn records_that_are_not_wanted_are_left_out() {
    let scene = Scene::new(LogShape::Text, "info,quiet=error");
    scene.say(Level::Debug, "t", "no");
    scene.say(Level::Warn, "quiet::inner", "no");
    scene.say(Level::Info, "pingora_core::server", "no");
    scene.say(Level::Info, "t", "yes");
    assert_eq!(scene.read("log").lines().count(), 1);
}

#[test]
fn failed_handshakes_of_strangers_are_debug() {
    let say = |levels| {
        let scene = Scene::new(LogShape::Text, levels);
        scene.say(Level::Error, "pingora_core::services::listening", "Downstream handshake error from 192.0.2.1: eof");
        scene.say(Level::Error, "pingora_core::services::listening", "Accept() failed Too many open files");
        scene.read("log").lines().count()
    };
    assert_eq!(say("info"), 1);
    assert_eq!(say("info,pingora_core=debug"), 2);
}

#[test]
fn a_storm_of_one_statement_is_summed_up() {
    let scene = Scene::new(LogShape::Text, "info");
    (0..1_000).for_each(|_| scene.say_at(0, Level::Error, "storm", "again"));
    scene.say_at(11, Level::Info, "t", "later");
    let lines = scene.read("log");
    assert_eq!(lines.lines().count(), 102);
    assert!(lines.contains("WARN  storm: 900 more like the one from line 7 were left out\n"));
}

#[test]
fn after_a_rotation_records_go_to_a_new_file() {
    let scene = Scene::new(LogShape::Text, "info");
    scene.say(Level::Info, "t", "old");
    fs::rename(scene.folder.path().join("log"), scene.folder.path().join("log.1")).unwrap();
    scene.say(Level::Info, "t", "still old");
    scene.log.reopen().unwrap();
    scene.say(Level::Info, "t", "new");
    assert_eq!(scene.read("log.1").lines().count(), 2);
    assert_eq!(scene.read("log").lines().count(), 1);
}

#[test]
fn a_file_that_cannot_be_reopened_stays_in_use() {
    let mut scene = Scene::new(LogShape::Text, "info");
    scene.log.file = Some(scene.folder.path().join("no/such/folder"));
    assert!(scene.log.reopen().is_err());
    scene.say(Level::Info, "t", "still here");
    assert_eq!(scene.read("log").lines().count(), 1);
}

#[test]
fn a_full_disk_panics_nobody() {
    let settings = ProcessLogSettings {
        file: Some("/dev/full".into()),
        shape: LogShape::Text,
        levels: Levels::new(LevelFilter::Info),
    };
    let log = ProcessLog::open(settings).unwrap();
    log.record(&Record::builder().level(Level::Error).args(format_args!("lost")).build(), UNIX_EPOCH);
}
