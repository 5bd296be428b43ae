//! Fields of messages by their paths: `book.author.name`.

use super::json::Json;
use form_urlencoded::parse;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// How deep a path leads.
const DEEPEST: usize = 32;

/// Messages that one piece of text stands for.
const TEXTUAL: [&str; 13] = [
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.FieldMask",
    "google.protobuf.BoolValue",
    "google.protobuf.BytesValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.FloatValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.StringValue",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
    "google.protobuf.Value",
];

/// The way to a field that one piece of text stands for.
#[derive(Clone, Debug)]
pub struct FieldPath {
    /// The messages on the way.
    way: Box<[FieldDescriptor]>,
    field: FieldDescriptor,
}

/// Why a path leads to no such field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadPath {
    /// There is no field of that name.
    Unknown(String),
    /// There is one, which text cannot stand for.
    Unfit(String),
}

impl BadPath {
    /// In words.
    pub fn message(&self) -> &str {
        match self {
            Self::Unknown(message) | Self::Unfit(message) => message,
        }
    }
}

impl FieldPath {
    /// The field at the end of a path, by names in the `.proto` or in JSON.
    ///
    /// # Errors
    /// There is none that text can stand for.
    pub fn parse(message: &MessageDescriptor, path: &str) -> Result<Self, BadPath> {
        let mut way: Vec<FieldDescriptor> = Vec::new();
        let mut within = message.clone();
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let field = within.get_field_by_name(name).or_else(|| within.get_field_by_json_name(name));
            let Some(field) = field.filter(|_| way.len() < DEEPEST) else {
                return Err(BadPath::Unknown(format!("{} has no field `{name}`", within.full_name())));
            };
            let unfit = |why: &str| Err(BadPath::Unfit(format!("field `{}` of {} {why}", name, within.full_name())));
            if names.peek().is_none() {
                return match field.kind() {
                    _ if field.is_map() => unfit("is a map, which one value cannot stand for"),
                    Kind::Message(inner) if !TEXTUAL.contains(&inner.full_name()) => {
                        unfit("is a message: name a field of it")
                    }
                    _ => Ok(Self { way: way.into(), field }),
                };
            }
            within = match field.kind() {
                Kind::Message(inner) if !field.is_list() && !field.is_map() => inner,
                _ => return unfit("is no single message"),
            };
            way.push(field);
        }
        Err(BadPath::Unknown("a path names a field".into()))
    }

    /// Whether several values may stand there.
    pub fn is_list(&self) -> bool {
        self.field.is_list()
    }

    /// Whether it leads into this field.
    pub fn is_in(&self, field: &FieldDescriptor) -> bool {
        self.way.first().unwrap_or(&self.field) == field
    }

    /// Whether both lead to the same field.
    pub fn is_same(&self, other: &Self) -> bool {
        self.field == other.field && self.way == other.way
    }

    /// What a piece of text stands for there; `None` where it is passed over.
    ///
    /// # Errors
    /// It stands for nothing.
    pub fn read(&self, json: &Json, text: &str) -> Result<Option<Value>, String> {
        let read = json.read_text(&self.field.kind(), text);
        read.map_err(|why| format!("field `{}`: {why}", self.field.name()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.field.name()
    }

    /// What kind of value stands there.
    pub fn kind(&self) -> Kind {
        self.field.kind()
    }

    /// Takes the value out; `None` where none is set.
    pub fn take(&self, message: &mut DynamicMessage) -> Option<Value> {
        let mut within = message;
        for field in &self.way {
            if !within.has_field(field) {
                return None;
            }
            within = within.get_field_mut(field).as_message_mut()?;
        }
        let value = within.has_field(&self.field).then(|| within.get_field(&self.field).into_owned());
        within.clear_field(&self.field);
        value
    }

    /// Puts a value there; after those that are there already, where it is a list.
    pub fn put(&self, message: &mut DynamicMessage, value: Value) {
        let mut within = message;
        for field in &self.way {
            let Some(inner) = within.get_field_mut(field).as_message_mut() else { return };
            within = inner;
        }
        match self.field.is_list() {
            true => {
                within.get_field_mut(&self.field).as_list_mut().into_iter().for_each(|list| list.push(value.clone()))
            }
            false => within.set_field(&self.field, value),
        }
    }
}

/// The values of a query, by the fields they go to.
///
/// # Errors
/// A value is none of its field's, or there is no such field and the mapping does not pass that over.
pub fn of_query(
    message: &MessageDescriptor,
    query: &str,
    json: &Json,
    is_taken: &dyn Fn(&FieldPath) -> bool,
) -> Result<Vec<(FieldPath, Value)>, String> {
    let mut found = Vec::new();
    for (name, text) in parse(query.as_bytes()) {
        let field = match FieldPath::parse(message, &name) {
            Ok(field) if !is_taken(&field) => field,
            _ if json.lenient => continue,
            Ok(_) => return Err(format!("query parameter `{name}`: the field has its value from elsewhere")),
            Err(why) => return Err(format!("query parameter `{name}`: {}", why.message())),
        };
        let value = field.read(json, &text).map_err(|why| format!("query parameter `{name}`: {why}"))?;
        found.extend(value.map(|value| (field, value)));
    }
    Ok(found)
}
