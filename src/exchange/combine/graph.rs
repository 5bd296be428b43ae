//! Which part waits for which.

use super::reference::Reference;

/// For each part the parts it refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    needs: Box<[Box<[usize]>]>,
}

impl Graph {
    /// A graph of what each part refers to.
    ///
    /// # Errors
    /// The parts of a circle, in its order: none of them could begin.
    pub fn build<'a>(references: impl Iterator<Item = Vec<&'a Reference>>) -> Result<Self, Vec<usize>> {
        let needs: Box<[Box<[usize]>]> = references.map(parts_of).collect();
        let graph = Self { needs };
        let mut done = vec![false; graph.needs.len()];
        for part in 0..done.len() {
            graph.visit(part, &mut Vec::new(), &mut done)?;
        }
        Ok(graph)
    }

    /// The parts that a part waits for.
    pub fn needs(&self, part: usize) -> &[usize] {
        self.needs.get(part).map(|needs| &**needs).unwrap_or_default()
    }

    /// How many calls, one after another, come before that of a part.
    pub fn depth(&self, part: usize) -> usize {
        self.needs(part).iter().map(|needed| self.depth(*needed) + 1).max().unwrap_or_default()
    }

    /// Goes down from a part; the way there leads back to itself where there is a circle. The number of parts bounds it.
    fn visit(&self, part: usize, way: &mut Vec<usize>, done: &mut [bool]) -> Result<(), Vec<usize>> {
        if done.get(part).copied().unwrap_or(true) {
            return Ok(());
        }
        if let Some(from) = way.iter().position(|on| *on == part) {
            return Err(way.split_off(from));
        }
        way.push(part);
        for needed in self.needs(part) {
            self.visit(*needed, way, done)?;
        }
        way.pop();
        if let Some(done) = done.get_mut(part) {
            *done = true;
        }
        Ok(())
    }
}

fn parts_of(references: Vec<&Reference>) -> Box<[usize]> {
    let mut parts: Vec<usize> = references
        .into_iter()
        .filter_map(|reference| match reference {
            Reference::Part(part, _) => Some(*part),
            _ => None,
        })
        .collect();
    parts.sort_unstable();
    parts.dedup();
    parts.into()
}
