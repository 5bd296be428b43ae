//! From files to the written configuration: includes merged, everything wrong gathered.

use super::yaml::{self, Document, Kind, Node};
use super::{Config, ReplyTemplate};
use crate::value::{Named, Place, Problems, Sources, Spanned};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Files that one include may bring.
const MOST_INCLUDED: usize = 1_000;

/// A configuration that was read.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The files it was read from.
    pub sources: Sources,
    /// What is wrong or worth saying so far. Where something is wrong, it is left out of `config`; compiling goes on to
    /// find the rest, and refuses.
    pub problems: Problems,
    /// Paths of the files, for watching.
    pub files: Vec<PathBuf>,
    /// The main file as a tree, for `fmt`.
    pub document: Document,
}

impl Loaded {
    /// Itself, when nothing was wrong with it so far.
    ///
    /// # Errors
    /// All problems at once.
    pub fn sound(self) -> Result<Self, Failed> {
        if self.problems.is_fatal() {
            return Err(Failed { sources: self.sources, problems: self.problems });
        }
        Ok(self)
    }

    /// The names in a top-level map of the main file, those of entries that were left out too.
    pub fn written_names(&self, map: &str) -> Vec<&str> {
        let found = self.document.root.entries().iter().find(|entry| entry.key.text == map);
        let entries = found.map(|entry| entry.value.entries()).unwrap_or_default();
        entries.iter().map(|entry| entry.key.text.as_str()).collect()
    }
}

/// A configuration that was refused. Displays every problem with its place.
#[derive(Debug)]
pub struct Failed {
    /// The files it was read from.
    pub sources: Sources,
    /// What is wrong.
    pub problems: Problems,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.problems.render(&self.sources).trim_end())
    }
}

/// Reads a file and what it includes.
///
/// # Errors
/// All problems at once.
pub fn load(path: &Path) -> Result<Loaded, Failed> {
    read(path).and_then(Loaded::sound)
}

/// Reads a text, under a name for messages; relative paths start at the current folder.
///
/// # Errors
/// All problems at once.
pub fn load_str(name: &str, text: &str) -> Result<Loaded, Failed> {
    read_str(name, text).and_then(Loaded::sound)
}

/// Reads a file as far as it can be, for compiling: that finds the rest of what is wrong.
///
/// # Errors
/// The file cannot be read, or is not YAML.
pub fn read(path: &Path) -> Result<Loaded, Failed> {
    let mut loading = Loading::default();
    let bytes = match read_file(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            loading.problems.error(None, format!("{} cannot be read: {error}", path.display()));
            return Err(loading.failed());
        }
    };
    loading.files.push(path.to_owned());
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    loading.main(&path.display().to_string(), &folder, bytes)
}

/// Reads a text as far as it can be, for compiling; see [`read`].
///
/// # Errors
/// It is not YAML.
pub fn read_str(name: &str, text: &str) -> Result<Loaded, Failed> {
    Loading::default().main(name, Path::new(""), text.as_bytes().to_vec())
}

/// What an included file may hold.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Included {
    upstreams: Named<super::UpstreamConfig>,
    apis: Named<super::ApiConfig>,
    routes: super::Routes,
    replies: Named<ReplyTemplate>,
}

/// Reads a file, but none without end.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(yaml::LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).is_ok_and(|len| len > yaml::LARGEST_FILE) {
        true => Err(io::Error::other("it is larger than 16MiB")),
        false => Ok(bytes),
    }
}

#[derive(Default)]
struct Loading {
    sources: Sources,
    problems: Problems,
    files: Vec<PathBuf>,
    spoiled: HashSet<Place>,
}

impl Loading {
    fn failed(mut self) -> Failed {
        self.problems.sort();
        Failed { sources: self.sources, problems: self.problems }
    }

    fn main(mut self, name: &str, folder: &Path, bytes: Vec<u8>) -> Result<Loaded, Failed> {
        let Some(document) = self.parse(name, folder, bytes) else { return Err(self.failed()) };
        let Some(mut config) = self.read::<Config>(&document.root) else { return Err(self.failed()) };
        for pattern in config.include.clone() {
            self.include(&pattern, &mut config);
        }
        let mut found = Problems::new();
        super::check::check(&config, &mut found);
        // Where something was set aside, what seems to be missing may have been written.
        let spoiled = &self.spoiled;
        self.problems.extend(found.into_iter().filter(|it| it.place.is_none_or(|place| !spoiled.contains(&place))));
        self.problems.sort();
        Ok(Loaded { config, sources: self.sources, problems: self.problems, files: self.files, document })
    }

