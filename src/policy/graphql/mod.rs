//! `graphql:`: what may be asked of a GraphQL service, told before it is asked.
//!
//! Stage: Validate. Hooks: on the head, where method, form and a query in the URL are judged; on the request as it leaves,
//! where the body is gathered and judged before a byte of it goes on. Depth, aliases and cost count with fragments in
//! their places ([`mod@measure`] says how). What is judged is what is forwarded: a body that two readers could read in two
//! ways is refused, and so are a body and a URL that both say something, and coded bodies go on decoded. With `persisted`
//! only listed queries pass; where a client sends the hash alone, the gateway puts the query in. Upgrades are refused: what
//! is said on a WebSocket is not seen here. Nothing is carried over a reload, which reads the list again. Fails closed.
//! Example: `conf/graphql.yaml`.

mod config;
mod document;
mod lex;
mod measure;
mod message;
mod refused;

pub use config::{GraphqlConfig, PersistedConfig};

use super::coding::{Coded, coded};
use super::transform::decompress;
use super::{
    BodyWork, ChainBuilder, Changed, Decision, OnRequest, OnUpstreamRequest, Setup, Stage, WholeBody, forget_length,
};
use crate::reply::{Reason, Reply};
use crate::request::{Body, Headers, OutgoingView, RequestCx, RequestView};
use crate::value::ByteSize;
use crate::value::digits::write_hex;
use crate::value::json::Json;
use aws_lc_rs::digest;
use bytes::Bytes;
use document::{Document, Kind};
use http::{StatusCode, header};
use measure::{Measure, Sizes, measure};
use message::{Message, says_anything};
use refused::Refused;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Bodies up to this size are judged where they are; larger ones on a thread that may take its time.
const AT_ONCE: usize = 64 * 1024;

/// What a request may ask for.
#[derive(Clone, Copy, Debug)]
struct Limits {
    depth: u64,
    aliases: u64,
    cost: u64,
    tokens: u32,
    /// Requests in one array; none where there may be no array.
    batch: Option<u64>,
    /// What stands for a size that is not told.
    list_size: u64,
    introspection: bool,
}

/// The compiled guard.
struct Guard {
    limits: Limits,
    list_arguments: Box<[Box<str>]>,
    /// The only queries that pass, by their SHA-256.
    persisted: Option<HashMap<Box<str>, Box<str>>>,
    max_body: u64,
}

impl GraphqlConfig {
    /// Compiles what is written and adds the policy's hooks to a route.
    pub fn attach(&self, chain: &mut ChainBuilder, setup: &mut Setup<'_>) {
        let guard = Arc::new(self.compile(setup));
        chain.on_upstream_request(Stage::Validate, Arc::new(Decodes(guard.max_body)));
        chain.on_upstream_request(Stage::Validate, Arc::new(Judges(Arc::clone(&guard))));
        chain.on_request(Stage::Validate, Arc::new(OnHead(guard)));
    }
}

/// The SHA-256 of a text in hexadecimal.
fn hash(text: &str) -> String {
    let mut digits = [0; 64];
    write_hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref(), &mut digits);
    digits.iter().map(|digit| char::from(*digit)).collect()
}

impl Guard {
    /// What a request asks for; with the query its hash stands for, where it brings none.
    fn judge(&self, message: &Message, may_change: bool) -> Result<(Measure, Option<&str>), Refused> {
        let (text, put_in) = match (&message.query, &message.hash) {
            (Some(query), hashed) => (self.known(query, hashed.as_deref())?, None),
            (None, Some(hash)) => {
                let known = self.persisted.as_ref().and_then(|known| known.get(&*hash.to_ascii_lowercase()));
                let text = known.ok_or_else(Refused::unknown_hash)?;
                (&**text, Some(&**text))
            }
            (None, None) => return Err(Refused::bad("it has no `query`")),
        };
        let document = Document::parse(text, self.limits.tokens)?;
        let operation = match &message.operation {
            Some(name) => document.operations.iter().find(|own| own.name == Some(name)),
            None => document.operations.first().filter(|_| document.operations.len() == 1),
        };
        let operation = operation.ok_or_else(|| Refused::bad("`operationName` names none of its operations"))?;
        if !may_change && operation.kind != Kind::Query {
            return Err(Refused::forbidden("GET is for queries alone; send what changes something with POST."));
        }
        if document.introspects && !self.limits.introspection {
            return Err(Refused::forbidden("This service does not tell its schema."));
        }
        let (names, unknown) = (&*self.list_arguments, self.limits.list_size);
        let measured = measure(&document, operation, Sizes { names, unknown, variables: &message.variables })?;
        self.hold(measured)?;
        Ok((measured, put_in))
    }

