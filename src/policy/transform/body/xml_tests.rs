//! The mapping, both ways, and what is refused.

use super::*;
use proptest::prelude::*;

fn json(text: &str) -> Result<String, Unfit> {
    let mut out = String::new();
    to_json(text)?.write(&mut out, usize::MAX)?;
    Ok(out)
}

fn xml(text: &str) -> Result<String, Unfit> {
    let written = from_json(&Json::parse(text)?, 1 << 20)?;
    Ok(written.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").expect("a declaration").to_owned())
}

#[test]
fn the_table_of_the_mapping() {
    for (document, value) in [
        ("<a>text</a>", r#"{"a":"text"}"#),
        ("<a></a>", r#"{"a":""}"#),
        ("<a><b>1</b><c>2</c></a>", r#"{"a":{"b":"1","c":"2"}}"#),
        ("<a><b>1</b><b>2</b></a>", r#"{"a":{"b":["1","2"]}}"#),
        (r#"<a id="7" x="&quot;&#10;">text</a>"#, r##"{"a":{"@id":"7","@x":"\"\n","#text":"text"}}"##),
        (r#"<n:a xmlns:n="urn:n"><n:b></n:b></n:a>"#, r#"{"n:a":{"@xmlns:n":"urn:n","n:b":""}}"#),
        (r#"<a xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>"#, r#"{"a":null}"#),
        ("<a>&lt;&amp;&gt;&#13;é</a>", r#"{"a":"<&>\ré"}"#),
        ("<a> x </a>", r#"{"a":" x "}"#),
    ] {
        assert_eq!(json(document).as_deref(), Ok(value), "{document}");
        assert_eq!(xml(value).as_deref(), Ok(document), "{value}");
    }
}

#[test]
fn what_one_way_alone_knows() {
    for (document, value) in [
        ("\u{feff}<?xml version='1.0' encoding='utf-8'?>\n<!-- c --><a/>\n", r#"{"a":""}"#),
        ("<a>\n  <b>1</b>\n  <?pi x?><!-- c -->\n</a>", r#"{"a":{"b":"1"}}"#),
        ("<a>x<b>1</b>y</a>", r##"{"a":{"b":"1","#text":"xy"}}"##),
        ("<a><b>1</b><c/><b>2</b></a>", r#"{"a":{"b":["1","2"],"c":""}}"#),
        ("<a><![CDATA[<&]]></a>", r#"{"a":"<&"}"#),
        ("<a>&#x41;&#66;&apos;&quot;</a>", r#"{"a":"AB'\""}"#),
        ("<a>x\r\ny</a>", r#"{"a":"x\ny"}"#),
        ("<a x=' 1\t2 '/>", r#"{"a":{"@x":" 1 2 "}}"#),
        (r#"<a xsi:nil="true" id="1"/>"#, r#"{"a":{"@xsi:nil":"true","@id":"1"}}"#),
    ] {
        assert_eq!(json(document).as_deref(), Ok(value), "{document}");
    }
    for (value, document) in [
        (r#"{"a":1,"b":true}"#, "<root><a>1</a><b>true</b></root>"),
        (r#"{"a":[1,2]}"#, "<root><a>1</a><a>2</a></root>"),
        (
            "[1,[2,3],null]",
            concat!(
                "<root><item>1</item><item><item>2</item><item>3</item></item>",
                r#"<item xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></root>"#
            ),
        ),
        ("12.50", "<root>12.50</root>"),
        (r#"{"a":{}}"#, "<a></a>"),
        (r#"{"a":[]}"#, "<root></root>"),
        (r#"{"a":12345678901234567890123}"#, "<a>12345678901234567890123</a>"),
        (r#"{"@id":"1"}"#, r#"<root id="1"></root>"#),
    ] {
        assert_eq!(xml(value).as_deref(), Ok(document), "{value}");
    }
}

#[test]
fn bombs_and_what_is_no_xml_are_refused() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    for (document, why) in [
        (bomb, "it has a document type"),
        ("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "it has a document type"),
        ("<a>&b;</a>", "it names an entity of its own"),
        ("<a b='&c;'/>", "it is not XML"),
        ("", "it is not XML"),
        ("text", "it is not XML"),
        ("<a>", "it is not XML"),
        ("<a></b>", "it is not XML"),
        ("</a>", "it is not XML"),
        ("<a/><b/>", "it is not XML"),
        ("<a/>text", "it is not XML"),
        ("<a b='1' b='2'/>", "it is not XML"),
        ("<a b=1/>", "it is not XML"),
        ("<1a/>", "it is not XML"),
        ("<a:b:c/>", "it is not XML"),
        ("<a>&#0;</a>", "it is not XML"),
        ("<a>&#x1F;</a>", "it is not XML"),
        ("<?xml version='1.0' encoding='utf-16'?><a/>", "it declares an encoding that is not UTF-8"),
    ] {
        assert_eq!(json(document), Err(Unfit(why)), "{document}");
    }
    let deep = "<a>".repeat(1_000_000);
    assert_eq!(json(&deep), Err(Unfit("it goes too deep")));
    let wide = format!("<r>{}</r>", "<a/>".repeat(200_000));
    assert!(json(&wide).is_ok());
}

#[test]
fn json_that_xml_cannot_say_is_refused() {
    for (value, why) in [
        (r#"{"a b":1}"#, "a name in it is none in XML"),
        (r#"{"":1}"#, "a name in it is none in XML"),
        (r#"{"a>":1}"#, "a name in it is none in XML"),
        (r#"{"a":{"@x y":1}}"#, "a name in it is none in XML"),
        (r#"{"a":{"@x":{}}}"#, "an attribute has a value that is no text"),
        (r##"{"a":{"#text":[1]}}"##, "a text is none"),
        (r#"{"a":"\u0000"}"#, "a character in it is none in XML"),
        (r#"{"a":{"b":1,"\u0062":2}}"#, "a name stands twice in one object"),
    ] {
        assert_eq!(xml(value), Err(Unfit(why)), "{value}");
    }
    let long = Json::parse(r#"{"a":["",""]}"#).unwrap();
    assert_eq!(from_json(&long, 50), Err(Unfit("it becomes too large")));
}

/// Values that XML can say without loss: texts, objects that are not empty, lists of at least two that are no lists.
fn values() -> impl Strategy<Value = serde_json::Value> {
    let leaf =
        prop_oneof![4 => "[ -~éß\t\n\r]{1,8}".prop_map(serde_json::Value::from), 1 => Just(serde_json::Value::Null)];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let item = inner.clone().prop_filter("no list in a list", |value| !value.is_array());
        let member = prop_oneof![3 => inner, 1 => prop::collection::vec(item, 2..4).prop_map(serde_json::Value::from)];
        prop::collection::btree_map("[a-z]{1,3}", member, 1..4)
            .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
    })
}

proptest! {
    #[test]
    fn what_xml_can_say_comes_back_as_it_was(value in values()) {
        let value = serde_json::json!({ "doc": value });
        let text = serde_json::to_string(&value).unwrap();
        let document = from_json(&Json::parse(&text).unwrap(), 1 << 20).unwrap();
        prop_assert_eq!(json(&document), Ok(text), "{}", document);
    }

    #[test]
    fn no_text_makes_the_reader_fall_over(text in "[<>/a&;!\\[\\]?\"'= -]{0,64}") {
        let _ = to_json(&text);
    }
}
