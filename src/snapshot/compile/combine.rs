//! `combine:`: parts, the references between them, and the order these make.

use super::Compiling;
use super::limits::LimitedRoute;
use super::retries::retries;
use super::routes::Road;
use crate::config::{CalledConfig, CombineConfig, EndpointConfig, MarkConfig, MergeConfig, PartConfig, RetriesConfig};
use crate::exchange::call::Callee;
use crate::exchange::combine::{
    BadText, Combine, Each, Graph, Mark, Need, Part, Piece, Put, RESERVED, Scope, Shape, Taking, Text,
};
use crate::upstream::Upstream;
use crate::value::json::Pointer;
use crate::value::{Named, Place, Spanned};
use http::{HeaderName, Method, header};
use std::sync::Arc;

/// Bytes of a part's answer where it says nothing.
const MOST: usize = 1 << 20;

/// Fields that a call writes itself (RFC 9110 §7.6.1, §8.6).
const OWN: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

impl Compiling<'_> {
    /// The compiled form of a route's `combine`; `None` where there is a problem.
    pub(super) fn combine(
        &mut self,
        road: &mut Road<'_>,
        written: &Spanned<CombineConfig>,
        route: &LimitedRoute<'_>,
        written_retries: Option<&RetriesConfig>,
    ) -> Option<Combine> {
        let captures = route.path.captures();
        let names: Vec<&str> = written.parts.names().collect();
        if names.is_empty() {
            self.problems
                .error(written.place, "nothing is combined")
                .hint("write parts: `order: { get: \"orders:/orders/{id}\" }`");
            return None;
        }
        let before = self.problems.len();
        let retries = self.pooled_retries(retries(written_retries));
        let scope = Scope { parts: &names, captures, item: false };
        let mut parts = Vec::new();
        for (name, part) in written.parts.iter() {
            self.part_name(name, captures);
            let scope = Scope { item: part.each.is_some(), ..scope };
            let Some(compiled) = self.part(road, name, part, scope) else { continue };
            let retries = match &part.retries {
                None => Arc::clone(&retries),
                own => self.pooled_retries(super::retries::retries(own.as_ref())),
            };
            let limits = self.part_limits(route, &name.value, &part.limit.0);
            let memory = self.part_memory((route, &name.value), part, &compiled);
            parts.push(Part { retries, limits, memory, ..compiled });
        }
        let put = match (&written.shape, written.merge) {
            (Some(shape), _) => self.shape(shape, scope).map(Put::Shape),
            (None, MergeConfig::Named) => Some(Put::Named),
            (None, MergeConfig::Root) => Some(Put::Root),
        };
        let program = self.program(route, written);
        let forward = match &written.forward {
            None => vec![header::ACCEPT_LANGUAGE, header::USER_AGENT],
            Some(names) => names.iter().filter_map(|name| self.field_name(name)).collect(),
        };
        if self.problems.len() > before {
            return None;
        }
        let graph = self.graph(&parts, &written.parts)?;
        let mark = match written.mark_partial {
            MarkConfig::Header => Mark::Header,
            MarkConfig::Body => Mark::Body,
        };
        Some(Combine { parts, graph, put: put?, program, mark, forward })
    }

    fn part_name(&mut self, name: &Spanned<String>, captures: &[Box<str>]) {
        let plain = name.value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !plain || !name.value.starts_with(|first: char| first.is_ascii_lowercase()) {
            self.problems
                .error(name.place, format!("`{}` is no name for a part", name.value))
                .hint("a name is of a-z, 0-9 and `_`, and begins with a letter");
        } else if RESERVED.contains(&name.value.as_str()) || captures.iter().any(|capture| **capture == *name.value) {
            self.problems
                .error(name.place, format!("`{{{}}}` means something else here", name.value))
                .hint("name the part otherwise");
        }
    }

    fn part(
        &mut self,
        road: &mut Road<'_>,
        name: &Spanned<String>,
        written: &PartConfig,
        scope: Scope<'_>,
    ) -> Option<Part> {
        let (method, target) = self.method(name, written)?;
        let asked = self.asked(road, target, written.to.as_ref(), scope);
        let mut headers = Vec::new();
        for (field, value) in written.headers.iter() {
            if let (Some(field), Some(text)) = (self.field_name(field), self.text(value, scope)) {
                headers.push((field, text));
            }
        }
        let body = match &written.body {
            Some(body) => Some(self.shape(body, scope)?),
            None => None,
        };
        let each = match &written.each {
            Some(list) => Some(self.each(list, written, Scope { item: false, ..scope })?),
            None => None,
        };
        let need = match &written.fallback {
            Some(fallback) => Need::Fallback(self.shape(fallback, Scope { item: false, ..scope })?),
            None if written.optional => Need::Optional,
            None => Need::Required,
        };
        let taking = self.taking(written)?;
        let (to, path, query) = asked?;
        let most = written.most.map_or(MOST, |most| usize::try_from(most.get()).unwrap_or(usize::MAX));
        Some(Part {
            name: name.value.as_str().into(),
            to,
            method,
            path,
            query,
            headers,
            body,
            each,
            need,
            timeout: written.timeout.map(|timeout| timeout.get()),
            most,
            taking,
            hidden: written.hidden,
            retries: Arc::default(),
            limits: None,
            memory: None,
        })
    }

    /// `upstream:/path?query`, or a URL.
    fn asked(
        &mut self,
        road: &mut Road<'_>,
        written: &Spanned<String>,
        to: Option<&Spanned<CalledConfig>>,
        scope: Scope<'_>,
    ) -> Option<(Callee, Text, Option<Text>)> {
        let text = written.value.as_str();
        let after_scheme = text.find("://").map_or(0, |at| at + 3);
        let Some(slash) = text.get(after_scheme..).and_then(|rest| rest.find('/')).map(|at| at + after_scheme) else {
            self.problems
                .error(written.place, "there is no path here")
                .hint("write `orders:/orders/{id}`, the name of an upstream and a path, or a URL");
            return None;
        };
        let (who, target) = text.split_at(slash);
        let callee = self.callee(road, (who, written.place), to)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some((query, slash + path.len() + 1))),
            None => (target, None),
        };
        let piece = |text: &str, skip| (Text::parse(text, scope), skip);
        let mut read = |(parsed, skip): (Result<Text, BadText>, usize)| self.read(written, skip, parsed);
        let path = read(piece(path, slash));
        let query = query.map(|(query, skip)| read(piece(query, skip)));
        let plain = |text: &Text| text.pieces.iter().all(is_plain_target);
        let (path, query) = (path?, query.map_or(Some(None), |query| query.map(Some))?);
        if !plain(&path) || !query.as_ref().is_none_or(plain) {
            self.problems
                .error(written.place, "a path or query is written percent-encoded")
                .hint("write `%20` for a space");
            return None;
        }
        Some((callee, path, query))
    }

    /// The method of a part and what it asks for.
    fn method<'w>(&mut self, name: &Spanned<String>, written: &'w PartConfig) -> Option<(Method, &'w Spanned<String>)> {
        let named = match &written.method {
            None => Method::GET,
            Some(method) => match Method::from_bytes(method.value.as_bytes()) {
                Ok(known) if known != Method::CONNECT && written.ask.is_some() => known,
                Ok(_) | Err(_) => {
                    self.problems
                        .error(method.place, format!("`{}` is no method that can be asked with here", method.value))
                        .hint("write `method: REPORT` beside `ask: \"orders:/orders\"`");
                    return None;
                }
            },
        };
        let methods = [
            (Method::GET, &written.get),
            (Method::POST, &written.post),
            (Method::PUT, &written.put),
            (Method::PATCH, &written.patch),
            (Method::DELETE, &written.delete),
            (named, &written.ask),
        ];
        let mut given = methods.into_iter().filter_map(|(method, target)| Some((method, target.as_ref()?)));
        let (Some(only), None) = (given.next(), given.next()) else {
            self.problems
                .error(name.place, format!("part `{}` has not exactly one method", name.value))
                .hint("write `get: \"orders:/orders/{id}\"`");
            return None;
        };
        Some(only)
    }

    /// Who is called: named before the path, or by `to`.
    fn callee(
        &mut self,
        road: &mut Road<'_>,
        (who, place): (&str, Place),
        to: Option<&Spanned<CalledConfig>>,
    ) -> Option<Callee> {
        let upstream = match (who, to) {
            ("", Some(to)) => {
                return self.called_upstream(road, to);
            }
            ("", None) => {
                self.problems
                    .error(place, "there is no upstream here")
                    .hint("write `orders:/orders/{id}`, or `to: orders` beside it");
                return None;
            }
            (who, None) => self.called(road, who, place)?,
            (_, Some(to)) => {
                self.problems
                    .error(to.place, "the upstream is named twice")
                    .hint("leave `to` out, or write the path alone: `get: \"/orders/{id}\"`");
                return None;
            }
        };
        let metrics = road.handles.upstream(upstream.name());
        Some(Callee { upstream, subset: None, metrics })
    }

    pub(super) fn called(&mut self, road: &mut Road<'_>, who: &str, place: Place) -> Option<Arc<Upstream>> {
        if !who.contains("://") {
            return self.named(road, who.strip_suffix(':').unwrap_or(who), place);
        }
        match who.parse::<EndpointConfig>() {
            Ok(endpoint) => {
                let name = endpoint.url.to_string();
                self.inline(road.upstreams, &name, &[(&endpoint, place)])
            }
            Err(error) => {
                self.problems.error(place, format!("{error}"));
                None
            }
        }
    }

    fn each(&mut self, list: &Spanned<String>, written: &PartConfig, scope: Scope<'_>) -> Option<Each> {
        let text = self.text(list, scope)?;
        let Some(reference) = text.only() else {
            self.problems.error(list.place, "`each` is one list").hint("write `each: \"{order.items}\"`");
            return None;
        };
        let mut count = |written: Option<Spanned<u32>>, default: u32, most: u32| {
            let Some(count) = written else { return default };
            if !(1..=most).contains(&count.value) {
                self.problems.error(count.place, format!("from 1 to {most}"));
            }
            count.value
        };
        let most = count(written.each_most, 100, 10_000);
        let at_once = count(written.each_at_once, 8, 256);
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Some(Each { list: reference.clone(), most: size(most), at_once: size(at_once) })
    }

    fn taking(&mut self, written: &PartConfig) -> Option<Taking> {
        let from = match &written.take {
            None => Pointer::default(),
            Some(text) => match Pointer::parse(&text.value) {
                Ok(pointer) => pointer,
                Err(why) => {
                    self.problems.error(text.place, why).hint("write `/data/items`");
                    return None;
                }
            },
        };
        let names = |all: &[Spanned<String>]| all.iter().map(|name| name.value.as_str().into()).collect();
        let rename =
            |(old, new): (&Spanned<String>, &Spanned<String>)| (old.value.as_str().into(), new.value.as_str().into());
        Some(Taking {
            from,
            flatten: written.flatten,
            pick: names(&written.pick),
            drop: names(&written.drop),
            rename: written.rename.iter().map(rename).collect(),
        })
    }

    pub(super) fn field_name(&mut self, name: &Spanned<String>) -> Option<HeaderName> {
        match HeaderName::from_bytes(name.value.as_bytes()) {
            Ok(field) if OWN.contains(&field) => {
                self.problems.error(name.place, format!("`{field}` is written by the gateway itself"));
                None
            }
            Ok(field) => Some(field),
            Err(_) => {
                self.problems.error(name.place, "this is not the name of a header");
                None
            }
        }
    }

    fn text(&mut self, written: &Spanned<String>, scope: Scope<'_>) -> Option<Text> {
        self.read(written, 0, Text::parse(&written.value, scope))
    }

    fn read(&mut self, written: &Spanned<String>, skip: usize, parsed: Result<Text, BadText>) -> Option<Text> {
        match parsed {
            Ok(text) => Some(text),
            Err(bad) => {
                let hint = Some(bad.hint).filter(|hint| !hint.is_empty());
                self.problems.error(written.place.skip(skip + bad.offset), bad.message).hint_if(hint);
                None
            }
        }
    }

    fn shape(&mut self, written: &Spanned<serde_json::Value>, scope: Scope<'_>) -> Option<Shape> {
        match Shape::parse(&written.value, scope) {
            Ok(shape) => Some(shape),
            Err(bad) => {
                let hint = Some(bad.hint).filter(|hint| !hint.is_empty());
                self.problems.error(written.place, bad.message).hint_if(hint);
                None
            }
        }
    }

    fn graph(&mut self, parts: &[Part], written: &Named<PartConfig>) -> Option<Graph> {
        let references = parts.iter().map(|part| {
            let mut all = part.references();
            if let Need::Fallback(shape) = &part.need {
                all.extend(shape.references());
            }
            all
        });
        match Graph::build(references) {
            Ok(graph) => Some(graph),
            Err(circle) => {
                let name = |at: usize| written.iter().nth(at).map(|(name, _)| name);
                let names: Vec<&str> =
                    circle.iter().chain(circle.first()).filter_map(|at| Some(name(*at)?.value.as_str())).collect();
                let place = circle.first().and_then(|at| name(*at)).map_or(Place::NOWHERE, |name| name.place);
                self.problems
                    .error(place, format!("parts wait for each other: {}", names.join(" → ")))
                    .hint("one of them must do without the others' answers");
                None
            }
        }
    }
}

/// Whether what is written stands in a target as it is (RFC 3986 §3.3, §3.4).
fn is_plain_target(piece: &Piece) -> bool {
    match piece {
        Piece::Plain(text) => {
            text.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && !matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>'))
        }
        Piece::Value(_) => true,
    }
}
