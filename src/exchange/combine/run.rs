//! One request: asks the parts as soon as what they refer to is there, and puts their answers together.

use super::answered::{Answered, Failed, read, recalled};
use super::beside::{Recall, Shaper};
use super::course::Course;
use super::facts::{Facts, Missing};
use super::fields::united;
use super::part::{Each, Need, Part};
use super::{Combine, Mark, Put, merge};
use crate::exchange::call::{Call, Calls, Origin};
use crate::exchange::{Answer, Held, Incoming};
use crate::reply::{Fixed, Reason, Reply};
use crate::value::json::{Json, JsonBounds};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;
use std::time::Instant;

/// The longest body that references may look into, in bytes; the route's `body_limit` is usually smaller.
const MOST_BODY: usize = 8 << 20;

/// Names the parts that are missing, and why (RFC 9651: a list of tokens with parameters).
const PARTIAL: HeaderName = HeaderName::from_static("tollgate-partial");

/// What a part has brought.
struct Brought {
    value: Json,
    /// The fields of its answers.
    headers: Vec<HeaderMap>,
    /// The room it takes.
    held: Held,
    /// The status, where it was one call.
    status: Option<u16>,
    /// Whether all of it was kept from before.
    kept: bool,
}

/// What is known so far.
struct Settled {
    values: Vec<Option<Json>>,
    headers: Vec<Vec<HeaderMap>>,
    /// Parts that failed and were not required, and why.
    partial: Vec<(usize, Box<str>)>,
    /// For each part how many of those it waits for are not settled.
    waits: Vec<usize>,
    /// The room that all of it takes.
    held: Held,
}

/// Answers one request. What is still under way when it returns, or is dropped, is given up.
///
/// # Errors
/// What a required part's failure, or the request itself, is answered with.
pub async fn run(combine: Arc<Combine>, mut request: Incoming) -> Result<Answer, Box<Reply>> {
    let mut held = request.calls.room().hold();
    let body = match combine.reads_body() {
        true => Some(client_body(&mut request, &mut held).await?),
        false => None,
    };
    let (combine, request) = (&combine, &request);
    let count = combine.parts.len();
    let mut settled = Settled {
        values: vec![None; count],
        headers: vec![Vec::new(); count],
        partial: Vec::new(),
        waits: (0..count).map(|part| combine.graph.needs(part).len()).collect(),
        held,
    };
    let mut ready: Vec<usize> = (0..count).rev().filter(|part| combine.graph.needs(*part).is_empty()).collect();
    let mut under_way = FuturesUnordered::new();
    loop {
        while let Some(at) = ready.pop() {
            let facts = Facts { request, body: body.as_ref(), parts: &settled.values, item: None };
            match ask(combine, at, facts) {
                Ok(asking) => under_way.push(async move { (at, asking.await) }),
                Err(failed) => settle(combine, (request, body.as_ref()), &mut settled, (at, Err(failed)), &mut ready)?,
            }
        }
        let Some(brought) = under_way.next().await else { break };
        settle(combine, (request, body.as_ref()), &mut settled, brought, &mut ready)?;
    }
    settled.partial.sort_unstable_by_key(|(at, _)| *at);
    let facts = Facts { request, body: body.as_ref(), parts: &[], item: None };
    let values = std::mem::take(&mut settled.values);
    let mut value = put_together(combine, facts, values).map_err(|missing| unfit(&missing).reply)?;
    if let Some(program) = &combine.program {
        value = shaped(&**program, request, value, &mut settled.held).await?;
    }
    if combine.mark == Mark::Body && !settled.partial.is_empty() {
        let names = settled.partial.iter().map(|(at, _)| Json::text(combine.name(*at))).collect();
        value.insert("partial", Json::Array(names));
    }
    let fields = fields(combine, &settled);
    let written = value.to_vec();
    drop(value);
    let body: Bytes = settled.held.around(written).map_err(|full| Box::new(Reply::from(full)))?;
    Ok(Answer::Whole(Fixed { status: StatusCode::OK, fields, body }))
}

