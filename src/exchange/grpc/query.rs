//! Messages as parameters of a query, and values as pieces of text.

use super::json::Json;
use form_urlencoded::Serializer;
use prost_reflect::{DynamicMessage, Kind, ReflectMessage, Value};

/// How deep messages may be within one another.
const DEEPEST: usize = 32;

/// The fields of a message that are set, as parameters: `page.size=5&tag=a&tag=b`.
///
/// # Errors
/// A field that no parameter can stand for.
pub(super) fn query(message: &DynamicMessage, json: &Json) -> Result<String, String> {
    let mut out = Serializer::new(String::new());
    add(message, "", json, &mut out)?;
    Ok(out.finish())
}

fn add(message: &DynamicMessage, prefix: &str, json: &Json, out: &mut Serializer<'_, String>) -> Result<(), String> {
    if prefix.bytes().filter(|byte| *byte == b'.').count() > DEEPEST {
        return Err("Messages are too deep within one another for a query".into());
    }
    for (field, value) in message.fields() {
        let name = format!("{prefix}{}", field.json_name());
        match (value, field.kind()) {
            (Value::Map(_), _) => return Err(format!("Field `{name}` is a map, which no query can hold")),
            (Value::List(values), kind) => {
                for value in values {
                    out.append_pair(&name, &text(value, &kind, json).map_err(|why| format!("Field `{name}`: {why}"))?);
                }
            }
            (Value::Message(inner), kind) => match text(value, &kind, json) {
                Ok(text) => drop(out.append_pair(&name, &text)),
                Err(_) => add(inner, &format!("{name}."), json, out)?,
            },
            (value, kind) => {
                out.append_pair(&name, &text(value, &kind, json).map_err(|why| format!("Field `{name}`: {why}"))?);
            }
        }
    }
    Ok(())
}

/// A value as one piece of text.
///
/// # Errors
/// It is not one.
pub(super) fn text(value: &Value, kind: &Kind, json: &Json) -> Result<String, String> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE, value),
        Value::EnumNumber(number) => {
            let named = kind.as_enum().and_then(|known| known.get_value(*number));
            named.map_or_else(|| number.to_string(), |named| named.name().to_owned())
        }
        // Those that stand for one value in JSON too: timestamps, durations, masks, wrappers.
        Value::Message(message) if message.descriptor().package_name() == "google.protobuf" => {
            let mut out = Vec::new();
            json.write(message, &mut out)?;
            match serde_json::from_slice(&out).map_err(|error| error.to_string())? {
                serde_json::Value::String(text) => text,
                serde_json::Value::Bool(value) => value.to_string(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => return Err("it is not one value".into()),
            }
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => return Err("it is not one value".into()),
    })
}
