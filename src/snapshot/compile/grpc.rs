//! `grpc:`, a JSON face to a service that speaks gRPC: its methods, and the requests that call them.

use super::Compiling;
use super::limits::LimitedRoute;
use super::protos::Called;
use super::retries::retries;
use super::routes::Road;
use crate::config::{GrpcConfig, Policies, UnknownFieldsConfig};
use crate::exchange::Exchange;
use crate::exchange::call::Callee;
use crate::exchange::grpc::{
    Binding, BodyBinding, Callable, FieldPath, Json, JsonChoice, MOST, Metadata, Method, PathValues, Reverse, Schema,
    Template, Transcode, single, top,
};
use crate::routing::PathPattern;
use crate::snapshot::Target;
use crate::upstream::Protocol;
use crate::value::{Named, Place, Spanned};
use http::{HeaderName, Method as HttpMethod};
use std::sync::Arc;

impl Compiling<'_> {
    /// The compiled form of a route's `grpc`; `None` where there is a problem. `ruled`: what a rule of the schema makes of its
    /// requests, where the route is made of one.
    pub(super) fn grpc(
        &mut self,
        road: &mut Road<'_>,
        (name, written): (&str, &Spanned<GrpcConfig>),
        route: &LimitedRoute<'_>,
        (policies, ruled): (Policies<'_>, Option<&Called>),
    ) -> Option<Arc<dyn Exchange>> {
        let Some(to) = &route.written.to else {
            self.problems
                .error(written.place, "`grpc` calls an upstream, and there is none here")
                .hint("write `to: grpc://10.0.0.1:50051` beside it");
            return None;
        };
        let target = self.target(road, name, to, None);
        let schema = self.schema(written);
        let metadata = self.metadata(written);
        let retries = self.pooled_retries(retries(policies.retries));
        let speaks_json = matches!(ruled, Some(Called::Json(_)));
        let to = self.one_callee(target?, to.place, speaks_json);
        let schema = schema?;
        let bindings: Vec<Arc<Binding>> = match ruled {
            Some(Called::Grpc(ruled)) => ruled.clone(),
            Some(Called::Json(_)) => Vec::new(),
            None => vec![Arc::new(self.one_method(written, &schema, route)?)],
        };
        let (to, metadata) = (to?, metadata?);
        let most = written.most.as_ref().map_or(MOST, |most| most.as_usize());
        let choice = JsonChoice {
            defaults: written.json.defaults,
            proto_names: written.json.proto_names,
            enum_numbers: written.json.enum_numbers,
            int64_numbers: written.json.int64_numbers,
            lenient: written.json.unknown_fields == UnknownFieldsConfig::Ignore,
        };
        let json = Json::new(choice);
        if let Some(Called::Json(rule)) = ruled {
            let metrics = self.surroundings.metrics.grpc(&rule.binding.method.name);
            let verb = rule.method.as_ref().and_then(|verb| HttpMethod::from_bytes(verb.as_bytes()).ok());
            let Binding { method, fields, body, response, .. } = rule.binding.clone();
            let (verb, template) = (verb.unwrap_or(HttpMethod::POST), rule.template.clone());
            return Some(Arc::new(Reverse {
                method,
                verb,
                template,
                fields,
                body,
                response,
                to,
                retries,
                json,
                metadata,
                most,
                metrics,
            }));
        }
        let counted = |binding: Arc<Binding>| {
            let metrics = self.surroundings.metrics.grpc(&binding.method.name);
            Callable { binding, metrics }
        };
        let callables = bindings.into_iter().map(counted).collect();
        Some(Arc::new(Transcode { callables, to, retries, json, schema, metadata, most }))
    }

    /// The one upstream of a target, which speaks HTTP/2 unless it is asked for JSON.
    fn one_callee(&mut self, target: Target, place: Place, speaks_json: bool) -> Option<Callee> {
        let [choice] = target.choices() else {
            self.problems
                .error(place, "`grpc` calls one upstream")
                .hint("give one upstream several endpoints, with weights where they differ");
            return None;
        };
        let endpoints = &choice.to.upstream.spec().endpoints;
        if !speaks_json && endpoints.iter().any(|endpoint| endpoint.protocol != Protocol::Http2) {
            self.problems
                .error(place, "gRPC needs HTTP/2, and this upstream is asked with HTTP/1.1")
                .hint("write `grpc://` or `grpcs://` in place of `http://` or `https://`");
            return None;
        }
        Some(choice.to.clone())
    }

    /// What requests of a route make for the method it names.
    fn one_method(
        &mut self,
        written: &Spanned<GrpcConfig>,
        schema: &Schema,
        route: &LimitedRoute<'_>,
    ) -> Option<Binding> {
        let Some(named) = &written.method else {
            self.problems
                .error(written.place, "`grpc` has exactly one of `method` and `rules`")
                .hint("write `method: package.Service/Method`, or `rules: true`");
            return None;
        };
        let method = match schema.method(&named.value) {
            Ok(method) => method,
            Err((message, hint)) => {
                self.problems.error(named.place, message).hint_if(hint);
                return None;
            }
        };
        let before = self.problems.len();
        let (path, fields) = match &written.path {
            None => self.captured(named, &method, route),
            Some(text) => self.templated(text, &method, route)?,
        };
        let body = match &written.body {
            None => BodyBinding::ByMethod,
            Some(text) => match text.value.as_str() {
                "none" => BodyBinding::None,
                "*" => BodyBinding::Whole,
                field => match self.said(text.place, top(&method.input, field)) {
                    Some(field) => BodyBinding::Field(field),
                    None => BodyBinding::None,
                },
            },
        };
        let response = match &written.response_body {
            None => None,
            Some(field) => self.said(field.place, top(&method.output, &field.value)),
        };
        // As with rules: where the body is the message, it says everything that the path does not.
        let query = written.path.is_none() || !matches!(body, BodyBinding::Whole);
        (self.problems.len() == before).then_some(Binding { method, path, fields, body, query, response })
    }

    /// The captures of a route's path, by their numbers, and the fields they go to.
    fn captured(
        &mut self,
        named: &Spanned<String>,
        method: &Method,
        route: &LimitedRoute<'_>,
    ) -> (PathValues, Vec<FieldPath>) {
        let base = route.around.and_then(|(_, api)| api.base.as_ref());
        let base = base.and_then(|base| PathPattern::parse(&base.value).ok());
        let (mut numbers, mut fields) = (Vec::new(), Vec::new());
        for (number, capture) in route.path.captures().iter().enumerate() {
            // What an api captures for its policies need be no field of every method.
            let of_api = base.as_ref().is_some_and(|base| base.capture_index(capture).is_some());
            match single(&method.input, capture) {
                Ok(field) => {
                    numbers.push(number);
                    fields.push(field);
                }
                Err(_) if of_api || **capture == *"**" => {}
                Err(why) => {
                    self.problems
                        .error(named.place, format!("the path captures `{{{capture}}}`: {why}"))
                        .hint("name the capture as the field it goes to, or write `*`");
                }
            }
        }
        (PathValues::Captures(numbers), fields)
    }

    /// What of a path a template puts into which fields.
    fn templated(
        &mut self,
        text: &Spanned<String>,
        method: &Method,
        route: &LimitedRoute<'_>,
    ) -> Option<(PathValues, Vec<FieldPath>)> {
        let template = self.said(text.place, Template::parse(&text.value).map_err(|bad| bad.0))?;
        let base = route.around.and_then(|(_, api)| api.base.as_ref()).map_or("", |base| base.value.as_str());
        let own = PathPattern::parse(&format!("{base}{}", template.pattern())).ok();
        if !own.is_some_and(|own| own.is_like(route.path)) {
            self.problems
                .error(text.place, "the template is for other paths than the route")
                .hint(format!("write the route for `{}`", template.pattern()));
            return None;
        }
        let fields: Result<Vec<FieldPath>, String> =
            template.fields().map(|field| single(&method.input, field)).collect();
        let fields = self.said(text.place, fields)?;
        let segments = PathPattern::parse(base).ok().and_then(|base| base.segment_count()).unwrap_or_default();
        Some((PathValues::Template(template, segments), fields))
    }

    fn said<T>(&mut self, place: Place, found: Result<T, String>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(why) => {
                self.problems.error(place, why);
                None
            }
        }
    }

    fn metadata(&mut self, written: &GrpcConfig) -> Option<Metadata> {
        let before = self.problems.len();
        let mut names = |written: Option<&Named<Spanned<String>>>| {
            Some(written?.iter().filter_map(|(from, to)| self.renamed(from, to)).collect())
        };
        let request = names(written.request_metadata.as_ref());
        let response = names(written.response_metadata.as_ref());
        (self.problems.len() == before).then_some(Metadata { request, response })
    }

    fn renamed(&mut self, from: &Spanned<String>, to: &Spanned<String>) -> Option<(HeaderName, HeaderName)> {
        let (old, new) = (self.field_name(from), self.field_name(to));
        let reserved = |name: &HeaderName| name.as_str().starts_with("grpc-") || *name == http::header::CONTENT_TYPE;
        if let Some(name) = new.as_ref().filter(|name| reserved(name)) {
            self.problems.error(to.place, format!("`{name}` belongs to the protocol")).hint("choose another name");
        }
        old.zip(new)
    }
}
