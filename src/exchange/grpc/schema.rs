//! Which messages and methods there are: `.proto` files compiled in process, and descriptor sets.

use super::files::{Fault, Finder, Text, read};
use crate::value::suggest;
use http::uri::PathAndQuery;
use prost_reflect::{DescriptorPool, MessageDescriptor, MethodDescriptor, ServiceDescriptor};
use protox::Compiler;
use std::path::{Path, PathBuf};

/// Messages and methods. Clones share what they hold.
#[derive(Clone, Debug)]
pub struct Schema {
    pool: DescriptorPool,
    /// The files that were named, rather than imported.
    named: Vec<String>,
}

/// What came of reading a schema.
#[derive(Debug)]
pub struct Loading {
    /// The schema, or all that is wrong with its files.
    pub schema: Result<Schema, Vec<Fault>>,
    /// The texts that were read, for showing places in them.
    pub texts: Vec<Text>,
    /// The files that were read, for watching.
    pub files: Vec<PathBuf>,
}

/// A method of a service.
#[derive(Clone, Debug)]
pub struct Method {
    /// `package.Service/Method`.
    pub name: Box<str>,
    /// Where a call of it goes.
    pub target: PathAndQuery,
    /// What it is sent.
    pub input: MessageDescriptor,
    /// What it answers.
    pub output: MessageDescriptor,
    /// How many messages go which way.
    pub kind: MethodKind,
}

/// How many messages a method takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodKind {
    /// One each.
    Unary,
    /// It answers with a stream.
    ServerStreaming,
    /// It is sent a stream.
    ClientStreaming,
    /// Both are streams, at once.
    Bidirectional,
}

impl MethodKind {
    /// Whether it is sent a stream.
    pub fn takes_stream(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::Bidirectional)
    }

    /// Whether it answers with a stream.
    pub fn gives_stream(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Bidirectional)
    }

    /// In words, for `explain`.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::ServerStreaming => "server streaming",
            Self::ClientStreaming => "client streaming",
            Self::Bidirectional => "bidirectional streaming",
        }
    }
}

impl Schema {
    /// Reads files; imports are looked for in the folders, and then where the file itself is. What ends in `.proto` is
    /// compiled, anything else is a descriptor set.
    pub fn load(paths: &[PathBuf], includes: &[PathBuf]) -> Loading {
        let (mut faults, mut files, mut named) = (Vec::new(), Vec::new(), Vec::new());
        let mut folders = includes.to_vec();
        for path in paths {
            let own = path.parent().unwrap_or(Path::new("")).to_path_buf();
            if !folders.iter().any(|folder| path.starts_with(folder)) {
                folders.push(own);
            }
        }
        let mut finder = Finder::new(folders.clone());
        for path in paths {
            if path.extension().is_some_and(|extension| extension == "proto") {
                let within = folders.iter().find_map(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
                named.push(within.to_string_lossy().into_owned());
                if let Err(error) = std::fs::metadata(path) {
                    faults.push(Fault::new(format!("{} cannot be read: {error}", path.display())));
                }
                continue;
            }
            files.push(path.clone());
            let added = read(path).map_err(|error| format!("cannot be read: {error}"));
            match added.and_then(|bytes| finder.add_set(&bytes)) {
                Ok(names) => named.extend(names),
                Err(why) => faults.push(Fault::new(format!("{}: {why}", path.display()))),
            }
        }
        let schema = match faults.is_empty() {
            true => compiled(&finder, named),
            false => Err(faults),
        };
        let texts = finder.texts();
        files.extend(texts.iter().map(|text| text.path.clone()));
        Loading { schema, texts, files }
    }

    /// The services in the files that were named, in order.
    pub fn services(&self) -> impl Iterator<Item = ServiceDescriptor> {
        let named = |service: &ServiceDescriptor| self.named.iter().any(|name| name == service.parent_file().name());
        self.pool.services().filter(named)
    }

    /// The pool that everything is in.
    pub fn pool(&self) -> &DescriptorPool {
        &self.pool
    }

    /// The method of that name: `package.Service/Method`.
    ///
    /// # Errors
    /// There is none: what is wrong, and which could be meant.
    pub fn method(&self, name: &str) -> Result<Method, (String, Option<String>)> {
        let split = name.trim_start_matches('/').split_once('/').or_else(|| name.rsplit_once('.'));
        let Some((service, method)) = split else {
            return Err((format!("`{name}` is no method"), Some("write `package.Service/Method`".into())));
        };
        let Some(found) = self.pool.get_service_by_name(service) else {
            return Err((format!("there is no service `{service}` in these files"), self.near_service(service)));
        };
        match found.methods().find(|known| known.name() == method) {
            Some(known) => Ok(Method::new(&known)),
            None => {
                let names: Vec<String> = found.methods().map(|known| known.name().to_owned()).collect();
                let hint = match suggest(method, names.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{service}/{near}`?"),
                    None => format!("it has {}", names.join(", ")),
                };
                Err((format!("service `{service}` has no method `{method}`"), Some(hint)))
            }
        }
    }

    /// What to write in place of a service that is not there.
    pub fn near_service(&self, name: &str) -> Option<String> {
        let all: Vec<String> = self.services().map(|service| service.full_name().to_owned()).collect();
        match suggest(name, all.iter().map(String::as_str)) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if all.is_empty() => None,
            None => Some(format!("there are {}", all.join(", "))),
        }
    }
}

impl Method {
    /// The method of that description.
    pub fn new(method: &MethodDescriptor) -> Self {
        let name = format!("{}/{}", method.parent_service().full_name(), method.name());
        // Names of services and methods are letters, digits, `_` and `.`: a path in any case.
        let target = PathAndQuery::try_from(format!("/{name}")).unwrap_or_else(|_| PathAndQuery::from_static("/"));
        let kind = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => MethodKind::Unary,
            (false, true) => MethodKind::ServerStreaming,
            (true, false) => MethodKind::ClientStreaming,
            (true, true) => MethodKind::Bidirectional,
        };
        Self { name: name.into(), target, input: method.input(), output: method.output(), kind }
    }
}

fn compiled(finder: &Finder, named: Vec<String>) -> Result<Schema, Vec<Fault>> {
    let mut compiler = Compiler::with_file_resolver(finder.clone());
    let mut faults = Vec::new();
    // What errors are told with is known to every schema.
    for name in named.iter().map(String::as_str).chain(["google/rpc/error_details.proto", "google/rpc/status.proto"]) {
        if let Err(error) = compiler.open_file(name) {
            faults.extend(Fault::all(&error));
        }
    }
    match faults.is_empty() {
        true => Ok(Schema { pool: compiler.descriptor_pool(), named }),
        false => Err(faults),
    }
}
