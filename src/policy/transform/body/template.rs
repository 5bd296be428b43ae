//! `template:`: bodies written by a template (minijinja).
//!
//! A template is compiled when the file is read and run off the workers. It sees the parsed body as `body` and the texts it
//! is given with `with`; an unknown name refuses the file. What it puts in is escaped for the media type it writes: JSON
//! values in JSON, entities in HTML and XML. It may take [`FUEL`] instructions and write four times the largest body.
//! Whole numbers are exact up to 128 bits, others are doubles.

use super::format::Format;
use super::jq::turns;
use super::json::{Json, Unfit, plain};
use crate::policy::Setup;
use crate::policy::transform::value::{Place, Scope, Value};
use crate::policy::transform::variable::Facts;
use crate::value::form::{short_form, with_short_form};
use crate::value::{Named, Spanned};
use http::HeaderValue;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as Seen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::io::{Error, Write};
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Instructions that one run may take.
const FUEL: u64 = 1_000_000;
/// The longest template, in bytes.
const LONGEST: usize = 256 * 1024;
/// The name of the body.
const BODY: &str = "body";

/// A template for a body.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "TemplateConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The template itself."))]
pub struct TemplateConfig {
    /// The template, in the language of Jinja: `{{ body.id }}`, `{% for item in body.items %}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Spanned<String>>,
    /// Or the file it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// What it writes: a media type. Default `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Spanned<String>>,
    /// Texts that the template names: `{ id: "{id}" }` is `{{ id }}`. None where a variable in one is not there.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub with: Named<Spanned<String>>,
}

impl FromStr for TemplateConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let text = Some(Spanned::nowhere(text.to_owned()));
        Ok(Self { text, file: None, content_type: None, with: Named::default() })
    }
}
short_form!(TemplateConfig, "a template, or a map with text or file, content_type and with", |template, place| {
    if let Some(text) = &mut template.text {
        text.place = place;
    }
});

/// A compiled template.
pub struct Template {
    environment: Environment<'static>,
    /// The `Content-Type` of what it writes.
    pub content_type: HeaderValue,
    with: Box<[(Box<str>, Value)]>,
    written: Box<str>,
    /// Turns to run it.
    pub turns: Arc<Semaphore>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written && self.content_type == other.content_type && self.with == other.with
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.content_type.to_str().unwrap_or_default();
        write!(f, "template of {} bytes, {kind}", self.written.len())
    }
}

