//! Cases of the JSON mapping (<https://protobuf.dev/programming-guides/json/>), after those that the conformance tests of
//! Protocol Buffers name.

use super::schema;
use crate::exchange::grpc::{Json, JsonChoice};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};

const TYPES: &str = r#"
syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Colour { NONE = 0; RED = 1; BLUE = 2; NEGATIVE = -1; }
message All {
  int32 i32 = 1; int64 i64 = 2; uint32 u32 = 3; uint64 u64 = 4; sint64 s64 = 5; fixed64 f64 = 6;
  bool flag = 7; string text = 8; bytes data = 9; float single = 10; double double = 11;
  Colour colour = 12; All inner = 13; repeated int32 numbers = 14; repeated All list = 15;
  map<string, int32> by_name = 16; map<int32, string> by_number = 17; map<bool, string> by_flag = 18;
  optional int32 maybe = 19; string user_name = 20; string renamed = 21 [json_name = "otherName"];
  oneof one { string first = 22; int32 second = 23; google.protobuf.NullValue nothing = 24; }
  google.protobuf.Timestamp when = 30; google.protobuf.Duration span = 31; google.protobuf.FieldMask mask = 32;
  google.protobuf.Struct object = 33; google.protobuf.Value value = 34; google.protobuf.ListValue values = 35;
  google.protobuf.Any any = 36; google.protobuf.Empty empty = 37;
  google.protobuf.Int64Value w64 = 40; google.protobuf.StringValue wtext = 41; google.protobuf.BoolValue wflag = 42;
  google.protobuf.BytesValue wdata = 43; google.protobuf.DoubleValue wdouble = 44;
  repeated Colour colours = 45; map<string, Colour> colour_by = 46; map<string, All> all_by = 47;
}
"#;

fn all() -> MessageDescriptor {
    schema(TYPES).pool().get_message_by_name("t.All").unwrap()
}

