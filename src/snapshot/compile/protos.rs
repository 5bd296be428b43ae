//! Schemas of gRPC, each read once, what is wrong with them shown at its place; and the routes that their rules make.

use super::Compiling;
use crate::config::{GrpcClientsConfig, GrpcConfig, yaml};
use crate::exchange::grpc::{BadRule, Binding, Fault, Loading, MethodKind, Rule, Schema, Text, rules_of};
use crate::routing::{Methods, PathPattern, RouteKey};
use crate::value::{Place, Sources, Spanned};
use std::path::PathBuf;
use std::sync::Arc;

/// What was named together, and what came of it.
type Known = ((Vec<PathBuf>, Vec<PathBuf>), Option<Arc<Schema>>);

/// The schemas of a compilation.
#[derive(Default)]
pub(super) struct Protos {
    known: Vec<Known>,
    /// Texts in which places are shown.
    texts: Vec<Text>,
    files: Vec<PathBuf>,
}

impl Protos {
    /// The files that were read.
    pub(super) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Adds the texts in which places are shown to the sources.
    pub(super) fn tell(self, sources: &mut Sources) {
        for Text { path, text, .. } in self.texts {
            let folder = path.parent().map(PathBuf::from).unwrap_or_default();
            sources.add(path.display().to_string(), folder, text);
        }
    }
}

/// Routes that rules make: their keys, and what their requests call.
type Ruled = Vec<(Spanned<String>, Called)>;

/// What requests of a route call that is made of rules.
pub(super) enum Called {
    /// A service that speaks gRPC, for clients that speak JSON: one of these methods.
    Grpc(Vec<Arc<Binding>>),
    /// A service that speaks JSON, for clients that speak gRPC: as the rule of their method says.
    Json(Box<Rule>),
}

/// Rules whose paths one pattern matches.
struct Group {
    method: Option<Box<str>>,
    shape: String,
    rules: Vec<Rule>,
}