impl Template {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &Spanned<TemplateConfig>, scope: &Scope<'_>, setup: &mut Setup<'_>) -> Option<Arc<Self>> {
        let config = &written.value;
        let (text, place) = match (&config.text, &config.file) {
            (Some(text), None) => (text.value.clone(), text.place),
            (None, Some(file)) => match String::from_utf8(setup.read_file(file)?) {
                Ok(text) => (text, file.place),
                Err(_) => {
                    setup.problems.error(file.place, "the template is not UTF-8");
                    return None;
                }
            },
            _ => {
                setup.problems.error(written.place, "a template has `text` or `file`");
                return None;
            }
        };
        if text.len() > LONGEST {
            setup.problems.error(place, format!("a template has at most {LONGEST} bytes"));
            return None;
        }
        let kind = config.content_type.as_ref().map_or("application/json", |kind| kind.value.as_str());
        let Ok(content_type) = HeaderValue::from_str(kind) else {
            setup.problems.error(config.content_type.as_ref().map(|kind| kind.place), "this is no media type");
            return None;
        };
        let mut with: Vec<(Box<str>, Value)> = Vec::new();
        for (name, value) in config.with.iter() {
            with.push((name.value.as_str().into(), Value::compile(value, scope, setup)?));
        }
        let environment = environment(&text, escape(kind)).map_err(|error| {
            let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
            setup
                .problems
                .error(place, format!("this is no template{line}: {}", error.detail().unwrap_or("it is malformed")));
        });
        let environment = environment.ok()?;
        let mut unknown: Vec<String> =
            environment.get_template("body").ok()?.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| name != BODY && name != "range" && with.iter().all(|(known, _)| **known != **name));
        unknown.sort();
        for name in &unknown {
            setup
                .problems
                .error(place, format!("the template knows no `{name}`"))
                .hint(format!("it has `body` and what `with:` gives it: `with: {{ {name}: \"{{…}}\" }}`"));
        }
        let turns = turns();
        unknown
            .is_empty()
            .then(|| Arc::new(Self { environment, content_type, with: with.into(), written: text.into(), turns }))
    }

    /// The format of what it writes, where that is one that is read.
    pub fn format(&self) -> Option<Format> {
        Format::of(self.content_type.as_bytes())
    }

    /// The texts it names, for one request.
    pub fn texts(&self, facts: &Facts<'_>) -> Box<[Option<String>]> {
        self.with.iter().map(|(_, value)| value.expand(facts, Place::Text)).collect()
    }

    /// What it writes for a body, of at most that many bytes.
    ///
    /// # Errors
    /// It fails, takes too long, or writes too much.
    pub fn run(&self, body: &Json<'_>, texts: &[Option<String>], most: usize) -> Result<String, Unfit> {
        const FAILS: Unfit = Unfit("the template of this route fails on it");
        let named = self
            .with
            .iter()
            .zip(texts)
            .map(|((name, _), text)| (name.to_string(), text.as_deref().map_or(Seen::from(()), Seen::from)));
        let seen = Seen::from_pairs(named.chain([(BODY.to_owned(), see(body))]));
        let mut out = Bounded { text: Vec::with_capacity(1024), most, full: false };
        let template = self.environment.get_template("body").map_err(|_| FAILS)?;
        let rendered = template.render_captured_to(seen, &mut out).map(drop);
        match rendered {
            _ if out.full => Err(Unfit("it becomes too large")),
            Err(error) if error.kind() == minijinja::ErrorKind::OutOfFuel => {
                Err(Unfit("the template of this route takes too long for it"))
            }
            Err(_) => Err(FAILS),
            Ok(()) => String::from_utf8(out.text).map_err(|_| FAILS),
        }
    }
}

/// What is written, up to a bound.
struct Bounded {
    text: Vec<u8>,
    most: usize,
    full: bool,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.text.len() + bytes.len() > self.most {
            self.full = true;
            return Err(Error::other("full"));
        }
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// How what is put into a text of that media type is escaped.
fn escape(kind: &str) -> AutoEscape {
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.rsplit(['/', '+']).next() {
        Some("json") => AutoEscape::Json,
        Some("html" | "xml") => AutoEscape::Html,
        _ => AutoEscape::None,
    }
}

/// Everything a template may use: nothing that reads anything, and nothing by which a text could double itself in a loop.
fn environment(text: &str, escape: AutoEscape) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(move |_| escape.clone());
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    environment.remove_global("namespace");
    environment.remove_global("debug");
    for name in ["indent", "center", "format", "batch", "slice"] {
        environment.remove_filter(name);
    }
    environment.add_template_owned("body", text.to_owned())?;
    Ok(environment)
}

