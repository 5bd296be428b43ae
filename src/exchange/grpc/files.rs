//! Where the files of a schema come from: folders, descriptor sets, and those that are built in.

use miette::Diagnostic;
use protox::Error;
use protox::file::{File, FileResolver, GoogleFileResolver};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest file that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Files that services import and few ship: their rules for HTTP, and what errors are told with.
const BUILT_IN: [(&str, &str); 7] = [
    ("google/api/annotations.proto", include_str!("builtin/annotations.proto")),
    ("google/api/field_behavior.proto", include_str!("builtin/field_behavior.proto")),
    ("google/api/http.proto", include_str!("builtin/http.proto")),
    ("google/api/httpbody.proto", include_str!("builtin/httpbody.proto")),
    ("google/rpc/code.proto", include_str!("builtin/code.proto")),
    ("google/rpc/error_details.proto", include_str!("builtin/error_details.proto")),
    ("google/rpc/status.proto", include_str!("builtin/status.proto")),
];

/// A file that has been read.
#[derive(Clone, Debug)]
pub struct Text {
    /// The name that others import it by.
    pub name: Box<str>,
    /// Where it is.
    pub path: PathBuf,
    /// What stands in it.
    pub text: Arc<str>,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the file, where it is one of those that were read.
    pub file: Option<Box<str>>,
    /// Where in it, in bytes, and how long.
    pub span: Option<(usize, usize)>,
    /// What.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Fault {
    /// Something that is wrong with no place in particular.
    pub fn new(message: impl Into<String>) -> Self {
        Self { file: None, span: None, message: message.into(), hint: None }
    }

    /// All that the compiler found at once.
    pub(super) fn all(error: &Error) -> Vec<Self> {
        let file: Option<Box<str>> = error.file().map(Into::into);
        let one = |found: &dyn Diagnostic| {
            let span = found.labels().and_then(|mut labels| labels.next()).map(|label| (label.offset(), label.len()));
            let (message, hint) = (found.to_string(), found.help().map(|help| help.to_string()));
            Self { file: file.clone(), span, message, hint }
        };
        let mut all = vec![one(error)];
        all.extend(error.related().into_iter().flatten().map(one));
        all
    }
}

/// Finds files by the names they are imported by, and remembers what it has read.
#[derive(Clone, Default)]
pub(super) struct Finder {
    folders: Vec<PathBuf>,
    sets: HashMap<String, Vec<u8>>,
    read: Arc<Mutex<Vec<Text>>>,
}

impl Finder {
    /// Looks in these folders, in that order.
    pub(super) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, ..Self::default() }
    }

    /// Takes up the files of a descriptor set; gives back their names.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn add_set(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let set: FileSet = prost::Message::decode(bytes).map_err(|_| "this is no descriptor set".to_owned())?;
        let mut names = Vec::new();
        for file in set.file {
            let name: FileName =
                prost::Message::decode(file.as_slice()).map_err(|_| "this is no descriptor set".to_owned())?;
            names.push(name.name.clone());
            self.sets.entry(name.name).or_insert(file);
        }
        match names.is_empty() {
            true => Err("this descriptor set is empty".to_owned()),
            false => Ok(names),
        }
    }

    /// What has been read of folders.
    pub(super) fn texts(&self) -> Vec<Text> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn in_folders(&self, name: &str) -> Result<Option<File>, Error> {
        for path in self.folders.iter().map(|folder| folder.join(name)) {
            let text = match read(&path) {
                Ok(bytes) => String::from_utf8(bytes).map_err(|_| Error::new(Unread(name.into(), "is not UTF-8")))?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::new(error)),
            };
            let known = Text { name: name.into(), path, text: text.as_str().into() };
            self.read.lock().unwrap_or_else(PoisonError::into_inner).push(known);
            return File::from_source(name, &text).map(Some);
        }
        Ok(None)
    }
}

impl FileResolver for Finder {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        if let Some(encoded) = self.sets.get(name) {
            return File::decode_file_descriptor_proto(encoded.as_slice())
                .map_err(|_| Error::new(Unread(name.into(), "is no file descriptor")));
        }
        if let Some(file) = self.in_folders(name)? {
            return Ok(file);
        }
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => File::from_source(name, text),
            None => GoogleFileResolver::new().open_file(name),
        }
    }
}

/// Reads a file, but none without end.
///
/// # Errors
/// It cannot be read, or is too long.
pub(super) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(std::io::Error::other("it is larger than 16MiB")),
        false => Ok(bytes),
    }
}

#[derive(Debug)]
struct Unread(Box<str>, &'static str);

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.0, self.1)
    }
}

impl std::error::Error for Unread {}

/// A descriptor set whose files are left as they are: what is decoded loses options that are not known yet.
#[derive(Clone, PartialEq, prost::Message)]
struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    file: Vec<Vec<u8>>,
}

/// Of a file descriptor only its name.
#[derive(Clone, PartialEq, prost::Message)]
struct FileName {
    #[prost(string, tag = "1")]
    name: String,
}
