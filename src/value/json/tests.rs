//! What is read, what is refused where, and that nothing is changed on the way through.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Json, JsonError> {
    Json::parse(text.as_bytes(), JsonBounds::default())
}

fn through(text: &str) -> String {
    String::from_utf8(read(text).unwrap().to_vec()).unwrap()
}

#[test]
fn numbers_and_order_stay_as_written() {
    let text = r#"{"z":18446744073709551616,"a":10.50,"e":1E+2,"n":-0,"long":123456789012345678901234567890.1}"#;
    assert_eq!(through(text), text);
}

#[test]
fn strings_mean_the_same_afterwards() {
    assert_eq!(
        through(r#" [ "\u00e9\ud83d\ude00\/\n\u0001\"\\" , null,true ,false ] "#),
        "[\"é😀/\\n\\u0001\\\"\\\\\",null,true,false]"
    );
}

#[test]
fn refuses_what_is_not_json_at_its_place() {
    for (text, offset, what) in [
        ("", 0, "ends"),
        ("{", 1, "name"),
        ("[1,]", 3, "begins"),
        ("[1 2]", 3, "comma"),
        ("01", 1, "more"),
        ("1.", 2, "digit"),
        ("-", 1, "digit"),
        ("1e", 2, "digit"),
        ("+1", 0, "begins"),
        ("nul", 0, "begins"),
        ("\"a", 2, "within a string"),
        ("\"\n\"", 1, "control"),
        (r#""\x""#, 3, "escape"),
        (r#""\u12g4""#, 3, "hexadecimal"),
        (r#""\ud800""#, 7, "surrogate"),
        (r#""\udc00""#, 7, "surrogate"),
        (r#"{"a":1,"a":2}"#, 11, "already"),
        ("1 1", 2, "more"),
        ("NaN", 0, "begins"),
        ("'a'", 0, "begins"),
        ("[1] // x", 4, "more"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.what.contains(what), "{text}: {error}");
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
    assert_eq!(Json::parse(b"\"\xff\"", JsonBounds::default()).unwrap_err().what, "not UTF-8");
}

#[test]
fn repeated_names_of_large_objects_are_refused_too() {
    let members = |last: &str| {
        let many: Vec<String> = (0..40).map(|n| format!("\"m{n}\":0")).chain([format!("\"{last}\":1")]).collect();
        format!("{{{}}}", many.join(","))
    };
    assert!(read(&members("m40")).is_ok());
    assert!(read(&members("m17")).unwrap_err().what.contains("twice"));
    // A name written otherwise is the same name.
    assert!(read(&members(r"\u006d39")).unwrap_err().what.contains("twice"));
}

#[test]
fn holds_its_bounds() {
    let bounds = JsonBounds { depth: 3, values: 5, digits: 4 };
    let parse = |text: &str| Json::parse(text.as_bytes(), bounds);
    assert!(parse("[[[1]]]").is_ok());
    assert!(parse("[[[[1]]]]").unwrap_err().what.contains("deeper"));
    assert!(parse("[1,2,3,4]").is_ok());
    assert!(parse("[1,2,3,4,5]").unwrap_err().what.contains("more values"));
    assert!(parse("1234").is_ok());
    assert!(parse("12345").unwrap_err().what.contains("longer"));
    assert!(read(&"[".repeat(1_000_000)).unwrap_err().what.contains("deeper"));
}

#[test]
fn pointers_find_and_take() {
    let mut json = read(r#"{"a":[{"b":1},2],"c/d":{"~":3}}"#).unwrap();
    let at = |text: &str| Pointer::parse(text).unwrap();
    assert_eq!(at("/a/0/b").of(&json), Some(&read("1").unwrap()));
    assert_eq!(Pointer::dotted("a.0.b").unwrap(), at("/a/0/b"));
    assert_eq!(at("/c~1d/~0").of(&json), Some(&read("3").unwrap()));
    assert_eq!(at("").of(&json), Some(&json));
    for nowhere in ["/a/2", "/a/00", "/a/-1", "/a/+1", "/x", "/a/0/b/c"] {
        assert_eq!(at(nowhere).of(&json), None, "{nowhere}");
    }
    assert_eq!(at("/c~1d").take(&mut json), Some(Json::Object(vec![("~".into(), read("3").unwrap())])));
    assert_eq!(at("/a/0").take(&mut json).map(|json| json.to_vec()), Some(br#"{"b":1}"#.to_vec()));
    assert_eq!(json.to_vec(), br#"{"a":[2]}"#);
    assert_eq!(at("/c~1d/~0").to_string(), "/c~1d/~0");
    assert!(Pointer::parse("a").is_err() && Pointer::parse("/~2").is_err() && Pointer::dotted("a..b").is_err());
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
            prop::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json(value in any_value()) {
        for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let json = read(&text).unwrap();
            prop_assert_eq!(&json, &Json::from(&value));
            let again: serde_json::Value = serde_json::from_slice(&json.to_vec()).unwrap();
            prop_assert_eq!(&again, &value);
        }
    }

    #[test]
    fn accepts_no_more_than_serde_json(text in r#"[\[\]{},:"a\\u0-9eE+. tfn-]{0,12}"#) {
        if read(&text).is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
