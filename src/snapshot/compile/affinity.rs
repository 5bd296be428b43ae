//! Session affinity: what a cookie is signed with, and how it is written.

use super::Compiling;
use crate::config::{AffinityConfig, UpstreamConfig};
use crate::policy::auth::oidc::{SameSite, SameSiteConfig};
use crate::upstream::{AffinityKey, AffinitySpec};
use crate::value::Spanned;
use http::HeaderName;
use std::fmt::Write as _;

/// Shorter secrets, in bytes, could be guessed from a cookie.
const SHORTEST_SECRET: usize = 32;
/// More are not in rotation, they are forgotten.
const MOST_SECRETS: usize = 4;

impl Compiling<'_> {
    /// How clients of an upstream are brought back; `None` where they are not, or a problem was recorded.
    pub(super) fn affinity(&mut self, written: &UpstreamConfig) -> Option<AffinitySpec> {
        let written = written.affinity.as_ref()?;
        let AffinityConfig { cookie, path, same_site, max_age, .. } = &written.value;
        if HeaderName::from_bytes(cookie.value.as_bytes()).is_err() {
            self.problems
                .error(cookie.place, format!("`{}` is not the name of a cookie", cookie.value))
                .hint("write `affinity: stay`, of letters, digits, `-` and `_`");
        }
        let own = path.as_ref().map_or("/", |path| path.value.as_str());
        if let Some(path) = path {
            let whole = cookie.value.starts_with("__Host-");
            if whole && own != "/" {
                self.problems
                    .error(
                        path.place,
                        "browsers drop a cookie whose name begins with `__Host-` and that is not for `/`",
                    )
                    .hint("leave `path` out, or the prefix");
            }
            if !own.starts_with('/') || !own.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
                self.problems.error(path.place, "the path of a cookie begins with `/`, and has no `;` and no space");
            }
        }
        let keys = self.affinity_keys(written)?;
        let mut attributes = format!("; Path={own}; HttpOnly; SameSite={}", SameSite::from(*same_site).as_str());
        if let Some(age) = max_age {
            let _ = write!(attributes, "; Max-Age={}", age.get().as_secs());
        }
        let prefixed = cookie.value.starts_with("__Host-") || cookie.value.starts_with("__Secure-");
        Some(AffinitySpec {
            cookie: cookie.value.as_str().into(),
            keys,
            attributes: attributes.into(),
            always_secure: prefixed || *same_site == SameSiteConfig::None,
        })
    }

    fn affinity_keys(&mut self, written: &Spanned<AffinityConfig>) -> Option<Vec<AffinityKey>> {
        let Some(secrets) = &written.secret else {
            let own = self.surroundings.limits.derived("affinity");
            return Some(vec![AffinityKey::new(&own)]);
        };
        if !(1..=MOST_SECRETS).contains(&secrets.len()) {
            self.problems.error(written.place, format!("a cookie has between one and {MOST_SECRETS} secrets"));
            return None;
        }
        let folder = self.sources().folder(written.place).to_owned();
        let mut keys = Vec::new();
        for secret in secrets {
            match secret.resolve(&folder, &|name| std::env::var(name).ok()) {
                Ok(found) if found.expose().len() < SHORTEST_SECRET => {
                    self.problems
                        .error(secret.place, format!("a cookie's secret has at least {SHORTEST_SECRET} bytes"))
                        .hint("make one with `openssl rand -base64 32`");
                }
                Ok(found) => keys.push(AffinityKey::new(found.expose().as_bytes())),
                Err(problem) => self.problems.push(problem),
            }
        }
        (keys.len() == secrets.len()).then_some(keys)
    }

    /// Two upstreams that hand out the same cookie for the same paths take each other's clients away.
    pub(super) fn affinity_cookies(&mut self) {
        let mut seen: Vec<(&str, &str, &Spanned<String>)> = Vec::new();
        for (name, upstream) in self.loaded.config.upstreams.iter() {
            let Some(written) = &upstream.affinity else { continue };
            let path = written.path.as_ref().map_or("/", |path| path.value.as_str());
            let cookie = &written.cookie;
            match seen.iter().find(|(_, other, twin)| *other == path && twin.value == cookie.value) {
                Some((other, _, twin)) => {
                    self.problems
                        .error(
                            cookie.place,
                            format!(
                                "upstreams `{other}` and `{}` hand out the same cookie for the same paths",
                                name.value
                            ),
                        )
                        .related(twin.place, "the other is here")
                        .hint("give each a name of its own");
                }
                None => seen.push((&name.value, path, cookie)),
            }
        }
    }
}
