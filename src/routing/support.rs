//! Short ways to write rules and requests in the tests of this folder.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Captures, Expression, Found, HostPattern, Predicate, Reading, RouteKey, RouteRule, Router, Subject, Target, Test,
};

/// `hosts` separated by spaces, a route key, and predicates as [`predicate`] reads them.
pub fn rule(hosts: &str, key: &str, predicates: &[&str]) -> RouteRule {
    let RouteKey { methods, path } = RouteKey::parse(key).unwrap_or_else(|error| panic!("{key}: {error}"));
    RouteRule {
        hosts: hosts.split_whitespace().map(|host| HostPattern::parse(host).unwrap()).collect(),
        methods,
        path,
        predicates: predicates.iter().map(|text| predicate(text)).collect(),
    }
}

/// `header x` (present), `header x=1`, `query x^=1` (prefix), `cookie x~1` (expression), `!header x` (absent).
pub fn predicate(text: &str) -> Predicate {
    let (text, absent) = text.strip_prefix('!').map_or((text, false), |text| (text, true));
    let (kind, rest) = text.split_once(' ').unwrap();
    let (name, test) = match rest.find(['^', '~', '=']) {
        None if absent => (rest, Test::Absent),
        None => (rest, Test::Present),
        Some(at) => {
            let (name, test) = rest.split_at(at);
            let test = match test.as_bytes()[0] {
                b'^' => Test::Prefix(test[2..].into()),
                b'~' => Test::Regex(Expression::parse(&test[1..]).unwrap()),
                _ => Test::Exact(test[1..].into()),
            };
            (name, test)
        }
    };
    let subject = match kind {
        "header" => Subject::header(name).unwrap(),
        "query" => Subject::Query(name.into()),
        _ => Subject::Cookie(name.into()),
    };
    Predicate { subject, test }
}

/// A router of rules for every host, without predicates.
pub fn router(keys: &[&str]) -> Router {
    Router::build(keys.iter().map(|key| rule("", key, &[])).collect()).unwrap()
}

/// A request: `GET api.example/a?b`, and header fields.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
}

impl Request {
    pub fn new(text: &str, fields: &[(&str, &str)]) -> Self {
        let (method, rest) = text.split_once(' ').unwrap();
        let (host, rest) = rest.split_at(rest.find('/').unwrap());
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
        let field =
            |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        let headers = fields.iter().map(field).collect();
        Self { method: method.to_owned(), host: host.to_owned(), path: path.to_owned(), query, headers }
    }

    pub fn target(&self) -> Target<'_> {
        let query = self.query.as_deref();
        Target {
            host: &self.host,
            path: &self.path,
            method: &self.method,
            query,
            headers: &self.headers,
            body: Reading::Unfit,
        }
    }

    /// The outcome, and the values of the captures.
    pub fn find(&self, router: &Router) -> (Found, Vec<String>) {
        let mut captures = Captures::new();
        let found = router.find(&self.target(), &mut captures);
        let values = (0..captures.len()).map(|at| captures.get(&self.path, at).unwrap().to_owned());
        (found, values.collect())
    }
}

/// The outcome of a request without header fields.
pub fn find(router: &Router, request: &str) -> Found {
    Request::new(request, &[]).find(router).0
}