/// What a program makes of the values of all parts.
async fn shaped(program: &dyn Shaper, request: &Incoming, value: Json, held: &mut Held) -> Result<Json, Box<Reply>> {
    let full = |full| Box::new(Reply::from(full));
    let written = value.to_vec();
    drop(value);
    held.resize(written.len()).map_err(full)?;
    let made = program.shape(written.into(), request).await?;
    let value = Json::parse(&made, JsonBounds { digits: made.len(), ..JsonBounds::default() }).map_err(|error| {
        let detail = format!("The program of this route makes no JSON that can be told: {error}.");
        Box::new(Reply::new(Reason::UpstreamBody).detail(detail))
    })?;
    held.resize(value.weight()).map_err(full)?;
    Ok(value)
}

async fn client_body(request: &mut Incoming, held: &mut Held) -> Result<Json, Box<Reply>> {
    let bytes = request.body.whole(MOST_BODY).await?;
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    let value = Json::parse(&bytes, JsonBounds::default()).map_err(|error| {
        Box::new(Reply::new(Reason::BadBody).detail(format!("The body is not the JSON this route needs: {error}.")))
    })?;
    held.grow(value.weight()).map_err(|full| Box::new(Reply::from(full)))?;
    Ok(value)
}

/// Begins a part's call, or calls.
fn ask(
    combine: &Arc<Combine>,
    at: usize,
    facts: Facts<'_>,
) -> Result<BoxFuture<'static, Result<Brought, Failed>>, Failed> {
    let Some(part) = combine.parts.get(at) else { return Err(Failed::new(Reason::Internal.into())) };
    let (calls, origin) = (Arc::clone(&facts.request.calls), Arc::clone(&facts.request.origin));
    let mut asked = match asked_of(combine, part, facts) {
        Ok(asked) => asked,
        Err(failed) => {
            Course::begin(&origin, part, &[]).failed(&failed);
            return Err(failed);
        }
    };
    let until = part.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    for call in &mut asked {
        (call.trace, call.until) = (calls.span(&origin), until);
    }
    let course = Course::begin(&origin, part, &asked);
    let admitted = part.limits.as_ref().map(|limits| limits.admit(facts.request, asked.len()));
    let combine = Arc::clone(combine);
    Ok(Box::pin(async move {
        let Some(part) = combine.parts.get(at) else { return Err(Failed::new(Reason::Internal.into())) };
        let asking = async {
            if let Some(admitted) = admitted {
                admitted.await.map_err(|reply| Failed::new(*reply))?;
            }
            bring(part, asked, &calls, &origin).await
        };
        let brought = match part.timeout {
            None => asking.await,
            Some(timeout) => pingora_timeout::timeout(timeout, asking).await.unwrap_or_else(|_| Err(Failed::late())),
        };
        let taken = brought.and_then(|brought| take(part, brought));
        match &taken {
            Ok(brought) if brought.kept => course.kept(),
            Ok(brought) => course.answered(brought.status),
            Err(failed) => course.failed(failed),
        }
        taken
    }))
}

/// The calls of a part.
fn asked_of(combine: &Combine, part: &Part, facts: Facts<'_>) -> Result<Vec<Call>, Failed> {
    match &part.each {
        Some(each) => asked_of_each(combine, part, each, facts),
        None => Ok(vec![part.call(&facts, &combine.forward).map_err(|missing| unfit(&missing))?]),
    }
}

/// What the calls of a part bring.
async fn bring(part: &Part, asked: Vec<Call>, calls: &Calls, origin: &Arc<Origin>) -> Result<Brought, Failed> {
    let at_once = part.each.as_ref().map_or(1, |each| each.at_once);
    let mut answers = stream::iter(asked).map(|call| one(part, calls, origin, call)).buffered(at_once);
    let (mut values, mut headers, mut held) = (Vec::new(), Vec::new(), calls.room().hold());
    let (mut status, mut all_kept) = (None, true);
    while let Some(answered) = answers.try_next().await? {
        let Answered { value, status: own, headers: fields, held: room, kept } = answered;
        all_kept &= kept;
        values.push(value);
        headers.push(fields);
        held.join(room);
        status = Some(own.as_u16());
    }
    if part.each.is_some() {
        let kept = all_kept && !values.is_empty();
        return Ok(Brought { value: Json::Array(values), headers, held, status: None, kept });
    }
    Ok(Brought { value: values.pop().unwrap_or_default(), headers, held, status, kept: all_kept })
}

