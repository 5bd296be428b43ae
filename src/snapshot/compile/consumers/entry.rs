//! One consumer as it is written, made ready to be added: secrets fetched, keys digested, passwords hashed.

use super::PlanNames;
use crate::config::{ConsumerConfig, KeyConfig, ProofConfig};
use crate::consumer::{Consumer, Key, KeyDigest, PasswordHash, SubjectKind};
use crate::value::{Invalid, Place, Problems, Secret, Sources, Spanned};
use std::sync::Arc;

/// A key with fewer characters can be guessed.
const SHORTEST_KEY: usize = 16;
/// A key with more could not be told from an attack.
const LONGEST_KEY: usize = 4096;

/// A consumer with what proves it.
pub(super) struct Entry {
    pub consumer: Consumer,
    pub place: Place,
    pub subjects: Vec<(SubjectKind, Box<str>)>,
    pub keys: Vec<(Key, Place)>,
    pub password: Option<Arc<PasswordHash>>,
}

/// Reads consumers; everything wrong is said in `problems`.
pub(super) struct Reader<'a> {
    pub problems: &'a mut Problems,
    pub sources: &'a Sources,
    pub plans: &'a PlanNames,
}

impl Reader<'_> {
    pub fn entry(&mut self, name: &Spanned<String>, written: &ConsumerConfig) -> Entry {
        if name.value.is_empty() {
            self.problems.error(name.place, "a consumer needs a name");
        }
        if let Some(plan) = &written.plan {
            self.plans.check(plan, plan.place, self.problems);
        }
        let tokens = written.jwt_subject.iter().map(|subject| (SubjectKind::Token, subject.value.as_str().into()));
        let certificates =
            written.subject.iter().map(|subject| (SubjectKind::Certificate, subject.value.as_str().into()));
        Entry {
            consumer: Consumer {
                id: name.value.as_str().into(),
                groups: written.groups.iter().map(|group| group.value.as_str().into()).collect(),
                plan: written.plan.as_ref().map(|plan| plan.value.as_str().into()),
            },
            place: name.place,
            subjects: tokens.chain(certificates).collect(),
            keys: written.keys.iter().filter_map(|key| self.key(&name.value, key)).collect(),
            password: written.password.as_ref().and_then(|password| self.password(password)),
        }
    }

    fn key(&mut self, id: &str, written: &KeyConfig) -> Option<(Key, Place)> {
        let place = written.key.place();
        let (secret, is_hash) = self.proof(&written.key)?;
        let text = secret.expose();
        let digest = match is_hash || KeyDigest::is_written(text) {
            true => self.valid(place, text.parse())?,
            false if text.len() > LONGEST_KEY => {
                self.problems.error(place, format!("the key is longer than {LONGEST_KEY} bytes"));
                return None;
            }
            false => {
                if text.chars().count() < SHORTEST_KEY {
                    self.problems
                        .warn(place, format!("a key of `{id}` is shorter than {SHORTEST_KEY} characters"))
                        .hint("short keys can be guessed; make one with `openssl rand -hex 24`");
                }
                KeyDigest::of(text.as_bytes())
            }
        };
        let name = written.id.as_ref().map(|id| id.value.as_str().into());
        let expires = written.expires.as_ref().map(|moment| moment.unix_seconds());
        Some((Key { digest, name, expires }, place))
    }

    fn password(&mut self, written: &ProofConfig) -> Option<Arc<PasswordHash>> {
        let (secret, is_hash) = self.proof(written)?;
        let text = secret.expose();
        let hash = match is_hash || PasswordHash::is_written(text) {
            true => PasswordHash::parse(text),
            false => PasswordHash::of(text),
        };
        self.valid(written.place(), hash).map(Arc::new)
    }

    /// What is written or referred to, and whether it stands there as a digest or hash.
    fn proof(&mut self, written: &ProofConfig) -> Option<(Secret, bool)> {
        match written {
            ProofConfig::Hash(hash) => Some((hash.value.clone(), true)),
            ProofConfig::Secret(secret) => {
                let folder = self.sources.folder(secret.place);
                match secret.resolve(folder, &|name| std::env::var(name).ok()) {
                    Ok(secret) => Some((secret, false)),
                    Err(problem) => {
                        self.problems.push(problem);
                        None
                    }
                }
            }
        }
    }

    fn valid<T>(&mut self, place: Place, read: Result<T, Invalid>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.problems.error(place, invalid.message).hint_if(invalid.hint);
                None
            }
        }
    }
}