/// What a text is once it has gone to bytes and back.
fn turned(json: &Json, message: &MessageDescriptor, text: &str) -> Result<String, String> {
    let read = json.read(message, text.as_bytes())?;
    let message = DynamicMessage::decode(message.clone(), read.encode_to_vec().as_slice()).unwrap();
    let mut out = Vec::new();
    json.write(&message, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

/// Texts, and how they are written again.
const CANONICAL: &[(&str, &str)] = &[
    ("{}", "{}"),
    // Integers: numbers, strings, with exponents and without fractions; those of 64 bits are written as strings.
    (r#"{"i32": 7}"#, r#"{"i32":7}"#),
    (r#"{"i32": "7"}"#, r#"{"i32":7}"#),
    (r#"{"i32": 1e3}"#, r#"{"i32":1000}"#),
    (r#"{"i32": 100000.000}"#, r#"{"i32":100000}"#),
    (r#"{"i32": 2147483647}"#, r#"{"i32":2147483647}"#),
    (r#"{"i32": -2147483648}"#, r#"{"i32":-2147483648}"#),
    (r#"{"i64": 9007199254740993}"#, r#"{"i64":"9007199254740993"}"#),
    (r#"{"i64": "-9223372036854775808"}"#, r#"{"i64":"-9223372036854775808"}"#),
    (r#"{"u64": "18446744073709551615"}"#, r#"{"u64":"18446744073709551615"}"#),
    (r#"{"u32": 4294967295}"#, r#"{"u32":4294967295}"#),
    (r#"{"s64": "-1", "f64": "2"}"#, r#"{"s64":"-1","f64":"2"}"#),
    // Floats.
    (r#"{"single": 0.1, "double": 0.1}"#, r#"{"single":0.1,"double":0.1}"#),
    (r#"{"double": "1.5"}"#, r#"{"double":1.5}"#),
    (r#"{"double": 1}"#, r#"{"double":1.0}"#),
    (r#"{"double": "NaN"}"#, r#"{"double":"NaN"}"#),
    (r#"{"double": "Infinity", "single": "-Infinity"}"#, r#"{"single":"-Infinity","double":"Infinity"}"#),
    // Strings and bytes: both alphabets, padded or not.
    (r#"{"text": "ü\n\u0000\uD83D\uDE00"}"#, "{\"text\":\"ü\\n\\u0000😀\"}"),
    (r#"{"data": "AQI="}"#, r#"{"data":"AQI="}"#),
    (r#"{"data": "AQI"}"#, r#"{"data":"AQI="}"#),
    (r#"{"data": "-_8"}"#, r#"{"data":"+/8="}"#),
    (r#"{"flag": true}"#, r#"{"flag":true}"#),
    // Enums: names and numbers, known or not.
    (r#"{"colour": "RED"}"#, r#"{"colour":"RED"}"#),
    (r#"{"colour": 2}"#, r#"{"colour":"BLUE"}"#),
    (r#"{"colour": -1}"#, r#"{"colour":"NEGATIVE"}"#),
    (r#"{"colour": 77}"#, r#"{"colour":77}"#),
    // Names: of JSON, of the `.proto`, and chosen.
    (r#"{"userName": "a"}"#, r#"{"userName":"a"}"#),
    (r#"{"user_name": "a"}"#, r#"{"userName":"a"}"#),
    (r#"{"otherName": "a"}"#, r#"{"otherName":"a"}"#),
    (r#"{"renamed": "a"}"#, r#"{"otherName":"a"}"#),
    // Presence: null is not there; what is optional is there with its default too.
    (r#"{"i32": null, "text": null, "inner": null, "numbers": null, "byName": null}"#, "{}"),
    (r#"{"i32": 0, "text": "", "flag": false, "numbers": [], "byName": {}}"#, "{}"),
    (r#"{"maybe": 0}"#, r#"{"maybe":0}"#),
    (r#"{"inner": {}}"#, r#"{"inner":{}}"#),
    // Lists and maps.
    (r#"{"numbers": [1, "2", 3.0]}"#, r#"{"numbers":[1,2,3]}"#),
    (r#"{"list": [{}, {"i32": 1}]}"#, r#"{"list":[{},{"i32":1}]}"#),
    (r#"{"byName": {"a": 1}}"#, r#"{"byName":{"a":1}}"#),
    (r#"{"byNumber": {"-5": "x"}}"#, r#"{"byNumber":{"-5":"x"}}"#),
    (r#"{"byFlag": {"true": "x"}}"#, r#"{"byFlag":{"true":"x"}}"#),
    (r#"{"allBy": {"a": {"i32": 1}}}"#, r#"{"allBy":{"a":{"i32":1}}}"#),
    // Of a oneof there is one, its default too.
    (r#"{"first": ""}"#, r#"{"first":""}"#),
    (r#"{"second": 0}"#, r#"{"second":0}"#),
    (r#"{"nothing": null}"#, r#"{"nothing":null}"#),
    (r#"{"first": null, "second": 1}"#, r#"{"second":1}"#),
    // Timestamps and durations.
    (r#"{"when": "1970-01-01T00:00:00Z"}"#, r#"{"when":"1970-01-01T00:00:00Z"}"#),
    (r#"{"when": "2017-01-15T02:30:45.010+01:00"}"#, r#"{"when":"2017-01-15T01:30:45.010Z"}"#),
    (r#"{"when": "9999-12-31T23:59:59.999999999Z"}"#, r#"{"when":"9999-12-31T23:59:59.999999999Z"}"#),
    (r#"{"when": "0001-01-01T00:00:00Z"}"#, r#"{"when":"0001-01-01T00:00:00Z"}"#),
    (r#"{"span": "1.5s"}"#, r#"{"span":"1.500s"}"#),
    (r#"{"span": "-0.000000001s"}"#, r#"{"span":"-0.000000001s"}"#),
    (r#"{"span": "315576000000s"}"#, r#"{"span":"315576000000s"}"#),
    // Masks of fields.
    (r#"{"mask": "userName,inner.byName"}"#, r#"{"mask":"userName,inner.byName"}"#),
    // Structures and values of any kind.
    (r#"{"object": {"a": [1, null, {"b": "c"}], "d": true}}"#, r#"{"object":{"a":[1.0,null,{"b":"c"}],"d":true}}"#),
    (r#"{"value": null}"#, r#"{"value":null}"#),
    (r#"{"value": "x"}"#, r#"{"value":"x"}"#),
    (r#"{"value": [1]}"#, r#"{"value":[1.0]}"#),
    (r#"{"values": [1, "x"]}"#, r#"{"values":[1.0,"x"]}"#),
    (r#"{"empty": {}}"#, r#"{"empty":{}}"#),
    // Wrappers: absent, default and value are three things.
    (r#"{"w64": null}"#, "{}"),
    (r#"{"w64": 0, "wtext": "", "wflag": false}"#, r#"{"w64":"0","wtext":"","wflag":false}"#),
    (
        r#"{"w64": "9007199254740993", "wdata": "AQI=", "wdouble": "NaN"}"#,
        r#"{"w64":"9007199254740993","wdata":"AQI=","wdouble":"NaN"}"#,
    ),
    // Any: a message beside its type, or its value where the type has a form of its own.
    (
        r#"{"any": {"@type": "type.googleapis.com/t.All", "i32": 1}}"#,
        r#"{"any":{"@type":"type.googleapis.com/t.All","i32":1}}"#,
    ),
    (
        r#"{"any": {"i32": 1, "@type": "type.googleapis.com/t.All"}}"#,
        r#"{"any":{"@type":"type.googleapis.com/t.All","i32":1}}"#,
    ),
    (
        r#"{"any": {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}"#,
    ),
    (
        r#"{"any": {"@type": "type.googleapis.com/google.protobuf.Any",
    "value": {"@type": "type.googleapis.com/t.All", "i32": 1}}}"#,
        r#"{"any":{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/t.All","i32":1}}}"#,
    ),
];

#[test]
fn what_is_read_is_written_in_the_canonical_form() {
    let (json, message) = (Json::new(JsonChoice::default()), all());
    for &(text, canonical) in CANONICAL {
        assert_eq!(turned(&json, &message, text).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn what_is_no_such_message_is_refused() {
    let (json, message) = (Json::new(JsonChoice::default()), all());
    for text in [
        "",
        "null",
        "[]",
        "{} {}",
        "{,}",
        r#"{"i32": 1.5}"#,
        r#"{"i32": 2147483648}"#,
        r#"{"i32": -2147483649}"#,
        r#"{"i32": "x"}"#,
        r#"{"i32": " 1"}"#,
        r#"{"i32": true}"#,
        r#"{"u32": -1}"#,
        r#"{"u64": "18446744073709551616"}"#,
        r#"{"i64": 1e30}"#,
        r#"{"single": 1e39}"#,
        r#"{"flag": "true"}"#,
        r#"{"flag": 1}"#,
        r#"{"text": 1}"#,
        r#"{"text": "\uD800"}"#,
        r#"{"data": "*"}"#,
        r#"{"colour": "GREEN"}"#,
        r#"{"colour": 1.5}"#,
        r#"{"unknown": 1}"#,
        r#"{"numbers": 1}"#,
        r#"{"numbers": [[1]]}"#,
        r#"{"byNumber": {"x": "a"}}"#,
        r#"{"first": "a", "second": 1}"#,
        r#"{"when": "0000-01-01T00:00:00Z"}"#,
        r#"{"when": "1970-01-01T00:00:00"}"#,
        r#"{"when": "1970-01-01t00:00:00Z"}"#,
        r#"{"when": "10000-01-01T00:00:00Z"}"#,
        r#"{"span": "1"}"#,
        r#"{"span": "315576000001s"}"#,
        r#"{"span": "-315576000001s"}"#,
        r#"{"mask": "user_name"}"#,
        r#"{"object": 1}"#,
        r#"{"any": {"i32": 1}}"#,
        r#"{"any": {"@type": "type.googleapis.com/t.Missing"}}"#,
        r#"{"any": {"@type": "t.All/"}}"#,
        r#"{"empty": {"a": 1}}"#,
    ] {
        assert!(turned(&json, &message, text).is_err(), "{text}: {:?}", turned(&json, &message, text));
    }
}

#[test]
fn choices_change_what_is_written_and_not_what_is_read() {
    let message = all();
    let chosen = |choice| turned(&Json::new(choice), &message, r#"{"userName":"a","colour":1,"i64":"5"}"#).unwrap();
    let names = JsonChoice { proto_names: true, ..JsonChoice::default() };
    assert_eq!(chosen(names), r#"{"i64":"5","colour":"RED","user_name":"a"}"#);
    let numbers = JsonChoice { enum_numbers: true, int64_numbers: true, ..JsonChoice::default() };
    assert_eq!(chosen(numbers), r#"{"i64":5,"colour":1,"userName":"a"}"#);
    let defaults = chosen(JsonChoice { defaults: true, ..JsonChoice::default() });
    for member in [r#""i32":0"#, r#""text":"""#, r#""numbers":[]"#, r#""byName":{}"#, r#""u64":"0""#] {
        assert!(defaults.contains(member), "{member} in {defaults}");
    }
    assert!(!defaults.contains("maybe") && !defaults.contains("first") && !defaults.contains("inner"), "{defaults}");
}

#[test]
fn what_is_not_known_is_passed_over_where_that_is_chosen() {
    let json = Json::new(JsonChoice { lenient: true, ..JsonChoice::default() });
    let text = r#"{"unknown": {"a": [1]}, "i32": 1, "colour": "GREEN", "colours": ["RED", "GREEN"]}"#;
    assert_eq!(turned(&json, &all(), text).unwrap(), r#"{"i32":1,"colours":["RED"]}"#);
    assert!(turned(&json, &all(), r#"{"i32": "x"}"#).is_err());
}

#[test]
fn one_field_is_read_and_written_by_itself() {
    let (json, message) = (Json::new(JsonChoice::default()), all());
    for (name, text) in [
        ("inner", r#"{"i32":1}"#),
        ("numbers", "[1,2]"),
        ("by_name", r#"{"a":1}"#),
        ("text", r#""x""#),
        ("i64", r#""5""#),
        ("renamed", r#""x""#),
        ("when", r#""1970-01-01T00:00:00Z""#),
        ("list", r#"[{"i32":1}]"#),
    ] {
        let field = message.get_field_by_name(name).unwrap();
        let read = json.read_field(&field, text.as_bytes()).unwrap();
        let mut out = Vec::new();
        json.write_field(&read, &field, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text, "{name}");
    }
    let nothing = DynamicMessage::new(message.clone());
    for (name, text) in [("numbers", "[]"), ("by_name", "{}"), ("text", "\"\""), ("i32", "0"), ("inner", "null")] {
        let mut out = Vec::new();
        json.write_field(&nothing, &message.get_field_by_name(name).unwrap(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), text, "{name}");
    }
}

#[test]
fn a_body_that_is_one_field_cannot_name_others() {
    let (json, message) = (Json::new(JsonChoice::default()), all());
    let field = message.get_field_by_name("i32").unwrap();
    for text in [r#"1,"text":"x""#, r#"1}"#, "1 2", ""] {
        assert!(json.read_field(&field, text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn neither_deep_json_nor_deep_messages_overflow_the_stack() {
    let (json, message) = (Json::new(JsonChoice::default()), all());
    let deep = |times: usize| format!("{}{{}}{}", r#"{"inner":"#.repeat(times), "}".repeat(times));
    assert!(turned(&json, &message, &deep(90)).is_ok());
    assert!(json.read(&message, deep(100_000).as_bytes()).is_err());
    let lists = format!(r#"{{"value":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(json.read(&message, lists.as_bytes()).is_err());
    // Each level of Any is read anew, at no depth at all.
    let any = message.parent_pool().get_message_by_name("google.protobuf.Any").unwrap();
    let mut bytes = Vec::new();
    for _ in 0..20_000 {
        let mut level = DynamicMessage::new(any.clone());
        level.set_field_by_name("type_url", Value::String("x/google.protobuf.Any".into()));
        level.set_field_by_name("value", Value::Bytes(bytes.into()));
        bytes = level.encode_to_vec();
    }
    let bomb = DynamicMessage::decode(any, bytes.as_slice()).unwrap();
    assert!(json.write(&bomb, &mut Vec::new()).unwrap_err().contains("too deep"));
}
