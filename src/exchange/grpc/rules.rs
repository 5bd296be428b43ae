//! Rules of `google.api.http`: which requests call a method (google/api/http.proto).

use super::binding::{Binding, BodyBinding, PathValues};
use super::fields::FieldPath;
use super::schema::Method;
use super::template::Template;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, MethodDescriptor, Value};

/// The number of the option `google.api.http`.
const HTTP_OPTION: i32 = 72_295_728;
/// Where options stand in a method, and methods in a service, for places in the text (descriptor.proto).
const OPTIONS: i32 = 4;

/// A rule: requests of that kind call the method.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The method of HTTP; `None` for any.
    pub method: Option<Box<str>>,
    /// The template of the path.
    pub template: Template,
    /// What the request makes.
    pub binding: Binding,
    /// The name of the file it stands in.
    pub file: Box<str>,
    /// Line, column and length in it, counted from 1, where they are known.
    pub at: Option<(u32, u32, u32)>,
}

/// A rule that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRule {
    /// What is wrong.
    pub message: String,
    /// The name of the file it stands in.
    pub file: Box<str>,
    /// Line, column and length in it, counted from 1, where they are known.
    pub at: Option<(u32, u32, u32)>,
}

/// The rules of a method, its own and additional ones; none where it has none. Paths stand below so many segments.
///
/// # Errors
/// What is wrong with the first that is bad.
pub fn rules_of(method: &MethodDescriptor, below: usize) -> Result<Vec<Rule>, BadRule> {
    let Some(option) = method.parent_pool().get_extension_by_name("google.api.http") else { return Ok(Vec::new()) };
    let options = method.options();
    if !options.has_extension(&option) {
        return Ok(Vec::new());
    }
    let written = options.get_extension(&option);
    let Some(written) = written.as_message() else { return Ok(Vec::new()) };
    let additional = written.get_field_by_name("additional_bindings");
    let additional =
        additional.as_deref().and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_message);
    let called = Method::new(method);
    let all = std::iter::once(written).chain(additional);
    let (file, at): (Box<str>, _) = (method.parent_file().name().into(), place(method));
    let read = |rule| {
        let (verb, template, binding) = read(rule, &called, below)?;
        Ok(Rule { method: verb, template, binding, file: file.clone(), at })
    };
    all.map(read).collect::<Result<_, String>>().map_err(|message| {
        let message = format!("the rule of {}: {message}", called.name);
        BadRule { message, file: file.clone(), at }
    })
}

/// A method of HTTP, the template of a path, and what requests for them make.
type Read = (Option<Box<str>>, Template, Binding);

fn text(rule: &DynamicMessage, field: &str) -> String {
    rule.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn read(rule: &DynamicMessage, called: &Method, below: usize) -> Result<Read, String> {
    let (method, path) = pattern(rule)?;
    let template = Template::parse(&path).map_err(|why| format!("`{path}`: {}", why.0))?;
    let fields = template.fields().map(|field| single(&called.input, field)).collect::<Result<Vec<_>, _>>()?;
    let body = match text(rule, "body").as_str() {
        "" => BodyBinding::None,
        "*" => BodyBinding::Whole,
        field => BodyBinding::Field(top(&called.input, field)?),
    };
    let response = match text(rule, "response_body").as_str() {
        "" => None,
        field => Some(top(&called.output, field)?),
    };
    let query = !matches!(body, BodyBinding::Whole);
    let path = PathValues::Template(template.clone(), below);
    let binding = Binding { method: called.clone(), path, fields, body, query, response };
    Ok((method, template, binding))
}

fn pattern(rule: &DynamicMessage) -> Result<(Option<Box<str>>, String), String> {
    for name in ["get", "put", "post", "delete", "patch"] {
        if rule.has_field_by_name(name) {
            return Ok((Some(name.to_ascii_uppercase().into()), text(rule, name)));
        }
    }
    let custom = rule.get_field_by_name("custom");
    match custom.as_deref().and_then(Value::as_message).filter(|_| rule.has_field_by_name("custom")) {
        Some(custom) => match text(custom, "kind").as_str() {
            "*" => Ok((None, text(custom, "path"))),
            kind if !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Ok((Some(kind.into()), text(custom, "path")))
            }
            kind => Err(format!("`{kind}` is no method of HTTP")),
        },
        None => Err("it names no path".into()),
    }
}

/// The field that one value of a path goes to.
///
/// # Errors
/// There is none.
pub fn single(message: &MessageDescriptor, path: &str) -> Result<FieldPath, String> {
    let field = FieldPath::parse(message, path).map_err(|why| why.message().to_owned())?;
    match field.is_list() {
        true => Err(format!("field `{path}` of {} is repeated, and a path holds one value", message.full_name())),
        false => Ok(field),
    }
}

/// The field of that name, of a message itself.
///
/// # Errors
/// There is none.
pub fn top(message: &MessageDescriptor, name: &str) -> Result<FieldDescriptor, String> {
    let field = message.get_field_by_name(name);
    field.ok_or_else(|| format!("{} has no field `{name}`", message.full_name()))
}

/// Where the option stands in the text, else where the method does.
fn place(method: &MethodDescriptor) -> Option<(u32, u32, u32)> {
    let file = method.parent_file();
    let known = &file.file_descriptor_proto().source_code_info.as_ref()?.location;
    let own = method.path();
    let within = [own, &[OPTIONS, HTTP_OPTION]].concat();
    let found = known.iter().find(|location| location.path.starts_with(&within));
    let found = found.or_else(|| known.iter().find(|location| location.path == own))?;
    let number = |at: usize| found.span.get(at).and_then(|number| u32::try_from(*number).ok());
    let length = if found.span.len() == 3 { number(2)?.saturating_sub(number(1)?) } else { 1 };
    Some((number(0)? + 1, number(1)? + 1, length.max(1)))
}
