//! Messages as JSON, by the JSON mapping of proto3 (<https://protobuf.dev/programming-guides/json/>), read and written
//! without a tree of JSON values in between.

use super::careful::Careful;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use prost_reflect::{
    DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, SerializeOptions,
    Value,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor, value::StrDeserializer};
use serde::forward_to_deserialize_any;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io::{self, Write};

/// How deep messages may be within one another in what is written, as deep as what is read may be.
const DEEPEST: u32 = 120;

/// How JSON is read and written.
#[derive(Clone, Debug)]
pub struct Json {
    read: DeserializeOptions,
    write: SerializeOptions,
    /// Whether members that no field has are passed over.
    pub lenient: bool,
    proto_names: bool,
}

/// What an operator chooses of the mapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonChoice {
    /// Fields with their default value are written.
    pub defaults: bool,
    /// Fields are named as in the `.proto`.
    pub proto_names: bool,
    /// Enums are written as numbers.
    pub enum_numbers: bool,
    /// 64-bit integers are written as numbers.
    pub int64_numbers: bool,
    /// Members that no field has are passed over.
    pub lenient: bool,
}

/// What is wrong with JSON, in a sentence for its sender.
pub type BadJson = String;

impl Json {
    /// By those choices.
    pub fn new(choice: JsonChoice) -> Self {
        Self {
            read: DeserializeOptions::new().deny_unknown_fields(!choice.lenient),
            write: SerializeOptions::new()
                .skip_default_fields(!choice.defaults)
                .use_proto_field_name(choice.proto_names)
                .use_enum_numbers(choice.enum_numbers)
                .stringify_64_bit_integers(!choice.int64_numbers),
            lenient: choice.lenient,
            proto_names: choice.proto_names,
        }
    }

    /// The message that a text stands for.
    ///
    /// # Errors
    /// It stands for none.
    pub fn read(&self, message: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, BadJson> {
        let mut reading = serde_json::Deserializer::from_slice(text);
        let read = DynamicMessage::deserialize_with_options(message.clone(), &mut reading, &self.read);
        let read = read.map_err(|error| error.to_string())?;
        reading.end().map_err(|error| error.to_string())?;
        Ok(read)
    }

    /// A message of which a text stands for one field.
    ///
    /// # Errors
    /// It does not.
    pub fn read_field(&self, field: &FieldDescriptor, text: &[u8]) -> Result<DynamicMessage, BadJson> {
        let mut reading = serde_json::Deserializer::from_slice(text);
        let only = Only { name: Some(field.json_name()), value: &mut reading };
        let read = DynamicMessage::deserialize_with_options(field.parent_message().clone(), only, &self.read);
        let read = read.map_err(|error| error.to_string())?;
        reading.end().map_err(|error| error.to_string())?;
        Ok(read)
    }

    /// The value that a piece of text, of a path or a query, stands for; `None` where it is an enum value that is not known
    /// and is passed over.
    ///
    /// # Errors
    /// It is no value of that kind.
    pub fn read_text(&self, kind: &Kind, text: &str) -> Result<Option<Value>, BadJson> {
        let wrong = || format!("`{}` is no {}", shortened(text), named(kind));
        let value = match kind {
            Kind::String => Value::String(text.to_owned()),
            Kind::Bool => Value::Bool(text.parse().map_err(|_| wrong())?),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(text.parse().map_err(|_| wrong())?),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(text.parse().map_err(|_| wrong())?),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(text.parse().map_err(|_| wrong())?),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(text.parse().map_err(|_| wrong())?),
            Kind::Float => Value::F32(text.parse().map_err(|_| wrong())?),
            Kind::Double => Value::F64(text.parse().map_err(|_| wrong())?),
            Kind::Bytes => Value::Bytes(decoded(text).ok_or_else(wrong)?.into()),
            Kind::Enum(known) => {
                match known.get_value_by_name(text).map(|value| value.number()).or(text.parse().ok()) {
                    Some(number) => Value::EnumNumber(number),
                    None if self.lenient => return Ok(None),
                    None => return Err(wrong()),
                }
            }
            Kind::Message(message) => {
                let wrapped = message.full_name() == "google.protobuf.BoolValue";
                let value = match (wrapped, message.get_field_by_name("value")) {
                    (true, Some(field)) => {
                        let mut value = DynamicMessage::new(message.clone());
                        value.set_field(&field, Value::Bool(text.parse().map_err(|_| wrong())?));
                        value
                    }
                    _ => {
                        let reading: StrDeserializer<'_, serde_json::Error> = StrDeserializer::new(text);
                        DynamicMessage::deserialize_with_options(message.clone(), reading, &self.read)
                            .map_err(|_| wrong())?
                    }
                };
                Value::Message(value)
            }
        };
        Ok(Some(value))
    }

    /// Writes a message after what is there.
    ///
    /// # Errors
    /// It cannot be written: it is too deep, or holds what JSON has no form for.
    pub fn write(&self, message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), BadJson> {
        let mut writing = serde_json::Serializer::with_formatter(out, Shallow { depth: 0 });
        message.serialize_with_options(Careful(&mut writing), &self.write).map_err(|error| error.to_string())
    }

    /// Writes one field of a message after what is there.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_field(
        &self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        out: &mut Vec<u8>,
    ) -> Result<(), BadJson> {
        if let (Value::Message(inner), true) = (message.get_field(field).as_ref(), message.has_field(field)) {
            return self.write(inner, out);
        }
        if !message.has_field(field) {
            out.extend_from_slice(empty(field).as_bytes());
            return Ok(());
        }
        let mut only = DynamicMessage::new(message.descriptor());
        only.set_field(field, message.get_field(field).into_owned());
        let name = if self.proto_names { field.name() } else { field.json_name() };
        let before = format!("{{{}:", serde_json::Value::from(name)).len();
        let mut whole = Vec::new();
        let options = self.write.clone().skip_default_fields(true);
        let mut writing = serde_json::Serializer::with_formatter(&mut whole, Shallow { depth: 0 });
        only.serialize_with_options(Careful(&mut writing), &options).map_err(|error| error.to_string())?;
        out.extend_from_slice(whole.get(before..whole.len().saturating_sub(1)).unwrap_or_default());
        Ok(())
    }
}

