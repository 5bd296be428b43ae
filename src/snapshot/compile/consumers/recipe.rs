//! How the registry of consumers is made: of what the configuration says and of files, anew whenever one changes.

use super::entry::{Entry, Reader};
use super::{PlanNames, lines};
use crate::config::{ConsumerConfig, yaml};
use crate::consumer::{Consumers, CurrentConsumers, SubjectKind};
use crate::policy::{Tend, Watched};
use crate::value::{Invalid, Named, Place, Problem, Problems, Severity, Sources, Spanned};
use async_trait::async_trait;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More problems of one file than this are counted, not listed.
const MOST_NAMED: usize = 20;
/// The largest file of lines, in bytes: some ten million keys.
const LARGEST_FILE: u64 = 1 << 30;

/// How long requests under way are waited for before what they hold is left to them.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether they are done.
const PAUSE: Duration = Duration::from_millis(10);

/// For whom the registry is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// For a configuration that is being compiled: its own problems are said.
    Configuration,
    /// For files that changed: the configuration was found sound before.
    Files,
}

/// A file of consumers.
pub(super) struct Source {
    path: PathBuf,
    format: Format,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Yaml,
    Lines,
}

impl Source {
    pub fn of(written: &Spanned<String>, path: PathBuf) -> Result<Self, Problem> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => Format::Yaml,
            Some("csv") => Format::Lines,
            _ => {
                let mut problem = Problem::error(written.place, "the format of this file cannot be told by its name");
                problem.hint("name it `….yaml` (a map of consumers) or `….csv` (one key a line)");
                return Err(problem);
            }
        };
        Ok(Self { path, format, place: written.place })
    }
}

/// All that a registry is made of.
pub(super) struct Recipe {
    entries: Vec<Entry>,
    sources: Vec<Source>,
    watched: Watched,
    plans: Arc<PlanNames>,
}

impl Recipe {
    pub fn new(entries: Vec<Entry>, sources: Vec<Source>, plans: Arc<PlanNames>) -> Self {
        let watched = Watched::new(sources.iter().map(|source| source.path.clone()));
        Self { entries, sources, watched, plans }
    }

    pub fn has_files(&self) -> bool {
        !self.sources.is_empty()
    }

    /// Makes the registry. What is wrong with a file stands at the place that names it.
    pub fn build(&self, origin: Origin, problems: &mut Problems) -> Consumers {
        let mut consumers = Consumers::default();
        let mut own = Problems::new();
        add_all(&mut consumers, &self.entries, &mut own);
        if origin == Origin::Configuration {
            problems.extend(own);
        }
        for source in &self.sources {
            let name = source.path.display().to_string();
            let (found, more) = match source.format {
                Format::Lines => read_lines(&source.path, &name, (&mut consumers, &self.plans)),
                Format::Yaml => read_map(&source.path, &name, (&mut consumers, &self.plans)),
            };
            for (severity, invalid) in found {
                let mut problem = Problem::error(source.place, invalid.message);
                problem.severity = severity;
                problem.hint_if(invalid.hint);
                problems.push(problem);
            }
            if more > 0 {
                problems.error(source.place, format!("{name}: {more} further problems"));
            }
        }
        consumers.settle();
        consumers
    }
}

/// Problems of a file, and how many more there are.
type Found = (Vec<(Severity, Invalid)>, usize);

fn unreadable(name: &str, why: impl std::fmt::Display) -> Found {
    (vec![(Severity::Error, Invalid::new(format!("{name} cannot be read: {why}")))], 0)
}

