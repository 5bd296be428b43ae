//! Where keys come from.

use super::discovery::{self, Discovery};
use super::jwk::{Read, read_set};
use super::pace::good_for;
use super::{Algorithms, KeySet};
use crate::fetch::{Call, Fetcher};
use crate::value::WebUrl;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The longest document that is taken, in bytes.
const LONGEST: usize = 512 * 1024;
/// How often a file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The configuration: they never change.
    Fixed,
    /// A JWK Set in a file, read again when it changes.
    File(PathBuf),
    /// A JWK Set at a URL.
    Url(WebUrl),
    /// Wherever the OpenID provider says (OpenID Connect Discovery 1.0).
    Issuer(WebUrl),
}

/// What a fetch has brought.
pub(super) struct Fetched {
    /// The keys; `None` where they are those of the last fetch.
    pub keys: Option<Read>,
    /// What the provider publishes of itself.
    pub discovery: Option<Arc<Discovery>>,
    /// When to ask again.
    pub good_for: Duration,
    /// What the file looked like.
    pub look: Option<Look>,
}

/// What a file looked like: inode, length, time of the last change.
pub(super) type Look = (u64, u64, i64, i64);

/// Reads a JWK Set from a file.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read_file(path: &Path, allowed: Algorithms) -> Result<Read, String> {
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    file.take(most + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if text.len() > LONGEST {
        return Err("it is longer than 512KiB".into());
    }
    read_set(&text, allowed).map_err(Into::into)
}

fn look(path: &Path) -> Option<Look> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
}

impl Source {
    /// Asks for the keys once. `last` is what the file looked like before.
    pub(super) async fn fetch(
        &self,
        fetcher: &Fetcher,
        allowed: Algorithms,
        last: Option<Look>,
    ) -> Result<Fetched, String> {
        let none = Fetched { keys: None, discovery: None, good_for: LOOK, look: None };
        match self {
            Self::Fixed => Ok(none),
            Self::File(path) => {
                let look = look(path);
                if look.is_some() && look == last {
                    return Ok(Fetched { look, ..none });
                }
                Ok(Fetched { keys: Some(read_file(path, allowed)?), look, ..none })
            }
            Self::Url(url) => keys(fetcher, url, allowed).await,
            Self::Issuer(issuer) => {
                let place = WebUrl::clone(issuer);
                let (document, _) = get(fetcher, &place, discovery::location(issuer))
                    .await
                    .map_err(|why| format!("the discovery document: {why}"))?;
                let found =
                    discovery::read(&document, issuer).map_err(|why| format!("the discovery document: {why}"))?;
                let fetched = keys(fetcher, &found.jwks_uri, allowed).await?;
                Ok(Fetched { discovery: Some(Arc::new(found)), ..fetched })
            }
        }
    }

    /// Whether keys come from elsewhere and so may change or be missing.
    pub fn is_fixed(&self) -> bool {
        *self == Self::Fixed
    }
}

async fn keys(fetcher: &Fetcher, url: &WebUrl, allowed: Algorithms) -> Result<Fetched, String> {
    let (document, headers) = get(fetcher, url, url.target.clone()).await.map_err(|why| format!("the keys: {why}"))?;
    let read = read_set(&document, allowed).map_err(|why| format!("the keys: {why}"))?;
    let good_for = good_for(&headers, rand::random());
    Ok(Fetched { keys: Some(read), discovery: None, good_for, look: None })
}

async fn get(fetcher: &Fetcher, url: &WebUrl, target: String) -> Result<(bytes::Bytes, HeaderMap), String> {
    let accept = (header::ACCEPT, HeaderValue::from_static("application/json, application/jwk-set+json"));
    let call = Call { fields: vec![accept], most: LONGEST, ..Call::get(url.base.clone(), target) };
    let answer = fetcher.call(&call).await.map_err(|error| error.to_string())?;
    match answer.status {
        StatusCode::OK => Ok((answer.body, answer.headers)),
        status => Err(format!("answered {}", status.as_u16())),
    }
}

/// Says what of a set was passed over.
pub(super) fn log_read(name: &str, read: &Read) {
    if read.keys.is_empty() {
        log::warn!("auth {name}: the key set holds no key that can be used; no token is good now");
    }
    for why in &read.ignored {
        log::debug!("auth {name}: a key of the set is passed over: {why}");
    }
}

/// The set that follows another.
pub(super) fn follow(before: Option<&KeySet>, read: Read) -> KeySet {
    match before {
        Some(set) => set.followed_by(read.keys),
        None => KeySet::new(read.keys),
    }
}
