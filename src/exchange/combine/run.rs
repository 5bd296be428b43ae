//! One request: asks the parts as soon as what they refer to is there, and puts their answers together.

use super::answered::{Answered, Failed, read};
use super::facts::{Facts, Missing};
use super::fields::united;
use super::part::{Each, Need, Part};
use super::{Combine, Mark, Put};
use crate::exchange::call::{Call, Calls, Origin};
use crate::exchange::{Answer, Incoming};
use crate::reply::{Fixed, Reason, Reply};
use crate::value::json::{Json, JsonBounds};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;

/// The longest body that references may look into, in bytes; the route's `body_limit` is usually smaller.
const MOST_BODY: usize = 8 << 20;

/// Names the parts that are missing, and why (RFC 9651: a list of tokens with parameters).
const PARTIAL: HeaderName = HeaderName::from_static("tollgate-partial");

/// What a part brought: its value, and the fields of its answers.
type Brought = Result<(Json, Vec<HeaderMap>), Failed>;

/// What is known so far.
struct Settled {
    values: Vec<Option<Json>>,
    headers: Vec<Vec<HeaderMap>>,
    /// Parts that failed and were not required, and why.
    partial: Vec<(usize, Box<str>)>,
    /// For each part how many of those it waits for are not settled.
    waits: Vec<usize>,
}

/// Answers one request. What is still under way when it returns, or is dropped, is given up.
///
/// # Errors
/// What a required part's failure, or the request itself, is answered with.
pub async fn run(combine: &Combine, mut request: Incoming) -> Result<Answer, Box<Reply>> {
    let body = match combine.reads_body() {
        true => Some(client_body(&mut request).await?),
        false => None,
    };
    let request = &request;
    let count = combine.parts.len();
    let mut settled = Settled {
        values: vec![None; count],
        headers: vec![Vec::new(); count],
        partial: Vec::new(),
        waits: (0..count).map(|part| combine.graph.needs(part).len()).collect(),
    };
    let mut ready: Vec<usize> = (0..count).rev().filter(|part| combine.graph.needs(*part).is_empty()).collect();
    let mut under_way = FuturesUnordered::new();
    loop {
        while let Some(at) = ready.pop() {
            let Some(part) = combine.parts.get(at) else { continue };
            let facts = Facts { request, body: body.as_ref(), parts: &settled.values, item: None };
            match ask(combine, part, facts) {
                Ok(asking) => under_way.push(async move { (at, asking.await) }),
                Err(failed) => settle(combine, (request, body.as_ref()), &mut settled, (at, Err(failed)), &mut ready)?,
            }
        }
        let Some(brought) = under_way.next().await else { break };
        settle(combine, (request, body.as_ref()), &mut settled, brought, &mut ready)?;
    }
    settled.partial.sort_unstable_by_key(|(at, _)| *at);
    let facts = Facts { request, body: body.as_ref(), parts: &settled.values, item: None };
    let mut value = put_together(combine, facts).map_err(|missing| unfit(&missing).reply)?;
    if combine.mark == Mark::Body && !settled.partial.is_empty() {
        let names = settled.partial.iter().map(|(at, _)| Json::text(combine.name(*at))).collect();
        value.insert("partial", Json::Array(names));
    }
    Ok(Answer::Whole(fixed(combine, &value, &settled)))
}

async fn client_body(request: &mut Incoming) -> Result<Json, Box<Reply>> {
    let bytes = request.body.whole(MOST_BODY).await?;
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    Json::parse(&bytes, JsonBounds::default()).map_err(|error| {
        Box::new(Reply::new(Reason::BadBody).detail(format!("The body is not the JSON this route needs: {error}.")))
    })
}

/// Begins a part's call, or calls.
fn ask(combine: &Combine, part: &Part, facts: Facts<'_>) -> Result<BoxFuture<'static, Brought>, Failed> {
    let (calls, origin) = (Arc::clone(&facts.request.calls), Arc::clone(&facts.request.origin));
    let (most, timeout) = (part.most, part.timeout);
    let asking: BoxFuture<'static, Brought> = match &part.each {
        None => {
            let call = part.call(&facts, &combine.forward).map_err(|missing| unfit(&missing))?;
            Box::pin(async move {
                let Answered { value, headers } = one(&calls, &origin, call, most).await?;
                Ok((value, vec![headers]))
            })
        }
        Some(each) => {
            let asked = asked_of_each(combine, part, each, facts)?;
            let at_once = each.at_once;
            Box::pin(async move {
                let (calls, origin) = (&calls, &origin);
                let answers = stream::iter(asked).map(|call| one(calls, origin, call, most)).buffered(at_once);
                let answers: Vec<Answered> = answers.try_collect().await?;
                let (values, headers) = answers.into_iter().map(|one| (one.value, one.headers)).unzip();
                Ok((Json::Array(values), headers))
            })
        }
    };
    Ok(match timeout {
        None => asking,
        Some(timeout) => {
            Box::pin(
                async move { pingora_timeout::timeout(timeout, asking).await.unwrap_or_else(|_| Err(Failed::late())) },
            )
        }
    })
}