impl Compiling<'_> {
    /// The schema that a route names; `None` where there is a problem.
    pub(super) fn schema(&mut self, written: &Spanned<GrpcConfig>) -> Option<Arc<Schema>> {
        if written.proto.is_empty() {
            return None; // said in reading
        }
        let resolve = |paths: &[Spanned<String>]| -> Vec<PathBuf> {
            paths.iter().map(|path| self.sources().resolve(path.place, &path.value)).collect()
        };
        let named = (resolve(&written.proto), resolve(&written.include));
        if let Some((_, schema)) = self.protos.known.iter().find(|(known, _)| *known == named) {
            return schema.clone();
        }
        let Loading { schema, texts, files } = Schema::load(&named.0, &named.1);
        let new = |file: &PathBuf| !self.protos.files.contains(file);
        let files: Vec<PathBuf> = files.into_iter().filter(new).collect();
        self.protos.files.extend(files);
        let base = self.protos.texts.len();
        self.protos.texts.extend(texts);
        let schema = match schema {
            Ok(schema) => Some(Arc::new(schema)),
            Err(faults) => {
                let place = written.proto.first().map_or(written.place, |path| path.place);
                faults.into_iter().for_each(|fault| self.fault(fault, base, place));
                None
            }
        };
        self.protos.known.push((named, schema.clone()));
        schema
    }

    /// What is wrong with a file, at its place there, else where the file is named.
    fn fault(&mut self, fault: Fault, base: usize, named: Place) {
        let spot = fault.file.as_deref().zip(fault.span).and_then(|(file, (offset, length))| {
            let (number, text) = self.proto_text(file, base)?;
            let place = yaml::place_of(self.sources().upcoming(number), &text.text, offset);
            Some(Place { len: u32::try_from(length).unwrap_or(1).max(1), ..place })
        });
        let message = match (&spot, &fault.file) {
            (None, Some(file)) if !fault.message.contains(&**file) => format!("{file}: {}", fault.message),
            _ => fault.message,
        };
        self.problems.error(spot.unwrap_or(named), message).hint_if(fault.hint);
    }

    /// The number of a text among those read since, and itself.
    fn proto_text(&self, name: &str, base: usize) -> Option<(usize, &Text)> {
        self.protos.texts.iter().enumerate().skip(base).find(|(_, text)| *text.name == *name)
    }

    /// The routes that the rules of a schema make, below the route's own path.
    pub(super) fn ruled(
        &mut self,
        key: &Spanned<String>,
        written: &Spanned<GrpcConfig>,
        base: Option<&PathPattern>,
    ) -> Ruled {
        let Some(parsed) = self.pattern(key, RouteKey::parse(&key.value)) else { return Vec::new() };
        let prefix = key.value.strip_suffix("/**").filter(|_| parsed.methods == Methods::Any);
        let prefix = prefix.and_then(|prefix| match prefix {
            "" => Some((prefix, 0)),
            prefix => Some((prefix, PathPattern::parse(prefix).ok()?.segment_count()?)),
        });
        let Some((prefix, segments)) = prefix else {
            self.problems
                .error(key.place, "the routes of `rules` stand below a path")
                .hint("write `/**`, or `/below/**`, without a method: the rules say which");
            return Vec::new();
        };
        let Some(schema) = self.schema(written) else { return Vec::new() };
        if written.clients == GrpcClientsConfig::Grpc {
            return self.methods(key, (&schema, written), prefix.is_empty() && base.is_none());
        }
        let below = segments + base.and_then(PathPattern::segment_count).unwrap_or_default();
        let before = self.problems.len();
        let groups = self.groups(&schema, written, below);
        if groups.is_empty() && self.problems.len() == before {
            self.problems
                .error(written.place, "no method here has a rule of `google.api.http`")
                .hint("write `option (google.api.http) = { get: \"/v1/{name}\" };` in it, or `method:` here");
        }
        groups.into_iter().filter_map(|group| self.group(key, prefix, group)).collect()
    }

    /// The routes of clients that speak gRPC: one for each method that has a rule, and takes and gives one message.
    fn methods(
        &mut self,
        key: &Spanned<String>,
        (schema, written): (&Schema, &Spanned<GrpcConfig>),
        at_root: bool,
    ) -> Ruled {
        if !at_root {
            self.problems
                .error(key.place, "methods of gRPC are called at `/package.Service/Method`")
                .hint("write `/**`, outside of a `base`");
            return Vec::new();
        }
        let mut first: Vec<Rule> = Vec::new();
        for group in self.groups(schema, written, 0) {
            for rule in group.rules.into_iter().filter(|rule| rule.binding.method.kind == MethodKind::Unary) {
                if first.iter().all(|known| known.binding.method.name != rule.binding.method.name) {
                    first.push(rule);
                }
            }
        }
        let route = |rule: Rule| {
            let own = format!("POST /{}", rule.binding.method.name);
            (Spanned::new(own, key.place), Called::Json(Box::new(rule)))
        };
        first.into_iter().map(route).collect()
    }

    fn groups(&mut self, schema: &Schema, written: &GrpcConfig, below: usize) -> Vec<Group> {
        for service in written.service.iter() {
            if !schema.services().any(|known| known.full_name() == service.value) {
                self.problems
                    .error(service.place, format!("there is no service `{}` in these files", service.value))
                    .hint_if(schema.near_service(&service.value));
            }
        }
        let chosen = |name: &str| written.service.is_empty() || written.service.iter().any(|own| own.value == name);
        let mut groups: Vec<Group> = Vec::new();
        for service in schema.services().filter(|service| chosen(service.full_name())) {
            for method in service.methods() {
                match rules_of(&method, below) {
                    Ok(rules) => rules.into_iter().for_each(|rule| self.add(&mut groups, rule, written)),
                    Err(bad) => self.bad_rule(bad, written),
                }
            }
        }
        groups
    }

    fn add(&mut self, groups: &mut Vec<Group>, rule: Rule, written: &GrpcConfig) {
        let shape = rule.template.shape();
        let Some(group) = groups.iter_mut().find(|group| group.method == rule.method && group.shape == shape) else {
            groups.push(Group { method: rule.method.clone(), shape, rules: vec![rule] });
            return;
        };
        if let Some(first) = group.rules.iter().find(|known| known.template.is_like(&rule.template)) {
            let (method, first) = (&rule.binding.method.name, &first.binding.method.name);
            let message = format!("the rule of {method}: the same requests call {first} already");
            let bad = BadRule { message, file: rule.file, at: rule.at };
            self.bad_rule(bad, written);
            return;
        }
        // A path that ends in a verb is one for the rule that names the verb.
        let at = if rule.template.has_verb() { 0 } else { group.rules.len() };
        group.rules.insert(at, rule);
    }

    fn bad_rule(&mut self, bad: BadRule, written: &GrpcConfig) {
        let named = written.proto.first().map_or(Place::NOWHERE, |path| path.place);
        let place = bad.at.and_then(|(line, column, len)| {
            let (number, text) = self.proto_text(&bad.file, 0)?;
            let before: usize = text.text.split_inclusive('\n').take(line as usize - 1).map(str::len).sum();
            let offset = u32::try_from(before).ok()?.saturating_add(column - 1);
            Some(Place { source: self.sources().upcoming(number), line, column, len, offset })
        });
        self.problems.error(place.unwrap_or(named), bad.message);
    }

    /// The route of a group of rules.
    fn group(&mut self, key: &Spanned<String>, prefix: &str, group: Group) -> Option<(Spanned<String>, Called)> {
        let pattern = format!("{prefix}{}", group.rules.first()?.template.pattern());
        let text = match &group.method {
            Some(method) => format!("{method} {pattern}"),
            None => pattern,
        };
        let bindings = group.rules.into_iter().map(|rule| Arc::new(rule.binding)).collect();
        Some((Spanned::new(text, key.place), Called::Grpc(bindings)))
    }
}