/// A body as templates see it.
fn see(json: &Json<'_>) -> Seen {
    match json {
        Json::List(items) => items.iter().map(see).collect(),
        Json::Object(members) => {
            Seen::from_pairs(members.iter().map(|(name, value)| (plain(name).into_owned(), see(value))))
        }
        Json::Scalar(text) => match &**text {
            "null" => Seen::from(()),
            "true" => Seen::from(true),
            "false" => Seen::from(false),
            text if text.starts_with('"') => {
                Seen::from(plain(text.get(1..text.len().saturating_sub(1)).unwrap_or_default()))
            }
            number => {
                let whole = number.parse::<i64>().map(Seen::from).or_else(|_| number.parse::<i128>().map(Seen::from));
                whole.unwrap_or_else(|_| number.parse::<f64>().map_or(Seen::from(()), Seen::from))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{messages, with_setup, written};
    use std::path::Path;

    fn compiled(yaml: &str) -> (Option<Arc<Template>>, Vec<String>) {
        let config: Spanned<TemplateConfig> = written(yaml);
        let scope = Scope { captures: &[], route: "/", api: "", env: &[], answered: false };
        let (made, problems, _) = with_setup(Path::new("."), |setup| Template::compile(&config, &scope, setup));
        (made, messages(&problems))
    }

    fn run(text: &str, kind: &str, body: &str) -> Result<String, &'static str> {
        let yaml =
            serde_json::json!({ "text": text, "content_type": kind, "with": { "who": "{host}", "none": "{query.q}" } });
        let (template, problems) = compiled(&yaml.to_string());
        assert_eq!(problems, Vec::<String>::new(), "{text}");
        let texts = [Some("<a\"&".to_owned()), None];
        template.unwrap().run(&Json::parse(body).unwrap(), &texts, 4096).map_err(|unfit| unfit.0)
    }

    #[test]
    fn what_is_put_in_is_escaped_for_what_is_written() {
        for (text, kind, body, output) in [
            (
                "{\"id\": {{ body.id }}, \"who\": {{ who }}}",
                "application/json",
                "{\"id\":\"<\\\"x\"}",
                "{\"id\": \"<\\\"x\", \"who\": \"<a\\\"&\"}",
            ),
            (
                "[{% for item in body %}{{ item.n }}{% if not loop.last %},{% endif %}{% endfor %}]",
                "application/json",
                "[{\"n\":1},{\"n\":12345678901234567890123}]",
                "[1,12345678901234567890123]",
            ),
            (
                "<p>{{ body.a }}{{ who }}</p>",
                "text/html; charset=utf-8",
                "{\"a\":\"<script>\"}",
                "<p>&lt;script&gt;&lt;a&quot;&amp;</p>",
            ),
            ("<a b=\"{{ body }}\"/>", "application/soap+xml", "\"<&\\\"\"", "<a b=\"&lt;&amp;&quot;\"/>"),
            ("{{ body.a }} {{ who }}", "text/plain", "{\"a\":1.5}", "1.5 <a\"&"),
            ("{{ none }}", "application/json", "1", "null"),
            ("{{ body.a.b | default('x') }}", "text/plain", "{\"a\":{}}", "x"),
        ] {
            assert_eq!(run(text, kind, body).as_deref(), Ok(output), "{text}");
        }
    }

    #[test]
    fn templates_end_and_write_no_more_than_they_may() {
        for text in [
            "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}",
            "{% for a in range(1000) %}{{ 'xxxxxxxxxx' }}{% endfor %}",
            "{{ 'x' * 100000000000 }}",
            "{{ 'x' * 100000 }}",
            "{{ range(1000000000) }}",
            "{% set a = 'x' * 10000 %}{% set b = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}{{ b }}",
            "{{ body | replace('', 'xxxxxxxxxx' * 1000) }}",
            "{{ body.nothing.more }}",
            "{% for item in body %}{{ item }}{% endfor %}{{ 1 / 0 }}",
        ] {
            assert!(run(text, "text/plain", "\"abc\"").is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_template_or_names_nothing_is_refused() {
        for (yaml, problem) in [
            ("\"{{ body.id\"", "this is no template"),
            ("\"{% for a in b %}\"", "this is no template"),
            ("\"{{ boddy.id }}\"", "the template knows no `boddy`"),
            ("{ text: a, file: b }", "a template has `text` or `file`"),
            ("{}", "a template has `text` or `file`"),
            ("{ file: nowhere.j2 }", "nowhere.j2 cannot be read"),
            ("{ text: a, with: { a: \"{nothing}\" } }", "there is no variable `nothing`"),
            ("\"{% include 'x' %}\"", "this is no template"),
        ] {
            let (_, problems) = compiled(yaml);
            assert!(problems.iter().any(|found| found.contains(problem)), "{yaml}: {problems:?}");
        }
    }
}
