//! What is taken out before its time.

use super::index::Labels;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// How many purges an answer under way is checked against; one that saw more begin is not kept.
const REMEMBERED: usize = 1_024;
/// And how many, while files are read in that may be older than any answer under way.
const REMEMBERED_LONGER: usize = 16_384;

/// Which answers are taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    /// All.
    Everything,
    /// All variants at a URL: `host/path?query`, the query in canonical form.
    Url(Box<str>),
    /// All whose URL begins so; the host whole.
    Prefix(Box<str>),
    /// All that carry a tag.
    Tag(Box<str>),
    /// All of an api.
    Api(Box<str>),
}

impl Purge {
    /// As others read it: over a wire, or in a file.
    pub fn to_text(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Url(url) => format!("url {url}"),
            Self::Prefix(prefix) => format!("prefix {prefix}"),
            Self::Tag(tag) => format!("tag {tag}"),
            Self::Api(api) => format!("api {api}"),
        }
    }

    /// What was written so. What cannot be read may have meant anything: it takes out everything.
    pub fn of_text(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("url", url)) => Self::Url(url.into()),
            Some(("prefix", prefix)) => Self::Prefix(prefix.into()),
            Some(("tag", tag)) => Self::Tag(tag.into()),
            Some(("api", api)) => Self::Api(api.into()),
            _ => Self::Everything,
        }
    }

    pub(super) fn takes(&self, labels: &Labels) -> bool {
        match self {
            Self::Everything => true,
            Self::Url(url) => *labels.url.0 == **url,
            Self::Prefix(prefix) => labels.url.0.starts_with(&**prefix),
            Self::Tag(tag) => labels.tags.iter().any(|carried| **carried == **tag),
            Self::Api(api) => *labels.api == **api,
        }
    }
}

/// The last purges: an answer that was asked for before one, and arrives after it, may be what was purged.
#[derive(Debug, Default)]
pub(super) struct PurgeLog {
    epoch: AtomicU64,
    last: Mutex<VecDeque<(u64, Purge)>>,
    longer: AtomicBool,
}

impl PurgeLog {
    /// How many purges there have been.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// Whether more than the usual number of purges are remembered.
    pub(super) fn remember_longer(&self, longer: bool) {
        self.longer.store(longer, SeqCst);
    }

    pub(super) fn add(&self, purge: Purge) {
        let most = if self.longer.load(SeqCst) { REMEMBERED_LONGER } else { REMEMBERED };
        let mut last = self.last.lock();
        let epoch = self.epoch.fetch_add(1, SeqCst) + 1;
        while last.len() >= most {
            last.pop_front();
        }
        last.push_back((epoch, purge));
    }

    /// Whether something like it was purged since, or too much to tell.
    pub(super) fn took_since(&self, epoch: u64, labels: &Labels) -> bool {
        if self.epoch() == epoch {
            return false;
        }
        let last = self.last.lock();
        let forgotten = last.front().is_some_and(|(oldest, _)| *oldest > epoch + 1);
        forgotten || last.iter().rev().take_while(|(at, _)| *at > epoch).any(|(_, purge)| purge.takes(labels))
    }
}
