//! The files a configuration was read from.

use super::Place;
use super::SourceId;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file: what it is called in messages, where its relative paths start, and its text.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name as the operator gave it.
    pub name: String,
    /// The folder that relative paths in this file are relative to.
    pub folder: PathBuf,
    /// The text, as read.
    pub text: Arc<str>,
}

/// All files of one configuration, looked up by the [`SourceId`] in a [`Place`].
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    hidden: Vec<Place>,
}

impl Sources {
    /// Adds a file and returns the id its places carry. Relative paths in it start at `folder`.
    pub fn add(&mut self, name: impl Into<String>, folder: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(Source { name: name.into(), folder: folder.into(), text: text.into() });
        id
    }

    /// The id that the file added so many from now will have; 0 for the next.
    pub fn upcoming(&self, after: usize) -> SourceId {
        SourceId(u32::try_from(self.files.len() + after).unwrap_or(u32::MAX))
    }

    /// The file with that id.
    pub fn get(&self, id: SourceId) -> Option<&Source> {
        self.files.get(usize::try_from(id.0).ok()?)
    }

    /// The name of the file a place is in; `None` for a place that is not known.
    pub fn name(&self, place: Place) -> Option<&str> {
        place.is_known().then(|| self.get(place.source)).flatten().map(|source| source.name.as_str())
    }

    /// The path that `path`, written at `place`, means: relative paths are relative to the file that names them.
    pub fn resolve(&self, place: Place, path: impl AsRef<Path>) -> PathBuf {
        match self.get(place.source) {
            Some(source) => source.folder.join(path),
            None => path.as_ref().to_path_buf(),
        }
    }

    /// The folder that relative paths written at `place` are relative to.
    pub fn folder(&self, place: Place) -> &Path {
        self.get(place.source).map_or(Path::new(""), |source| source.folder.as_path())
    }

    /// Marks text that must never be shown: a secret that stands in the file itself.
    pub fn hide(&mut self, place: Place) {
        self.hidden.push(place);
    }

    /// The places that must never be shown.
    pub(super) fn hidden(&self) -> &[Place] {
        &self.hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves_paths_against_the_file_that_names_them() {
        let mut sources = Sources::default();
        sources.add("conf/shop.yaml", "conf", "");
        let team = sources.add("conf/teams/a.yaml", "conf/teams", "");
        let place = Place { source: team, line: 1, column: 1, len: 1, offset: 0 };
        assert_eq!(sources.resolve(place, "a.crt"), Path::new("conf/teams/a.crt"));
        assert_eq!(sources.resolve(place, "/etc/a.crt"), Path::new("/etc/a.crt"));
    }
}
