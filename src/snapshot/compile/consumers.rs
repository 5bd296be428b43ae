//! Consumers: those of the configuration itself, and those of files that are exchanged while the gateway runs.

mod entry;
mod lines;
mod recipe;

use super::Compiling;
use super::limits::PlanNames;
use crate::consumer::CurrentConsumers;
use crate::value::Problems;
use entry::Reader;
use recipe::{Origin, Recipe, Renewal, Source};
use std::sync::Arc;

impl Compiling<'_> {
    /// The consumers in force, which follow their files.
    pub(super) fn consumers(&mut self) -> Arc<CurrentConsumers> {
        let loaded = self.loaded;
        let plans = Arc::new(PlanNames::of(self));
        let mut entries = Vec::new();
        for (name, written) in loaded.config.consumers.iter() {
            let mut reader = Reader { problems: &mut self.problems, sources: &loaded.sources, plans: &plans };
            entries.push(reader.entry(name, written));
        }
        let mut sources = Vec::new();
        for path in &loaded.config.consumers_from {
            match Source::of(path, loaded.sources.resolve(path.place, &path.value)) {
                Ok(source) => sources.push(source),
                Err(problem) => self.problems.push(problem),
            }
        }
        let recipe = Recipe::new(entries, sources, plans);
        let mut problems = Problems::new();
        let consumers = recipe.build(Origin::Configuration, &mut problems);
        self.problems.extend(problems);
        let current = Arc::new(CurrentConsumers::new(consumers));
        if recipe.has_files() {
            self.tended.push(Arc::new(Renewal { recipe: Arc::new(recipe), current: Arc::clone(&current) }));
        }
        current
    }
}