    /// A query that came as text, if it may be asked.
    fn known<'q>(&self, query: &'q str, said: Option<&str>) -> Result<&'q str, Refused> {
        if said.is_none() && self.persisted.is_none() {
            return Ok(query);
        }
        let own = hash(query);
        if said.is_some_and(|said| !said.eq_ignore_ascii_case(&own)) {
            return Err(Refused::bad("`sha256Hash` is not the SHA-256 of `query`"));
        }
        match &self.persisted {
            Some(known) if !known.contains_key(&*own) => {
                Err(Refused::forbidden("Only queries that are listed may be asked here, and this is none of them."))
            }
            _ => Ok(query),
        }
    }

    fn hold(&self, measured: Measure) -> Result<(), Refused> {
        let Limits { depth, aliases, cost, .. } = self.limits;
        for (what, asked, most) in
            [("depth", measured.depth, depth), ("aliases", measured.aliases, aliases), ("cost", measured.cost, cost)]
        {
            if asked > most {
                return Err(Refused::limit(what, asked, most));
            }
        }
        Ok(())
    }

    /// Judges a body in JSON, alone or an array; gives back what goes on in its place, where queries were put in.
    fn judge_json(&self, body: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        let mut json = Message::json(body)?;
        let (requests, most) = match &mut json {
            Json::Array(requests) => {
                let most = self.limits.batch.ok_or_else(|| Refused::forbidden("Requests come one by one here."))?;
                (&mut **requests, most)
            }
            one => (std::slice::from_mut(one), 1),
        };
        if requests.is_empty() {
            return Err(Refused::bad("the array is empty"));
        }
        if requests.len() as u64 > most {
            return Err(Refused::limit("number of requests in an array", requests.len() as u64, most));
        }
        let (mut sum, mut changed) = (Measure::default(), false);
        for request in requests {
            let message = Message::of_json(request)?;
            let (measured, put_in) = self.judge(&message, true)?;
            sum = sum.beside(measured);
            self.hold(sum)?;
            if let Some(query) = put_in {
                request.insert("query", Json::text(query));
                changed = true;
            }
        }
        Ok(changed.then(|| json.to_vec()))
    }

    /// Judges a body that is nothing but a query.
    fn judge_text(&self, body: &[u8]) -> Result<(), Refused> {
        let query = std::str::from_utf8(body).map_err(|_| Refused::bad("it is no UTF-8"))?;
        let message = Message { query: Some(query.into()), ..Message::default() };
        self.judge(&message, true).map(|_| ())
    }
}

/// How the body of a POST is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Query,
}

impl Format {
    /// What the head says; none of others, of several, and of text in another charset.
    fn of(headers: &dyn Headers) -> Option<Self> {
        let (mut count, mut found) = (0, None);
        headers.each(&header::CONTENT_TYPE, &mut |value| {
            count += 1;
            let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let media = parts.next().unwrap_or_default();
            let format = match () {
                () if media.eq_ignore_ascii_case(b"application/json") => Self::Json,
                () if media.eq_ignore_ascii_case(b"application/graphql") => Self::Query,
                () => return,
            };
            let plain = parts.all(|part| {
                part.is_empty()
                    || part.eq_ignore_ascii_case(b"charset=utf-8")
                    || part.eq_ignore_ascii_case(b"charset=\"utf-8\"")
            });
            found = plain.then_some(format);
        });
        found.filter(|_| count == 1)
    }
}

/// Judges the head, and what stands in the URL.
struct OnHead(Arc<Guard>);