fn read_text(path: &Path, largest: u64) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > largest {
        return Err(format!("it is larger than {}MiB", largest >> 20));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn read_lines(path: &Path, name: &str, (consumers, plans): (&mut Consumers, &PlanNames)) -> Found {
    let text = match read_text(path, LARGEST_FILE) {
        Ok(text) => text,
        Err(why) => return unreadable(name, why),
    };
    let bad = lines::read(&text, consumers, plans);
    let more = bad.len().saturating_sub(MOST_NAMED);
    let named = bad.into_iter().take(MOST_NAMED).map(|(line, invalid)| {
        (Severity::Error, Invalid { message: format!("{name}:{line}: {}", invalid.message), hint: invalid.hint })
    });
    (named.collect(), more)
}

/// A map like that of `consumers:`.
fn read_map(path: &Path, name: &str, (consumers, plans): (&mut Consumers, &PlanNames)) -> Found {
    let text = match read_text(path, yaml::LARGEST_FILE) {
        Ok(text) => text,
        Err(why) => return unreadable(name, why),
    };
    let (mut sources, mut problems) = (Sources::default(), Problems::new());
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let id = sources.add(name, folder, text.as_str());
    if let Some(document) = yaml::parse(id, &text, &mut problems) {
        let read: Option<Named<ConsumerConfig>> = yaml::read(&document.root, &mut problems, &mut sources);
        let mut reader = Reader { problems: &mut problems, sources: &sources, plans };
        let read = read.unwrap_or_default();
        let entries: Vec<Entry> = read.iter().map(|(name, written)| reader.entry(name, written)).collect();
        add_all(consumers, &entries, &mut problems);
    }
    problems.sort();
    let more = problems.len().saturating_sub(MOST_NAMED);
    let named = problems.into_iter().take(MOST_NAMED).map(|problem| {
        let place = problem.place.map(|place| format!("{}:{}: ", place.line, place.column)).unwrap_or_default();
        (problem.severity, Invalid { message: format!("{name}:{place}{}", problem.message), hint: problem.hint })
    });
    (named.collect(), more)
}

fn add_all(consumers: &mut Consumers, entries: &[Entry], problems: &mut Problems) {
    let mut places: HashMap<&str, Place> = HashMap::new();
    for entry in entries {
        let id = &*entry.consumer.id;
        let subjects: Vec<(SubjectKind, &str)> = entry.subjects.iter().map(|(kind, text)| (*kind, &**text)).collect();
        let holder = match consumers.add(entry.consumer.clone(), &subjects) {
            Ok(holder) => holder,
            Err(taken) => {
                problems.error(entry.place, lines::taken_name(&taken).message);
                continue;
            }
        };
        places.insert(id, entry.place);
        for (key, place) in &entry.keys {
            if let Err(other) = consumers.add_key(holder, key.clone()) {
                let Invalid { message, hint } = lines::taken_key(id, &other.id);
                let first = places.get(&*other.id).copied().filter(|_| *other.id != *id);
                let problem = problems.error(*place, message).hint_if(hint);
                if let Some(first) = first {
                    problem.related(first, format!("`{}` is here", other.id));
                }
            }
        }
        if let Some(password) = &entry.password {
            consumers.set_password(holder, Arc::clone(password));
        }
    }
}

/// Follows the files as long as the snapshot runs.
pub(super) struct Renewal {
    pub recipe: Arc<Recipe>,
    pub current: Arc<CurrentConsumers>,
}

impl Renewal {
    /// Reads the files anew and puts what they say in force; where one is bad, all stays as it was.
    fn renew(recipe: &Recipe, current: &CurrentConsumers) {
        let mut problems = Problems::new();
        let consumers = recipe.build(Origin::Files, &mut problems);
        for problem in &problems {
            let level = if problem.severity == Severity::Error { log::Level::Error } else { log::Level::Warn };
            log::log!(level, "consumers: {}", problem.message);
        }
        if problems.is_fatal() {
            log::error!("consumers not exchanged: those read before stay in service");
            return;
        }
        let (count, keys) = consumers.count();
        let before = current.exchange(consumers);
        log::info!("consumers exchanged: {count}, with {keys} keys");
        for name in current.missing().iter().take(MOST_NAMED) {
            log::warn!("consumers: a rule allows the consumer `{name}`, and there is none of that name any more");
        }
        // Taking many apart is not for a thread that serves requests: the last to let go should be this one.
        let patience = Instant::now() + PATIENCE;
        while Arc::strong_count(&before) > 1 && Instant::now() < patience {
            std::thread::park_timeout(PAUSE);
        }
    }
}

#[async_trait]
impl Tend for Renewal {
    async fn tend(&self) {
        let (recipe, current) = (Arc::clone(&self.recipe), Arc::clone(&self.current));
        self.recipe.watched.each_change(Arc::new(move || Self::renew(&recipe, &current))).await;
    }
}

#[cfg(test)]
mod tests;
