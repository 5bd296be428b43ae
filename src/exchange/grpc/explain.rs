//! What a request would be sent as, for `explain`.

use super::binding::{Asked, Binding, Values};
use super::json::Json;
use super::{Transcode, run};
use crate::exchange::Shown;
use crate::reply::Reply;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::fmt::Write as _;

/// The method and the messages as JSON, and which metadata go along; or the refusal. Values of metadata are not shown: they may
/// be secrets.
pub(super) fn explained(transcode: &Transcode, shown: &Shown<'_>) -> String {
    match sent(transcode, shown) {
        Ok(lines) => lines,
        Err(reply) => {
            let status = reply.extra.as_ref().and_then(|extra| extra.status).unwrap_or_else(|| reply.reason.status());
            format!("answer {} {}: {}\n", status.as_str(), reply.reason.slug(), reply.detail)
        }
    }
}

fn sent(transcode: &Transcode, shown: &Shown<'_>) -> Result<String, Box<Reply>> {
    let method = Method::from_bytes(shown.method.as_bytes()).unwrap_or(Method::GET);
    let asked = Asked { method: &method, path: shown.path, query: shown.query, captures: shown.captures };
    let (callable, texts) = transcode.callable(&asked).ok_or_else(run::no_such_call)?;
    let binding = &callable.binding;
    let values = binding.values(&asked, &texts, &transcode.json)?;
    let reads = binding.reads_body(&method) && !shown.body.is_empty();
    if reads {
        run::check_type(binding, shown.fields)?;
    }
    let messages: Vec<&[u8]> = match reads && binding.method.kind.takes_stream() {
        true => shown.body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect(),
        false => vec![if reads { shown.body } else { b"" }],
    };
    let mut out = String::new();
    for body in messages {
        let json = message(binding, body, (&values, &transcode.json), shown.fields)?;
        let _ = writeln!(out, "sends {} {json}", binding.method.name);
    }
    let metadata = transcode.metadata.of_request(shown.fields)?;
    let own = ["content-type", "te", "grpc-accept-encoding"];
    let names: Vec<&str> = metadata.keys().map(|name| name.as_str()).filter(|name| !own.contains(name)).collect();
    if !names.is_empty() {
        let _ = writeln!(out, "    with the metadata {}", names.join(", "));
    }
    Ok(out)
}

fn message(
    binding: &Binding,
    body: &[u8],
    (values, json): (&Values, &Json),
    fields: &HeaderMap,
) -> Result<String, Box<Reply>> {
    let message = binding.message(Some(&Bytes::copy_from_slice(body)), values, json, fields)?;
    let mut out = Vec::new();
    json.write(&message, &mut out).map_err(super::binding::invalid)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