impl OnHead {
    fn decide(&self, cx: &mut RequestCx, request: &RequestView<'_>) -> Result<(), Box<Reply>> {
        let refuse = |refused: Refused| Box::new(refused.reply());
        if request.header(&header::UPGRADE).is_some() {
            return Err(refuse(Refused::forbidden("What is asked over a WebSocket cannot be judged here.")));
        }
        let query = cx.query(request).unwrap_or_default();
        match request.method {
            "GET" | "HEAD" => {
                if cx.body != Body::None {
                    return Err(refuse(Refused::bad("a GET has its request in the URL, and no body")));
                }
                let message = Message::of_url(query).map_err(refuse)?;
                let (measured, put_in) = self.0.judge(&message, false).map_err(refuse)?;
                cx.note(|| format!("depth {}, aliases {}, cost {}", measured.depth, measured.aliases, measured.cost));
                if let Some(text) = put_in {
                    let mut whole = String::from(cx.query(request).unwrap_or_default());
                    whole.push_str("&query=");
                    whole.extend(form_urlencoded::byte_serialize(text.as_bytes()));
                    cx.changes.query = Some(whole.into());
                }
                Ok(())
            }
            "POST" if says_anything(query) => {
                Err(refuse(Refused::bad("a POST has its request in the body, and the URL says nothing of it")))
            }
            "POST" if matches!(cx.body, Body::None | Body::Length(0)) => {
                Err(refuse(Refused::bad("a POST has its request in the body, and there is none")))
            }
            "POST" if Format::of(request.headers).is_none() => {
                let why = "a POST is application/json or application/graphql, in UTF-8; files are not taken";
                Err(Box::new(Refused::bad(why).reply().status(StatusCode::UNSUPPORTED_MEDIA_TYPE)))
            }
            "POST" => {
                cx.note(|| "the body is judged once it has come".to_owned());
                Ok(())
            }
            _ => Err(Box::new(Reply::new(Reason::MethodNotAllowed).allow("GET, HEAD, POST"))),
        }
    }
}

impl OnRequest for OnHead {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        match self.decide(cx, request) {
            Ok(()) => Decision::Continue,
            Err(reply) => Decision::Reply(reply),
        }
    }

    fn describe(&self) -> String {
        let Limits { depth, aliases, cost, tokens, batch, list_size, introspection } = self.0.limits;
        let mut line = format!("graphql: depth {depth}, aliases {aliases}, cost {cost}, {tokens} tokens");
        let lists = self.0.list_arguments.join(", ");
        let _ = write!(line, "; lists by {lists}, else {list_size}"); // writing to a string cannot fail
        if let Some(batch) = batch {
            let _ = write!(line, "; arrays of {batch}");
        }
        if introspection {
            line.push_str("; with introspection");
        }
        if let Some(known) = &self.0.persisted {
            let _ = write!(line, "; only {} listed", known.len());
        }
        line
    }
}

/// Has coded bodies decoded: what is judged goes on.
struct Decodes(u64);

impl OnUpstreamRequest for Decodes {
    fn on_upstream_request(&self, _: &mut RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>> {
        match coded(request.headers) {
            Coded::Plain => Ok(BodyWork::Leave),
            Coded::Once(_) | Coded::Otherwise => decompress(request.headers, self.0),
        }
    }

    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Judges the body of a POST.
struct Judges(Arc<Guard>);

impl OnUpstreamRequest for Judges {
    fn on_upstream_request(&self, cx: &mut RequestCx, request: &mut OutgoingView<'_>) -> Result<BodyWork, Box<Reply>> {
        if cx.body == Body::None {
            return Ok(BodyWork::Leave);
        }
        let Some(format) = Format::of(request.headers) else { return Err(Box::new(Reason::BadGraphql.into())) };
        if self.0.persisted.is_some() {
            forget_length(request.headers); // a query may be put in
        }
        Ok(BodyWork::Whole(Box::new(Judging { guard: Arc::clone(&self.0), format })))
    }

    fn describe(&self) -> Vec<String> {
        vec![format!("graphql: bodies up to {}, judged before they go on", ByteSize::new(self.0.max_body))]
    }
}

/// The judging of one body.
struct Judging {
    guard: Arc<Guard>,
    format: Format,
}

impl Judging {
    fn run(&self, body: Bytes) -> Result<Bytes, Box<Reply>> {
        let judged = match self.format {
            Format::Json => self.guard.judge_json(&body),
            Format::Query => self.guard.judge_text(&body).map(|()| None),
        };
        match judged {
            Ok(None) => Ok(body),
            Ok(Some(changed)) => Ok(changed.into()),
            Err(refused) => Err(Box::new(refused.reply())),
        }
    }
}

impl WholeBody for Judging {
    fn bound(&self) -> u64 {
        self.guard.max_body
    }

    fn too_large(&self) -> Box<Reply> {
        let most = ByteSize::new(self.guard.max_body);
        Box::new(Reply::new(Reason::BodyTooLarge).detail(format!("A GraphQL request may have {most} at most here.")))
    }

    fn change(self: Box<Self>, body: Bytes) -> Changed {
        Box::pin(async move {
            if body.len() <= AT_ONCE {
                return self.run(body);
            }
            let judged = tokio::task::spawn_blocking(move || self.run(body)).await;
            judged.map_err(|_| Box::new(Reply::from(Reason::Internal)))?
        })
    }
}

#[cfg(test)]
mod tests;
