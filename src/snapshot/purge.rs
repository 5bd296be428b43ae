//! What a URL means where kept answers are purged by it: its query is kept as the route that answers it keeps it.

use super::Snapshot;
use crate::cache::{Counting, Purge, UrlText};
use crate::routing::{Captures, Found, Reading, Target, normalise, normalise_host, split_target};
use http::HeaderMap;
use std::net::IpAddr;

impl Snapshot {
    /// The purges that take out every variant at a URL: one for each form that its query may be kept in.
    pub fn purges_of(&self, host: &str, path: &str, query: Option<&str>) -> Vec<Purge> {
        let mut texts = vec![UrlText::new(host, path, Counting::All.canonical(query).as_deref())];
        if let Some(number) = self.answering(host, path, query)
            && let Some(caching) = self.routes.get(number).and_then(|route| route.cache.as_ref())
        {
            texts.push(UrlText::new(host, path, caching.plan.canonical(query).as_deref()));
        }
        texts.dedup();
        texts.into_iter().map(|text| Purge::Url(text.0)).collect()
    }

    /// Whether the route that answers a URL keeps answers.
    pub fn may_be_kept(&self, host: &str, path: &str, query: Option<&str>) -> bool {
        let route = self.answering(host, path, query).and_then(|number| self.routes.get(number));
        route.is_some_and(|route| route.cache.is_some())
    }

    /// The same for a URL as somebody writes it: `https://shop.example/products?page=2`, the scheme left out or not.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn purges_of_url(&self, written: &str) -> Result<Vec<Purge>, String> {
        let (host, path, query) = split(written)?;
        Ok(self.purges_of(&host, &path, query.as_deref()))
    }

    /// The purge of all that begins as a URL does; the host is meant whole.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn purge_of_prefix(&self, written: &str) -> Result<Purge, String> {
        let (host, path, query) = split(written.strip_suffix('*').unwrap_or(written))?;
        Ok(Purge::Prefix(UrlText::new(&host, &path, query.as_deref()).0))
    }

    /// The route whose kept answers a client may purge by the method PURGE, if there is one at that target.
    pub fn purgeable(&self, target: &Target<'_>, client: IpAddr) -> Option<usize> {
        let number = self.answering(target.host, target.path, target.query)?;
        let caching = self.routes.get(number)?.cache.as_ref()?;
        caching.plan.may_purge(client).then_some(number)
    }

    fn answering(&self, host: &str, path: &str, query: Option<&str>) -> Option<usize> {
        let headers = HeaderMap::new();
        let target = Target { host, path, method: "GET", query, headers: &headers, body: Reading::Unfit };
        match self.router.find(&target, &mut Captures::new()) {
            Found::Route(number) => Some(number),
            Found::NoRoute | Found::MethodNotAllowed(_) | Found::Unread(_) => None,
        }
    }
}

fn split(written: &str) -> Result<(String, String, Option<String>), String> {
    let absolute = if written.contains("://") { written.to_owned() } else { format!("http://{written}") };
    let target = split_target(&absolute).map_err(|error| error.to_string())?;
    let host = target.authority.filter(|host| !host.is_empty()).ok_or("a URL to purge names its host")?;
    let host = normalise_host(host).map_err(|error| error.to_string())?.into_text().into_owned();
    let path = normalise(target.path).map_err(|error| error.to_string())?.as_str().to_owned();
    Ok((host, path, target.query.map(ToOwned::to_owned)))
}