    fn parse(&mut self, name: &str, folder: &Path, bytes: Vec<u8>) -> Option<Document> {
        match String::from_utf8(bytes) {
            Ok(text) => {
                let source = self.sources.add(name, folder, text.as_str());
                let document = yaml::parse(source, &text, &mut self.problems)?;
                if matches!(document.root.kind, Kind::Null) {
                    let hint = "write at least `listen: :8080` and a map of `routes:`";
                    self.problems.error(document.root.place, "the file holds no configuration").hint(hint);
                    return None;
                }
                Some(document)
            }
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let readable = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = self.sources.add(name, folder, readable.as_str());
                let place = yaml::place_of(source, &readable, at);
                self.problems.error(place, "the file is not UTF-8").hint("save it as UTF-8");
                None
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, tree: &Node) -> Option<T> {
        let before = self.problems.len();
        let value = yaml::read(tree, &mut self.problems, &mut self.sources);
        if self.problems.len() > before {
            self.spoiled.extend(yaml::spoiled(tree));
        }
        value
    }

    fn include(&mut self, pattern: &Spanned<String>, config: &mut Config) {
        let full = self.sources.resolve(pattern.place, &pattern.value);
        let paths = match matching(&full) {
            Ok(paths) => paths,
            Err(message) => {
                self.problems.error(pattern.place, message);
                return;
            }
        };
        if paths.is_empty() {
            self.problems.warn(pattern.place, format!("`{}` matches no file", pattern.value));
        }
        for path in paths {
            // A file that two patterns match is read once.
            if self.files.contains(&path) {
                continue;
            }
            let bytes = match read_file(&path) {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.problems.error(pattern.place, format!("{} cannot be read: {error}", path.display()));
                    continue;
                }
            };
            self.files.push(path.clone());
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            let Some(tree) = self.parse(&path.display().to_string(), &folder, bytes) else { continue };
            if let Some(included) = self.read::<Included>(&tree.root) {
                self.merge(included, config);
            }
        }
    }

    fn merge(&mut self, included: Included, config: &mut Config) {
        let mut twice: Vec<(String, Place, Place)> = Vec::new();
        twice.extend(merge_named(&mut config.upstreams, included.upstreams));
        twice.extend(merge_named(&mut config.apis, included.apis));
        twice.extend(merge_named(&mut config.replies, included.replies));
        twice.extend(config.routes.merge(included.routes));
        for (name, second, first) in twice {
            self.problems
                .error(second, format!("`{name}` stands in another file already"))
                .hint("rename one of them")
                .related(first, "first written here");
        }
    }
}

fn merge_named<T>(into: &mut Named<T>, from: Named<T>) -> Vec<(String, Place, Place)> {
    let mut twice = Vec::new();
    for (name, value) in from {
        let (text, place) = (name.value.clone(), name.place);
        if let Err(first) = into.insert(name, value) {
            twice.push((text, place, first));
        }
    }
    twice
}

/// The files a pattern matches, sorted: `*` and `?` in the last part of the path.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let (Some(folder), Some(last)) = (pattern.parent(), pattern.file_name().and_then(|name| name.to_str())) else {
        return Err("this is not the path of a file".into());
    };
    if folder.to_string_lossy().contains(['*', '?']) {
        return Err("`*` and `?` may stand in the last part of the path only".into());
    }
    if !last.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| glob(last.as_bytes(), name.as_bytes())))
        .map(|entry| entry.path())
        .collect();
    if found.len() > MOST_INCLUDED {
        return Err(format!("`{last}` matches more than {MOST_INCLUDED} files"));
    }
    found.sort();
    Ok(found)
}

/// Whether a name matches: linear in the length of both, whatever the pattern.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b'?') => (p, n) = (p + 1, n + 1),
            Some(literal) if literal == byte => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, n) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_within_a_name() {
        for (pattern, name, matches) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a?c*", "abcd", true),
            ("*a*b", "xaxxb", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), name.as_bytes()), matches, "{pattern} {name}");
        }
    }
}
