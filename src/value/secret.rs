//! Secrets: written by reference, resolved once, never shown.

use super::form::text_form;
use super::written::{Head, Node, ReadNode, SECRET_NODE, Shape, read_node};
use super::{Invalid, Place, Problem, suggest};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

/// The most a secret's file may hold, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;

/// A secret itself. Whatever prints it prints `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(secret: impl Into<String>) -> Secret {
        Secret(secret.into())
    }

    /// The secret in the clear, for the one who checks or sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What is no longer needed is overwritten, as far as a value that may have been moved allows.
impl Drop for Secret {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `$env:NAME`: the environment variable of that name.
    Env(String),
    /// `$file:path`: a file, relative to the file that names it; one trailing line end is dropped.
    File(String),
    /// `{ value: "…", insecure_inline: true }`: the secret itself, for demonstrations.
    Inline(Secret),
}

/// A secret as operators write it.
#[derive(Clone, Debug)]
pub struct SecretConfig {
    /// Where it comes from.
    pub source: SecretSource,
    /// Where it is written.
    pub place: Place,
}

impl PartialEq for SecretConfig {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl SecretConfig {
    /// Fetches the secret. Relative paths start at `folder`; `env` looks an environment variable up.
    /// An empty secret is refused: what compares against it would let everyone in.
    pub fn resolve(&self, folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Secret, Problem> {
        let problem = |message: String| Problem::error(self.place, message);
        let secret = match &self.source {
            SecretSource::Inline(secret) => secret.clone(),
            SecretSource::Env(name) => env(name).map(Secret).ok_or_else(|| {
                let mut problem = problem(format!("the environment variable `{name}` is not set"));
                problem.hint(format!("set `{name}` where the gateway is started"));
                problem
            })?,
            SecretSource::File(path) => {
                let path = folder.join(path);
                read_secret(&path)
                    .map_err(|e| problem(format!("cannot read the secret from {}: {e}", path.display())))?
            }
        };
        if secret.0.is_empty() {
            return Err(problem("the secret is empty".to_owned()));
        }
        Ok(secret)
    }
}

fn read_secret(path: &Path) -> std::io::Result<Secret> {
    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(LARGEST_FILE + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > LARGEST_FILE) {
        return Err(std::io::Error::other("it is longer than 64KiB"));
    }
    let kept = text.strip_suffix('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).map(str::len);
    text.truncate(kept.unwrap_or(text.len()));
    Ok(Secret(text))
}

/// Whether the text only refers to a secret, and so may be shown.
pub(crate) fn is_reference(text: &str) -> bool {
    text.starts_with("$env:") || text.starts_with("$file:")
}

/// Words in a name after which a secret is likely to stand.
pub(crate) const SECRET_NAMES: [&str; 7] = ["token", "secret", "password", "passwd", "credential", "api_key", "apikey"];

/// Whether a value of that name is likely to be a secret, a slip in the name included.
pub(crate) fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|word| name.contains(word)) || suggest(&name, SECRET_NAMES).is_some()
}

/// The short form: a reference.
struct Reference(SecretSource);

impl FromStr for Reference {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Reference, Invalid> {
        let hint = "write `$env:NAME` or `$file:path`";
        if let Some(name) = text.strip_prefix("$env:") {
            let legal = !name.is_empty() && !name.contains(['=', '\0']);
            return match legal {
                true => Ok(Reference(SecretSource::Env(name.to_owned()))),
                false => Err(Invalid::new("`$env:` needs the name of an environment variable").hint(hint)),
            };
        }
        match text.strip_prefix("$file:") {
            Some("") => Err(Invalid::new("`$file:` needs a path").hint(hint)),
            Some(path) => Ok(Reference(SecretSource::File(path.to_owned()))),
            // The text is not repeated: it is the secret.
            None => Err(Invalid::new("a secret must not stand in the file")
                .hint(format!("{hint}; or, where it need not be kept, `{{ value: …, insecure_inline: true }}`"))),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            SecretSource::Env(name) => write!(f, "$env:{name}"),
            SecretSource::File(path) => write!(f, "$file:{path}"),
            SecretSource::Inline(secret) => secret.fmt(f),
        }
    }
}

text_form!(Reference, "a reference to a secret: `$env:NAME` or `$file:path`", {
    "pattern": r"^\$(env|file):.+$",
    "examples": ["$env:TOLLGATE_ADMIN_TOKEN", "$file:secrets/admin"],
});

/// A secret in the file itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InlineSecret {
    /// The secret, or a reference to it.
    value: String,
    /// Must be `true` for a secret that stands in the file: everyone who reads the file knows it.
    #[serde(default)]
    insecure_inline: bool,
}

impl<'de> Deserialize<'de> for SecretConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = SecretConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<SecretConfig, N::Error> {
                if head.shape != Shape::Map {
                    return Ok(SecretConfig { source: node.value::<Reference>()?.0, place: head.place });
                }
                let inline: InlineSecret = node.value()?;
                let source = match inline.insecure_inline && !is_reference(&inline.value) {
                    true => SecretSource::Inline(Secret(inline.value)),
                    false => inline.value.parse::<Reference>().map_err(N::Error::custom)?.0,
                };
                Ok(SecretConfig { source, place: head.place })
            }
        }
        read_node(deserializer, SECRET_NODE, Forms)
    }
}

impl Serialize for SecretConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let SecretSource::Inline(secret) = &self.source else {
            return Reference(self.source.clone()).serialize(serializer);
        };
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("value", secret)?;
        map.serialize_entry("insecure_inline", &true)?;
        map.end()
    }
}

impl JsonSchema for SecretConfig {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Reference>(), generator.subschema_for::<InlineSecret>());
        json_schema!({ "description": "A secret, by reference.", "anyOf": [short, long] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(source: SecretSource) -> SecretConfig {
        SecretConfig { source, place: Place { line: 3, column: 9, len: 4, ..Place::NOWHERE } }
    }

    #[test]
    fn prints_only_stars() {
        let inline = secret(SecretSource::Inline(Secret::new("hunter2hunter2")));
        let printed = format!("{inline:?} {} {}", Secret::new("hunter2"), serde_json::to_string(&inline).unwrap());
        assert!(!printed.contains("hunter2"), "{printed}");
    }

    #[test]
    fn takes_a_secret_from_the_environment() {
        let env = |name: &str| (name == "TOKEN").then(|| "s3cr3t".to_owned());
        let found = secret(SecretSource::Env("TOKEN".into())).resolve(Path::new(""), &env).unwrap();
        assert_eq!(found.expose(), "s3cr3t");
        let problem = secret(SecretSource::Env("TOKN".into())).resolve(Path::new(""), &env).unwrap_err();
        assert_eq!(problem.message, "the environment variable `TOKN` is not set");
        assert_eq!(problem.place.unwrap().line, 3);
    }

    #[test]
    fn takes_a_secret_from_a_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(folder.path().join("token"), text).unwrap();
            let found = secret(SecretSource::File("token".into())).resolve(folder.path(), &|_| None);
            found.map(|secret| secret.expose().to_owned()).map_err(|problem| problem.message)
        };
        assert_eq!(read("s3cr3t\n").as_deref(), Ok("s3cr3t"));
        assert_eq!(read("s3cr3t\r\n").as_deref(), Ok("s3cr3t"));
        assert_eq!(read("s3cr3t\n\n").as_deref(), Ok("s3cr3t\n"));
        assert_eq!(read("\n"), Err("the secret is empty".to_owned()));
        assert!(read(&"x".repeat(70_000)).unwrap_err().ends_with("it is longer than 64KiB"));
    }
}
