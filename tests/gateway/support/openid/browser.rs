//! A browser as far as logins need one: it keeps cookies by their rules, follows redirects, and says of each request what
//! browsers say.

use std::net::SocketAddr;

use crate::support::client::{Client, Request, Response};

/// A cookie it holds. All hosts of the tests are 127.0.0.1, and cookies do not know ports (RFC 6265 §8.5).
#[derive(Clone, Debug)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    strict: bool,
}

/// A browser with its cookies.
#[derive(Clone, Default)]
pub struct Browser {
    /// What it holds.
    pub jar: Vec<Cookie>,
    /// Every `Set-Cookie` it ever got.
    pub set: Vec<String>,
    /// Every place it went to, as `host:port` and target.
    pub visited: Vec<String>,
    /// What no response may tell it.
    pub secrets: Vec<String>,
}

/// Where a URL is, and what is asked for there.
pub fn split(url: &str) -> (SocketAddr, String) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("not an http URL: {url}"));
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    (authority.parse().unwrap_or_else(|_| panic!("not an address: {authority}")), path.into())
}

impl Browser {
    /// Opens a page as one that is typed into the address bar, and follows redirects to the end.
    ///
    /// # Panics
    /// When there are too many of them.
    #[track_caller]
    pub fn open(&mut self, url: &str) -> Response {
        self.follow(url, "none", 12)
    }

    /// Follows a link of a page of that site.
    #[track_caller]
    pub fn follow(&mut self, url: &str, site: &'static str, most: usize) -> Response {
        let (mut url, mut site) = (url.to_owned(), site);
        for _ in 0..most {
            let response = self.visit(&url, site);
            let Some(next) = location(&url, &response) else { return response };
            // Once a redirect has led to another site the whole chain counts as cross-site (Fetch Metadata §2.3).
            site = if split(&next).0 == split(&url).0 && site != "cross-site" { site } else { "cross-site" };
            url = next;
        }
        panic!("too many redirects: {:#?}", self.visited);
    }

    /// One navigation, redirects not followed.
    #[track_caller]
    pub fn visit(&mut self, url: &str, site: &str) -> Response {
        let (address, target) = split(url);
        let request = Request::get(&target)
            .header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("Sec-Fetch-Mode", "navigate")
            .header("Sec-Fetch-Site", site);
        self.send(address, request, site)
    }

    /// A request of a script of the page's own.
    #[track_caller]
    pub fn fetch(&mut self, url: &str) -> Response {
        let (address, target) = split(url);
        let request = Request::get(&target).header("Accept", "*/*").header("Sec-Fetch-Mode", "cors");
        self.send(address, request.header("Sec-Fetch-Site", "same-origin"), "same-origin")
    }

    /// Submits a form of a page of that site.
    #[track_caller]
    pub fn submit(&mut self, url: &str, site: &str) -> Response {
        let (address, target) = split(url);
        let request = Request::post(&target, "a=b").header("Accept", "text/html").header("Sec-Fetch-Mode", "navigate");
        self.send(address, request.header("Sec-Fetch-Site", site), site)
    }

    /// Sends a request with the cookies that go with it, and keeps those that come back.
    #[track_caller]
    pub fn send(&mut self, address: SocketAddr, request: Request, site: &str) -> Response {
        let goes = |cookie: &&Cookie| !cookie.strict || site != "cross-site";
        let pairs: Vec<String> =
            self.jar.iter().filter(goes).map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let request = if pairs.is_empty() { request } else { request.header("Cookie", &pairs.join("; ")) };
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        let response = Client::connect(address).keep_secret(&secrets).send(&request.unidentified());
        self.visited.push(address.to_string());
        for field in response.headers("set-cookie") {
            self.keep(field);
        }
        response
    }

    /// Takes a `Set-Cookie` as a browser does (RFC 6265 §5.2 and, for prefixes, RFC 6265bis §4.1.3).
    fn keep(&mut self, field: &str) {
        self.set.push(field.to_owned());
        let mut parts = field.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("name and value");
        let attributes: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
        let has = |wanted: &str| attributes.iter().any(|attribute| attribute == wanted);
        assert!(name.len() + value.len() <= 4096, "a browser drops a cookie of {} bytes", name.len() + value.len());
        if name.starts_with("__Host-") {
            let domain = attributes.iter().any(|attribute| attribute.starts_with("domain="));
            assert!(has("secure") && has("path=/") && !domain, "a browser drops {field}");
        }
        assert!(has("httponly"), "a script can read {field}");
        self.jar.retain(|cookie| cookie.name != name);
        if !has("max-age=0") {
            self.jar.push(Cookie { name: name.into(), value: value.into(), strict: has("samesite=strict") });
        }
    }

    /// The cookies whose names hold this text.
    pub fn cookies(&self, part: &str) -> Vec<&Cookie> {
        self.jar.iter().filter(|cookie| cookie.name.contains(part)).collect()
    }
}

/// Where a redirect leads.
pub fn location(url: &str, response: &Response) -> Option<String> {
    if !(300..400).contains(&response.status) {
        return None;
    }
    let to = response.header("location")?;
    if to.starts_with('/') {
        return Some(format!("http://{}{to}", split(url).0));
    }
    Some(to.to_owned())
}