/// Bytes as the mapping reads them: base64 of either alphabet, padded or not.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    GeneralPurpose::new(&alphabet, lenient).decode(text).ok()
}

/// What stands for a field that has not been set.
fn empty(field: &FieldDescriptor) -> &'static str {
    match field.kind() {
        _ if field.is_map() => "{}",
        _ if field.is_list() => "[]",
        Kind::Message(_) => "null",
        Kind::String | Kind::Bytes => "\"\"",
        Kind::Bool => "false",
        _ => "0",
    }
}

fn named(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(known) => format!("value of {}", known.full_name()),
        Kind::Bool => "bool: write `true` or `false`".to_owned(),
        Kind::Bytes => "base64".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(40).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// Writes nothing too deep: messages in `Any` are read anew, at no depth at all, and could make the stack overflow.
struct Shallow {
    depth: u32,
}

impl Shallow {
    fn enter(&mut self) -> io::Result<()> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => Err(io::Error::other("messages too deep within one another")),
            false => Ok(()),
        }
    }
}

impl Formatter for Shallow {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        CompactFormatter.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        CompactFormatter.end_array(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.enter()?;
        CompactFormatter.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.depth = self.depth.saturating_sub(1);
        CompactFormatter.end_object(out)
    }
}

/// A map of one member, whose value is read from elsewhere.
struct Only<'a, D> {
    name: Option<&'a str>,
    value: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Only<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_map(OnlyMember { name: self.name, value: Some(self.value) })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct OnlyMember<'a, D> {
    name: Option<&'a str>,
    value: Option<D>,
}

impl<'de, D: Deserializer<'de>> MapAccess<'de> for OnlyMember<'_, D> {
    type Error = D::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, D::Error> {
        self.name.take().map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, D::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value),
            None => Err(serde::de::Error::custom("no value")),
        }
    }
}
