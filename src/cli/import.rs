//! `tollgate import`: routes for a service that is described elsewhere.

use crate::config::yaml;
use crate::exchange::grpc::{BodyBinding, Fault, Loading, Rule, Schema, Text, rules_of};
use crate::value::{Place, Problems, Sources};
use clap::{Args, Subcommand};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print routes.
#[derive(Args)]
pub struct Import {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// One route for each `google.api.http` rule of the services in a `.proto` file, or a descriptor set.
    Proto(Proto),
}

#[derive(Args)]
struct Proto {
    /// The file, as the configuration will name it.
    file: PathBuf,
    /// A folder that imports are looked for in; may be given several times.
    #[arg(short = 'I', long = "include", value_name = "FOLDER")]
    include: Vec<PathBuf>,
    /// The upstream that the routes call.
    #[arg(long, default_value = "grpc://127.0.0.1:50051")]
    to: String,
}

impl Import {
    /// Exit 0: printed, 1: problems.
    pub fn execute(self) -> ExitCode {
        let From::Proto(proto) = self.from;
        match proto.routes() {
            Ok(text) => {
                super::print(&text);
                ExitCode::SUCCESS
            }
            Err(problems) => {
                eprintln!("{problems}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Proto {
    fn routes(&self) -> Result<String, String> {
        let Loading { schema, texts, .. } = Schema::load(std::slice::from_ref(&self.file), &self.include);
        let schema = schema.map_err(|faults| rendered(&faults, &texts))?;
        let mut out = format!("# Routes of {}, by the rules of its methods.\nroutes:\n", self.file.display());
        let (mut known, empty) = (HashSet::new(), out.len());
        for method in schema.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            for rule in rules_of(&method, 0).map_err(|bad| format!("{}: {}", bad.file, bad.message))? {
                let pattern = rule.template.pattern();
                let key = rule.method.as_ref().map_or(pattern.clone(), |method| format!("{method} {pattern}"));
                match known.insert((rule.method.clone(), rule.template.shape())) {
                    true => self.route(&mut out, &key, &rule),
                    // Told apart by what stands behind `**`, which only `rules: true` can.
                    false => {
                        let _ = writeln!(out, "  # {}: {key} stands above already", rule.binding.method.name);
                    }
                }
            }
        }
        if out.len() == empty {
            return Err(format!("{}: no method has a rule of `google.api.http`", self.file.display()));
        }
        Ok(out)
    }

    fn route(&self, out: &mut String, key: &str, rule: &Rule) {
        let binding = &rule.binding;
        let (proto, method) = (quoted(&self.file.to_string_lossy()), quoted(&binding.method.name));
        let path = quoted(&rule.template.to_string());
        let _ = writeln!(out, "  {}:", quoted(key));
        let _ = writeln!(out, "    grpc:\n      proto: {proto}\n      method: {method}\n      path: {path}");
        if !self.include.is_empty() {
            let folders: Vec<String> = self.include.iter().map(|folder| quoted(&folder.to_string_lossy())).collect();
            let _ = writeln!(out, "      include: [{}]", folders.join(", "));
        }
        let body = match &binding.body {
            BodyBinding::None => "none".to_owned(),
            BodyBinding::Whole | BodyBinding::ByMethod => quoted("*"),
            BodyBinding::Field(field) => quoted(field.name()),
        };
        let _ = writeln!(out, "      body: {body}");
        if let Some(field) = &binding.response {
            let _ = writeln!(out, "      response_body: {}", quoted(field.name()));
        }
        let _ = writeln!(out, "    to: {}", quoted(&self.to));
    }
}

/// A text as YAML and JSON both read it; plain where that is the same.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    match !text.is_empty() && text.bytes().all(plain) && !text.starts_with('-') {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

/// What is wrong, each at its place.
fn rendered(faults: &[Fault], texts: &[Text]) -> String {
    let (mut sources, mut problems) = (Sources::default(), Problems::new());
    let folder = |path: &Path| path.parent().map(PathBuf::from).unwrap_or_default();
    let ids: Vec<_> = texts
        .iter()
        .map(|text| sources.add(text.path.display().to_string(), folder(&text.path), text.text.clone()))
        .collect();
    for fault in faults {
        let spot = fault.file.as_deref().zip(fault.span).and_then(|(file, (offset, length))| {
            let (text, id) = texts.iter().zip(&ids).find(|(text, _)| *text.name == *file)?;
            let place = yaml::place_of(*id, &text.text, offset);
            Some(Place { len: u32::try_from(length).unwrap_or(1).max(1), ..place })
        });
        problems.error(spot, fault.message.clone()).hint_if(fault.hint.clone());
    }
    problems.render(&sources)
}