/// What of it the part is about.
fn take(part: &Part, brought: Brought) -> Result<Brought, Failed> {
    match part.taking.take(brought.value) {
        Ok(value) => Ok(Brought { value, ..brought }),
        Err(missing) => {
            let detail = format!("The answer of a service behind this route cannot be used: {missing}.");
            Err(Failed::new(Reply::new(Reason::UpstreamBody).detail(detail)))
        }
    }
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

async fn one(part: &Part, calls: &Calls, origin: &Arc<Origin>, call: Call) -> Result<Answered, Failed> {
    let mut remember = None;
    if let Some(memory) = &part.memory {
        match memory.recall(&call, origin).await {
            Recall::Known(known) => return recalled(known, part.most, calls.room()),
            Recall::Unknown(keeper) => remember = Some(keeper),
            Recall::Past => {}
        }
    }
    read(calls.send(call, origin).await?, part.most, calls.room(), remember).await
}

/// A reference that finds nothing: the client's fault where it refers to the request, else a service's.
fn unfit(missing: &Missing) -> Failed {
    let reply = match missing.part {
        Some(_) => Reply::new(Reason::PartFailed).detail("A service behind this route did not say what another needs."),
        None => Reply::new(Reason::PartFailed)
            .status(StatusCode::BAD_REQUEST)
            .detail(format!("The request lacks what this route needs: {missing}.")),
    };
    Failed { reply: Box::new(reply), reason: "reference".into(), status: None }
}

/// Takes note of what a part brought, and finds out who waited for it.
fn settle(
    combine: &Combine,
    (request, body): (&Incoming, Option<&Json>),
    settled: &mut Settled,
    (at, brought): (usize, Result<Brought, Failed>),
    ready: &mut Vec<usize>,
) -> Result<(), Box<Reply>> {
    let Some(part) = combine.parts.get(at) else { return Ok(()) };
    let value = match brought {
        Ok(Brought { value, headers, held, .. }) => {
            if let Some(own) = settled.headers.get_mut(at) {
                *own = headers;
            }
            settled.held.join(held);
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
            let room = replaced.as_ref().map_or(0, Json::weight);
            settled.held.grow(room).map_err(|full| Box::new(Reply::from(full)))?;
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

/// The answer's value, out of those of the parts.
fn put_together(combine: &Combine, facts: Facts<'_>, values: Vec<Option<Json>>) -> Result<Json, Missing> {
    if let Put::Shape(shape) = &combine.put {
        return shape.fill(&Facts { parts: &values, ..facts });
    }
    // A program sees what is there only to be referred to, too.
    let all = combine.parts.iter().zip(values).filter(|(part, _)| !part.hidden || combine.program.is_some());
    let shown = all.filter_map(|(part, value)| Some((&*part.name, value?)));
    Ok(if combine.put == Put::Root { merge::root(shown) } else { merge::named(shown) })
}

fn fields(combine: &Combine, settled: &Settled) -> Vec<(HeaderName, HeaderValue)> {
    let mut fields = vec![(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    fields.extend(united(settled.headers.iter().flatten(), !settled.partial.is_empty()));
    if !settled.partial.is_empty() {
        let missing = settled.partial.iter().map(|(at, reason)| format!("{};reason={reason}", combine.name(*at)));
        let line = missing.collect::<Vec<_>>().join(", ");
        fields.extend(HeaderValue::from_str(&line).ok().map(|line| (PARTIAL, line)));
    }
    fields
}