/// The calls for the items of a list.
fn asked_of_each(combine: &Combine, part: &Part, each: &Each, facts: Facts<'_>) -> Result<Vec<Call>, Failed> {
    let list = facts.value(&each.list);
    let items = match list.as_deref() {
        Some(Json::Array(items)) => items,
        Some(Json::Null) => return Ok(Vec::new()),
        other => return Err(unfit(&super::facts::missing(&each.list, other))),
    };
    if items.len() > each.most {
        let detail = format!("A list of {} items is longer than this route asks about.", items.len());
        return Err(Failed::new(Reply::new(Reason::UpstreamBody).detail(detail)));
    }
    let call = |item| part.call(&Facts { item: Some(item), ..facts }, &combine.forward);
    items.iter().map(call).collect::<Result<_, _>>().map_err(|missing| unfit(&missing))
}

async fn one(calls: &Calls, origin: &Arc<Origin>, call: Call, most: usize) -> Result<Answered, Failed> {
    read(calls.send(call, origin).await?, most).await
}

/// A reference that finds nothing: the client's fault where it refers to the request, else a service's.
fn unfit(missing: &Missing) -> Failed {
    let reply = match missing.part {
        Some(_) => Reply::new(Reason::PartFailed).detail("A service behind this route did not say what another needs."),
        None => Reply::new(Reason::PartFailed)
            .status(StatusCode::BAD_REQUEST)
            .detail(format!("The request lacks what this route needs: {missing}.")),
    };
    Failed { reply: Box::new(reply), reason: "reference".into() }
}

/// Takes note of what a part brought, and finds out who waited for it.
fn settle(
    combine: &Combine,
    (request, body): (&Incoming, Option<&Json>),
    settled: &mut Settled,
    (at, brought): (usize, Brought),
    ready: &mut Vec<usize>,
) -> Result<(), Box<Reply>> {
    let Some(part) = combine.parts.get(at) else { return Ok(()) };
    let taken = brought.and_then(|(value, headers)| match part.taking.take(value) {
        Ok(value) => Ok((value, headers)),
        Err(missing) => {
            let detail = format!("The answer of a service behind this route cannot be used: {missing}.");
            Err(Failed::new(Reply::new(Reason::UpstreamBody).detail(detail)))
        }
    });
    let value = match taken {
        Ok((value, headers)) => {
            if let Some(own) = settled.headers.get_mut(at) {
                *own = headers;
            }
            Some(value)
        }
        Err(failed) => {
            let replaced = match &part.need {
                Need::Required => return Err(Box::new(failed.reply.member("part", &*part.name))),
                Need::Optional => None,
                Need::Fallback(shape) => {
                    let facts = Facts { request, body, parts: &settled.values, item: None };
                    shape.fill(&facts).ok()
                }
            };
            settled.partial.push((at, failed.reason));
            replaced
        }
    };
    if let Some(slot) = settled.values.get_mut(at) {
        *slot = value;
    }
    for (other, waits) in settled.waits.iter_mut().enumerate() {
        if combine.graph.needs(other).contains(&at) {
            *waits = waits.saturating_sub(1);
            if *waits == 0 {
                ready.push(other);
            }
        }
    }
    Ok(())
}

fn put_together(combine: &Combine, facts: Facts<'_>) -> Result<Json, Missing> {
    if let Put::Shape(shape) = &combine.put {
        return shape.fill(&facts);
    }
    let mut whole = Json::Object(Vec::new());
    let shown = combine.parts.iter().zip(facts.parts).filter(|(part, _)| !part.hidden);
    for (part, value) in shown.filter_map(|(part, value)| Some((part, value.as_ref()?))) {
        match value {
            Json::Object(members) if combine.put == Put::Root => {
                members.iter().for_each(|(name, value)| whole.insert(name, value.clone()));
            }
            value => whole.insert(&part.name, value.clone()),
        }
    }
    Ok(whole)
}

fn fixed(combine: &Combine, value: &Json, settled: &Settled) -> Fixed {
    let mut fields = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    fields.extend(united(settled.headers.iter().flatten(), !settled.partial.is_empty()));
    if !settled.partial.is_empty() {
        let missing = settled.partial.iter().map(|(at, reason)| format!("{};reason={reason}", combine.name(*at)));
        let line = missing.collect::<Vec<_>>().join(", ");
        fields.extend(HeaderValue::from_str(&line).ok().map(|line| (PARTIAL, line)));
    }
    Fixed { status: StatusCode::OK, fields, body: value.to_vec().into() }
}
